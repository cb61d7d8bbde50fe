"""Signals: each threshold from both sides, and what the catalogue promises."""

from datetime import timedelta
from typing import Any

import pytest

from etl import config
from etl.config import setting_names
from etl.failures import FAILURES, failure
from etl.record import BaselineVerdict, RunRecord, ServiceRecord
from etl.settings import Settings
from etl.signals import NO_SUCCESS, SIGNALS, UNDELIVERED, Finding, Judgement, Situation, signal
from tests.conftest import ROOT
from tests.records import NOON, failed_record, make_record

SETTINGS = config.load(folder=ROOT / "config").values


def judge(signal_id: str, run: RunRecord | None = None, settings: Settings = SETTINGS, **changes: Any) -> Judgement:
    situation = Situation(settings, run.ended_at if run else NOON, run, **changes)
    return signal(signal_id).judge(situation)


def with_alerts(**changes: Any) -> Settings:
    return SETTINGS.model_copy(update={"alerts": SETTINGS.alerts.model_copy(update=changes)})


def rejected(number: int) -> RunRecord:
    record = make_record()
    return record.model_copy(update={"rows": record.rows.model_copy(update={"quarantined": number, "loaded": 1000 - number})})


def scored(overall: float | None) -> RunRecord:
    record = make_record()
    assert record.quality is not None
    return record.model_copy(update={"quality": record.quality.model_copy(update={"overall": overall})})


def aged(hours: float, record: RunRecord | None = None) -> RunRecord:
    record = record or make_record()
    source = make_record().input
    assert source is not None
    return record.model_copy(update={"input": source.model_copy(update={"made_at": record.started_at - timedelta(hours=hours)})})


def compared(slow: bool) -> RunRecord:
    return make_record().model_copy(update={"baseline": BaselineVerdict(ratio=1.6, slow=slow, seconds=10.0, runs=7)})


def served(succeeded: int) -> RunRecord:
    """Return a run that called a service a thousand times, and another one without a fault."""
    none: dict[str, Any] = {
        "refused": 0,
        "retries": 0,
        "breaker_openings": 0,
        "keys_asked": 9,
        "keys_failed": 0,
        "keys_cached": 0,
        "p50": 0.1,
        "p95": 0.1,
        "p99": 0.1,
    }
    failing = ServiceRecord(calls=1000, succeeded=succeeded, failed={"timeout": 1000 - succeeded}, **none)
    return make_record().model_copy(
        update={"services": {"companies": ServiceRecord(calls=1, succeeded=1, failed={}, **none), "postcodes": failing}}
    )


def since(hours: float) -> dict[str, Any]:
    return {"since": NOON - timedelta(hours=hours)}


BOTH_SIDES = [
    ("run-failed", {"run": failed_record()}, {"run": make_record()}, "P2"),
    ("rejects-high", {"run": rejected(21)}, {"run": rejected(20)}, "P3"),
    ("quality-low", {"run": scored(96.99)}, {"run": scored(97)}, "P3"),
    ("run-slow", {"run": compared(True)}, {"run": compared(False)}, "P3"),
    ("services-failing", {"run": served(979)}, {"run": served(980)}, "P3"),
    ("input-old", {"run": aged(48.01)}, {"run": aged(48)}, "P3"),
    ("input-old", {"run": aged(96.01)}, {"run": aged(48)}, "P2"),
    (NO_SUCCESS, since(48.01), since(48), "P2"),
    (NO_SUCCESS, since(72.01), since(48), "P1"),
    (UNDELIVERED, {"undelivered": 1}, {"undelivered": 0}, "P3"),
]


@pytest.mark.parametrize(
    ("signal_id", "beyond", "within", "severity"), BOTH_SIDES, ids=[f"{case[0]}-{case[3]}" for case in BOTH_SIDES]
)
def test_a_threshold_tells_both_sides_apart(signal_id: str, beyond: Any, within: Any, severity: str) -> None:
    found = judge(signal_id, **beyond)
    assert isinstance(found, Finding)
    assert found.severity == severity
    assert judge(signal_id, **within) == "fine"


def test_every_signal_is_judged_from_both_sides() -> None:
    assert {case[0] for case in BOTH_SIDES} == {one.id for one in SIGNALS}


@pytest.mark.parametrize(
    ("signal_id", "hours", "severity"), [("input-old", 96, "P3"), (NO_SUCCESS, 72, "P2")],
)  # fmt: skip
def test_it_gets_no_worse_before_the_second_limit(signal_id: str, hours: float, severity: str) -> None:
    found = judge(signal_id, **({"run": aged(hours)} if signal_id == "input-old" else since(hours)))
    assert isinstance(found, Finding)
    assert found.severity == severity


@pytest.mark.parametrize(
    ("signal_id", "run", "changes"),
    [
        ("rejects-high", rejected(30), {"rejects": 0.05}),
        ("quality-low", scored(90), {"quality": 80}),
        ("services-failing", served(970), {"service_success": 0.96}),
        ("input-old", aged(50), {"input_age": 60}),
        ("run-failed", failed_record(), {"failed": False}),
        ("run-slow", compared(True), {"slow": False}),
    ],
)
def test_the_setting_is_the_threshold(signal_id: str, run: RunRecord, changes: dict[str, Any]) -> None:
    assert signal(signal_id).setting in {f"alerts.{name}" for name in changes}
    assert isinstance(judge(signal_id, run), Finding)
    assert not isinstance(judge(signal_id, run, with_alerts(**changes)), Finding)


def test_the_interval_is_the_threshold_of_a_missing_success() -> None:
    hourly = SETTINGS.model_copy(update={"runs": SETTINGS.runs.model_copy(update={"interval": 1})})
    assert isinstance(judge(NO_SUCCESS, settings=hourly, **since(2.01)), Finding)
    assert judge(NO_SUCCESS, settings=hourly, **since(2)) == "fine"


@pytest.mark.parametrize("signal_id", ["rejects-high", "quality-low", "run-slow", "input-old"])
def test_a_run_that_failed_early_says_nothing_about_what_it_did_not_reach(signal_id: str) -> None:
    assert judge(signal_id, failed_record()) == "not judged"
    assert judge(signal_id, None) == "not judged"


def test_a_failed_run_that_knows_its_input_still_tells_that_it_is_old() -> None:
    assert isinstance(judge("input-old", aged(50, failed_record())), Finding)


def test_a_run_that_somebody_stopped_is_no_failure_and_no_success() -> None:
    stopped = failed_record().model_copy(update={"outcome": "interrupted", "exit_code": 130})
    assert judge("run-failed", stopped) == "not judged"


def test_a_file_without_rows_has_no_share_of_rejects() -> None:
    record = rejected(0)
    assert judge("rejects-high", record.model_copy(update={"rows": record.rows.model_copy(update={"read": 0})})) == "not judged"
    assert judge("quality-low", scored(None)) == "not judged"


def test_where_nothing_ever_ran_a_watcher_is_told() -> None:
    found = judge(NO_SUCCESS)
    assert isinstance(found, Finding)
    assert "no run at all" in found.happened


@pytest.mark.parametrize("one", FAILURES, ids=lambda one: one.id)
def test_a_failed_run_is_as_bad_as_the_failure_it_leads_to(one: Any) -> None:
    record = failed_record()
    assert record.fault is not None
    found = judge("run-failed", record.model_copy(update={"fault": record.fault.model_copy(update={"runbook": one.id})}))
    assert isinstance(found, Finding)
    assert (found.severity, found.runbook) == (one.severity, one.id)


def test_a_failure_that_is_no_longer_in_the_catalogue_is_told_as_an_unknown_one() -> None:
    record = failed_record()
    assert record.fault is not None
    found = judge("run-failed", record.model_copy(update={"fault": record.fault.model_copy(update={"runbook": "gone"})}))
    assert isinstance(found, Finding)
    assert found.runbook == "unexpected-error"


def test_errors_of_different_classes_are_different_causes() -> None:
    record = failed_record()
    assert record.fault is not None
    causes = set()
    for error_class in ("InputError", "WarehouseError"):
        fault = record.fault.model_copy(update={"error_class": error_class})
        found = judge("run-failed", record.model_copy(update={"fault": fault}))
        assert isinstance(found, Finding)
        causes.add(found.cause)
    assert len(causes) == 2


def test_each_signal_has_an_id_of_its_own_a_setting_that_exists_and_a_failure_that_does() -> None:
    assert len({one.id for one in SIGNALS}) == len(SIGNALS)
    for one in SIGNALS:
        assert one.setting in setting_names()
        assert failure(one.runbook).severity == one.severity
        assert one.title[0].islower()
        assert one.reason
        assert one.resolved


@pytest.mark.parametrize("one", SIGNALS, ids=lambda one: one.id)
def test_a_sample_is_a_finding_of_its_signal_beyond_the_threshold(one: Any) -> None:
    found = one.sample(SETTINGS)
    assert found.cause.partition(":")[0] == one.id
    assert found.figures
    assert failure(found.runbook)
