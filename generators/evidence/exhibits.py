"""Exhibits: everything that judges look at, read once."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from etl.config import as_text
from etl.record import RunRecord
from generators import facts
from generators.context import Context
from generators.evidence.results import Result, TestReport, read_results, read_test_report
from generators.evidence.signatures import Signature, read_signatures
from generators.inputs import Inputs

TEST_REPORT = Path("runs/tests.xml")
DRILLS = Path("runs/drills.json")
COMMANDS = Path("runs/commands.json")
SIGNATURES = Path("facts") / facts.SIGNATURES

REFRESH_RUN = "nox -s run"
REFRESH_TESTS = "nox -s tests"
REFRESH_DRILLS = "nox -s drill"
REFRESH_COMMANDS = "nox -s evidence"

_HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*(?:\{[^}]*\})?\s*$")
_FENCE = re.compile(r"^\s*(?:```|~~~)")
_PLACES = ("input.path", "runs.path", "warehouse.path", "services.cache_path")
"""Settings that tell where something lies and not what is done with it."""


@dataclass(frozen=True)
class Exhibits:
    """What judges look at: the context, the pages' texts by slug, results by name, signatures, and the files as they are now."""

    context: Context
    pages: Mapping[str, str]
    tests: TestReport
    drills: Mapping[str, Result]
    commands: Mapping[str, Result]
    signatures: Sequence[Signature]
    inputs: Inputs
    _sections: dict[str, dict[str, str]] = field(default_factory=dict)

    @cached_property
    def run(self) -> RunRecord | None:
        """The newest run that loaded its input: a run that failed shows nothing."""
        return self.context.good_run

    @cached_property
    def run_stale(self) -> str | None:
        """Why that run no longer tells how things are, or None."""
        if self.run is None:
            return None
        if not self.run.code.content:
            return f"nothing tells which code made run {self.run.run_id}"
        if causes := self._changed_since(self.run):
            return f"{in_words(causes)} after run {self.run.run_id}"
        if self.context.now > self.context.stale_after:
            return f"run {self.run.run_id} is older than two scheduled runs"
        return None

    def _changed_since(self, run: RunRecord) -> list[str]:
        there = self.inputs.below("etl") - set(run.code.content)
        now = as_text(self.context.settings)
        settings = [
            f"the setting {name}"
            for name, was in run.settings.items()
            if name not in _PLACES and name in now and now[name]["value"] != was.value
        ]
        return self.inputs.changed(run.code.content) + sorted(there) + settings

    def section(self, page: str, heading: str) -> str | None:
        """Return what stands on a page below a heading; None when it has none such."""
        if page not in self._sections:
            self._sections[page] = sections(self.pages[page])
        return self._sections[page].get(heading)


def load_exhibits(context: Context, pages: Mapping[str, str]) -> Exhibits:
    """Read the results and signatures beside the context; raises FactsError when the signatures can't be used."""
    root = context.root
    return Exhibits(
        context=context,
        pages=pages,
        tests=read_test_report(root / TEST_REPORT),
        drills=read_results(root / DRILLS),
        commands=read_results(root / COMMANDS),
        signatures=read_signatures(root / SIGNATURES),
        inputs=Inputs(root),
    )


def in_words(causes: Sequence[str]) -> str:
    """Return what changed: the first by name, the others counted."""
    first = causes[0].replace("::", ", ", 1).removesuffix(", ")
    more = f" and {len(causes) - 1} more" if len(causes) > 1 else ""
    return f"{first}{more} changed"


def sections(page: str) -> dict[str, str]:
    """Return by each heading of a page what stands below it, down to the next of its rank or higher. The first of a name counts."""
    lines = page.splitlines()
    found = list(_headings(lines))
    bodies: dict[str, str] = {}
    for place, (number, rank, heading) in enumerate(found):
        end = next((line for line, other, _ in found[place + 1 :] if other <= rank), len(lines))
        bodies.setdefault(heading, "\n".join(lines[number + 1 : end]).strip())
    return bodies


def _headings(lines: Sequence[str]) -> list[tuple[int, int, str]]:
    found, fenced = [], False
    for number, line in enumerate(lines):
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced and (heading := _HEADING.match(line)):
            found.append((number, len(heading[1]), heading[2]))
    return found


def anchor(heading: str) -> str:
    """Return the anchor that Python-Markdown gives a heading."""
    kept = re.sub(r"[^\w\s-]", "", heading).strip().lower()
    return re.sub(r"[-\s]+", "-", kept)
