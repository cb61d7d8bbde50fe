"""Mail servers on 127.0.0.1 for tests: one that works, with TLS and sign-in, and ones that misbehave as real ones do."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, BinaryIO

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from etl import config
from tests.conftest import ROOT

HOST = "127.0.0.1"
USER, PASSWORD = "handover", "a pass phrase for tests"
RECEIVERS = ("ops@handover.example", "steward@handover.example")


@dataclass
class Mailbox:
    """What the server was handed, and how it answers."""

    mails: list[EmailMessage] = field(default_factory=list)
    receivers: list[list[str]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    refused: tuple[str, ...] = ()
    data_answers: list[str] = field(default_factory=list)
    held: threading.Event | None = None

    async def handle_RCPT(self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]) -> str:
        if address in self.refused:
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _: Session, envelope: Envelope) -> str:
        if self.held:
            await asyncio.get_running_loop().run_in_executor(None, self.held.wait)
        if self.data_answers and (answer := self.data_answers.pop(0)):
            return answer
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.receivers.append(list(envelope.rcpt_tos))
        self.encrypted.append(server.transport.get_extra_info("ssl_object") is not None)  # type: ignore[union-attr]
        return "250 OK"

    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mails]


class _Controller(Controller):
    """A server on a free port."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        super()._trigger_server()


class Authority:
    """A certificate authority with a certificate for a server of this name."""

    def __init__(self, folder: Path, name: str = HOST) -> None:
        authority = trustme.CA()
        self.file = folder / f"{name}-ca.pem"
        authority.cert_pem.write_to_path(str(self.file))
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(self.server)


def authenticate(_: SMTP, __: Session, ___: Envelope, ____: str, data: Any) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=good, handled=False)


@contextmanager
def mail_server(
    authority: Authority | None, security: str = "starttls", box: Mailbox | None = None, sign_in: bool = True
) -> Iterator[tuple[Mailbox, int]]:
    """Serve with STARTTLS required, with TLS from the start, or in the clear; yields the mailbox and the port."""
    box = box or Mailbox()
    options: dict[str, Any] = {"hostname": HOST, "port": 0, "authenticator": authenticate, "auth_required": sign_in}
    if authority and security == "starttls":
        options |= {"tls_context": authority.server, "require_starttls": True}
    elif authority and security == "tls":
        options |= {"ssl_context": authority.server, "auth_require_tls": False}  # it is all within TLS
    else:
        options |= {"auth_require_tls": False}
    controller = _Controller(box, **options)
    controller.start()
    try:
        yield box, controller.port
    finally:
        controller.stop()


@contextmanager
def scripted_server(talk: Callable[[BinaryIO, BinaryIO], None]) -> Iterator[int]:
    """Serve one connection after the other by `talk(lines in, lines out)`; yields the port. What it raises ends the connection."""
    with socket.create_server((HOST, 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, talk), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def _serve(listener: socket.socket, talk: Callable[[BinaryIO, BinaryIO], None]) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, connection.makefile("rb") as said, connection.makefile("wb", buffering=0) as answer:
            try:
                talk(said, answer)  # type: ignore[arg-type]
            except OSError:
                continue


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


def mail_settings(port: int, authority: Authority | None = None, **changes: str) -> config.LoadedSettings:
    """Return settings that send to a server of this module; names of changes are written `mail__user`."""
    values = {
        "mail.host": HOST, "mail.port": str(port), "mail.user": USER, "mail.password": PASSWORD,
        "mail.sender": "handover@handover.example", "mail.receivers": ",".join(RECEIVERS), "mail.timeout": "5",
    }  # fmt: skip
    if authority:
        values["mail.ca_file"] = str(authority.file)
    return config.load(
        overrides=values | {name.replace("__", "."): value for name, value in changes.items()}, folder=ROOT / "config"
    )
