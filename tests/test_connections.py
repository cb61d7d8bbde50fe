"""The guide to connections holds what the code sends, the scripts as they can be run, and no secret."""

import html
from pathlib import Path
from xml.etree import ElementTree

import pytest
import sqlglot

from etl.connections import POSTGRESQL_TRANSIENT, SQLSERVER_TRANSIENT, postgresql_parameters, sqlserver_string
from etl.ddl import SERVERS, permanent, script_of_rights, script_of_tables
from etl.settings import WarehouseSettings
from generators.pages.connections import connection_strings, write_connections
from generators.rendering import Renderer
from tests.records import make_context, make_record


@pytest.fixture
def written(tmp_path: Path) -> Path:
    write_connections(Renderer(make_context(make_record(0)), tmp_path), "reference")
    return tmp_path


def test_the_guide_shows_the_strings_errors_and_scripts_of_each_server(written: Path) -> None:
    page = html.unescape((written / "reference/connections.md").read_text(encoding="utf-8"))
    assert all(words in page for _, _, words in connection_strings())
    assert all(f"| `{code}` | {words} |" in page for code, words in {**POSTGRESQL_TRANSIENT, **SQLSERVER_TRANSIENT}.items())
    for dialect in SERVERS:
        assert script_of_rights(dialect) in page
        assert (written / f"data/{dialect}-tables.sql").read_text(encoding="utf-8") == script_of_tables(dialect)
        assert (written / f"data/{dialect}-rights.sql").read_text(encoding="utf-8") == script_of_rights(dialect)


def test_the_picture_has_every_table_with_its_columns_and_tells_them_in_words(written: Path) -> None:
    root = ElementTree.parse(written / "reference/physical-schema.svg").getroot()
    drawn = {"".join(one.itertext()).strip() for one in root.iter("{http://www.w3.org/2000/svg}text")}
    for table, columns in permanent("sqlserver").items():
        assert {table, *columns} <= {text.replace(" (index)", "") for text in drawn} | {text.split()[0] for text in drawn if text}
    assert root.find("{http://www.w3.org/2000/svg}desc") is not None


def test_a_secret_goes_to_the_driver_and_to_nobody_else() -> None:
    settings = WarehouseSettings.model_validate({"kind": "postgresql", "host": "h", "password": "s3cret"})
    assert "s3cret" not in str(postgresql_parameters(settings))
    assert "PWD={s3cret}" in sqlserver_string(
        settings.model_copy(update={"sign_in": "password"}), "ODBC Driver 18 for SQL Server"
    )


@pytest.mark.parametrize("make", [script_of_tables, script_of_rights])
def test_a_script_for_sql_server_is_t_sql_batch_by_batch(make: object) -> None:
    batches = [one for one in make("sqlserver").split("\nGO\n") if one.strip() and not one.lstrip().startswith("--")]  # type: ignore[operator]
    assert batches
    assert all(sqlglot.parse(batch, dialect="tsql", error_level=sqlglot.ErrorLevel.RAISE) for batch in batches)
