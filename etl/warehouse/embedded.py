"""The embedded warehouse: DuckDB, one file, one process that writes."""

import contextlib
import errno
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import stamina
from filelock import FileLock, Timeout

from etl.ddl import LOADED, STAGING
from etl.errors import BusyError, DiskError, WarehouseError
from etl.log import logger
from etl.schema import COLUMNS
from etl.settings import WarehouseSettings
from etl.warehouse import sql
from etl.warehouse.base import RowsRefused, Transient, Warehouse, naive
from etl.warehouse.tables import Found

_REFUSALS = (duckdb.ConstraintException, duckdb.ConversionException, duckdb.OutOfRangeException)
_NO_ROOM = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT))
"""The system's words for a full disk, a file at its limit, a used-up quota; the library has no code for them."""


class DuckDBWarehouse(Warehouse):
    """One file. A lock file beside it says that a run is under way; the system frees it when its holder dies."""

    dialect = "duckdb"

    def __init__(self, settings: WarehouseSettings) -> None:
        """Open or create the file; raises BusyError when a run holds it, WarehouseError when it can't be had."""
        super().__init__(settings)
        path = settings.path
        self._lock = FileLock(path.with_name(path.name + ".lock"), timeout=settings.lock_timeout)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout:
            logger().error("lock refused", seconds=settings.lock_timeout)
            raise BusyError(
                f"{self.place}: another run is under way (process {self._holder()}). Wait until it has ended, or stop it."
            ) from None
        except OSError as error:
            raise self._unusable(error) from None
        self._note_holder()
        try:
            self._connection = self._open()
        except (duckdb.Error, OSError) as error:
            self._lock.release()
            raise self._unusable(error) from None

    def _open(self) -> duckdb.DuckDBPyConnection:
        patience = self.settings.lock_timeout
        for attempt in stamina.retry_context(on=_held_by_another, attempts=100 if patience else 1, timeout=patience or None):
            with attempt:
                return duckdb.connect(
                    str(self.settings.path),
                    # Few, large checkpoints of the file, for each one writes the index anew, but not one at the very end.
                    config={"memory_limit": f"{self.settings.memory}MB", "checkpoint_threshold": "64MB", "threads": 1},
                )
        raise AssertionError("stamina ends with a result or an error")

    def _unusable(self, error: Exception) -> WarehouseError:
        return WarehouseError(
            f"{self.place}: the warehouse failed with {type(error).__name__}. Another process holds it, it is no warehouse, "
            "or the folder can't be written; see the runbook."
        )

    @property
    def server(self) -> str:
        """Name and version of the library."""
        return f"DuckDB {duckdb.__version__}"

    @property
    def place(self) -> str:
        """The file."""
        return self.settings.path.as_posix()

    @property
    def driver_error(self) -> type[Exception]:
        """The class of all errors of the library."""
        return duckdb.Error

    def classify(self, error: Exception) -> type[Exception]:
        """Tell refused values, conflicts of transactions and a full disk from everything else."""
        if isinstance(error, duckdb.Error) and any(words in str(error) for words in _NO_ROOM):
            return DiskError
        if isinstance(error, _REFUSALS):
            return RowsRefused
        return Transient if isinstance(error, duckdb.TransactionException) else WarehouseError

    def close(self) -> None:
        """Close the file and let go of the lock."""
        self._connection.close()
        self._lock.release()

    def execute(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute a statement and return its rows."""
        return self._connection.execute(statement, list(values)).fetchall()

    def columns_of(self, table: str) -> dict[str, Found]:
        """Return the columns of a table."""
        found = self.execute(
            "SELECT column_name, data_type, NOT is_nullable FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index",
            [table],
        )
        return {str(name): Found(str(kind), bool(required)) for name, kind, required in found}

    def begin(self) -> None:
        """Begin a transaction."""
        self._connection.begin()

    def commit(self) -> None:
        """Commit it."""
        self._connection.commit()
        self._connection.unregister("batch")

    def rollback(self) -> None:
        """Roll it back, unless an error has done so."""
        # The error that is under way may have ended the transaction; it is raised by the caller.
        with contextlib.suppress(duckdb.TransactionException):
            self._connection.rollback()
        self._connection.unregister("batch")

    def upsert_staged(self, rows: pa.Table, now: datetime) -> tuple[int, int]:
        """Upsert from a view of the rows: nothing is copied, and no table with customers can stay behind."""
        self._connection.register("batch", rows)
        self._connection.execute(_STAGE)
        inserted = int(self.execute(_INSERT, [naive(now)] * 3)[0][0])
        return inserted, int(self.execute(_UPDATE, [naive(now)] * 2)[0][0]) if inserted < len(rows) else 0

    def _note_holder(self) -> None:
        self._holder_file.write_text(str(os.getpid()), encoding="utf-8")

    def _holder(self) -> str:
        try:
            return self._holder_file.read_text(encoding="utf-8")
        except OSError:
            return "unknown"

    @property
    def _holder_file(self) -> Path:
        return self.settings.path.with_name(self.settings.path.name + ".holder")


def _held_by_another(error: Exception) -> bool:
    return isinstance(error, duckdb.IOException) and "lock" in str(error).lower()


_STAGE = (
    f"CREATE OR REPLACE TEMP VIEW {STAGING} AS SELECT "
    + ", ".join(f"CAST({c.name} AS {c.sql['duckdb']}) AS {c.name}" for c in COLUMNS if c.name in LOADED)
    + " FROM batch"
)
_UPDATE, _INSERT = sql.update_different("duckdb"), sql.insert_new()
