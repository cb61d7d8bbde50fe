"""SQL Server, as far as it can be looked at without one: its statements are T-SQL, its connection strings and errors right.

Where `HANDOVER_SQLSERVER_URL` names a server that speaks TDS (`host:port/database?user=...&password=...&driver=FreeTDS`), the round trip
is made on it.
"""

import json
import os
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st

from etl import cli
from etl.errors import WarehouseError
from etl.schema import COLUMNS
from etl.settings import WarehouseSettings
from etl.warehouse import UpsertCounts, open_warehouse, sql
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
from etl.warehouse.sqlserver import PREFERRED, SQLServerWarehouse, braced, error_number, find_driver

STATEMENTS = [*sql.create_tables("sqlserver"), sql.create_staging("sqlserver"), sql.update_different("sqlserver"), sql.insert_new(),
              sql.add_column("customer_enriched", "industry", "sqlserver")]  # fmt: skip


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda text: text[:60])
def test_every_statement_is_t_sql(statement: str) -> None:
    parsed = sqlglot.parse(statement, dialect="tsql", error_level=sqlglot.ErrorLevel.RAISE)
    assert len(parsed) >= 1


def test_lengths_and_types_are_those_of_the_schema() -> None:
    create = sql.create_table("sqlserver")
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
        ({"driver": "FreeTDS", "encryption": "none"}, ["PORT=1433", "TDS_Version=7.4", "ClientCharset=UTF-8"]),
    ],
)
def test_a_connection_string_holds_what_the_driver_needs(values: dict[str, object], parts: list[str]) -> None:
    text = closed(**values).connection_string()
    assert [part for part in parts if part not in text] == []


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
        (("28000", "[28000] Login failed for user 'loader'. (18456)"), WarehouseError),
        (("42S02", "[42S02] Invalid object name (208)"), WarehouseError),
    ],
)
def test_errors_are_told_apart_by_number_and_named_without_their_text(error: tuple[str, str], kind: type[Exception]) -> None:
    raised = pyodbc.Error(*error)
    assert closed().classify(raised) is kind
    assert closed().name_of(raised) == f"Error {error[0]} {error_number(raised)}"


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


URL = os.environ.get("HANDOVER_SQLSERVER_URL", "")


@pytest.mark.skipif(not URL, reason="HANDOVER_SQLSERVER_URL names no server")
def test_a_round_trip_on_the_server_that_is_named() -> None:
    parts = urlsplit(f"//{URL}")
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    settings = WarehouseSettings.model_validate(
        {"kind": "sqlserver", "host": parts.hostname, "port": parts.port or 0, "database": parts.path.strip("/"), "sign_in": "password",
         "encryption": "none", **query}
    )  # fmt: skip
    with open_warehouse(settings) as warehouse:
        for table in (*sql.EXPECTED, sql.STAGING):
            warehouse.execute(f"DROP TABLE IF EXISTS {table}")
        warehouse.prepare()
        rows = enriched(customer(1, first_name="𠮷田太"), customer(2, phone=""))
        assert upsert(warehouse, rows, NOW) == UpsertCounts(inserted=2)
        assert upsert(warehouse, rows, LATER) == UpsertCounts(unchanged=2)
        assert upsert(warehouse, enriched(customer(1), customer(2, phone="")), LATER) == UpsertCounts(updated=1, unchanged=1)
        assert warehouse.execute("SELECT first_name FROM customer_enriched ORDER BY customer_id")[0] == ("Wrenna",)
        assert warehouse.probe() >= 0
