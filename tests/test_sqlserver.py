"""SQL Server without one: all it is sent is T-SQL, its connection strings and errors are right.

The contract of `test_warehouse_contract.py` is held to the server that `HANDOVER_SQLSERVER_URL` names, where it names one.
"""

import json
import os
from pathlib import Path
from uuid import uuid4

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st

from etl import cli
from etl.connections import PREFERRED, braced
from etl.ddl import create_table, grants, permanent
from etl.errors import DiskError, WarehouseError
from etl.schema import COLUMNS
from etl.settings import WarehouseSettings
from etl.warehouse import AuditRow, open_warehouse
from tests.customers import customer
from tests.test_warehouse import LATER, NOW, enriched, upsert

try:
    import pyodbc
except ImportError as error:
    if os.environ.get("CI"):
        raise
    pytest.skip(f"pyodbc can't be loaded: {error}. On Linux it needs unixODBC", allow_module_level=True)

from etl.warehouse import sqlserver
from etl.warehouse.base import RowsRefused, Transient
from etl.warehouse.odbc import error_numbers
from etl.warehouse.sqlserver import SQLServerWarehouse, find_driver


class Recorder:
    """A connection that keeps every statement and answers as an empty SQL Server would; a table is there once it was created."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.tables: dict[str, list[tuple[object, ...]]] = {}
        self.found: list[tuple[object, ...]] = []
        self.rowcount = 0
        self.autocommit, self.timeout, self.fast_executemany = True, 0, False

    def execute(self, statement: str, *values: object) -> "Recorder":
        self.statements.append(statement)
        for table in permanent("sqlserver"):
            if statement.startswith(f"IF OBJECT_ID(N'{table}'"):
                self.tables[table] = [
                    catalogued(name, kinds["sqlserver"]) for name, kinds in permanent("sqlserver")[table].items()
                ]
        answers = {"sp_getapplock": [(0,)], "DB_ID": [(None,)], "count(*)": [(0,)]}
        self.found = next((rows for words, rows in answers.items() if words in statement), [])
        if "INFORMATION_SCHEMA" in statement:
            self.found = self.tables.get(str(values[0]), [])
        return self

    @property
    def description(self) -> object:
        return self.statements[-1].lstrip().startswith(("SELECT", "DECLARE")) or None

    def fetchall(self) -> list[tuple[object, ...]]:
        return self.found

    def fetchone(self) -> tuple[object, ...]:
        return self.found[0]

    def executemany(self, statement: str, _: object) -> None:
        self.statements.append(statement)

    def getinfo(self, _: int) -> str:
        return "libmsodbcsql-18.so"

    def cursor(self) -> "Recorder":
        return self

    def nextset(self) -> bool:
        return False

    def setinputsizes(self, _: object) -> None: ...
    def commit(self) -> None: ...
    def rollback(self) -> None: ...
    def close(self) -> None: ...


def catalogued(name: str, kind: str, length: int = 0) -> tuple[object, ...]:
    """Return a column as INFORMATION_SCHEMA.COLUMNS has it, a text as long as declared unless told otherwise."""
    base, _, size = kind.lower().rstrip(")").partition("(")
    if base == "decimal":
        return name, base, None, *map(int, size.split(",")), "YES"
    text = (-1 if size == "max" else length or int(size)) if base == "nvarchar" else None
    return name, base, text, None, None, "YES"


def test_everything_that_is_sent_to_the_server_is_t_sql(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder, doors = (
        Recorder(),
        iter([pyodbc.ProgrammingError("42000", "[42000] Cannot open database (4060) (SQLDriverConnect)")]),
    )

    def connect(*_: object, **__: object) -> Recorder:
        for refused in doors:  # the database is not there at first
            raise refused
        return recorder

    monkeypatch.setattr(pyodbc, "connect", connect)
    with closed().__class__(closed().settings) as warehouse:
        warehouse.prepare()
        upsert(warehouse, enriched(customer(1)), NOW)
        row = AuditRow(uuid4(), "upsert", "success", 1, 1, 0, NOW, LATER, None, "0.1.0")
        warehouse.begin_audit(row)
        warehouse.end_audit(row)
        warehouse.health()
        warehouse.probe()
        recorder.tables["customer_enriched"] = [catalogued("last_name", "NVARCHAR(50)", 30)]
        plan = [statement for one in warehouse.differences() for statement in one.statements]
    sent = [*recorder.statements, *plan, *grants("sqlserver")]
    assert "ALTER TABLE customer_enriched ALTER COLUMN last_name NVARCHAR(50) NULL" in plan
    wanted = ("CREATE DATABASE", "SET XACT_ABORT", "sp_getapplock", "sp_releaseapplock", "CREATE INDEX", "UPDATE t SET",
              "INSERT INTO customer_staging", "DELETE FROM pipeline_checkpoint", "SELECT 1",
              "ALTER TABLE customer_enriched ADD", "GRANT SELECT (")  # fmt: skip
    assert [words for words in wanted if not any(words in statement for statement in sent)] == []
    for statement in sent:
        assert sqlglot.parse(statement, dialect="tsql", error_level=sqlglot.ErrorLevel.RAISE), statement
        assert not any(words in statement for words in ("MERGE", "IS DISTINCT FROM", "LIMIT", "#")), statement


def test_lengths_and_types_are_those_of_the_schema() -> None:
    create = create_table("sqlserver")
    assert all(f"{column.name} {column.sql['sqlserver']}" in create for column in COLUMNS)
    assert "longitude DECIMAL(10,7)" in create
    assert "first_name NVARCHAR(50) NOT NULL" in create


def closed(**values: object) -> SQLServerWarehouse:
    """Return a warehouse that is not connected, to look at what it would send."""
    one = SQLServerWarehouse.__new__(SQLServerWarehouse)
    one.settings = WarehouseSettings.model_validate({"kind": "sqlserver", "host": "db.example", "driver": PREFERRED[0], **values})
    return one


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        (
            {},
            [
                "DRIVER={ODBC Driver 18 for SQL Server}",
                "SERVER=db.example",
                "Encrypt=yes;TrustServerCertificate=no",
                "Trusted_Connection=yes",
            ],
        ),
        ({"port": 1444, "encryption": "trusting"}, ["SERVER=db.example,1444", "TrustServerCertificate=yes"]),
        ({"sign_in": "entra"}, ["Authentication=ActiveDirectoryDefault"]),
        ({"sign_in": "password", "user": "loader", "password": "a;b}c"}, ["UID={loader}", "PWD={a;b}}c}"]),
        ({"driver": "FreeTDS", "encryption": "trusting"}, ["Encryption=require"]),
        ({"driver": "FreeTDS", "encryption": "none"}, ["PORT=1433", "TDS_Version=7.4", "ClientCharset=UTF-8"]),
    ],
)
def test_a_connection_string_holds_what_the_driver_needs(values: dict[str, object], parts: list[str]) -> None:
    text = closed(**values).connection_string("customer_warehouse")
    assert [part for part in parts if part not in text] == []


def test_a_driver_that_checks_no_certificate_is_refused_where_that_is_wanted() -> None:
    with pytest.raises(WarehouseError, match="FreeTDS does not check the server's certificate"):
        closed(driver="FreeTDS", encryption="verified").connection_string("x")


@given(st.text())
def test_no_value_can_add_a_keyword_to_a_connection_string(value: str) -> None:
    inside = braced(value)[1:-1]
    assert inside.replace("}}", "").count("}") == 0


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (("40001", "[40001] [Microsoft] Transaction was deadlocked (1205) (SQLExecDirectW)"), Transient),
        (("HYT00", "[HYT00] Lock request time out period exceeded. (1222)"), Transient),
        (("08S01", "[08S01] Communication link failure (10054)"), Transient),
        (("42000", "[42000] Database is not currently available (40613)"), Transient),
        (("23000", "[23000] Violation of PRIMARY KEY constraint (2627) (SQLExecute)"), RowsRefused),
        (("22001", "[22001] String or binary data would be truncated (2628)"), RowsRefused),
        (("23000", "[23000] Violation of PRIMARY KEY. The duplicate key value is (1). (2627) (SQLExecute)"), RowsRefused),
        (("42000", "[42000] The transaction log for database 'x' is full (9002) (SQLExecute)"), DiskError),
        (("28000", "[28000] Login failed for user 'loader'. (18456)"), WarehouseError),
        (("42S02", "[42S02] Invalid object name (208)"), WarehouseError),
    ],
)
def test_errors_are_told_apart_by_number_and_named_without_their_text(error: tuple[str, str], kind: type[Exception]) -> None:
    raised = pyodbc.Error(*error)
    assert closed().classify(raised) is kind
    assert closed().name_of(raised) == f"Error {error[0]} {error_numbers(raised)[0]}"


def test_an_installed_driver_is_preferred_and_the_newest_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyodbc, "drivers", lambda: ["FreeTDS", *reversed(PREFERRED)])
    assert find_driver("auto") == PREFERRED[0]
    assert find_driver("FreeTDS") == "FreeTDS"


def test_the_driver_that_pip_brought_is_found_for_this_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyodbc, "drivers", lambda: [])
    assert Path(find_driver("auto")).is_file()


def test_without_a_driver_it_says_how_to_install_one_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyodbc, "drivers", lambda: ["FreeTDS"])
    monkeypatch.setattr(sqlserver, "bundled_driver", lambda: None)
    with pytest.raises(WarehouseError, match="no ODBC driver") as caught:
        find_driver("auto")
    assert all(name in str(caught.value) for name in ("winget", "brew", "msodbcsql18", "pip install"))


def test_a_server_that_is_not_there_is_told_within_the_time_limit_of_connecting() -> None:
    settings = WarehouseSettings.model_validate(
        {"kind": "sqlserver", "host": "127.0.0.1", "port": 1, "connect_timeout": 1, "sign_in": "password", "user": "x", "password": "s3cret",
         "attempts": 1}
    )  # fmt: skip
    with pytest.raises(WarehouseError, match=r"127\.0\.0\.1:1/customer_warehouse: no connection") as caught:
        open_warehouse(settings)
    assert "s3cret" not in str(caught.value)


def test_health_tells_that_the_server_is_not_there(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "data/customers.csv").write_text("customer_id\n", encoding="utf-8")
    wanted = {
        "kind": "sqlserver",
        "host": "127.0.0.1",
        "port": "1",
        "connect_timeout": "1",
        "sign_in": "password",
        "user": "x",
        "attempts": "1",
    }
    words = [word for name, value in wanted.items() for word in ("--set", f"warehouse.{name}={value}")]
    cli.main(["health", "--json", *words])
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)["components"]}["warehouse"]
    assert (found["state"], found["exit_code"], found["runbook"]) == ("failed", 4, "warehouse-unavailable")
    assert "127.0.0.1:1/customer_warehouse: no connection" in found["told"]
