"""Tables as a server has them, against the schema: what differs, what mends it without losing a value, and what must be refused."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from etl.ddl import REQUIRED, add_column, allow_empty, permanent, set_type
from etl.schema import KEY


class Found(NamedTuple):
    """A column as the server has it: its type in the server's words, and whether it must be filled."""

    kind: str
    required: bool


@dataclass(frozen=True)
class Difference:
    """How a table differs from the schema. `statements` mend it; where they would lose data, `refused` says why and what to do."""

    words: str
    statements: tuple[str, ...] = ()
    refused: str = ""


def compare(table: str, there: Mapping[str, Found], dialect: str, filled: Callable[[], bool]) -> Iterator[Difference]:
    """Yield how a table differs from the schema; what it has beyond it is left alone. `filled` tells whether it has rows."""
    for name, kinds in permanent(dialect)[table].items():
        required = name in REQUIRED.get(table, ())
        if name not in there:
            yield _missing(table, name, dialect, required and filled())
        elif name != KEY or not holds(there[name].kind, kinds[dialect]):
            yield from _differing(table, name, there[name], dialect)


def _missing(table: str, name: str, dialect: str, refused: bool) -> Difference:
    words = f"{table} has no column {name}"
    if not refused:
        return Difference(words, tuple(add_column(table, name, dialect)))
    why = "it must be filled, and what the rows should hold is not known: add it by hand with the right values, then NOT NULL"
    return Difference(words, refused=why)


def _differing(table: str, name: str, found: Found, dialect: str) -> Iterator[Difference]:
    declared, required = permanent(dialect)[table][name][dialect], name in REQUIRED.get(table, ())
    words = f"{table}.{name} is {found.kind}, declared is {declared}"
    if not holds(found.kind, declared):
        if holds(declared, found.kind) and name != KEY:
            yield Difference(words, (set_type(table, name, dialect, required=found.required),))
        else:
            why = "a change could lose values: rename the column, let migrate add a new one, and copy over what fits"
            yield Difference(words, refused=why)
    elif found.required and not required:
        yield Difference(f"{table}.{name} must be filled, declared is that it may be empty", (allow_empty(table, name, dialect),))


def holds(one: str, other: str) -> bool:
    """Tell whether a type can hold every value of another one; both as a server or the schema writes them."""
    (base, sizes), (other_base, other_sizes) = _parsed(one), _parsed(other)
    if base in _INTEGERS and other_base in _INTEGERS:
        return _INTEGERS.index(base) >= _INTEGERS.index(other_base)
    fits = all(ours >= theirs for ours, theirs in zip(sizes, other_sizes, strict=False))
    return fits and (base == other_base or (base, other_base) == ("nvarchar", "varchar"))


def _parsed(kind: str) -> tuple[str, tuple[float, ...]]:
    """Return the base of a type and how much it holds: signs of a text, or digits before and behind the point."""
    found = re.fullmatch(r"([^(]*?)\s*(?:\(([^)]*)\))?([^)]*)", kind.strip().lower())
    if found is None:
        return kind, ()
    base = _NAMES.get(found[1] + found[3], found[1] + found[3])
    sizes = [math.inf if part.strip() == "max" else float(part) for part in (found[2] or "").split(",") if part.strip()]
    if base in ("varchar", "nvarchar"):
        return base, (sizes[0] if sizes else math.inf,)
    if base == "decimal":
        whole, scale = [*sizes, 0][:2] if sizes else (math.inf, math.inf)
        return base, (whole - scale if sizes else math.inf, scale)
    return base, ()


_INTEGERS = ("smallint", "int", "bigint")
_NAMES = {
    "character varying": "varchar",
    "text": "varchar",
    "integer": "int",
    "numeric": "decimal",
    "bool": "boolean",
    "timestamp without time zone": "timestamp",
}
