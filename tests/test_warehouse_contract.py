"""The contract of every warehouse: the embedded file, PostgreSQL by psycopg and by ODBC, and SQL Server where one is named."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl import config
from etl.ddl import STAGING
from etl.errors import BusyError, WarehouseError
from etl.pipeline import run
from etl.schema import COLUMNS, TABLE
from etl.warehouse import AuditRow, Checkpoint, Loaded, UpsertCounts, Warehouse
from tests.customers import customer, write_customers
from tests.test_warehouse import enriched, upsert
from tests.warehouse_targets import Target

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


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


def many(rows: int) -> pd.DataFrame:
    """Return so many rows that differ by their key."""
    frame = enriched(customer(1)).iloc[[0] * rows].reset_index(drop=True)
    return frame.assign(customer_id=[str(n) for n in range(1, rows + 1)])


@pytest.mark.parametrize("rows", [0, 1, 7_000])
def test_batches_of_any_size_count_exactly(warehouse: Warehouse, rows: int) -> None:
    assert upsert(warehouse, many(rows).iloc[: rows // 2], NOW).inserted == rows // 2
    assert upsert(warehouse, many(rows), NOW) == UpsertCounts(inserted=rows - rows // 2, unchanged=rows // 2)


def test_a_hundred_thousand_rows_all_new_none_changed_half_changed_all_changed(target: Target, warehouse: Warehouse) -> None:
    # PostgreSQL's ODBC driver takes a minute for as many; its batches are as large all the same.
    count, size = 50_000 if target.kind == "odbc" else 100_000, 25_000
    rows = many(count)
    half = rows.assign(status=["suspended" if n % 2 else "active" for n in range(len(rows))])
    every = rows.assign(phone="0113 496 0000")

    def load(frame: pd.DataFrame) -> UpsertCounts:
        counts = UpsertCounts()
        for start in range(0, len(frame), size):
            counts = counts.plus(upsert(warehouse, frame.iloc[start : start + size], LATER))
        return counts

    assert load(rows) == UpsertCounts(inserted=count)
    assert load(rows) == UpsertCounts(unchanged=count)
    assert load(half) == UpsertCounts(updated=count // 2, unchanged=count // 2)
    assert load(every) == UpsertCounts(updated=count)
    assert warehouse.health().rows == count


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


def test_a_change_of_letter_case_alone_is_a_change(warehouse: Warehouse) -> None:
    upsert(warehouse, enriched(customer(1, last_name="O'Hollisk")), NOW)
    assert upsert(warehouse, enriched(customer(1, last_name="O'hollisk")), LATER) == UpsertCounts(updated=1)


@pytest.mark.parametrize("name", ["𠮷田", "👩‍🚀", "Ωμέγα", "Z̈oë", "a'b\"c\\d", "%s ? {x}"])
def test_letters_of_every_plane_come_back_and_do_not_count_as_changed(warehouse: Warehouse, name: str) -> None:
    rows = enriched(customer(1, first_name=name))
    assert upsert(warehouse, rows, NOW) == UpsertCounts(inserted=1)
    assert upsert(warehouse, rows, LATER) == UpsertCounts(unchanged=1)
    assert rows_of(warehouse, "first_name") == [(name,)]


def test_values_as_long_as_the_schema_allows_come_back_whole(warehouse: Warehouse) -> None:
    texts = {c.name: "ü" * c.length for c in COLUMNS if c.length and c.source != "load"}
    upsert(warehouse, enriched(customer(1)).assign(**texts), NOW)
    assert rows_of(warehouse, ", ".join(texts)) == [tuple(texts.values())]


@pytest.mark.parametrize("degrees", ["0.1234567", "-179.9999999", "0.0000001", "89.0000003"])
def test_degrees_are_exact_to_the_seventh_place(warehouse: Warehouse, degrees: str) -> None:
    rows = enriched(customer(1)).assign(longitude=float(degrees))
    upsert(warehouse, rows, NOW)
    assert Decimal(str(rows_of(warehouse, "longitude")[0][0])) == Decimal(degrees)
    assert upsert(warehouse, rows, LATER) == UpsertCounts(unchanged=1)


@pytest.mark.parametrize("year", [1, 1752, 1753, 9999])
def test_a_date_long_ago_or_far_ahead_comes_back(warehouse: Warehouse, year: int) -> None:
    then = datetime(year, 3, 1, 12, 30, 15, tzinfo=UTC)
    upsert(warehouse, enriched(customer(1)), then)
    assert rows_of(warehouse, "created_date, modified_date") == [(then.replace(tzinfo=None),) * 2]


def test_nothing_and_something_are_told_apart_in_every_column_that_may_be_empty(warehouse: Warehouse) -> None:
    texts = [c.name for c in COLUMNS if c.length and not c.required]
    full, empty = (
        enriched(customer(1)).assign(**dict.fromkeys(texts, "x")),
        enriched(customer(1)).assign(**dict.fromkeys(texts, "")),
    )
    upsert(warehouse, full, NOW)
    assert upsert(warehouse, empty, LATER) == UpsertCounts(updated=1)
    assert upsert(warehouse, empty, LATER) == UpsertCounts(unchanged=1)
    assert rows_of(warehouse, ", ".join(texts)) == [(None,) * len(texts)]
    assert upsert(warehouse, full, LATER) == UpsertCounts(updated=1)


def test_two_runs_at_once_the_second_is_turned_away_until_the_first_has_ended(target: Target) -> None:
    with target.open(), pytest.raises(BusyError, match="another run is under way"):
        target.open()
    target.open().close()


def test_no_customer_stays_in_staging(warehouse: Warehouse) -> None:
    upsert(warehouse, enriched(customer(1)), NOW)
    if warehouse.dialect == "duckdb":  # a view of rows that are no longer there
        assert STAGING not in {str(name) for (name,) in warehouse.execute("SELECT table_name FROM duckdb_tables()")}
    else:
        assert warehouse.execute(f"SELECT count(*) FROM {STAGING}") == [(0,)]


def test_a_look_writes_a_row_that_is_not_kept(warehouse: Warehouse) -> None:
    assert warehouse.probe() >= 0
    assert warehouse.checkpoint() is None


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


def test_a_whole_run_loads_and_a_second_one_changes_nothing(target: Target, project: Path) -> None:
    write_customers(project / "data/customers.csv", [customer(n) for n in range(1, 301)])
    loaded = config.load(overrides=target.overrides() | {"input.batch_size": "70"})
    first, second = run(loaded, quiet=True), run(loaded, quiet=True)
    assert (first.rows.inserted, second.rows.unchanged, first.exit_code, second.exit_code) == (300, 300, 0, 0)
    secret = target.settings.password.get_secret_value()
    assert not secret or secret not in first.model_dump_json()
