"""The signals: what is watched, from which figure on somebody is told, and why from there.

A signal is judged on a `Situation`, by a pure function. It answers with a `Finding`, with `fine`, or with `not judged` when
the run did not come far enough to tell; only `fine` ends an alert. Findings hold figures and words of this code, never a
value of a row and never the text of an error: that can quote what stood in the file.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from etl.errors import ERROR_CLASSES, PipelineError
from etl.failures import FAILURES, Failure, Severity, failure
from etl.record import InputRecord, RunRecord
from etl.settings import Settings

HOUR = 3600
WORSE_AFTER = 2
"""From how many times its limit on a late input is worse than P3."""
TWO_INTERVALS, THREE_INTERVALS = 2, 3
"""Scheduled runs without a success after which somebody is told, and after which it is a P1."""
UNDELIVERED = "alert-undelivered"
NO_SUCCESS = "no-success"


@dataclass(frozen=True)
class Finding:
    """What a signal found. Two findings with the same `cause` are the same news; `figures` are labels with values."""

    cause: str
    severity: Severity
    happened: str
    figures: tuple[tuple[str, str], ...]
    runbook: str


@dataclass(frozen=True)
class Situation:
    """What signals are judged on; `now` and `since` are UTC.

    `run` is the run that has just ended, None when a watcher looks from outside. `since` is when the last good run ended,
    or when the first run was tried; None where nothing ever ran. `undelivered` counts alerts that could not be sent so far.
    """

    settings: Settings
    now: datetime
    run: RunRecord | None = None
    since: datetime | None = None
    undelivered: int = 0


Judgement = Finding | Literal["fine", "not judged"]


@dataclass(frozen=True)
class Signal:
    """Something that is watched. `setting` is its threshold, `reason` why that one, `runbook` the failure it leads to.

    `resolved` says what ended it. `sample` makes a finding up, for a test mail and for the page.
    """

    id: str
    title: str
    setting: str
    reason: str
    runbook: str
    resolved: str
    judge: Callable[[Situation], Judgement]
    sample: Callable[[Settings], Finding]

    @property
    def severity(self) -> Severity:
        """The severity it starts with: that of the failure it leads to."""
        return failure(self.runbook).severity


def _share(value: float) -> str:
    return f"{value:.2%}"


def _hours(value: float) -> str:
    return f"{value:,.1f} hours"


def _good(run: RunRecord) -> bool:
    return run.outcome in ("success", "warnings")


def _known_failure(failure_id: str) -> Failure:
    """Return the failure, or the one for unknown errors: a record can be older than the catalogue."""
    return next((one for one in FAILURES if one.id == failure_id), failure(PipelineError.runbook))


def _judge_failed(situation: Situation) -> Judgement:
    run = situation.run
    if run is None or not situation.settings.alerts.failed or run.outcome == "interrupted":
        return "not judged"  # whoever stopped a run by hand knows it; if no other follows, `no-success` tells
    if run.fault is None:
        return "fine"
    return _failed(run.fault.error_class, run.fault.runbook, run.exit_code, run.rows.read, run.rows.loaded)


def _failed(error_class: str, runbook: str, exit_code: int, read: int, loaded: int) -> Finding:
    known = _known_failure(runbook)
    words = next((one.meaning for one in ERROR_CLASSES if one.__name__ == error_class), PipelineError.meaning)
    return Finding(
        f"run-failed:{error_class}", known.severity,
        f"The run ended with exit code {exit_code}: {words[0].lower()}{words[1:]}. {known.meaning}.",
        (("Error class", error_class), ("Exit code", str(exit_code)), ("Rows read", f"{read:,}"), ("Rows loaded", f"{loaded:,}")),
        known.id,
    )  # fmt: skip


def _judge_rejects(situation: Situation) -> Judgement:
    run, limit = situation.run, situation.settings.alerts.rejects
    if run is None or not _good(run) or not run.rows.read:
        return "not judged"  # a run that failed has said why; the share of a part says little
    return _rejects(run.rows.quarantined, run.rows.read, limit) if run.rows.quarantined / run.rows.read > limit else "fine"


def _rejects(rejected: int, read: int, limit: float) -> Finding:
    return Finding(
        "rejects-high", failure("finished-with-warnings").severity,
        f"{rejected:,} of {read:,} rows broke a rule and went to quarantine; the good rows are loaded.",
        (("Rejected", _share(rejected / read)), ("Limit", _share(limit)), ("Rows rejected", f"{rejected:,}"), ("Rows read", f"{read:,}")),
        "finished-with-warnings",
    )  # fmt: skip


def _judge_quality(situation: Situation) -> Judgement:
    run, limit = situation.run, situation.settings.alerts.quality
    if run is None or not _good(run) or run.quality is None or run.quality.overall is None:
        return "not judged"
    if run.quality.overall >= limit:
        return "fine"
    lowest = min((one for one in run.quality.dimensions if one.score is not None), key=lambda one: one.score or 0, default=None)
    return _quality(run.quality.overall, limit, lowest.dimension if lowest else "not told")


def _quality(overall: float, limit: float, lowest: str) -> Finding:
    return Finding(
        "quality-low", failure("finished-with-warnings").severity,
        "The data of the run scores lower than agreed; its lowest dimension decides.",
        (("Overall quality", f"{overall:g}"), ("Limit", f"{limit:g}"), ("Lowest dimension", lowest)),
        "finished-with-warnings",
    )  # fmt: skip


def _judge_slow(situation: Situation) -> Judgement:
    run = situation.run
    if run is None or not situation.settings.alerts.slow or not _good(run) or run.baseline is None:
        return "not judged"
    return _slow(run.seconds, run.baseline.ratio, situation.settings) if run.baseline.slow else "fine"


def _slow(seconds: float, ratio: float, settings: Settings) -> Finding:
    limits = settings.performance
    return Finding(
        "run-slow", failure("run-slow").severity,
        f"The run took {ratio:.1f} times as long as comparable runs before it.",
        (("Seconds", f"{seconds:,.0f}"), ("Times the baseline", f"{ratio:.2f}"),
         ("Limit", f"{limits.slower_factor:g} times, and {limits.slower_seconds:g} seconds more")),
        "run-slow",
    )  # fmt: skip


def _judge_services(situation: Situation) -> Judgement:
    run, limit = situation.run, situation.settings.alerts.service_success
    shares = {name: one.success for name, one in run.services.items() if one.success is not None} if run else {}
    if not shares:
        return "not judged"
    name = min(shares, key=lambda one: shares[one])
    return _services_failing(name, shares[name], limit) if shares[name] < limit else "fine"


def _services_failing(name: str, share: float, limit: float) -> Finding:
    return Finding(
        "services-failing", failure("service-down").severity,
        "Calls of a live service failed. Cache and embedded reference stood in; what neither knows was loaded without.",
        (("Service", name), ("Calls that succeeded", f"{share:.1%}"), ("Limit", f"{limit:.1%}")),
        "service-down",
    )  # fmt: skip


def _judge_input_age(situation: Situation) -> Judgement:
    run, limit = situation.run, situation.settings.alerts.input_age
    if run is None or run.input is None:
        return "not judged"
    age = _age(run.input, run.started_at)
    return _input_late(age, limit) if age > limit else "fine"


def _age(source: InputRecord, at: datetime) -> float:
    return (at - source.made_at).total_seconds() / HOUR


def _input_late(age: float, limit: float) -> Finding:
    return Finding(
        "input-old", "P2" if age > WORSE_AFTER * limit else failure("late-file").severity,
        "The customer file is older than readers are promised: it was delivered late, or not replaced.",
        (("Age of the file", _hours(age)), ("Limit", _hours(limit))),
        "late-file",
    )  # fmt: skip


def _judge_no_success(situation: Situation) -> Judgement:
    interval = situation.settings.runs.interval
    if situation.since is None:
        return _no_run(interval) if situation.run is None else "not judged"
    hours = (situation.now - situation.since).total_seconds() / HOUR
    return _no_success(hours, interval) if hours > TWO_INTERVALS * interval else "fine"


def _no_run(interval: float) -> Finding:
    return Finding(
        NO_SUCCESS, failure("nothing-ran").severity,
        "There is no run at all in the runs folder: the schedule never started one, or the watcher looks at another folder.",
        (("Runs found", "0"), ("Scheduled every", _hours(interval))),
        "nothing-ran",
    )  # fmt: skip


def _no_success(hours: float, interval: float) -> Finding:
    return Finding(
        NO_SUCCESS, "P1" if hours > THREE_INTERVALS * interval else failure("nothing-ran").severity,
        "No run has loaded its input although one was due; readers see old customers.",
        (("Since the last good run", _hours(hours)), ("Limit", _hours(TWO_INTERVALS * interval)), ("Scheduled every", _hours(interval))),
        "nothing-ran",
    )  # fmt: skip


def _judge_undelivered(situation: Situation) -> Judgement:
    return _undelivered(situation.undelivered) if situation.undelivered else "fine"


def _undelivered(number: int) -> Finding:
    return Finding(
        UNDELIVERED, failure("alert-not-sent").severity,
        "The mail server could not be used for a while. What was found meanwhile stands in the list of alerts.",
        (("Alerts that were not sent", f"{number:,}"),),
        "alert-not-sent",
    )  # fmt: skip


SIGNALS: tuple[Signal, ...] = (
    Signal(
        "run-failed", "run failed", "alerts.failed",
        "A failed run is never normal: each one leaves readers with the data of the day before",
        "unexpected-error", "A run loaded its input",
        _judge_failed, lambda _: _failed("InputError", "input-unusable", 3, 0, 0),
    ),
    Signal(
        "rejects-high", "many rows rejected", "alerts.rejects",
        "The objective is that the median run rejects no more than this share; a run that is above it uses the objective up",
        "finished-with-warnings", "A run rejected no larger a share than the limit",
        _judge_rejects, lambda settings: _rejects(round(10_000 * min(1, 2 * settings.alerts.rejects)), 10_000, settings.alerts.rejects),
    ),
    Signal(
        "quality-low", "quality low", "alerts.quality",
        "Overall is the lowest dimension; this is the minimum that validity, the dimension with most rules, has to keep",
        "finished-with-warnings", "A run scored as much as the limit or more",
        _judge_quality, lambda settings: _quality(settings.alerts.quality / 2, settings.alerts.quality, "validity"),
    ),
    Signal(
        "run-slow", "run slow", "alerts.slow",
        "A factor over the usual time and a least excess: the factor alone would wake people for a run of two seconds",
        "run-slow", "A run took no longer than its baseline allows",
        _judge_slow, lambda settings: _slow(600, 2 * settings.performance.slower_factor, settings),
    ),
    Signal(
        "services-failing", "live services failing", "alerts.service_success",
        "Single failures are retried and mean nothing; from here on rows are loaded without what the service alone knows",
        "service-down", "A run asked the services and enough calls succeeded",
        _judge_services, lambda settings: _services_failing("postcodes", settings.alerts.service_success / 2, settings.alerts.service_success),
    ),
    Signal(
        "input-old", "input late", "alerts.input_age",
        "Two deliveries: one that is missed can be made up for, with the second one readers decide on old customers. Twice the "
        "limit is a P2",
        "late-file", "A run read a file that is no older than the limit",
        _judge_input_age, lambda settings: _input_late(1.5 * settings.alerts.input_age, settings.alerts.input_age),
    ),
    Signal(
        NO_SUCCESS, "no successful run", "runs.interval",
        "Two intervals: one missed run is made up for by the next, two in a row are no accident. Three intervals are a P1",
        "nothing-ran", "A run loaded its input",
        _judge_no_success, lambda settings: _no_success(2.5 * settings.runs.interval, settings.runs.interval),
    ),
    Signal(
        UNDELIVERED, "alerts were not delivered", "mail.timeout",
        "One is enough: somebody was not told. A server that does not answer within this time counts as down",
        "alert-not-sent", "With the mail that tells it: that one came through",
        _judge_undelivered, lambda _: _undelivered(2),
    ),
)  # fmt: skip
"""Every signal, in the order in which their alerts are sent."""


def signal(signal_id: str) -> Signal:
    """Return the signal with this id; raises KeyError when there is none."""
    return {one.id: one for one in SIGNALS}[signal_id]
