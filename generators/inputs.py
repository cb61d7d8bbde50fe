"""Inputs: what a test, a command or a rehearsal depends on, as paths with the hash of their content.

Code is followed by its imports, from module to module; files are those that were opened, or that are declared in `DATA`.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from etl.repository import digest
from generators.code_facts import nodes_of

PACKAGES = ("etl", "generators", "tests")
CONFTEST = "tests/conftest.py"
DATA = ("config", "data/reference", "data/customers.csv")
"""What every start of the pipeline reads beside its code."""

WATCHED = (*PACKAGES, "handover.py", "config", "data", "docs", "facts", "templates", "changes", "backlog.yaml", "mkdocs.yml",
           "noxfile.py", "pyproject.toml", "constraints.txt", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "CODEOWNERS",
           ".ci", ".gitignore")  # fmt: skip
"""The first part of every path that can be an input. Outputs are none."""

_OUTPUT = re.compile(r"(?:^|/)__pycache__(?:/|$)|^docs/(?:generated|data)(?:/|$)|\.pyc$|^facts/signoffs\.yaml$")
_PACKAGE_NAMED = re.compile(rf"^(?:{'|'.join(PACKAGES)})\.[\w.]*$")
GONE = ""
"""The hash of a file that is not there."""


def is_input(path: str) -> bool:
    """Return whether a path below the project's folder can be an input. Signatures are none: they change no behaviour."""
    return path.partition("/")[0] in WATCHED and not _OUTPUT.search(path)


def own_lines(node: str) -> str:
    """Return the part of a test module in which a test stands: its function, or the class it is in."""
    file, _, name = node.partition("::")
    return f"{file}::{name.partition('::')[0].partition('[')[0]}"


class Inputs:
    """Reads inputs below a folder, each file once. A path may name a part of a test module: `tests/test_a.py::test_b`.

    The part without a name, `tests/test_a.py::`, is everything in the module that stands outside its tests.
    """

    def __init__(self, root: Path) -> None:
        """Look below `root`."""
        self.root = root
        self._digests: dict[str, str] = {}
        self._closures: dict[str, frozenset[str]] = {}
        self._imports: dict[str, frozenset[str]] = {}
        self._of_fixtures: dict[str, set[str]] = {}

    def digest(self, path: str) -> str:
        """Return the hash of a file or a part of a test module; `GONE` when it is not there."""
        if path not in self._digests:
            file, _, part = path.partition("::")
            self._digests[path] = self._part(file, part) if "::" in path else self._whole(file)
        return self._digests[path]

    def digests(self, paths: Iterable[str]) -> dict[str, str]:
        """Return the hash of each path."""
        return {path: self.digest(path) for path in sorted(paths)}

    def changed(self, then: Mapping[str, str]) -> list[str]:
        """Return the paths whose content is not what it was."""
        return [path for path, was in then.items() if self.digest(path) != was]

    def below(self, *paths: str) -> set[str]:
        """Return the files of some folders, and the files among the paths."""
        found: set[str] = set()
        for path in paths:
            here = self.root / path
            files = [here] if here.is_file() else here.rglob("*")
            found |= {name for file in files if file.is_file() and is_input(name := file.relative_to(self.root).as_posix())}
        return found

    def closure(self, *files: str) -> set[str]:
        """Return the files of code that some files of code import, directly or not, and they themselves."""
        found: set[str] = set()
        for file in files:
            found |= self._closure(file)
        return found

    def test_files(self, node: str) -> set[str]:
        """Return the code a test depends on: its own lines, its module's other lines, what it imports, and its module's fixtures."""
        file = node.partition("::")[0]
        return (self.closure(file) - {file}) | self._fixtures(file) | {own_lines(node), f"{file}::"}

    def _fixtures(self, file: str) -> set[str]:
        """Return conftest.py with the code of those of its fixtures that are used for all tests, or are named in a test module."""
        if file not in self._of_fixtures:
            try:
                fixtures = fixtures_of((self.root / CONFTEST).read_text(encoding="utf-8"))
                asked = arguments_of((self.root / file).read_text(encoding="utf-8"))
            except (OSError, SyntaxError):
                fixtures, asked = {}, frozenset()
            left, seen = [name for name, one in fixtures.items() if one.always or name in asked], set[str]()
            while left:
                one = fixtures[name] if (name := left.pop()) not in seen and name in fixtures else None
                seen.add(name)
                left += one.arguments if one else ()
            modules = {module for name in seen & fixtures.keys() for module in fixtures[name].modules}
            self._of_fixtures[file] = self.closure(*(path for module in modules for path in self._files_of(module))) | {CONFTEST}
        return self._of_fixtures[file]

    def module_file(self, module: str) -> str | None:
        """Return the path of a module of the project, or None."""
        path = module.replace(".", "/")
        return next((file for file in (f"{path}.py", f"{path}/__init__.py") if (self.root / file).is_file()), None)

    def _whole(self, file: str) -> str:
        path = self.root / file
        return digest(path.read_bytes()) if path.is_file() else GONE

    def _part(self, file: str, part: str) -> str:
        path = self.root / file
        try:
            text = parts_of(path.read_text(encoding="utf-8")).get(part)
        except (OSError, SyntaxError):  # nothing in it can be a test
            return GONE
        return GONE if text is None else digest(text.encode())

    def _closure(self, file: str) -> frozenset[str]:
        if file not in self._closures:
            seen, left = {file}, [file]
            while left:
                fresh = self._imported(left.pop()) - seen
                seen |= fresh
                left += fresh
            self._closures[file] = frozenset(seen)
        return self._closures[file]

    def _imported(self, file: str) -> frozenset[str]:
        if file not in self._imports:
            try:
                names = imported_modules((self.root / file).read_text(encoding="utf-8")) if file.endswith(".py") else ()
            except (OSError, SyntaxError):  # it differs from what it was, and that is all there is to say of it
                names = ()
            self._imports[file] = frozenset(found for name in names for found in self._files_of(name))
        return self._imports[file]

    def _files_of(self, name: str) -> Iterator[str]:
        """Yield the module's file and those of the packages it is in; of a package named with a dot at its end, all files."""
        if name.endswith("."):
            yield from self.below(name[:-1].replace(".", "/"))
            return
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            if file := self.module_file(".".join(parts[:length])):
                yield file


@cache
def imported_modules(source: str) -> tuple[str, ...]:
    """Return the project's modules that some code imports. A name built when it runs gives its package, with a dot behind."""
    found: list[str] = []
    for node in nodes_of(source):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _PACKAGE_NAMED.match(node.value):
            found.append(node.value)
    return tuple(name for name in dict.fromkeys(found) if name.partition(".")[0] in PACKAGES or name == "handover")


class Fixture(NamedTuple):
    """What a fixture depends on: modules, other fixtures. `always` when every test gets it."""

    modules: frozenset[str]
    arguments: frozenset[str]
    always: bool


@cache
def fixtures_of(source: str) -> Mapping[str, Fixture]:
    """Return the functions of a conftest.py by name: fixtures, and hooks, which every test gets. Raises SyntaxError."""
    top = list(ast.iter_child_nodes(nodes_of(source)[0]))
    names = {name: module for node in top for name, module in _bound(node)}
    found = {}
    for node in top:
        if isinstance(node, ast.FunctionDef):
            inside, arguments = list(ast.walk(node)), frozenset(one.arg for one in node.args.args)
            used = {names[one.id] for one in inside if isinstance(one, ast.Name) and one.id in names.keys() - arguments}
            used |= {module for one in inside for _, module in _bound(one)}
            always = any(isinstance(one, ast.keyword) and one.arg == "autouse" for one in inside) or not node.decorator_list
            found[node.name] = Fixture(frozenset(used), arguments, always)
    return found


def _bound(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield the names that an import binds, each with the module of the project that it is or comes from."""
    if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in PACKAGES:
        for alias in node.names:
            yield alias.asname or alias.name, f"{node.module}.{alias.name}" if node.module in PACKAGES else node.module
    elif isinstance(node, ast.Import):
        yield from ((alias.asname or alias.name, alias.name) for alias in node.names if alias.name.partition(".")[0] in PACKAGES)


@cache
def arguments_of(source: str) -> frozenset[str]:
    """Return the names that some code asks fixtures by: arguments, and texts, as in `usefixtures`. Raises SyntaxError."""
    nodes = nodes_of(source)
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return frozenset(texts | {node.arg for node in nodes if isinstance(node, ast.arg)})


@cache
def parts_of(source: str) -> Mapping[str, str]:
    """Return the text of each test of a module by its name, or its class's, and of everything else by the empty name.

    Raises SyntaxError.
    """
    lines = source.splitlines()
    parts, rest = {}, list(lines)
    for node in ast.iter_child_nodes(nodes_of(source)[0]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name.lower().startswith("test"):
            begin = min([node.lineno, *(one.lineno for one in node.decorator_list)]) - 1
            parts[node.name] = "\n".join(lines[begin : node.end_lineno])
            rest[begin : node.end_lineno] = [""] * ((node.end_lineno or begin) - begin)
    return {**parts, "": "\n".join(line for line in rest if line.strip())}


def names_of_tests(source: str) -> list[str]:
    """Return the node ids of a module's tests without the file: `test_a`, `TestB`, `TestB::test_c`. Raises SyntaxError."""
    found = []
    for node in ast.iter_child_nodes(nodes_of(source)[0]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            found.append(node.name)
        elif isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            inner = [one.name for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
            found += [node.name, *(f"{node.name}::{name}" for name in inner if name.startswith("test"))]
    return found
