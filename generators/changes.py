"""Changes: fragments that await a release, and the change log. `python -m generators.changes` checks both."""

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from etl import __version__
from etl.console import say
from generators.safe_yaml import YamlDocument, YamlError, read_yaml

FOLDER = Path("changes")
CHANGELOG = Path("CHANGELOG.md")
TEMPLATE = "TEMPLATE.yaml"
UNRELEASED = "Unreleased"
KINDS = ("added", "changed", "deprecated", "removed", "fixed", "security")
_RELEASE = re.compile(r"^## \[(?P<version>Unreleased|\d+\.\d+\.\d+)\](?: - (?P<date>\d{4}-\d{2}-\d{2}))?$")
_KIND = re.compile(r"^### (?P<kind>\w+)$")


class ChangesError(Exception):
    """A fragment or the change log is not as it should be. The text names file, line and what to do."""


class Fragment(BaseModel):
    """A change, as its author tells it."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

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
    """A release of the change log: its entries by kind of change. No date while it is unreleased."""

    version: str
    date: str | None
    entries: dict[str, list[str]] = field(default_factory=dict)

    @property
    def order(self) -> tuple[float, ...]:
        """Sorts releases by age; what is unreleased is the newest."""
        return (float("inf"),) if self.version == UNRELEASED else tuple(float(part) for part in self.version.split("."))


def read_fragments(folder: Path) -> dict[str, Fragment]:
    """Return the fragments by file name without ending; raises ChangesError naming all that is wrong, a line each."""
    fragments: dict[str, Fragment] = {}
    faults = []
    template = _read(folder / TEMPLATE).value if (folder / TEMPLATE).exists() else {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            if path.name != TEMPLATE:
                fragments[path.stem] = _unlike(template, read_fragment(path), path)
        except ChangesError as error:
            faults.append(str(error))
    if faults:
        raise ChangesError("\n".join(faults))
    return fragments


def read_fragment(path: Path) -> Fragment:
    """Read one fragment; raises ChangesError naming file, line and every field that is wrong."""
    document = _read(path)
    try:
        return Fragment.model_validate(document.value)
    except ValidationError as error:
        raise ChangesError("\n".join(_explain(fault, document, path) for fault in error.errors(include_url=False))) from None


def _read(path: Path) -> YamlDocument:
    try:
        return read_yaml(path)
    except YamlError as error:
        raise ChangesError(str(error)) from None


def _explain(fault: Any, document: YamlDocument, path: Path) -> str:
    where = ".".join(str(part) for part in fault["loc"]) or "the whole file"
    return f"{path.name}, line {document.line(tuple(fault['loc']))}: {where}: {fault['msg']}. Compare with {FOLDER}/{TEMPLATE}."


def _unlike(template: Any, fragment: Fragment, path: Path) -> Fragment:
    """Return the fragment; raises ChangesError when a text of the template was left standing."""
    same = [name for name, value in fragment.model_dump(by_alias=True).items() if " " in value and template.get(name) == value]
    if same:
        raise ChangesError(
            f"{path.name}: {', '.join(same)}: the template's words still stand there. Write what is true of the change."
        )
    return fragment


def read_changelog(path: Path) -> list[Release]:
    """Return the releases, newest first; raises ChangesError naming the line that is no line of a change log."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        raise ChangesError(
            f"{path.name}: can't be read as UTF-8. Restore it from git, or start one with ## [Unreleased]."
        ) from None
    reader = _ChangelogReader(path.name)
    for number, line in enumerate(lines, 1):
        reader.take(number, line)
    if not reader.releases:
        raise ChangesError(f"{path.name}: no release found. Start with ## [Unreleased].")
    return reader.releases


class _ChangelogReader:
    """Reads line after line; keeps the releases found, and the entries of the kind that is being read."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.number = 0
        self.releases: list[Release] = []
        self.entries: list[str] | None = None
        self.takers: tuple[tuple[str, Callable[[str], None]], ...] = (
            ("## ", self.take_release),
            ("### ", self.take_kind),
            ("- ", self.take_entry),
            ("  ", self.take_more),
        )

    def take(self, number: int, line: str) -> None:
        """Take one line; text above the first release, blank lines and link targets are passed over."""
        self.number = number
        if not line.strip() or re.match(r"^\[[^\]]+\]: ", line) or not (self.releases or line.startswith("## ")):
            return
        taker = next((taker for start, taker in self.takers if line.startswith(start)), None)
        if taker is None:
            raise self.fault("text that belongs to no entry; start it with '- ', or indent it below one")
        taker(line)

    def take_release(self, line: str) -> None:
        found = _RELEASE.match(line)
        if not found:
            raise self.fault("write the release as ## [1.2.3] - 2026-01-31, or ## [Unreleased]")
        release = Release(found["version"], found["date"])
        if (release.version == UNRELEASED) == bool(release.date) or not _is_day(release.date):
            raise self.fault("a release has a date that exists (2026-01-31), what is unreleased has none")
        if self.releases and release.order >= self.releases[-1].order:
            raise self.fault(f"{release.version} stands below {self.releases[-1].version}; put the newest first, each once")
        self.releases.append(release)
        self.entries = None

    def take_kind(self, line: str) -> None:
        found = _KIND.match(line)
        kind = found["kind"].lower() if found else ""
        if kind not in KINDS or kind in self.releases[-1].entries:
            raise self.fault(f"write each of {', '.join(KINDS)} at most once in a release")
        self.entries = self.releases[-1].entries[kind] = []

    def take_entry(self, line: str) -> None:
        if self.entries is None:
            raise self.fault("an entry without its kind; write ### Added or the like above it")
        self.entries.append(line[2:].strip())

    def take_more(self, line: str) -> None:
        if not self.entries:
            raise self.fault("an indented line without an entry above it; start the entry with '- '")
        self.entries[-1] += " " + line.strip()

    def fault(self, what: str) -> ChangesError:
        return ChangesError(f"{self.name}, line {self.number}: {what}.")


def _is_day(text: str | None) -> bool:
    try:
        return text is None or bool(date.fromisoformat(text))
    except ValueError:
        return False


def fits_version(releases: list[Release], version: str) -> bool:
    """Return whether the newest section is the unreleased one, or the package's own version."""
    return releases[0].version in (UNRELEASED, version)


def read_owners(path: Path) -> Iterator[tuple[str, str]]:
    """Yield each path of a CODEOWNERS file with who approves its changes."""
    for line in path.read_text(encoding="utf-8").splitlines():
        parts = line.partition("#")[0].split()
        if parts:
            yield parts[0], ", ".join(part.rpartition("/")[2].replace("-", " ") for part in parts[1:])


def main() -> int:
    """Check fragments and change log; return 0, or 1 when one is wrong."""
    try:
        fragments, releases = read_fragments(FOLDER), read_changelog(CHANGELOG)
        if not fits_version(releases, __version__):
            raise ChangesError(
                f"{CHANGELOG}: the newest release is {releases[0].version}, the package {__version__}. Make them the same."
            )
    except ChangesError as error:
        say(str(error), sys.stderr)
        return 1
    say(f"{len(fragments)} fragments, {len(releases)} releases")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
