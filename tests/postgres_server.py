"""A PostgreSQL server of the tests' own, on a private port of this machine. In CI a missing one is a failure."""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from etl.settings import WarehouseSettings

USER = "loader"


@dataclass(frozen=True)
class Server:
    """Where the server is, how to sign in, and how to stop and start it."""

    port: int
    password: str
    control: tuple[str, ...]
    account: dict[str, str]

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._control("start")

    def stop(self, check: bool = True) -> None:
        """Stop it at once, as a crash does."""
        self._control("-m", "immediate", "stop", check=check)

    def _control(self, *words: str, check: bool = True) -> None:
        folder = Path(self.control[0]).parent  # a folder that the server's account may enter
        subprocess.run([*self.control, *words], check=check, capture_output=True, cwd=folder, **self.account)  # type: ignore[call-overload]

    def settings(self, database: str, **changes: object) -> WarehouseSettings:
        """Return the settings of a warehouse in one of its databases."""
        values = {
            "kind": "postgresql", "host": "127.0.0.1", "port": self.port, "database": database, "user": USER, "sign_in": "password",
            "password": self.password, "encryption": "none", "lock_timeout": 0, "connect_timeout": 5,
        }  # fmt: skip
        return WarehouseSettings.model_validate(values | changes)

    def connect(self, database: str = "postgres", user: str = USER) -> psycopg.Connection:
        """Return a connection beside the warehouse's own."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=user,
            password=self.password,
            dbname=database,
            autocommit=True,
            sslmode="disable",
        )

    def new_database(self) -> str:
        """Create an empty database and return its name."""
        name = f"t_{secrets.token_hex(6)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
        return name


def programs() -> Path:
    """Return the folder of PostgreSQL's programs."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if folders:
        return folders[-1]
    missing = "no PostgreSQL found: install it (Debian: postgresql), so that initdb and postgres are there"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


def free_port() -> int:
    """Return a port that is free now and that no system gives away by itself: a server that is stopped for a moment finds it again."""
    while True:
        port = 20_000 + secrets.randbelow(10_000)
        with contextlib.suppress(OSError), socket.socket() as one:
            one.bind(("127.0.0.1", port))
            return port


@contextmanager
def running(folder: Path, durable: bool = False) -> Iterator[Server]:
    """Make a cluster in `folder`, start it, and stop it when left. As root it runs under the account `postgres`.

    A durable one waits for the disk at each commit, as a server in use does.
    """
    bin_ = programs()
    # The server refuses to run as root.
    account = {"user": "postgres", "group": "postgres"} if hasattr(os, "geteuid") and os.geteuid() == 0 else {}
    password = secrets.token_hex(16)
    secret = folder / "password"
    secret.write_text(password, encoding="utf-8")
    if account:
        for one in (folder, secret):
            shutil.chown(one, "postgres")
        for parent in folder.parents[:3]:
            parent.chmod(parent.stat().st_mode | 0o011)  # pytest's folders are for root alone
    data = folder / "data"
    make = [bin_ / "initdb", "-D", data, "-U", USER, "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--no-sync"]
    subprocess.run([str(one) for one in make], check=True, capture_output=True, cwd=folder, **account)  # type: ignore[call-overload]
    port = free_port()
    settings = (
        f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync={'on' if durable else 'off'} -c log_min_messages=fatal"
    )
    control = (str(bin_ / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log"), "-o", settings)
    server = Server(port, password, control, account)
    server.start()
    try:
        yield server
    finally:
        server.stop(check=False)
