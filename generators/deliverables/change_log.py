"""The change log: what changed, how a change is made and approved, and how the notebook compares with what it became."""

import json
from collections.abc import Mapping
from pathlib import Path

from etl import __version__
from generators.changes import CHANGELOG, FOLDER, KINDS, TEMPLATE, Fragment, read_changelog, read_fragments, read_owners
from generators.code_facts import LABELS, notebook_facts, package_facts
from generators.context import Context
from generators.deliverable import Deliverable
from generators.version_control import look

NOTEBOOK = Path("docs/notebooks/before.ipynb")

FAULTS = (
    ("The tables are dropped at each run", "high", "drops", "C1"),
    ("People stand in the code", "high", "people", "O5"),
    ("Server and database stand in the code", "high", "places", "C2"),
    ("Errors of any kind are swallowed", "high", "swallowed", "C1"),
    ("One statement after the other for each row", "medium", "row_statements", "C6"),
    ("Names are printed instead of logged", "high", "prints", "C4"),
)
"""What is wrong with the notebook: severity, the figure that shows it, the story that answers it."""


def build(context: Context, _: Path) -> Mapping[str, object]:
    """Return the comparison, the releases, the fragments and what the repository shows of its own rules."""
    before, now = notebook_facts(context.root / NOTEBOOK), package_facts(context.root / "etl")
    cells = json.loads((context.root / NOTEBOOK).read_text(encoding="utf-8"))["cells"]
    fragments, releases = read_fragments(context.root / FOLDER), read_changelog(context.root / CHANGELOG)
    return {
        "version": __version__,
        "commit": context.run.code.commit,
        "releases": releases,
        "pending": {kind: [one for one in fragments.values() if one.type == kind] for kind in KINDS},
        "fragment_count": len(fragments),
        "fields": {field.alias or name: field.description for name, field in Fragment.model_fields.items()},
        "template": (context.root / FOLDER / TEMPLATE).read_text(encoding="utf-8"),
        "cells": len(cells),
        "measures": [(label, getattr(before, name), getattr(now, name)) for name, label in LABELS.items()],
        "notebook_hash": before.sha256[:12],
        "faults": [(text, severity, getattr(before, name), getattr(now, name), item) for text, severity, name, item in FAULTS],
        "classes": context.facts.group("approval"),
        "owners": list(read_owners(context.root / "CODEOWNERS")),
        "advice": look(context.root, releases, __version__),
    }


DELIVERABLE = Deliverable(
    "change-log",
    "What changed and what is about to, how a change is described and approved, and what became of the notebook.",
    "data stewards and everybody who changes the pipeline",
    build,
)
