"""Importing keeps what was written by hand since, and the commands say what they did."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from generators.backlog import json_schema, load
from generators.backlog_import import main, to_yaml
from generators.safe_yaml import parse_yaml
from tests.backlog_documents import HACKATHON, HACKATHON_SHAPE, ROOT, SEEDS, SPRINT, SPRINT_SHAPE, write


@pytest.fixture
def imported(tmp_path: Path) -> Path:
    """A backlog.yaml made of both seeds."""
    into = tmp_path / "backlog.yaml"
    assert main(["import", *map(str, SEEDS), "--into", str(into)]) == 0
    return into


def test_importing_again_changes_no_byte(imported: Path) -> None:
    before = imported.read_bytes()
    assert b"\r" not in before
    for order in (SEEDS, SEEDS[::-1], SEEDS[:1], SEEDS[1:]):
        assert main(["import", *map(str, order), "--into", str(imported)]) == 0
        assert imported.read_bytes() == before


def test_importing_over_the_projects_backlog_changes_no_byte(tmp_path: Path) -> None:
    ours = Path(shutil.copy(ROOT / "backlog.yaml", tmp_path))
    assert main(["import", *map(str, SEEDS), "--into", str(ours)]) == 0
    hint = "put backlog.yaml into its own order: python -m generators.backlog import tests/fixtures/seeds/*.md"
    assert ours.read_bytes() == (ROOT / "backlog.yaml").read_bytes(), hint


# What was written by hand


def edit(path: Path, change: Any) -> dict[str, Any]:
    """Change the plain data of a backlog.yaml; return them."""
    data: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(to_yaml(data), encoding="utf-8", newline="\n")
    return data


def add_handwork(data: dict[str, Any]) -> None:
    """Prove two criteria, change what an item asks for, and a title."""
    data["deliverables"]["logging"] = "Our logs"
    data["deliverables"]["own-page"] = "Own page"
    data["items"][0]["criteria"][2]["proofs"] = [{"kind": "run", "expression": "rows.read > 0"}, {"kind": "file", "path": "x"}]
    data["items"][1]["deliverable"] = "own-page"
    data["items"][20]["criteria"][0]["proofs"] = [{"kind": "section", "page": "own-page", "heading": "Layout"}]


def test_proofs_and_deliverables_written_by_hand_are_kept(imported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(imported, add_handwork)
    assert main(["import", *map(str, SEEDS), "--into", str(imported)]) == 0
    kept = load(imported)
    assert [proof.what for proof in kept.items[0].criteria[2].proofs] == ["rows.read > 0", "x"]
    assert [proof.what for proof in kept.items[20].criteria[0].proofs] == ["own-page: Layout"]
    assert kept.items[1].deliverable == "own-page"
    assert kept.deliverables["logging"] == "Our logs"
    assert sum(bool(criterion.proofs) for criterion in kept.criteria) == 2
    assert capsys.readouterr().err == ""


def test_proofs_follow_a_criterion_that_moves(imported: Path, tmp_path: Path) -> None:
    edit(imported, add_handwork)
    text = HACKATHON.read_text(encoding="utf-8")
    first, third = (
        "Create visual diagram showing data sources, transformations, and outputs",
        "Document data volumes and processing times",
    )
    moved = text.replace(first, "\0").replace(third, first).replace("\0", third)
    document = write(
        tmp_path / "moved.md", moved.replace(f"{first} at each stage", first).replace(third, f"{third} at each stage")
    )
    assert main(["import", str(document), "--into", str(imported)]) == 0
    proved = [(criterion.id, criterion.text[:8]) for criterion in load(imported).items[0].criteria if criterion.proofs]
    assert proved == [("G1.1", "Document")]


def test_a_proof_that_finds_no_place_any_more_is_told(imported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(imported, add_handwork)
    text = HACKATHON.read_text(encoding="utf-8").replace("Document data volumes", "Describe data volumes")
    assert main(["import", str(write(tmp_path / "new.md", text)), "--into", str(imported)]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "warning: G1: the criterion 'Document data volumes and processing times at each stage' is gone and its proofs with it"
    ]


def test_an_item_that_is_gone_with_its_proofs_is_told(imported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(imported, add_handwork)
    text = HACKATHON.read_text(encoding="utf-8").replace("**G1:", "**Z1:")
    assert main(["import", str(write(tmp_path / "new.md", text)), "--into", str(imported)]) == 0
    assert capsys.readouterr().err == "warning: G1: the item 'Data Flow Visualization' is gone and its proofs with it\n"


def test_criteria_in_the_same_words_keep_each_their_own_proof(tmp_path: Path) -> None:
    document = write(tmp_path / "things.md", HACKATHON_SHAPE.replace("- [ ] One", "- [ ] Same\n- [ ] Same"))
    into = tmp_path / "b.yaml"
    assert main(["import", str(document), "--into", str(into)]) == 0

    def prove(data: dict[str, Any]) -> None:
        for number, criterion in enumerate(data["items"][0]["criteria"]):
            criterion["proofs"] = [{"kind": "file", "path": f"{number}.txt"}]

    edit(into, prove)
    assert main(["import", str(document), "--into", str(into)]) == 0
    assert [criterion.proofs[0].what for criterion in load(into).criteria] == ["0.txt", "1.txt"]


def test_a_document_that_is_not_read_again_stays(imported: Path, tmp_path: Path) -> None:
    third = write(tmp_path / "third.md", SPRINT_SHAPE)
    assert main(["import", str(third), "--into", str(imported)]) == 0
    read = load(imported)
    assert [document.id for document in read.documents] == ["hackathon", "sprint-1", "sprint-7"]
    assert (len(read.items), read.items[-1].id, read.items[-1].deliverable) == (36, "S7.1", "new-thing")
    assert read.deliverables["new-thing"] == "New Thing"


def test_a_document_that_gives_an_id_of_the_backlog_is_refused(
    imported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = imported.read_bytes()
    other = write(tmp_path / "other.md", HACKATHON_SHAPE.replace("Hackathon", "Workshop").replace("A1", "G1"))
    assert main(["import", str(other), "--into", str(imported)]) == 1
    assert "the id 'G1' stands 2 times" in capsys.readouterr().err
    assert imported.read_bytes() == before


def test_the_writer_keeps_unusual_characters_and_writes_no_aliases() -> None:
    shared = ["a"]
    data = {
        "one": shared,
        "two": shared,
        "odd": "x\x85y\u2028z\u2029w\r\n",
        "like": ["2026-01-01", "yes", "1", "~", "=", "<<", "a: b", "# c"],
    }
    assert parse_yaml(to_yaml(data), "f.yaml").value == data


# The command line


def test_check_says_how_much_there_is(imported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["check", str(imported)]) == 0
    assert capsys.readouterr().out == "35 items, 140 criteria, 91 points\n"


def test_check_names_every_fault_and_fails(imported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = imported.read_text(encoding="utf-8")
    write(imported, text.replace("points: 2", "points: two", 1).replace("deliverable: gdpr", "deliverable: gpdr"))
    capsys.readouterr()
    assert main(["check", str(imported)]) == 1
    error = capsys.readouterr().err
    assert "item G1: points: must be a whole number, got 'two'" in error
    assert "item G2: deliverable: unknown deliverable 'gpdr'; did you mean 'gdpr'?" in error


def test_an_import_over_a_faulty_backlog_leaves_it_alone(imported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(imported, "version: 1\nversion: 1\n")
    assert main(["import", *map(str, SEEDS), "--into", str(imported)]) == 1
    assert "stands twice" in capsys.readouterr().err
    assert imported.read_text(encoding="utf-8") == "version: 1\nversion: 1\n"
    assert list(imported.parent.iterdir()) == [imported]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", str(SPRINT), "--into", str(tmp_path / "none" / "b.yaml")]) == 1
    assert "can't be written" in capsys.readouterr().err


def test_the_module_runs_and_writes_the_schema(tmp_path: Path) -> None:
    out = tmp_path / "schema.json"
    command = [sys.executable, "-m", "generators.backlog", "schema"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=True).stdout
    assert main(["schema", "--out", str(out)]) == 0
    assert json.loads(out.read_bytes()) == json.loads(told) == json_schema()
    assert out.read_bytes().endswith(b"}\n")
