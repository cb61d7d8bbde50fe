"""PostgreSQL, by psycopg: a batch goes in by COPY."""

import time
import zlib
from collections.abc import Sequence
from typing import Any

import psycopg
import pyarrow as pa
from pyarrow import csv

from etl.errors import WarehouseError
from etl.schema import TABLE
from etl.warehouse.base import RowsRefused, Transient
from etl.warehouse.server import ServerWarehouse
from etl.warehouse.sql import LOADED, STAGING

_LOCK = zlib.crc32(TABLE.encode())
_TRANSIENT = ("08", "40001", "40P01", "55P03", "57P0", "53")
"""SQLSTATEs, or how they begin: lost connections, failed serialization, deadlocks, locks, shutdowns, too few resources."""
_REFUSED = ("22", "23")
"""Wrong values, broken constraints."""
_MODES = {"verified": "verify-full", "trusting": "require", "none": "disable"}
_POLL = 0.1


class PostgreSQLWarehouse(ServerWarehouse):
    """A PostgreSQL database of version 13 or newer."""

    dialect = "postgresql"

    @property
    def server(self) -> str:
        """Name and version of the server."""
        number = self._connection.info.server_version
        return f"PostgreSQL {number // 10000}.{number % 10000}"

    @property
    def driver_error(self) -> type[Exception]:
        """The class of all errors of the driver."""
        return psycopg.Error

    def connect(self) -> Any:
        """Connect; times go in and come out without a zone, as UTC."""
        settings = self.settings
        return psycopg.connect(
            host=settings.host, port=settings.port or None, dbname=settings.database, user=settings.user or None,
            password=settings.password.get_secret_value() or None, sslmode=_MODES[settings.encryption],
            connect_timeout=max(2, round(settings.connect_timeout)), autocommit=True, application_name="handover",
            options=f"-c statement_timeout={int(1000 * settings.query_timeout)} -c timezone=UTC",
        )  # fmt: skip

    def take_lock(self) -> bool:
        """Ask for the advisory lock until the time that is waited is over."""
        end = time.monotonic() + self.settings.lock_timeout
        while not self.execute("SELECT pg_try_advisory_lock(?)", [_LOCK])[0][0]:
            if time.monotonic() >= end:
                return False
            time.sleep(_POLL)
        return True

    def classify(self, error: Exception) -> type[Exception]:
        """Tell refused values and passing trouble from everything else, by SQLSTATE."""
        state = getattr(error, "sqlstate", None) or ""
        if state.startswith(_REFUSED):
            return RowsRefused
        lost = isinstance(error, psycopg.OperationalError) and not state
        return Transient if lost or state.startswith(_TRANSIENT) else WarehouseError

    def execute(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute a statement and return its rows."""
        cursor = self._connection.execute(statement.replace("?", "%s"), list(values))
        return list(cursor.fetchall()) if cursor.description else []

    def change(self, statement: str, values: Sequence[Any]) -> int:
        """Execute a statement and return how many rows it changed."""
        return int(self._connection.execute(statement.replace("?", "%s"), list(values)).rowcount)

    def columns_of(self, table: str) -> dict[str, str]:
        """Return the columns of a table with their types."""
        found = self.execute(
            "SELECT column_name, data_type FROM information_schema.columns "
            "WHERE table_name = ? AND table_schema = ANY (current_schemas(false)) ORDER BY ordinal_position",
            [table],
        )
        return {str(name): str(kind) for name, kind in found}

    def begin(self) -> None:
        """Begin a transaction."""
        self._connection.execute("BEGIN")

    def commit(self) -> None:
        """Commit it."""
        self._connection.execute("COMMIT")

    def rollback(self) -> None:
        """Roll it back, unless the connection is lost and the transaction with it."""
        if not self._connection.closed:
            self._connection.execute("ROLLBACK")

    def stage(self, rows: pa.Table) -> None:
        """Copy the rows into the staging table, as CSV: a text is in quotation marks, NULL is nothing at all."""
        text = pa.BufferOutputStream()
        csv.write_csv(rows, text, csv.WriteOptions(include_header=False, quoting_style="needed"))
        with self._connection.cursor().copy(f"COPY {STAGING} ({', '.join(LOADED)}) FROM STDIN (FORMAT csv)") as copy:
            copy.write(memoryview(text.getvalue()))
