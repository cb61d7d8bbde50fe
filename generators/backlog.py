"""The backlog: stories with their acceptance criteria and what proves each. Model, reading and the command line.

`python -m generators.backlog check` names every fault; `import` reads the Markdown documents; `schema` writes the JSON Schema.
"""

import difflib
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, ValidationError, ValidationInfo, model_validator

from generators.proofs import Part, Proof, Text
from generators.safe_yaml import YamlDocument, YamlError, YamlPath, read_yaml

MAX_FAULTS = 20
ITEM_ID = r"[A-Z][0-9]+(?:\.[0-9]+)?"
LARGEST = 13


class BacklogError(Exception):
    """The backlog can't be used. The text names file, line, item and what is wrong, a line for each fault."""


Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


class Criterion(Part):
    """An acceptance criterion in its own words, with what proves it. `id` is derived: item and number."""

    id: str = Field("", exclude=True, description="Derived, not written")
    text: Text = Field(description="The criterion in the words of the document")
    proofs: list[Proof] = Field(default=[], description="What proves it; the worst of them decides")


class Item(Part):
    """A story."""

    id: str = Field(pattern=f"^{ITEM_ID}$", description="G1 as in the document, or S1.2: sprint and number")
    document: Text = Field(description="Id of the document it comes from")
    title: Text = Field(description="Title of the story")
    theme: Text = Field(description="What the whole document is about")
    category: Text = Field(description="Heading it stands under")
    icon: str | None = Field(None, description="Emoji of the category")
    category_points: str | None = Field(None, description="Points that the category's heading names, such as 2-3 points")
    role: Text = Field(description="As a ...")
    want: Text = Field(description="I want ...")
    so_that: str | None = Field(None, description="The reason, if the story gives one")
    story: Text = Field(description="The sentence as it stands in the document")
    points: int = Field(ge=1, le=LARGEST, description="Estimate in points")
    size: Literal["Small", "Medium", "Large"] | None = Field(None, description="Estimate in words")
    skills: list[Text] = Field(min_length=1, description="Skills it asks for, from the vocabulary in any case")
    deliverable: Text = Field(description="Slug of what it asks for; stories may share one")
    criteria: list[Criterion] = Field(min_length=1, description="Acceptance criteria or key tasks")

    @model_validator(mode="before")
    @classmethod
    def _number_criteria(cls, data: Any) -> Any:
        """Give each criterion its derived id."""
        if not isinstance(data, dict) or not isinstance(data.get("criteria"), list):
            return data
        numbered = [
            {**one, "id": f"{data.get('id')}.{number}"} if isinstance(one, dict) else one
            for number, one in enumerate(data["criteria"], 1)
        ]
        return {**data, "criteria": numbered}


class Advice(Part):
    """Advice under a heading, such as where to start."""

    title: Text = Field(description="Whom or what the advice is for")
    points: list[Text] = Field(min_length=1, description="The advice, with its Markdown emphasis")


class Count(Part):
    """A line of a document's summary: what is counted, how many, and a note."""

    name: Text = Field(description="What is counted")
    items: int | None = Field(None, ge=0, description="How many items")
    note: str | None = Field(None, description="What stands in brackets behind it")
    icon: str | None = Field(None, description="Emoji before it")


class SummaryPart(Part):
    """A part of a document's own summary, as it stands there."""

    title: Text = Field(description="What the part is about")
    text: str | None = Field(None, description="A statement")
    counts: list[Count] = Field(default=[], description="Lines with counts")


class Document(Part):
    """A document that stories were imported from, with what it says beside them."""

    id: Text = Field(description="Short name, such as sprint-1")
    file: Text = Field(description="File it was read from")
    title: Text = Field(description="Title without the time limit")
    theme: Text = Field(description="The title's subject")
    challenge: str | None = Field(None, description="The challenge it puts")
    timebox_minutes: int | None = Field(None, ge=1, description="Time limit that the title names")
    choose: str | None = Field(None, description="How many items to choose")
    advice_title: str | None = Field(None, description="Heading of the advice")
    advice: list[Advice] = Field(default=[], description="Advice on where to start")
    closing: str | None = Field(None, description="The sentence it ends with")
    summary: list[SummaryPart] = Field(default=[], description="What it says about itself")


class Backlog(Part):
    """The whole backlog."""

    version: int = Field(ge=1, le=1, description="Version of this file's shape")
    skills: list[Text] = Field(min_length=1, description="Vocabulary of skills, lower case")
    deliverables: dict[Slug, Text] = Field(min_length=1, description="Titles of the deliverables by slug")
    documents: list[Document] = Field(min_length=1, description="Where the items come from")
    items: list[Item] = Field(min_length=1, description="The stories")

    @cached_property
    def points(self) -> int:
        """The points of all items."""
        return sum(item.points for item in self.items)

    @cached_property
    def criteria(self) -> list[Criterion]:
        """All criteria in their order."""
        return [criterion for item in self.items for criterion in item.criteria]

    @model_validator(mode="after")
    def _check_references(self, info: ValidationInfo) -> "Backlog":
        """Refuse what contradicts itself, unless `load` has looked already and tells the lines."""
        if not (info.context or {}).get("looked"):
            faults = [fault.words() for fault in _contradictions(self.model_dump())]
            if faults:
                raise ValueError("; ".join(faults[:MAX_FAULTS]))
        return self


class _Fault(NamedTuple):
    where: YamlPath
    text: str
    word: str = ""
    known: Sequence[str] = ()

    def words(self) -> str:
        """Return what is wrong and what to do. Not done before it is told: looking for the nearest word takes time."""
        if not self.word:
            return self.text
        return self.text + (nearest(self.word, self.known) or "; correct it, or add it to the list at the top of the file")


def load(path: Path, references: Callable[[Backlog], Iterable[tuple[YamlPath, str]]] | None = None) -> Backlog:
    """Read the backlog; raises BacklogError that names every fault with its line. Nothing is half-read.

    `references` yields the faults of what proofs name, each with its place; it is asked when nothing else is wrong.
    """
    try:
        document = read_yaml(path)
    except YamlError as error:
        raise BacklogError(str(error)) from None
    faults = list(_contradictions(document.value))
    try:
        backlog = Backlog.model_validate(document.value, context={"looked": True})
    except ValidationError as error:
        faults += [_fault_of(one) for one in error.errors(include_url=False)]
    if references and not faults:
        faults = [_Fault(where, text) for where, text in references(backlog)]
    if faults:
        raise BacklogError(_explain(faults, document, path.name))
    return backlog


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of `backlog.yaml`, for editors."""
    schema = Backlog.model_json_schema()
    schema["$defs"]["Criterion"]["properties"].pop("id")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "urn:handover:backlog:1", **schema}


def nearest(word: str, known: Sequence[str]) -> str:
    """Return the words `; did you mean ...?` for the known word nearest to this, or nothing."""
    found = difflib.get_close_matches(word[:60], [one[:60] for one in known[:1000]], n=1, cutoff=0.5)
    return f"; did you mean {found[0]!r}?" if found else ""


def _contradictions(data: Any) -> Iterator[_Fault]:
    """Find what no field shows alone: doubles and dangling references. Takes any value; leaves wrong types to the model."""
    top = data if isinstance(data, dict) else {}
    documents, items = _mappings(top, "documents"), _mappings(top, "items")
    yield from _doubles("documents", documents)
    yield from _doubles("items", items)
    skills = [skill for skill in _list(top, "skills") if isinstance(skill, str)]
    for index, skill in enumerate(skills):
        if skill != skill.lower():
            yield _Fault(("skills", index), f"{skill[:40]!r} must be lower case in the vocabulary")
    known = {
        "document": [one["id"] for _, one in documents if isinstance(one.get("id"), str)],
        "deliverable": list(top["deliverables"]) if isinstance(top.get("deliverables"), dict) else [],
        "skill": skills,
    }
    sets = {name: frozenset(words) for name, words in known.items()}

    def check(where: YamlPath, kind: str, word: Any) -> Iterator[_Fault]:
        if isinstance(word, str) and word and word not in sets[kind]:
            yield _Fault(where, f"unknown {kind} {word[:40]!r}", word, known[kind])

    for index, item in items:
        yield from _dangling(("items", index), item, check)
        yield from _split_stories(("items", index), item)


def _doubles(name: str, parts: list[tuple[int, dict[str, Any]]]) -> Iterator[_Fault]:
    counted = Counter(part["id"] for _, part in parts if isinstance(part.get("id"), str))
    for index, part in parts:
        if isinstance(part.get("id"), str) and (times := counted[part["id"]]) > 1:
            yield _Fault((name, index, "id"), f"the id {part['id'][:40]!r} stands {times} times; give each its own")


def _dangling(here: YamlPath, item: dict[str, Any], check: Callable[[YamlPath, str, Any], Iterator[_Fault]]) -> Iterator[_Fault]:
    yield from check((*here, "document"), "document", item.get("document"))
    yield from check((*here, "deliverable"), "deliverable", item.get("deliverable"))
    for number, skill in enumerate(_list(item, "skills")):
        yield from check((*here, "skills", number), "skill", skill.lower() if isinstance(skill, str) else None)
    for number, criterion in _mappings(item, "criteria"):
        where = (*here, "criteria", number)
        if "id" in criterion:
            yield _Fault((*where, "id"), "is derived from the item and the criterion's place; leave it out")
        for place, proof in _mappings(criterion, "proofs"):
            yield from check((*where, "proofs", place, "page"), "deliverable", proof.get("page"))


def _split_stories(here: YamlPath, item: dict[str, Any]) -> Iterator[_Fault]:
    """The sentence and its parts must not drift apart."""
    story = item.get("story")
    for name in ("role", "want", "so_that"):
        part = item.get(name)
        if isinstance(story, str) and isinstance(part, str) and part not in story:
            yield _Fault((*here, name), "is not part of the story's sentence; change both or neither")


def _list(data: dict[str, Any], key: str) -> list[Any]:
    found = data.get(key)
    return found if isinstance(found, list) else []


def _mappings(data: dict[str, Any], key: str) -> list[tuple[int, dict[str, Any]]]:
    return [(index, one) for index, one in enumerate(_list(data, key)) if isinstance(one, dict)]


_WORDS: dict[str, str] = {
    "bool_type": "must be true or false",
    "dict_type": "must be keys with values below it",
    "greater_than_equal": "must be at least {ge}",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "less_than_equal": "must be at most {le}",
    "list_type": "must be a list, each entry on a line with a hyphen",
    "literal_error": "must be {expected}",
    "model_type": "must be keys with values below it",
    "string_pattern_mismatch": "must look like G1, S1.2 (an item) or data-flow (a slug)",
    "string_too_short": "must not be empty",
    "string_type": "must be text; put it in quotes if it looks like a number or a date",
    "too_short": "must hold at least one entry",
    "union_tag_invalid": "the kind {tag!r} is not known; known are {expected_tags}",
    "union_tag_not_found": "'kind' is missing",
}
"""What pydantic's kinds of error mean to somebody who edits the file."""


def _fault_of(error: Any) -> _Fault:
    # pydantic names the kind behind a proof's number, and [key] behind a key; the file has neither.
    where = tuple(part for place, part in enumerate(error["loc"]) if place != 6 and part != "[key]")
    kind = error["type"]
    if kind == "missing":
        return _Fault(where[:-1], f"{where[-1]!r} is missing; add it")
    if kind == "extra_forbidden":
        return _Fault(where, "there is no such key; correct or remove it")
    words = _WORDS[kind].format(**error.get("ctx", {})) if kind in _WORDS else str(error["msg"])
    return _Fault(where, f"{words}{_got(error['input'])}")


def _got(value: Any) -> str:
    if isinstance(value, str | int | float) or value is None:
        return f", got {(value[:50] if isinstance(value, str) else value)!r}"
    return ", got keys with values" if isinstance(value, dict) else ""


def _explain(faults: list[_Fault], document: YamlDocument, name: str) -> str:
    placed = sorted(((document.line(fault.where), fault) for fault in faults), key=lambda one: one[0])
    lines = [
        _one_line(f"{name}, line {line}{_item_of(fault.where, document)}: {_path(fault.where)}{fault.words()}")
        for line, fault in placed[:MAX_FAULTS]
    ]
    if len(faults) > MAX_FAULTS:
        lines.append(f"... and {len(faults) - MAX_FAULTS} more")
    return "\n".join([*lines, "Correct the file; nothing of it was used."])


def _item_of(where: YamlPath, document: YamlDocument) -> str:
    if len(where) < 2 or where[0] != "items":
        return ""
    try:
        item = document.value["items"][where[1]]
    except (KeyError, IndexError, TypeError):
        return ""
    return f", item {str(item.get('id'))[:20]}" if isinstance(item, dict) else ""


def _path(where: YamlPath) -> str:
    inside = where[2:] if where[:1] == ("items",) and len(where) > 1 else where
    return ".".join(str(part + 1) if isinstance(part, int) else part[:40] for part in inside) + ": " if inside else ""


def _one_line(text: str) -> str:
    """Write out what would break the line or colour a terminal."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


if __name__ == "__main__":
    from generators.backlog_import import main

    raise SystemExit(main(sys.argv[1:]))
