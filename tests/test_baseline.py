"""The baseline: made of comparable runs only, and a run is slow only when it is by far."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from etl import cli, config
from etl.baseline import baseline_path, comparable_runs, make_baseline, read_baseline, why_not_comparable, with_baseline
from etl.errors import ConfigError
from etl.record import Host, Resumed, Rows, RunRecord, write_record
from etl.settings import PerformanceSettings
from tests.records import failed_record, make_record

NOW = datetime(2026, 11, 23, tzinfo=UTC)
LIMITS = PerformanceSettings()  # type: ignore[call-arg]
SEVEN = [make_record(n, seconds=seconds) for n, seconds in enumerate([9.0, 10.0, 11.0, 10.0, 60.0, 10.0, 10.0])]


def rows(read: int) -> Rows:
    return Rows(read=read, loaded=read, inserted=read, updated=0, unchanged=0, quarantined=0, held_back=0)


def test_it_is_the_median_so_that_one_odd_run_does_not_move_it() -> None:
    baseline = make_baseline(SEVEN, NOW)
    assert (baseline.seconds, baseline.spread, len(baseline.run_ids)) == (10.0, 0.0, 7)
    assert baseline.stages["validate"] == 0.5


OTHERS = [
    make_record(10, environment="test"),
    make_record(11, rows=rows(2000)),
    make_record(12, resumed=Resumed(run_id="20261120T120000Z-000000", line=2, rows=1)),
    make_record(13, host=Host(system="Linux", cpus=64, memory_mb=24000)),
    failed_record(14),
]


@pytest.mark.parametrize("other", OTHERS, ids=["environment", "rows", "resumed", "machine", "failed"])
def test_a_run_that_does_not_compare_is_left_out(other: RunRecord) -> None:
    records = [other, *SEVEN]
    assert comparable_runs(records, "default", LIMITS) == SEVEN


def test_only_the_newest_runs_count() -> None:
    records = [make_record(n) for n in range(20)]
    assert comparable_runs(records, "default", LIMITS) == records[-LIMITS.baseline_runs :]


@pytest.fixture
def project_with_runs(project: Path) -> Path:
    for record in SEVEN:
        write_record(record, project / "runs")
    return project


def test_the_command_sets_and_shows_it(project_with_runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["baseline"]) == 0
    assert "No baseline yet" in capsys.readouterr().out
    assert cli.main(["baseline", "set"]) == 0
    assert cli.main(["baseline"]) == 0
    assert "10.00 s (spread 0.00) for about 1,000 rows" in capsys.readouterr().out
    assert read_baseline(project_with_runs / "runs", "default") is not None


def test_too_few_runs_are_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_record(make_record(), project / "runs")
    assert cli.main(["baseline", "set"]) == 2
    assert "1 comparable run(s) of environment 'default', a baseline takes 5" in capsys.readouterr().err


def judged(seconds: float, **changes: object) -> RunRecord:
    cli.main(["baseline", "set"])
    overrides = {"performance.slower_seconds": "4"}
    return with_baseline(make_record(20, seconds=seconds, **changes), config.load(overrides=overrides))


@pytest.mark.usefixtures("project_with_runs")
class TestTheVerdict:
    @pytest.mark.parametrize(("seconds", "slow"), [(9.0, False), (15.0, False), (15.1, True)])
    def test_slower_by_the_factor_is_slow(self, seconds: float, slow: bool) -> None:
        record = judged(seconds)
        assert record.baseline is not None
        assert (record.baseline.slow, record.outcome) == (slow, "warnings" if slow else "success")
        assert (record.exit_code == 10) == slow == bool(record.warnings)

    def test_a_factor_of_few_seconds_is_not_slow(self) -> None:
        path = baseline_path(Path("runs"), "default")
        cli.main(["baseline", "set"])
        path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"seconds": 1.0}), encoding="utf-8")
        record = with_baseline(make_record(20, seconds=4.5), config.load(overrides={"performance.slower_seconds": "4"}))
        assert record.baseline is not None
        assert (record.baseline.ratio, record.baseline.slow) == (4.5, False)

    def test_another_number_of_rows_gets_no_verdict_and_a_reason(self) -> None:
        record = judged(100.0, rows=rows(5000))
        baseline = read_baseline(Path("runs"), "default")
        assert (record.baseline, record.outcome) == (None, "success")
        assert baseline is not None
        assert why_not_comparable(record, baseline) == "it read 5,000 rows, the baseline about 1,000"

    def test_a_damaged_baseline_is_a_warning_and_an_error_of_the_command(self, capsys: pytest.CaptureFixture[str]) -> None:
        baseline_path(Path("runs"), "default").write_text("{}", encoding="utf-8")
        record = with_baseline(make_record(20), config.load())
        assert "this is no baseline" in record.warnings[0]
        assert cli.main(["baseline"]) == ConfigError.exit_code
        assert "python -m etl baseline set" in capsys.readouterr().err
