"""Tables that are not as declared: told in words, mended without losing a row, refused where a change would lose data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl import cli
from etl.errors import SchemaDriftError
from etl.schema import TABLE
from etl.warehouse import Warehouse
from etl.warehouse.tables import holds
from tests.customers import customer
from tests.test_warehouse import NOW, enriched, upsert
from tests.warehouse_targets import Target

pytestmark = pytest.mark.usefixtures("project")
PLAIN = ("duckdb", "postgresql", "odbc")
"""The kinds whose statements this file can write by itself."""


def altered(target: Target, *statements: str) -> Warehouse:
    """Return the warehouse with a customer in it, after somebody changed the tables."""
    warehouse = target.open()
    warehouse.prepare()
    upsert(warehouse, enriched(customer(1)), NOW)
    for statement in statements:
        warehouse.execute(statement)
    return warehouse


def migrate(target: Target, *words: str) -> int:
    overrides = [word for name, value in target.overrides().items() for word in ("--set", f"{name}={value}")]
    return cli.main(["migrate", *words, *overrides])


@pytest.mark.parametrize("target", PLAIN, indirect=True)
@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (["DROP COLUMN industry"], "has no column industry"),
        (["ALTER COLUMN risk_score_numeric TYPE SMALLINT"], "risk_score_numeric is smallint"),
        (["ALTER COLUMN longitude TYPE DECIMAL(8,5)"], "longitude is "),
    ],
)
def test_what_a_table_lacks_is_told_planned_and_mended_with_its_rows_kept(
    target: Target, statements: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        altered(target, *(f"ALTER TABLE {TABLE} {one}" for one in statements)) as warehouse,
        pytest.raises(SchemaDriftError) as caught,
    ):
        warehouse.prepare()
    assert words in str(caught.value).lower()
    assert migrate(target) == 0
    assert "1 statement(s) to carry out with --apply." in capsys.readouterr().out
    assert migrate(target, "--apply") == 0
    assert migrate(target) == 0
    assert capsys.readouterr().out.endswith("Nothing to do.\n")
    with target.open() as warehouse:
        warehouse.prepare()
        assert warehouse.health().rows == 1


@pytest.mark.parametrize("target", ["postgresql", "odbc"], indirect=True)
def test_a_text_column_that_is_too_short_is_widened_and_must_still_be_filled(target: Target) -> None:
    with altered(target, f"ALTER TABLE {TABLE} ALTER COLUMN last_name TYPE VARCHAR(20)") as warehouse:
        with pytest.raises(SchemaDriftError, match=r"last_name is character varying\(20\), declared is VARCHAR\(50\)"):
            warehouse.prepare()
        upsert_before = warehouse.execute(f"SELECT * FROM {TABLE}")
    assert migrate(target, "--apply") == 0
    with target.open() as warehouse:
        warehouse.prepare()
        found = warehouse.columns_of(TABLE)["last_name"]
        assert (found.kind, found.required) == ("character varying(50)", True)
        assert warehouse.execute(f"SELECT * FROM {TABLE}") == upsert_before
        upsert(warehouse, enriched(customer(2, last_name="x" * 50)), NOW)
        assert warehouse.health().rows == 2


@pytest.mark.parametrize("target", PLAIN, indirect=True)
@pytest.mark.parametrize("statement", ["ALTER COLUMN region TYPE VARCHAR(400)", "ALTER COLUMN risk_score_numeric TYPE BIGINT",
                                       "ADD COLUMN note VARCHAR(10)"])  # fmt: skip
def test_what_a_table_has_beyond_the_schema_is_left_alone(target: Target, statement: str) -> None:
    with altered(target, f"ALTER TABLE {TABLE} {statement}") as warehouse:
        warehouse.prepare()
        assert warehouse.differences() == []


@pytest.mark.parametrize("target", PLAIN, indirect=True)
@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("DROP COLUMN status", "it must be filled"),
        ("ALTER COLUMN risk_score_numeric TYPE VARCHAR(9)", "a change could lose values"),
    ],
)
def test_what_could_lose_data_is_refused_with_why_and_nothing_is_changed(
    target: Target, statement: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    altered(target, f"ALTER TABLE {TABLE} {statement}").close()
    assert migrate(target, "--apply") == SchemaDriftError.exit_code
    assert f"-- refused: {why}" in capsys.readouterr().out
    with target.open() as warehouse:
        assert [bool(one.refused) for one in warehouse.differences()] == [True]
        assert warehouse.health().rows == 1


@pytest.mark.parametrize("target", PLAIN, indirect=True)
def test_a_column_that_must_be_filled_is_added_to_an_empty_table(target: Target) -> None:
    with altered(target, f"ALTER TABLE {TABLE} DROP COLUMN status", f"DELETE FROM {TABLE}"):
        pass
    assert migrate(target, "--apply") == 0
    with target.open() as warehouse:
        warehouse.prepare()
        assert warehouse.columns_of(TABLE)["status"].required


@pytest.mark.parametrize("target", PLAIN, indirect=True)
def test_a_column_that_must_be_filled_without_reason_is_let_be_empty(target: Target) -> None:
    altered(target, f"UPDATE {TABLE} SET phone = '1'", f"ALTER TABLE {TABLE} ALTER COLUMN phone SET NOT NULL").close()
    assert migrate(target, "--apply") == 0
    with target.open() as warehouse:
        warehouse.prepare()
        upsert(warehouse, enriched(customer(2, phone="")), NOW)
        assert warehouse.health().rows == 2


@pytest.mark.parametrize("target", PLAIN, indirect=True)
def test_tables_that_are_not_there_are_in_the_plan_for_their_owner(target: Target) -> None:
    assert migrate(target, "--apply") == 0
    with target.open() as warehouse:
        assert warehouse.differences() == []


@pytest.mark.parametrize(
    ("one", "other", "fits"),
    [
        ("VARCHAR(50)", "character varying(50)", True), ("nvarchar(49)", "NVARCHAR(50)", False), ("nvarchar(MAX)", "NVARCHAR(50)", True),
        ("varchar(50)", "NVARCHAR(50)", False), ("NVARCHAR(50)", "varchar(50)", True), ("text", "VARCHAR(50)", True),
        ("bigint", "INTEGER", True), ("integer", "BIGINT", False), ("numeric(10,7)", "DECIMAL(10,7)", True),
        ("decimal(10,6)", "DECIMAL(10,7)", False), ("decimal(12,7)", "DECIMAL(10,7)", True), ("numeric", "DECIMAL(10,7)", True),
        ("timestamp without time zone", "TIMESTAMP", True), ("timestamp with time zone", "TIMESTAMP", False),
    ],
)  # fmt: skip
def test_a_type_holds_another_one(one: str, other: str, fits: bool) -> None:
    assert holds(one, other) is fits


@given(st.integers(1, 4000), st.integers(1, 4000))
def test_a_longer_text_holds_a_shorter_one_and_not_the_other_way(one: int, other: int) -> None:
    assert holds(f"NVARCHAR({one})", f"nvarchar({other})") is (one >= other)
