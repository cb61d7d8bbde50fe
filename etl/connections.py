"""Connections to servers in words: what a driver is given, and which of a server's errors pass. Nothing here connects."""

from pathlib import Path

from etl.errors import WarehouseError
from etl.settings import WarehouseSettings

OLDEST = {"postgresql": "PostgreSQL 13", "sqlserver": "SQL Server 2016"}
"""The oldest version of each server that has all that is sent to it."""
PREFERRED = ("ODBC Driver 18 for SQL Server", "ODBC Driver 17 for SQL Server")
"""The ODBC drivers that are taken without being named, best first."""
POSTGRESQL_MODES = {"verified": "verify-full", "trusting": "require", "none": "disable"}
_SIGN_IN = {"integrated": "Trusted_Connection=yes", "entra": "Authentication=ActiveDirectoryDefault"}
_ENCRYPTION = {
    "verified": "Encrypt=yes;TrustServerCertificate=no",
    "trusting": "Encrypt=yes;TrustServerCertificate=yes",
    "none": "Encrypt=no",
}  # fmt: skip

POSTGRESQL_TRANSIENT = {
    "08": "the connection was lost",
    "40001": "two transactions could not be put in one order",
    "40P01": "a deadlock",
    "53300": "too many connections",
    "53400": "a limit of the configuration was reached",
    "53200": "too little memory",
    "55P03": "a lock was not to be had in time",
    "57P01": "the server is being shut down",
    "57P02": "the server crashed",
    "57P03": "the server is starting",
    "57P05": "the session was idle for too long",
}
"""SQLSTATEs of PostgreSQL, or how they begin, that may be gone at the next try."""
SQLSERVER_TRANSIENT = {
    1204: "too many locks",
    1205: "a deadlock",
    1222: "a lock was not to be had in time",
    4060: "the database can't be opened just now",
    10053: "the connection was broken off",
    10054: "the connection was closed by the other side",
    10060: "the server did not answer in time",
    10928: "the database has no worker left",
    10929: "the server is too busy",
    40197: "the service had an error",
    40501: "the service is busy",
    40613: "the database is not available just now",
    49918: "too few resources",
    49919: "too many changes under way",
    49920: "too many operations under way",
}
"""Error numbers of SQL Server and Azure SQL that may be gone at the next try; from Microsoft's list of transient errors."""
ODBC_TRANSIENT = {
    "08": "the connection was lost, such as 08S01 or 08001",
    "HYT": "a time limit was reached",
    "40001": "a deadlock or a failed serialization",
}
"""SQLSTATEs of ODBC drivers, or how they begin, that may be gone at the next try."""
NO_ROOM: dict[str, frozenset[str | int]] = {"postgresql": frozenset({"53100"}), "sqlserver": frozenset({1101, 1105, 9002})}
"""Errors that say that the server's disk is full."""


def postgresql_parameters(settings: WarehouseSettings) -> dict[str, object]:
    """Return what psycopg is given to connect, the password apart. Times go in and come out without a zone, as UTC."""
    return {
        "host": settings.host, "port": settings.port or None, "dbname": settings.database, "user": settings.user or None,
        "sslmode": POSTGRESQL_MODES[settings.encryption], "connect_timeout": max(2, round(settings.connect_timeout)),
        "application_name": "handover", "options": f"-c statement_timeout={int(1000 * settings.query_timeout)} -c timezone=UTC",
    }  # fmt: skip


def sqlserver_string(settings: WarehouseSettings, driver: str) -> str:
    """Return what a driver of SQL Server, given by name or path, needs to connect, the password included.

    Raises WarehouseError when the driver can't keep what `warehouse.encryption` promises.
    """
    parts = [driver_part(driver)]
    if is_freetds(driver):
        parts += [f"SERVER={settings.host}", f"PORT={settings.port or 1433}", "TDS_Version=7.4", "ClientCharset=UTF-8"]
        parts += _freetds_encryption(settings)
    else:
        port = f",{settings.port}" if settings.port else ""
        parts += [f"SERVER={settings.host}{port}", _ENCRYPTION[settings.encryption]]
    parts.append(f"DATABASE={braced(settings.database)}")
    if settings.sign_in == "password":
        parts += [f"UID={braced(settings.user)}", f"PWD={braced(settings.password.get_secret_value())}"]
    else:
        parts.append(_SIGN_IN[settings.sign_in])
    return ";".join([*parts, "APP=handover"])


def _freetds_encryption(settings: WarehouseSettings) -> list[str]:
    if settings.encryption == "verified":
        raise WarehouseError(
            "warehouse.encryption verified: FreeTDS does not check the server's certificate. Use ODBC Driver 18 "
            '(warehouse.driver = "auto"), or set warehouse.encryption to "trusting" where that is enough.'
        )
    return ["Encryption=require"] if settings.encryption == "trusting" else []


def driver_part(driver: str) -> str:
    """Return the part of a connection string that names the driver; a path stands without braces."""
    return f"DRIVER={driver}" if Path(driver).is_file() else f"DRIVER={{{driver}}}"


def braced(value: str) -> str:
    """Return a value of a connection string in braces, so that no sign in it can add a keyword."""
    return "{" + value.replace("}", "}}") + "}"


def is_freetds(driver: str) -> bool:
    """Tell whether a driver is FreeTDS, by name or path."""
    return "tds" in driver.lower()
