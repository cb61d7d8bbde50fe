"""What is past its time goes, nothing else does; clocks are moved, not waited for."""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from etl import cli, config
from etl.audit import read_audit, trim_audit
from etl.log import log_path
from etl.record import write_record
from etl.retention import PERIODS, plan_pruning, prune
from tests.records import NOON, make_record

KEEP = {"logging.keep": "90", "runs.keep": "730", "runs.keep_quarantine": "30", "logging.keep_audit": "365"}


@pytest.fixture
def runs(project: Path) -> Path:
    folder = project / "runs"
    folder.mkdir()
    for name in ("alerts.jsonl", "latest.json", "tests.xml"):
        (folder / name).write_text("{}\n", encoding="utf-8")
    return folder


def leave(runs: Path, number: int, recorded: bool = True, **changes: object) -> Path:
    """Leave what a run leaves that began `number` days after `NOON`."""
    started = NOON + timedelta(days=number)
    record = make_record(0, **({"run_id": f"{started:%Y%m%dT%H%M%SZ}-{abs(number):06x}"} | changes))
    folder = runs / record.run_id
    folder.mkdir()
    if recorded:
        write_record(record, runs)
    log = log_path(folder)
    for path in (log, log.with_name(f"{log.stem}.1.jsonl"), folder / "quarantine.jsonl"):
        path.write_text("{}\n", encoding="utf-8")
    return folder


def audit(runs: Path, *days: int) -> None:
    lines = [{"timestamp": (NOON + timedelta(days=day)).isoformat(), "event": "rows loaded"} for day in days]
    (runs / "audit.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def after(days: float, **overrides: str) -> dict[str, int]:
    """Prune as if so many days had gone since `NOON`."""
    settings = config.load(overrides=KEEP | {name.replace("__", "."): value for name, value in overrides.items()}).values
    return dict(prune(plan_pruning(settings, NOON + timedelta(days=days))).counts)


def names(folder: Path) -> set[str]:
    return {"log" if path.name.startswith("log") else path.name for path in folder.iterdir()} if folder.exists() else set()


@pytest.mark.parametrize(("days", "left"), [
    (29.9, {"run.json", "log", "quarantine.jsonl"}), (30.1, {"run.json", "log"}), (89.9, {"run.json", "log"}), (90.1, {"run.json"}),
    (729.9, {"run.json"}), (730.1, set()),
])  # fmt: skip
def test_what_a_run_left_goes_when_it_is_due_and_not_before(days: float, left: set[str], runs: Path) -> None:
    old = leave(runs, 0)
    leave(runs, 1)
    after(days)
    assert names(old) == left


def test_what_is_no_folder_of_a_run_stays(runs: Path) -> None:
    leave(runs, 0)
    leave(runs, 1)
    (runs / "20200101T000000Z-notours").mkdir()
    (runs / "20209999T000000Z-00000a").mkdir()
    after(5_000)
    there = {path.name for path in runs.iterdir()}
    assert {"alerts.jsonl", "latest.json", "tests.xml", "20200101T000000Z-notours", "20209999T000000Z-00000a"} <= there


def test_the_newest_good_run_of_each_environment_stays_with_its_log(runs: Path) -> None:
    older, newest = leave(runs, 0), leave(runs, 2, outcome="warnings", exit_code=10)
    other = leave(runs, 1, environment="production")
    failed = leave(runs, 3, outcome="failed", exit_code=1)
    after(5_000)
    assert names(newest) == names(other) == {"run.json", "log"}
    assert not older.exists()
    assert not failed.exists()


def test_rejected_rows_of_the_newest_good_run_go_too_for_they_are_personal_data(runs: Path) -> None:
    newest = leave(runs, 0)
    assert after(31) == {"logs": 0, "quarantines": 1, "runs": 0, "audit_lines": 0}
    assert names(newest) == {"run.json", "log"}


def test_a_run_that_is_under_way_is_left_alone_and_a_dead_one_is_not(runs: Path) -> None:
    folder = leave(runs, 0, recorded=False)
    short = {"logging__keep": "0.1", "runs__keep": "0.1", "runs__keep_quarantine": "0.1"}
    after(0.9, **short)
    assert names(folder) == {"log", "quarantine.jsonl"}
    after(1.1, **short)
    assert not folder.exists()


def test_a_damaged_record_protects_nothing_and_stops_nothing(runs: Path) -> None:
    folder, good = leave(runs, 1), leave(runs, 0)
    (folder / "run.json").write_text("{", encoding="utf-8")
    after(5_000)
    assert not folder.exists()
    assert good.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_a_link_is_not_followed(runs: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "quarantine.jsonl").write_text("{}", encoding="utf-8")
    (runs / "20261101T000000Z-00000a").symlink_to(outside)
    leave(runs, 0)
    after(20)
    assert (outside / "quarantine.jsonl").exists(), "39 days old by the name of the link"
    after(5_000)
    assert (outside / "quarantine.jsonl").exists()


def test_lines_of_the_audit_log_go_when_they_are_due(runs: Path) -> None:
    audit(runs, 0, 10)
    assert after(364)["audit_lines"] == 0
    assert after(366)["audit_lines"] == 1
    assert len(list(read_audit(runs))) == 1
    assert trim_audit(runs, NOON) == 0


def test_nothing_is_deleted_by_a_plan(runs: Path) -> None:
    folder = leave(runs, 0)
    leave(runs, 1)
    plan = plan_pruning(config.load(overrides=KEEP).values, NOON + timedelta(days=5_000))
    assert (plan.counts["runs"], plan.empty) == (1, False)
    assert names(folder) == {"run.json", "log", "quarantine.jsonl"}


def test_every_period_is_that_of_a_setting_in_days() -> None:
    for name in PERIODS.values():
        assert config.unit(name) == "days"


def ago(days: float) -> int:
    return -round((NOON - (datetime.now(UTC) - timedelta(days=days))).total_seconds() / 86_400)


def test_the_command_says_what_it_deleted_and_why_and_audits_it(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = leave(runs, ago(100))
    newest = leave(runs, ago(95))
    assert cli.main(["prune", "--dry-run"]) == 0
    assert "2 log file(s) due: older than 90 days (logging.keep)" in capsys.readouterr().out
    assert names(old) == {"run.json", "log", "quarantine.jsonl"}
    assert list(read_audit(runs)) == []
    assert cli.main(["prune"]) == 0
    shown = capsys.readouterr().out
    assert "2 file(s) of rejected rows deleted: older than 30 days (runs.keep_quarantine)" in shown
    assert f"kept {newest.name}: newest good run of its environment" in shown
    (line,) = read_audit(runs)
    assert (line["event"], line["logs"], line["quarantines"], line["runs"], line["failed"]) == ("data pruned", 2, 2, 0, 0)
    assert names(old) == {"run.json"}


def test_what_can_not_be_deleted_is_told_and_does_not_keep_the_rest(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stuck, other = leave(runs, ago(800)), leave(runs, ago(799))
    leave(runs, ago(1))
    real = Path.rmdir

    def refuses(path: str, *_: object, **__: object) -> None:
        if Path(path).name == stuck.name:
            raise PermissionError
        for file in Path(path).iterdir():
            file.unlink()
        real(Path(path))

    monkeypatch.setattr("shutil.rmtree", refuses)
    assert cli.main(["prune"]) == 10
    assert f"not deleted: {stuck.relative_to(runs.parent)} (PermissionError)" in capsys.readouterr().out
    assert not other.exists()
    assert [(line["runs"], line["failed"], line["level"]) for line in read_audit(runs)] == [(1, 1, "warning")]
