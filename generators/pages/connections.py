"""The guide to connections and the physical schema: what the code sends to each server, what its owner has to run, the tables as a picture."""

from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path

from etl.connections import (
    ODBC_TRANSIENT,
    OLDEST,
    POSTGRESQL_TRANSIENT,
    PREFERRED,
    SQLSERVER_TRANSIENT,
    postgresql_parameters,
    sqlserver_string,
)
from etl.ddl import (
    EXPECTED,
    PIPELINE,
    READERS,
    REQUIRED,
    SERVERS,
    STAGING,
    create_database,
    permanent,
    readable,
    script_of_rights,
    script_of_tables,
)
from etl.schema import AUDIT_TABLE, CHECKPOINT_TABLE, INDEXED, KEY, TABLE
from etl.settings import WarehouseSettings
from generators.diagram import write_pictures
from generators.rendering import Renderer

PICTURE = "physical-schema"
DESCRIPTION = (
    f"{len(EXPECTED) + 1} tables. {STAGING} holds the rows of one batch and is emptied with it; from there they go into {TABLE} by "
    f"{KEY}. {AUDIT_TABLE} has a row for each run, {CHECKPOINT_TABLE} one row while a load is under way. They have no foreign keys."
)
_NAMES = {"postgresql": "PostgreSQL", "sqlserver": "SQL Server"}
_EXAMPLE = {"host": "db.example", "database": "customer_warehouse", "sign_in": "password", "user": "loader", "password": "***"}
_DRIVERS = (PREFERRED[0], "FreeTDS")


def write_connections(renderer: Renderer, folder: str) -> None:
    """Write the guide, the scripts for each server and the picture of the tables."""
    scripts = {dialect: {"tables": script_of_tables(dialect), "rights": script_of_rights(dialect)} for dialect in SERVERS}
    values = {
        "servers": _NAMES, "strings": list(connection_strings()), "scripts": scripts,
        "transient": {"postgresql": POSTGRESQL_TRANSIENT, "sqlserver": SQLSERVER_TRANSIENT | ODBC_TRANSIENT},
        "drivers": PREFERRED, "oldest": OLDEST, "pipeline": PIPELINE, "readers": [(role, READERS[role], readable(role)) for role in READERS],
        "create": {dialect: create_database(_EXAMPLE["database"], dialect) for dialect in SERVERS},
    }  # fmt: skip
    renderer.write("pages/connections.md.j2", f"{folder}/connections.md", values)
    write_pictures(describe_tables(), renderer.out / folder, PICTURE, "Physical schema", DESCRIPTION)
    _write_scripts(renderer.data, scripts)


def connection_strings() -> Iterator[tuple[str, str, str]]:
    """Yield server, choice and what the code gives the driver for it, with made-up names and no secret."""
    for encryption in ("verified", "trusting", "none"):
        settings = _settings("postgresql", encryption=encryption)
        words = " ".join(f"{name}={value!r}" for name, value in postgresql_parameters(settings).items() if value is not None)
        yield "postgresql", f'encryption = "{encryption}"', words
    for sign_in in ("password", "integrated", "entra"):
        yield "sqlserver", f'sign_in = "{sign_in}"', sqlserver_string(_settings("sqlserver", sign_in=sign_in), _DRIVERS[0])
    for driver in _DRIVERS:
        found = sqlserver_string(_settings("sqlserver", encryption="trusting", port=1433), driver)
        yield "sqlserver", f'encryption = "trusting", port = 1433, driver = "{driver}"', found


def _settings(kind: str, **changes: object) -> WarehouseSettings:
    return WarehouseSettings.model_validate({"kind": kind, **_EXAMPLE, **changes})


def describe_tables() -> str:
    """Return the source of the picture: every table with its columns, keys, indexes, and types on both servers."""
    nodes = "\n".join(_node(table, columns) for table, columns in permanent("sqlserver").items())
    return (
        'digraph tables {\nrankdir=LR; ranksep=1.2; nodesep=0.3; pad=0.2; dpi=72;\nnode [shape=plain fontname="Helvetica" fontsize=13];\n'
        f'{nodes}\n{TABLE} -> {STAGING} [dir=back label="upsert by {KEY}" fontname="Helvetica" fontsize=13 color="#3f51b5" penwidth=2];\n'
        f"{TABLE} -> {AUDIT_TABLE} [style=invis];\n{TABLE} -> {CHECKPOINT_TABLE} [style=invis];\n}}\n"
    )


def _node(table: str, columns: Mapping[str, Mapping[str, str]]) -> str:
    rows = "".join(_row(table, name, kinds) for name, kinds in columns.items())
    head = f'<tr><td colspan="3" bgcolor="#e8eaf6"><b>{table}</b></td></tr><tr><td>column</td><td>PostgreSQL</td><td>SQL Server</td></tr>'
    if table == AUDIT_TABLE:
        head += '<tr><td align="left"><b><u>audit_id</u></b></td><td colspan="2">numbered by the server</td></tr>'
        rows += '<tr><td align="left">duration_seconds</td><td colspan="2">computed by the server</td></tr>'
    return f'{table} [label=<<table border="1" cellborder="0" cellspacing="0" cellpadding="3" color="#3f51b5">{head}{rows}</table>>];'


def _row(table: str, name: str, kinds: Mapping[str, str]) -> str:
    text = f"<b>{name}</b>" if name in REQUIRED.get(table, ()) else name
    if table == TABLE and name == KEY:
        text = f"<u>{text}</u>"
    if table == TABLE and name in INDEXED:
        text += " (index)"
    return f'<tr><td align="left">{text}</td><td align="left">{escape(kinds["postgresql"])}</td><td align="left">{escape(kinds["sqlserver"])}</td></tr>'


def _write_scripts(folder: Path, scripts: Mapping[str, Mapping[str, str]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for dialect, parts in scripts.items():
        for part, text in parts.items():
            (folder / f"{dialect}-{part}.sql").write_text(text, encoding="utf-8", newline="\n")
