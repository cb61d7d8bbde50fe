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


def test_the_notebook_has_the_faults_that_the_pipeline_has_not() -> None:
    before, now = notebook_facts(ROOT / "docs/notebooks/before.ipynb"), package_facts(ROOT / "etl")
    for fault in ("prints", "drops", "swallowed", "row_statements", "people", "places"):
        assert getattr(before, fault) > 0, fault
        assert getattr(now, fault) == 0, fault
