"""The warehouse: loading is idempotent, counts are exact, nothing is half-loaded."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pytest
import stamina
from hypothesis import strategies as st

from etl.errors import BusyError, WarehouseError
from etl.schema import COLUMNS, TABLE
from etl.settings import WarehouseSettings
from etl.warehouse import Checkpoint, DuckDBWarehouse, UpsertCounts
from tests.customers import customer

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def open_at(path: Path) -> DuckDBWarehouse:
    return DuckDBWarehouse(WarehouseSettings(path=path, lock_timeout=0))  # type: ignore[call-arg]


def upsert(warehouse: DuckDBWarehouse, rows: pd.DataFrame, now: datetime) -> UpsertCounts:
    """Load rows with a checkpoint, as the pipeline does."""
    return warehouse.load(rows, now, lambda loaded: Checkpoint("run", "ab", 2, now, str(loaded.counts))).counts


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[DuckDBWarehouse]:
    with open_at(tmp_path / "w.duckdb") as opened:
        opened.prepare()
        yield opened


def enriched(*rows: dict[str, str]) -> pd.DataFrame:
    """Return rows as they come out of `transform`."""
    frame = pd.DataFrame(list(rows) or [customer()], dtype="str")
    return frame.assign(
        region="", country="England", district="Manchester", longitude=-2.24, latitude=53.48, geo_enriched=True,
        company_size="Individual", industry="", annual_revenue="", is_business=False, calculated_risk="Low",
        risk_score_numeric=0, risk_factors="standard profile", data_source="csv", enrichment_status="complete",
    ).iloc[: len(rows)]  # fmt: skip


def table(warehouse: DuckDBWarehouse) -> pd.DataFrame:
    warehouse.close()
    with duckdb.connect(str(warehouse.settings.path), read_only=True) as connection:
        return connection.execute(f"SELECT * FROM {TABLE} ORDER BY customer_id").df()


@pytest.mark.parametrize(("before", "after"), [("", "020 7946 0000"), ("020 7946 0000", "")])
def test_from_nothing_to_something_and_back_counts_as_a_change(warehouse: DuckDBWarehouse, before: str, after: str) -> None:
    upsert(warehouse, enriched(customer(1, phone=before)), NOW)
    assert upsert(warehouse, enriched(customer(1, phone=after)), LATER).updated == 1


def test_what_is_not_known_is_null_not_an_empty_text(warehouse: DuckDBWarehouse) -> None:
    upsert(warehouse, enriched(customer(1, phone="")), NOW)
    assert table(warehouse)[["phone", "region"]].isna().all(axis=None)


def test_an_empty_batch_is_no_work(warehouse: DuckDBWarehouse) -> None:
    assert upsert(warehouse, enriched(customer(1)).iloc[:0], NOW) == UpsertCounts()


def test_a_batch_that_is_refused_as_a_whole_leaves_nothing_behind(warehouse: DuckDBWarehouse) -> None:
    upsert(warehouse, enriched(customer(1)), NOW)
    bad = enriched(*(customer(n, first_name="") for n in range(2, 300)))
    with pytest.raises(WarehouseError, match="more than 100 rows of a batch refused"):
        upsert(warehouse, bad, LATER)
    assert warehouse.health().rows == 1
    assert upsert(warehouse, enriched(customer(2)), LATER).inserted == 1


def test_an_error_of_the_database_quotes_no_value_of_a_row(warehouse: DuckDBWarehouse) -> None:
    warehouse.execute("DROP TABLE customer_enriched")
    with pytest.raises(WarehouseError) as caught:
        upsert(warehouse, enriched(customer(1)), NOW)
    assert "CatalogException" in str(caught.value)
    assert "Wrenna" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_second_run_on_the_same_file_is_turned_away_and_told_who_holds_it(warehouse: DuckDBWarehouse) -> None:
    with pytest.raises(BusyError, match=rf"another run is under way \(process {os.getpid()}\)"):
        open_at(warehouse.settings.path)
    warehouse.close()
    open_at(warehouse.settings.path).close()


def test_a_conflict_of_transactions_is_tried_again(warehouse: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = warehouse.upsert_staged, []

    def conflicts_twice(rows: object, now: datetime) -> tuple[int, int]:
        calls.append(1)
        if len(calls) < 3:
            raise duckdb.TransactionException("Conflict on Wrenna")
        return real(rows, now)

    monkeypatch.setattr(warehouse, "upsert_staged", conflicts_twice)
    with stamina.set_testing(True, attempts=5):
        assert upsert(warehouse, enriched(customer(1)), NOW).inserted == 1
    assert len(calls) == 3


def test_a_conflict_that_stays_ends_the_run_without_its_text(warehouse: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    def conflicts(*_: object) -> tuple[int, int]:
        raise duckdb.TransactionException("Conflict on Wrenna")

    monkeypatch.setattr(warehouse, "upsert_staged", conflicts)
    with stamina.set_testing(True, attempts=3), pytest.raises(WarehouseError, match="failed with TransactionException"):
        upsert(warehouse, enriched(customer(1)), NOW)


def test_preparing_again_keeps_what_is_there(warehouse: DuckDBWarehouse) -> None:
    upsert(warehouse, enriched(customer(1)), NOW)
    warehouse.prepare()
    assert warehouse.health().rows == 1


def test_the_tables_are_those_of_the_schema(warehouse: DuckDBWarehouse) -> None:
    assert [str(name) for name in table(warehouse).columns] == [column.name for column in COLUMNS]


def audit_rows(warehouse: DuckDBWarehouse, columns: str) -> list[tuple[object, ...]]:
    return warehouse.execute(f"SELECT {columns} FROM enrichment_audit ORDER BY audit_id")


def test_no_staging_table_with_customers_stays(warehouse: DuckDBWarehouse) -> None:
    upsert(warehouse, enriched(customer(1)), NOW)
    assert warehouse.health().tables == ("customer_enriched", "enrichment_audit", "pipeline_checkpoint")
    found = warehouse.execute(
        "SELECT table_name FROM duckdb_tables() UNION SELECT view_name FROM duckdb_views() WHERE NOT internal"
    )
    assert {str(name) for (name,) in found} - set(warehouse.health().tables) == {"customer_staging"}  # a view of nothing


def test_a_file_that_is_no_warehouse_is_an_error_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    path.write_text("not a database, and long enough to be looked at" * 200, encoding="utf-8")
    with pytest.raises(WarehouseError, match=r"w\.duckdb: the warehouse failed with"):
        open_at(path)


PHONES = st.sampled_from(["", "020 7946 0000", "0113 496 0000"])
TABLES = st.dictionaries(st.integers(1, 9), PHONES, max_size=9)
