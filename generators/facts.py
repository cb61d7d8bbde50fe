"""Facts that no program can know, from `facts/*.yaml`: each value with its status, owner and date of review.

A value is an `example` until somebody who may decide has decided it; pages show which is which.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from generators.safe_yaml import YamlError, read_yaml

SIGNATURES = "signoffs.yaml"


class FactsError(Exception):
    """A facts file can't be used. The text names file, line, fact and what to do."""


class Fact(BaseModel):
    """A declared value. `owner` is the role that decides it, `review_by` when it must be looked at again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: str = Field(min_length=1)
    status: Literal["example", "decided"]
    owner: str = Field(min_length=1)
    review_by: date
    source: str | None = None

    def overdue(self, today: date) -> bool:
        """Return whether the review is due."""
        return today > self.review_by

    def __str__(self) -> str:
        """Return the bare value."""
        return self.value


@dataclass(frozen=True)
class Facts:
    """All facts by file and dotted name, such as `contacts` and `operations_lead.channel`."""

    files: Mapping[str, Mapping[str, Fact]]

    def get(self, file: str, name: str) -> Fact:
        """Return a fact; raises FactsError naming the file to write it in."""
        try:
            return self.files[file][name]
        except KeyError:
            raise FactsError(f"facts/{file}.yaml: {name!r} is missing. Add it with value, status, owner and review_by.") from None

    def group(self, file: str) -> dict[str, dict[str, Fact]]:
        """Return a file's facts of two-part names, grouped by the first part, in the order of the file."""
        groups: dict[str, dict[str, Fact]] = {}
        for name, fact in self.files.get(file, {}).items():
            first, _, rest = name.partition(".")
            groups.setdefault(first, {})[rest] = fact
        return groups

    def all(self) -> Iterator[tuple[str, str, Fact]]:
        """Yield file, name and fact of each."""
        for file, facts in self.files.items():
            for name, fact in facts.items():
                yield file, name, fact


def load_facts(folder: Path) -> Facts:
    """Read all facts of a folder; raises FactsError at the first file that can't be used. Signatures are no facts."""
    return Facts({path.stem: dict(_facts_of(path)) for path in sorted(folder.glob("*.yaml")) if path.name != SIGNATURES})


def _facts_of(path: Path) -> Iterator[tuple[str, Fact]]:
    try:
        document = read_yaml(path)
    except YamlError as error:
        raise FactsError(str(error)) from None
    if not isinstance(document.value, dict):
        raise FactsError(f"{path}: expected names with facts below them.")
    yield from _walk(document.value, (), path)


def _walk(node: Mapping[str, Any], names: tuple[str, ...], path: Path) -> Iterator[tuple[str, Fact]]:
    for key, inner in node.items():
        here = (*names, str(key))
        if not isinstance(inner, dict):
            raise FactsError(f"{path}: {'.'.join(here)} is a bare value. Write value, status, owner and review_by below it.")
        if "value" not in inner:
            yield from _walk(inner, here, path)
            continue
        try:
            yield ".".join(here), Fact.model_validate(inner)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            where = ".".join([*here, *(str(part) for part in fault["loc"])])
            raise FactsError(f"{path}: {where}: {fault['msg']}. Correct the fact.") from None
