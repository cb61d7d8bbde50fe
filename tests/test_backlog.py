"""The backlog is read whole or refused with every fault, its line and what to do."""

import contextlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from generators import backlog
from generators.backlog import MAX_FAULTS, Backlog, BacklogError, json_schema, load, nearest
from tests.backlog_documents import ROOT, small_backlog, write_yaml

SHARED = {
    "data-flow": ["G1", "S1.2"],
    "change-log": ["G3", "S1.4"],
    "configuration": ["C2", "S1.5"],
    "dashboards": ["D1", "S1.1"],
    "logging": ["C4", "S1.6"],
    "performance": ["C6", "S1.14"],
}


def faults_of(path: Path) -> list[str]:
    """Return the lines of the error that reading the file gives, without the last one."""
    with pytest.raises(BacklogError) as caught:
        load(path)
    *lines, last = str(caught.value).splitlines()
    assert last == "Correct the file; nothing of it was used."
    return lines


def text_of(path: Path, **changes: Any) -> list[str]:
    """Return the faults of the small backlog with changes in its first item."""
    return faults_of(write_yaml(path / "backlog.yaml", small_backlog(**changes)))


def test_the_projects_backlog_is_what_the_documents_ask_for() -> None:
    ours = load(ROOT / "backlog.yaml")
    assert (len(ours.items), len(ours.criteria), ours.points) == (35, 140, 91)
    assert (len(ours.deliverables), len(ours.documents)) == (29, 2)
    assert Counter(item.document for item in ours.items) == {"hackathon": 20, "sprint-1": 15}
    assert ours.skills == sorted({skill.lower() for item in ours.items for skill in item.skills})


def test_stories_that_ask_for_the_same_share_it() -> None:
    asked: dict[str, list[str]] = {}
    for item in load(ROOT / "backlog.yaml").items:
        asked.setdefault(item.deliverable, []).append(item.id)
    assert {slug: ids for slug, ids in asked.items() if len(ids) > 1} == SHARED
    assert {slug: asked[slug] for slug in ("gdpr", "runbook", "quality")} == {
        "gdpr": ["G2"],
        "runbook": ["G4"],
        "quality": ["G6"],
    }


def test_criteria_are_numbered_within_their_item() -> None:
    ours = load(ROOT / "backlog.yaml")
    assert [criterion.id for criterion in ours.items[0].criteria] == ["G1.1", "G1.2", "G1.3", "G1.4"]
    assert len({criterion.id for criterion in ours.criteria}) == 140


def test_every_kind_of_proof_is_read_and_says_what_it_looks_at(tmp_path: Path) -> None:
    proofs = [
        {"kind": "section", "page": "runbook", "heading": "Who to call"},
        {"kind": "test", "node": "tests/test_x.py::test_y"},
        {"kind": "run", "expression": "rows.read > 0"},
        {"kind": "file", "path": "config/test.toml"},
        {"kind": "drill", "name": "disk full"},
        {"kind": "command", "run": "python -m etl run"},
        {"kind": "signoff", "page": "runbook", "role": "Team Lead"},
    ]
    read = load(write_yaml(tmp_path / "b.yaml", small_backlog(criteria=[{"text": "x", "proofs": proofs}])))
    assert [proof.model_dump(exclude_none=True) for proof in read.criteria[0].proofs] == proofs
    assert [proof.what for proof in read.criteria[0].proofs] == [
        "runbook: Who to call", "tests/test_x.py::test_y", "rows.read > 0", "config/test.toml", "disk full", "python -m etl run",
        "runbook, by the Team Lead",
    ]  # fmt: skip


def test_skills_are_known_in_any_case_and_kept_as_written(tmp_path: Path) -> None:
    read = load(write_yaml(tmp_path / "b.yaml", small_backlog(skills=["PLANNING", "Python"])))
    assert read.items[0].skills == ["PLANNING", "Python"]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"points": "two"}, "points: must be a whole number, got 'two'"),
        ({"points": True}, "points: must be a whole number, got True"),
        ({"points": 2.5}, "points: must be a whole number, got 2.5"),
        ({"points": "2"}, "points: must be a whole number, got '2'"),
        ({"points": 0}, "points: must be at least 1, got 0"),
        ({"points": 14}, "points: must be at most 13, got 14"),
        ({"points": None}, "points: must be a whole number, got None"),
        ({"criteria": []}, "criteria: must hold at least one entry"),
        ({"criteria": None}, "criteria: must be a list"),
        ({"criteria": [{"text": ""}]}, "criteria.1.text: must not be empty"),
        ({"criteria": [{"text": "x", "id": "X1.7"}]}, "criteria.1.id: is derived"),
        ({"criteria": [{"text": "x", "proofs": [{"kind": "rumour"}]}]}, "criteria.1.proofs.1: the kind 'rumour' is not known"),
        ({"criteria": [{"text": "x", "proofs": [{"page": "runbook"}]}]}, "criteria.1.proofs.1: 'kind' is missing"),
        ({"criteria": [{"text": "x", "proofs": [{"kind": "test"}]}]}, "criteria.1.proofs.1: 'node' is missing"),
        ({"criteria": [{"text": "x", "proofs": [{"kind": "file", "path": 3}]}]}, "criteria.1.proofs.1.path: must be text"),
        (
            {"criteria": [{"text": "x", "proofs": [{"kind": "section", "page": "runbok", "heading": "H"}]}]},
            "criteria.1.proofs.1.page: unknown deliverable 'runbok'; did you mean 'runbook'?",
        ),
        ({"skills": ["Pyhton"]}, "skills.1: unknown skill 'pyhton'; did you mean 'python'?"),
        ({"skills": ["Zzz"]}, "skills.1: unknown skill 'zzz'; correct it, or add it to the list"),
        ({"skills": []}, "skills: must hold at least one entry"),
        ({"skills": "Python"}, "skills: must be a list"),
        ({"deliverable": "run-book"}, "deliverable: unknown deliverable 'run-book'; did you mean 'runbook'?"),
        ({"document": "thing"}, "document: unknown document 'thing'; did you mean 'things'?"),
        ({"size": "Huge"}, "size: must be 'Small', 'Medium' or 'Large', got 'Huge'"),
        ({"title": 7}, "title: must be text; put it in quotes"),
        ({"title": True}, "title: must be text; put it in quotes"),
        ({"owner": "me"}, "owner: there is no such key"),
        ({"want": "something else"}, "want: is not part of the story's sentence"),
        ({"so_that": "other reasons"}, "so_that: is not part of the story's sentence"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_item_and_place(tmp_path: Path, changes: dict[str, Any], fault: str) -> None:
    (line,) = text_of(tmp_path, **changes)
    assert line.startswith("backlog.yaml, line ")
    assert f", item X1: {fault}" in line


@pytest.mark.parametrize("wrong", ["1X", "x1", "X", "X1.", "S1.2.3", "X1\n", "X١", ""])
def test_an_item_id_is_a_letter_and_a_number(tmp_path: Path, wrong: str) -> None:
    (line,) = text_of(tmp_path, id=wrong)
    assert "id: must look like G1, S1.2" in line


@pytest.mark.parametrize("key", ["title", "criteria", "points", "story", "skills", "deliverable"])
def test_what_is_missing_is_named_at_the_items_line(tmp_path: Path, key: str) -> None:
    data = small_backlog()
    del data["items"][1][key]
    path = write_yaml(tmp_path / "b.yaml", data)
    line = path.read_text(encoding="utf-8").splitlines().index("- id: X2") + 1
    assert faults_of(path) == [f"b.yaml, line {line}, item X2: {key!r} is missing; add it"]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"version": 2}, "version: must be at most 1, got 2"),
        ({"version": True}, "version: must be a whole number, got True"),
        ({"skills": ["planning", "Python"]}, "skills.2: 'Python' must be lower case"),
        ({"deliverables": {"runbook": "Runbook", "Not a slug": "X"}}, "deliverables.Not a slug: must look like"),
        ({"deliverables": {"runbook": ""}}, "deliverables.runbook: must not be empty"),
        ({"deliverables": ["runbook"]}, "deliverables: must be keys with values"),
        ({"documents": []}, "documents: must hold at least one entry"),
        ({"items": {}}, "items: must be a list"),
        ({"itmes": []}, "itmes: there is no such key"),
    ],
)
def test_a_fault_outside_the_items_is_told_too(tmp_path: Path, changes: dict[str, Any], fault: str) -> None:
    assert any(fault in line for line in faults_of(write_yaml(tmp_path / "b.yaml", small_backlog() | changes)))


def test_doubled_ids_are_told_at_each_place(tmp_path: Path) -> None:
    data = small_backlog(id="X2")
    data["documents"] *= 2
    lines = faults_of(write_yaml(tmp_path / "b.yaml", data))
    assert len([line for line in lines if "the id 'X2' stands 2 times" in line]) == 2
    assert len([line for line in lines if "the id 'things' stands 2 times" in line]) == 2


def test_all_faults_are_told_at_once_in_the_order_of_their_lines(tmp_path: Path) -> None:
    data = small_backlog(points="two", skills=["Pyhton"])
    data["items"][1] |= {"deliverable": "nothing", "title": ""}
    path = write_yaml(tmp_path / "b.yaml", data)
    lines = faults_of(path)
    text = path.read_text(encoding="utf-8").splitlines()
    numbers = [int(line.split("line ")[1].split(",")[0]) for line in lines]
    assert [text[number - 1].strip() for number in numbers] == ["points: two", "- Pyhton", "title: ''", "deliverable: nothing"]


def test_a_flood_of_faults_is_cut_short(tmp_path: Path) -> None:
    data = small_backlog()
    data["items"] = [{**data["items"][1], "id": f"X{number}", "points": "many"} for number in range(50)]
    lines = faults_of(write_yaml(tmp_path / "b.yaml", data))
    assert len(lines) == MAX_FAULTS + 1
    assert lines[-1] == f"... and {50 - MAX_FAULTS} more"


def test_long_values_are_shortened(tmp_path: Path) -> None:
    (line,) = text_of(tmp_path, points="x" * 1_000_000)
    assert len(line) < 200


@pytest.mark.parametrize("text", ["- a\n- b\n", "hello\n", "~\n", "42\n"])
def test_a_top_level_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "b.yaml"
    path.write_text(text, encoding="utf-8")
    (line,) = faults_of(path)
    assert line.startswith("b.yaml, line 1: must be keys with values below it")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "b.yaml: the file holds nothing"),
        (b"# nothing\n", "b.yaml: the file holds nothing"),
        (b"version: 1\nversion: 1\n", "b.yaml, line 2: 'version' stands twice"),
        (b"version: 1\nskills:\n\t- x\n", "b.yaml, line 3"),
        (b"version: &a 1\nskills: [*a]\n", "b.yaml, line 1: anchors and aliases"),
        (b"version: !!python/object:os.system {}\n", "b.yaml, line 1: tags"),
        (b"version: 1\nskills: [caf\xe9]\n", "b.yaml, line 2: byte 23 is not UTF-8"),
        (b"\xff\xfev\x00", "UTF-16"),
        (b"version: \x00\n", "b.yaml, line 1: a control character"),
        (b"[" * 100_000, "b.yaml, line 1: nested deeper"),
        (b"version: 1\n---\nversion: 1\n", "b.yaml, line 2: a second document"),
        (b"<<: {version: 1}\n", "b.yaml, line 1: merge keys"),
    ],
)  # fmt: skip
def test_what_is_no_plain_yaml_is_refused(tmp_path: Path, raw: bytes, words: str) -> None:
    path = tmp_path / "b.yaml"
    path.write_bytes(raw)
    with pytest.raises(BacklogError) as caught:
        load(path)
    assert words in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(BacklogError, match="can't be read"):
            load(path)


def test_a_large_backlog_is_read(tmp_path: Path) -> None:
    data = small_backlog()
    path = write_yaml(tmp_path / "b.yaml", {**data, "items": []})
    item = json.dumps(data["items"][1] | {"criteria": [{"text": "x" * 700}]})
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.seek(path.stat().st_size - len("items: []\n"))
        file.truncate()
        file.write("items:\n")
        file.writelines(f"  - {item.replace('X2', f'X{number}')}\n" for number in range(10_000))
    assert path.stat().st_size > 10_000_000
    read = load(path)
    assert len(read.items) == 10_000
    assert read.items[-1].criteria[0].id == "X9999.1"


def test_the_nearest_word_is_looked_for_only_for_faults_that_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    monkeypatch.setattr(backlog, "nearest", lambda word, _: looked.append(word) or "")
    data = small_backlog()
    data["items"] = [{**data["items"][1], "id": f"X{number}", "skills": ["pyhton"]} for number in range(100)]
    faults_of(write_yaml(tmp_path / "b.yaml", data))
    assert len(looked) == MAX_FAULTS


def test_nearest_names_one_or_nothing() -> None:
    assert nearest("pyhton", ["python", "planning"]) == "; did you mean 'python'?"
    assert nearest("zzz", ["python", "planning"]) == ""
    assert nearest("x" * 1_000_000, ["x" * 1_000_000]) != ""


def test_plain_data_with_dangling_references_are_refused_without_a_file() -> None:
    with pytest.raises(ValidationError, match="unknown deliverable 'nothing'"):
        Backlog.model_validate(small_backlog(deliverable="nothing"))


def test_the_backlog_does_not_change() -> None:
    read = Backlog.model_validate(small_backlog())
    with pytest.raises(ValidationError):
        read.items[0].points = 3  # type: ignore[misc]


def test_the_schema_takes_what_is_read_and_refuses_what_is_not() -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    jsonschema.Draft202012Validator.check_schema(json_schema())
    validator.validate(small_backlog())
    validator.validate(yaml.safe_load((ROOT / "backlog.yaml").read_text(encoding="utf-8")))
    proof = {"kind": "file", "page": "runbook"}
    for changes in ({"points": "two"}, {"points": 14}, {"criteria": []}, {"criteria": [{"text": "x", "proofs": [proof]}]},
                    {"criteria": [{"text": "x", "id": "X1.1"}]}, {"owner": "me"}, {"id": "1X"}):  # fmt: skip
        assert not validator.is_valid(small_backlog(**changes)), changes


def test_the_schema_explains_each_field_and_names_itself() -> None:
    schema = json_schema()
    assert schema["$schema"].endswith("2020-12/schema")
    assert schema["$id"]
    for name, part in {"Backlog": schema, **schema["$defs"]}.items():
        assert part["title"], name
        assert part["description"], name
        for field, about in part["properties"].items():
            assert about.get("description"), f"{name}.{field}"
    assert "id" not in schema["$defs"]["Criterion"]["properties"]


SMALL = yaml.safe_dump(small_backlog(), sort_keys=False).replace("&id001 ", "").replace("*id001", "[]")
ODD = st.sampled_from(
    [
        "\t",
        "- ",
        ": ",
        "[",
        "{",
        "}",
        "&a ",
        "*a",
        "!!int ",
        "~",
        "1.5",
        "---\n",
        "\n",
        "\0",
        "'",
        '"',
        "yes",
        "<<: ",
        "é",
        "|",
        "? ",
    ]
)


@given(st.integers(0, len(SMALL)), st.integers(0, 40), st.lists(ODD | st.text(max_size=3), max_size=4).map("".join))
def test_a_damaged_file_is_read_or_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, at: int, cut: int, put: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.yaml"
    path.write_text(SMALL[:at] + put + SMALL[at + cut :], encoding="utf-8", newline="\n")
    with contextlib.suppress(BacklogError):
        assert load(path).items


KEYS = st.sampled_from(
    [
        "version",
        "skills",
        "deliverables",
        "documents",
        "items",
        "id",
        "document",
        "criteria",
        "proofs",
        "kind",
        "page",
        "text",
        "story",
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.dates()
    | st.text(max_size=5)
    | st.sampled_from(["section", "X1", "Small"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=25,
)


@given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_values_of_any_shape_are_refused_in_words(tmp_path_factory: pytest.TempPathFactory, data: dict[str, Any]) -> None:
    path = write_yaml(tmp_path_factory.getbasetemp() / "shapes.yaml", data)
    with pytest.raises(BacklogError):
        load(path)
    with pytest.raises(BacklogError):
        load(write_yaml(path, {**small_backlog(), "items": [data]}))


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_raise_anything_else(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.yaml"
    path.write_bytes(raw)
    with pytest.raises(BacklogError):
        load(path)
