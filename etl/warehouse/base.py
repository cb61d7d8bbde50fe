"""What every warehouse does the same way: load a batch with its checkpoint, find the rows it refuses, audit, compare tables."""

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Self
from uuid import UUID

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import stamina

from etl.ddl import EXPECTED, LOADED, create_statements, permanent
from etl.errors import DiskError, PipelineError, SchemaDriftError, WarehouseError
from etl.log import logger
from etl.schema import AUDIT_COLUMNS, AUDIT_TABLE, CHECKPOINT_COLUMNS, CHECKPOINT_TABLE, COLUMNS, TABLE
from etl.settings import WarehouseSettings
from etl.warehouse import sql
from etl.warehouse.tables import Difference, Found, compare

MOST_REFUSED = 100
"""More rows of one batch than this refused is no matter of rows: the run stops."""


class UpsertCounts(NamedTuple):
    """What an upsert did; the three add up to the rows it was given."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0

    def plus(self, other: "UpsertCounts") -> "UpsertCounts":
        """Return the sum of both."""
        return UpsertCounts(*(a + b for a, b in zip(self, other, strict=True)))


class Loaded(NamedTuple):
    """What loading a batch did: counts, and the labels of the rows that the warehouse refused."""

    counts: UpsertCounts
    refused: Sequence[Any] = ()


class Checkpoint(NamedTuple):
    """How far a load has come, in the order of `CHECKPOINT_COLUMNS`. `state` is JSON without personal data."""

    run_id: str
    input_sha256: str
    line: int
    saved_at: datetime
    state: str


class AuditRow(NamedTuple):
    """What the audit table keeps of a run, in the order of `AUDIT_COLUMNS`. Times in UTC."""

    batch_id: UUID
    operation_type: str
    outcome: str
    records_processed: int
    records_successful: int
    records_failed: int
    processing_start: datetime
    processing_end: datetime | None
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


class RowsRefused(Exception):
    """The database refuses the values of a row; carries the database's own class name only."""


class Transient(Exception):
    """A lock, a deadlock or a lost connection: the same work can go well the next time."""


Settle = Callable[[Loaded], Checkpoint]


class Warehouse(ABC):
    """What the pipeline needs of a warehouse. A kind of server fills in the abstract members."""

    dialect: str

    def __init__(self, settings: WarehouseSettings) -> None:
        """Open the warehouse and take the lock; raises BusyError when a run holds it, WarehouseError when it can't be had."""
        self.settings = settings

    def __enter__(self) -> Self:
        """Return itself; leaving closes it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    @property
    @abstractmethod
    def server(self) -> str:
        """Name and version of the server, without its address."""

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it is, as an error may name it: a file, a host and database; no user, no secret."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the warehouse and of the lock."""

    @abstractmethod
    def execute(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute a statement with `?` marks and return its rows."""

    @abstractmethod
    def columns_of(self, table: str) -> dict[str, Found]:
        """Return the columns of a table as the server has them; empty when there is no such table."""

    @abstractmethod
    def classify(self, error: Exception) -> type[Exception]:
        """Return RowsRefused, Transient, DiskError or WarehouseError for an error of the driver."""

    @property
    @abstractmethod
    def driver_error(self) -> type[Exception]:
        """The class of all errors of the driver."""

    @abstractmethod
    def begin(self) -> None:
        """Begin a transaction."""

    @abstractmethod
    def commit(self) -> None:
        """Commit it."""

    @abstractmethod
    def rollback(self) -> None:
        """Roll it back; a transaction that the server has ended already is no error."""

    @abstractmethod
    def upsert_staged(self, rows: pa.Table, now: datetime) -> tuple[int, int]:
        """Stage rows and upsert them within the transaction under way; return how many were inserted and updated."""

    def reconnect(self) -> None:  # noqa: B027 - an embedded warehouse has nothing to do
        """Connect again after a lost connection."""

    def prepare(self) -> None:
        """Create what is missing. Raises SchemaDriftError when a table is not as the schema declares it."""
        with self.guarded():
            self.create_missing()
        if found := self.differences():
            words = "; ".join(one.words for one in found)
            raise SchemaDriftError(f"{self.place}: {words}. See the plan with: python -m etl migrate")

    def create_missing(self) -> None:
        """Create the tables that are missing. What is there is not touched, for that would take rights a run need not have."""
        for table, statements in create_statements(self.dialect).items():
            if not self.columns_of(table):
                with self.transaction():
                    for statement in statements:
                        self.execute(statement)

    def differences(self) -> list[Difference]:
        """Return how the tables differ from the schema, except for what they have beyond it, and what mends each difference."""
        return [one for table in permanent(self.dialect) for one in self._differences_of(table)]

    def _differences_of(self, table: str) -> list[Difference]:
        with self.guarded():
            there = self.columns_of(table)
            if not there:
                return [Difference(f"there is no table {table}", tuple(create_statements(self.dialect)[table]))]
            return list(compare(table, there, self.dialect, lambda: self._count(table) > 0))

    def load(self, rows: pd.DataFrame, now: datetime, settle: Settle) -> Loaded:
        """Upsert rows (ids distinct) and keep the checkpoint that `settle` makes, in one transaction.

        `now` (UTC) dates what is new or differs. `settle` may be called again when the transaction is tried again. Raises
        WarehouseError when the batch can't be loaded; nothing of it is then in the warehouse.
        """
        try:
            for attempt in stamina.retry_context(
                on=Transient, attempts=self.settings.attempts, timeout=None, wait_initial=0.1, wait_max=5.0
            ):
                with attempt:
                    if attempt.num > 1:
                        self.reconnect()
                    return self._load_once(rows, now, settle)
        except Transient as error:
            raise self.failed(str(error)) from None
        raise AssertionError("stamina ends with a result or an error")

    def _load_once(self, rows: pd.DataFrame, now: datetime, settle: Settle) -> Loaded:
        try:
            return self._commit(rows, now, settle, ())
        except RowsRefused:
            refused = self._find_refused(rows, now)
            logger().warning("rows refused by the warehouse", rows=len(refused))
        try:
            return self._commit(rows.drop(index=refused), now, settle, refused)
        except RowsRefused as error:  # no single row is the cause: a key stands twice
            raise self.failed(str(error)) from None

    def _commit(self, rows: pd.DataFrame, now: datetime, settle: Settle, refused: Sequence[Any]) -> Loaded:
        with self.transaction():
            inserted, updated = self.upsert_staged(loadable(rows), now) if len(rows) else (0, 0)
            loaded = Loaded(UpsertCounts(inserted, updated, len(rows) - inserted - updated), refused)
            self._save(settle(loaded))
        return loaded

    def _find_refused(self, rows: pd.DataFrame, now: datetime) -> list[Any]:
        """Return the labels of the refused rows, by halving: n refused rows cost about n·log2(rows) trials."""
        found: list[Any] = []
        left = [rows]
        while left:
            part = left.pop()
            if not self._refuses(part, now):
                continue
            if len(part) == 1:
                found.append(part.index[0])
                if len(found) > MOST_REFUSED:
                    raise self.failed(f"more than {MOST_REFUSED} rows of a batch refused")
            else:
                half = len(part) // 2
                left += [part.iloc[half:], part.iloc[:half]]
        return found

    def _refuses(self, rows: pd.DataFrame, now: datetime) -> bool:
        try:
            with self.transaction():
                self.upsert_staged(loadable(rows), now)
                raise _Undo
        except _Undo:
            return False
        except RowsRefused:
            return True

    def _save(self, checkpoint: Checkpoint) -> None:
        self.execute(f"DELETE FROM {CHECKPOINT_TABLE}")
        self.execute(sql.insert(CHECKPOINT_TABLE, tuple(CHECKPOINT_COLUMNS)), [*map(naive, checkpoint)])

    def checkpoint(self) -> Checkpoint | None:
        """Return how far an unfinished load has come, or None."""
        with self.guarded():
            found = self.execute(f"SELECT {', '.join(CHECKPOINT_COLUMNS)} FROM {CHECKPOINT_TABLE}")
        return Checkpoint(*found[0]) if len(found) == 1 else None

    def begin_audit(self, row: AuditRow) -> None:
        """Add a run's row. Rows still under way are of runs that died, for whoever calls this holds the lock."""
        with self.transaction():
            self.execute(f"UPDATE {AUDIT_TABLE} SET outcome = 'killed' WHERE outcome = 'running'")
            self.execute(sql.insert(AUDIT_TABLE, tuple(AUDIT_COLUMNS)), [*map(naive, row)])

    def end_audit(self, row: AuditRow) -> None:
        """Complete a run's row. After a success there is nothing to go on with, so the checkpoint goes with it."""
        sets = ", ".join(f"{name} = ?" for name in AUDIT_COLUMNS if name != "batch_id")
        with self.transaction():
            self.execute(f"UPDATE {AUDIT_TABLE} SET {sets} WHERE batch_id = ?", [*map(naive, row[1:]), row.batch_id])
            if row.outcome == "success":
                self.execute(f"DELETE FROM {CHECKPOINT_TABLE}")

    def health(self) -> Health:
        """Count tables and rows."""
        with self.guarded():
            tables = tuple(table for table in sorted(EXPECTED) if self.columns_of(table))
            rows, audits = (self._count(name) if name in tables else 0 for name in (TABLE, AUDIT_TABLE))
        return Health(True, tables, rows, audits, self.server)

    def probe(self) -> float:
        """Return the seconds of a round trip, after a row was written and rolled back; raises WarehouseError without the rights."""
        row = Checkpoint("probe", "", 0, datetime(2000, 1, 1), "")
        with contextlib.suppress(_Undo), self.transaction():
            self.execute(sql.insert(CHECKPOINT_TABLE, tuple(CHECKPOINT_COLUMNS)), row)
            raise _Undo
        begin = time.perf_counter()
        with self.guarded():
            self.execute("SELECT 1")
        return time.perf_counter() - begin

    def _count(self, table: str) -> int:
        return int(self.execute(f"SELECT count(*) FROM {table}")[0][0])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is done inside, or roll it back. Errors of the driver come out classified, without their text."""
        with self.guarded():
            self.begin()
            try:
                yield
            except BaseException:
                self.rollback()
                raise
            self.commit()

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Turn errors of the driver into ours. Their text can quote a row's values, so only the class is kept."""
        try:
            yield
        except self.driver_error as error:
            kind, name = self.classify(error), self.name_of(error)
            raise (kind(name) if kind in (RowsRefused, Transient) else self.failed(name, kind)) from None

    def name_of(self, error: Exception) -> str:
        """Return what an error may be called: its class, never its text."""
        return type(error).__name__

    def failed(self, name: str, kind: type[Exception] = WarehouseError) -> PipelineError:
        """Return the error that says what failed, where, and what to do."""
        if kind is DiskError:
            return DiskError(
                f"{self.place}: no room left to write ({name}). Batches committed before stay. Make room, run again."
            )
        return WarehouseError(f"{self.place}: the warehouse failed with {name}. See the runbook.")


class _Undo(Exception):
    """Ends a trial."""


def naive(value: Any) -> Any:
    """Return a time as warehouses keep it, UTC without a zone; anything else as it is."""
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


def loadable(rows: pd.DataFrame) -> pa.Table:
    """Return the columns to load with the types of the schema; an empty text means nothing is known and becomes NULL."""
    kinds = {c.name: c.sql["duckdb"] for c in COLUMNS}
    return pa.table({name: _typed(pa.array(rows[name]), kinds[name]) for name in LOADED})


def _typed(values: Any, kind: str) -> Any:
    if kind.startswith("VARCHAR"):
        return pc.if_else(pc.equal(values, ""), pa.scalar(None, values.type), values)
    return values.cast(pa.int32()) if kind == "INTEGER" else values
