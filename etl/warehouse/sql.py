"""The statements: DDL and upsert of every warehouse, derived from `etl.schema` by dialect."""

from collections.abc import Iterator, Mapping

from etl.schema import AUDIT_COLUMNS, AUDIT_TABLE, CHECKPOINT_COLUMNS, CHECKPOINT_TABLE, COLUMNS, KEY, TABLE

STAGING = "customer_staging"
DATES = ("processed_date", "created_date", "modified_date")
LOADED = tuple(c.name for c in COLUMNS if c.name not in DATES)
COMPARED = tuple(c.name for c in COLUMNS if c.compared and c.name != KEY)

EXPECTED: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    TABLE: {c.name: c.sql for c in COLUMNS},
    AUDIT_TABLE: AUDIT_COLUMNS,
    CHECKPOINT_TABLE: CHECKPOINT_COLUMNS,
}
"""Every table with its columns' types by dialect, as the schema declares them; generated columns are left out."""


def create_table(dialect: str) -> str:
    """Return the statement that creates `customer_enriched` where it is missing.

    DuckDB gets the key only: its other indexes would be rebuilt at each update and serve no query that a scan of the
    column does not answer faster.
    """
    lines = [
        f"{c.name} {c.sql[dialect]}{' PRIMARY KEY' if c.name == KEY else ' NOT NULL' if c.required else ''}" for c in COLUMNS
    ]
    return _create(TABLE, lines)


def create_audit(dialect: str) -> str:
    """Return the statement that creates `enrichment_audit` with its number and computed duration."""
    lines = ["audit_id BIGINT DEFAULT nextval('audit_number')"]
    lines += [f"{name} {sql[dialect]}" for name, sql in AUDIT_COLUMNS.items()]
    lines.append("duration_seconds AS (date_diff('millisecond', processing_start, processing_end) / 1000.0)")
    return _create(AUDIT_TABLE, lines)


def create_checkpoint(dialect: str) -> str:
    """Return the statement that creates the table of the one checkpoint."""
    return _create(CHECKPOINT_TABLE, [f"{name} {sql[dialect]}" for name, sql in CHECKPOINT_COLUMNS.items()])


def add_column(table: str, name: str, dialect: str) -> str:
    """Return the statement that adds a declared column to a table that lacks it."""
    return f"ALTER TABLE {table} ADD COLUMN {name} {EXPECTED[table][name][dialect]}"


def _create(table: str, lines: list[str]) -> str:
    return f"CREATE TABLE IF NOT EXISTS {table} (\n  " + ",\n  ".join(lines) + "\n)"


def update_different() -> str:
    """Return the statement that updates the rows of the staging table that differ from what is there; one mark, the time.

    Two statements instead of MERGE: on SQL Server MERGE can fail on keys that two sessions insert at once, not every server
    that speaks T-SQL has it, and the counts of each come for free.
    """
    sets = ", ".join(f"{name} = s.{name}" for name in COMPARED)
    differ = " OR ".join(f"t.{name} IS DISTINCT FROM s.{name}" for name in COMPARED)
    return (
        f"UPDATE {TABLE} AS t SET {sets}, processed_date = $now, modified_date = $now "
        f"FROM {STAGING} AS s WHERE t.{KEY} = s.{KEY} AND ({differ})"
    )


def insert_new() -> str:
    """Return the statement that inserts the rows of the staging table whose key is new; one mark, the time."""
    return (
        f"INSERT INTO {TABLE} ({', '.join(LOADED + DATES)}) "
        f"SELECT {', '.join(f's.{name}' for name in LOADED)}, $now, $now, $now FROM {STAGING} AS s "
        f"WHERE NOT EXISTS (SELECT 1 FROM {TABLE} AS t WHERE t.{KEY} = s.{KEY})"
    )


def insert(table: str, columns: Iterator[str] | tuple[str, ...]) -> str:
    """Return the statement that inserts one row, with a mark for each column."""
    names = tuple(columns)
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
