"""Facts of code are counted in its syntax tree."""

import json
from pathlib import Path

import pytest

from generators.code_facts import notebook_facts, package_facts
from tests.conftest import ROOT

CASES = {
    "prints": ("print(1)\nlog.print(2)\n", 1),
    "swallowed": ("try:\n    f()\nexcept:\n    pass\ntry:\n    f()\nexcept OSError:\n    pass\n", 1),
    "drops": ('x("DROP TABLE IF EXISTS t")\n', 1),
    "places": ('c("DRIVER=x;SERVER=localhost;")\n', 1),
    "row_statements": ('for r in rows:\n    q(f"SELECT 1 FROM t WHERE i = {r}")\nfor r in [1]:\n    q("SELECT 2")\n', 1),
    "people": ('p = {"first_name": "A", "last_name": "B", "email": "c"}\nq = {"first_name": x, "last_name": y, "email": z}\n', 1),
    "functions": ("def f():\n    pass\nclass A:\n    def g(self):\n        pass\n", 2),
    "documented": ('def f():\n    """Yes."""\ndef g():\n    pass\n', 1),
}


@pytest.mark.parametrize("name", CASES)
def test_each_measure_counts_what_it_says(name: str, tmp_path: Path) -> None:
    source, expected = CASES[name]
    (tmp_path / "a.py").write_text(source, encoding="utf-8")
    assert getattr(package_facts(tmp_path), name) == expected


def test_a_notebook_and_a_package_with_the_same_code_measure_the_same(tmp_path: Path) -> None:
    source = "print(1)\n# a comment\n\nx = 2\n"
    (tmp_path / "a.py").write_text(source, encoding="utf-8")
    cells = [{"cell_type": "markdown", "source": ["print(9)"]}, {"cell_type": "code", "source": source.splitlines(keepends=True)}]
    (tmp_path / "n.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")
    assert notebook_facts(tmp_path / "n.ipynb") == package_facts(tmp_path)
    assert notebook_facts(tmp_path / "n.ipynb").lines == 2


HANDLERS = {
    "except:\n    pass": 1,
    "except Exception:\n    pass": 1,
    "except (OSError, BaseException) as error:\n    say('failed')": 1,
    "except Exception:\n    raise": 0,
    "except Exception as error:\n    keep(error)": 0,
    "except (OSError, ValueError):\n    pass": 0,
}


@pytest.mark.parametrize("handler", HANDLERS)
def test_an_error_is_swallowed_when_any_is_caught_and_none_looked_at(handler: str, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(f"try:\n    f()\n{handler}\n", encoding="utf-8")
    assert package_facts(tmp_path).swallowed == HANDLERS[handler]


def test_a_statement_in_a_loop_in_a_loop_is_one_statement(tmp_path: Path) -> None:
    source = "while more():\n    for r in rows:\n        q('INSERT INTO t VALUES (1)')\n"
    (tmp_path / "a.py").write_text(source, encoding="utf-8")
    assert package_facts(tmp_path).row_statements == 1


def test_magics_of_a_notebook_are_no_code(tmp_path: Path) -> None:
    sources = ["%matplotlib inline\n!pip install x\nx = (1\n     % 2)\n", "%%bash\nls (\n", ["print(1)\n", "print(2)"]]
    cells = [{"cell_type": "code", "source": source} for source in sources]
    (tmp_path / "n.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")
    facts = notebook_facts(tmp_path / "n.ipynb")
    assert (facts.lines, facts.prints) == (4, 2)


def test_checks_are_assertions_and_the_tests_that_import_the_package(tmp_path: Path) -> None:
    for folder in ("shop", "tests"):
        (tmp_path / folder).mkdir()
    (tmp_path / "shop/a.py").write_text("assert True\n", encoding="utf-8")
    (tmp_path / "tests/test_a.py").write_text(
        "from shop.a import x\ndef test_a(): ...\nclass TestB:\n    def test_b(self): ...\ndef helper(): ...\n", encoding="utf-8"
    )
    (tmp_path / "tests/test_text.py").write_text("import shop\nSOURCE = '''\ndef test_d(): ...\n'''\n", encoding="utf-8")
    (tmp_path / "tests/test_other.py").write_text("import shopping\ndef test_c(): ...\n", encoding="utf-8")
    assert package_facts(tmp_path / "shop").checks == 3
    assert package_facts(tmp_path / "shop", tests=tmp_path / "none").checks == 1


def test_the_same_source_has_the_same_hash_and_another_has_another(tmp_path: Path) -> None:
    seen = []
    for source in ("x = 1\n", "x = 2\n", "x = 1\n"):
        (tmp_path / "a.py").write_text(source, encoding="utf-8")
        seen.append(package_facts(tmp_path).sha256)
    assert seen[0] == seen[2] != seen[1]


def test_the_notebook_has_the_faults_that_the_pipeline_has_not() -> None:
    before, now = notebook_facts(ROOT / "docs/notebooks/before.ipynb"), package_facts(ROOT / "etl")
    for fault in ("prints", "drops", "swallowed", "row_statements", "people", "places"):
        assert getattr(before, fault) > 0, fault
        assert getattr(now, fault) == 0, fault
    assert before.checks == 0 < now.checks
