"""A whole run, from a file to warehouse, quarantine, audit and record."""

import json
import stat
import sys
from pathlib import Path

import duckdb
import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl import cli, config
from etl.log import log_path
from etl.pipeline import run
from etl.quarantine import Quarantine
from etl.record import RunRecord, history, json_schema, read_record
from etl.stages import STAGES
from tests.customers import customer, write_customers

MIXED = [
    customer(1),
    customer(2, email="wrong"),
    customer(3, first_name="", status="gone"),
    customer(3),
    customer(4, company="Retail Plus"),
]


def run_with(rows: list[dict[str, str]], **overrides: str) -> RunRecord:
    write_customers(Path("data/customers.csv"), rows)
    return run(config.load(overrides={"quality.rejects_stop": "1", **overrides}), quiet=True)


def warehouse_rows(query: str) -> list[tuple[object, ...]]:
    with duckdb.connect("warehouse/handover.duckdb", read_only=True) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.usefixtures("project")
class TestARun:
    def test_every_row_is_loaded_or_in_quarantine_with_its_reasons(self) -> None:
        record = run_with(MIXED)
        assert (record.rows.read, record.rows.loaded, record.rows.quarantined) == (5, 2, 3)
        rejected = {row.line: row.rules for row in Quarantine(Path("runs") / record.run_id).rows()}
        assert rejected == {3: ("email.form",), 4: ("first_name.required", "status.known"), 5: ("customer_id.unique",)}
        assert warehouse_rows("SELECT customer_id FROM customer_enriched ORDER BY ALL") == [(1,), (4,)]

    def test_quarantine_holds_the_lines_as_they_came(self) -> None:
        record = run_with(MIXED)
        lines = Path("data/customers.csv").read_text(encoding="utf-8").splitlines()
        for row in Quarantine(Path("runs") / record.run_id).rows():
            assert row.raw == lines[row.line - 1]

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps no owner bits")
    def test_quarantine_is_for_its_owner_only(self) -> None:
        record = run_with(MIXED)
        assert stat.S_IMODE((Path("runs") / record.run_id / "quarantine.jsonl").stat().st_mode) == 0o600

    def test_a_second_run_of_the_same_file_changes_nothing_and_adds_one_run(self) -> None:
        first = run_with(MIXED)
        before = warehouse_rows("SELECT * FROM customer_enriched ORDER BY ALL")
        second = run_with(MIXED)
        assert second.rows.loaded == first.rows.loaded == second.rows.unchanged
        assert (second.rows.inserted, second.rows.updated) == (0, 0)
        assert warehouse_rows("SELECT * FROM customer_enriched ORDER BY ALL") == before
        assert [record.run_id for record in history(Path("runs"))] == sorted([first.run_id, second.run_id])

    @pytest.mark.parametrize("batch_size", ["1", "2", "100"])
    def test_the_size_of_batches_changes_no_result(self, batch_size: str) -> None:
        record = run_with(MIXED, **{"input.batch_size": batch_size})
        assert (record.rows.loaded, record.rows.quarantined) == (2, 3)
        assert sum(count.violations for count in record.rules.values() if count.violations) >= 4

    def test_the_record_obeys_its_schema_and_is_the_latest_too(self) -> None:
        record = run_with(MIXED)
        text = (Path("runs") / record.run_id / "run.json").read_text(encoding="utf-8")
        jsonschema.Draft202012Validator(json_schema(), format_checker=jsonschema.FormatChecker()).validate(json.loads(text))
        assert Path("runs/latest.json").read_text(encoding="utf-8") == text
        assert read_record(Path("runs/latest.json")) == record

    def test_what_goes_into_a_stage_comes_out_or_is_rejected(self) -> None:
        record = run_with(MIXED, **{"input.batch_size": "2"})
        assert [stage.name for stage in record.stages] == [stage.name for stage in STAGES]
        for stage in record.stages:
            assert stage.rows_in == stage.rows_out + stage.rows_rejected
        rows = [record.stage(name).rows_in for name in ("extract", "validate", "enrich", "score", "load")]  # type: ignore[union-attr]
        assert rows == [5, 5, 2, 2, 2]

    def test_the_stages_take_most_of_the_time(self) -> None:
        record = run_with([customer(number) for number in range(1, 3000)])
        assert sum(stage.seconds for stage in record.stages) > 0.5 * record.seconds
        assert record.peak_mb > 10
        assert record.cpu_seconds > 0

    def test_the_audit_row_tells_the_same_as_the_record(self) -> None:
        record = run_with(MIXED)
        audit = warehouse_rows(
            "SELECT batch_id, records_processed, records_successful, records_failed, error_message FROM enrichment_audit"
        )
        assert [(str(audit[0][0]), *audit[0][1:])] == [(record.batch_id, 5, 2, 3, None)]

    def test_the_summary_tells_rows_quality_and_seconds(self, capsys: pytest.CaptureFixture[str]) -> None:
        write_customers(Path("data/customers.csv"), [customer(n) for n in range(1, 21)])
        code = cli.main(["run", "--quiet"])
        shown = capsys.readouterr().out
        assert code in (0, 10)
        assert "20 read = 20 loaded + 0 quarantined" in shown
        assert "quality  " in shown
        assert "validate 0." in shown


@pytest.mark.usefixtures("project")
class TestARunThatCanNotGoOn:
    def test_too_many_rejects_stop_before_anything_is_loaded(self) -> None:
        record = run_with(MIXED, **{"quality.rejects_stop": "0.5"})
        assert (record.outcome, record.exit_code, record.fault and record.fault.runbook) == ("failed", 5, "too-many-rejects")
        assert (record.rows.loaded, record.rows.quarantined, record.rows.held_back) == (0, 3, 2)
        assert warehouse_rows("SELECT count(*) FROM customer_enriched") == [(0,)]

    def test_a_share_between_warn_and_stop_loads_and_warns(self) -> None:
        record = run_with([*(customer(n) for n in range(1, 20)), customer(20, email="x")], **{"quality.rejects_warn": "0.04"})
        assert (record.outcome, record.exit_code) == ("warnings", 10)
        assert any("rejects_warn" in warning for warning in record.warnings)

    def test_bad_input_is_recorded_and_audited(self) -> None:
        Path("data/customers.csv").write_text("id,name\n", encoding="utf-8")
        record = run(config.load(), quiet=True)
        assert (record.outcome, record.exit_code) == ("failed", 3)
        assert warehouse_rows("SELECT error_message FROM enrichment_audit")[0][0] == record.fault.message  # type: ignore[union-attr]
        assert read_record(Path("runs/latest.json")).run_id == record.run_id

    def test_a_warehouse_that_is_none_is_recorded(self) -> None:
        Path("warehouse").mkdir()
        Path("warehouse/handover.duckdb").write_text("no database" * 999, encoding="utf-8")
        record = run_with(MIXED)
        assert (record.exit_code, record.fault and record.fault.error_class) == (4, "WarehouseError")

    def test_an_unexpected_error_names_its_place_and_quotes_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: object) -> None:
            raise RuntimeError("row of Wrenna Hollisk")

        monkeypatch.setattr("etl.transform.score", broken)
        record = run_with(MIXED)
        assert (record.exit_code, record.outcome) == (1, "failed")
        assert record.fault is not None
        assert record.fault.message.startswith("Unexpected, at etl/transform.py:")
        assert "Wrenna" not in record.model_dump_json()
        assert "Wrenna" not in log_path(Path("runs") / record.run_id).read_text(encoding="utf-8")

    def test_a_run_stopped_by_hand_is_recorded_as_that(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def stopped(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("etl.transform.score", stopped)
        record = run_with(MIXED)
        assert (record.outcome, record.exit_code) == ("interrupted", 130)
        assert warehouse_rows("SELECT count(*) FROM enrichment_audit") == [(1,)]

    def test_a_failure_in_a_later_batch_keeps_the_batches_before(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from etl import transform

        real, calls = transform.score, []

        def fails_at_third(*arguments: object) -> object:
            calls.append(1)
            if len(calls) == 3:
                raise RuntimeError
            return real(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr("etl.transform.score", fails_at_third)
        record = run_with([customer(n) for n in range(1, 6)], **{"input.batch_size": "1"})
        assert (record.rows.read, record.rows.loaded, record.rows.held_back) == (2, 2, 0)
        assert warehouse_rows("SELECT count(*) FROM customer_enriched") == [(2,)]
        monkeypatch.undo()

    def test_a_file_with_a_header_only_is_a_warning(self) -> None:
        record = run_with([])
        assert (record.outcome, record.rows.read, record.warnings) == ("warnings", 0, ("the input held no rows",))


@pytest.mark.usefixtures("project")
class TestTheLog:
    def test_each_line_is_json_with_time_level_and_run(self) -> None:
        record = run_with(MIXED)
        lines = [json.loads(line) for line in log_path(Path("runs") / record.run_id).read_text(encoding="utf-8").splitlines()]
        assert {line["run_id"] for line in lines} == {record.run_id}
        assert all(line["timestamp"].endswith("Z") and line["level"] == "info" for line in lines)
        assert [line["stage"] for line in lines if line["event"] == "stage ended"] == [stage.name for stage in STAGES]

    def test_no_value_of_a_row_is_in_record_or_log(self) -> None:
        record = run_with(MIXED)
        folder = Path("runs") / record.run_id
        for path in (folder / "run.json", log_path(folder)):
            text = path.read_text(encoding="utf-8")
            assert not any(value in text for value in ("Wrenna", "Hollisk", "hollisk.example", "7946 0", "M1 1AF"))


ROWS = st.lists(
    st.builds(
        customer, st.integers(1, 8), email=st.sampled_from(["a@b.example", "x"]), status=st.sampled_from(["active", "gone", ""])
    ),
    max_size=15,
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, batch_size=st.integers(1, 6))
@pytest.mark.usefixtures("project")
def test_each_row_of_any_file_is_found_in_exactly_one_place(rows: list[dict[str, str]], batch_size: int) -> None:
    Path("warehouse/handover.duckdb").unlink(missing_ok=True)
    record = run_with(rows, **{"input.batch_size": str(batch_size)})
    assert record.rows.read == record.rows.loaded + record.rows.quarantined == len(rows)
    rejected = {row.line for row in Quarantine(Path("runs") / record.run_id).rows()}
    loaded = {row[0] for row in warehouse_rows("SELECT customer_id FROM customer_enriched")}
    kept = [int(row["customer_id"]) for line, row in enumerate(rows, 2) if line not in rejected]
    assert sorted(kept) == sorted(loaded)
