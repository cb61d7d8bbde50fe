"""The change log: what changed, how a change is made and approved, and how the notebook compares with what it became."""

import json
from collections.abc import Mapping
from pathlib import Path

from etl import __version__
from etl.repository import ask_git
from generators.changes import CHANGELOG, FOLDER, KINDS, TEMPLATE, Fragment, read_changelog, read_fragments, read_owners
from generators.code_facts import LABELS, notebook_facts, package_facts
from generators.context import Context
from generators.deliverable import Deliverable

NOTEBOOK = Path("docs/notebooks/before.ipynb")
LARGEST = 1_000_000

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
    fragments = read_fragments(context.root / FOLDER)
    return {
        "version": __version__,
        "commit": context.run.code.commit,
        "releases": read_changelog(context.root / CHANGELOG),
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
        "advice": _advice(context),
    }


def _advice(context: Context) -> list[tuple[str, str]]:
    """Return each piece of advice with what this repository shows of it."""
    tracked = ask_git(context.root, "ls-files", "-z")
    files = [context.root / name for name in tracked.split("\0") if name] if tracked else []
    return [
        (
            "One branch per change, merged into a protected main after a review",
            "The git host enforces it; can't be seen from here",
        ),
        (
            "A fragment per change, gathered at the release",
            f"{len(read_fragments(context.root / FOLDER))} fragments await the next release",
        ),
        ("Small files only; data stays outside", _large(files)),
        ("Notebooks without outputs", _outputs(context.root / NOTEBOOK.parent)),
        ("Nothing generated in git", _generated(files, context.root)),
        ("A tag per release, the same as the version", _tags(context.root)),
    ]


def _large(files: list[Path]) -> str:
    if not files:
        return "Can't be seen from here"
    large = [path.name for path in files if path.is_file() and path.stat().st_size > LARGEST]
    return f"Too large: {', '.join(large)}" if large else f"None of {len(files)} files is larger than {LARGEST:,} bytes"


def _outputs(folder: Path) -> str:
    paths = sorted(folder.glob("*.ipynb"))
    cells = [(path.name, cell) for path in paths for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    dirty = sorted({name for name, cell in cells if cell.get("outputs")})
    return f"With outputs: {', '.join(dirty)}" if dirty else f"{len(paths)} notebooks, none with outputs"


def _generated(files: list[Path], root: Path) -> str:
    if not files:
        return "Can't be seen from here"
    outputs = ("runs", "site", "warehouse", "docs/generated")
    found = [path for path in files if path.relative_to(root).as_posix().startswith(tuple(f"{name}/" for name in outputs))]
    return f"{len(found)} generated files are in git" if found else f"Nothing of {', '.join(outputs)} is in git"


def _tags(root: Path) -> str:
    tags = ask_git(root, "tag", "--list", "v*")
    if tags is None:
        return "Can't be seen from here"
    return f"Tags: {', '.join(tags.split())}" if tags.split() else f"No release yet; the version is {__version__}"


DELIVERABLE = Deliverable(
    "change-log",
    "What changed and what is about to, how a change is described and approved, and what became of the notebook.",
    "data stewards and everybody who changes the pipeline",
    build,
)
