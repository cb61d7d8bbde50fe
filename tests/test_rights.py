"""Least privilege: with the rights that the scripts give and no more, a run works; everything else is refused by the server."""

from pathlib import Path

import psycopg
import pytest

from etl import cli, config
from etl.ddl import PIPELINE, READERS, grants, readable, script_of_rights, script_of_tables
from etl.errors import ConfigError, WarehouseError
from etl.pipeline import run
from etl.schema import COLUMNS, TABLE, Personal
from etl.warehouse import open_warehouse
from tests.customers import customer, write_customers
from tests.postgres_server import Server
from tests.warehouse_targets import Target


@pytest.fixture
def prepared(server: Server, database: str) -> str:
    """A database whose owner carried out both scripts and let nobody else in."""
    with server.connect(database) as owner:
        owner.execute(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC")
        owner.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        owner.execute(script_of_tables("postgresql"))
        owner.execute(script_of_rights("postgresql"))
        for role in (PIPELINE, *READERS):
            owner.execute(
                f"DO $$ BEGIN CREATE ROLE {role}_account LOGIN PASSWORD '{server.password}' IN ROLE {role}; "
                "EXCEPTION WHEN duplicate_object THEN NULL; END $$"
            )
    return database


def test_the_account_of_the_pipeline_can_make_a_whole_run(server: Server, prepared: str, project: Path) -> None:
    write_customers(project / "data/customers.csv", [customer(n) for n in range(1, 31)])
    overrides = Target("postgresql", server.settings(prepared, user=f"{PIPELINE}_account")).overrides()
    loaded = config.load(overrides=overrides | {"input.batch_size": "10"})
    first, second = run(loaded, quiet=True), run(loaded, quiet=True)
    assert (first.exit_code, first.rows.inserted, second.exit_code, second.rows.unchanged) == (0, 30, 0, 30)


@pytest.mark.parametrize(
    "statement",
    [f"DROP TABLE {TABLE}", f"TRUNCATE {TABLE}", f"DELETE FROM {TABLE}", "CREATE TABLE other (a int)", "CREATE SCHEMA other",
     "SELECT * FROM payroll", f"ALTER TABLE {TABLE} ADD COLUMN a int", "DELETE FROM enrichment_audit",
     "UPDATE pipeline_checkpoint SET line = 0"],
)  # fmt: skip
def test_the_account_of_the_pipeline_can_do_no_more(server: Server, prepared: str, statement: str) -> None:
    with server.connect(prepared) as owner:
        owner.execute("CREATE TABLE payroll (a int)")
    with server.connect(prepared, f"{PIPELINE}_account") as account, pytest.raises(psycopg.errors.InsufficientPrivilege):
        account.execute(statement)


@pytest.mark.parametrize("role", READERS)
def test_readers_see_the_columns_of_their_purpose_and_change_nothing(server: Server, prepared: str, role: str) -> None:
    seen = readable(role)
    with server.connect(prepared, f"{role}_account") as reader:
        reader.execute(f"SELECT {', '.join(seen)} FROM {TABLE}")
        refused = [f"SELECT {c.name} FROM {TABLE}" for c in COLUMNS if c.name not in seen]
        refused += [
            "SELECT * FROM enrichment_audit",
            f"DELETE FROM {TABLE}",
            f"UPDATE {TABLE} SET region = ''",
            "CREATE TABLE a (b int)",
        ]
        for statement in refused:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(statement)


def test_no_name_and_no_contact_is_seen_by_those_who_analyse() -> None:
    hidden = {c.name for c in COLUMNS if c.personal in (Personal.IDENTITY, Personal.CONTACT, Personal.IDENTIFIER)}
    assert hidden
    assert hidden.isdisjoint(readable("handover_analysis"))


@pytest.mark.parametrize("dialect", ["postgresql", "sqlserver"])
def test_the_pipeline_may_delete_only_what_it_must_and_create_nothing(dialect: str) -> None:
    own = [one for one in grants(dialect) if one.endswith(PIPELINE) and " ON " in one and "USAGE" not in one]
    assert {one.split(" ON ")[1].split()[0] for one in own if "DELETE" in one} <= {"pipeline_checkpoint", "customer_staging"}
    assert not any(word in one for one in own for word in ("ALL", "DROP", "ALTER", "CREATE", "CONTROL"))


def test_the_command_prints_the_scripts_of_the_server_that_is_asked_for(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["schema", "--dialect", "sqlserver"]) == 0
    assert capsys.readouterr().out.startswith("IF OBJECT_ID(N'customer_enriched', N'U') IS NULL CREATE TABLE customer_enriched (")
    assert cli.main(["schema", "--dialect", "postgresql", "--rights"]) == 0
    assert capsys.readouterr().out == script_of_rights("postgresql")
    assert cli.main(["schema", "--rights"]) == ConfigError.exit_code
    assert project


@pytest.mark.parametrize("server_target", ["postgresql", "odbc"], indirect=True)
def test_a_database_that_is_absent_is_created_where_the_account_may(server_target: Target) -> None:
    name = f"{server_target.settings.database}_new"
    with server_target.open(database=name) as warehouse:
        warehouse.prepare()
        assert warehouse.health().rows == 0


def test_a_database_that_may_not_be_created_is_told_with_what_its_owner_has_to_do(server: Server, prepared: str) -> None:
    settings = server.settings(f"{prepared}_new", user=f"{PIPELINE}_account")
    with pytest.raises(WarehouseError, match=r"it may not create one \(InsufficientPrivilege\)\. Ask .*: CREATE DATABASE"):
        open_warehouse(settings)
