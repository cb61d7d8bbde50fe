"""Deliverables: what the stories ask for. Each is one module in `generators/deliverables/`, one template, one test."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from generators import deliverables
from generators.context import Context
from generators.rendering import Renderer

FOLDER = "deliverables"

Build = Callable[[Context, Path], Mapping[str, object]]


@dataclass(frozen=True)
class Deliverable:
    """A page that answers one or more stories.

    `slug` is the deliverable's name in the backlog, the page's and the template's; `summary` says in one sentence what a
    reader finds; `build` returns the template's values and may write files (diagrams) into the folder it is given.
    """

    slug: str
    summary: str
    reader: str
    build: Build


def all_deliverables() -> list[Deliverable]:
    """Return the deliverables that have a module, in the order of their slugs."""
    names = [module.name for module in pkgutil.iter_modules(deliverables.__path__)]
    found = [importlib.import_module(f"generators.deliverables.{name}").DELIVERABLE for name in names]
    return sorted(found, key=lambda one: one.slug)


def write_deliverables(context: Context, renderer: Renderer) -> dict[str, str]:
    """Write every deliverable; return the pages' texts by slug."""
    folder = renderer.out / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    return {one.slug: _write(one, context, renderer, folder) for one in all_deliverables()}


def _write(one: Deliverable, context: Context, renderer: Renderer, folder: Path) -> str:
    values = {
        "deliverable": one,
        "title": context.backlog.deliverables[one.slug],
        "items": context.items_of(one.slug),
        **one.build(context, folder),
    }
    return renderer.write(f"{FOLDER}/{one.slug}.md.j2", f"{FOLDER}/{one.slug}.md", values)
