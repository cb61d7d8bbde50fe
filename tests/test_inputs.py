"""What a test depends on is found by its imports and by what it opens."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from generators.inputs import GONE, Inputs, imported_modules, is_input, names_of_tests, parts_of
from tests.records import ROOT

MODULE = '''"""Words."""

import pytest

VALUE = 1


@pytest.mark.parametrize("x", [1])
def test_one(x):
    assert x


class TestGroup:
    def test_inner(self):
        assert VALUE

    def helper(self):
        pass


def helper():
    pass
'''


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("etl/rules.py", True),
        ("templates/pages/home.md.j2", True),
        ("backlog.yaml", True),
        (".ci/run", True),
        ("docs/index.md", True),
        ("docs/generated/home.md", False),
        ("docs/data/evidence.json", False),
        ("etl/__pycache__/rules.cpython-311.pyc", False),
        ("facts/contacts.yaml", True),
        ("facts/signoffs.yaml", False),
        ("runs/tests.xml", False),
        ("site/index.html", False),
    ],
)
def test_outputs_and_signatures_are_no_inputs(path: str, expected: bool) -> None:
    assert is_input(path) is expected


def test_imports_are_followed_from_module_to_module() -> None:
    inputs = Inputs(ROOT)
    found = inputs.closure("etl/quality.py")
    assert {"etl/quality.py", "etl/rules.py", "etl/errors.py", "etl/__init__.py"} <= found
    assert "etl/pipeline.py" not in found
    assert not any(path.startswith("generators/") for path in inputs.closure("etl/__main__.py"))


def test_modules_that_are_loaded_by_a_name_built_when_it_runs_count() -> None:
    assert "etl/commands/health.py" in Inputs(ROOT).closure("etl/cli.py")
    assert "generators/deliverables/gdpr.py" in Inputs(ROOT).closure("generators/deliverable.py")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import etl.rules", {"etl.rules"}),
        ("from etl import rules", {"etl", "etl.rules"}),
        ("def f():\n    from etl.rules import RULES", {"etl.rules", "etl.rules.RULES"}),
        ("import pandas\nfrom os import path", set()),
        ("load(f'etl.commands.{name}')", {"etl.commands."}),
        ("x = 'a sentence about etl.rules and more'", set()),
    ],
)
def test_imports_of_every_form_are_found(source: str, expected: set[str]) -> None:
    assert set(imported_modules(source)) == expected


CONFTEST = """
import pytest
from etl import config
from tests.targets import make_target
from tests.hooks import register

def pytest_configure(config):
    register(config)

@pytest.fixture(autouse=True)
def always(): ...

@pytest.fixture
def target():
    return make_target()

@pytest.fixture
def warehouse(target):
    from etl.warehouse import sql
    return sql

@pytest.fixture
def other():
    return config
"""


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def test_a(tmp_path): ...", {"tests/hooks.py"}),
        ("def test_a(target): ...", {"tests/hooks.py", "tests/targets.py", "etl/schema.py"}),
        ("def test_a(warehouse): ...", {"tests/hooks.py", "tests/targets.py", "etl/schema.py", "etl/warehouse.py"}),
        ("@pytest.mark.usefixtures('other')\ndef test_a(): ...", {"tests/hooks.py", "etl/config.py"}),
    ],
)
def test_a_fixture_counts_for_the_tests_that_ask_for_it(tmp_path: Path, source: str, expected: set[str]) -> None:
    files = {
        "tests/conftest.py": CONFTEST, "tests/test_a.py": source, "tests/hooks.py": "", "tests/targets.py": "import etl.schema",
        "etl/schema.py": "", "etl/warehouse.py": "", "etl/config.py": "",
    }  # fmt: skip
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    found = Inputs(tmp_path).test_files("tests/test_a.py::test_a[1]")
    assert found == expected | {"tests/conftest.py", "tests/test_a.py::test_a", "tests/test_a.py::"}


def test_a_test_module_falls_apart_into_its_tests_and_the_rest() -> None:
    parts = parts_of(MODULE)
    assert set(parts) == {"test_one", "TestGroup", ""}
    assert parts["test_one"].startswith("@pytest.mark.parametrize")
    assert "VALUE = 1" in parts[""]
    assert "def helper" in parts[""]
    assert "test_one" not in parts[""]
    assert names_of_tests(MODULE) == ["test_one", "TestGroup", "TestGroup::test_inner"]


def test_a_change_shows_and_line_ends_do_not(tmp_path: Path) -> None:
    (tmp_path / "etl").mkdir()
    (tmp_path / "etl/a.py").write_bytes(b"x = 1\n")
    then = Inputs(tmp_path).digests(["etl/a.py", "etl/b.py"])
    assert then["etl/b.py"] == GONE
    (tmp_path / "etl/a.py").write_bytes(b"x = 1\r\n")
    assert Inputs(tmp_path).changed(then) == []
    (tmp_path / "etl/a.py").write_bytes(b"x = 2\n")
    (tmp_path / "etl/b.py").write_bytes(b"")
    assert Inputs(tmp_path).changed(then) == ["etl/a.py", "etl/b.py"]


OPENING = """
import shutil
from pathlib import Path
import pytest

@pytest.fixture(scope="module")
def shared():
    return Path("config/a.toml").read_text()

def test_first(shared):
    assert shared

def test_second(shared):
    assert Path("data/b.csv").read_text()

def test_third():
    assert open("runs.txt", "w")
    Path("data/new").mkdir()
    shutil.rmtree("data/new")
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_session_keeps_what_each_test_and_its_fixtures_opened(tmp_path: Path, workers: str) -> None:
    for name in ("etl", "generators", "tests"):
        (tmp_path / name).mkdir()
    for name in ("etl/__init__.py", "etl/repository.py", "generators/__init__.py", "generators/inputs.py", "generators/code_facts.py",
                 "tests/session_record.py"):  # fmt: skip
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "tests/__init__.py").touch()
    (tmp_path / "tests/conftest.py").write_text(
        "from tests import session_record\n\ndef pytest_configure(config):\n    session_record.register(config)\n",
        encoding="utf-8",
    )
    (tmp_path / "tests/test_a.py").write_text(OPENING, encoding="utf-8")
    for name in ("config/a.toml", "data/b.csv"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("x", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", workers, "--dist=loadfile", "--junitxml=runs/tests.xml", "-p", "no:cacheprovider"],
        cwd=tmp_path, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((tmp_path / "runs/tests.json").read_text(encoding="utf-8"))
    opened = {node.rpartition("::")[2]: record["groups"][place] for node, place in record["tests"].items()}
    assert opened == {"test_first": ["config/a.toml"], "test_second": ["config/a.toml", "data/b.csv"], "test_third": []}
    assert {"etl/repository.py", "config/a.toml", "tests/test_a.py::test_first", "tests/test_a.py::"} <= set(record["content"])
