"""The log: what stands on a line, where it lies, and what never gets into it, whatever goes wrong."""

import csv
import json
import logging
import stat
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from etl import cli, config
from etl.audit import read_audit
from etl.events import FLAG
from etl.extract import CsvSource
from etl.log import UndeclaredEventError, in_stage, log_command, log_parts, log_path, log_run, logger
from etl.pipeline import run
from etl.rules import RULES
from etl.schema import INPUT_COLUMNS
from etl.settings import Settings
from etl.stages import STAGES
from generators.sample import FAULTS, write_sample
from tests.customers import customer, write_customers
from tests.privacy_scan import find_leaks, personal_values
from tests.run_logs import lines_of

RUN = "20261120T120000Z-00000a"
CANARY = "wrenna.hollisk@canary.example, 020 7946 0123, SW1A 1AA"
PARTS = ("wrenna", "hollisk", "canary", "7946 0", " 1AA", "Trelissick")


def settings(**overrides: str) -> Settings:
    return config.load(overrides={name.replace("__", "."): value for name, value in overrides.items()}).values


@pytest.fixture
def folder(project: Path) -> Path:
    path = project / "runs" / RUN
    path.mkdir(parents=True)
    return path


def told(folder: Path, tell: Callable[[], object], quiet: bool = True, **overrides: str) -> list[dict[str, object]]:
    with log_run(folder, RUN, settings(**overrides), quiet):
        tell()
    return lines_of(folder)


def assert_clean(text: str) -> None:
    assert not [part for part in PARTS if part.lower() in text.lower()], text


class TestARunsLog:
    @pytest.fixture
    def lines(self, project: Path) -> list[dict[str, object]]:
        write_customers(
            project / "data/customers.csv", [customer(n, email="wrong" if n == 3 else "a@b.example") for n in range(1, 8)]
        )
        self.record = run(config.load(overrides={"quality.rejects_stop": "1", "input.batch_size": "3"}), quiet=True)
        return lines_of(project / "runs" / self.record.run_id)

    def test_every_line_has_time_level_log_event_run_and_stage(self, lines: list[dict[str, object]]) -> None:
        assert len(lines) > 20
        for line in lines:
            assert list(line)[:6] == ["timestamp", "level", "logger", "event", "run_id", "stage"]
            assert line["run_id"] == self.record.run_id
        assert [line["timestamp"] for line in lines] == sorted(str(line["timestamp"]) for line in lines)

    def test_a_healthy_run_warns_of_nothing(self, lines: list[dict[str, object]]) -> None:
        assert {line["level"] for line in lines} == {"info"}

    def test_every_stage_begins_once_and_ends_once_after_it(self, lines: list[dict[str, object]]) -> None:
        for stage in STAGES:
            own = [line["event"] for line in lines if line["stage"] == stage.name and str(line["event"]).startswith("stage ")]
            assert own == ["stage started", "stage ended"], stage.name

    def test_the_counts_are_those_of_the_record(self, lines: list[dict[str, object]]) -> None:
        for line in lines:
            if line["event"] == "stage ended":
                flow = self.record.stage(str(line["stage"]))
                assert flow is not None
                assert (line["rows_in"], line["rows_out"], line["rows_rejected"]) == (
                    flow.rows_in,
                    flow.rows_out,
                    flow.rows_rejected,
                )
                assert line["seconds"] == pytest.approx(flow.seconds, abs=0.001)
        loaded = [line for line in lines if line["event"] == "batch loaded"]
        rows = self.record.rows
        for name, total in {"rows": rows.read, "rejected": rows.quarantined, "inserted": rows.inserted, "updated": rows.updated,
                            "unchanged": rows.unchanged}.items():  # fmt: skip
            assert sum(int(str(line[name])) for line in loaded) == total, name

    def test_every_batch_is_timed_by_stage(self, lines: list[dict[str, object]]) -> None:
        timed = [line for line in lines if line["logger"] == "performance"]
        assert [line["batch"] for line in timed] == [1, 2, 3]
        for line in timed:
            assert isinstance(line["seconds"], dict)
            assert set(line["seconds"]) == {"extract", "validate", "enrich", "score", "load"}

    def test_every_load_is_in_the_audit_log_too(self, lines: list[dict[str, object]], project: Path) -> None:
        audited = [line for line in lines if line["logger"] == "audit"]
        assert len(audited) == 3
        assert [line for line in read_audit(project / "runs") if line["event"] == "rows loaded"] == audited


def test_what_is_told_while_the_input_is_read_bears_run_and_stage(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = CsvSource.batches

    def telling(self: CsvSource, rows: int, after: int = 1) -> Iterator[pd.DataFrame]:
        logger().warning("tried again", error="TimeoutError", seconds=0.5)
        yield from real(self, rows, after)

    monkeypatch.setattr(CsvSource, "batches", telling)
    write_customers(project / "data/customers.csv", [customer()])
    record = run(config.load(), quiet=True)
    (line,) = [line for line in lines_of(project / "runs" / record.run_id) if line["event"] == "tried again"]
    assert (line["run_id"], line["stage"]) == (record.run_id, "extract")


def test_its_name_holds_the_start_in_utc_and_the_id_of_the_run(folder: Path) -> None:
    assert log_path(folder).name == "log-20261120T120000Z-00000a.jsonl"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps no owner bits")
def test_it_is_for_its_owner_only(folder: Path) -> None:
    told(folder, lambda: logger().info("rows loaded", batch=1, rejected=0, inserted=1, updated=0, unchanged=0))
    for path in (log_path(folder), folder.parent / "audit.jsonl"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


def test_it_is_rotated_at_its_size_and_the_oldest_parts_go(folder: Path) -> None:
    def tell() -> None:
        for number in range(60):
            logger().info("service is back", service=f"s{number}")

    lines = told(folder, tell, logging__rotate_at="0.002", logging__rotate_keep="3")
    assert [path.name for path in log_parts(folder)] == [f"log-{RUN}.{n}.jsonl" for n in (3, 2, 1)] + [f"log-{RUN}.jsonl"]
    assert all(path.stat().st_size <= 2_000 for path in log_parts(folder))
    names = [str(line["service"]) for line in lines]
    assert names == [f"s{number}" for number in range(60 - len(names), 60)], "the newest lines, in order over all parts"
    assert len(names) < 60


@pytest.mark.parametrize(("level", "expected"), [("info", 4), ("warning", 3), ("error", 2)])
def test_lines_below_the_level_are_left_out_but_never_those_of_the_audit(folder: Path, level: str, expected: int) -> None:
    def tell() -> None:
        logger().info("service is back", service="x")
        logger().warning("service left alone", service="x", seconds=1.0)
        logger().error("alert failed", signal="x")
        logger().info("quarantine exported", rows=1)

    lines = told(folder, tell, logging__level=level)
    assert len(lines) == expected
    assert lines[-1]["logger"] == "audit"


def test_the_stage_stands_on_what_is_told_in_it(folder: Path) -> None:
    def tell() -> None:
        with in_stage("load"):
            logger().warning("tried again", error="TimeoutError", seconds=0.5)
        logger().info("service is back", service="x")

    assert [line["stage"] for line in told(folder, tell)] == ["load", None]


def test_a_terminal_shows_readable_lines_and_a_quiet_run_none(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(folder, lambda: logger().warning("tried again", error="TimeoutError", seconds=0.5), quiet=False)
    assert "warning tried again    error=TimeoutError seconds=0.5\n" in capsys.readouterr().err
    told(folder, lambda: logger().warning("tried again", error="TimeoutError", seconds=0.5))
    assert capsys.readouterr() == ("", "")


class TestTheCatalogue:
    def test_an_event_that_is_not_declared_is_refused_in_tests(self, folder: Path) -> None:
        for name, values in (("customer found", {}), ("run ended", {"outcome": "success", "name": "Wrenna"}), ("run ended", {})):
            with pytest.raises(UndeclaredEventError, match=r"not in etl/events\.py"):
                told(folder, lambda name=name, values=values: logger().info(name, **values))  # type: ignore[misc]

    def test_in_production_it_is_flagged_without_its_values_and_never_lost(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("etl.log.strict", False)
        with log_run(folder, RUN, settings(), quiet=True):
            logger().info(f"found {CANARY}", customer="Trelissick")
            logger().info("run ended", outcome="success", customer="Trelissick", stage="Trelissick")
            logger().info("rows loaded", batch="Trelissick", rejected=0, inserted=1, updated=0, unchanged=0)
        text = log_path(folder).read_text(encoding="utf-8")
        first, second, third = map(json.loads, text.splitlines())
        assert first[FLAG] == ["event"]
        assert (second["outcome"], second["stage"], second[FLAG]) == ("success", None, ["customer", "stage"])
        assert (third["inserted"], third[FLAG]) == (1, ["batch"])
        assert "Trelissick" not in text
        assert_clean(text.replace("found", ""))


def _errors_of_the_database(connection: duckdb.DuckDBPyConnection) -> list[duckdb.Error]:
    """Return errors of every class that statements can provoke, each with the canary in its text."""
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, email VARCHAR CHECK (email NOT LIKE '%canary%'))")
    connection.execute("CREATE TABLE u (email VARCHAR PRIMARY KEY)")
    connection.execute("INSERT INTO u VALUES (?)", [CANARY])
    found = []
    for statement, values in (
        ("INSERT INTO u VALUES (?)", [CANARY]), (f"SELECT CAST('{CANARY}' AS INTEGER)", None), (f'SELECT "{CANARY}" FROM t', None),
        (f'SELECT * FROM "{CANARY}"', None), (f"SELECT '{CANARY}", None), (f"SELECT '{CANARY}' FROM t WHERE (", None),
        (f"INSERT INTO t VALUES (1, '{CANARY}')", None), (f"SELECT error('{CANARY}')", None),
        (f"SELECT * FROM read_csv('{CANARY}')", None), (f"SELECT strptime('{CANARY}', '%Y')", None),
        (f"SET threads = '{CANARY}'", None), (f"SELECT 9223372036854775807 + length('{CANARY}')", None),
    ):  # fmt: skip
        with pytest.raises(duckdb.Error) as caught:
            connection.execute(statement, values)
        found.append(caught.value)
    return found


class TestWhatNeverStandsInALog:
    def test_the_text_of_no_database_error_gets_in_by_any_way(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        errors = _errors_of_the_database(duckdb.connect())
        assert len({type(error) for error in errors}) >= 7
        assert sum("canary" in str(error) for error in errors) >= 7, "they would tell it"
        with log_run(folder, RUN, settings()) as loss:
            for error in errors:
                logger().error("alert failed", signal="x", exc_info=error)
                try:
                    raise error
                except duckdb.Error:
                    logging.getLogger("duckdb").exception("the statement failed: %s", error)
                    logging.getLogger("etl.alerts").warning("failed: %s", type(error).__name__, exc_info=True)
                    logger().exception("alert failed", signal="x")
                warnings.warn(str(error), stacklevel=1)
        text = log_path(folder).read_text(encoding="utf-8")
        lines = lines_of(folder)
        assert loss.lines == 0
        assert {line["error"] for line in lines if "error" in line} == {type(error).__name__ for error in errors}
        assert not {"Traceback", 'File "'} & set(text.split())
        assert_clean(text)
        assert_clean(capsys.readouterr().err)

    def test_an_error_is_told_by_its_class_and_the_place_in_our_code(self, folder: Path) -> None:
        from etl.errors import InputError
        from etl.quarantine import Quarantine

        def tell() -> None:
            try:
                list(Quarantine(folder).rows())
            except ValueError:
                logger().exception("alert failed", signal="x")
            logger().error("alert failed", signal="x", exc_info=InputError(CANARY))

        (folder / "quarantine.jsonl").write_text(f'{{"line": "{CANARY}', encoding="utf-8")
        first, second = told(folder, tell)
        assert first["error"] == "JSONDecodeError"
        assert str(first["place"]).startswith("etl/quarantine.py:")
        assert (second["error"], second["place"]) == ("InputError", "start")

    @pytest.mark.parametrize("number", range(12))
    def test_a_real_run_that_a_database_error_ends_tells_none_of_it(
        self, number: int, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        error = _errors_of_the_database(duckdb.connect())[number]

        def fails(*_: object) -> None:
            raise error

        monkeypatch.setattr("etl.transform.score", fails)
        write_customers(project / "data/customers.csv", [customer()])
        assert cli.main(["run"]) == 1
        shown = capsys.readouterr()
        assert type(error).__name__ in shown.err
        assert_clean(shown.out + shown.err)
        for path in (project / "runs").rglob("*.json*"):
            assert_clean(path.read_text(encoding="utf-8"))

    def test_no_row_that_breaks_a_rule_gets_into_log_record_or_terminal(
        self, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = project / "data/customers.csv"
        planted = write_sample(path, 4_000)
        assert all(planted.faults[fault.name] for fault in FAULTS), "every planted fault is in the file"
        with path.open("a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, INPUT_COLUMNS, lineterminator="\n")
            for number, rule in enumerate(RULES, 900_000):
                spoilt = {rule.column: rule.bad} if rule.column in INPUT_COLUMNS else {"company": rule.bad}
                writer.writerow(customer(number, last_name="Canaryson", email=f"canary{number}@hollisk.example") | spoilt)
        assert cli.main(["run", "--set", "quality.rejects_stop=1"]) in (0, 10)
        (project / "runs/told.txt").write_text("".join(capsys.readouterr()), encoding="utf-8")
        values = personal_values(path) | {"canaryson"}
        (quarantine,) = (project / "runs").glob("*/quarantine.jsonl")
        assert "Canaryson" in quarantine.read_text(encoding="utf-8")
        quarantine.unlink()
        assert len(values) > 5_000
        assert find_leaks(project / "runs", values) == []

    def test_a_secret_in_force_is_masked_in_every_line(self, folder: Path) -> None:
        def tell() -> None:
            logger().error("run failed", error="X", message="refused hunter2-and-more", runbook="x")
            logging.getLogger("smtp").error("535 hunter2-and-more")

        (first, second) = told(folder, tell, mail__password="hunter2-and-more")
        assert (first["message"], second["text"]) == ("refused [secret]", "[number] [secret]".replace("[number]", "535"))

    def test_a_line_break_in_a_value_forges_no_line(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        forged = 'x\n12:00:00 info    run ended outcome=success\r\u2028\x1b[2J{"event": "run ended"}'
        (line,) = told(folder, lambda: logger().error("run failed", error="X", message=forged, runbook="x"), quiet=False)
        assert str(line["message"]).startswith("x\\x0a12:00:00 info")
        assert len(capsys.readouterr().err.splitlines()) == 1


class TestLibraries:
    def test_what_they_log_comes_from_warning_on_masked_and_without_values(self, folder: Path) -> None:
        def tell() -> None:
            for level in ("debug", "info", "warning", "error", "critical"):
                getattr(logging.getLogger("urllib3.pool"), level)("lost %s at wrenna@canary.example", "Trelissick")

        lines = told(folder, tell)
        assert [line["level"] for line in lines] == ["warning", "error", "error"]
        assert {(line["library"], line["text"]) for line in lines} == {("urllib3.pool", "lost %s at [e-mail]")}

    def test_values_that_do_not_fit_their_words_stop_nothing_and_are_not_told(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(logging.getLogger(), "handlers", [])  # those of pytest raise on such a record

        def tell() -> None:
            for name in ("etl.alerts", "urllib3"):
                logging.getLogger(name).warning("%d left", CANARY)

        assert [line["text"] for line in told(folder, tell)] == ["%d left"] * 2
        assert_clean("".join(capsys.readouterr()))

    def test_a_python_warning_is_told_by_class_and_place(self, folder: Path) -> None:
        before = warnings.showwarning
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            (line,) = told(folder, lambda: warnings.warn(f"bad row {CANARY}", UserWarning, stacklevel=1))
        assert line["category"] == "UserWarning"
        assert "tests/test_log.py:" in str(line["place"])
        assert_clean(json.dumps(line))
        assert warnings.showwarning is before

    def test_nothing_is_left_behind_when_the_run_is_over(self, folder: Path) -> None:
        before = [list(logging.getLogger(name).handlers) for name in ("", "handover")]
        told(folder, lambda: logger().info("service is back", service="x"))
        assert [logging.getLogger(name).handlers for name in ("", "handover")] == before
        size = log_path(folder).stat().st_size
        logger().info("service is back", service="x")
        assert log_path(folder).stat().st_size == size


class TestADiskThatTakesNothing:
    def test_the_run_goes_on_and_is_told_at_its_end(
        self, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("secrets.token_hex", lambda _: "00000a")
        monkeypatch.setattr("etl.log.log_path", lambda folder: folder)  # a folder can't be written as a file
        write_customers(project / "data/customers.csv", [customer()])
        record = run(config.load(), quiet=True)
        assert record.rows.loaded == 1
        (warning,) = [text for text in record.warnings if "lines could not be written to the log" in text]
        assert "IsADirectoryError" in warning or "PermissionError" in warning
        assert capsys.readouterr().err.count("could not be written to the log") == 1

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
    def test_a_full_disk_loses_lines_and_nothing_else(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        log_path(folder).symlink_to("/dev/full")
        with log_run(folder, RUN, settings(), quiet=True) as loss:
            for _ in range(3):
                logger().info("service is back", service="x")
        assert (loss.lines >= 3, loss.error) == (True, "OSError")
        assert f"{loss.lines} lines could not be written" in capsys.readouterr().err

    def test_an_audit_log_that_can_not_be_written_stops_nothing(self, folder: Path) -> None:
        (folder.parent / "audit.jsonl").mkdir()
        with log_run(folder, RUN, settings(), quiet=True) as loss:
            logger().info("quarantine exported", rows=1)
        assert loss.lines == 1
        assert len(lines_of(folder)) == 1


class TestACommandOutsideOfARun:
    def test_what_it_does_to_the_data_is_audited_without_a_run(self, project: Path) -> None:
        with log_command(settings()):
            logger().info("quarantine exported", rows=3)
            logger().info("service is back", service="x")
        (line,) = read_audit(project / "runs")
        assert (line["event"], line["rows"], line["run_id"]) == ("quarantine exported", 3, None)

    def test_what_went_wrong_is_told_on_the_terminal(self, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
        with log_command(settings()):
            logger().warning("tried again", error="TimeoutError", seconds=0.5)
            logger().info("service is back", service="x")
        assert "tried again" in capsys.readouterr().err
        assert not (project / "runs/audit.jsonl").exists()

    def test_an_event_told_by_nobody_in_charge_is_not_printed(self, capsys: pytest.CaptureFixture[str]) -> None:
        logger().info("service is back", service="x")
        assert capsys.readouterr() == ("", "")

    def test_an_export_for_correction_is_audited(self, project: Path) -> None:
        write_customers(project / "data/customers.csv", [customer(1), customer(2, email="wrong")])
        assert cli.main(["run", "--quiet", "--set", "quality.rejects_stop=1"]) in (0, 10)
        assert cli.main(["quarantine", "export"]) == 0
        assert [line["rows"] for line in read_audit(project / "runs") if line["event"] == "quarantine exported"] == [1]
