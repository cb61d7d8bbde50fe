"""Health: each part that a run depends on is looked at for real, and says what to do when it is not well."""

import json
import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from etl import cli, config
from etl.errors import ERROR_CLASSES
from etl.failures import FAILURES
from etl.health import CHECKS, check_health, exit_code
from etl.health_log import BEFORE_RUN, read_checks
from etl.pipeline import run
from etl.record import ComponentRecord, write_record
from etl.warehouse import open_warehouse
from tests.customers import customer, write_customers
from tests.records import make_record


@pytest.fixture
def ready(project: Path) -> Path:
    write_customers(project / "data/customers.csv", [customer(n) for n in range(1, 21)])
    return project


def state_of(name: str, **overrides: str) -> ComponentRecord:
    loaded = config.load(overrides={"warehouse.lock_timeout": "0", **overrides})
    return {one.name: one for one in check_health(loaded, datetime.now(UTC)).components}[name]


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.usefixtures("ready")
class TestTheCommand:
    def test_all_is_well(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["health"]) == 0
        shown = capsys.readouterr().out
        assert all(name in shown for name in (*CHECKS, "warehouse"))
        assert "FAIL" not in shown

    def test_monitors_get_one_json_object(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["health", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert {one["name"]: one["state"] for one in told["components"]} == {
            "settings": "ok", "input": "ok", "references": "ok", "disk": "ok", "clock": "ok", "postcodes": "off",
            "companies": "off", "mail": "off", "warehouse": "ok",
        }  # fmt: skip

    def test_the_exit_code_is_that_of_the_failure(self, capsys: pytest.CaptureFixture[str]) -> None:
        Path("data/customers.csv").unlink()
        assert cli.main(["health"]) == 3
        shown = capsys.readouterr().out
        assert "Place the file there or name another with --input" in shown
        assert "Runbook: input-unusable" in shown

    def test_every_look_is_remembered(self) -> None:
        Path("runs").mkdir()
        cli.main(["health"])
        cli.main(["health"])
        assert [len(one.components) for one in read_checks(Path("runs"))] == [len(CHECKS) + 1] * 2

    def test_looking_writes_no_customer_and_no_audit_row(self) -> None:
        cli.main(["health"])
        with duckdb.connect("warehouse/handover.duckdb", read_only=True) as connection:
            counts = connection.execute(
                "SELECT (SELECT count(*) FROM customer_enriched), (SELECT count(*) FROM enrichment_audit), "
                "(SELECT count(*) FROM pipeline_checkpoint)"
            ).fetchall()
        assert counts == [(0, 0, 0)]


def old_input() -> dict[str, str]:
    moment = (datetime.now(UTC) - timedelta(hours=30)).timestamp()
    os.utime("data/customers.csv", (moment, moment))
    return {}


def more_columns() -> dict[str, str]:
    write_customers(Path("data/customers.csv"), [customer() | {"loyalty": "x"}])
    return {}


def clock_behind() -> dict[str, str]:
    write_record(make_record((datetime.now(UTC) - make_record().started_at).days + 3), Path("runs"))
    return {}


def drifted() -> dict[str, str]:
    with open_warehouse(config.load().values.warehouse) as warehouse:
        warehouse.prepare()
        warehouse.execute("ALTER TABLE customer_enriched DROP COLUMN industry")
    return {}


def no_database() -> dict[str, str]:
    Path("warehouse").mkdir()
    Path("warehouse/handover.duckdb").write_text("none" * 9999, encoding="utf-8")
    return {}


def no_reference() -> dict[str, str]:
    Path("data/reference/companies.csv").unlink()
    return {}


def dead_service() -> dict[str, str]:
    return {"services.postcodes_url": f"http://127.0.0.1:{closed_port()}", "services.cache_age": "0"}


def dead_mail() -> dict[str, str]:
    return {"mail.host": "127.0.0.1", "mail.port": str(closed_port()), "mail.security": "none"}


UNWELL: list[tuple[Callable[[], dict[str, str]], str, str, str]] = [
    (old_input, "input", "warning", "late-file"),
    (more_columns, "input", "warning", "input-unusable"),
    (clock_behind, "clock", "warning", "unexpected-error"),
    (drifted, "warehouse", "failed", "schema-drift"),
    (no_database, "warehouse", "failed", "warehouse-unavailable"),
    (no_reference, "references", "failed", "reference-unusable"),
    (dead_service, "postcodes", "warning", "service-down"),
    (dead_mail, "mail", "warning", "alert-not-sent"),
]


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize(("provoke", "name", "state", "runbook"), UNWELL, ids=[one[0].__name__ for one in UNWELL])
def test_what_is_not_well_is_told_with_advice_and_a_runbook_section(
    provoke: Callable[[], dict[str, str]], name: str, state: str, runbook: str
) -> None:
    found = state_of(name, **provoke())
    assert (found.state, found.runbook) == (state, runbook), found.told
    assert found.advice
    assert runbook in {one.id for one in FAILURES}
    assert found.exit_code in ({one.exit_code for one in ERROR_CLASSES} if state == "failed" else {0})


@pytest.mark.usefixtures("ready")
def test_a_run_under_way_is_no_failure_of_the_warehouse() -> None:
    with open_warehouse(config.load().values.warehouse):
        found = state_of("warehouse")
    assert (found.state, found.runbook) == ("warning", "two-runs-at-once")


@pytest.mark.usefixtures("ready")
def test_too_little_room_fails_before_a_row_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from etl import health

    monkeypatch.setattr(health, "TIMES_INPUT", 10**18)  # a disk that is full for this input
    assert (state_of("disk").state, state_of("disk").runbook) == ("failed", "disk-full")
    record = run(config.load(), quiet=True)
    assert (record.exit_code, record.rows.read, record.fault and record.fault.runbook) == (7, 0, "disk-full")


@pytest.mark.usefixtures("ready")
def test_a_run_looks_before_it_reads_and_records_it() -> None:
    record = run(config.load(), quiet=True)
    assert {one.name for one in record.health} == {*BEFORE_RUN, "warehouse"}
    assert exit_code(record.health) == 0
    assert len(list(read_checks(Path("runs")))) == 1


def test_the_worst_component_gives_the_exit_code() -> None:
    def component(state: str, code: int = 0) -> ComponentRecord:
        return ComponentRecord(name="x", state=state, told="", advice="", runbook="", exit_code=code, seconds=0)  # type: ignore[arg-type]

    assert exit_code((component("ok"), component("off"))) == 0
    assert exit_code((component("ok"), component("warning"))) == 10
    assert exit_code((component("warning"), component("failed", 4), component("failed", 3))) == 4
