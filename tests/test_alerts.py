"""Alerts: told once, again when it gets worse, resolved once, remembered, and never the end of a run."""

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl import alerts
from etl.alerts import FILE_NAME, LOCK_NAME, last_success, read_journal, replay, send_alerts, send_samples, watch, with_alerts
from etl.config import LoadedSettings
from etl.errors import ConfigError
from etl.record import AlertRecord, RunRecord, read_record, write_record
from etl.signals import NO_SUCCESS, SIGNALS, UNDELIVERED
from tests.mail_server import RECEIVERS, Authority, Mailbox, free_port, mail_server, mail_settings
from tests.records import NOON, failed_record, make_record


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def server(authority: Authority) -> Iterator[tuple[Mailbox, int]]:
    with mail_server(authority) as serving:
        yield serving


@pytest.fixture
def loaded(server: tuple[Mailbox, int], authority: Authority, tmp_path: Path) -> LoadedSettings:
    return mail_settings(server[1], authority, runs__path=str(tmp_path / "runs"), alerts__rejects="0.1")


@pytest.fixture
def box(server: tuple[Mailbox, int]) -> Mailbox:
    return server[0]


def down(loaded: LoadedSettings) -> LoadedSettings:
    """The same settings, and nothing listens where the mail server was."""
    mail = loaded.values.mail.model_copy(update={"port": free_port()})
    return LoadedSettings(loaded.environment, loaded.values.model_copy(update={"mail": mail}), loaded.origins)


def after(loaded: LoadedSettings, record: RunRecord, hours: float = 0) -> tuple[AlertRecord, ...]:
    """Send what the run calls for, and write its record, as the pipeline does."""
    sent = send_alerts(loaded, record, record.ended_at + timedelta(hours=hours))
    write_record(with_alerts(record, sent), loaded.values.runs.path)
    return sent


def told(sent: tuple[AlertRecord, ...]) -> list[tuple[str, str, str]]:
    return [(one.kind, one.cause, one.outcome) for one in sent]


def aged(number: int, hours: float) -> RunRecord:
    record = make_record(number)
    assert record.input is not None
    source = record.input.model_copy(update={"made_at": record.started_at - timedelta(hours=hours)})
    return record.model_copy(update={"input": source})


def failed(number: int = 0, minutes: float = 0, error_class: str = "InputError") -> RunRecord:
    record = failed_record(number)
    assert record.fault is not None
    moved = {
        "started_at": record.started_at + timedelta(minutes=minutes),
        "ended_at": record.ended_at + timedelta(minutes=minutes),
    }
    run_id = f"{record.run_id[:16]}-{int(minutes):06x}"
    return record.model_copy(
        update={**moved, "run_id": run_id, "fault": record.fault.model_copy(update={"error_class": error_class})}
    )


FAILED = ("alert", "run-failed:InputError", "sent")


def test_a_good_run_tells_nobody_and_writes_nothing(loaded: LoadedSettings, box: Mailbox) -> None:
    assert after(loaded, make_record()) == ()
    assert box.mails == []
    assert list(read_journal(loaded.values.runs.path)) == []


def test_a_failed_run_is_told_to_every_receiver_and_remembered(loaded: LoadedSettings, box: Mailbox) -> None:
    record = failed()
    sent = after(loaded, record)
    assert told(sent) == [FAILED]
    assert box.subjects() == [f"[P2] Handover default: run failed ({record.run_id})"]
    assert box.receivers == [list(RECEIVERS)]
    assert list(read_journal(loaded.values.runs.path)) == list(sent)
    assert read_record(loaded.values.runs.path / record.run_id / "run.json").alerts == sent


def test_the_same_cause_is_told_once_within_the_quiet_time_and_again_after_it(loaded: LoadedSettings, box: Mailbox) -> None:
    quiet = loaded.values.alerts.quiet * 60
    assert told(after(loaded, failed(0))) == [FAILED]
    assert told(after(loaded, failed(0, quiet - 1))) == [("alert", "run-failed:InputError", "suppressed")]
    assert len(box.mails) == 1
    assert told(after(loaded, failed(0, quiet))) == [FAILED]
    assert len(box.mails) == 2


def test_another_cause_is_told_within_the_quiet_time(loaded: LoadedSettings, box: Mailbox) -> None:
    after(loaded, failed(0))
    assert told(after(loaded, failed(0, 5, "WarehouseError"))) == [("alert", "run-failed:WarehouseError", "sent")]
    assert len(box.mails) == 2


def test_a_worse_severity_breaks_the_quiet_and_a_milder_one_does_not(loaded: LoadedSettings, box: Mailbox) -> None:
    for hours, outcome, severity in (
        (50, "sent", "P3"),
        (100, "sent", "P2"),
        (110, "suppressed", "P2"),
        (60, "suppressed", "P3"),
    ):
        (one,) = send_alerts(loaded, aged(0, hours), NOON)
        assert (one.outcome, one.severity) == (outcome, severity)
    assert len(box.mails) == 2


def test_a_clock_that_was_set_back_keeps_nobody_in_the_dark(loaded: LoadedSettings, box: Mailbox) -> None:
    after(loaded, failed(5))
    assert told(after(loaded, failed(0))) == [FAILED]
    assert len(box.mails) == 2


def test_resolved_is_told_once_when_the_cause_is_gone(loaded: LoadedSettings, box: Mailbox) -> None:
    after(loaded, failed(0))
    good = make_record(1)
    assert told(after(loaded, good)) == [("resolved", "run-failed:InputError", "sent")]
    assert box.subjects()[1] == f"[resolved] Handover default: run failed ({good.run_id})"
    assert box.mails[0]["References"] == box.mails[1]["References"]
    assert after(loaded, make_record(2)) == ()


def test_every_open_cause_of_a_signal_is_resolved(loaded: LoadedSettings) -> None:
    after(loaded, failed(0))
    after(loaded, failed(0, 5, "WarehouseError"))
    assert {one.cause for one in after(loaded, make_record(1))} == {"run-failed:InputError", "run-failed:WarehouseError"}


def test_what_could_not_be_judged_is_not_resolved(loaded: LoadedSettings) -> None:
    assert told(after(loaded, aged(0, 50))) == [("alert", "input-old", "sent")]
    assert told(after(loaded, failed(0, 30))) == [FAILED], "a run that did not open its input says nothing about its age"
    assert ("resolved", "input-old", "sent") in told(after(loaded, make_record(1)))


def test_a_cause_that_comes_back_after_it_was_resolved_is_news(loaded: LoadedSettings, box: Mailbox) -> None:
    after(loaded, failed(0))
    after(
        loaded,
        make_record(
            0, started_at=NOON + timedelta(minutes=10), ended_at=NOON + timedelta(minutes=11), run_id="20261120T121000Z-00000a"
        ),
    )
    assert told(after(loaded, failed(0, 20))) == [FAILED]
    assert len(box.mails) == 3


def test_environments_do_not_silence_each_other(loaded: LoadedSettings, box: Mailbox) -> None:
    after(loaded, failed(0))
    other = LoadedSettings("production", loaded.values, loaded.origins)
    assert told(after(other, failed(0, 5).model_copy(update={"environment": "production"}))) == [FAILED]
    assert "production" in box.subjects()[1]


def test_without_a_mail_server_it_is_written_down_and_told_as_soon_as_there_is_one(loaded: LoadedSettings, box: Mailbox) -> None:
    mail = loaded.values.mail.model_copy(update={"host": ""})
    off = LoadedSettings(loaded.environment, loaded.values.model_copy(update={"mail": mail}), loaded.origins)
    record = failed(0)
    sent = after(off, record)
    assert told(sent) == [("alert", "run-failed:InputError", "off")]
    assert with_alerts(record, sent).warnings == record.warnings
    assert told(after(loaded, failed(0, 5))) == [FAILED]
    assert len(box.mails) == 1


# When mail fails


def test_a_mail_server_that_is_down_stands_in_the_record_and_is_tried_again_by_the_next_run(
    loaded: LoadedSettings, box: Mailbox
) -> None:
    sent = after(down(loaded), failed(0))
    assert [(one.outcome, one.error_class) for one in sent] == [("failed", "ConnectionRefusedError")]
    assert told(after(loaded, failed(0, 5))) == [FAILED, ("alert", UNDELIVERED, "sent")]
    assert len(box.mails) == 2
    assert told(after(loaded, failed(0, 10))) == [("alert", "run-failed:InputError", "suppressed")], "delivered is delivered"


def test_when_the_cause_was_gone_before_mail_worked_again_somebody_is_still_told(loaded: LoadedSettings, box: Mailbox) -> None:
    after(down(loaded), failed(0))
    assert told(after(loaded, make_record(1))) == [("alert", UNDELIVERED, "sent")]
    assert "Alerts that were not sent" in box.mails[0].get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert after(loaded, make_record(2)) == ()


def test_a_channel_that_stays_broken_warns_in_every_run(loaded: LoadedSettings) -> None:
    after(down(loaded), failed(0))
    for number in (1, 2):
        record = make_record(number)
        sent = after(down(loaded), record)
        assert told(sent) == [("alert", UNDELIVERED, "failed")]
        assert with_alerts(record, sent).outcome == "warnings"
    assert replay(read_journal(loaded.values.runs.path), "default").undelivered == {"run-failed:InputError"}


def test_a_resolved_mail_that_failed_is_tried_again(loaded: LoadedSettings) -> None:
    after(loaded, failed(0))
    assert told(after(down(loaded), make_record(1))) == [("resolved", "run-failed:InputError", "failed")]
    assert told(after(loaded, make_record(2))) == [("resolved", "run-failed:InputError", "sent")]


def test_an_alert_that_failed_makes_a_success_one_with_warnings(loaded: LoadedSettings) -> None:
    record = aged(0, 50)
    marked = with_alerts(record, send_alerts(down(loaded), record, NOON))
    assert (marked.outcome, marked.exit_code) == ("warnings", 10)
    assert marked.warnings == ("1 alert could not be sent (ConnectionRefusedError); see the runbook, alert-not-sent",)
    assert RunRecord.model_validate_json(marked.model_dump_json()) == marked


def test_an_alert_that_failed_leaves_a_failed_run_failed(loaded: LoadedSettings) -> None:
    record = failed(0)
    marked = with_alerts(record, send_alerts(down(loaded), record, NOON))
    assert (marked.outcome, marked.exit_code, marked.fault) == (record.outcome, record.exit_code, record.fault)
    assert "could not be sent" in marked.warnings[-1]


def test_a_refused_receiver_warns_and_the_mail_counts_as_sent(authority: Authority, tmp_path: Path) -> None:
    with mail_server(authority, box=Mailbox(refused=RECEIVERS[:1])) as (_, port):
        loaded = mail_settings(port, authority, runs__path=str(tmp_path))
        sent = send_alerts(loaded, failed(0), NOON)
    assert [(one.outcome, one.refused) for one in sent] == [("sent", 1)]
    assert with_alerts(failed(0), sent).warnings[-1].startswith("the mail server refused 1 of the receivers")


@pytest.mark.parametrize("name", [FILE_NAME, LOCK_NAME])
def test_a_journal_that_can_not_be_used_stops_no_mail(name: str, loaded: LoadedSettings, box: Mailbox) -> None:
    (loaded.values.runs.path / name).mkdir(parents=True)
    assert told(send_alerts(loaded, failed(0), NOON)) == [FAILED]
    assert len(box.mails) == 1


def test_a_runs_folder_that_can_not_be_made_stops_no_mail(loaded: LoadedSettings, box: Mailbox) -> None:
    loaded.values.runs.path.write_text("a file where the folder should be", encoding="utf-8")
    assert told(send_alerts(loaded, failed(0), NOON)) == [FAILED]
    assert len(box.mails) == 1


def test_a_process_that_hangs_while_sending_stops_no_other(
    loaded: LoadedSettings, box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "LONGEST_WAIT", 0)
    with alerts._locked(loaded.values.runs.path):
        assert told(send_alerts(loaded, failed(0), NOON)) == [FAILED]
    assert len(box.mails) == 1


def test_a_fault_in_alerting_itself_is_an_alert_that_failed(loaded: LoadedSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(alerts, "compose", broken)
    assert [(one.outcome, one.error_class) for one in send_alerts(loaded, failed(0), NOON)] == [("failed", "ZeroDivisionError")]


def test_a_run_and_a_watcher_at_the_same_moment_tell_once(loaded: LoadedSettings, box: Mailbox) -> None:
    write_record(failed(0), loaded.values.runs.path)
    now = NOON + timedelta(hours=60)
    threads = [threading.Thread(target=watch, args=(loaded, now)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(box.mails) == 1
    assert sorted(one.outcome for one in read_journal(loaded.values.runs.path)) == ["sent", *["suppressed"] * 3]


# The journal


def test_a_line_cut_short_by_a_crash_costs_that_line_only(loaded: LoadedSettings) -> None:
    after(loaded, failed(0))
    path = loaded.values.runs.path / FILE_NAME
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    assert told(after(loaded, failed(0, 5))) == [("alert", "run-failed:InputError", "suppressed")]
    assert [one.outcome for one in read_journal(loaded.values.runs.path)] == ["sent", "suppressed"]


def test_the_journal_is_only_added_to(loaded: LoadedSettings) -> None:
    before = b""
    for number in range(3):
        after(loaded, failed(0, number))
        now = (loaded.values.runs.path / FILE_NAME).read_bytes()
        assert now.startswith(before)
        assert len(now) > len(before)
        before = now


def test_neither_addresses_nor_the_password_stand_in_the_journal(loaded: LoadedSettings) -> None:
    after(loaded, failed(0))
    after(down(loaded), failed(0, 5, "OSError"))
    text = (loaded.values.runs.path / FILE_NAME).read_text(encoding="utf-8")
    assert not any(
        value in text for value in (*RECEIVERS, loaded.values.mail.sender, loaded.values.mail.password.get_secret_value())
    )


ENTRIES = st.builds(
    AlertRecord, at=st.datetimes(min_value=datetime(2026, 1, 1), max_value=datetime(2026, 12, 31)).map(lambda at: at.replace(tzinfo=NOON.tzinfo)),
    environment=st.just("default"), signal=st.just("run-slow"), cause=st.just("run-slow"), severity=st.sampled_from(["P1", "P2", "P3"]),
    kind=st.sampled_from(["alert", "resolved", "test"]), outcome=st.sampled_from(["sent", "suppressed", "failed", "off"]), run_id=st.none(),
)  # fmt: skip


@given(st.lists(ENTRIES, max_size=8))
def test_a_cause_is_open_exactly_when_the_last_word_that_was_sent_is_an_alert(entries: list[AlertRecord]) -> None:
    words = [one.kind for one in entries if one.outcome == "sent" and one.kind != "test"]
    assert ("run-slow" in replay(entries, "default").open) == (words[-1:] == ["alert"])
    assert replay(entries, "another").open == {}


# From outside


def test_a_watcher_tells_once_that_no_run_succeeded_and_once_that_one_did(loaded: LoadedSettings, box: Mailbox) -> None:
    write_record(make_record(0), loaded.values.runs.path)
    assert watch(loaded, NOON + timedelta(hours=48)) == ((), "fine")
    sent, found = watch(loaded, NOON + timedelta(hours=49))
    assert told(sent) == [("alert", NO_SUCCESS, "sent")]
    assert found not in ("fine", "not judged")
    assert [one.outcome for one in watch(loaded, NOON + timedelta(hours=50))[0]] == ["suppressed"]
    (worse,) = watch(loaded, NOON + timedelta(hours=73))[0]
    assert (worse.outcome, worse.severity, worse.run_id) == ("sent", "P1", None)
    assert told(after(loaded, make_record(4))) == [("resolved", NO_SUCCESS, "sent")]
    assert box.subjects() == [
        "[P2] Handover default: no successful run", "[P1] Handover default: no successful run",
        f"[resolved] Handover default: no successful run ({make_record(4).run_id})",
    ]  # fmt: skip


def test_a_run_that_fails_again_when_a_success_is_overdue_tells_that_too(loaded: LoadedSettings) -> None:
    after(loaded, make_record(0))
    assert told(after(loaded, failed(1))) == [FAILED]
    assert {one.cause for one in after(loaded, failed(4))} == {"run-failed:InputError", NO_SUCCESS}


def test_only_a_good_run_of_the_environment_counts_and_the_first_try_where_there_is_none(loaded: LoadedSettings) -> None:
    runs = loaded.values.runs.path
    assert last_success(loaded, None) is None
    first = failed(0)
    write_record(first, runs)
    write_record(failed(1), runs)
    assert last_success(loaded, None) == first.started_at
    write_record(make_record(2, environment="production"), runs)
    assert last_success(loaded, None) == first.started_at
    assert last_success(loaded, make_record(3)) == make_record(3).ended_at
    write_record(make_record(4), runs)
    write_record(failed(5), runs)
    assert last_success(loaded, failed(6)) == make_record(4).ended_at


def test_a_record_that_can_not_be_read_does_not_silence_the_watcher(loaded: LoadedSettings) -> None:
    runs = loaded.values.runs.path
    write_record(make_record(0), runs)
    (runs / "20261121T120000Z-00ffff").mkdir()
    (runs / "20261121T120000Z-00ffff/run.json").write_text("{", encoding="utf-8")
    assert told(watch(loaded, NOON + timedelta(hours=49))[0]) == [("alert", NO_SUCCESS, "sent")]


# Tests of the channel


def test_a_test_sends_one_marked_mail_of_each_signal_and_changes_nothing_that_is_open(
    loaded: LoadedSettings, box: Mailbox
) -> None:
    sent = send_samples(loaded, NOON)
    assert [one.signal for one in sent] == [one.id for one in SIGNALS]
    assert len(box.mails) == len(SIGNALS)
    assert all(line.startswith("[TEST] [P") for line in box.subjects())
    assert told(after(loaded, failed(0))) == [FAILED]


def test_a_test_without_a_mail_server_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mail\.host: not set"):
        send_samples(mail_settings(1, mail__host="", runs__path=str(tmp_path)), NOON)
