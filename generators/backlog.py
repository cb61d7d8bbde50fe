"""The backlog: stories with their acceptance criteria and what proves each. Model, reading and the command line.

`python -m generators.backlog check` names every fault; `import` reads the Markdown documents; `schema` writes the JSON Schema.
"""

import difflib
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, model_validator

from generators.safe_yaml import YamlDocument, YamlError, read_yaml

MAX_FAULTS = 20


class BacklogError(Exception):
    """The backlog can't be used. The text names file, line, item and what is wrong, a line for each fault."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Text = Annotated[str, Field(min_length=1)]


class SectionProof(_Part):
    """A section of a generated page, with content whose figures equal their sources."""

    kind: Literal["section"]
    page: Text = Field(description="Slug of the deliverable")
    heading: Text = Field(description="The heading as it stands on the page")

    @property
    def what(self) -> str:
        """Say what is looked at."""
        return f"{self.page}: {self.heading}"


class TestProof(_Part):
    """A test that passed in the last test run."""

    __test__ = False  # no test class, whatever pytest makes of the name

    kind: Literal["test"]
    node: Text = Field(description="Node id of the test or of a group of tests, such as tests/test_rules.py::test_name")

    @property
    def what(self) -> str:
        """Say what is looked at."""
        return self.node


class RunProof(_Part):
    """An expression that is true for the newest run record."""

    kind: Literal["run"]
    expression: Text = Field(description="simpleeval expression over the record, such as rows.read > 0")

    @property
    def what(self) -> str:
        """Say what is looked at."""
        return self.expression


class FileProof(_Part):
    """A file of the project."""

    kind: Literal["file"]
    path: Text = Field(description="Path from the project's folder")

    @property
    def what(self) -> str:
        """Say what is looked at."""
        return self.path


class DrillProof(_Part):
    """A rehearsed failure that was detected and recovered."""

    kind: Literal["drill"]
    name: Text = Field(description="Name of the drill")

    @property
    def what(self) -> str:
        """Say what is looked at."""
        return self.name


class CommandProof(_Part):
    """A command that ends well."""

    kind: Literal["command"]
    run: Text = Field(description="The command")

    @property
    def what(self) -> str:
        """Say what is looked at."""
        return self.run


class SignoffProof(_Part):
    """A person's signature under a page, for what only people can judge."""

    kind: Literal["signoff"]
    page: Text = Field(description="Slug of the deliverable")
    role: Text = Field(description="Who signs")

    @property
    def what(self) -> str:
        """Say what is looked at."""
        return f"{self.page}, by the {self.role}"


Proof = Annotated[
    SectionProof | TestProof | RunProof | FileProof | DrillProof | CommandProof | SignoffProof, Field(discriminator="kind")
]


class Criterion(_Part):
    """An acceptance criterion in its own words, with what proves it. `id` is derived: item and number."""

    id: str = Field("", exclude=True, description="Derived, not written")
    text: Text = Field(description="The criterion in the words of the document")
    proofs: list[Proof] = Field(default=[], description="What proves it; the worst of them decides")


class Item(_Part):
    """A story."""

    id: str = Field(pattern=r"^[A-Z]\d+(\.\d+)?$", description="G1 as in the document, or S1.2: sprint and number")
    document: Text = Field(description="Id of the document it comes from")
    title: Text = Field(description="Title of the story")
    theme: Text = Field(description="What the whole document is about")
    category: Text = Field(description="Heading it stands under")
    icon: str | None = Field(None, description="Emoji of the category")
    category_points: str | None = Field(None, description="Points that the category's heading names")
    role: Text = Field(description="As a ...")
    want: Text = Field(description="I want ...")
    so_that: str | None = Field(None, description="The reason")
    story: Text = Field(description="The sentence as it stands in the document")
    points: int = Field(ge=1, le=13, description="Estimate in points")
    size: Literal["Small", "Medium", "Large"] | None = Field(None, description="Estimate in words")
    skills: list[Text] = Field(min_length=1, description="Skills it asks for, from the vocabulary")
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


class Advice(_Part):
    """Advice under a heading, such as where to start."""

    title: Text
    points: list[Text] = Field(min_length=1)


class Count(_Part):
    """A line of a document's summary: what is counted, how many, and a note."""

    name: Text
    items: int | None = None
    note: str | None = None
    icon: str | None = None


class SummaryPart(_Part):
    """A part of a document's own summary, as it stands there."""

    title: Text
    text: str | None = None
    counts: list[Count] = []


class Document(_Part):
    """A document that stories were imported from, with what it says beside them."""

    id: Text
    file: Text
    title: Text
    theme: Text
    challenge: str | None = None
    timebox_minutes: int | None = Field(None, ge=1)
    choose: str | None = None
    advice: list[Advice] = []
    closing: str | None = None
    summary: list[SummaryPart] = []


class Backlog(_Part):
    """The whole backlog."""

    version: Literal[1]
    skills: list[Text] = Field(min_length=1, description="Vocabulary of skills, lower case")
    deliverables: dict[str, str] = Field(min_length=1, description="Titles of the deliverables by slug")
    documents: list[Document] = Field(min_length=1)
    items: list[Item] = Field(min_length=1)

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
        """Collect dangling references where the reader asked for them; raise otherwise."""
        faults = list(_dangling(self))
        collected = (info.context or {}).get("faults")
        if collected is not None:
            collected.extend(faults)
        elif faults:
            raise ValueError("; ".join(text for _, text in faults))
        return self


def load(path: Path) -> Backlog:
    """Read the backlog; raises BacklogError that names every fault with its line. Nothing is half-read."""
    try:
        document = read_yaml(path)
    except YamlError as error:
        raise BacklogError(str(error)) from None
    faults: list[tuple[tuple[str | int, ...], str]] = []
    try:
        backlog = Backlog.model_validate(document.value, context={"faults": faults})
    except ValidationError as error:
        faults += [(tuple(one["loc"]), _words(one)) for one in error.errors(include_url=False)]
    if faults:
        raise BacklogError(_explain(faults, document, path.name))
    return backlog


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of `backlog.yaml`, for editors."""
    schema = Backlog.model_json_schema()
    schema["$defs"]["Criterion"]["properties"].pop("id")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "urn:handover:backlog:1", **schema}


def nearest(word: str, known: list[str]) -> str:
    """Return the words `; did you mean ...?` for the known word nearest to this, or nothing."""
    found = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {found[0]!r}?" if found else ""


def _dangling(backlog: Backlog) -> Iterator[tuple[tuple[str | int, ...], str]]:
    documents = [document.id for document in backlog.documents]
    slugs, skills = list(backlog.deliverables), [skill.lower() for skill in backlog.skills]
    known_slugs, known_skills = set(slugs), set(skills)
    counted = Counter(item.id for item in backlog.items)
    for index, item in enumerate(backlog.items):
        here = ("items", index)
        if counted[item.id] > 1:
            yield (*here, "id"), f"the id {item.id!r} stands {counted[item.id]} times; give each item its own"
        if item.document not in documents:
            yield (*here, "document"), f"there is no document {item.document!r}{nearest(item.document, documents)}"
        if item.deliverable not in known_slugs:
            yield (*here, "deliverable"), f"there is no deliverable {item.deliverable!r}{nearest(item.deliverable, slugs)}"
        for number, skill in enumerate(item.skills):
            if skill.lower() not in known_skills:
                yield (*here, "skills", number), f"unknown skill {skill!r}{nearest(skill.lower(), skills)}"
        for number, criterion in enumerate(item.criteria):
            for place, proof in enumerate(criterion.proofs):
                if isinstance(proof, SectionProof | SignoffProof) and proof.page not in known_slugs:
                    where = (*here, "criteria", number, "proofs", place, "page")
                    yield where, f"there is no deliverable {proof.page!r}{nearest(proof.page, slugs)}"


def _words(error: Any) -> str:
    kind, got = error["type"], repr(error["input"])[:50]
    if kind == "missing":
        return f"{error['loc'][-1]!r} is missing"
    if kind == "extra_forbidden":
        return "there is no such key"
    if kind in ("int_type", "int_from_float"):
        return f"must be a whole number, got {got}"
    return f"{error['msg'][0].lower()}{error['msg'][1:]}, got {got}"


def _explain(faults: list[tuple[tuple[str | int, ...], str]], document: YamlDocument, name: str) -> str:
    lines = []
    for where, text in faults[:MAX_FAULTS]:
        known = tuple(part for part in where if not str(part).startswith("function-"))
        lines.append(f"{name}, line {document.line(known)}{_item_of(known, document)}: {_path(known)}{text}")
    if len(faults) > MAX_FAULTS:
        lines.append(f"... and {len(faults) - MAX_FAULTS} more")
    return "\n".join([*lines, "Correct the file; nothing of it was used."])


def _item_of(where: tuple[str | int, ...], document: YamlDocument) -> str:
    if len(where) < 2 or where[0] != "items":
        return ""
    try:
        item = document.value["items"][where[1]]
    except (KeyError, IndexError, TypeError):
        return ""
    return f", item {str(item.get('id'))[:20]}" if isinstance(item, dict) else ""


def _path(where: tuple[str | int, ...]) -> str:
    inside = where[2:] if where[:1] == ("items",) else where
    return ".".join(str(part + 1 if isinstance(part, int) else part) for part in inside) + ": " if inside else ""


if __name__ == "__main__":
    from generators.backlog_import import main

    raise SystemExit(main(sys.argv[1:]))
