"""Notebooks are executed for real, only when something they depend on changed, and published without a customer."""

import ast
import html
import json
import os
import re
import shutil
import sys
import sysconfig
import urllib.parse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.record import RunRecord
from etl.schema import COLUMNS
from generators import notebooks
from generators.notebooks import MASK, NotebookError, mask, notebook_personal_values, publish_notebooks
from generators.sample_names import NOTEBOOK_CUSTOMERS, NOTEBOOK_UPSERT
from tests.conftest import ROOT
from tests.privacy_scan import find_leaks
from tests.records import failed_record, make_record

SOURCE = ROOT / "docs/notebooks"
COMMITTED = sorted(SOURCE.glob("*.ipynb"))


@pytest.fixture(autouse=True)
def a_home_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home" / name.lower()))
    monkeypatch.chdir(tmp_path)


def code(source: str, **metadata: Any) -> Any:
    return nbformat.v4.new_code_cell(source, metadata=metadata)  # type: ignore[no-untyped-call]


def markdown(source: str) -> Any:
    return nbformat.v4.new_markdown_cell(source)  # type: ignore[no-untyped-call]


def notebook_of(*cells: Any) -> Any:
    return nbformat.v4.new_notebook(cells=list(cells))  # type: ignore[no-untyped-call]


def write_notebook(folder: Path, *cells: Any, name: str = "n") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.ipynb"
    notebook = notebook_of(markdown("# Title"), *(code(cell) if isinstance(cell, str) else cell for cell in cells))
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
    return path


def publish(tmp_path: Path, **inputs: list[Path]) -> list[bool]:
    results = publish_notebooks(tmp_path / "in", tmp_path / "out", tmp_path / "cache", inputs, {"Wrenna"})
    return [result.executed for result in results]


def publish_committed(tmp_path: Path, name: str, **options: Any) -> str:
    (tmp_path / "in").mkdir(exist_ok=True)
    shutil.copy(SOURCE / f"{name}.ipynb", tmp_path / "in")
    personal = notebook_personal_values() if name == "before" else set()
    publish_notebooks(tmp_path / "in", tmp_path / "out", tmp_path / "cache", {}, personal, **options)
    return (tmp_path / f"out/{name}.ipynb").read_text(encoding="utf-8")


def masked(text: str, *personal: str) -> str:
    return str(mask(notebook_of(code(""), markdown(text)), personal).cells[1].source)


def test_it_is_executed_once_and_again_only_when_it_or_an_input_changed(tmp_path: Path) -> None:
    read = tmp_path / "input.txt"
    read.write_text("first", encoding="utf-8")
    path = write_notebook(tmp_path / "in", f"print(open({str(read)!r}).read())")
    seen = [publish(tmp_path, n=[read]) for _ in range(2)]
    read.write_text("second", encoding="utf-8")
    seen += [publish(tmp_path, n=[read])]
    assert "second" in (tmp_path / "out/n.ipynb").read_text(encoding="utf-8")
    path.write_text(path.read_text(encoding="utf-8").replace("Title", "Other"), encoding="utf-8")
    seen += [publish(tmp_path, n=[read]) for _ in range(2)]
    assert seen == [[True], [False], [True], [True], [False]]
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_good_copy_in_the_cache_is_published_as_it_is(tmp_path: Path) -> None:
    write_notebook(tmp_path / "in", "1")
    publish(tmp_path)
    [cached] = (tmp_path / "cache").iterdir()
    cached.write_text("as it was", encoding="utf-8")
    result = publish_notebooks(tmp_path / "in", tmp_path / "out", tmp_path / "cache", {}, {"Wrenna"})[0]
    assert (result.name, result.executed, result.seconds) == ("n", False, 0.0)
    assert (tmp_path / "out/n.ipynb").read_text(encoding="utf-8") == "as it was"


def test_a_different_interpreter_or_library_makes_the_cached_copy_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_notebook(tmp_path / "in", "1")
    publish(tmp_path)
    monkeypatch.setattr(notebooks, "version", lambda name: "0.0" if name == "pandas" else "1.0")
    assert publish(tmp_path) == [True]


def test_the_cached_copy_of_a_notebook_with_a_longer_name_stays(tmp_path: Path) -> None:
    for name in ("run", "run-big"):
        write_notebook(tmp_path / "in", "1", name=name)
    publish(tmp_path)
    write_notebook(tmp_path / "in", "3", name="run")
    assert sorted(publish(tmp_path)) == [False, True]
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_two_processes_at_once_leave_one_whole_copy(tmp_path: Path) -> None:
    write_notebook(tmp_path / "in", "print('whole')")
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        done = [pool.submit(publish, tmp_path) for _ in range(2)]
        assert [len(one.result()) for one in done] == [1, 1]
    for folder in ("out", "cache"):
        [path] = (tmp_path / folder).iterdir()
        assert json.loads(path.read_text(encoding="utf-8"))["cells"][1]["outputs"][0]["text"] == ["whole\n"]


def test_a_cell_that_fails_is_named_and_nothing_is_published(tmp_path: Path) -> None:
    write_notebook(tmp_path / "in", "x = 1", "raise ValueError('Wrenna')")
    with pytest.raises(NotebookError, match=r"^n\.ipynb, cell 3: ValueError\. Open the notebook, run it[\w ,]*\.$"):
        publish(tmp_path)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_failure_leaves_the_copy_that_was_published_before(tmp_path: Path) -> None:
    write_notebook(tmp_path / "in", "print('good')")
    publish(tmp_path)
    before = (tmp_path / "out/n.ipynb").read_bytes()
    write_notebook(tmp_path / "in", "print('bad')", "1 / 0")
    with pytest.raises(NotebookError, match="cell 3: ZeroDivisionError"):
        publish(tmp_path)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["n.ipynb"]
    assert (tmp_path / "out/n.ipynb").read_bytes() == before


HANGS, DIES = "import threading\nthreading.Event().wait()", "import os\nos._exit(1)"


@pytest.mark.parametrize(("cell", "limit", "told"), [(HANGS, 1, "not done after 1 s"), (DIES, 300, "the kernel stopped")])
def test_a_cell_that_hangs_or_dies_is_named(
    cell: str, limit: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notebooks, "TIMEOUT", limit)
    write_notebook(tmp_path / "in", cell)
    with pytest.raises(NotebookError, match=rf"n\.ipynb, cell 2: {told}"):
        publish(tmp_path)


@pytest.mark.parametrize("text", ["", "no json", "{}", "[]", '{"cells": 1, "nbformat": 4, "nbformat_minor": 5}'])
def test_a_file_that_is_no_notebook_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/n.ipynb").write_text(text, encoding="utf-8")
    with pytest.raises(NotebookError, match=r"n\.ipynb: no notebook"):
        publish(tmp_path)


def test_the_kernel_works_in_the_root_and_reads_nothing_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = tmp_path / "home/jupyter_data_dir/kernels/python3"
    kernels.mkdir(parents=True)
    (kernels / "kernel.json").write_text(
        '{"argv": ["no-such-program"], "display_name": "x", "language": "python"}', encoding="utf-8"
    )
    (tmp_path / "startup.py").write_text("raise SystemExit", encoding="utf-8")
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "startup.py"))
    (tmp_path / "project").mkdir()
    shown = (
        "import os, sys\nfrom IPython.paths import get_ipython_dir\nfrom jupyter_core import paths\n"
        "places = [get_ipython_dir(), paths.jupyter_config_dir(), paths.jupyter_data_dir(), paths.jupyter_runtime_dir()]\n"
        f"ours = [place for place in places if place.startswith({str(tmp_path)!r})]\n"
        f"print(os.path.basename(os.getcwd()), ours, os.environ['OF_OURS'], sys.executable == {sys.executable!r})"
    )
    write_notebook(tmp_path / "in", shown)
    folders = (tmp_path / "in", tmp_path / "out", tmp_path / "cache")
    publish_notebooks(*folders, {}, (), root=tmp_path / "project", environment={"OF_OURS": "given"})
    assert "project [] given True" in (tmp_path / "out/n.ipynb").read_text(encoding="utf-8")
    assert sorted(path.name for path in (tmp_path / "home").rglob("*")) == [
        "jupyter_data_dir",
        "kernel.json",
        "kernels",
        "python3",
    ]


def test_a_published_notebook_finds_no_driver_of_a_database_server(tmp_path: Path) -> None:
    write_notebook(tmp_path / "in", "try:\n    import pyodbc\nexcept ImportError as error:\n    print(error)")
    publish(tmp_path)
    assert "could drop tables of a real server" in (tmp_path / "out/n.ipynb").read_text(encoding="utf-8")


def test_personal_values_and_this_machines_paths_are_masked_everywhere(tmp_path: Path) -> None:
    write_notebook(tmp_path / "in", "import os\nprint('WRENNA', os.getcwd())\n'Wrenna'")
    publish(tmp_path)
    text = (tmp_path / "out/n.ipynb").read_text(encoding="utf-8")
    assert "wrenna" not in text.lower()
    assert str(tmp_path) not in text
    assert "Published with 4 values masked" in text


def test_a_value_that_is_printed_in_parts_is_masked_and_the_output_is_one(tmp_path: Path) -> None:
    parts = "import sys\nfor name in 'Wrenna', 'Wrenna':\n    for letter in name:\n        print(letter, end='', flush=True)"
    write_notebook(tmp_path / "in", f"{parts}\n    print(' warned', file=sys.stderr, flush=True)")
    publish(tmp_path)
    cell = json.loads((tmp_path / "out/n.ipynb").read_text(encoding="utf-8"))["cells"][1]
    told = sorted((output["name"], "".join(output["text"])) for output in cell["outputs"])
    assert told == [("stderr", " warned\n warned\n"), ("stdout", "******")]


def test_a_traceback_that_is_meant_tells_neither_person_nor_place(tmp_path: Path) -> None:
    broken = "import json, pathlib\nname = 'Wren' + 'na'\njson.loads(name + str(pathlib.Path.home()))"
    write_notebook(tmp_path / "in", code(broken, tags=["raises-exception"]))
    publish(tmp_path)
    text = (tmp_path / "out/n.ipynb").read_text(encoding="utf-8")
    assert "JSONDecodeError" in text
    assert "wrenna" not in text.lower()
    assert "ipykernel_" not in text
    for place in (sys.prefix, sysconfig.get_path("stdlib"), str(tmp_path), str(Path.home()) + os.sep):
        assert place not in text


def test_outputs_of_every_kind_and_metadata_are_masked() -> None:
    data = {
        "application/json": {"Wrenna": ["of Wrenna", {"deep": "Wrenna"}]},
        "text/html": "<td>Wrenna</td>",
        "text/plain": "Wrenna",
    }
    cell = code("", author="Wrenna")
    cell.outputs = [
        nbformat.v4.new_output("display_data", data, metadata={"title": "Wrenna"}),  # type: ignore[no-untyped-call]
        nbformat.v4.new_output("error", ename="E", evalue="Wrenna", traceback=["Wrenna", "\x1b[31mWren\x1b[0mna"]),  # type: ignore[no-untyped-call]
    ]
    notebook = notebook_of(markdown("# Title"), cell)
    notebook.metadata["authors"] = [{"name": "Wrenna"}]
    notebook.cells[0]["attachments"] = {"Wrenna.txt": {"text/plain": "Wrenna"}}
    text = nbformat.writes(mask(notebook, {"Wrenna"}))  # type: ignore[no-untyped-call]
    assert "wren" not in text.lower()
    assert "Published with 11 values masked" in text


def test_the_longest_value_is_masked_first_and_as_html_too() -> None:
    assert masked("O'Rianna Smith, O&#x27;Rianna, Rianna", "Rianna", "O'Rianna", "O'Rianna Smith") == "***, ***, ***"


WRITTEN: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in capitals": str.upper,
    "decimal entities": lambda text: "".join(f"&#{ord(letter)};" for letter in text),
    "hexadecimal entities": lambda text: "".join(f"&#X{ord(letter):04X};" for letter in text),
    "entities escaped again": lambda text: html.escape("".join(f"&#{ord(letter)};" for letter in text)),
    "escaped for HTML": html.escape,
    "per cent": lambda text: urllib.parse.quote(text, safe=""),
    "escaped for JSON": lambda text: json.dumps(text)[1:-1],
    "escaped in Python": lambda text: ascii(text)[1:-1],
    "soft hyphens": "&shy;".join,
    "zero width": "\u200b".join,
    "colours of a terminal": "\x1b[0;31m".join,
    "places to break": "<wbr>".join,
    "marked": lambda text: f"{text[0]}<mark class='hit'>{text[1:3]}</mark>{text[3:]}",
}


@pytest.mark.parametrize(
    "value", ["Trelissick", "O'Rianna", "Zoëlle", "𠮷田太郎", 'The "Blue Lantern" & Co', "a.b+c@inkmail.example"]
)
@pytest.mark.parametrize("way", WRITTEN)
def test_a_value_is_masked_however_it_is_written(way: str, value: str) -> None:
    assert masked(f"[{WRITTEN[way](value)}]", value) == f"[{MASK}]"


@pytest.mark.parametrize("blank", [" ", "", "\u00a0", "&nbsp;", "&#160;", "%20", "\n", "&ensp;", "  "])
def test_the_blank_in_a_value_may_be_any(blank: str) -> None:
    assert masked(f"SW1A{blank}1AA, SW1A", "SW1A 1AA") == f"{MASK}, SW1A"


LETTERS = st.text(st.characters(categories=("L", "N"), include_characters=" .@'-&<>\"", max_codepoint=0x2FFF), min_size=4)


@given(LETTERS.filter(lambda text: len(text.split()) == 1), st.sampled_from(["decimal entities", "soft hyphens", "zero width"]))
def test_nothing_around_a_value_is_changed(value: str, way: str) -> None:
    value = value.strip()
    around = "0_0|" if value.strip("0_|") else "x_x|"
    assert masked(f"{around}{WRITTEN[way](value)}{around}", value) == f"{around}{MASK}{around}"


@given(st.text(st.characters(exclude_characters="/\\", exclude_categories=["Cs"])))
def test_a_text_without_values_stays_as_it_is(text: str) -> None:
    assert mask(notebook_of(markdown(text)), {"\U0001f9ff never written"}).cells[0].source == text


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("/home/somebody/project/a.py", "~/project/a.py"),
        ("file:///Users/some.body/a.py", "file://~/a.py"),
        (r"C:\Users\somebody\a.py", r"~\a.py"),
        (r"'C:\\Users\\somebody\\a.py'", r"'~\\a.py'"),
        ("/tmp/ipykernel_4711/1234567.py:3: Warning", "[cell]:3: Warning"),
        ("https://host.example/home/page", "https://host.example/home/page"),
    ],
)
def test_a_path_tells_no_user(told: str, expected: str) -> None:
    assert masked(told) == expected


def test_a_path_of_this_machine_is_shortened_and_a_longer_name_is_not(tmp_path: Path) -> None:
    place = str(tmp_path.resolve())
    shown = mask(notebook_of(markdown(f"{place}/runs {place}-other/runs")), (), tmp_path).cells[0].source
    assert shown.startswith("./runs ")
    assert shown.endswith(f"/{tmp_path.name}-other/runs")


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_a_committed_notebook_holds_no_outputs_and_names_its_cells(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    for cell in cells:
        assert not any(cell.get(part) for part in ("outputs", "execution_count", "metadata"))
    assert [cell["id"] for cell in cells] == [f"cell-{number:02d}" for number in range(1, len(cells) + 1)]


def code_of_the_notebook_before() -> list[ast.Module]:
    cells = json.loads((SOURCE / "before.ipynb").read_text(encoding="utf-8"))["cells"]
    return [ast.parse("".join(cell["source"])) for cell in cells if cell["cell_type"] == "code"]


def test_the_notebook_before_holds_just_the_customers_that_the_sample_has() -> None:
    held = {
        node.targets[0].id: ast.literal_eval(node.value)  # type: ignore[attr-defined]
        for tree in code_of_the_notebook_before() for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ("customers", "changes")
    }  # fmt: skip
    expected = {"customers": NOTEBOOK_CUSTOMERS, "changes": NOTEBOOK_UPSERT}
    for name, rows in expected.items():
        assert held[name] == [{**row, "customer_id": int(row["customer_id"])} for row in rows]


def test_the_notebook_before_makes_the_table_that_the_pipeline_took_over() -> None:
    texts = [node.value for tree in code_of_the_notebook_before() for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    [made] = [text for text in texts if isinstance(text, str) and "CREATE TABLE customer_enriched" in text]
    declared = re.sub(r"\([\d,]+\)", "", made.partition("(")[2]).split(",")
    assert [text.split()[0] for text in declared] == [column.name for column in COLUMNS]


def test_the_notebook_before_runs_and_finds_the_risks_it_always_found(tmp_path: Path) -> None:
    text = publish_committed(tmp_path, "before")
    assert "{'Low': 3, 'Medium': 2, 'High': 1}" in text
    assert "8 customers now" in text
    assert "PRODUCTION READY" in text
    personal = {value.lower() for value in notebook_personal_values()}
    assert find_leaks(tmp_path / "in", personal)
    assert find_leaks(tmp_path / "out", personal) == find_leaks(tmp_path / "cache", personal) == []


def test_the_same_notebook_gives_the_same_bytes(tmp_path: Path) -> None:
    first = publish_committed(tmp_path, "before")
    shutil.rmtree(tmp_path / "cache")
    assert publish_committed(tmp_path, "before") == first


def write_runs(folder: Path, *records: RunRecord) -> dict[str, str]:
    for record in records:
        (folder / record.run_id).mkdir(parents=True)
        (folder / record.run_id / "run.json").write_text(record.model_dump_json(), encoding="utf-8")
    return {"HANDOVER_RUNS__PATH": str(folder)}


@pytest.mark.parametrize("last", [make_record(1), failed_record(1)], ids=["good", "failed"])
def test_the_notebook_of_the_last_run_runs_whatever_the_run_was(last: RunRecord, tmp_path: Path) -> None:
    write_runs(tmp_path / "runs", make_record(0), last)
    text = publish_committed(tmp_path, "last_run")
    assert "2 runs on record" in text
    assert ("InputError" in text) == (last.outcome == "failed")


def test_the_notebook_of_the_last_run_shows_the_figures_of_the_record(tmp_path: Path) -> None:
    text = publish_committed(tmp_path, "last_run", environment=write_runs(tmp_path / "elsewhere", record := make_record(0)))
    assert f"Run {record.run_id}: success in 5.0 s; 1 runs on record" in text
    assert "quarantined</th><td class='number'>40</td>" in text
    assert "seconds over 1 runs, between 5 and 5" in text
    for name in [stage.name for stage in record.stages] + list(record.rules):
        assert f">{name}</th>" in text
    assert record.quality is not None
    for part in record.quality.dimensions:
        assert f"<th>{part.dimension}</th>" in text


def test_the_notebook_of_the_last_run_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotebookError, match=r"last_run\.ipynb, cell 2: FileNotFoundError"):
        publish_committed(tmp_path, "last_run")
