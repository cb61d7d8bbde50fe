"""Facts of code, read from its syntax tree: how the notebook and the pipeline compare."""

import ast
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

_PLACE = re.compile(r"SERVER=|DATABASE=|localhost|^[A-Za-z]:\\|^/(?:home|Users|tmp)/", re.IGNORECASE)
_DROP = re.compile(r"\bDROP\s+(?:TABLE|DATABASE)\b", re.IGNORECASE)
_STATEMENT = re.compile(r"^\s*(?:SELECT|INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
_PERSON = {"first_name", "last_name", "email"}


@dataclass(frozen=True)
class CodeFacts:
    """What was counted in some code. `sha256` names what was looked at."""

    lines: int
    functions: int
    documented: int
    prints: int
    places: int
    drops: int
    swallowed: int
    row_statements: int
    people: int
    sha256: str


LABELS = {
    "lines": "Lines of code",
    "functions": "Functions",
    "documented": "Functions and classes with a docstring",
    "prints": "Calls of print",
    "places": "Servers and paths in the code",
    "drops": "Statements that drop a table",
    "swallowed": "Bare excepts: errors of any kind are swallowed",
    "row_statements": "SQL statements inside a loop over rows",
    "people": "People in the code as literals",
}
assert set(LABELS) == {field.name for field in fields(CodeFacts)} - {"sha256"}


def notebook_facts(path: Path) -> CodeFacts:
    """Count in the code cells of a notebook; its magics and outputs are not looked at."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return _count(["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"])


def package_facts(folder: Path) -> CodeFacts:
    """Count in all Python files of a folder."""
    return _count([path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py"))])


def _count(sources: list[str]) -> CodeFacts:
    trees = [ast.parse(source) for source in sources]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    named = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
    return CodeFacts(
        lines=sum(bool(line.strip()) and not line.strip().startswith("#") for source in sources for line in source.splitlines()),
        functions=sum(not isinstance(node, ast.ClassDef) for node in named),
        documented=sum(ast.get_docstring(node) is not None for node in named),
        prints=sum(isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print" for node in nodes),
        places=sum(bool(_PLACE.search(text)) for text in texts),
        drops=sum(bool(_DROP.search(text)) for text in texts),
        swallowed=sum(isinstance(node, ast.ExceptHandler) and node.type is None for node in nodes),
        row_statements=sum(1 for tree in trees for _ in _statements_in_loops(tree)),
        people=sum(_is_person(node) for node in nodes),
        sha256=hashlib.sha256("\0".join(sources).encode("utf-8")).hexdigest(),
    )


def _statements_in_loops(tree: ast.AST) -> Iterator[ast.Constant]:
    """Yield SQL texts that stand in the body of a loop which runs over rows, not over a list written out there."""
    for loop in (
        node for node in ast.walk(tree) if isinstance(node, ast.For) and not isinstance(node.iter, ast.List | ast.Tuple)
    ):
        for node in (inner for part in loop.body for inner in ast.walk(part)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _STATEMENT.match(node.value):
                yield node


def _is_person(node: ast.AST) -> bool:
    if not isinstance(node, ast.Dict):
        return False
    keys = {key.value for key in node.keys if isinstance(key, ast.Constant)}
    filled = [value for value in node.values if isinstance(value, ast.Constant) and value.value]
    return keys >= _PERSON and len(filled) >= len(_PERSON)
