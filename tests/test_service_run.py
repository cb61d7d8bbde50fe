"""Whole runs with live services on this machine: a service that fails degrades a run, it never loses a row or a run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from etl import config
from etl.log import log_path
from etl.pipeline import run
from etl.record import RunRecord, read_record
from tests.conftest import ROOT
from tests.customers import customer, write_customers
from tests.service_server import ServiceServer
from tests.service_world import pauses, server
from tests.test_pipeline import warehouse_rows

__all__ = ["pauses", "server"]
ROWS = [
    customer(1),
    customer(2, postcode="CF10 2HH", company="TechCorp Ltd"),
    customer(3, postcode="M2 9ZZ"),
    customer(4, postcode="BX1 1LT", company="Nobody Heard Of"),
    customer(5, postcode=""),
    customer(6),
]
DOWN = "http://127.0.0.1:1"
pytestmark = pytest.mark.usefixtures("project", "pauses")


def run_with(url: str, rows: list[dict[str, str]] | None = None, both: bool = True, **overrides: str) -> RunRecord:
    write_customers(Path("data/customers.csv"), rows or ROWS)
    addresses = {"services.postcodes_url": url} | ({"services.companies_url": url} if both else {})
    return run(config.load(overrides={**addresses, **overrides}), quiet=True)


def column(name: str) -> list[object]:
    return [row[0] for row in warehouse_rows(f"SELECT {name} FROM customer_enriched ORDER BY customer_id")]


def log_of(record: RunRecord) -> str:
    return log_path(Path("runs") / record.run_id).read_text(encoding="utf-8")


def test_places_and_companies_come_from_the_services(server: ServiceServer) -> None:
    record = run_with(server.url)
    assert record.enrichment == {"postcodes": {"live": 3, "unknown": 2}, "companies": {"live": 1, "unknown": 1}}
    assert column("district") == ["Manchester Central", "Cardiff Central", None, None, None, "Manchester Central"]
    assert column("industry")[1] == "Technology"
    assert record.rules["postcode.asked"].model_dump() == {"applicable": 5, "violations": 0}
    assert record.rules["postcode.known"].model_dump() == {"applicable": 5, "violations": 2}


def test_a_company_that_only_the_register_knows_has_no_domain_to_agree_with(server: ServiceServer) -> None:
    server.behaviour.companies = [{"title": "Zubrik Works", "company_status": "active", "date_of_creation": "2001-02-03"}]
    record = run_with(server.url, [customer(1, company="Zubrik Works"), customer(2, company="TechCorp Ltd")])
    assert record.enrichment["companies"] == {"live": 2}
    assert record.rules["company.email_domain"].applicable == 1


def test_a_service_is_told_distinct_keys_and_nothing_else_of_a_customer(server: ServiceServer) -> None:
    run_with(server.url)
    asked = [key for request in server.log if request.method == "POST" for key in request.keys]
    assert sorted(asked) == ["BX1 1LT", "CF10 2HH", "M1 1AF", "M2 9ZZ"]
    for request in server.log:
        sent = f"{request.path} {request.body!r} {request.headers}"
        assert not any(value in sent for value in ("Wrenna", "Hollisk", "hollisk.example", "7946 0"))
        assert request.method == "GET" or list(json.loads(request.body)) == ["postcodes"]


def test_the_figures_of_the_record_are_those_of_the_servers_log(server: ServiceServer) -> None:
    server.fail("unavailable", "throttled", "broken")
    record = run_with(server.url)
    postcodes, companies = record.services["postcodes"], record.services["companies"]
    searches = [request for request in server.log if request.path.startswith("/search")]
    assert postcodes.calls + companies.calls == len(server.log)
    assert companies.calls == companies.succeeded == len(searches) == 2
    assert postcodes.failed == {"contract": 1, "throttled": 1, "unavailable": 1}
    assert postcodes.succeeded == server.outcomes()["ok"] - len(searches)
    assert (postcodes.retries, postcodes.keys_asked, postcodes.keys_failed) == (3, 4, 0)
    assert postcodes.p50 is not None
    assert postcodes.p50 <= (postcodes.p95 or 0) <= (postcodes.p99 or 0)
    assert not any("service" in warning for warning in record.warnings), "what was answered in the end is no warning"


def test_a_dead_service_degrades_the_run_and_the_next_run_takes_live_data(server: ServiceServer) -> None:
    server.behaviour.always = "drop"
    dead = run_with(server.url)
    assert (dead.outcome, dead.rows.loaded) == ("warnings", 6)
    assert dead.enrichment == {"postcodes": {"failed": 1, "reference": 4}, "companies": {"failed": 1, "reference": 1}}
    assert column("district")[:2] == ["Manchester", "Cardiff"]
    assert column("geo_enriched") == [True, True, True, False, False, True]
    assert column("data_source")[3] == "csv, postcode: failed, company: failed"
    assert column("enrichment_status")[3] == "none"
    assert dead.rules["postcode.asked"].model_dump() == {"applicable": 5, "violations": 5}
    assert dead.rules["company.asked"].model_dump() == {"applicable": 2, "violations": 2}
    assert dead.rules["postcode.known"].model_dump() == {"applicable": 4, "violations": 0}, "what failed was not judged"
    assert dead.rules["company.known"].model_dump() == {"applicable": 1, "violations": 0}
    assert any("the service for postcodes did not answer for 4 of 4 keys" in warning for warning in dead.warnings)

    server.behaviour.always = None
    back = run_with(server.url)
    assert not any("service" in warning for warning in back.warnings)
    assert column("district")[:2] == ["Manchester Central", "Cardiff Central"]
    assert back.rows.updated == 5
    assert back.enrichment["postcodes"] == {"live": 3, "unknown": 2}


def test_nobody_listening_loads_all_rows() -> None:
    record = run_with(DOWN)
    assert (record.outcome, record.rows.loaded) == ("warnings", 6)
    assert set(record.services["postcodes"].failed) == {"connection"}


def test_a_second_run_asks_nothing_and_changes_nothing(server: ServiceServer) -> None:
    run_with(server.url)
    asked = len(server.log)
    second = run_with(server.url)
    assert len(server.log) == asked
    assert second.enrichment == {"postcodes": {"cache": 3, "unknown": 2}, "companies": {"cache": 1, "unknown": 1}}
    assert second.rows.unchanged == 6
    assert second.services["postcodes"].keys_cached == 4
    assert (second.services["postcodes"].calls, second.services["postcodes"].p50) == (0, None)
    assert column("data_source")[0] == "csv, postcode: live"


def test_the_cache_answers_while_the_service_is_down(server: ServiceServer) -> None:
    run_with(server.url)
    server.behaviour.always = "unavailable"
    record = run_with(server.url, [*ROWS, customer(7, postcode="EH1 1AA")])
    assert record.enrichment["postcodes"] == {"cache": 3, "reference": 1, "unknown": 2}
    assert record.rules["postcode.asked"].violations == 1


def test_an_expired_cache_asks_again(server: ServiceServer) -> None:
    run_with(server.url, both=False)
    asked = len(server.log)
    record = run_with(server.url, both=False, **{"services.cache_age": "1e-9"})
    assert len(server.log) == 2 * asked
    assert record.enrichment["postcodes"] == {"live": 3, "unknown": 2}


def test_a_damaged_cache_is_rebuilt_and_the_run_goes_through(server: ServiceServer) -> None:
    run_with(server.url)
    asked = len(server.log)
    Path("warehouse/services.sqlite").write_bytes(b"no database at all " * 400)
    record = run_with(server.url)
    assert (len(server.log), record.rows.unchanged) == (2 * asked, 6)
    assert '"cache set aside"' in log_of(record)
    third = run_with(server.url)
    assert (len(server.log), third.services["postcodes"].calls) == (2 * asked, 0)


def test_when_the_breaker_is_open_the_rest_of_a_run_asks_no_more(server: ServiceServer) -> None:
    server.behaviour.always = "unavailable"
    rows = [customer(n, company=f"Nobody {n}") for n in range(1, 101)]
    settings = {"services.attempts": "1", "services.concurrency": "1", "input.batch_size": "20"}
    record = run_with(server.url, rows, **settings, **{"services.postcodes_url": ""})
    companies = record.services["companies"]
    assert (companies.calls, companies.refused, companies.breaker_openings) == (5, 95, 1)
    assert record.rows.loaded == 100
    events = [json.loads(line) for line in log_of(record).splitlines()]
    opened = [event for event in events if event["event"] == "service left alone"]
    assert [(event["service"], event["run_id"]) for event in opened] == [("companies", record.run_id)]


def test_how_rows_are_cut_into_batches_asks_no_key_twice_and_changes_no_row(server: ServiceServer) -> None:
    first = run_with(server.url, **{"input.batch_size": "2"})
    asked = [key for request in server.log if request.method == "POST" for key in request.keys]
    assert len(asked) == len(set(asked)) == 4
    rows = warehouse_rows("SELECT * EXCLUDE (processed_date, created_date, modified_date) FROM customer_enriched ORDER BY ALL")
    Path("warehouse/services.sqlite").unlink()
    second = run_with(server.url)
    assert second.rows.unchanged == first.rows.loaded
    assert rows == warehouse_rows(
        "SELECT * EXCLUDE (processed_date, created_date, modified_date) FROM customer_enriched ORDER BY ALL"
    )


@pytest.mark.parametrize("fault", ["drop", "throttled", "unavailable", "broken", "half", "types", "denied", "mixed up", "gap"])
def test_no_fault_of_a_service_loses_a_row_or_lets_a_value_into_record_or_log(fault: str, server: ServiceServer) -> None:
    server.behaviour.always = fault
    record = run_with(server.url)
    assert record.rows.loaded == 6
    told = log_of(record) + record.model_dump_json()
    assert not any(value in told for value in ("Wrenna", "Hollisk", "M1 1AF", "1AF", "TechCorp", "techcorp", "Nobody"))


def test_without_addresses_nothing_changes_and_no_cache_is_made() -> None:
    record = run_with("", both=False)
    assert (record.services, record.enrichment["postcodes"]) == ({}, {"reference": 4, "unknown": 1})
    assert record.rules["postcode.asked"].model_dump() == {"applicable": 0, "violations": 0}
    assert record.rules["company.asked"].model_dump() == {"applicable": 0, "violations": 0}
    assert [path.name for path in Path("warehouse").iterdir() if "services" in path.name] == []


def test_a_record_from_before_there_were_services_is_read() -> None:
    record = run_with("", both=False)
    path = Path("runs") / record.run_id / "run.json"
    old = json.loads(path.read_text(encoding="utf-8"))
    del old["services"]
    path.write_text(json.dumps(old), encoding="utf-8")
    assert read_record(path) == record


def test_the_server_can_be_started_by_hand_for_a_rehearsal() -> None:
    command = [sys.executable, str(ROOT / "tests/service_server.py"), "--port", "0", "--fault", "denied"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
        assert process.stdout
        address = process.stdout.readline().split()[0]
        record = run_with(address, both=False)
        process.terminate()
    assert record.services["postcodes"].failed == {"denied": 1}
