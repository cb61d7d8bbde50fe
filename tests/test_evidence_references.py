"""What proofs name is there, or is told before anything runs, with the nearest that is."""

from pathlib import Path
from typing import Any

import pytest

from generators.backlog import Backlog, BacklogError, load
from generators.backlog_import import main
from generators.evidence.expressions import unknown_names
from generators.evidence.references import dangling, unasked
from generators.evidence.signatures import Signature
from tests.backlog_documents import small_backlog
from tests.records import ROOT


def faults(*proofs: dict[str, Any]) -> list[str]:
    data = small_backlog(criteria=[{"text": "x", "proofs": list(proofs)}])
    data["deliverables"] |= {"runbook": "Runbook", "automation": "Automation"}
    return [fault.text for fault in dangling(Backlog.model_validate(data), ROOT)]


def test_no_proof_of_the_project_leads_nowhere() -> None:
    ours = load(ROOT / "backlog.yaml", lambda read: dangling(read, ROOT))
    assert all(criterion.proofs for criterion in ours.criteria)


@pytest.mark.parametrize(
    "proof",
    [
        {"kind": "section", "page": "runbook", "heading": "Symptoms"},
        {"kind": "test", "node": "tests/test_inputs.py"},
        {"kind": "test", "node": "tests/test_log.py::TestTheCatalogue"},
        {"kind": "run", "expression": "stages['load'].seconds > 0"},
        {"kind": "file", "path": "config/*.toml"},
        {"kind": "file", "path": "{run}/run.json", "fits": "run"},
        {"kind": "drill", "name": "run-killed"},
        {"kind": "command", "run": "python -m etl health --json"},
        {"kind": "command", "run": "python -m generators.changes"},
        {"kind": "signoff", "page": "runbook", "role": "anybody"},
    ],
)
def test_what_is_there_is_no_fault_and_needs_no_plan(proof: dict[str, str]) -> None:
    assert faults(proof) == []
    assert faults({**proof, "planned": "x"}) == ["what is planned is there now; take 'planned' out"]


@pytest.mark.parametrize(
    ("proof", "told"),
    [
        (
            {"kind": "section", "page": "runbook", "heading": "Symptms"},
            "no section 'Symptms' on runbook; did you mean 'Symptoms'?",
        ),
        ({"kind": "section", "page": "automation", "heading": "x"}, "the page automation has no template"),
        ({"kind": "test", "node": "tests/test_input.py::test_x"}, "did you mean 'tests/test_inputs.py'?"),
        (
            {"kind": "test", "node": "tests/test_inputs.py::test_outputs_are_no_inputs"},
            "did you mean 'test_outputs_and_signatures",
        ),
        ({"kind": "test", "node": "tests/test_log.py::TestTheCatalog"}, "did you mean 'TestTheCatalogue'?"),
        ({"kind": "run", "expression": "rows.raed > 0"}, "no figure 'raed' of a run record; did you mean 'read'?"),
        ({"kind": "run", "expression": "rows.read >"}, "the expression can't be read"),
        ({"kind": "file", "path": "config/none.toml"}, "there is no file"),
        ({"kind": "file", "path": "backlog.yaml", "fits": "backlogs"}, "did you mean 'backlog'?"),
        ({"kind": "file", "path": "backlog.yaml", "fits": "none.xsd"}, "there is no schema 'none.xsd'"),
        ({"kind": "drill", "name": "run-kiled"}, "did you mean 'run-killed'?"),
        ({"kind": "command", "run": "python -m etl helth"}, "did you mean 'health'?"),
        ({"kind": "command", "run": "python -m etl.nothing"}, "there is no module 'etl.nothing'"),
        ({"kind": "command", "run": "rm -rf /"}, "starts with 'python -m'"),
        ({"kind": "signoff", "page": "automation", "role": "x"}, "the page automation has no template"),
    ],
)
def test_what_leads_nowhere_is_told_with_the_nearest(proof: dict[str, str], told: str) -> None:
    found = faults(proof)
    assert len(found) == 1
    assert told in found[0]
    assert faults({**proof, "planned": "to be built"}) == []


@pytest.mark.parametrize(
    ("expression", "unknown"),
    [
        ("rows.read == rows.loaded", []),
        ("all([stage.rows_in == stage.rows_out for stage in stages.values()])", []),
        ("all([stage.rows_inn == 1 for stage in stages.values()])", ["rows_inn"]),
        ("stages.laod.seconds > 0", ["laod"]),
        ("stages.load.second > 0", ["second"]),
        ("min([part.score for part in quality.dimensions]) > 1", []),
        ("min([part.scor for part in quality.dimensions]) > 1", ["scor"]),
        ("settings['mail.security'].value in ['tls']", []),
        ("settings['mail.securty'].value in ['tls']", ["mail.securty"]),
        ("settings['mail.security'].valu in ['tls']", ["valu"]),
        ("warehouse.rows_after >= rows.loaded", []),
        ("warehouse.rows_afterwards >= 1", ["rows_afterwards"]),
        ("sum(risk.values()) == rows.loaded", []),
        ("rules['email.form'].violations >= 0", []),
        ("rules['email.from'].violations >= 0", ["email.from"]),
        ("nothing > 0", ["nothing"]),
        ("[x for x in alerts if x.outcom == 'sent'] == []", ["outcom"]),
    ],
)
def test_names_of_an_expression_are_followed_through_the_record(expression: str, unknown: list[str]) -> None:
    assert [name for name, _ in unknown_names(expression)] == unknown


def test_a_signature_nobody_asks_for_is_told() -> None:
    signature = Signature.model_validate(
        {"page": "gdpr", "role": "data protecter", "who": "x", "on": "2026-11-01", "seen": "0" * 16}
    )
    assert "did you mean 'gdpr, data protection officer'?" in next(unasked([signature], load(ROOT / "backlog.yaml")))


def test_check_names_the_line_of_a_proof_that_leads_nowhere(tmp_path: Path) -> None:
    text = (ROOT / "backlog.yaml").read_text(encoding="utf-8")
    (tmp_path / "backlog.yaml").write_text(text.replace("name: run-killed", "name: run-kiled", 1), encoding="utf-8")
    with pytest.raises(BacklogError, match=r"backlog.yaml, line \d+, item G4: .*there is no drill 'run-kiled'"):
        load(tmp_path / "backlog.yaml", lambda read: dangling(read, ROOT))


def test_check_looks_at_what_the_projects_proofs_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(ROOT / "backlog.yaml")]) == 0
    assert "140 criteria" in capsys.readouterr().out
