"""The module map: what each module of the pipeline is for, which way imports go, before and now, errors, public functions."""

import ast
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from etl.errors import ERROR_CLASSES
from etl.failures import failure
from generators.code_facts import LABELS, nodes_of, notebook_facts, package_facts
from generators.context import Context
from generators.deliverable import Deliverable
from generators.deliverables.change_log import NOTEBOOK

PACKAGE = "etl"


@dataclass(frozen=True)
class Name:
    """A public function or class: how it is called, and the first line of its docstring."""

    name: str
    signature: str
    purpose: str


@dataclass(frozen=True)
class Module:
    """A module: its purpose, its lines, what of the package it imports, and its public names."""

    name: str
    purpose: str
    lines: int
    imports: tuple[str, ...]
    names: tuple[Name, ...]


def build(context: Context, _: Path) -> Mapping[str, object]:
    """Return modules, layers, the comparison with the notebook, and the errors."""
    modules = [
        _module(path, context.root) for path in sorted((context.root / PACKAGE).rglob("*.py")) if path.name != "__main__.py"
    ]
    callers = _callers(context.root)
    before, now = notebook_facts(context.root / NOTEBOOK), package_facts(context.root / PACKAGE)
    return {
        "modules": modules,
        "lines": sum(module.lines for module in modules),
        "longest": max(module.lines for module in modules),
        "layers": _layers(context.root / "pyproject.toml"),
        "compared": [(label, getattr(before, name), getattr(now, name)) for name, label in LABELS.items()],
        "errors": [(error, failure(error.runbook), callers.get(error.__name__, [])) for error in ERROR_CLASSES],
        "documented": sum(bool(name.purpose) for module in modules for name in module.names),
        "public": sum(len(module.names) for module in modules),
    }


def _module(path: Path, root: Path) -> Module:
    source = path.read_text(encoding="utf-8")
    nodes = nodes_of(source)
    tree = cast(ast.Module, nodes[0])
    name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
    imports = sorted({one for one in _imported(nodes) if one.startswith(f"{PACKAGE}.")})
    return Module(name, _first_line(tree), len(source.splitlines()), tuple(imports), tuple(_names(tree)))


def _imported(nodes: Sequence[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from [node.module] if node.module != PACKAGE else [f"{PACKAGE}.{one.name}" for one in node.names]


def _names(tree: ast.Module) -> Iterator[Name]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield Name(node.name, _signature(node), _first_line(node))


def _signature(node: ast.FunctionDef | ast.ClassDef) -> str:
    if isinstance(node, ast.ClassDef):
        return f"class {node.name}"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{node.name}({ast.unparse(node.args)}){returns}"


def _first_line(node: ast.Module | ast.FunctionDef | ast.ClassDef) -> str:
    text = ast.get_docstring(node) or ""
    return " ".join(text.split("\n\n")[0].split())


def _layers(pyproject: Path) -> list[str]:
    contracts = tomllib.loads(pyproject.read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    return next(contract["layers"] for contract in contracts if contract["type"] == "layers")


def _callers(root: Path) -> dict[str, list[str]]:
    """Return by each name that is called the files in which it is."""
    callers: dict[str, list[str]] = defaultdict(list)
    for path in sorted((root / PACKAGE).rglob("*.py")):
        calls = (node.func for node in nodes_of(path.read_text(encoding="utf-8")) if isinstance(node, ast.Call))
        for name in {call.id for call in calls if isinstance(call, ast.Name)}:
            callers[name].append(path.relative_to(root).as_posix())
    return callers


DELIVERABLE = Deliverable(
    "module-map",
    "What each module of the pipeline is for, which way imports go, what became of the notebook, and every public function.",
    "developers",
    build,
)
