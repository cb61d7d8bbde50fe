"""What only a server can do to a run: cut it off, stop, keep it waiting, refuse it."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from etl import config
from etl.errors import DiskError, WarehouseError
from etl.pipeline import run
from etl.schema import COLUMNS, TABLE
from etl.warehouse import UpsertCounts, Warehouse, open_warehouse
from etl.warehouse.postgresql import PostgreSQLWarehouse
from tests.customers import customer, write_customers
from tests.postgres_server import Server
from tests.tcp_proxy import proxy_to
from tests.test_warehouse import enriched, upsert
from tests.test_warehouse_contract import many
from tests.warehouse_targets import Target

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def postgres(server: Server, database: str) -> Iterator[Warehouse]:
    with open_warehouse(server.settings(database)) as opened:
        opened.prepare()
        yield opened


@pytest.fixture
def row_by_row(server_target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL's ODBC driver waits for ever when it is cut off while it sends many rows at once."""
    if server_target.kind == "odbc":
        monkeypatch.setattr("tests.odbc_postgres.PostgreSQLOverOdbc.fast_drivers", ())


@pytest.mark.usefixtures("row_by_row")
@pytest.mark.parametrize("after", [2_000, 60_000, 200_000])
def test_a_connection_cut_in_the_middle_of_a_batch_is_made_again_and_nothing_doubles(server_target: Target, after: int) -> None:
    settings = server_target.settings
    with (
        proxy_to(settings.host, settings.port) as proxy,
        server_target.open(host="127.0.0.1", port=proxy.port, lock_timeout=5) as warehouse,
    ):
        warehouse.prepare()
        assert upsert(warehouse, many(1_000), NOW) == UpsertCounts(inserted=1_000)
        proxy.cut_after(after)
        changed = many(2_000).assign(phone="0113 496 0000")
        assert upsert(warehouse, changed, LATER) == UpsertCounts(inserted=1_000, updated=1_000)
        assert proxy.cuts == 1
        assert warehouse.health().rows == 2_000


@pytest.mark.usefixtures("row_by_row")
def test_a_connection_that_is_cut_at_the_only_attempt_ends_the_batch_and_leaves_the_one_before(server_target: Target) -> None:
    settings = server_target.settings
    with proxy_to(settings.host, settings.port) as proxy:
        with server_target.open(host="127.0.0.1", port=proxy.port, attempts=1) as warehouse:
            warehouse.prepare()
            upsert(warehouse, many(10), NOW)
            proxy.cut_after(5_000)
            with pytest.raises(WarehouseError, match="the warehouse failed with"):
                upsert(warehouse, many(2_000), LATER)
        with server_target.open(lock_timeout=5) as again:
            assert again.health().rows == 10


def test_a_server_that_is_stopped_and_started_in_the_middle_of_a_run_costs_no_row(
    server: Server, database: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, batches = PostgreSQLWarehouse.stage, []

    def restarts_at_the_third(self: PostgreSQLWarehouse, rows: object) -> None:
        real(self, rows)
        batches.append(1)
        if len(batches) == 3:
            server.stop()
            server.start()

    monkeypatch.setattr(PostgreSQLWarehouse, "stage", restarts_at_the_third)
    write_customers(project / "data/customers.csv", [customer(n) for n in range(1, 301)])
    overrides = Target("postgresql", server.settings(database)).overrides()
    record = run(config.load(overrides=overrides | {"input.batch_size": "70"}), quiet=True)
    assert (record.exit_code, record.rows.inserted, len(batches)) == (0, 300, 6)
    with server.connect(database) as connection:
        assert connection.execute(f"SELECT count(*) FROM {TABLE}").fetchone() == (300,)


@pytest.mark.parametrize("server_target", ["postgresql", "odbc"], indirect=True)
def test_a_full_disk_of_the_server_ends_the_run_with_its_own_exit_code(server_target: Target, project: Path) -> None:
    with server_target.open() as warehouse:
        warehouse.prepare()
        warehouse.execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN IF NEW.customer_id > 100 THEN RAISE EXCEPTION SQLSTATE '53100'; END IF; RETURN NEW; END $$"
        )
        warehouse.execute(f"CREATE TRIGGER full_disk BEFORE INSERT ON {TABLE} FOR EACH ROW EXECUTE FUNCTION full_disk()")
    write_customers(project / "data/customers.csv", [customer(n) for n in range(1, 301)])
    record = run(config.load(overrides=server_target.overrides() | {"input.batch_size": "100"}), quiet=True)
    assert record.exit_code == DiskError.exit_code
    assert record.fault is not None
    assert "no room left to write" in record.fault.message
    with server_target.open() as warehouse:
        assert warehouse.health().rows == 100


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


def test_a_server_that_is_not_there_is_told_with_its_place(server_target: Target) -> None:
    with pytest.raises(WarehouseError, match=r"127\.0\.0\.1:1/none: no connection"):
        server_target.open(database="none", host="127.0.0.1", port=1)


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


def test_a_run_can_follow_another_at_once(server_target: Target) -> None:
    for _ in range(20):  # a server that only hears of the end by the connection takes a while to free the lock
        server_target.open(lock_timeout=0).close()
