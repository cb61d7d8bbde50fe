"""Rendering: jinja2 templates to Markdown pages, with every figure bound to its source."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from etl.stages import STAGES
from generators.context import Context
from generators.facts import Fact
from generators.figures import plain, render

TEMPLATES = Path(__file__).parent.parent / "templates"


class Renderer:
    """Writes pages for one context. Values are escaped; a name that a template uses and nobody gave is an error."""

    def __init__(self, context: Context, out: Path, data: Path | None = None) -> None:
        """Write pages below `out` (docs/generated) and what programs read below `data` (docs/data)."""
        self.out = out
        self.data = _folder(data or out / "data")
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES, encoding="utf-8"),
            undefined=StrictUndefined,
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            bytecode_cache=FileSystemBytecodeCache(str(_folder(context.root / ".cache/templates"))),
        )
        self._environment.filters |= {"plain": plain, "cell": cell, "utc": utc, "seconds": seconds, "slug": page_slug}
        self._environment.globals |= {
            "context": context,
            "run": context.run,
            "fig": lambda source, form=None: render(context, source, form),
            "fact": lambda file, name: declared(context.facts.get(file, name), context.now),
            "declared": lambda fact: declared(fact, context.now),
            "item_page": lambda item_id: f"{page_slug(item_id)}.md",
            "stage_titles": {stage.name: stage.title for stage in STAGES},
        }

    def write(self, template: str, target: str, values: Mapping[str, object]) -> str:
        """Render `template` to the page `target` (relative to `out`) and return its text."""
        text = self._environment.get_template(template).render(values)
        path = self.out / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        return text


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def declared(fact: Fact, now: datetime) -> Markup:
    """Return a declared value with its badge: who decides it, whether it is decided, whether its review is due."""
    if fact.overdue(now.date()):
        state, words = "overdue", f"review was due {fact.review_by.isoformat()}"
    elif fact.status == "example":
        state, words = "example", f"example: {fact.owner} to decide"
    else:
        state, words = "decided", f"decided by {fact.owner}, review by {fact.review_by.isoformat()}"
    return Markup('<span class="declared declared--{}" title="{}">{}</span>').format(state, words, fact.value) + (
        Markup("") if state == "decided" else Markup(' <span class="badge badge--{}">{}</span>').format(state, state)
    )


def cell(value: object) -> Markup:
    """Return foreign text safe within a Markdown table: a file's column names can hold anything."""
    text = str(escape(str(value)))
    for sign in "|`*_[]{}~\\":
        text = text.replace(sign, f"&#{ord(sign)};")
    return Markup(" ".join(text.split()))


def utc(moment: datetime) -> Markup:
    """Return a time in UTC that a browser also shows in its reader's zone."""
    return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(timespec="seconds"), f"{moment:%d %b %Y %H:%M} UTC")


def seconds(value: float) -> str:
    """Return a duration as people read it."""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s" if value < 120 else f"{value / 60:.1f} min"


def page_slug(item_id: str) -> str:
    """Return the page name of a backlog item: `S1.2` is `s1-2`."""
    return item_id.lower().replace(".", "-")
