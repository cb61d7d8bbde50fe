"""Notebooks are executed for real, only when something they depend on changed, and published without a customer."""

import ast
import json
import shutil
from pathlib import Path

import nbformat
import pytest

from generators.notebooks import NotebookError, mask, notebook_personal_values, publish_notebooks
from generators.sample_names import NOTEBOOK_CUSTOMERS, NOTEBOOK_UPSERT
from tests.conftest import ROOT
from tests.records import failed_record, make_record

SOURCE = ROOT / "docs/notebooks"


@pytest.fixture(autouse=True)
def a_home_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.chdir(tmp_path)


def write_notebook(folder: Path, *cells: str, name: str = "n") -> Path:
    folder.mkdir(exist_ok=True)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Title"), *map(nbformat.v4.new_code_cell, cells)])  # type: ignore[no-untyped-call]
    path = folder / f"{name}.ipynb"
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
    return path


def publish(tmp_path: Path, source: Path, **inputs: list[Path]) -> list[bool]:
    results = publish_notebooks(source, tmp_path / "out", tmp_path / "cache", inputs, {"Wrenna"})
    return [result.executed for result in results]


def test_it_is_executed_once_and_again_only_when_it_or_an_input_changed(tmp_path: Path) -> None:
    read = tmp_path / "input.txt"
    read.write_text("first", encoding="utf-8")
    path = write_notebook(tmp_path / "in", f"print(open({str(read)!r}).read())")
    seen = [publish(tmp_path, tmp_path / "in", n=[read]) for _ in range(2)]
    read.write_text("second", encoding="utf-8")
    seen += [publish(tmp_path, tmp_path / "in", n=[read])]
    assert "second" in (tmp_path / "out/n.ipynb").read_text(encoding="utf-8")
    path.write_text(path.read_text(encoding="utf-8").replace("Title", "Other"), encoding="utf-8")
    seen += [publish(tmp_path, tmp_path / "in", n=[read]) for _ in range(2)]
    assert seen == [[True], [False], [True], [True], [False]]
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_cell_that_fails_is_named_and_nothing_is_published(tmp_path: Path) -> None:
    write_notebook(tmp_path / "in", "x = 1", "raise ValueError('Wrenna')")
    with pytest.raises(NotebookError, match=r"n\.ipynb, cell 3: ValueError") as caught:
        publish(tmp_path, tmp_path / "in")
    assert "Wrenna" not in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_personal_values_and_this_machines_paths_are_masked_everywhere(tmp_path: Path) -> None:
    write_notebook(tmp_path / "in", "import os\nprint('WRENNA', os.getcwd())\n'Wrenna'")
    publish(tmp_path, tmp_path / "in")
    text = (tmp_path / "out/n.ipynb").read_text(encoding="utf-8")
    assert "wrenna" not in text.lower()
    assert str(tmp_path) not in text
    assert "Published with 4 values masked" in text


def test_the_longest_value_is_masked_first_and_as_html_too() -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("O'Rianna Smith, O&#x27;Rianna, Rianna")])  # type: ignore[no-untyped-call]
    masked = mask(notebook, {"Rianna", "O'Rianna", "O'Rianna Smith"})
    assert masked.cells[0].source.startswith("***, ***, ***")


def test_the_committed_notebooks_hold_no_outputs() -> None:
    for path in SOURCE.glob("*.ipynb"):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            assert not cell.get("outputs")
            assert not cell.get("execution_count")


def test_the_notebook_before_holds_just_the_customers_that_the_sample_has() -> None:
    cells = json.loads((SOURCE / "before.ipynb").read_text(encoding="utf-8"))["cells"]
    trees = [ast.parse("".join(cell["source"])) for cell in cells if cell["cell_type"] == "code"]
    held = {
        node.targets[0].id: ast.literal_eval(node.value)  # type: ignore[attr-defined]
        for tree in trees for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ("customers", "changes")
    }  # fmt: skip
    expected = {"customers": NOTEBOOK_CUSTOMERS, "changes": NOTEBOOK_UPSERT}
    for name, rows in expected.items():
        assert held[name] == [{**row, "customer_id": int(row["customer_id"])} for row in rows]


def test_the_notebook_before_runs_and_finds_the_risks_it_always_found(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(SOURCE / "before.ipynb", tmp_path / "in")
    publish_notebooks(tmp_path / "in", tmp_path / "out", tmp_path / "cache", {}, notebook_personal_values())
    text = (tmp_path / "out/before.ipynb").read_text(encoding="utf-8")
    assert "{'Low': 3, 'Medium': 2, 'High': 1}" in text
    assert "8 customers now" in text
    for value in notebook_personal_values():
        assert value.lower() not in text.lower()


@pytest.mark.parametrize("last", [make_record(1), failed_record(1)], ids=["good", "failed"])
def test_the_notebook_of_the_last_run_runs_whatever_the_run_was(last: object, tmp_path: Path) -> None:
    for record in (make_record(0), last):
        folder = tmp_path / "runs" / record.run_id  # type: ignore[attr-defined]
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(record.model_dump_json(), encoding="utf-8")  # type: ignore[attr-defined]
    (tmp_path / "in").mkdir()
    shutil.copy(SOURCE / "last_run.ipynb", tmp_path / "in")
    publish_notebooks(tmp_path / "in", tmp_path / "out", tmp_path / "cache", {}, set())
    assert "2 runs on record" in (tmp_path / "out/last_run.ipynb").read_text(encoding="utf-8")
