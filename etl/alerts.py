"""Alerts: decides after a run who has to be told what, sends it, and remembers it.

The journal `alerts.jsonl` in the runs folder is only ever added to; what is open follows from it. A cause that was told is
open until its signal is judged fine, which is told once as resolved. While it is open it is told again when the quiet time
has passed or when it got worse. A cause that comes back after it was resolved is news. A mail that failed told nobody:
its cause is tried again by the next run. Nothing here ever fails a run, and where the journal can't be read or written the mail
still goes: told twice is better than not told.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from filelock import FileLock
from pydantic import ValidationError

from etl.config import LoadedSettings
from etl.errors import ConfigError
from etl.failures import Severity
from etl.mail import Delivery, Notice, compose, sample, send
from etl.record import FILE_NAME as RECORD_NAME
from etl.record import AlertRecord, RunRecord, read_record
from etl.signals import NO_SUCCESS, SIGNALS, UNDELIVERED, Finding, Judgement, Signal, Situation

FILE_NAME = "alerts.jsonl"
LOCK_NAME = "alerts.lock"
_log = logging.getLogger("etl.alerts")  # outside a run it goes to standard error
LONGEST_WAIT = 120
"""Seconds that one process waits for another one that is sending alerts."""


@dataclass(frozen=True)
class Told:
    """A cause that somebody was told about: when it was told last, how bad it was then, and by which signal."""

    at: datetime
    severity: Severity
    signal: str


@dataclass
class State:
    """What follows from the journal for one environment: causes that are open, and causes that nobody could be told."""

    open: dict[str, Told] = field(default_factory=dict)
    undelivered: set[str] = field(default_factory=set)


def send_alerts(loaded: LoadedSettings, record: RunRecord, now: datetime) -> tuple[AlertRecord, ...]:
    """Judge every signal on a run that has just ended, however it ended, and send what has to be told.

    `record` need not be written yet. Returns what became of each alert, for `with_alerts`; raises nothing: a failing mail
    server or a full disk stands in the result with the class of its error.
    """
    return _guarded(loaded, record, SIGNALS, now)


def watch(loaded: LoadedSettings, now: datetime) -> tuple[tuple[AlertRecord, ...], Judgement]:
    """Judge from outside whether a success is overdue, and send what has to be told; raises nothing.

    Returns what became of each alert, and the judgement itself: it also stands while the quiet time suppresses the mail.
    """
    signals = [one for one in SIGNALS if one.id in (NO_SUCCESS, UNDELIVERED)]
    overdue = next(one for one in SIGNALS if one.id == NO_SUCCESS)
    judgement = overdue.judge(Situation(loaded.values, now, since=last_success(loaded, None)))
    return _guarded(loaded, None, signals, now), judgement


def send_samples(loaded: LoadedSettings, now: datetime, signals: Sequence[Signal] = SIGNALS) -> tuple[AlertRecord, ...]:
    """Send a made-up mail of each signal, marked as test; raises ConfigError when the settings name no mail server."""
    if not loaded.values.mail.host:
        raise ConfigError("mail.host: not set, so alerts are not sent. Set the mail server, the sender and the receivers.")
    notices = [sample(one, loaded.values, loaded.environment, now) for one in signals]
    with _locked(loaded.values.runs.path):
        return _deliver(notices, loaded)


def with_alerts(record: RunRecord, alerts: tuple[AlertRecord, ...]) -> RunRecord:
    """Return the record with its alerts; what could not be sent adds a warning, and a plain success becomes one with warnings."""
    return record.warned(tuple(_warnings(alerts)), alerts=alerts)


def read_journal(runs: Path) -> Iterator[AlertRecord]:
    """Yield all that was sent, suppressed or failed, oldest first. A line that was cut short by a crash is left out."""
    path = runs / FILE_NAME
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            yield AlertRecord.model_validate_json(line)
        except ValidationError:
            continue


def last_success(loaded: LoadedSettings, record: RunRecord | None) -> datetime | None:
    """Return when the last good run of the environment ended, or the first one was tried; None where there is no run.

    Looks at `record` first, then at the runs folder from the newest back. A record that can't be read is passed over: a
    watcher that stops at one would be silent for ever.
    """
    tried = None
    for one in (*([record] if record else []), *_newest_first(loaded.values.runs.path)):
        if one.environment == loaded.environment:
            if one.outcome in ("success", "warnings"):
                return one.ended_at
            tried = one.started_at
    return tried


def replay(journal: Iterable[AlertRecord], environment: str) -> State:
    """Return what is open and what is undelivered in an environment after all that stands in the journal."""
    state = State()
    for one in journal:
        if one.environment != environment or one.kind == "test":
            continue
        if one.outcome == "sent":
            _note_sent(state, one)
        elif one.outcome == "failed" and one.kind == "alert" and one.signal != UNDELIVERED:
            state.undelivered.add(one.cause)
    return state


def _remembered(loaded: LoadedSettings) -> State:
    try:
        return replay(read_journal(loaded.values.runs.path), loaded.environment)
    except OSError as error:
        _log.error("the journal of alerts can't be read: %s", type(error).__name__)
        return State()


def _note_sent(state: State, one: AlertRecord) -> None:
    if one.signal == UNDELIVERED:
        state.undelivered.clear()
    elif one.kind == "resolved":
        state.open.pop(one.cause, None)
    else:
        state.open[one.cause] = Told(one.at, one.severity, one.signal)


def _newest_first(runs: Path) -> Iterator[RunRecord]:
    for path in sorted(runs.glob(f"*/{RECORD_NAME}"), reverse=True):
        try:
            yield read_record(path)
        except (ValueError, OSError):
            continue


def _guarded(
    loaded: LoadedSettings, record: RunRecord | None, signals: Sequence[Signal], now: datetime
) -> tuple[AlertRecord, ...]:
    """Return what became of the alerts; whatever goes wrong on the way is told as an alert that failed."""
    try:
        with _locked(loaded.values.runs.path):
            return _tell(loaded, record, signals, now)
    except Exception as error:  # noqa: BLE001 - no fault of alerting may fail the run that it is about
        _log.error("alerting failed: %s", type(error).__name__)
        known = next(one for one in SIGNALS if one.id == UNDELIVERED)
        notice = Notice("alert", known.id, known.id, known.severity, loaded.environment, now, record.run_id if record else None)
        return (_recorded(notice, Delivery(type(error).__name__)),)


def _tell(loaded: LoadedSettings, record: RunRecord | None, signals: Sequence[Signal], now: datetime) -> tuple[AlertRecord, ...]:
    state = _remembered(loaded)
    situation = Situation(loaded.values, now, record, last_success(loaded, record), len(state.undelivered))
    judged = [(one, one.judge(situation)) for one in signals]
    blank = Notice("alert", "", "", "P4", loaded.environment, now, record.run_id if record else None)
    found = [_alert(blank, one, result) for one, result in judged if isinstance(result, Finding)]
    quiet = [one for one in found if _is_quiet(one, state, timedelta(hours=loaded.values.alerts.quiet))]
    fine = {one.id for one, result in judged if result == "fine"}
    over = [_resolution(blank, cause, told) for cause, told in state.open.items() if told.signal in fine]
    suppressed = tuple(_recorded(one, None, "suppressed") for one in quiet)
    _append(suppressed, loaded.values.runs.path)
    return _deliver([*(one for one in found if one not in quiet), *over], loaded) + suppressed


def _alert(blank: Notice, one: Signal, found: Finding) -> Notice:
    return replace(blank, signal=one.id, cause=found.cause, severity=found.severity, finding=found)


def _resolution(blank: Notice, cause: str, told: Told) -> Notice:
    return replace(blank, kind="resolved", signal=told.signal, cause=cause, severity=told.severity, told_at=told.at)


def _is_quiet(notice: Notice, state: State, quiet: timedelta) -> bool:
    """Tell whether the cause was told so lately, and no less badly. A clock that was set back keeps nobody in the dark."""
    told = state.open.get(notice.cause)
    return told is not None and notice.severity >= told.severity and timedelta() <= notice.at - told.at < quiet


def _deliver(notices: Sequence[Notice], loaded: LoadedSettings) -> tuple[AlertRecord, ...]:
    """Send the notices, and write to the journal what became of each."""
    if not notices:
        return ()
    if loaded.values.mail.host:
        deliveries = send([compose(one, loaded.values) for one in notices], loaded.values.mail)
        records = tuple(_recorded(one, delivery) for one, delivery in zip(notices, deliveries, strict=True))
    else:
        records = tuple(_recorded(one, None, "off") for one in notices)
    _append(records, loaded.values.runs.path)
    return records


def _recorded(notice: Notice, delivery: Delivery | None, outcome: str = "sent") -> AlertRecord:
    done = delivery or Delivery()
    return AlertRecord(
        at=notice.at, environment=notice.environment, signal=notice.signal, cause=notice.cause, severity=notice.severity,
        kind=notice.kind, outcome="failed" if done.error_class else outcome, error_class=done.error_class, code=done.code,  # type: ignore[arg-type]
        refused=done.refused, run_id=notice.run_id,
    )  # fmt: skip


def _append(records: Sequence[AlertRecord], runs: Path) -> None:
    """Add lines to the journal; each begins a line of its own even where a crash cut the one before short."""
    text = "".join(one.model_dump_json() + "\n" for one in records)
    try:
        with (runs / FILE_NAME).open("a+b") as file:
            file.seek(max(0, file.seek(0, 2) - 1))
            broken = file.read(1) not in (b"", b"\n")
            file.write(("\n" * broken + text).encode("utf-8"))
    except OSError as error:  # a full disk is the very thing that somebody has to be told
        _log.error("the journal of alerts can't be written: %s", type(error).__name__)


@contextmanager
def _locked(runs: Path) -> Iterator[None]:
    """Let one process at a time decide and send, so that a run and a watcher do not both tell the same."""
    lock = FileLock(runs / LOCK_NAME)
    try:
        runs.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=LONGEST_WAIT)
    except OSError as error:  # also when another process has been sending for too long
        _log.error("alerts are sent without a lock: %s", type(error).__name__)
    try:
        yield
    finally:
        lock.release()


def _warnings(alerts: Sequence[AlertRecord]) -> Iterator[str]:
    failed = [one for one in alerts if one.outcome == "failed"]
    if failed:
        classes = ", ".join(sorted({str(one.error_class) for one in failed}))
        yield f"{len(failed)} {'alert' if len(failed) == 1 else 'alerts'} could not be sent ({classes}); see the runbook, alert-not-sent"
    if refused := max((one.refused for one in alerts), default=0):
        yield f"the mail server refused {refused} of the receivers of alerts; see the runbook, alert-not-sent"
