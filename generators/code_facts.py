"""Facts of code, read from its syntax tree: how the notebook and the pipeline compare."""

import ast
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path

_PLACE = re.compile(r"SERVER=[\w.(]|DATABASE=\w|localhost|^[A-Za-z]:\\|^/(?:home|Users|tmp)/", re.IGNORECASE)
_DROP = re.compile(r"\bDROP\s+(?:TABLE|DATABASE)\b", re.IGNORECASE)
_STATEMENT = re.compile(r"^\s*(?:SELECT|INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
_PERSON = {"first_name", "last_name", "email"}
_ANY_ERROR = {"Exception", "BaseException"}
_TEST = re.compile(r"^\s*(?:async )?def test_", re.MULTILINE)
_TEXT = re.compile(r"(\"{3}|\'{3}).*?\1", re.DOTALL)  # a module that stands in another as text is none of its own
_MAGIC = re.compile(r"^\s*(?:%%?[A-Za-z]|!|\?).*$", re.MULTILINE)


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
    checks: int
    sha256: str


LABELS = {
    "lines": "Lines of code",
    "functions": "Functions",
    "documented": "Functions and classes with a docstring",
    "prints": "Calls of print",
    "places": "Servers and paths in the code",
    "drops": "Statements that drop a table",
    "swallowed": "Handlers that swallow errors of any kind",
    "row_statements": "SQL statements inside a loop over rows",
    "people": "People in the code as literals",
    "checks": "Assertions and tests of it",
}
assert set(LABELS) == {field.name for field in fields(CodeFacts)} - {"sha256"}


def notebook_facts(path: Path) -> CodeFacts:
    """Count in the code cells of a notebook; its magics and outputs are not looked at. Raises SyntaxError or ValueError."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return _count([_without_magics("".join(cell["source"])) for cell in cells if cell["cell_type"] == "code"])


def package_facts(folder: Path, tests: Path | None = None) -> CodeFacts:
    """Count in all Python files of a folder; as its tests, those of modules in `tests` that import it.

    `tests` is the folder of that name beside, unless another one is named. Raises SyntaxError.
    """
    facts = _count([path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py"))])
    return replace(facts, checks=facts.checks + _count_tests(tests or folder.parent / "tests", folder.name))


@cache
def nodes_of(source: str) -> Sequence[ast.AST]:
    """Return all nodes of some code, its module first. Several pages look at the same files: each is parsed once.

    Raises SyntaxError.
    """
    return tuple(ast.walk(ast.parse(source)))


def _without_magics(source: str) -> str:
    return "" if source.lstrip().startswith("%%") else _MAGIC.sub("", source)


def _count(sources: list[str]) -> CodeFacts:
    nodes = [node for source in sources for node in nodes_of(source)]
    texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    named = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
    return CodeFacts(
        lines=sum(bool(line.strip()) and not line.strip().startswith("#") for source in sources for line in source.splitlines()),
        functions=sum(not isinstance(node, ast.ClassDef) for node in named),
        documented=sum(ast.get_docstring(node) is not None for node in named),
        prints=sum(isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print" for node in nodes),
        places=sum(bool(_PLACE.search(text)) for text in texts),
        drops=sum(bool(_DROP.search(text)) for text in texts),
        swallowed=sum(isinstance(node, ast.ExceptHandler) and _swallows(node) for node in nodes),
        row_statements=len(_statements_in_loops(nodes)),
        people=sum(_is_person(node) for node in nodes),
        checks=sum(isinstance(node, ast.Assert) for node in nodes),
        sha256=hashlib.sha256("\0".join(sources).encode("utf-8")).hexdigest(),
    )


def _swallows(handler: ast.ExceptHandler) -> bool:
    """Tell whether any error ends here: it is neither raised again nor looked at."""
    kinds = [] if handler.type is None else [getattr(node, "id", "") for node in ast.walk(handler.type)]
    if handler.type is not None and not _ANY_ERROR & set(kinds):
        return False
    inside = [node for statement in handler.body for node in ast.walk(statement)]
    used = any(isinstance(node, ast.Name) and node.id == handler.name for node in inside)
    return not used and not any(isinstance(node, ast.Raise) for node in inside)


def _statements_in_loops(nodes: Sequence[ast.AST]) -> set[ast.Constant]:
    """Return SQL texts that stand in the body of a loop which runs over rows, not over a list written out there."""
    loops = [node for node in nodes if isinstance(node, ast.For | ast.AsyncFor | ast.While)]
    over_rows = [loop for loop in loops if not isinstance(getattr(loop, "iter", None), ast.List | ast.Tuple)]
    inside = {node for loop in over_rows for part in loop.body for node in ast.walk(part)}
    return {
        node for node in inside if isinstance(node, ast.Constant) and isinstance(node.value, str) and _STATEMENT.match(node.value)
    }


def _count_tests(folder: Path, package: str) -> int:
    """Count the test functions of the modules that import a package, by their lines: parsing them all would take longer than the page."""
    imports = re.compile(rf"^\s*(?:from|import) {re.escape(package)}(?:\.|\s)", re.MULTILINE)
    texts = [_TEXT.sub("", path.read_text(encoding="utf-8")) for path in sorted(folder.glob("test_*.py"))]
    return sum(len(_TEST.findall(text)) for text in texts if imports.search(text))


def _is_person(node: ast.AST) -> bool:
    if not isinstance(node, ast.Dict):
        return False
    keys = {key.value for key in node.keys if isinstance(key, ast.Constant)}
    filled = [value for value in node.values if isinstance(value, ast.Constant) and value.value]
    return keys >= _PERSON and len(filled) >= len(_PERSON)
