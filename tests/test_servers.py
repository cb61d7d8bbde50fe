"""The contract of every warehouse: the embedded one, and PostgreSQL on a server that the tests start."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pandas as pd
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl.errors import BusyError, SchemaDriftError, WarehouseError
from etl.schema import COLUMNS, TABLE
from etl.warehouse import AuditRow, Checkpoint, Loaded, UpsertCounts, Warehouse, open_warehouse
from tests.customers import customer
from tests.postgres_server import Server, running
from tests.test_warehouse import enriched, open_at, upsert

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("pg")) as started:
        yield started


@pytest.fixture
def database(server: Server) -> str:
    return server.new_database()


@pytest.fixture
def postgres(server: Server, database: str) -> Iterator[Warehouse]:
    with open_warehouse(server.settings(database)) as opened:
        opened.prepare()
        yield opened


@pytest.fixture(params=["duckdb", "postgresql"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Warehouse]:
    if request.param == "postgresql":
        yield request.getfixturevalue("postgres")
        return
    with open_at(tmp_path / "w.duckdb") as opened:
        opened.prepare()
        yield opened


def rows_of(warehouse: Warehouse, columns: str) -> list[tuple[object, ...]]:
    return warehouse.execute(f"SELECT {columns} FROM {TABLE} ORDER BY customer_id")


def test_new_rows_are_inserted_the_same_again_change_nothing(warehouse: Warehouse) -> None:
    rows = enriched(customer(1), customer(2))
    assert upsert(warehouse, rows, NOW) == UpsertCounts(inserted=2)
    assert upsert(warehouse, rows, LATER) == UpsertCounts(unchanged=2)
    assert {one[0] for one in rows_of(warehouse, "modified_date")} == {NOW.replace(tzinfo=None)}


def test_a_changed_row_is_updated_and_keeps_when_it_was_created(warehouse: Warehouse) -> None:
    upsert(warehouse, enriched(customer(1), customer(2)), NOW)
    changed = enriched(customer(1, phone="0113 496 0000"), customer(2), customer(3))
    assert upsert(warehouse, changed, LATER) == UpsertCounts(inserted=1, updated=1, unchanged=1)
    assert rows_of(warehouse, "created_date, modified_date")[0] == (NOW.replace(tzinfo=None), LATER.replace(tzinfo=None))


def test_text_numbers_and_nothing_come_back_as_they_went_in(warehouse: Warehouse) -> None:
    names = ["Zoëlle", "𠮷田太", "O'Hollisk; DROP TABLE", 'a"b', "NULL", "\\N", "tab\there", "Ελένηα", "x" * 50]
    upsert(warehouse, enriched(*(customer(n, first_name=name, phone="") for n, name in enumerate(names, 1))), NOW)
    found = rows_of(warehouse, "first_name, phone, longitude, geo_enriched, risk_score_numeric")
    assert [one[0] for one in found] == names
    assert {(one[1], float(str(one[2])), one[3], one[4]) for one in found} == {(None, -2.24, True, 0)}


@pytest.mark.parametrize(("rows", "before"), [(0, 0), (1, 0), (20_000, 0), (20_000, 10_000), (20_000, 20_000)])
def test_batches_of_any_size_count_exactly(warehouse: Warehouse, rows: int, before: int) -> None:
    frame = pd.concat([enriched(customer(1))] * max(rows, 1), ignore_index=True).iloc[:rows]
    frame["customer_id"] = [str(n) for n in range(1, rows + 1)]
    upsert(warehouse, frame.iloc[:before], NOW)
    assert upsert(warehouse, frame, LATER) == UpsertCounts(inserted=rows - before, unchanged=before)
    changed = frame.assign(status=["suspended" if n % 2 else "active" for n in range(rows)])
    assert upsert(warehouse, changed, LATER) == UpsertCounts(updated=rows // 2, unchanged=rows - rows // 2)


def test_a_refused_row_in_the_middle_is_named_and_the_others_are_loaded(warehouse: Warehouse) -> None:
    rows = enriched(*(customer(n, last_name="" if n in (4, 9) else "Hollisk") for n in range(1, 13)))
    loaded = warehouse.load(rows, NOW, lambda done: Checkpoint("run", "ab", 2, NOW, str(done)))
    assert loaded.counts == UpsertCounts(inserted=10)
    assert set(rows.loc[list(loaded.refused), "customer_id"]) == {"4", "9"}
    assert warehouse.health().rows == 10


def test_the_same_key_twice_in_a_batch_is_refused_once_at_least_and_never_doubled(warehouse: Warehouse) -> None:
    rows = enriched(customer(1), customer(2), customer(2, phone="0113 496 0000"))
    with pytest.raises(WarehouseError):
        upsert(warehouse, rows, NOW)
    assert warehouse.health().rows == 0


def test_rows_and_checkpoint_are_committed_together_or_not_at_all(warehouse: Warehouse) -> None:
    def fails(_: Loaded) -> Checkpoint:
        raise RuntimeError

    upsert(warehouse, enriched(customer(1)), NOW)
    kept = warehouse.checkpoint()
    with pytest.raises(RuntimeError):
        warehouse.load(enriched(customer(2)), LATER, fails)
    assert (warehouse.health().rows, warehouse.checkpoint()) == (1, kept)
    assert kept is not None
    assert (kept.run_id, kept.line) == ("run", 2)


def test_the_audit_row_is_numbered_timed_and_marked_when_its_run_died(warehouse: Warehouse) -> None:
    row = AuditRow(uuid4(), "upsert", "running", 0, 0, 0, NOW, None, None, "0.1.0")
    warehouse.begin_audit(row._replace(batch_id=uuid4()))
    warehouse.begin_audit(row)
    warehouse.end_audit(row._replace(outcome="success", records_processed=10, processing_end=NOW + timedelta(seconds=1.5)))
    found = warehouse.execute(
        "SELECT audit_id, outcome, records_processed, duration_seconds FROM enrichment_audit ORDER BY audit_id"
    )
    assert [tuple(map(str, one)) for one in found] == [("1", "killed", "0", "None"), ("2", "success", "10", str(found[1][3]))]
    assert float(found[1][3]) == 1.5


def test_a_checkpoint_stays_after_a_failure_and_goes_with_a_success(warehouse: Warehouse) -> None:
    upsert(warehouse, enriched(customer(1)), NOW)
    row = AuditRow(uuid4(), "upsert", "failed", 1, 1, 0, NOW, LATER, "stopped", "0.1.0")
    warehouse.end_audit(row)
    assert warehouse.checkpoint() is not None
    warehouse.end_audit(row._replace(outcome="success"))
    assert warehouse.checkpoint() is None


def test_two_runs_at_once_the_second_is_turned_away_until_the_first_has_ended(server: Server, database: str) -> None:
    with open_warehouse(server.settings(database)), pytest.raises(BusyError, match="another run is under way"):
        open_warehouse(server.settings(database))
    open_warehouse(server.settings(database)).close()


def cut(server: Server, database: str) -> None:
    """End every session of a database, as a restart or a broken network does."""
    with server.connect() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()", [database]
        )


def test_a_connection_cut_in_the_middle_of_a_batch_is_made_again_and_nothing_doubles(
    postgres: Warehouse, server: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = postgres.upsert_staged, []

    def cut_at_first(rows: object, now: datetime) -> tuple[int, int]:
        done = real(rows, now)
        calls.append(1)
        if len(calls) == 1:
            cut(server, database)
        return done

    monkeypatch.setattr(postgres, "upsert_staged", cut_at_first)
    assert upsert(postgres, enriched(customer(1), customer(2)), NOW) == UpsertCounts(inserted=2)
    assert len(calls) == 2
    assert postgres.health().rows == 2


def test_a_lock_that_is_held_too_long_ends_the_batch_and_leaves_nothing(server: Server, database: str) -> None:
    settings = server.settings(database, query_timeout=0.2, attempts=1)
    with open_warehouse(settings) as warehouse, server.connect(database) as other:
        warehouse.prepare()
        with other.transaction():
            other.execute(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(WarehouseError, match="QueryCanceled"):
                upsert(warehouse, enriched(customer(1)), NOW)
        assert warehouse.health().rows == 0


def test_a_deadlock_is_tried_again(postgres: Warehouse, server: Server, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    upsert(postgres, enriched(customer(1), customer(2)), NOW)
    real, calls = postgres.upsert_staged, []

    def locks_crosswise(rows: object, now: datetime) -> tuple[int, int]:
        calls.append(1)
        if len(calls) > 1:
            return real(rows, now)
        postgres.execute("SET LOCAL deadlock_timeout = '50ms'")
        postgres.execute(f"SELECT 1 FROM {TABLE} WHERE customer_id = 1 FOR UPDATE")
        held, done = threading.Event(), threading.Event()

        def other() -> None:
            with server.connect(database) as connection, connection.transaction():
                connection.execute("SET LOCAL deadlock_timeout = '10s'")
                connection.execute(f"SELECT 1 FROM {TABLE} WHERE customer_id = 2 FOR UPDATE")
                held.set()
                connection.execute(f"SELECT 1 FROM {TABLE} WHERE customer_id = 1 FOR UPDATE")
            done.set()

        threading.Thread(target=other, daemon=True).start()
        held.wait()
        try:
            postgres.execute(f"SELECT 1 FROM {TABLE} WHERE customer_id = 2 FOR UPDATE")
        except psycopg.errors.DeadlockDetected:
            postgres.rollback()
            done.wait()
            raise
        raise AssertionError("no deadlock came about")

    monkeypatch.setattr(postgres, "upsert_staged", locks_crosswise)
    assert upsert(postgres, enriched(customer(1, phone="0113 496 0000")), LATER) == UpsertCounts(updated=1)
    assert len(calls) == 2


def test_a_refused_sign_in_is_told_at_once_and_names_no_secret(server: Server, database: str) -> None:
    with pytest.raises(WarehouseError, match="no connection") as caught:
        open_warehouse(server.settings(database, password="wr0ng-secret"))
    assert "wr0ng-secret" not in str(caught.value)
    assert server.password not in str(caught.value)


def test_a_server_that_is_not_there_is_told_with_its_place(server: Server) -> None:
    with pytest.raises(WarehouseError, match=r"127\.0\.0\.1:1/none: no connection"):
        open_warehouse(server.settings("none", port=1))


def test_a_user_who_may_only_read_is_told_by_class(server: Server, database: str) -> None:
    with open_warehouse(server.settings(database)) as warehouse:
        warehouse.prepare()
    with server.connect(database) as admin:
        admin.execute("ALTER DATABASE " + database + " SET default_transaction_read_only = on")
    with open_warehouse(server.settings(database)) as reader, pytest.raises(WarehouseError, match="ReadOnlySqlTransaction"):
        reader.probe()


def test_the_tables_are_those_of_the_schema_with_their_indexes(postgres: Warehouse) -> None:
    assert list(postgres.columns_of(TABLE)) == [column.name for column in COLUMNS]
    found = {one[0] for one in postgres.execute("SELECT indexname FROM pg_indexes WHERE tablename = ?", [TABLE])}
    assert found == {f"{TABLE}_pkey", *(f"ix_{TABLE}_{name}" for name in ("region", "calculated_risk", "is_business", "status"))}


def test_a_table_that_lacks_a_column_is_told_and_mended_by_the_plan(warehouse: Warehouse) -> None:
    upsert(warehouse, enriched(customer(1)), NOW)
    warehouse.execute(f"ALTER TABLE {TABLE} DROP COLUMN industry")
    with pytest.raises(SchemaDriftError, match="has no column industry"):
        warehouse.prepare()
    for statement in warehouse.migrate():
        warehouse.execute(statement)
    warehouse.prepare()
    assert warehouse.health().rows == 1


def test_no_customer_stays_in_staging(postgres: Warehouse) -> None:
    upsert(postgres, enriched(customer(1)), NOW)
    assert postgres.execute("SELECT count(*) FROM customer_staging") == [(0,)]


PHONES = st.sampled_from(["", "020 7946 0000", "0113 496 0000"])
TABLES = st.dictionaries(st.integers(1, 9), PHONES, max_size=9)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=TABLES, after=TABLES)
def test_an_upsert_does_just_what_a_dictionary_would(warehouse: Warehouse, before: dict[int, str], after: dict[int, str]) -> None:
    warehouse.execute(f"DELETE FROM {TABLE}")
    for phones in (before, after):
        frame = enriched(*(customer(number, phone=phone) for number, phone in phones.items()))
        counts = upsert(warehouse, frame, NOW)
    assert counts == UpsertCounts(
        inserted=len(after.keys() - before.keys()),
        updated=sum(before[number] != phone for number, phone in after.items() if number in before),
        unchanged=sum(before[number] == phone for number, phone in after.items() if number in before),
    )
    assert {one[0]: one[1] or "" for one in rows_of(warehouse, "customer_id, phone")} == before | after


def test_a_whole_run_loads_into_the_server_and_a_second_one_changes_nothing(server: Server, database: str, project: Path) -> None:
    from etl import config
    from etl.pipeline import run
    from tests.customers import write_customers

    write_customers(project / "data/customers.csv", [customer(n) for n in range(1, 301)])
    wanted = server.settings(database)
    overrides = {
        f"warehouse.{name}": str(getattr(wanted, name))
        for name in ("kind", "host", "port", "database", "user", "sign_in", "encryption")
    }
    loaded = config.load(overrides={**overrides, "warehouse.password": server.password, "input.batch_size": "70"})
    first, second = run(loaded, quiet=True), run(loaded, quiet=True)
    assert (first.rows.inserted, second.rows.unchanged, first.exit_code, second.exit_code) == (300, 300, 0, 0)
    assert first.warehouse is not None
    assert first.warehouse.server.startswith("PostgreSQL ")
    assert server.password not in first.model_dump_json()
