"""Mail: against real servers on 127.0.0.1, good ones and ones that misbehave."""

import socket
import threading
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from etl.config import LoadedSettings
from etl.mail import FAULTS, Delivery, compose, sample, send
from etl.signals import signal
from tests.mail_server import (
    RECEIVERS,
    Authority,
    Mailbox,
    free_port,
    mail_server,
    mail_settings,
    scripted_server,
)  # fmt: skip

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")

AT = datetime(2026, 11, 23, 12, 53, 18, tzinfo=UTC)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def one_mail(loaded: LoadedSettings, signal_id: str = "run-failed") -> EmailMessage:
    return compose(sample(signal(signal_id), loaded.values, "production", AT, "alert"), loaded.values)


def try_to_send(loaded: LoadedSettings, number: int = 1) -> list[Delivery]:
    return send([one_mail(loaded)] * number, loaded.values.mail)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_mail_arrives_encrypted_and_signed_in_at_every_receiver(security: str, authority: Authority) -> None:
    with mail_server(authority, security) as (box, port):
        assert try_to_send(mail_settings(port, authority, mail__security=security)) == [Delivery()]
    assert box.receivers == [list(RECEIVERS)]
    assert box.encrypted == [True]
    (arrived,) = box.mails
    assert arrived["Subject"] == "[P2] Handover production: run failed (20261123T125318Z-000000)"
    assert [part.get_content_type() for part in arrived.walk()] == ["multipart/alternative", "text/plain", "text/html"]


def test_a_server_without_sign_in_is_used_when_no_user_is_set(authority: Authority) -> None:
    with mail_server(authority, sign_in=False) as (box, port):
        assert try_to_send(mail_settings(port, authority, mail__user="")) == [Delivery()]
    assert len(box.mails) == 1


def test_a_relay_on_the_same_machine_can_be_used_without_encryption_when_the_settings_say_so() -> None:
    with mail_server(None, sign_in=False) as (box, port):
        assert try_to_send(mail_settings(port, mail__user="", mail__security="none")) == [Delivery()]
    assert box.encrypted == [False]


def test_many_mails_go_over_one_connection_and_one_that_is_refused_stops_no_other(authority: Authority) -> None:
    box = Mailbox(data_answers=["", "554 5.7.1 looks like junk", ""])
    with mail_server(authority, box=box) as (_, port):
        assert try_to_send(mail_settings(port, authority), 3) == [Delivery(), Delivery("SMTPDataError", 554), Delivery()]
    assert len(box.mails) == 2


def test_a_refused_receiver_is_counted_and_the_others_get_the_mail(authority: Authority) -> None:
    with mail_server(authority, box=Mailbox(refused=RECEIVERS[:1])) as (box, port):
        assert try_to_send(mail_settings(port, authority)) == [Delivery(refused=1)]
    assert box.receivers == [list(RECEIVERS[1:])]


# What can go wrong: each function provokes one error class and returns the delivery.


def refused_connection(_: Authority) -> Delivery:
    return try_to_send(mail_settings(free_port()))[0]


def wrong_password(authority: Authority) -> Delivery:
    with mail_server(authority) as (box, port):
        (done,) = try_to_send(mail_settings(port, authority, mail__password="an old one"))
    assert box.mails == []
    return done


def sign_in_missing(authority: Authority) -> Delivery:
    with mail_server(authority) as (_, port):
        return try_to_send(mail_settings(port, authority, mail__user=""))[0]


def every_receiver_refused(authority: Authority) -> Delivery:
    with mail_server(authority, box=Mailbox(refused=RECEIVERS)) as (box, port):
        (done,) = try_to_send(mail_settings(port, authority))
    assert box.mails == []
    return done


def mail_refused(authority: Authority) -> Delivery:
    with mail_server(authority, box=Mailbox(data_answers=["554 5.7.1 looks like junk"])) as (_, port):
        return try_to_send(mail_settings(port, authority))[0]


def no_starttls(_: Authority) -> Delivery:
    with mail_server(None, "none") as (box, port):
        (done,) = try_to_send(mail_settings(port))
    assert box.mails == [], "nothing may be sent in the clear"
    return done


def unknown_authority(authority: Authority) -> Delivery:
    with mail_server(authority) as (box, port):
        (done,) = try_to_send(mail_settings(port))  # the system does not know the authority of the test
    assert box.mails == []
    return done


def no_tls(_: Authority) -> Delivery:
    with mail_server(None, "none") as (_, port):
        return try_to_send(mail_settings(port, mail__security="tls"))[0]


def silent_server(_: Authority) -> Delivery:
    released = threading.Event()
    with scripted_server(lambda _said, _answer: wait(released)) as port:
        (done,) = try_to_send(mail_settings(port, mail__timeout="0.1"))
        released.set()
    return done


def cut_in_data(_: Authority) -> Delivery:
    with scripted_server(talk_until_data) as port:
        return try_to_send(mail_settings(port, mail__security="none", mail__user=""))[0]


def turned_away(_: Authority) -> Delivery:
    with scripted_server(lambda _, answer: say(answer, "421 4.3.2 too many connections")) as port:
        return try_to_send(mail_settings(port))[0]


def foreign_sign_in(_: Authority) -> Delivery:
    with scripted_server(offer_only_oauth) as port:
        loaded = mail_settings(port)
        clear = loaded.values.mail.model_copy(update={"security": "none"})  # the settings refuse this; only the answer matters
        return send([one_mail(loaded)], clear)[0]


def unknown_name(_: Authority) -> Delivery:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", raise_unknown_name)  # no resolver is asked
        return try_to_send(mail_settings(25, mail__host="mail.handover.invalid"))[0]


def impossible_name(_: Authority) -> Delivery:
    return try_to_send(mail_settings(25, mail__host="m" * 64 + ".example"))[0]


def no_ca_file(_: Authority) -> Delivery:
    return try_to_send(mail_settings(free_port(), mail__ca_file="nowhere/ca.pem"))[0]


def reset(_: Authority) -> Delivery:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "create_connection", raise_no_route)
        return try_to_send(mail_settings(25))[0]


def incomplete(_: Authority) -> Delivery:
    return try_to_send(mail_settings(free_port(), mail__receivers=""))[0]


CASES = [
    (refused_connection, "ConnectionRefusedError", None),
    (unknown_name, "gaierror", None),
    (silent_server, "TimeoutError", None),
    (unknown_authority, "SSLCertVerificationError", None),
    (no_tls, "SSLError", None),
    (no_starttls, "SMTPNotSupportedError", None),
    (wrong_password, "SMTPAuthenticationError", 535),
    (sign_in_missing, "SMTPSenderRefused", 530),
    (every_receiver_refused, "SMTPRecipientsRefused", 550),
    (mail_refused, "SMTPDataError", 554),
    (cut_in_data, "SMTPServerDisconnected", None),
    (turned_away, "SMTPConnectError", 421),
    (foreign_sign_in, "SMTPException", None),
    (impossible_name, "ValueError", None),
    (no_ca_file, "FileNotFoundError", None),
    (reset, "OSError", None),
    (incomplete, "ConfigError", None),
]


@pytest.mark.parametrize(("provoke", "error_class", "code"), CASES, ids=[case[0].__name__ for case in CASES])
def test_what_goes_wrong_is_told_by_its_class_and_raises_nothing(
    provoke: Any, error_class: str, code: int | None, authority: Authority
) -> None:
    assert provoke(authority) == Delivery(error_class, code)


def test_every_entry_of_the_troubleshooting_table_is_provoked() -> None:
    assert {case[1] for case in CASES} == set(FAULTS)


def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    other = Authority(tmp_path, "mail.other.example")
    with mail_server(other) as (box, port):
        assert try_to_send(mail_settings(port, other)) == [Delivery("SSLCertVerificationError")]
    assert box.mails == []


def test_a_server_that_hangs_in_data_is_given_up_after_the_timeout(authority: Authority) -> None:
    held = threading.Event()
    with mail_server(authority, box=Mailbox(held=held)) as (_, port):
        assert try_to_send(mail_settings(port, authority, mail__timeout="0.3"), 2) == [Delivery("TimeoutError")] * 2
        held.set()


def test_after_a_broken_connection_the_rest_fails_too_and_what_was_sent_stays_sent() -> None:
    with scripted_server(talk_for_one_mail) as port:
        done = try_to_send(mail_settings(port, mail__security="none", mail__user=""), 3)
    assert done == [Delivery(), Delivery("SMTPServerDisconnected"), Delivery("SMTPServerDisconnected")]


def test_a_bad_goodbye_hides_neither_success_nor_failure(authority: Authority) -> None:
    with scripted_server(talk_for_one_mail) as port:  # it drops the connection instead of saying goodbye
        assert try_to_send(mail_settings(port, mail__security="none", mail__user="")) == [Delivery()]
    with scripted_server(offer_only_oauth) as port:  # it answers QUIT with 250
        clear = mail_settings(port, authority).values.mail.model_copy(update={"security": "none"})
        assert send([one_mail(mail_settings(port))], clear) == [Delivery("SMTPException")]


def test_no_password_crosses_a_connection_that_is_not_protected() -> None:
    heard: list[bytes] = []
    with scripted_server(lambda said, answer: listen_in_the_clear(said, answer, heard)) as port:
        assert try_to_send(mail_settings(port)) == [Delivery("SMTPNotSupportedError")]
    assert heard
    assert not any(line.upper().startswith((b"AUTH", b"MAIL", b"RCPT")) for line in heard)


def test_the_machine_does_not_tell_its_own_name(authority: Authority) -> None:
    heard: list[bytes] = []
    with scripted_server(lambda said, answer: listen_in_the_clear(said, answer, heard)) as port:
        try_to_send(mail_settings(port))
    assert heard[0] == b"ehlo handover.example\r\n"
    with mail_server(authority) as (box, port):
        try_to_send(mail_settings(port, authority))
    assert str(box.mails[0]["Message-ID"]).endswith("@handover.example>")
    assert socket.gethostname() not in box.mails[0].as_string()


# What the misbehaving servers say


def say(answer: BinaryIO, text: str) -> None:
    answer.write(text.encode() + b"\r\n")


def wait(released: threading.Event) -> None:
    released.wait()


def talk_until_data(said: BinaryIO, answer: BinaryIO) -> None:
    say(answer, "220 mail.handover.example")
    for line in said:
        if line.upper().startswith(b"DATA"):
            return
        say(answer, "250 OK")


def talk_for_one_mail(said: BinaryIO, answer: BinaryIO) -> None:
    say(answer, "220 mail.handover.example")
    for line in said:
        if line.upper().startswith(b"DATA"):
            say(answer, "354 go on")
            for text in said:
                if text == b".\r\n":
                    break
            say(answer, "250 OK")
            return
        say(answer, "250 OK")


def listen_in_the_clear(said: BinaryIO, answer: BinaryIO, heard: list[bytes]) -> None:
    say(answer, "220 mail.handover.example")
    for line in said:
        heard.append(line)
        say(answer, "250 OK" if not line.upper().startswith(b"EHLO") else "250-mail.handover.example\r\n250 AUTH PLAIN LOGIN")


def offer_only_oauth(said: BinaryIO, answer: BinaryIO) -> None:
    say(answer, "220 mail.handover.example")
    for _ in said:
        say(answer, "250-mail.handover.example\r\n250 AUTH XOAUTH2")


def raise_unknown_name(*_: Any, **__: Any) -> Any:
    raise socket.gaierror(-2, "Name or service not known")


def raise_no_route(*_: Any, **__: Any) -> Any:
    raise OSError(113, "No route to host")
