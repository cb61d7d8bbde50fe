"""Honesty: something that a proof rests on is taken away, and just the criteria that rest on it turn, and no other."""

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from generators.backlog import Criterion, load
from generators.evidence.results import Result, write_results
from generators.inputs import Inputs, names_of_tests, parts_of
from tests.exhibits import make_session
from tests.site_build import ROOT, command, copy_project

BACKLOG = load(ROOT / "backlog.yaml")
SIGNED = ("runbook", "team lead")
NOW = datetime.now(UTC)


def proofs(criterion: Criterion, kind: str) -> list[Any]:
    return [proof for proof in criterion.proofs if proof.kind == kind and not proof.planned]


def those(wanted: Callable[[Criterion], object]) -> set[str]:
    return {criterion.id for criterion in BACKLOG.criteria if wanted(criterion)}


def page_tests() -> Mapping[str, list[str]]:
    """Every test that proves something, with the template it opens: that of the page its module is named after."""
    opened = {}
    for criterion in BACKLOG.criteria:
        for proof in proofs(criterion, "test"):
            for node in nodes_of(proof.node):
                page = node.partition("::")[0].removeprefix("tests/test_").removesuffix(".py").replace("_", "-")
                template = f"templates/deliverables/{page}.md.j2"
                opened[node] = [template] if (ROOT / template).is_file() else []
    return opened


def nodes_of(name: str) -> Iterator[str]:
    file, _, inside = name.partition("::")
    for known in names_of_tests((ROOT / file).read_text(encoding="utf-8")):
        is_class = known.rpartition("::")[2].startswith("Test")
        if not is_class and (not inside or known == inside or known.startswith(f"{inside}::")):
            yield f"{file}::{known}"


def nodes_behind(criterion: Criterion) -> list[str]:
    return [node for proof in proofs(criterion, "test") for node in nodes_of(proof.node)]


def write_report(project: Path, opened: Mapping[str, list[str]]) -> None:
    """Write the report of a test run in which every test passed and saw the project as it is."""
    suite = ElementTree.Element("testsuite")
    for node in opened:
        file, *names = node.split("::")
        classname = ".".join([file.removesuffix(".py").replace("/", "."), *names[:-1]])
        ElementTree.SubElement(suite, "testcase", classname=classname, name=names[-1])
    ElementTree.ElementTree(suite).write(project / "runs/tests.xml", encoding="utf-8")
    (project / "runs/tests.json").write_text(make_session(project, opened).model_dump_json(), encoding="utf-8")


def states(project: Path) -> dict[str, str]:
    done = command(project, "generators.evidence", "check", "--format", "json", "--fail-on", "failing")
    assert done.returncode in (0, 1), done.stderr
    return {one["id"]: one["state"] for one in json.loads(done.stdout)["criteria"]}


@pytest.fixture(scope="module")
def proved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which everything that is not planned is proved."""
    project = copy_project(tmp_path_factory.mktemp("mutations") / "project")
    shutil.copytree(ROOT / "tests", project / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "noxfile.py", project)
    assert command(project, "etl", "run", "--quiet").returncode in (0, 10)
    write_report(project, page_tests())
    content = Inputs(project).digests(["etl/errors.py"])
    names = {kind: [one for criterion in BACKLOG.criteria for one in proofs(criterion, kind)] for kind in ("drill", "command")}
    for file, results in (("drills", [one.name for one in names["drill"]]), ("commands", [one.run for one in names["command"]])):
        write_results(
            project / f"runs/{file}.json",
            [Result(name=name, ran_at=NOW, good=True, seconds=1.0, content=content) for name in results],
        )
    for criterion in BACKLOG.criteria:
        for proof in proofs(criterion, "signoff"):
            words = ("sign", "--page", proof.page, "--role", proof.role, "--who", "A. Example")
            assert command(project, "generators.evidence", *words).returncode == 0
    return project


@pytest.fixture(scope="module")
def before(proved: Path) -> dict[str, str]:
    return states(proved)


@pytest.fixture
def project(proved: Path, tmp_path: Path) -> Path:
    shutil.copytree(proved, tmp_path / "project")
    return tmp_path / "project"


def turned(project: Path, before: Mapping[str, str]) -> dict[str, str]:
    after = states(project)
    return {name: state for name, state in after.items() if before[name] != state}


def edit(path: Path, change: Callable[[str], str]) -> None:
    text = path.read_text(encoding="utf-8")
    assert change(text) != text
    path.write_text(change(text), encoding="utf-8")


def edit_record(project: Path, change: Callable[[dict[str, Any]], None]) -> None:
    for path in (*project.glob("runs/*/run.json"), project / "runs/latest.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        change(record)
        path.write_text(json.dumps(record), encoding="utf-8")


def test_all_that_is_not_planned_is_proved_to_begin_with(before: Mapping[str, str]) -> None:
    planned = those(lambda criterion: any(proof.planned for proof in criterion.proofs))
    assert {name for name, state in before.items() if state != "proved"} == planned
    assert len(planned) < len(before) / 2


def test_a_section_that_is_gone(project: Path, before: Mapping[str, str]) -> None:
    template = "templates/deliverables/runbook.md.j2"
    edit(project / template, lambda text: re.sub(r"## Symptoms\n.*?(?=\n## )", "", text, flags=re.DOTALL))
    opened = page_tests()
    gone = those(lambda c: any((one.page, one.heading) == ("runbook", "Symptoms") for one in proofs(c, "section")))
    retested = those(lambda c: any(template in opened[node] for node in nodes_behind(c)))
    signed = those(lambda c: any(one.page == "runbook" for one in proofs(c, "signoff")))
    found = turned(project, before)
    assert set(found) == gone | retested | signed
    assert {found[name] for name in gone} == {"missing"}
    assert {found[name] for name in signed - gone} == {"stale"}


def test_a_test_that_is_gone(project: Path, before: Mapping[str, str]) -> None:
    name = "test_contacts_are_complete_for_whoever_the_page_sends_one_to"
    edit(project / "tests/test_runbook.py", lambda text: text.replace(parts_of(text)[name], ""))
    found = turned(project, before)
    assert set(found) == those(lambda c: f"tests/test_runbook.py::{name}" in nodes_behind(c))
    assert set(found.values()) == {"missing"}


def test_a_test_whose_lines_changed(project: Path, before: Mapping[str, str]) -> None:
    name = "test_contacts_are_complete_for_whoever_the_page_sends_one_to"
    edit(project / "tests/test_runbook.py", lambda text: re.sub(rf"(def {name}\(.*?:\n)", r"\1    assert True\n", text))
    found = turned(project, before)
    assert set(found) == those(lambda c: f"tests/test_runbook.py::{name}" in nodes_behind(c))
    assert set(found.values()) == {"stale"}


@pytest.mark.parametrize(("field", "word"), [("cpu_seconds", "cpu_seconds"), ("peak_mb", "peak_mb")])
def test_a_figure_of_the_run_that_is_blank(project: Path, before: Mapping[str, str], field: str, word: str) -> None:
    edit_record(project, lambda record: record.update({field: 0}))
    found = turned(project, before)
    assert set(found) == those(lambda c: any(word in one.expression for one in proofs(c, "run")))
    assert set(found.values()) == {"failing"}


def test_a_run_made_by_other_code(project: Path, before: Mapping[str, str]) -> None:
    edit_record(project, lambda record: record["code"]["content"].update({"etl/quarantine.py": "0" * 16}))
    found = turned(project, before)
    of_runs = those(lambda c: proofs(c, "run") or any("{run}" in one.path for one in proofs(c, "file")))
    with_figures = set(found) - of_runs
    assert of_runs <= set(found)
    assert set(found.values()) == {"stale"}
    assert with_figures <= those(lambda c: proofs(c, "section"))


@pytest.mark.parametrize("path", ["noxfile.py", "tests/conftest.py"])
def test_a_file_that_nothing_can_read(project: Path, before: Mapping[str, str], path: str) -> None:
    edit(project / path, lambda text: text + "\ndef broken(:\n")
    depends = those(lambda c: any(one.path == path for one in proofs(c, "file")))
    found = turned(project, before)
    assert {name for name, state in found.items() if state == "failing"} == depends
    # every test imports conftest.py; none imports the noxfile
    tested = those(lambda c: proofs(c, "test")) if path.startswith("tests/") else set()
    assert set(found) == depends | tested


def test_a_log_that_breaks_its_schema(project: Path, before: Mapping[str, str]) -> None:
    [log] = project.glob("runs/*/log-*.jsonl")
    edit(log, lambda text: text.replace('"level"', '"lvl"', 1))
    found = turned(project, before)
    assert set(found) == those(lambda c: any(one.fits == "log" for one in proofs(c, "file")))
    assert set(found.values()) == {"failing"}


def test_a_signature_that_is_taken_back(project: Path, before: Mapping[str, str]) -> None:
    edit(project / "facts/signoffs.yaml", lambda text: re.sub(r"- page: runbook\n(?:  .*\n)+", "", text))
    found = turned(project, before)
    assert set(found) == those(lambda c: any((one.page, one.role) == SIGNED for one in proofs(c, "signoff")))
    assert set(found.values()) == {"waiting"}


@pytest.mark.parametrize(("file", "kind"), [("drills", "drill"), ("commands", "command")])
def test_a_rehearsal_and_a_command_that_ended_badly(project: Path, before: Mapping[str, str], file: str, kind: str) -> None:
    edit(project / f"runs/{file}.json", lambda text: text.replace('"good": true', '"good": false', 1))
    found = turned(project, before)
    first = json.loads((project / f"runs/{file}.json").read_text(encoding="utf-8"))[0]["name"]
    assert set(found) == those(
        lambda c: any(first in (getattr(one, "name", ""), getattr(one, "run", "")) for one in proofs(c, kind))
    )
    assert set(found.values()) == {"failing"}


def test_a_criterion_whose_proofs_are_gone_is_done_nowhere(project: Path, before: Mapping[str, str]) -> None:
    [target] = [criterion for criterion in BACKLOG.criteria if criterion.id == "G4.4"]
    assert before["G4.4"] == "proved"
    text = (project / "backlog.yaml").read_text(encoding="utf-8")
    start = text.index(f"- text: {target.text}")
    end = text.index("- text: ", start + 1) if "- text: " in text[start + 1 : start + 3000] else len(text)
    begin_of_proofs = text.index("proofs:", start)
    assert begin_of_proofs < end
    rest = re.search(r"^ {2}- id: ", text[start:], re.MULTILINE)
    assert rest
    (project / "backlog.yaml").write_text(
        text[:begin_of_proofs] + "proofs: []\n" + text[start + rest.start() :], encoding="utf-8"
    )  # fmt: skip
    assert turned(project, before)["G4.4"] == "missing"
