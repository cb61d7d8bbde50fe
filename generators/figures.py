"""Figures: every number on a page is bound to its source, so that it can be read again and compared.

A source is `kind:path`: `run:rows.read`, `run:stages.load.seconds`, `run:quality.dimensions.validity.score`,
`settings:quality.rejects_stop`, `backlog:points`, `code:rules`, `history:runs`, `evidence:proved`, `logs:files`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup
from pydantic import BaseModel

from etl.rules import RULES
from etl.schema import COLUMNS, INPUT_COLUMNS
from etl.stages import STAGES, STORES
from generators.context import Context
from generators.judging import STATES
from generators.log_facts import log_facts

Value = int | float | str


class FigureError(Exception):
    """A page asks for a figure that its source does not have."""


@dataclass(frozen=True)
class BoundFigure:
    """A figure as it stands on a page: its source and the value it shows."""

    source: str
    value: str


_BOUND = re.compile(r'<data value="([^"]*)" data-src="([^"]*)"')


def bound_figures(page: str) -> list[BoundFigure]:
    """Return the figures of a page as `render` wrote them."""
    return [BoundFigure(source, value) for value, source in _BOUND.findall(page)]


def resolve(context: Context, source: str) -> Value:
    """Read a figure from its source; raises FigureError naming the part that is not there."""
    kind, _, path = source.partition(":")
    if kind not in _SOURCES:
        raise FigureError(f"figure {source!r}: no source {kind!r}; there are {', '.join(_SOURCES)}.")
    value = _walk(_SOURCES[kind](context), path, source)
    if not isinstance(value, int | float | str):
        raise FigureError(f"figure {source!r}: it is no single value.")
    return value


def render(context: Context, source: str, form: str | None = None) -> Markup:
    """Return a bound figure as HTML. `form` is a format for the value, such as `{:.1f} s`."""
    value = resolve(context, source)
    text = form.format(value) if form else plain(value)
    where = escape(source, quote=True)
    return Markup(f'<data value="{escape(str(value), quote=True)}" data-src="{where}" title="{where}">{escape(text)}</data>')


def plain(value: Value) -> str:
    """Return a number as people write it: thousands apart, two decimals at most."""
    if isinstance(value, float):
        return f"{value:,.2f}".rstrip("0").rstrip(".")
    return f"{value:,}" if isinstance(value, int) else value


def _walk(node: object, path: str, source: str) -> object:
    while path:
        key, path = _step(node, path, source)
        node = _member(node, key)
    return node


def _step(node: object, path: str, source: str) -> tuple[str, str]:
    """Return the longest part of `path` that names a member of `node` (ids of rules hold dots), and the rest."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        key = ".".join(parts[:length])
        if _member(node, key) is not None:
            return key, ".".join(parts[length:])
    raise FigureError(f"figure {source!r}: there is no {parts[0]!r}.")


def _member(node: object, key: str) -> object:
    if isinstance(node, BaseModel):
        return getattr(node, key, None) if key in type(node).model_fields else None
    if isinstance(node, Mapping):
        return node.get(key)
    if isinstance(node, Sequence) and not isinstance(node, str):
        return next((one for one in node if key in (getattr(one, "name", None), getattr(one, "dimension", None))), None)
    return None


def _backlog(context: Context) -> dict[str, int]:
    items = context.backlog.items
    return {
        "items": len(items),
        "criteria": sum(len(item.criteria) for item in items),
        "points": sum(item.points for item in items),
        "deliverables": len(context.backlog.deliverables),
    }


def _code(_: Context) -> dict[str, int]:
    return {
        "rules": len(RULES),
        "columns": len(COLUMNS),
        "personal_columns": sum(c.personal.value != "not personal" for c in COLUMNS),
        "input_columns": len(INPUT_COLUMNS),
        "stages": len(STAGES),
        "stores": len(STORES),
        "personal_stores": sum(store.personal for store in STORES),
    }


def _evidence(context: Context) -> dict[str, int]:
    verdicts = list((context.verdicts or {}).values())
    done = context.done_items()
    counts = {state: sum(verdict.state == state for verdict in verdicts) for state in STATES}
    return counts | {"built": len(context.built), "items_done": len(done), "points_done": sum(item.points for item in done)}


def _settings(context: Context) -> Mapping[str, object]:
    return {name: value for name, value in _flat(context.settings.values)}  # noqa: C416


def _flat(model: BaseModel, prefix: str = "") -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for name in type(model).model_fields:
        value = getattr(model, name)
        found += _flat(value, f"{prefix}{name}.") if isinstance(value, BaseModel) else [(prefix + name, value)]
    return found


_SOURCES: dict[str, Callable[[Context], object]] = {
    "run": lambda context: context.run,
    "settings": _settings,
    "backlog": _backlog,
    "code": _code,
    "history": lambda context: {"runs": len(context.runs), "good": sum(run.exit_code in (0, 10) for run in context.runs)},
    "evidence": _evidence,
    "logs": lambda context: log_facts(context.settings.values).figures(),
}
