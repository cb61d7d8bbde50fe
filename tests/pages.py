"""Renders pages for tests, over contexts that tests make."""

from pathlib import Path

from generators.context import Context
from generators.deliverable import FOLDER, all_deliverables, write_deliverables
from generators.rendering import Renderer
from tests.records import clean_record, failed_record, make_context, make_record

CONTEXTS = {
    "good": lambda: make_context(make_record(0), make_record(1)),
    "failed": lambda: make_context(make_record(0), failed_record(1)),
    "failed at first": lambda: make_context(failed_record(0)),
    "clean": lambda: make_context(clean_record()),
}
"""A good run, one that failed after a good one, one that failed as the first of all, one without a fault in the data."""


def render_deliverable(slug: str, context: Context, out: Path) -> str:
    """Write one deliverable below `out` and return its page."""
    folder = out / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    one = next(one for one in all_deliverables() if one.slug == slug)
    values = {
        "deliverable": one,
        "title": context.backlog.deliverables[slug],
        "items": [item for item in context.backlog.items if item.deliverable == slug],
        **one.build(context, folder),
    }
    return Renderer(context, out).write(f"{FOLDER}/{slug}.md.j2", f"{FOLDER}/{slug}.md", values)


def render_all(context: Context, out: Path) -> dict[str, str]:
    """Write all deliverables below `out` and return their pages by slug."""
    return write_deliverables(context, Renderer(context, out))
