"""The gate for a CI, signing, and the trial of commands, as they are typed."""

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
import yaml

from etl.record import write_record
from generators.evidence.__main__ import main
from generators.evidence.publications import HISTORY, publish, read_publications
from generators.evidence.report import json_schema
from generators.evidence.results import read_results
from generators.judging import ProofVerdict, Verdict
from tests.records import ROOT, make_context, make_record
from tests.site_build import command, copy_project


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with its tests, and no result of them."""
    project = copy_project(tmp_path_factory.mktemp("gate") / "project")
    shutil.copytree(ROOT / "tests", project / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    return project


@pytest.fixture
def checkout(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(template, tmp_path / "p")
    monkeypatch.chdir(tmp_path / "p")
    write_record(make_record(), Path("runs"))
    return tmp_path / "p"


def test_the_gate_is_shut_by_the_states_it_is_told(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--item", "G4", "--fail-on", "missing"]) == 1
    told = capsys.readouterr().out
    assert told.startswith("4 criteria: ")
    assert "proofs: nox -s tests" in told
    assert "missing  test runbook: " in told
    assert main(["check", "--item", "G4", "--fail-on", "failing"]) == 0
    assert list(checkout.glob("docs/generated/*")) == []


@pytest.mark.usefixtures("checkout")
def test_the_gate_looks_at_one_theme(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--theme", "observable", "--format", "json"]) in (0, 1)
    report = json.loads(capsys.readouterr().out)
    jsonschema.validate(report, json_schema())
    assert len(report["criteria"]) == 60
    assert {one["item"].partition(".")[0] for one in report["criteria"]} == {"S1"}
    assert sum(report["states"].values()) == 60


@pytest.mark.usefixtures("checkout")
def test_a_ci_gets_unproved_criteria_as_failures(capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", "--format", "junit"])
    suite = ElementTree.fromstring(capsys.readouterr().out.encode())[0]
    cases = {case.get("name", "").partition(" ")[0]: [child.tag for child in case] for case in suite}
    assert len(cases) == 140
    assert suite.get("failures") == str(sum(tags == ["failure"] for tags in cases.values()))
    assert cases["O1.1"] == ["failure"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--fail-on", "stael"], "did you mean 'stale'?"),
        (["--theme", "nothing of ours"], "no item fits. Themes are: "),
        (["--item", "G44"], "did you mean 'G4'?"),
    ],
)
@pytest.mark.usefixtures("checkout")
def test_a_wrong_option_is_told(options: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", *options]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.usefixtures("checkout")
def test_without_a_run_nothing_is_judged(capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree("runs")
    assert main(["check"]) == 2
    assert "python -m etl run" in capsys.readouterr().err


def test_a_signature_proves_until_the_page_says_something_else(checkout: Path) -> None:
    def state() -> str:
        done = command(checkout, "generators.evidence", "check", "--item", "G4", "--format", "json")
        criteria = json.loads(done.stdout)["criteria"]
        return str(next(proof["state"] for one in criteria for proof in one["proofs"] if proof["kind"] == "signoff"))

    def sign(*more: str) -> int:
        words = ("sign", "--page", "runbook", "--role", "team lead", "--who", "A. Example", *more)
        return command(checkout, "generators.evidence", *words).returncode

    assert state() == "waiting"
    assert sign() == 0
    assert state() == "proved"
    page = checkout / "templates/deliverables/runbook.md.j2"
    page.write_text(page.read_text(encoding="utf-8").replace("## Symptoms", "Call nobody.\n\n## Symptoms"), encoding="utf-8")
    assert state() == "stale"
    assert sign("--refuse", "--note", "not like this") == 0
    assert state() == "failing"
    entries = yaml.safe_load((checkout / "facts/signoffs.yaml").read_text(encoding="utf-8"))
    assert [one["accepted"] for one in entries] == [True, False]


@pytest.mark.parametrize(
    ("page", "role", "told"),
    [("runbok", "team lead", "did you mean 'runbook'?"), ("runbook", "cook", "runbook is to be signed by: team lead")],
)
@pytest.mark.usefixtures("checkout")
def test_only_whom_a_criterion_asks_can_sign(page: str, role: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sign", "--page", page, "--role", role, "--who", "x"]) == 2
    assert told in capsys.readouterr().err
    assert not Path("facts/signoffs.yaml").exists()


@pytest.mark.usefixtures("checkout")
def test_commands_are_tried_and_how_they_ended_is_kept() -> None:
    backlog = yaml.safe_load(Path("backlog.yaml").read_text(encoding="utf-8"))
    backlog["items"] = backlog["items"][:1]
    backlog["items"][0]["criteria"] = [
        {"text": "x", "proofs": [{"kind": "command", "run": "python -m etl config check"}, {"kind": "command", "run": "python -m etl nothing"}]}
    ]  # fmt: skip
    Path("backlog.yaml").write_text(yaml.safe_dump(backlog), encoding="utf-8")
    assert main(["refresh"]) == 1
    results = read_results(Path("runs/commands.json"))
    assert {name: result.good for name, result in results.items()} == {
        "python -m etl config check": True, "python -m etl nothing": False
    }  # fmt: skip
    assert "etl/commands/config.py" in results["python -m etl config check"].content


def judged(*states: str, number: int = 0, root: Path) -> object:
    context = make_context(make_record(number), root=root)
    ids = [criterion.id for criterion in context.backlog.criteria]
    verdicts = {
        name: Verdict(name, (ProofVerdict("test", "x", states[place] if place < len(states) else "missing", "y"),))  # type: ignore[arg-type]
        for place, name in enumerate(ids)
    }
    return context.with_evidence((), verdicts)


def test_a_publication_tells_what_turned_since_the_one_before(tmp_path: Path) -> None:
    first = publish(judged("proved", "failing", root=tmp_path))  # type: ignore[arg-type]
    assert [one.turned for one in first] == [()]
    again = publish(judged("proved", "failing", root=tmp_path))  # type: ignore[arg-type]
    assert len(again) == 1
    last = publish(judged("stale", "proved", root=tmp_path))[-1]  # type: ignore[arg-type]
    assert [(turn.criterion, turn.before, turn.after) for turn in last.turned] == [
        ("G1.1", "proved", "stale"), ("G1.2", "failing", "proved")
    ]  # fmt: skip
    assert last.states == {"proved": 1, "failing": 0, "stale": 1, "waiting": 0, "missing": 138}
    assert len(publish(judged("stale", "proved", number=1, root=tmp_path))) == 3  # type: ignore[arg-type]


def test_a_line_that_was_cut_takes_nothing_from_the_others(tmp_path: Path) -> None:
    publish(judged(root=tmp_path))  # type: ignore[arg-type]
    path = tmp_path / "runs" / HISTORY
    with path.open("a", encoding="utf-8") as file:
        file.write('{"at": "2026')
    assert len(read_publications(path)) == 1
