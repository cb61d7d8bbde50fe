"""Servers behind ODBC, by pyodbc: everything but the words of one kind of server."""

import contextlib
import re
from abc import abstractmethod
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyodbc

from etl.connections import ODBC_TRANSIENT
from etl.ddl import LOADED, STAGING
from etl.schema import COLUMNS
from etl.warehouse.server import ServerWarehouse
from etl.warehouse.sql import insert

pyodbc.pooling = False  # a pooled session would outlive its run, and hold the lock


class OdbcWarehouse(ServerWarehouse):
    """A database behind an ODBC driver: a batch goes into staging by one prepared statement, its values with explicit types."""

    fast_drivers: tuple[str, ...] = ()
    """How the file names of drivers begin that take all rows of a batch at once; others could crash the process."""

    @abstractmethod
    def connection_string(self, database: str) -> str:
        """Return what the driver needs to connect to a database of the server, the password included."""

    @property
    def driver_error(self) -> type[Exception]:
        """The class of all errors of the driver."""
        error: type[Exception] = pyodbc.Error
        return error

    def connect(self, database: str) -> Any:
        """Connect with the time limit of connecting; statements have their own."""
        string = self.connection_string(database)
        connection = pyodbc.connect(string, timeout=round(self.settings.connect_timeout), autocommit=True)
        self.limit_statements(connection)
        return connection

    def limit_statements(self, connection: Any) -> None:
        """Let no statement take longer than the settings allow."""
        connection.timeout = round(self.settings.query_timeout)

    def name_of(self, error: Exception) -> str:
        """Return class, SQLSTATE and error number; the text can quote a row."""
        number = next((str(one) for one in error_numbers(error) if one), "")
        return f"{type(error).__name__} {state_of(error)} {number}".strip()

    def execute(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute a statement and return its rows."""
        cursor = self._connection.execute(statement, *values)
        while cursor.description is None and cursor.nextset():
            pass
        return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    def change(self, statement: str, values: Sequence[Any]) -> int:
        """Execute a statement and return how many rows it changed."""
        return int(self._connection.execute(statement, *values).rowcount)

    def begin(self) -> None:
        """Begin a transaction."""
        self._connection.autocommit = False

    def commit(self) -> None:
        """Commit it."""
        self._connection.commit()
        self._connection.autocommit = True

    def rollback(self) -> None:
        """Roll it back; a server that has done so already (SQL Server's error 3903), or is gone, is no error."""
        with contextlib.suppress(pyodbc.Error):
            self._connection.rollback()
        with contextlib.suppress(pyodbc.Error):
            self._connection.autocommit = True

    def stage(self, rows: pa.Table) -> None:
        """Insert the rows into the staging table, in one go where the driver can."""
        driver = str(self._connection.getinfo(pyodbc.SQL_DRIVER_NAME)).lower().removeprefix("lib")
        with contextlib.closing(self._connection.cursor()) as cursor:  # left by itself, a cursor would commit
            cursor.fast_executemany = driver.startswith(self.fast_drivers) if self.fast_drivers else False
            cursor.setinputsizes([_INPUT[base_of(c.sql["sqlserver"])](c.length) for c in COLUMNS if c.name in LOADED])
            columns = (_values(name, rows.column(name)) for name in LOADED)
            cursor.executemany(insert(STAGING, LOADED), list(zip(*columns, strict=True)))


def passes(error: Exception) -> bool:
    """Tell by its SQLSTATE whether an error of a driver may be gone at the next try."""
    return state_of(error).startswith(tuple(ODBC_TRANSIENT))


def state_of(error: Exception) -> str:
    """Return the SQLSTATE of an error, five signs, or nothing."""
    return str(error.args[0])[:5] if error.args else ""


def error_numbers(error: Exception) -> list[int]:
    """Return the server's error numbers, one for each message; the driver puts each in parentheses behind its text."""
    text = str(error.args[1]) if len(error.args) > 1 else ""
    return [int(number) for number in re.findall(r"\((\d+)\)(?= \(SQL|; \[|$)", text)]


def base_of(kind: str) -> str:
    """Return a type without its length: `NVARCHAR(50)` is `NVARCHAR`."""
    return kind.split("(")[0]


def _values(name: str, values: Any) -> list[Any]:
    if name not in _EXACT:
        return list(values.to_pylist())
    return [None if one is None else Decimal(f"{one:.{_EXACT[name]}f}") for one in values.to_pylist()]


_EXACT = {c.name: 7 for c in COLUMNS if c.sql["sqlserver"] == "DECIMAL(10,7)"}
"""Columns of exact numbers with their decimals: a driver would send a binary fraction that the server has to round."""
_INPUT: dict[str, Any] = {
    "NVARCHAR": lambda length: (pyodbc.SQL_WVARCHAR, length, 0),
    "INT": lambda _: (pyodbc.SQL_INTEGER, 0, 0),
    "BIT": lambda _: (pyodbc.SQL_BIT, 0, 0),
    "DECIMAL": lambda _: (pyodbc.SQL_DECIMAL, 10, 7),
}
