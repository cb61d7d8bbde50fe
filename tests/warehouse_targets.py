"""The warehouses that one contract is held to, each empty: a file, PostgreSQL by psycopg and by ODBC, and the SQL Server that is named.

`HANDOVER_SQLSERVER_URL=host:port/database?user=...&password=...&driver=...&encryption=...` names a server that speaks TDS and T-SQL.
It is decided when tests are collected: without it that kind does not exist, so nothing is skipped. Its tables are dropped.
"""

import importlib
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

import etl.warehouse
from etl.ddl import permanent
from etl.settings import WarehouseSettings
from etl.warehouse import Warehouse, open_warehouse
from tests.postgres_server import Server

SQLSERVER_URL = os.environ.get("HANDOVER_SQLSERVER_URL", "")
SERVERS = ("postgresql", "odbc") + (("sqlserver",) if SQLSERVER_URL else ())


def kinds(*names: str) -> list[object]:
    """Return the parameters of a fixture. There is one named SQL Server, so its tests follow each other."""
    return [pytest.param(name, marks=pytest.mark.xdist_group("sqlserver")) if name == "sqlserver" else name for name in names]


@dataclass(frozen=True)
class Target:
    """An empty warehouse of one kind that can be opened, more than once too."""

    kind: str
    settings: WarehouseSettings

    def open(self, **changes: object) -> Warehouse:
        """Return the warehouse, opened with some settings changed."""
        return open_warehouse(self.settings.model_copy(update=changes))

    def overrides(self) -> dict[str, str]:
        """Return the settings that lead a run to it."""
        given = {name: getattr(self.settings, name) for name in self.settings.model_fields_set - {"password"}}
        secret = {"password": self.settings.password.get_secret_value()} if self.settings.password else {}
        return {f"warehouse.{name}": str(value) for name, value in (given | secret).items()}


def make_target(kind: str, folder: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Target:
    """Return an empty warehouse of a kind."""
    if kind == "duckdb":
        return Target(kind, WarehouseSettings.model_validate({"path": folder / "w.duckdb", "lock_timeout": 0}))
    if kind == "sqlserver":
        return Target(kind, emptied(named_server()))
    server: Server = request.getfixturevalue("server")
    if kind == "postgresql":
        return Target(kind, server.settings(server.new_database()))
    need_pyodbc()
    from tests.odbc_postgres import find_driver

    monkeypatch.setitem(etl.warehouse._SERVERS, "sqlserver", ("tests.odbc_postgres", "PostgreSQLOverOdbc", "sqlserver"))
    return Target(kind, server.settings(server.new_database(), kind="sqlserver", driver=find_driver()))


def need_pyodbc() -> None:
    """Skip with a word why where pyodbc can't be loaded; in CI the import fails."""
    try:
        importlib.import_module("pyodbc")
    except ImportError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"pyodbc can't be loaded: {error}. On Linux it needs unixODBC")


def named_server() -> WarehouseSettings:
    """Return the settings that lead to the server which the environment names."""
    parts = urlsplit("//" + SQLSERVER_URL.split("://")[-1])
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    values = {
        "kind": "sqlserver", "host": parts.hostname, "port": parts.port or 0, "database": parts.path.strip("/"), "sign_in": "password",
        "encryption": "none", "lock_timeout": 0,
    }  # fmt: skip
    return WarehouseSettings.model_validate(values | query)


def emptied(settings: WarehouseSettings) -> WarehouseSettings:
    """Drop our tables on a server, and return its settings."""
    with open_warehouse(settings.model_copy(update={"lock_timeout": 5})) as warehouse:
        for table in permanent("sqlserver"):
            warehouse.execute(f"DROP TABLE IF EXISTS {table}")
    return settings
