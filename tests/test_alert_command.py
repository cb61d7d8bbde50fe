"""The command `alert`: test, list and check, as an operator or a scheduler calls them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from etl import cli
from etl.record import write_record
from etl.signals import SIGNALS
from tests.mail_server import PASSWORD, RECEIVERS, USER, Authority, Mailbox, free_port, mail_server
from tests.records import make_record


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def box(authority: Authority, project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    """A mail server that the environment variables name, as in production."""
    assert project.exists()
    with mail_server(authority) as (box, port):
        variables = {"HOST": "127.0.0.1", "PORT": str(port), "CA_FILE": str(authority.file), "USER": USER, "PASSWORD": PASSWORD,
                     "SENDER": "handover@handover.example", "RECEIVERS": ", ".join(RECEIVERS)}  # fmt: skip
        for name, value in variables.items():
            monkeypatch.setenv(f"HANDOVER_MAIL__{name}", value)
        yield box


def successful(hours_ago: float) -> None:
    ended = datetime.now(UTC) - timedelta(hours=hours_ago)
    write_record(make_record(0, started_at=ended - timedelta(seconds=5), ended_at=ended), Path("runs"))


def test_test_sends_every_alert_marked_and_ends_well(box: Mailbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["alert", "test"]) == 0
    assert len(box.subjects()) == len(SIGNALS)
    assert all("[TEST]" in line for line in box.subjects())
    assert capsys.readouterr().out.count("sent") == len(SIGNALS)


def test_test_of_one_signal_sends_that_one(box: Mailbox) -> None:
    assert cli.main(["alert", "test", "--signal", "run-slow"]) == 0
    assert [line[: line.index(" (")] for line in box.subjects()] == ["[TEST] [P3] Handover default: run slow"]


def test_test_ends_with_10_and_the_class_when_mail_fails(box: Mailbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["alert", "test", "--set", "mail.password=wrong"]) == 10
    assert "(SMTPAuthenticationError, code 535)" in capsys.readouterr().out
    assert box.mails == []
    assert cli.main(["alert", "test", "--set", f"mail.port={free_port()}"]) == 10


def test_test_ends_with_10_when_a_receiver_is_refused(box: Mailbox, capsys: pytest.CaptureFixture[str]) -> None:
    box.refused = RECEIVERS[:1]
    assert cli.main(["alert", "test", "--signal", "run-slow"]) == 10
    assert "1 receivers refused" in capsys.readouterr().out


def test_test_without_a_mail_server_ends_with_2(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert project.exists()
    assert cli.main(["alert", "test"]) == 2
    assert "mail.host: not set" in capsys.readouterr().err


def test_list_shows_what_was_sent_without_an_address(box: Mailbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["alert", "list"]) == 0
    assert "Nothing was sent yet." in capsys.readouterr().out
    cli.main(["alert", "test", "--signal", "input-old"])
    capsys.readouterr()
    assert cli.main(["alert", "list"]) == 0
    shown = capsys.readouterr().out
    assert "sent" in shown
    assert "input-old" in shown
    assert "@" not in shown
    assert len(box.mails) == 1


def test_check_is_quiet_as_long_as_a_run_succeeded_in_time(box: Mailbox, capsys: pytest.CaptureFixture[str]) -> None:
    successful(hours_ago=47)
    assert cli.main(["alert", "check"]) == 0
    assert "No successful run is overdue." in capsys.readouterr().out
    assert box.mails == []


def test_check_ends_with_10_and_one_mail_when_a_success_is_overdue(box: Mailbox, capsys: pytest.CaptureFixture[str]) -> None:
    successful(hours_ago=49)
    assert cli.main(["alert", "check"]) == 10
    assert cli.main(["alert", "check"]) == 10, "the state is as it was; only the mail is not sent twice"
    assert box.subjects() == ["[P2] Handover default: no successful run"]
    assert "P2: No run has loaded its input" in capsys.readouterr().out


def test_check_where_nothing_ever_ran_alerts(box: Mailbox) -> None:
    assert cli.main(["alert", "check"]) == 10
    assert len(box.mails) == 1


def test_check_alerts_by_its_exit_code_where_no_mail_is_set_up(project: Path) -> None:
    assert project.exists()
    successful(hours_ago=49)
    assert cli.main(["alert", "check"]) == 10
