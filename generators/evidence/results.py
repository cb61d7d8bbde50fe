"""Results of what ran apart from the pipeline: the report of the tests, rehearsals, commands. Each says what it looked at."""

import json
import re
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Result(_Part):
    """A rehearsal or a command that was tried: how it ended, and the hash of every file it depends on."""

    name: str = Field(description="Id of the failure that was rehearsed, or the command as one types it")
    ran_at: AwareDatetime
    good: bool = Field(description="Whether it recovered, or ended with 0")
    seconds: float
    commit: str | None = None
    dirty: bool | None = None
    told: str = Field("", description="One line about how it ended; no output of the command itself")
    content: dict[str, str] = {}


class TestSession(_Part):
    """What the last whole test run looked at: the hash of every file, and which of them each test opened."""

    __test__ = False

    began_at: AwareDatetime
    ended_at: AwareDatetime
    commit: str | None
    dirty: bool | None
    content: dict[str, str]
    groups: list[list[str]]
    tests: dict[str, int]

    def opened(self, node: str) -> Sequence[str]:
        """Return the files that a test opened."""
        return self.groups[self.tests[node]] if node in self.tests else ()


class TestReport:
    """The outcome of each test of the last whole run by node id, and its session; no session when nothing tells of it."""

    __test__ = False

    def __init__(self, outcomes: Mapping[str, str], session: TestSession | None = None) -> None:
        """Take outcomes (`passed`, `failure`, `error`, `skipped`) by node id."""
        self.outcomes = outcomes
        self.session = session

    @cached_property
    def _by_name(self) -> Mapping[str, list[str]]:
        """Node ids by each name that covers them: the test with its parameters, the test, its class, its module."""
        found: dict[str, list[str]] = defaultdict(list)
        for node in self.outcomes:
            bare = node.partition("[")[0]
            for name in {node, bare, bare.rpartition("::")[0], bare.partition("::")[0]}:
                found[name].append(node)
        return found

    def covered(self, name: str) -> Sequence[str]:
        """Return the node ids that a test's name, or that of a group of tests, covers."""
        return self._by_name.get(name, ())


def read_test_report(path: Path) -> TestReport:
    """Read a JUnit report of pytest and the record of its session beside it; empty when there is none that can be read."""
    try:
        cases = ElementTree.parse(path).getroot().iter("testcase")
    except (OSError, ElementTree.ParseError):
        return TestReport({})
    outcomes = {}
    for case in cases:
        module = re.sub(r"\.(?=[A-Z])", "::", case.get("classname", "")).partition("::")
        node = f"{module[0].replace('.', '/')}.py{module[1]}{module[2]}::{case.get('name', '')}"
        bad = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        outcomes[node] = bad[0] if bad else "passed"
    return TestReport(outcomes, _read_session(path.with_suffix(".json")))


def _read_session(path: Path) -> TestSession | None:
    try:
        return TestSession.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


_RESULTS: TypeAdapter[list[Result]] = TypeAdapter(list[Result])


def read_results(path: Path) -> dict[str, Result]:
    """Return results by name; none when there is no file of them, or one that can't be read: what is unknown proves nothing."""
    try:
        return {result.name: result for result in _RESULTS.validate_json(path.read_bytes())}
    except (OSError, ValidationError):
        return {}


def write_results(path: Path, results: Sequence[Result]) -> None:
    """Keep results in place of those of the same names; others stay."""
    kept = read_results(path) | {result.name: result for result in results}
    path.parent.mkdir(parents=True, exist_ok=True)
    data: list[Any] = [kept[name].model_dump(mode="json") for name in sorted(kept)]
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8", newline="\n")
