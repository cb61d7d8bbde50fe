"""PostgreSQL, by psycopg: a batch goes in by COPY."""

import contextlib
import time
import zlib
from collections.abc import Sequence
from typing import Any

import psycopg
import pyarrow as pa
from pyarrow import csv

from etl.connections import NO_ROOM, POSTGRESQL_TRANSIENT, postgresql_parameters
from etl.ddl import LOADED, STAGING, create_database
from etl.errors import DiskError, WarehouseError
from etl.schema import TABLE
from etl.warehouse.base import RowsRefused, Transient
from etl.warehouse.server import ServerWarehouse
from etl.warehouse.tables import Found

_LOCK = zlib.crc32(TABLE.encode())
_REFUSED = ("22", "23")
"""Wrong values, broken constraints."""
_POLL = 0.1
COLUMNS_OF = (
    "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute "
    "WHERE attrelid = to_regclass(?) AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
)
"""Asks for the columns of the table that a name means to this session."""


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

    def connect(self, database: str) -> Any:
        """Connect with the time limits of the settings."""
        settings = self.settings.model_copy(update={"database": database})
        password = settings.password.get_secret_value() or None
        return psycopg.connect(**postgresql_parameters(settings), password=password, autocommit=True)  # type: ignore[arg-type]

    def is_absent(self, error: Exception) -> bool:
        """Tell whether an error may say that the database is not there: it names it. An error of connecting has no SQLSTATE."""
        return self.settings.database in str(error)

    def create_database(self) -> bool:
        """Create the database unless it is there; return whether it was created."""
        name = self.settings.database
        with contextlib.closing(self.connect("postgres")) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                return False
            connection.execute(create_database(name, self.dialect))
        return True

    def take_lock(self) -> bool:
        """Ask for the advisory lock until the time that is waited is over."""
        end = time.monotonic() + self.settings.lock_timeout
        while not self.execute("SELECT pg_try_advisory_lock(?)", [_LOCK])[0][0]:
            if time.monotonic() >= end:
                return False
            time.sleep(_POLL)
        return True

    def free_lock(self) -> None:
        """Let go of the advisory lock."""
        self.execute("SELECT pg_advisory_unlock(?)", [_LOCK])

    def classify(self, error: Exception) -> type[Exception]:
        """Tell refused values and passing trouble from everything else, by SQLSTATE."""
        state = getattr(error, "sqlstate", None) or ""
        if state in NO_ROOM[self.dialect]:
            return DiskError
        if state.startswith(_REFUSED):
            return RowsRefused
        lost = isinstance(error, psycopg.OperationalError) and not state
        return Transient if lost or state.startswith(tuple(POSTGRESQL_TRANSIENT)) else WarehouseError

    def execute(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute a statement and return its rows."""
        cursor = self._connection.execute(statement.replace("?", "%s"), list(values))
        return list(cursor.fetchall()) if cursor.description else []

    def change(self, statement: str, values: Sequence[Any]) -> int:
        """Execute a statement and return how many rows it changed."""
        return int(self._connection.execute(statement.replace("?", "%s"), list(values)).rowcount)

    def columns_of(self, table: str) -> dict[str, Found]:
        """Return the columns of a table."""
        found = self.execute(COLUMNS_OF, [table])
        return {str(name): Found(str(kind), bool(required)) for name, kind, required in found}

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
