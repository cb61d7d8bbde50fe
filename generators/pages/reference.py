"""Reference pages: settings, rules, data dictionary, exit codes and the published schemas."""

import json
from pathlib import Path

from etl.errors import ERROR_CLASSES, EXIT_INTERRUPTED, EXIT_SUCCESS, EXIT_UNEXPECTED, EXIT_WARNINGS, PipelineError
from etl.rules import RULES
from etl.schema import AUDIT_COLUMNS, AUDIT_TABLE, COLUMNS, RETENTION_WORDS, TABLE
from generators.context import Context
from generators.pages.connections import DESCRIPTION, PICTURE, write_connections
from generators.rendering import Renderer
from generators.schemas import SCHEMAS

FOLDER = "reference"


def write_reference(_: Context, renderer: Renderer) -> None:
    """Write all reference pages, the schemas and the navigation."""
    renderer.write("pages/rules.md.j2", f"{FOLDER}/rules.md", {"rules": RULES})
    renderer.write(
        "pages/data_dictionary.md.j2",
        f"{FOLDER}/data-dictionary.md",
        {
            "columns": COLUMNS,
            "table": TABLE,
            "audit_table": AUDIT_TABLE,
            "audit": AUDIT_COLUMNS,
            "retention": RETENTION_WORDS,
            "picture": PICTURE,
            "description": DESCRIPTION,
        },
    )
    renderer.write("pages/exit_codes.md.j2", f"{FOLDER}/exit-codes.md", {"codes": exit_codes()})
    write_connections(renderer, FOLDER)
    renderer.write("pages/schemas.md.j2", f"{FOLDER}/schemas.md", {"draft": "2020-12"})
    renderer.write("pages/reference_nav.md.j2", f"{FOLDER}/SUMMARY.md", {})
    _write_schemas(renderer.data)


def exit_codes() -> list[tuple[int, str, str]]:
    """Return every exit code with its meaning and the runbook's anchor, in numeric order."""
    codes = [(error.exit_code, error.meaning, error.runbook) for error in ERROR_CLASSES if error.__base__ is PipelineError]
    codes += [
        (EXIT_SUCCESS, "Success", ""),
        (EXIT_UNEXPECTED, PipelineError.meaning, PipelineError.runbook),
        (EXIT_WARNINGS, "Finished, with warnings", "finished-with-warnings"),
        (EXIT_INTERRUPTED, "Stopped by hand", "run-killed"),
    ]
    return sorted(codes)


def _write_schemas(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in SCHEMAS.items():
        text = json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
        (folder / f"{name}.schema.json").write_text(text, encoding="utf-8", newline="\n")
