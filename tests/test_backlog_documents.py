"""Both Markdown shapes come in whole, or are refused with file and line."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from generators.backlog import BacklogError, load
from generators.backlog_documents import read_documents
from generators.backlog_import import main, to_yaml
from tests.backlog_documents import (
    DOCUMENT,
    HACKATHON,
    HACKATHON_SHAPE,
    ROOT,
    SEEDS,
    SPRINT,
    SPRINT_SHAPE,
    hackathon_lines,
    sprint_lines,
    write,
)

FIXED_WORDS = {"Story", "Acceptance Criteria", "Estimate", "Skills", "Key Tasks", "Challenge", "Summary"}
"""What only says which field a line is; the field's name says it in the backlog."""


def repaired(path: Path) -> list[str]:
    """Return a document's lines that say something, with the emoji put right by hand: each was read as cp1252."""
    text = re.sub(r"[^\x00-\x7f]+", lambda found: found[0].encode("cp1252").decode("utf-8"), path.read_text(encoding="utf-8"))
    return [line.rstrip() for line in text.splitlines() if line.strip() not in ("", "---")]


def texts_of(value: Any) -> Iterator[str]:
    """Yield every text and number that stands anywhere in plain data."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from texts_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts_of(inner)
    elif value is not None:
        yield str(value)


# The seeds


@pytest.mark.parametrize(("path", "lines_of"), [(HACKATHON, hackathon_lines), (SPRINT, sprint_lines)])
def test_a_seed_can_be_written_again_line_by_line_from_what_was_read(path: Path, lines_of: Any) -> None:
    read = yaml.safe_load(to_yaml(read_documents([path])))
    assert list(lines_of(read["documents"][0], read["items"])) == repaired(path)


@pytest.mark.parametrize("path", SEEDS)
def test_each_line_of_a_seed_is_found_in_the_backlog(path: Path) -> None:
    everything = "\n".join(texts_of(yaml.safe_load((ROOT / "backlog.yaml").read_text(encoding="utf-8"))))
    for line in repaired(path):
        bare = re.sub(r"^(#+|- \[ \]|-|!!! (abstract|success)) |^\*(?=[^*])|(?<=[^*])\*$", "", line)
        between = r", " if "**Skills:**" in line else r"(?<=[^\x00-\x7f]) "  # skills, and an emoji before a heading
        for piece in re.split(rf'\*\*|[()"]|:(?= |$|\*)|{between}', bare):
            text = re.sub(r"^(\d+) (items?|points?|minutes)$", r"\1", piece.strip())
            assert text in everything or text in FIXED_WORDS, (line, text)


def test_the_emoji_of_the_headings_are_put_right() -> None:
    items = read_documents([HACKATHON])["items"]
    assert {item["icon"]: item["category"] for item in items} == {
        "🧠": "Planning & Governance",
        "💡": "Operations & Deployment",
        "🔧": "Code and Quality",
        "🎨": "UI & Design",
    }


def test_sprint_stories_are_numbered_and_carry_their_theme() -> None:
    items = read_documents([SPRINT])["items"]
    assert [item["id"] for item in items] == [f"S1.{number}" for number in range(1, 16)]
    assert {item["theme"] for item in items} == {"Make it Observable"}
    assert (items[0]["category"], items[0]["category_points"]) == ("Quick Wins", "1-2 points")


def test_stories_are_split_into_who_what_and_why() -> None:
    items = {item["id"]: item for item in read_documents(SEEDS)["items"]}
    parts = {name: tuple(items[name][key] for key in ("role", "want", "so_that")) for name in ("G2", "O1", "O4", "S1.6")}
    assert parts == {
        "G2": ("Compliance Officer", "to identify personal data fields and recommend safeguards", "we align with GDPR"),
        "O1": ("Operations Team", "to document how to run this pipeline on another laptop", "it's reproducible"),
        "O4": ("Deployment Team", "to package the pipeline in a zip or GitHub repo with instructions", None),
        "S1.6": (
            "Data Engineer",
            "structured logging in our ETL pipeline",
            "I can track execution progress and identify issues",
        ),
    }


# Other documents


def items_of(tmp_path: Path, text: str, encoding: str = "utf-8") -> list[dict[str, Any]]:
    """Return the items that a document's text gives."""
    items: list[dict[str, Any]] = read_documents([write(tmp_path / "doc.md", text, encoding)])["items"]
    return items


@pytest.mark.parametrize("text", [HACKATHON_SHAPE, SPRINT_SHAPE])
def test_line_ends_and_byte_order_mark_change_nothing(tmp_path: Path, text: str) -> None:
    expected = items_of(tmp_path, text)
    assert items_of(tmp_path, text.replace("\n", "\r\n")) == expected
    assert items_of(tmp_path, text.replace("\n", "\r")) == expected
    assert items_of(tmp_path, text, "utf-8-sig") == expected
    assert items_of(tmp_path, text.replace("\n", "  \n").rstrip()) == expected


def test_the_shape_is_told_by_content_not_by_name(tmp_path: Path) -> None:
    documents = [write(tmp_path / "sprint.md", HACKATHON_SHAPE), write(tmp_path / "backlog.txt", SPRINT_SHAPE)]
    assert [item["id"] for item in read_documents(documents)["items"]] == ["A1", "S7.1"]


def test_ticks_are_read_as_text_only(tmp_path: Path) -> None:
    assert items_of(tmp_path, HACKATHON_SHAPE.replace("[ ]", "[x]")) == items_of(tmp_path, HACKATHON_SHAPE)


@pytest.mark.parametrize("icon", ["🧠", "💡", "🔧", "🎨", "🐍", "⚙️", "🛡️", "📈", "🏁", "🔐"])
def test_emoji_read_in_the_wrong_encoding_are_put_right(tmp_path: Path, icon: str) -> None:
    garbled = "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in icon.encode())
    (item,) = items_of(tmp_path, HACKATHON_SHAPE.replace("🧠", garbled))
    assert (item["icon"], item["category"]) == (icon, "Category")


def test_a_blank_in_place_of_the_no_break_space_is_put_right_too(tmp_path: Path) -> None:
    (item,) = items_of(tmp_path, HACKATHON_SHAPE.replace("🧠", "ðŸ§ "))
    assert (item["icon"], item["category"]) == ("🧠", "Category")


@pytest.mark.parametrize(
    ("story", "parts"),
    [
        ("As an Analyst, I want a list.", ("Analyst", "a list", None)),
        ("As a Tester, I want a list, so that I see it", ("Tester", "a list", "I see it")),
        ("As a Tester, I want it so far so that I know.", ("Tester", "it so far", "I know")),
        ("As a Tester, I want to do so.", ("Tester", "to do so", None)),
        ("As a Tester, I want to know what we did so far.", ("Tester", "to know what we did so far", None)),
        ("As a Tester, I want lists (e.g. of names) so we win", ("Tester", "lists (e.g. of names)", "we win")),
    ],
)
def test_a_story_is_split_and_kept(tmp_path: Path, story: str, parts: tuple[str, ...]) -> None:
    (item,) = items_of(tmp_path, HACKATHON_SHAPE.replace("As a Tester, I want a thing so that it is there.", story))
    assert (item["role"], item["want"], item["so_that"]) == parts
    assert item["story"] == story


@pytest.mark.parametrize(
    ("shape", "old", "new", "line", "words"),
    [
        (HACKATHON_SHAPE, "# Hackathon: Things\n", "Things\n", 1, "must start with its title"),
        (HACKATHON_SHAPE, "**Skills", "# Another\n**Skills", 10, "A document has one title"),
        (HACKATHON_SHAPE, "**Estimate:** Small (2 points)\n", "", 5, "story A1 'New Thing' has no points"),
        (HACKATHON_SHAPE, "(2 points)", "(two points)", 9, "'two' is no number of points"),
        (HACKATHON_SHAPE, "(2 points)", "(2.5 points)", 9, "'2.5' is no number of points"),
        (HACKATHON_SHAPE, "(2 points)", "(-1 points)", 9, "'-1' is no number of points"),
        (HACKATHON_SHAPE, "(2 points)", "(14 points)", 9, "from 1 to 13"),
        (HACKATHON_SHAPE, "(2 points)", "(٢ points)", 9, "is no number of points"),
        (HACKATHON_SHAPE, "Small", "Huge", 9, "'Huge' is no size. Write one of Small, Medium, Large."),
        (HACKATHON_SHAPE, "Small (2 points)", "2", 9, "An estimate is **Estimate:** Small (2 points)."),
        (HACKATHON_SHAPE, "As a Tester, I want", "Testers want", 6, "is no story"),
        (HACKATHON_SHAPE, "**Story:** As a Tester, I want a thing so that it is there.\n", "", 5, "has no story"),
        (HACKATHON_SHAPE, "**Skills:** Python, Design\n", "", 5, "has no skills"),
        (HACKATHON_SHAPE, "Python, Design", ",", 5, "has no skills"),
        (HACKATHON_SHAPE, "- [ ] One\n", "", 5, "has no criteria"),
        (HACKATHON_SHAPE, "**Acceptance Criteria:**\n", "", 7, "stands below **Acceptance Criteria:**"),
        (HACKATHON_SHAPE, "- [ ] One", "* One", 8, "is no line of a backlog"),
        (HACKATHON_SHAPE, "- [ ] One", "- [ ] One\ngoes on here", 9, "is no line of a backlog"),
        (HACKATHON_SHAPE, "**A1: ", "**", 5, "A story's heading is"),
        (HACKATHON_SHAPE, "### **A1: New Thing**", "### New Thing (2 points)", 5, "the story has no id"),
        (HACKATHON_SHAPE, "**Skills", "**Skills:** x\n**Skills", 11, "a second skills"),
        (HACKATHON_SHAPE, "**Skills", "**Estimate:** Large (5 points)\n**Skills", 10, "a second points"),
        (HACKATHON_SHAPE, "Design\n", "Design\n- [ ] Late\n", 11, "is no line of a backlog in this place"),
        (HACKATHON_SHAPE, "Design\n", "Design\n## Empty\n## More\n", 12, "holds nothing"),
        (HACKATHON_SHAPE, "Design\n", "Design\n## Summary\n- stray\n", 12, "is no line of a backlog in this place"),
        (HACKATHON_SHAPE, "Design\n", "Design\n## Summary\n- **X:** 3 items\n", 12, "a count stands before"),
        (SPRINT_SHAPE, " (2 points)\n\n!!!", "\n\n!!!", 5, "### Title (2 points)"),
        (SPRINT_SHAPE, "New Thing (2 points)", "New Thing (some points)", 5, "'some' is no number of points"),
        (SPRINT_SHAPE, "!!! abstract", "!!! note", 7, "is no line of a backlog"),
        (SPRINT_SHAPE, "As a Tester, I want", "Testers want", 7, "is no story"),
        (SPRINT_SHAPE, "Sprint 7", "Sprint seven", 5, "the story has no id"),
        (SPRINT_SHAPE, "**Key Tasks:**", "**Tasks:**", 9, "is no line of a backlog"),
        (SPRINT_SHAPE, "design\n", "design\n## Tips\n#### First\n#### Second\n- x\n", 16, "has no points"),
    ],
)  # fmt: skip
def test_a_faulty_document_is_refused_with_file_and_line(
    tmp_path: Path, shape: str, old: str, new: str, line: int, words: str
) -> None:
    assert old in shape
    with pytest.raises(BacklogError) as caught:
        items_of(tmp_path, shape.replace(old, new, 1))
    assert str(caught.value).startswith(f"doc.md, line {line}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no story found"),
        ("# Title\n", "no story found"),
        (HACKATHON_SHAPE.replace("(1 item)", "(3 items)"), "'Category' announces 3 items and holds 1"),
        (HACKATHON_SHAPE + HACKATHON_SHAPE[HACKATHON_SHAPE.index("###") :], "the id 'A1' stands in line 5 already"),
    ],
)
def test_a_document_that_contradicts_itself_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BacklogError) as caught:
        items_of(tmp_path, text)
    assert words in str(caught.value)
    assert str(caught.value).startswith("doc.md")


def test_two_documents_with_the_same_id_are_refused(tmp_path: Path) -> None:
    other = write(tmp_path / "other.md", HACKATHON_SHAPE.replace("Hackathon", "Workshop"))
    first = write(tmp_path / "first.md", HACKATHON_SHAPE)
    with pytest.raises(BacklogError, match=r"other\.md, line 5: the id 'A1' is given by first\.md too"):
        read_documents([first, other])
    write(other, HACKATHON_SHAPE.replace("A1", "B1"))
    with pytest.raises(BacklogError, match=r"other\.md, line 1: the document's id 'hackathon' .* first\.md too"):
        read_documents([first, other])


@pytest.mark.parametrize("raw", ["caf\xe9".encode("latin-1"), "# Title".encode("utf-16")])
def test_a_document_in_another_encoding_is_refused(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "doc.md"
    path.write_bytes(raw)
    with pytest.raises(BacklogError, match=r"doc\.md, line 1: not UTF-8"):
        read_documents([path])


# Any document

WORD = st.text("abcdefghijklmnéßжя中&'/-0123456789", min_size=1, max_size=8).filter(lambda word: word not in ("-", "---"))
PHRASE = st.lists(WORD, min_size=1, max_size=4).map(" ".join)


@st.composite
def items(draw: st.DrawFn, shape: str) -> list[dict[str, Any]]:
    """Items as a document of a shape gives them, category by category."""
    made: list[dict[str, Any]] = []
    for category in draw(st.lists(PHRASE, min_size=1, max_size=3, unique=True)):
        heading = {
            "category": category,
            "icon": draw(st.sampled_from([None, "🧠", "🎨", "⚙️"])) if shape == "hackathon" else None,
            "category_points": draw(st.sampled_from([None, "2 points", "2-3 points"])) if shape == "sprint" else None,
        }
        made += [{**heading, **draw(story())} for _ in range(draw(st.integers(1, 3)))]
    for number, item in enumerate(made, 1):
        item["id"] = f"{draw(st.sampled_from('GOCD'))}{number}" if shape == "hackathon" else f"S3.{number}"
        item["size"] = draw(st.sampled_from(["Small", "Medium", "Large"])) if shape == "hackathon" else None
    return made


@st.composite
def story(draw: st.DrawFn) -> dict[str, Any]:
    """What a story says."""
    role, want, reason = draw(PHRASE), draw(PHRASE), draw(st.none() | PHRASE)
    return {
        "title": draw(PHRASE),
        "role": role,
        "want": want,
        "so_that": reason,
        "story": f"As a {role}, I want {want}" + (f" so that {reason}." if reason else "."),
        "points": draw(st.integers(1, 13)),
        "skills": draw(st.lists(PHRASE, min_size=1, max_size=3)),
        "criteria": [{"text": text, "proofs": []} for text in draw(st.lists(PHRASE, min_size=1, max_size=4))],
    }


def same(tmp: Path, name: str, lines: Iterator[str], expected: list[dict[str, Any]]) -> None:
    """Write lines as a document, import it and compare what the document said."""
    path = write(tmp / name, "\n\n".join(lines) + "\n")
    into = tmp / f"{name}.yaml"
    into.unlink(missing_ok=True)
    assert main(["import", str(path), "--into", str(into)]) == 0
    read = [item.model_dump() for item in load(into).items]
    assert [{key: item[key] for key in expected[0]} for item in read] == expected


@given(items("hackathon"))
def test_any_list_with_ids_comes_back(tmp_path_factory: pytest.TempPathFactory, made: list[dict[str, Any]]) -> None:
    same(tmp_path_factory.getbasetemp(), "ids.md", hackathon_lines(DOCUMENT, made), made)


@given(items("sprint"))
def test_any_list_of_a_sprint_comes_back(tmp_path_factory: pytest.TempPathFactory, made: list[dict[str, Any]]) -> None:
    document = {**DOCUMENT, "title": "Sprint 3: Things", "timebox_minutes": 40}
    same(tmp_path_factory.getbasetemp(), "sprint.md", sprint_lines(document, made), made)


LINES = st.sampled_from(
    [
        *HACKATHON_SHAPE.splitlines(),
        *SPRINT_SHAPE.splitlines(),
        "## Summary",
        "#### Tips:",
        "- x",
        "**Part:** y",
        "- **A:** 1 item",
    ]
)


@given(st.lists(LINES | st.text(max_size=20), max_size=15).map("\n".join))
def test_any_text_is_read_or_refused_and_nothing_else(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = write(tmp_path_factory.getbasetemp() / "any.md", text)
    try:
        read = read_documents([path])
    except BacklogError as error:
        message = str(error)
    else:
        message = f"any.md {len(read['items'])}"
    assert message.startswith("any.md")
