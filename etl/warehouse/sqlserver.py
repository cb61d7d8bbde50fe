"""SQL Server, through ODBC: a batch goes into a permanent staging table."""

import contextlib
import importlib.util
import platform
import sys
from pathlib import Path
from typing import Any

import pyodbc

from etl.connections import NO_ROOM, PREFERRED, SQLSERVER_TRANSIENT, sqlserver_string
from etl.ddl import create_database
from etl.errors import DiskError, WarehouseError
from etl.schema import TABLE
from etl.warehouse.base import RowsRefused, Transient
from etl.warehouse.odbc import OdbcWarehouse, error_numbers, passes, state_of
from etl.warehouse.tables import Found

REFUSED = frozenset({220, 245, 241, 242, 515, 547, 2601, 2627, 2628, 8114, 8115, 8152})
"""Error numbers of values that the table refuses: wrong types, overflow, NULL, constraints, doubles, truncation."""
ABSENT = frozenset({911, 4060})
"""Error numbers of a database that is not there, or that this login may not open."""
INSTALL = (
    "Install “ODBC Driver 18 for SQL Server”: Windows: winget install Microsoft.msodbcsql.18; macOS: brew install msodbcsql18; "
    "Debian and RHEL: the package msodbcsql18 of packages.microsoft.com; or anywhere: pip install 'handover[sqlserver]'"
)


class SQLServerWarehouse(OdbcWarehouse):
    """A SQL Server database of version 2016 or newer, Azure SQL included."""

    dialect = "sqlserver"
    fast_drivers = ("msodbcsql",)  # FreeTDS crashes the process with fast_executemany

    @property
    def server(self) -> str:
        """Name and version of the server."""
        return f"SQL Server {self._connection.getinfo(pyodbc.SQL_DBMS_VER)}"

    def connect(self, database: str) -> Any:
        """Connect; an error of a statement then ends its transaction."""
        connection = super().connect(database)
        connection.execute("SET XACT_ABORT ON")
        return connection

    def connection_string(self, database: str) -> str:
        """Return what the driver needs; raises WarehouseError when there is no driver."""
        settings = self.settings.model_copy(update={"database": database})
        return sqlserver_string(settings, find_driver(settings.driver))

    def is_absent(self, error: Exception) -> bool:
        """Tell by its number whether an error says that the database is not there."""
        return not ABSENT.isdisjoint(error_numbers(error))

    def create_database(self) -> bool:
        """Create the database unless it is there; return whether it was created."""
        name = self.settings.database
        with contextlib.closing(self.connect("master")) as connection:
            if connection.execute("SELECT DB_ID(?)", name).fetchone()[0] is not None:
                return False
            connection.execute(create_database(name, self.dialect))
        return True

    def take_lock(self) -> bool:
        """Take an application lock for the session; the server waits."""
        found = self.execute(
            "DECLARE @got INT; EXEC @got = sp_getapplock @Resource = ?, @LockMode = 'Exclusive', @LockOwner = 'Session', "
            "@LockTimeout = ?; SELECT @got",
            [TABLE, int(1000 * self.settings.lock_timeout)],
        )
        return int(found[0][0]) >= 0

    def free_lock(self) -> None:
        """Let go of the application lock."""
        self.execute("EXEC sp_releaseapplock @Resource = ?, @LockOwner = 'Session'", [TABLE])

    def classify(self, error: Exception) -> type[Exception]:
        """Tell refused values and passing trouble from everything else, by error number and SQLSTATE."""
        numbers = set(error_numbers(error))
        if numbers & NO_ROOM[self.dialect]:
            return DiskError
        if numbers & REFUSED or state_of(error).startswith("22"):
            return RowsRefused
        return Transient if numbers & SQLSERVER_TRANSIENT.keys() or passes(error) else WarehouseError

    def columns_of(self, table: str) -> dict[str, Found]:
        """Return the columns of a table."""
        found = self.execute(
            "SELECT COLUMN_NAME, DATA_TYPE, CHARACTER_MAXIMUM_LENGTH, NUMERIC_PRECISION, NUMERIC_SCALE, IS_NULLABLE "
            "FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_NAME = ? AND TABLE_SCHEMA = SCHEMA_NAME() ORDER BY ORDINAL_POSITION",
            [table],
        )
        return {str(name): Found(_written(*kind), empty == "NO") for name, *kind, empty in found}


def _written(kind: str, length: int | None, precision: int | None, scale: int | None) -> str:
    """Return a type of the catalogue as a statement writes it."""
    if length is not None:
        return f"{kind}({'MAX' if length == -1 else length})"
    return f"{kind}({precision},{scale})" if kind in ("decimal", "numeric") else kind


def find_driver(wanted: str) -> str:
    """Return the name or path of the driver to use; raises WarehouseError that says how to install one."""
    if wanted != "auto":
        return wanted
    installed = pyodbc.drivers()
    found = next((name for name in PREFERRED if name in installed), None) or bundled_driver()
    if found is None:
        raise WarehouseError(f"warehouse.driver: no ODBC driver for SQL Server on this machine. {INSTALL}.")
    return found


def bundled_driver() -> str | None:
    """Return the path of the driver that pip brought for this system and processor, or None."""
    spec = importlib.util.find_spec("mssql_python_odbc")
    if spec is None or not spec.submodule_search_locations:
        return None
    pattern = {"win32": "msodbcsql18.dll", "darwin": "libmsodbcsql.18.dylib"}.get(sys.platform, "libmsodbcsql-18*.so*")
    found = [path for folder in spec.submodule_search_locations for path in sorted(Path(folder).rglob(pattern))]
    fitting = [path for path in found if _fits(path)]
    return str(fitting[0]) if fitting else None


def _fits(path: Path) -> bool:
    """Tell whether a driver's folder is for this processor and, on Linux, for this family of distributions."""
    names = {part.lower() for part in path.parts}
    machine = platform.machine().lower()
    if not names & next((same for same in _PROCESSORS if machine in same), {machine}):
        return False
    return sys.platform != "linux" or _family() in names


def _family() -> str:
    with contextlib.suppress(OSError):
        told = platform.freedesktop_os_release()
        words = f"{told.get('ID', '')} {told.get('ID_LIKE', '')}".split()
        return next((folder for word, folder in _FAMILIES.items() if word in words), "debian_ubuntu")
    return "debian_ubuntu"


_PROCESSORS = ({"x86_64", "amd64", "x64"}, {"arm64", "aarch64"})
_FAMILIES = {
    "debian": "debian_ubuntu",
    "ubuntu": "debian_ubuntu",
    "rhel": "rhel",
    "fedora": "rhel",
    "suse": "suse",
    "alpine": "alpine",
}
