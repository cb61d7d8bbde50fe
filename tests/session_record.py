"""Keeps beside the report of a whole test run what it looked at, in `runs/tests.json`: the evidence compares it with what is there now.

Each test is given the project's files that were opened while it, or a fixture of it, was at work. Code is not among them:
what a test imports is read from its text.
"""

import json
import os
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from etl.repository import code_version
from generators.inputs import WATCHED, Inputs, is_input, parts_of

ROOT = Path(__file__).parent.parent
_PREFIX = f"{ROOT}{os.sep}"


class SessionRecord:
    """A plugin of pytest; in workers it only watches, and what it saw travels with the reports."""

    def __init__(self, target: Path | None) -> None:
        """Write to `target`, or nowhere when it is None."""
        self.target = target
        self.seen: list[set[str]] = []
        self.of_fixture: dict[int, set[str]] = {}
        self.of_test: dict[str, set[str]] = {}
        self.content: dict[str, str] = {}
        self.began_at = datetime.now(UTC)
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and self.seen and isinstance(arguments[0], str | os.PathLike):
            path = os.path.abspath(arguments[0])  # noqa: PTH100 - links stay as they are, and it is asked very often
            if path.startswith(_PREFIX) and is_input(name := path.removeprefix(_PREFIX).replace(os.sep, "/")):
                for seen in self.seen:
                    seen.add(name)

    @contextmanager
    def _watch(self) -> Iterator[set[str]]:
        seen: set[str] = set()
        self.seen.append(seen)
        try:
            yield seen
        finally:
            self.seen = [one for one in self.seen if one is not seen]

    def pytest_sessionstart(self) -> None:
        """Take down the content of everything that can be looked at, before anything looks."""
        if self.target:
            inputs = Inputs(ROOT)
            self.content = inputs.digests(inputs.below(*WATCHED) | set(_parts()))

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, Any, Any]:
        """Keep what a fixture opens: a test that finds it made already depends on the same."""
        with self._watch() as seen:
            done = yield
        self.of_fixture.setdefault(id(fixturedef), set()).update(seen)  # one fixture can have several parameters
        return done

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Generator[None, Any, Any]:
        """Keep what a test opens."""
        with self._watch() as seen:
            item.stash[_OPENED] = seen
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: Any, call: Any) -> Generator[None, Any, Any]:
        """Send with the last report of a test what it and its fixtures opened."""
        report = yield
        if call.when == "teardown":
            fixtures = [one for several in getattr(item, "_fixtureinfo").name2fixturedefs.values() for one in several]  # noqa: B009
            opened = item.stash[_OPENED].union(*(self.of_fixture.get(id(one), set()) for one in fixtures))
            report.opened = sorted(name for name in opened if (ROOT / name).is_file())  # folders are opened to be listed
        return report

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Collect what the workers sent."""
        if report.when == "teardown":
            self.of_test[report.nodeid] = set(report.opened)

    def pytest_sessionfinish(self) -> None:
        """Write the record."""
        if not self.target:
            return
        commit, dirty = code_version(ROOT)
        groups = sorted({tuple(sorted(opened)) for opened in self.of_test.values()})
        number = {group: place for place, group in enumerate(groups)}
        record = {
            "began_at": self.began_at.isoformat(), "ended_at": datetime.now(UTC).isoformat(), "commit": commit, "dirty": dirty,
            "content": self.content, "groups": groups,
            "tests": {node: number[tuple(sorted(opened))] for node, opened in sorted(self.of_test.items())},
        }  # fmt: skip
        self.target.parent.mkdir(exist_ok=True)
        self.target.write_text(json.dumps(record), encoding="utf-8", newline="\n")


_OPENED = pytest.StashKey[set[str]]()


def _parts() -> Iterator[str]:
    for path in (ROOT / "tests").glob("test_*.py"):
        for name in parts_of(path.read_text(encoding="utf-8")):
            yield f"tests/{path.name}::{name}"


def register(config: pytest.Config) -> None:
    """Watch in this process; the one that writes a JUnit report writes the record beside it."""
    report = config.getoption("xmlpath", None)
    leads = not hasattr(config, "workerinput")
    config.pluginmanager.register(SessionRecord(Path(report).with_suffix(".json") if report and leads else None))
