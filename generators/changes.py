"""Changes: fragments that await a release, and the change log. `python -m generators.changes` checks both."""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from etl.console import say
from generators.safe_yaml import YamlError, read_yaml

FOLDER = Path("changes")
CHANGELOG = Path("CHANGELOG.md")
TEMPLATE = "TEMPLATE.yaml"
KINDS = ("added", "changed", "deprecated", "removed", "fixed", "security")
_RELEASE = re.compile(r"^## \[(?P<version>Unreleased|\d+\.\d+\.\d+)\](?: - (?P<date>\d{4}-\d{2}-\d{2}))?$")
_KIND = re.compile(r"^### (?P<kind>\w+)$")


class ChangesError(Exception):
    """A fragment or the change log is not as it should be. The text names file, line and what to do."""


class Fragment(BaseModel):
    """A change, as its author tells it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["added", "changed", "deprecated", "removed", "fixed", "security"]
    summary: str = Field(min_length=10, description="One plain sentence for the people who use it")
    why: str = Field(min_length=5, description="What was wrong or missing before")
    risk: str = Field(min_length=4, description="What could go wrong, and how it would be noticed")
    tests: str = Field(min_length=4, description="Which tests show that it works")
    rollback: str = Field(min_length=4, description="How to go back, and what that does not undo")
    data: str = Field(min_length=4, description="What it does to data that is already loaded")
    privacy: str = Field(min_length=4, description="What it changes for personal data")
    class_: Literal["standard", "normal", "emergency"] = Field(alias="class", description="Class of the change")
    approver: str = Field(min_length=4, description="Role that approved it")


@dataclass(frozen=True)
class Release:
    """A release of the change log: its entries by kind of change."""

    version: str
    date: str | None
    entries: dict[str, list[str]]


def read_fragments(folder: Path) -> dict[str, Fragment]:
    """Return the fragments by file name without ending; raises ChangesError at the first that is wrong."""
    return {path.stem: read_fragment(path) for path in sorted(folder.glob("*.yaml")) if path.name != TEMPLATE}


def read_fragment(path: Path) -> Fragment:
    """Read one fragment; raises ChangesError naming file, line and field."""
    try:
        document = read_yaml(path)
        return Fragment.model_validate(document.value)
    except YamlError as error:
        raise ChangesError(str(error)) from None
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        line = document.line(tuple(fault["loc"]))
        where = ".".join(str(part) for part in fault["loc"])
        raise ChangesError(f"{path.name}, line {line}: {where}: {fault['msg']}. Compare with {FOLDER}/{TEMPLATE}.") from None


def read_changelog(path: Path) -> list[Release]:
    """Return the releases, newest first; raises ChangesError naming the line that is no line of a change log."""
    releases: list[Release] = []
    kind = ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if found := _RELEASE.match(line):
            releases.append(Release(found["version"], found["date"], {}))
        elif line.startswith("## "):
            raise ChangesError(f"{path.name}, line {number}: write the release as ## [1.2.3] - 2026-01-31.")
        elif found := _KIND.match(line):
            kind = found["kind"].lower()
            if kind not in KINDS:
                raise ChangesError(f"{path.name}, line {number}: {found['kind']!r} is none of {', '.join(KINDS)}.")
            releases[-1].entries[kind] = []
        elif releases and line.startswith("- "):
            releases[-1].entries[kind].append(line[2:])
        elif releases and line.startswith("  ") and line.strip():
            releases[-1].entries[kind][-1] += " " + line.strip()
    if not releases:
        raise ChangesError(f"{path.name}: no release found. Start with ## [Unreleased].")
    return releases


def read_owners(path: Path) -> Iterator[tuple[str, str]]:
    """Yield each path of a CODEOWNERS file with who approves its changes."""
    for line in path.read_text(encoding="utf-8").splitlines():
        parts = line.split()
        if parts and not parts[0].startswith("#"):
            yield parts[0], ", ".join(part.rpartition("/")[2].replace("-", " ") for part in parts[1:])


def main() -> int:
    """Check fragments and change log; return 0, or 1 when one is wrong."""
    try:
        fragments, releases = read_fragments(FOLDER), read_changelog(CHANGELOG)
    except ChangesError as error:
        say(str(error), sys.stderr)
        return 1
    say(f"{len(fragments)} fragments, {len(releases)} releases")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
