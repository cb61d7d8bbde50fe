"""The warehouse: one small interface, DuckDB embedded behind it.

Loading is idempotent: a batch goes into a staging table and from there by one set-based statement into
`customer_enriched`, keyed by `customer_id`. Rows that do not differ are left alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol, Self
from uuid import UUID

import duckdb
import pandas as pd

from etl.errors import WarehouseError
from etl.schema import AUDIT_COLUMNS, AUDIT_TABLE, COLUMNS, KEY, TABLE
from etl.settings import WarehouseSettings

STAGING = "customer_staging"


class UpsertCounts(NamedTuple):
    """What an upsert did; the three add up to the rows it was given."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0

    def plus(self, other: "UpsertCounts") -> "UpsertCounts":
        """Return the sum of both."""
        return UpsertCounts(*(a + b for a, b in zip(self, other, strict=True)))


class AuditRow(NamedTuple):
    """What the audit table keeps of a run, in the order of `AUDIT_COLUMNS`. Times in UTC."""

    batch_id: UUID
    operation_type: str
    records_processed: int
    records_successful: int
    records_failed: int
    processing_start: datetime
    processing_end: datetime
    error_message: str | None
    pipeline_version: str


@dataclass(frozen=True)
class Health:
    """What a look at the warehouse found."""

    reachable: bool
    tables: tuple[str, ...]
    rows: int
    audit_rows: int
    server: str


class Warehouse(Protocol):
    """What the pipeline needs of a warehouse."""

    def prepare(self) -> None:
        """Create what is missing; never drops anything."""
        ...

    def upsert(self, rows: pd.DataFrame, processed: datetime) -> UpsertCounts:
        """Load rows (columns of the schema, ids distinct) in one transaction."""
        ...

    def audit(self, row: AuditRow) -> None:
        """Add a row to the audit table."""
        ...

    def health(self) -> Health:
        """Look at tables and counts."""
        ...

    def close(self) -> None:
        """Let go of the warehouse."""
        ...


class DuckDBWarehouse:
    """The embedded warehouse: one file. One process writes at a time."""

    def __init__(self, path: Path) -> None:
        """Open or create the file; raises WarehouseError when another process holds it or it is no warehouse."""
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = duckdb.connect(str(path))
        except (duckdb.Error, OSError) as error:
            raise WarehouseError(_reason(path, error)) from None

    def __enter__(self) -> Self:
        """Return itself; leaving closes the file."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def prepare(self) -> None:
        """Create the tables where they are missing."""
        with self._guarded():
            self._connection.execute(create_table_sql())
            self._connection.execute("CREATE SEQUENCE IF NOT EXISTS audit_number")
            self._connection.execute(create_audit_sql())

    def upsert(self, rows: pd.DataFrame, processed: datetime) -> UpsertCounts:
        """Load rows in one transaction; `processed` (UTC) dates those that are new or differ."""
        if rows.empty:
            return UpsertCounts()
        with self._guarded(), self._transaction():
            self._connection.register("batch", rows[_LOADED])
            self._connection.execute(_STAGE)
            did = self._connection.execute(_MERGE, {"now": _naive(processed)}).df()["merge_action"].value_counts()
            self._connection.execute(f"TRUNCATE {STAGING}")
            self._connection.unregister("batch")
        inserted, updated = int(did.get("INSERT", 0)), int(did.get("UPDATE", 0))
        return UpsertCounts(inserted, updated, len(rows) - inserted - updated)

    def audit(self, row: AuditRow) -> None:
        """Add a row to the audit table."""
        marks = ", ".join("?" * len(row))
        values = [_naive(value) if isinstance(value, datetime) else value for value in row]
        with self._guarded():
            self._connection.execute(f"INSERT INTO {AUDIT_TABLE} ({', '.join(AUDIT_COLUMNS)}) VALUES ({marks})", values)

    def health(self) -> Health:
        """Count tables and rows."""
        with self._guarded():
            tables = tuple(name for (name,) in self._connection.execute(_TABLES).fetchall())
            rows, audits = (self._count(name) if name in tables else 0 for name in (TABLE, AUDIT_TABLE))
        return Health(True, tables, rows, audits, f"DuckDB {duckdb.__version__}")

    def _count(self, table: str) -> int:
        found = self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        return int(found[0]) if found else 0

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.begin()
        try:
            yield
        except BaseException:
            self._connection.rollback()
            raise
        self._connection.commit()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            raise WarehouseError(_reason(self.path, error)) from None


def open_warehouse(settings: WarehouseSettings) -> DuckDBWarehouse:
    """Open the warehouse that the settings name; raises WarehouseError when it can't be had."""
    return DuckDBWarehouse(settings.path)


def create_table_sql() -> str:
    """Return the statement that creates `customer_enriched`.

    DuckDB gets the key only: its other indexes would be rebuilt at each update and serve no query that a scan of the
    column does not answer faster.
    """
    lines = [
        f"{c.name} {c.sql['duckdb']}{' PRIMARY KEY' if c.name == KEY else ' NOT NULL' if c.required else ''}" for c in COLUMNS
    ]
    return f"CREATE TABLE IF NOT EXISTS {TABLE} (\n  " + ",\n  ".join(lines) + "\n)"


def create_audit_sql() -> str:
    """Return the statement that creates `enrichment_audit` with its number and computed duration."""
    lines = ["audit_id BIGINT DEFAULT nextval('audit_number')"]
    lines += [f"{name} {sql['duckdb']}" for name, sql in AUDIT_COLUMNS.items()]
    lines.append("duration_seconds AS (date_diff('millisecond', processing_start, processing_end) / 1000.0)")
    return f"CREATE TABLE IF NOT EXISTS {AUDIT_TABLE} (\n  " + ",\n  ".join(lines) + "\n)"


_DATES = ("processed_date", "created_date", "modified_date")
_LOADED = [c.name for c in COLUMNS if c.name not in _DATES]
_COMPARED = [c.name for c in COLUMNS if c.compared and c.name != KEY]

# An empty text means nothing is known, which a warehouse says with NULL.
_STAGE = (
    f"CREATE OR REPLACE TEMP TABLE {STAGING} AS SELECT "
    + ", ".join(
        f"CAST({f'nullif({c.name}, {chr(39) * 2})' if 'VARCHAR' in c.sql['duckdb'] else c.name} AS {c.sql['duckdb']}) AS {c.name}"
        for c in COLUMNS
        if c.name in _LOADED
    )
    + " FROM batch"
)

_TABLES = "SELECT table_name FROM duckdb_tables() WHERE NOT temporary ORDER BY table_name"

_MERGE = f"""
MERGE INTO {TABLE} AS t USING {STAGING} AS s ON t.{KEY} = s.{KEY}
WHEN MATCHED AND ({" OR ".join(f"t.{name} IS DISTINCT FROM s.{name}" for name in _COMPARED)})
  THEN UPDATE SET {", ".join(f"{name} = s.{name}" for name in _COMPARED)}, processed_date = $now, modified_date = $now
WHEN NOT MATCHED
  THEN INSERT ({", ".join(_LOADED)}, {", ".join(_DATES)}) VALUES ({", ".join(f"s.{name}" for name in _LOADED)}, $now, $now, $now)
RETURNING merge_action"""


def _naive(moment: datetime) -> datetime:
    """Warehouse times are UTC without a zone, as DATETIME2 keeps them."""
    return moment.replace(tzinfo=None)


def _reason(path: Path, error: Exception) -> str:
    """Name the kind of database error only: its text can quote a row's values."""
    hint = (
        "Another process holds it, or the folder can't be written"
        if isinstance(error, duckdb.IOException | OSError)
        else ("It refused the work")
    )
    return f"{path.as_posix()}: the warehouse failed with {type(error).__name__}. {hint}; see the runbook."
