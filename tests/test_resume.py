"""A run that dies loses nothing and loads nothing twice; the next one goes on behind it."""

import json
import signal
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

from etl import cli, config
from etl.pipeline import Resume, run
from etl.progress import Progress
from etl.quarantine import Quarantine
from etl.record import RunRecord
from etl.warehouse import DuckDBWarehouse, Loaded
from etl.warehouse.base import Settle
from tests.customers import customer, write_customers
from tests.kill_drill import outcome_of, rehearse

ROWS = [customer(n, email="wrong" if n % 3 == 0 else "a@b.example") for n in range(1, 13)]


def start(project: Path, resume: Resume = "auto", **overrides: str) -> RunRecord:
    """Run the input of a project with batches of two rows; runs and warehouse lie where `outcome_of` looks."""
    places = {"runs.path": "runs", "warehouse.path": "warehouse.duckdb", "input.batch_size": "2", "quality.rejects_stop": "1"}
    assert project == Path.cwd()
    return run(config.load(overrides=places | overrides), quiet=True, resume=resume)


@pytest.fixture
def stopped(project: Path, monkeypatch: pytest.MonkeyPatch) -> RunRecord:
    """A run that was stopped by hand at its fourth batch."""
    write_customers(project / "data/customers.csv", ROWS)
    real, calls = DuckDBWarehouse.load, []

    def stops_at_fourth(self: DuckDBWarehouse, rows: pd.DataFrame, now: datetime, settle: Settle) -> Loaded:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(self, rows, now, settle)

    with monkeypatch.context() as patched:
        patched.setattr(DuckDBWarehouse, "load", stops_at_fourth)
        return start(project)


def test_a_run_stopped_by_hand_is_recorded_with_what_was_committed(stopped: RunRecord) -> None:
    assert (stopped.outcome, stopped.exit_code, stopped.rows.loaded) == ("interrupted", 130, 4)


def test_the_next_run_goes_on_and_ends_like_one_never_disturbed(stopped: RunRecord, project: Path) -> None:
    record = start(project)
    assert record.resumed is not None
    assert (record.resumed.run_id, record.resumed.rows) == (stopped.run_id, 6)
    resumed = outcome_of(project)
    (project / "warehouse.duckdb").unlink()
    assert start(project).resumed is None
    assert outcome_of(project) == resumed
    assert resumed.moments == 1


def test_each_row_is_in_one_place_after_resuming(stopped: RunRecord, project: Path) -> None:
    record = start(project)
    rejected = {row.line for row in Quarantine(project / "runs" / record.run_id).rows()}
    assert rejected == {4, 7, 10, 13}
    assert (record.rows.read, record.rows.loaded, record.rows.quarantined, record.rows.held_back) == (12, 8, 4, 0)
    assert stopped.run_id != record.run_id


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"risk.suspended": "61"}, "other settings would make other rows"),
        ({"input.promised_age": "23"}, "it is read otherwise"),
    ],
)
def test_other_settings_that_change_results_start_from_the_first_row(
    stopped: RunRecord, project: Path, change: dict[str, str], why: str
) -> None:
    assert start(project, **change).resumed is None, (why, stopped.run_id)


def test_another_size_of_batches_goes_on_all_the_same(stopped: RunRecord, project: Path) -> None:
    record = start(project, **{"input.batch_size": "5"})
    assert (record.resumed and record.resumed.run_id, record.rows.read, record.rows.loaded) == (stopped.run_id, 12, 8)


def test_another_file_starts_from_its_first_row(stopped: RunRecord, project: Path) -> None:
    write_customers(project / "data/customers.csv", [*ROWS, customer(99)])
    record = start(project)
    assert (record.resumed, record.rows.read, stopped.outcome) == (None, 13, "interrupted")


def test_restart_forgets_what_was_done(stopped: RunRecord, project: Path) -> None:
    record = start(project, resume="never")
    assert (record.resumed, record.rows.read, record.rows.unchanged) == (None, 12, stopped.rows.loaded)


def test_resume_insists_on_an_unfinished_run(stopped: RunRecord, project: Path) -> None:
    assert start(project, resume="require").resumed is not None
    record = start(project, resume="require")
    assert (record.exit_code, record.fault and record.fault.error_class) == (2, "ConfigError")
    assert record.fault is not None
    assert "There is no unfinished run" in record.fault.message
    assert stopped.run_id < record.run_id


def test_a_lost_quarantine_of_the_run_before_means_to_start_anew(stopped: RunRecord, project: Path) -> None:
    (project / "runs" / stopped.run_id / "quarantine.jsonl").write_bytes(b"")
    record = start(project)
    assert (record.resumed, record.rows.quarantined) == (None, 4)


@pytest.mark.parametrize("damage", ["", "{", '{"key": 1}', "null"])
def test_a_damaged_checkpoint_is_left_aside_and_everything_is_loaded(stopped: RunRecord, project: Path, damage: str) -> None:
    with DuckDBWarehouse(config.load(overrides={"warehouse.path": "warehouse.duckdb"}).values.warehouse) as warehouse:
        warehouse.execute("UPDATE pipeline_checkpoint SET state = ?", [damage])
    record = start(project)
    assert (record.resumed, record.rows.read, record.rows.loaded) == (None, 12, 8)
    assert stopped.rows.loaded == record.rows.unchanged


def test_a_checkpoint_holds_no_personal_data(stopped: RunRecord) -> None:
    assert stopped.outcome == "interrupted"
    with DuckDBWarehouse(config.load(overrides={"warehouse.path": "warehouse.duckdb"}).values.warehouse) as warehouse:
        checkpoint = warehouse.checkpoint()
    assert checkpoint is not None
    assert set(json.loads(checkpoint.state)) == set(Progress.model_fields)
    assert not any(value in checkpoint.state for value in ("Wrenna", "Hollisk", "a@b.example", "7946 0", "M1 1AF"))


def test_rows_the_warehouse_refuses_go_to_quarantine_with_that_reason(project: Path) -> None:
    write_customers(project / "data/customers.csv", ROWS)
    with DuckDBWarehouse(config.load(overrides={"warehouse.path": "warehouse.duckdb"}).values.warehouse) as warehouse:
        warehouse.prepare()
        create = warehouse.execute("SELECT sql FROM duckdb_tables() WHERE table_name = 'customer_enriched'")[0][0]
        warehouse.execute("DROP TABLE customer_enriched")
        warehouse.execute(create.replace(");", ", CHECK (customer_id NOT IN (4, 5)));"))
    record = start(project, **{"input.batch_size": "7"})
    refused = [row.line for row in Quarantine(project / "runs" / record.run_id).rows() if row.rules == ("load.refused",)]
    assert refused == [5, 6]
    assert (record.rows.loaded, record.rows.quarantined) == (6, 6)
    assert record.rules["load.refused"].violations == 2
    assert record.stage("load").rows_rejected == 2  # type: ignore[union-attr]


def test_the_list_of_runs_names_one_that_left_no_record(
    stopped: RunRecord, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "runs" / stopped.run_id / "run.json").unlink()
    assert cli.main(["runs"]) == 0
    assert f"{stopped.run_id}  no record: it is under way, or it was killed" in capsys.readouterr().out


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no way to kill a process without warning")
def test_killed_at_random_moments_the_warehouse_ends_as_if_never_disturbed(tmp_path: Path, project: Path) -> None:
    assert project.exists()
    report = rehearse(tmp_path, kills=5, seed=20261123)
    assert report.kills >= 5
    assert report.resumed > 0
    assert report.differing == 0
