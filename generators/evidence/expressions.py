"""Names in expressions: finds what no run record has, before anything runs.

Follows the record's types through `a.b`, `a['b']`, `.values()` and comprehensions; what it can't follow it lets pass.
"""

import ast
import types
from collections.abc import Iterator, Sequence
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel

from etl.record import RunRecord, StageRecord
from etl.rules import RULES
from etl.settings import Settings
from etl.stages import STAGES
from generators.evidence.run import FUNCTIONS

Scope = dict[str, Any]
_KNOWN_KEYS: dict[str, Sequence[str]] = {
    "stages": [stage.name for stage in STAGES],
    "rules": [rule.id for rule in RULES],
    "settings": [
        f"{section}.{name}" for section, field in Settings.model_fields.items() for name in getattr(field.annotation, "model_fields", ())
    ],
}  # fmt: skip


def unknown_names(expression: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each name that no record has, with those there are. Raises SyntaxError."""
    scope = {name: field.annotation for name, field in RunRecord.model_fields.items()} | {"stages": dict[str, StageRecord]}
    yield from _look(ast.parse(expression.strip(), mode="eval").body, scope)


def _look(node: ast.AST, scope: Scope) -> Iterator[tuple[str, list[str]]]:
    if isinstance(node, ast.GeneratorExp | ast.ListComp | ast.SetComp | ast.DictComp):
        for one in node.generators:
            yield from _look(one.iter, scope)
            if isinstance(one.target, ast.Name):
                scope = scope | {one.target.id: _element(_type(one.iter, scope))}
        inside = [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.comprehension)]
        for child in (*inside, *(test for one in node.generators for test in one.ifs)):
            yield from _look(child, scope)
        return
    if isinstance(node, ast.Name) and node.id not in scope and node.id not in FUNCTIONS:
        yield node.id, [*scope, *FUNCTIONS]
    elif isinstance(node, ast.Attribute | ast.Subscript):
        known, name = _members(node, scope), _name(node)
        if known and name is not None and name not in known:
            yield name, known
    for child in ast.iter_child_nodes(node):
        yield from _look(child, scope)


def _members(node: ast.Attribute | ast.Subscript, scope: Scope) -> list[str]:
    """Return what can be asked of the value a member is asked of; nothing when that is not known."""
    holder = node.value
    if isinstance(holder, ast.Name) and holder.id in _KNOWN_KEYS and holder.id in scope:
        return [*_KNOWN_KEYS[holder.id], "values", "items", "keys", "get"]
    kind = _type(holder, scope)
    return list(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else []


def _name(node: ast.Attribute | ast.Subscript) -> str | None:
    if isinstance(node, ast.Attribute):
        return node.attr
    return str(node.slice.value) if isinstance(node.slice, ast.Constant) else None


def _type(node: ast.AST, scope: Scope) -> Any:
    if isinstance(node, ast.Name):
        return _bare(scope.get(node.id))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "values":
        return list[_element(_type(node.func.value, scope), values=True)]  # type: ignore[misc]
    if isinstance(node, ast.Attribute | ast.Subscript):
        holder, name = _type(node.value, scope), _name(node)
        if isinstance(holder, type) and issubclass(holder, BaseModel) and name in holder.model_fields:
            return _bare(holder.model_fields[name].annotation)
        return _element(holder, values=True)
    return None


def _element(kind: Any, values: bool = False) -> Any:
    """Return the type of what a collection holds; of a mapping its values when asked for, else nothing that is known."""
    arguments = get_args(kind)
    if get_origin(kind) is dict:
        return _bare(arguments[1]) if values else None
    return _bare(arguments[0]) if get_origin(kind) in (tuple, list) and arguments else None


def _bare(kind: Any) -> Any:
    """Return a type without `None`."""
    if get_origin(kind) in (Union, types.UnionType):
        others = [one for one in get_args(kind) if one is not type(None)]
        return others[0] if len(others) == 1 else None
    return kind
