"""The way of SQL Server — pyodbc, staging by a prepared statement — on a real server: PostgreSQL behind its ODBC driver.

Only what is no T-SQL either way is PostgreSQL's: the connection string, the lock, the catalogue, the classes of errors. Everything
between is the code that loads into SQL Server. In CI a missing driver is a failure.
"""

import os
from pathlib import Path
from typing import Any

import pyodbc
import pytest

from etl.connections import NO_ROOM, POSTGRESQL_TRANSIENT, driver_part
from etl.ddl import create_database
from etl.errors import DiskError, WarehouseError
from etl.warehouse.base import RowsRefused, Transient
from etl.warehouse.odbc import OdbcWarehouse, passes, state_of
from etl.warehouse.postgresql import COLUMNS_OF
from etl.warehouse.tables import Found


def find_driver() -> str:
    """Return name or path of PostgreSQL's ODBC driver."""
    named = [name for name in pyodbc.drivers() if "postgresql" in name.lower() and "unicode" in name.lower()]
    files = sorted(Path("/usr/lib").glob("*/odbc/psqlodbcw.so"))
    if named or files:
        return named[0] if named else str(files[0])
    missing = "no ODBC driver of PostgreSQL found: install it (Debian: odbc-postgresql)"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


class PostgreSQLOverOdbc(OdbcWarehouse):
    """PostgreSQL behind ODBC. It stands in the place of SQL Server where a test puts it."""

    dialect = "postgresql"
    fast_drivers = ("psqlodbc",)

    @property
    def server(self) -> str:
        return f"PostgreSQL {self._connection.getinfo(pyodbc.SQL_DBMS_VER)} behind ODBC"

    def connection_string(self, database: str) -> str:
        settings = self.settings
        parts = {
            "SERVER": settings.host, "PORT": str(settings.port), "DATABASE": database, "UID": settings.user,
            "PWD": settings.password.get_secret_value(), "SSLMODE": "disable", "BoolsAsChar": "0",
        }  # fmt: skip
        return ";".join([driver_part(settings.driver), *(f"{name}={value}" for name, value in parts.items())])

    def limit_statements(self, connection: pyodbc.Connection) -> None:
        connection.execute(f"SET statement_timeout = {int(1000 * self.settings.query_timeout)}")

    def is_absent(self, error: Exception) -> bool:
        return self.settings.database in str(error)

    def create_database(self) -> bool:
        name = self.settings.database
        connection = self.connect("postgres")
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = ?", name).fetchone():
            return False
        connection.execute(create_database(name, self.dialect))
        return True

    def take_lock(self) -> bool:
        return bool(int(self.execute("SELECT pg_try_advisory_lock(7)::int")[0][0]))

    def free_lock(self) -> None:
        self.execute("SELECT pg_advisory_unlock(7)")

    def classify(self, error: Exception) -> type[Exception]:
        state = state_of(error)
        if state in NO_ROOM["postgresql"]:
            return DiskError
        if state.startswith(("22", "23")):
            return RowsRefused
        return Transient if passes(error) or state.startswith(tuple(POSTGRESQL_TRANSIENT)) else WarehouseError

    def columns_of(self, table: str) -> dict[str, Found]:
        found: list[tuple[Any, ...]] = self.execute(COLUMNS_OF, [table])
        return {str(name): Found(str(kind), required in (True, "1")) for name, kind, required in found}
