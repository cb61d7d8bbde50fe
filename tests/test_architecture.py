"""What must hold for the code as a whole."""

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest

from tests.conftest import ROOT

MODULES = sorted(path for package in ("etl", "generators") for path in (ROOT / package).rglob("*.py"))
DATABASES = {"duckdb", "pyodbc", "psycopg", "sqlite3"}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> set[str]:
    names = {alias.name for node in ast.walk(tree(path)) if isinstance(node, ast.Import) for alias in node.names}
    return names | {node.module or "" for node in ast.walk(tree(path)) if isinstance(node, ast.ImportFrom)}


def test_the_pipeline_knows_nothing_of_the_generators() -> None:
    for path in (ROOT / "etl").rglob("*.py"):
        assert not any(name.startswith(("generators", "tests")) for name in imported(path)), path.name


def test_generators_never_run_the_pipeline() -> None:
    for path in (ROOT / "generators").rglob("*.py"):
        assert not {"etl.pipeline", "etl.warehouse", "etl.extract"} & imported(path), path.name


def test_only_the_warehouse_and_the_cache_speak_to_a_database() -> None:
    allowed = {
        "etl/warehouse/embedded.py",
        "etl/warehouse/odbc.py",
        "etl/warehouse/postgresql.py",
        "etl/warehouse/sqlserver.py",
        "etl/service_cache.py",
        "etl/recording.py",
    }  # the last tells its version
    users = {path.relative_to(ROOT).as_posix() for path in MODULES if DATABASES & imported(path)}
    assert users <= allowed
    statement = re.compile(r"^\s*(?:SELECT|INSERT INTO|UPDATE \w+ SET|DELETE FROM|CREATE TABLE|MERGE INTO)\b")
    for path in (ROOT / "etl").glob("*.py"):
        texts = [node.value for node in ast.walk(tree(path)) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
        assert path.name in ("service_cache.py", "ddl.py") or not any(statement.match(text) for text in texts), path.name


def test_nothing_prints() -> None:
    for path in MODULES:
        calls = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
        assert not any(getattr(call.func, "id", "") == "print" for call in calls), path.name


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_public_name_is_documented_and_typed(path: Path) -> None:
    if path.name == "__main__.py":
        return
    module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    assert inspect.getdoc(module)
    for node in tree(path).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{path.name}: {node.name}"
        if isinstance(node, ast.FunctionDef):
            assert node.returns is not None, f"{path.name}: {node.name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_module_is_longer_than_four_hundred_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_functions_are_short() -> None:
    lengths = sorted(
        (node.end_lineno or 0) - node.lineno + 1
        for path in MODULES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef)
    )
    assert lengths[len(lengths) // 2] <= 10
    assert lengths[len(lengths) * 95 // 100] <= 40


def test_every_open_names_its_encoding() -> None:
    for path in MODULES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("read_text", "write_text"):
                assert any(keyword.arg == "encoding" for keyword in node.keywords), f"{path.name}, line {node.lineno}"
