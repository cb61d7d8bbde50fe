"""The statements: DDL and upsert of every warehouse, derived from `etl.schema` by dialect.

A `?` marks a value. Staging holds the rows of one batch; its columns are those that are loaded.
"""

from collections.abc import Mapping

from etl.schema import AUDIT_COLUMNS, AUDIT_TABLE, CHECKPOINT_COLUMNS, CHECKPOINT_TABLE, COLUMNS, INDEXED, KEY, TABLE

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

_NUMBERED = {
    "duckdb": "audit_id BIGINT DEFAULT nextval('audit_number')",
    "postgresql": "audit_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    "sqlserver": "audit_id BIGINT IDENTITY(1,1) PRIMARY KEY",
}
_DURATION = {
    "duckdb": "duration_seconds AS (date_diff('millisecond', processing_start, processing_end) / 1000.0)",
    "postgresql": "duration_seconds NUMERIC GENERATED ALWAYS AS (EXTRACT(EPOCH FROM processing_end - processing_start)) STORED",
    "sqlserver": "duration_seconds AS (DATEDIFF(millisecond, processing_start, processing_end) / 1000.0)",
}


def create_tables(dialect: str) -> list[str]:
    """Return the statements that create what is missing, and nothing else.

    DuckDB gets the key only: its other indexes would be rebuilt at each update and serve no query that a scan of the
    column does not answer faster.
    """
    return [create_table(dialect), create_audit(dialect), create_checkpoint(dialect), *_create_indexes(dialect)]


def create_table(dialect: str) -> str:
    """Return the statement that creates `customer_enriched` where it is missing."""
    lines = [
        f"{c.name} {c.sql[dialect]}{' PRIMARY KEY' if c.name == KEY else ' NOT NULL' if c.required else ''}" for c in COLUMNS
    ]
    return _create(dialect, TABLE, lines)


def create_audit(dialect: str) -> str:
    """Return the statement that creates `enrichment_audit` with its number and computed duration."""
    columns = [f"{name} {sql[dialect]}" for name, sql in AUDIT_COLUMNS.items()]
    return _create(dialect, AUDIT_TABLE, [_NUMBERED[dialect], *columns, _DURATION[dialect]])


def create_checkpoint(dialect: str) -> str:
    """Return the statement that creates the table of the one checkpoint."""
    return _create(dialect, CHECKPOINT_TABLE, [f"{name} {sql[dialect]}" for name, sql in CHECKPOINT_COLUMNS.items()])


def create_staging(dialect: str) -> str:
    """Return the statement that creates the staging table, which holds nothing between two batches.

    On SQL Server it is a permanent table: a session's own is lost between statements when a driver prepares them.
    """
    lines = [f"{c.name} {c.sql[dialect]}{' NOT NULL' if c.name == KEY else ''}" for c in COLUMNS if c.name in LOADED]
    if dialect == "postgresql":
        return f"CREATE TEMPORARY TABLE IF NOT EXISTS {STAGING} ({', '.join(lines)}) ON COMMIT DELETE ROWS"
    return _create(dialect, STAGING, lines)


def add_column(table: str, name: str, dialect: str) -> str:
    """Return the statement that adds a declared column to a table that lacks it."""
    word = "ADD" if dialect == "sqlserver" else "ADD COLUMN"
    return f"ALTER TABLE {table} {word} {name} {EXPECTED[table][name][dialect]}"


def _create(dialect: str, table: str, lines: list[str]) -> str:
    body = f"{table} (\n  " + ",\n  ".join(lines) + "\n)"
    if dialect == "sqlserver":
        return f"IF OBJECT_ID(N'{table}', N'U') IS NULL CREATE TABLE {body}"
    return f"CREATE TABLE IF NOT EXISTS {body}"


def _create_indexes(dialect: str) -> list[str]:
    if dialect == "duckdb":
        return []
    names = {column: f"ix_{TABLE}_{column}" for column in INDEXED}
    if dialect == "postgresql":
        return [f"CREATE INDEX IF NOT EXISTS {name} ON {TABLE} ({column})" for column, name in names.items()]
    return [
        f"IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE name = N'{name}') CREATE INDEX {name} ON {TABLE} ({column})"
        for column, name in names.items()
    ]


def update_different(dialect: str) -> str:
    """Return the statement that updates the rows which differ from the staged ones; two marks, both the time.

    Two statements instead of MERGE: on SQL Server MERGE can fail on keys that two sessions insert at once, not every server
    that speaks T-SQL has it, and the counts of each come for free.
    """
    sets = ", ".join(f"{name} = s.{name}" for name in COMPARED)
    dates = "processed_date = ?, modified_date = ?"
    if dialect == "sqlserver":  # IS DISTINCT FROM came with 2022; EXCEPT compares NULL as a value too
        ours, theirs = (", ".join(f"{side}.{name}" for name in COMPARED) for side in "ts")
        return (
            f"UPDATE t SET {sets}, {dates} FROM {TABLE} AS t INNER JOIN {STAGING} AS s ON t.{KEY} = s.{KEY} "
            f"WHERE EXISTS (SELECT {ours} EXCEPT SELECT {theirs})"
        )
    differ = " OR ".join(f"t.{name} IS DISTINCT FROM s.{name}" for name in COMPARED)
    return f"UPDATE {TABLE} AS t SET {sets}, {dates} FROM {STAGING} AS s WHERE t.{KEY} = s.{KEY} AND ({differ})"


def insert_new() -> str:
    """Return the statement that inserts the staged rows whose key is new; three marks, all the time."""
    return (
        f"INSERT INTO {TABLE} ({', '.join(LOADED + DATES)}) "
        f"SELECT {', '.join(f's.{name}' for name in LOADED)}, ?, ?, ? FROM {STAGING} AS s "
        f"WHERE NOT EXISTS (SELECT 1 FROM {TABLE} AS t WHERE t.{KEY} = s.{KEY})"
    )


def insert(table: str, columns: tuple[str, ...]) -> str:
    """Return the statement that inserts one row, with a mark for each column."""
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
