"""The tables as statements: what creates them, brings them to the schema, and says who may do what; by dialect, from the schema.

Text only: nothing here speaks to a database. Staging holds the rows of one batch; its columns are those that are loaded.
"""

from collections.abc import Mapping

from etl.schema import AUDIT_COLUMNS, AUDIT_TABLE, CHECKPOINT_COLUMNS, CHECKPOINT_TABLE, COLUMNS, INDEXED, KEY, TABLE, Purpose

DIALECTS = ("duckdb", "postgresql", "sqlserver")
SERVERS = ("postgresql", "sqlserver")
STAGING = "customer_staging"
DATES = ("processed_date", "created_date", "modified_date")
LOADED = tuple(c.name for c in COLUMNS if c.name not in DATES)
COMPARED = tuple(c.name for c in COLUMNS if c.compared and c.name != KEY)

EXPECTED: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    TABLE: {c.name: c.sql for c in COLUMNS},
    AUDIT_TABLE: AUDIT_COLUMNS,
    CHECKPOINT_TABLE: CHECKPOINT_COLUMNS,
}
"""Every table with its columns' types by dialect, as the schema declares them; generated columns are left out."""
REQUIRED: Mapping[str, frozenset[str]] = {TABLE: frozenset(c.name for c in COLUMNS if c.required), STAGING: frozenset({KEY})}
"""The columns of each table that must be filled."""

PIPELINE = "handover_pipeline"
"""The role of the account that the pipeline runs under."""
READERS: Mapping[str, tuple[Purpose, ...]] = {
    "handover_service": ("service", "support priority"),
    "handover_analysis": ("regional and sector analysis",),
}
"""The roles of those who read customers, with the purposes they read for: a role sees the columns that serve its purposes."""
_RIGHTS = {
    TABLE: "SELECT, INSERT, UPDATE",
    AUDIT_TABLE: "SELECT, INSERT, UPDATE",
    CHECKPOINT_TABLE: "SELECT, INSERT, DELETE",
    STAGING: "SELECT, INSERT, DELETE",
}

_NUMBERED = {
    "duckdb": "audit_id BIGINT DEFAULT nextval('audit_number')",
    "postgresql": "audit_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    "sqlserver": "audit_id BIGINT IDENTITY(1,1) PRIMARY KEY",
}
_DURATION = {
    "duckdb": "duration_seconds AS (date_diff('millisecond', processing_start, processing_end) / 1000.0)",
    "postgresql": "duration_seconds NUMERIC GENERATED ALWAYS AS (EXTRACT(EPOCH FROM processing_end - processing_start)) STORED",
    "sqlserver": "duration_seconds AS (DATEDIFF(millisecond, processing_start, processing_end) / 1000.0)",
}


def permanent(dialect: str) -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    """Return the tables that stay, as `EXPECTED`. On SQL Server staging stays too, empty between two batches."""
    staging = {STAGING: {name: EXPECTED[TABLE][name] for name in LOADED}} if dialect == "sqlserver" else {}
    return {**EXPECTED, **staging}


def create_statements(dialect: str) -> dict[str, list[str]]:
    """Return by table the statements that create it where it is missing, with its indexes.

    DuckDB gets the key only: its other indexes would be rebuilt at each update and serve no query that a scan of the
    column does not answer faster.
    """
    audit = ["CREATE SEQUENCE IF NOT EXISTS audit_number"] if dialect == "duckdb" else []
    made = {
        TABLE: [create_table(dialect), *_create_indexes(dialect)],
        AUDIT_TABLE: [*audit, create_audit(dialect)],
        CHECKPOINT_TABLE: [create_checkpoint(dialect)],
    }
    return made | ({STAGING: [create_staging(dialect)]} if dialect == "sqlserver" else {})


def create_table(dialect: str) -> str:
    """Return the statement that creates `customer_enriched` where it is missing."""
    lines = [
        f"{c.name} {c.sql[dialect]}{' PRIMARY KEY' if c.name == KEY else ' NOT NULL' if c.required else ''}" for c in COLUMNS
    ]
    return _create(dialect, TABLE, lines)


def create_audit(dialect: str) -> str:
    """Return the statement that creates `enrichment_audit` with its number and computed duration."""
    columns = [f"{name} {sql[dialect]}" for name, sql in AUDIT_COLUMNS.items()]
    return _create(dialect, AUDIT_TABLE, [_NUMBERED[dialect], *columns, _DURATION[dialect]])


def create_checkpoint(dialect: str) -> str:
    """Return the statement that creates the table of the one checkpoint."""
    return _create(dialect, CHECKPOINT_TABLE, [f"{name} {sql[dialect]}" for name, sql in CHECKPOINT_COLUMNS.items()])


def create_staging(dialect: str) -> str:
    """Return the statement that creates the staging table, which holds nothing between two batches.

    On SQL Server it is a permanent table: a session's own is lost between statements when a driver prepares them.
    """
    lines = [f"{c.name} {c.sql[dialect]}{' NOT NULL' if c.name == KEY else ''}" for c in COLUMNS if c.name in LOADED]
    if dialect == "postgresql":
        return f"CREATE TEMPORARY TABLE IF NOT EXISTS {STAGING} ({', '.join(lines)}) ON COMMIT DELETE ROWS"
    return _create(dialect, STAGING, lines)


def add_column(table: str, name: str, dialect: str) -> list[str]:
    """Return the statements that add a declared column. One that must be filled can be added to an empty table only."""
    kind, required = permanent(dialect)[table][name][dialect], name in REQUIRED.get(table, ())
    word, must = "ADD" if dialect == "sqlserver" else "ADD COLUMN", " NOT NULL" if required else ""
    if dialect != "duckdb":
        return [f"ALTER TABLE {table} {word} {name} {kind}{must}"]
    must_be_filled = [f"ALTER TABLE {table} ALTER COLUMN {name} SET NOT NULL"] if required else []
    return [f"ALTER TABLE {table} {word} {name} {kind}", *must_be_filled]


def set_type(table: str, name: str, dialect: str, required: bool) -> str:
    """Return the statement that gives a column its declared type. SQL Server has to be told again that it must be filled."""
    kind = permanent(dialect)[table][name][dialect]
    if dialect == "sqlserver":
        return f"ALTER TABLE {table} ALTER COLUMN {name} {kind}{' NOT NULL' if required else ' NULL'}"
    return f"ALTER TABLE {table} ALTER COLUMN {name} TYPE {kind}"


def allow_empty(table: str, name: str, dialect: str) -> str:
    """Return the statement that lets a column be empty."""
    if dialect == "sqlserver":
        return set_type(table, name, dialect, required=False)
    return f"ALTER TABLE {table} ALTER COLUMN {name} DROP NOT NULL"


def create_database(name: str, dialect: str) -> str:
    """Return the statement that creates a database; its name is quoted."""
    if dialect == "sqlserver":
        return f"CREATE DATABASE [{name.replace(']', ']]')}]"
    return "CREATE DATABASE \"{}\" ENCODING 'UTF8' TEMPLATE template0".format(name.replace('"', '""'))


def grants(dialect: str) -> list[str]:
    """Return the statements that make the roles and give each what it needs and no more, for a server.

    The pipeline adds and changes rows; it deletes only its checkpoint and what it staged, and creates and drops nothing.
    A role of readers sees the columns that are declared for its purposes.
    """
    made = [_create_role(role, dialect) for role in (PIPELINE, *READERS)] + _let_in(dialect)
    made += [f"GRANT {_RIGHTS[table]} ON {table} TO {PIPELINE}" for table in permanent(dialect)]
    return made + [f"GRANT SELECT ({', '.join(readable(role))}) ON {TABLE} TO {role}" for role in READERS]


def readable(role: str) -> tuple[str, ...]:
    """Return the columns of `customer_enriched` that a role of readers sees."""
    return tuple(c.name for c in COLUMNS if set(c.purposes) & set(READERS[role]))


def script_of_tables(dialect: str) -> str:
    """Return the statements that create what is missing, as a script for the server's own client."""
    return _script(dialect, [one for statements in create_statements(dialect).values() for one in statements])


def script_of_rights(dialect: str) -> str:
    """Return the roles and rights of a server as a script, with how an account gets a role."""
    joins = "ALTER ROLE {} ADD MEMBER [the account]" if dialect == "sqlserver" else 'GRANT {} TO "the account"'
    hints = "".join(f"-- {joins.format(role)};\n" for role in (PIPELINE, *READERS))
    return f"{_script(dialect, grants(dialect))}\n-- Then give accounts their roles:\n{hints}"


def _script(dialect: str, statements: list[str]) -> str:
    end = "\nGO\n" if dialect == "sqlserver" else ";\n"
    return "\n".join(statement + end for statement in statements)


def _create_role(role: str, dialect: str) -> str:
    if dialect == "sqlserver":
        return f"IF DATABASE_PRINCIPAL_ID(N'{role}') IS NULL CREATE ROLE {role}"
    return (
        f"DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{role}') "
        f"THEN CREATE ROLE {role} NOLOGIN; END IF; END $$"
    )


def _let_in(dialect: str) -> list[str]:
    """Return what a role needs before it can touch a table; on SQL Server being a user of the database is enough."""
    if dialect == "sqlserver":
        return []
    roles = ", ".join((PIPELINE, *READERS))
    enter = [("CONNECT", roles), ("TEMPORARY", PIPELINE)]
    words = [f"EXECUTE format('GRANT {right} ON DATABASE %I TO {to}', current_database());" for right, to in enter]
    return [f"DO $$ BEGIN {' '.join(words)} END $$", f"GRANT USAGE ON SCHEMA public TO {roles}"]


def _create(dialect: str, table: str, lines: list[str]) -> str:
    body = f"{table} (\n  " + ",\n  ".join(lines) + "\n)"
    if dialect == "sqlserver":
        return f"IF OBJECT_ID(N'{table}', N'U') IS NULL CREATE TABLE {body}"
    return f"CREATE TABLE IF NOT EXISTS {body}"


def _create_indexes(dialect: str) -> list[str]:
    if dialect == "duckdb":
        return []
    names = {column: f"ix_{TABLE}_{column}" for column in INDEXED}
    if dialect == "postgresql":
        return [f"CREATE INDEX IF NOT EXISTS {name} ON {TABLE} ({column})" for column, name in names.items()]
    # By column, not by name: a server that only speaks T-SQL may keep an index under a name of its own.
    return [
        "IF NOT EXISTS (SELECT 1 FROM sys.index_columns AS i INNER JOIN sys.columns AS c ON c.object_id = i.object_id "
        f"AND c.column_id = i.column_id WHERE i.object_id = OBJECT_ID(N'{TABLE}') AND c.name = N'{column}') "
        f"CREATE INDEX {name} ON {TABLE} ({column})"
        for column, name in names.items()
    ]
