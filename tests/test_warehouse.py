"""The warehouse: loading is idempotent, counts are exact, nothing is half-loaded."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import duckdb
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl.errors import WarehouseError
from etl.schema import AUDIT_COLUMNS, COLUMNS, TABLE
from etl.warehouse import AuditRow, DuckDBWarehouse, UpsertCounts
from tests.customers import customer

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[DuckDBWarehouse]:
    with DuckDBWarehouse(tmp_path / "w.duckdb") as opened:
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
    with duckdb.connect(str(warehouse.path), read_only=True) as connection:
        return connection.execute(f"SELECT * FROM {TABLE} ORDER BY customer_id").df()


def test_new_rows_are_inserted_the_same_again_change_nothing(warehouse: DuckDBWarehouse) -> None:
    rows = enriched(customer(1), customer(2))
    assert warehouse.upsert(rows, NOW) == UpsertCounts(inserted=2)
    assert warehouse.upsert(rows, LATER) == UpsertCounts(unchanged=2)
    assert set(table(warehouse)["modified_date"]) == {pd.Timestamp(NOW.replace(tzinfo=None))}


def test_a_changed_row_is_updated_and_keeps_when_it_was_created(warehouse: DuckDBWarehouse) -> None:
    warehouse.upsert(enriched(customer(1), customer(2)), NOW)
    assert warehouse.upsert(enriched(customer(1, phone="0113 496 0000"), customer(2)), LATER) == UpsertCounts(
        updated=1, unchanged=1
    )
    row = table(warehouse).iloc[0]
    assert (row["phone"], row["created_date"], row["modified_date"]) == (
        "0113 496 0000", NOW.replace(tzinfo=None), LATER.replace(tzinfo=None),
    )  # fmt: skip


@pytest.mark.parametrize(("before", "after"), [("", "020 7946 0000"), ("020 7946 0000", "")])
def test_from_nothing_to_something_and_back_counts_as_a_change(warehouse: DuckDBWarehouse, before: str, after: str) -> None:
    warehouse.upsert(enriched(customer(1, phone=before)), NOW)
    assert warehouse.upsert(enriched(customer(1, phone=after)), LATER).updated == 1


def test_what_is_not_known_is_null_not_an_empty_text(warehouse: DuckDBWarehouse) -> None:
    warehouse.upsert(enriched(customer(1, phone="")), NOW)
    assert table(warehouse)[["phone", "region"]].isna().all(axis=None)


def test_text_comes_back_as_it_went_in(warehouse: DuckDBWarehouse) -> None:
    names = ["Zoëlle", "𠮷田太", "O'Hollisk; DROP TABLE", 'a"b', "NULL", "Ελένηα"]
    warehouse.upsert(enriched(*(customer(n, first_name=name) for n, name in enumerate(names, 1))), NOW)
    assert list(table(warehouse)["first_name"]) == names


def test_an_empty_batch_is_no_work(warehouse: DuckDBWarehouse) -> None:
    assert warehouse.upsert(enriched(customer(1)).iloc[:0], NOW) == UpsertCounts()


def test_a_batch_that_is_refused_leaves_nothing_behind(warehouse: DuckDBWarehouse) -> None:
    warehouse.upsert(enriched(customer(1)), NOW)
    bad = enriched(customer(2), customer(3)).assign(first_name=["Wrenna", ""])
    with pytest.raises(WarehouseError, match=r"ConstraintException"):
        warehouse.upsert(bad, LATER)
    assert warehouse.health().rows == 1
    assert warehouse.upsert(enriched(customer(2)), LATER).inserted == 1


def test_an_error_of_the_database_quotes_no_value_of_a_row(warehouse: DuckDBWarehouse) -> None:
    with pytest.raises(WarehouseError) as caught:
        warehouse.upsert(enriched(customer(1, last_name="")), NOW)
    assert "Wrenna" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_preparing_again_keeps_what_is_there(warehouse: DuckDBWarehouse) -> None:
    warehouse.upsert(enriched(customer(1)), NOW)
    warehouse.prepare()
    assert warehouse.health().rows == 1


def test_the_tables_are_those_of_the_schema(warehouse: DuckDBWarehouse) -> None:
    assert [str(name) for name in table(warehouse).columns] == [column.name for column in COLUMNS]


def test_the_audit_row_is_numbered_and_its_duration_computed(warehouse: DuckDBWarehouse) -> None:
    row = AuditRow(uuid4(), "upsert", 10, 9, 1, NOW, NOW + timedelta(seconds=1.5), None, "0.1.0")
    assert len(row) == len(AUDIT_COLUMNS)
    warehouse.audit(row)
    warehouse.audit(row)
    warehouse.close()
    with duckdb.connect(str(warehouse.path), read_only=True) as connection:
        assert connection.execute("SELECT audit_id, duration_seconds FROM enrichment_audit").fetchall() == [(1, 1.5), (2, 1.5)]


def test_no_staging_table_with_customers_stays(warehouse: DuckDBWarehouse) -> None:
    warehouse.upsert(enriched(customer(1)), NOW)
    assert warehouse.health().tables == ("customer_enriched", "enrichment_audit")


def test_a_file_that_is_no_warehouse_is_an_error_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    path.write_text("not a database, and long enough to be looked at" * 200, encoding="utf-8")
    with pytest.raises(WarehouseError, match=r"w\.duckdb: the warehouse failed with"):
        DuckDBWarehouse(path)


PHONES = st.sampled_from(["", "020 7946 0000", "0113 496 0000"])
TABLES = st.dictionaries(st.integers(1, 9), PHONES, max_size=9)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=TABLES, after=TABLES)
def test_an_upsert_does_just_what_a_dictionary_would(tmp_path: Path, before: dict[int, str], after: dict[int, str]) -> None:
    path = tmp_path / "w.duckdb"
    path.unlink(missing_ok=True)
    with DuckDBWarehouse(path) as warehouse:
        warehouse.prepare()
        for phones in (before, after):
            counts = warehouse.upsert(enriched(*(customer(number, phone=phone) for number, phone in phones.items())), NOW)
        assert counts == UpsertCounts(
            inserted=len(after.keys() - before.keys()),
            updated=sum(before[number] != phone for number, phone in after.items() if number in before),
            unchanged=sum(before[number] == phone for number, phone in after.items() if number in before),
        )
        found = table(warehouse)
    assert dict(zip(found["customer_id"], found["phone"].fillna(""), strict=True)) == before | after
