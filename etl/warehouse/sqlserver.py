"""SQL Server, by pyodbc: a batch goes into a permanent staging table, its values with explicit types."""

import contextlib
import importlib.util
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyodbc

from etl.errors import WarehouseError
from etl.schema import COLUMNS, TABLE
from etl.warehouse.base import RowsRefused, Transient
from etl.warehouse.server import ServerWarehouse
from etl.warehouse.sql import LOADED, STAGING, insert

PREFERRED = ("ODBC Driver 18 for SQL Server", "ODBC Driver 17 for SQL Server")
TRANSIENT = frozenset({1204, 1205, 1222, 4060, 10053, 10054, 10060, 10928, 10929, 40197, 40501, 40613, 49918, 49919, 49920})
"""Error numbers worth another try: locks and deadlocks (12xx), lost connections (100xx), a database that moves or is busy
(4060, 10928 and above). Source: Microsoft's list of transient errors of SQL Database."""
REFUSED = frozenset({220, 245, 241, 242, 515, 547, 2601, 2627, 2628, 8114, 8115, 8152})
"""Error numbers of values that the table refuses: wrong types, overflow, NULL, constraints, doubles, truncation."""
_LOST = ("08", "HYT")  # SQLSTATEs of lost connections and time-outs
_SIGN_IN = {"integrated": "Trusted_Connection=yes", "entra": "Authentication=ActiveDirectoryDefault"}
_ENCRYPTION = {
    "verified": "Encrypt=yes;TrustServerCertificate=no", "trusting": "Encrypt=yes;TrustServerCertificate=yes", "none": "Encrypt=no",
}  # fmt: skip
INSTALL = (
    "Install “ODBC Driver 18 for SQL Server”: Windows: winget install Microsoft.msodbcsql.18; macOS: brew install msodbcsql18; "
    "Debian and RHEL: the package msodbcsql18 of packages.microsoft.com; or anywhere: pip install 'handover[sqlserver]'"
)


class SQLServerWarehouse(ServerWarehouse):
    """A SQL Server database of version 2016 or newer, Azure SQL included."""

    dialect = "sqlserver"

    @property
    def server(self) -> str:
        """Name and version of the server."""
        return f"SQL Server {self._connection.getinfo(pyodbc.SQL_DBMS_VER)}"

    @property
    def driver_error(self) -> type[Exception]:
        """The class of all errors of the driver."""
        error: type[Exception] = pyodbc.Error
        return error

    def connect(self) -> Any:
        """Connect with the time limit of connecting; statements have their own."""
        connection = pyodbc.connect(self.connection_string(), timeout=round(self.settings.connect_timeout), autocommit=True)
        connection.timeout = round(self.settings.query_timeout)
        connection.execute("SET XACT_ABORT ON")
        return connection

    def connection_string(self) -> str:
        """Return what the driver needs. Values are in braces, so that no sign in them can add a keyword."""
        settings = self.settings
        driver = find_driver(settings.driver)
        parts = [f"DRIVER={{{driver}}}" if not Path(driver).is_file() else f"DRIVER={driver}"]
        if is_freetds(driver):
            parts += [f"SERVER={settings.host}", f"PORT={settings.port or 1433}", "TDS_Version=7.4", "ClientCharset=UTF-8"]
        else:
            parts += [
                f"SERVER={settings.host}" + (f",{settings.port}" if settings.port else ""),
                _ENCRYPTION[settings.encryption],
            ]
        parts.append(f"DATABASE={braced(settings.database)}")
        if settings.sign_in == "password":
            parts += [f"UID={braced(settings.user)}", f"PWD={braced(settings.password.get_secret_value())}"]
        else:
            parts.append(_SIGN_IN[settings.sign_in])
        return ";".join([*parts, "APP=handover"])

    def take_lock(self) -> bool:
        """Take an application lock for the session; the server waits."""
        found = self.execute(
            "DECLARE @got INT; EXEC @got = sp_getapplock @Resource = ?, @LockMode = 'Exclusive', @LockOwner = 'Session', "
            "@LockTimeout = ?; SELECT @got",
            [TABLE, int(1000 * self.settings.lock_timeout)],
        )
        return int(found[0][0]) >= 0

    def classify(self, error: Exception) -> type[Exception]:
        """Tell refused values and passing trouble from everything else, by error number and SQLSTATE."""
        state, number = str(error.args[0] if error.args else ""), error_number(error)
        if number in REFUSED or state.startswith("22"):
            return RowsRefused
        passing = number in TRANSIENT or state.startswith(_LOST) or state == "40001"
        kind: type[Exception] = Transient if passing else WarehouseError
        return kind

    def name_of(self, error: Exception) -> str:
        """Return class, SQLSTATE and error number; the text can quote a row."""
        state = str(error.args[0])[:5] if error.args else ""
        return f"{type(error).__name__} {state} {error_number(error) or ''}".strip()

    def execute(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute a statement and return its rows."""
        cursor = self._connection.execute(statement, *values)
        while cursor.description is None and cursor.nextset():
            pass
        return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    def change(self, statement: str, values: Sequence[Any]) -> int:
        """Execute a statement and return how many rows it changed."""
        return int(self._connection.execute(statement, *values).rowcount)

    def columns_of(self, table: str) -> dict[str, str]:
        """Return the columns of a table with their types."""
        found = self.execute(
            "SELECT COLUMN_NAME, DATA_TYPE FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_NAME = ? ORDER BY ORDINAL_POSITION",
            [table],
        )
        return {str(name): str(kind) for name, kind in found}

    def begin(self) -> None:
        """Begin a transaction."""
        self._connection.autocommit = False

    def commit(self) -> None:
        """Commit it."""
        self._connection.commit()
        self._connection.autocommit = True

    def rollback(self) -> None:
        """Roll it back; a server that has done so already (error 3903), or is gone, is no error."""
        with contextlib.suppress(pyodbc.Error):
            self._connection.rollback()
            self._connection.autocommit = True

    def stage(self, rows: pa.Table) -> None:
        """Insert the rows into the staging table, in one go where the driver can."""
        with self._connection.cursor() as cursor:
            # FreeTDS crashes the process with fast_executemany, so only Microsoft's driver gets it.
            cursor.fast_executemany = (
                str(self._connection.getinfo(pyodbc.SQL_DRIVER_NAME)).lower().startswith(("msodbcsql", "libmsodbcsql"))
            )
            cursor.setinputsizes([_INPUT[_base(c.sql["sqlserver"])](c.length) for c in COLUMNS if c.name in LOADED])
            cursor.executemany(insert(STAGING, LOADED), list(zip(*(column.to_pylist() for column in rows.columns), strict=True)))


def _base(kind: str) -> str:
    return kind.split("(")[0]


_INPUT: dict[str, Any] = {
    "NVARCHAR": lambda length: (pyodbc.SQL_WVARCHAR, length, 0),
    "INT": lambda _: (pyodbc.SQL_INTEGER, 0, 0),
    "BIT": lambda _: (pyodbc.SQL_BIT, 0, 0),
    "DECIMAL": lambda _: (pyodbc.SQL_DECIMAL, 10, 7),
}


def error_number(error: Exception) -> int | None:
    """Return the server's error number, which the driver puts in parentheses behind its text."""
    text = str(error.args[1]) if len(error.args) > 1 else ""
    numbers = [part.split(")")[0] for part in text.split("(")[1:]]
    return next((int(one) for one in numbers if one.isdecimal()), None)


def braced(value: str) -> str:
    """Return a value of a connection string in braces."""
    return "{" + value.replace("}", "}}") + "}"


def is_freetds(driver: str) -> bool:
    """Tell whether a driver is FreeTDS, by name or path."""
    return "tds" in driver.lower()


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
