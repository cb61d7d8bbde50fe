"""Mail: writes a notice as plain text and HTML, and hands it to the mail server of the settings.

A notice holds ids, counts and words of our own code, nothing else, so no customer can be in a mail. A server that is
down, slow or not who it says it is never raises here: each delivery says what became of it.
"""

import re
import smtplib
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import cache
from typing import TYPE_CHECKING, Literal

from markupsafe import Markup, escape

from etl.errors import ConfigError
from etl.failures import SEVERITY_WORDS, Severity, failure
from etl.settings import MailSettings, Settings
from etl.signals import Finding, Signal, signal

if TYPE_CHECKING:
    from jinja2 import Environment

URGENT: tuple[Severity, ...] = ("P1", "P2")
_TAGS = {"alert": "", "resolved": "[resolved] ", "test": "[TEST] "}
_LONGEST_ADDRESS_PART = 60
_LONGEST_HEADER = 250  # a subject of ours stays on one line: folded, it would begin with a blank


@dataclass(frozen=True)
class Notice:
    """What one mail is about. `run_id` is None when no run is; `at` is UTC; a resolved one has the finding that was told."""

    kind: Literal["alert", "resolved", "test"]
    signal: str
    cause: str
    severity: Severity
    environment: str
    at: datetime
    run_id: str | None
    finding: Finding | None = None
    told_at: datetime | None = None


@dataclass(frozen=True)
class Delivery:
    """What became of a mail. `error_class` and `code` (SMTP) are those of the failure, None when it was sent.

    `refused` counts the receivers that were turned away while others got it. The server's words are left out: they can
    quote an address.
    """

    error_class: str | None = None
    code: int | None = None
    refused: int = 0


@dataclass(frozen=True)
class MailFault:
    """What an error class means when a mail can't be sent, and what to do."""

    symptom: str
    cause: str
    remedy: str


FAULTS: dict[str, MailFault] = {
    "ConnectionRefusedError": MailFault(
        "Nothing listens at that host and port", "The server is down, or `mail.port` is another one's",
        "Ask whether it is up; 587 goes with starttls, 465 with tls",
    ),
    "gaierror": MailFault(
        "The name of the server is not known", "`mail.host` is misspelt, or this machine can't resolve names",
        "Correct `mail.host`; try the name from this machine",
    ),
    "TimeoutError": MailFault(
        "The server does not answer in time", "It hangs or is overloaded, a firewall drops the packets, or `tls` is set where the "
        "server waits for `starttls`",
        "Try another way to reach the port; check `mail.security`; raise `mail.timeout` only when the server is known to be slow",
    ),
    "SSLCertVerificationError": MailFault(
        "The server can't prove who it is", "Its certificate is for another name, has run out, or comes from an authority that this "
        "machine does not know",
        "Use the name on the certificate as `mail.host`; name your own authority in `mail.ca_file`. There is no switch to skip the check",
    ),
    "SSLError": MailFault(
        "No protected connection comes about", "`mail.security` is tls and the port speaks starttls, or the other way round",
        "Set `mail.security` to what the port speaks: starttls with 587, tls with 465",
    ),
    "SMTPNotSupportedError": MailFault(
        "The server does not offer what is needed", "It speaks no STARTTLS (or somebody between takes it out), or knows no sign-in",
        "Use the port for submission, 587; nothing is sent in the clear instead. Leave `mail.user` empty when it wants no sign-in",
    ),
    "SMTPAuthenticationError": MailFault(
        "The sign-in is refused (code 535)", "User or password is wrong or has expired, or the account needs a password for applications",
        "Set `HANDOVER_MAIL__PASSWORD` anew; then send a test",
    ),
    "SMTPSenderRefused": MailFault(
        "The sender is refused (code 550 or 530)", "The account may not send as `mail.sender`, or the server wants a sign-in",
        "Use an address that belongs to `mail.user`; set user and password",
    ),
    "SMTPRecipientsRefused": MailFault(
        "Every receiver is refused (code 550, or 450 for now)", "The addresses do not exist, or the server does not relay to them",
        "Correct `mail.receivers`. When only some are refused the mail is sent to the others, and the record counts the refused ones",
    ),
    "SMTPDataError": MailFault(
        "The mail itself is refused (code 554 or 552)", "A filter takes it for junk, or a limit is reached",
        "Ask whoever runs the server which rule it broke; have the sender allowed",
    ),
    "SMTPServerDisconnected": MailFault(
        "The connection breaks off in the middle", "The server restarts, or something between cuts the connection",
        "The next run tries again by itself; if it comes again, see the log of the mail server",
    ),
    "SMTPConnectError": MailFault(
        "The server turns the connection away (code 421)", "It is overloaded or allows this machine no more connections",
        "Wait: the next run tries again by itself. If it stays, ask whoever runs the server",
    ),
    "FileNotFoundError": MailFault(
        "The certificate authority's file is not there", "`mail.ca_file` names a file that does not exist on this machine",
        "Correct `mail.ca_file`, or leave it empty to trust the authorities of the system",
    ),
    "OSError": MailFault(
        "The network fails in another way", "No route to the server, the network is down, or the connection was reset",
        "Check the network of this machine; the next run tries again by itself",
    ),
    "SMTPException": MailFault(
        "The sign-in finds no common way", "The server offers only ways to sign in that are not supported here (such as OAuth)",
        "Use an account or a relay that takes user and password, or one that knows this machine and wants no sign-in",
    ),
    "ValueError": MailFault(
        "The server's name can't be a name", "`mail.host` holds a part that is too long, or a sign that no name may have",
        "Correct `mail.host`",
    ),
    "ConfigError": MailFault(
        "The settings of mail are not complete", "`mail.host` is set, and `mail.sender` or `mail.receivers` is not",
        "Set both, then send a test",
    ),
}  # fmt: skip
"""Every class of error that a delivery can end with, by the name that the record keeps."""


def compose(notice: Notice, settings: Settings) -> EmailMessage:
    """Return the mail of a notice: plain text, and the same as HTML."""
    mail = settings.mail
    domain = mail.sender.rpartition("@")[2] or "handover.invalid"
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = mail.sender, ", ".join(mail.receivers), subject(notice)
    message["Date"] = format_datetime(notice.at)
    thread = _address_part(f"{notice.environment}.{notice.cause}")
    message["Message-ID"] = f"<{thread}.{notice.kind}.{notice.at:%Y%m%dT%H%M%S%f}@{domain}>"
    message["References"] = f"<{thread}@{domain}>"  # mails of one cause stand together in a reader's list
    message["Auto-Submitted"] = "auto-generated"  # no out-of-office answers
    if notice.severity in URGENT and notice.kind == "alert":
        message["Importance"] = "high"
    message.set_content(render(notice, settings, "txt"), cte="quoted-printable")
    message.add_alternative(render(notice, settings, "html"), subtype="html", cte="quoted-printable")
    message.policy = SMTP.clone(max_line_length=_LONGEST_HEADER)
    return message


def subject(notice: Notice) -> str:
    """Return `[P2] Handover production: run failed (20261123T125318Z-abc123)`, always one line."""
    about = f" ({notice.run_id})" if notice.run_id else ""
    level = "" if notice.kind == "resolved" else f"[{notice.severity}] "
    text = f"{_TAGS[notice.kind]}{level}Handover {notice.environment}: {signal(notice.signal).title}{about}"
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def render(notice: Notice, settings: Settings, form: Literal["txt", "html"]) -> str:
    """Return the body of a notice's mail as plain text or as HTML."""
    told = notice.finding
    helps = failure(told.runbook if told else signal(notice.signal).runbook)
    return _templates().get_template(f"notice.{form}.j2").render(
        notice=notice, subject=subject(notice), signal=signal(notice.signal), finding=told, failure=helps,
        act=SEVERITY_WORDS[notice.severity][1], link=runbook_link(settings, helps.id), quiet=settings.alerts.quiet,
    )  # fmt: skip


def sample(one: Signal, settings: Settings, environment: str, at: datetime, kind: Literal["alert", "test"] = "test") -> Notice:
    """Return a made-up notice of a signal, for a test mail and for the page; its run never was."""
    found = one.sample(settings)
    return Notice(kind, one.id, found.cause, found.severity, environment, at, f"{at:%Y%m%dT%H%M%SZ}-000000", found)


def runbook_link(settings: Settings, section: str) -> str:
    """Return the address of a section of the published runbook, or nothing when the settings name no runbook."""
    return f"{settings.alerts.runbook_url.partition('#')[0]}#{section}" if settings.alerts.runbook_url else ""


def send(messages: Sequence[EmailMessage], mail: MailSettings) -> list[Delivery]:
    """Send mails over one connection and return what became of each, in their order; raises nothing.

    What follows a broken connection is not tried again: it fails with the error that broke it.
    """
    done: list[Delivery] = []
    try:
        _require_addresses(mail)
        with _connected(mail) as server:
            _sign_in(server, mail)
            for message in messages:
                done.append(_send_one(server, message))
    except (smtplib.SMTPException, OSError, ValueError, ConfigError) as error:  # ValueError: a host that can't be a name
        done += [_failed(error)] * (len(messages) - len(done))
    return done


def greet(mail: MailSettings) -> Delivery:
    """Connect and sign in as for sending, and send nothing; raises nothing."""
    try:
        with _connected(mail) as server:
            _sign_in(server, mail)
            server.noop()
    except (smtplib.SMTPException, OSError, ValueError) as error:
        return _failed(error)
    return Delivery()


def _require_addresses(mail: MailSettings) -> None:
    missing = [name for name in ("sender", "receivers") if not getattr(mail, name)]
    if missing:
        raise ConfigError(f"mail.{' and mail.'.join(missing)}: not set, so no mail can be sent. Set what is missing.")


@contextmanager
def _connected(mail: MailSettings) -> Iterator[smtplib.SMTP]:
    """Connect and say goodbye at the end, without letting a bad goodbye hide what went wrong before it."""
    server = _connect(mail)
    try:
        yield server
    finally:
        with suppress(smtplib.SMTPException, OSError):
            server.quit()
        server.close()


def _connect(mail: MailSettings) -> smtplib.SMTP:
    """Return a protected connection. The machine says hello by the sender's domain, not by a name of its own."""
    name = mail.sender.rpartition("@")[2]
    if mail.security == "none":
        return smtplib.SMTP(mail.host, mail.port, local_hostname=name, timeout=mail.timeout)
    trust = ssl.create_default_context(cafile=mail.ca_file)  # checks the certificate and the name on it
    if mail.security == "tls":
        return smtplib.SMTP_SSL(mail.host, mail.port, local_hostname=name, timeout=mail.timeout, context=trust)
    server = smtplib.SMTP(mail.host, mail.port, local_hostname=name, timeout=mail.timeout)
    try:
        server.starttls(context=trust)  # raises when the server does not offer it: nothing goes on in the clear
    except BaseException:
        server.close()
        raise
    return server


def _sign_in(server: smtplib.SMTP, mail: MailSettings) -> None:
    if mail.user:
        server.login(mail.user, mail.password.get_secret_value())


def _send_one(server: smtplib.SMTP, message: EmailMessage) -> Delivery:
    try:
        return Delivery(refused=len(server.send_message(message)))
    except smtplib.SMTPServerDisconnected:
        raise
    except smtplib.SMTPException as error:  # this mail was refused; the connection is there for the next one
        return _failed(error)


def _failed(error: Exception) -> Delivery:
    if isinstance(error.__context__, TimeoutError):  # smtplib tells a time-out as a broken connection
        error = error.__context__
    code = getattr(error, "smtp_code", None)
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code = max(answer[0] for answer in error.recipients.values())
    kinds = [kind.__name__ for kind in type(error).__mro__]
    return Delivery(next((kind for kind in kinds if kind in FAULTS), kinds[0]), code)


@cache
def _templates() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined  # loaded when there is something to tell

    environment = Environment(
        loader=PackageLoader("etl", "mail_templates"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        autoescape=lambda name: bool(name) and ".html" in str(name),
    )  # fmt: skip
    environment.filters["coded"] = _coded
    return environment


def _coded(text: str) -> Markup:
    """Return text for HTML with what stands between backticks as code."""
    parts = text.split("`")
    return Markup("").join(Markup("<code>{}</code>").format(part) if odd % 2 else escape(part) for odd, part in enumerate(parts))


def _address_part(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:_LONGEST_ADDRESS_PART]
