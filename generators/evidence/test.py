"""The judge of `test`: a test, or each of a group, passed in the last whole test run, and nothing it depends on changed since."""

import re
from collections.abc import Sequence
from pathlib import Path

from etl.repository import digest
from generators.evidence.exhibits import REFRESH_TESTS, Exhibits, in_words
from generators.evidence.results import TestSession
from generators.inputs import GONE, own_lines
from generators.judging import ProofVerdict, State
from generators.proofs import TestProof


def judge(proof: TestProof, exhibits: Exhibits) -> ProofVerdict:
    """Look the test up in the report, and at everything it looked at."""
    what, link = spoken(proof.node), f"generated/backlog/checks.md#{anchor_of(proof.node)}"
    nodes, session = exhibits.tests.covered(proof.node), exhibits.tests.session
    if exhibits.inputs.digest(own_lines(proof.node)) == GONE:
        return ProofVerdict("test", what, "missing", "there is no such test any more")
    if not nodes:
        return ProofVerdict("test", what, "missing", "not in the report of the last test run", remedy=REFRESH_TESTS)
    inputs = _inputs(nodes, session, exhibits) if session else set()
    state, why = _look_at(nodes, inputs, exhibits)
    remedy = None if state == "proved" else REFRESH_TESTS
    if session is None:
        return ProofVerdict("test", what, state, why, link, remedy=remedy)
    seen = "".join(f"{path}{exhibits.inputs.digest(path)}" for path in sorted(inputs))
    return ProofVerdict("test", what, state, why, link, session.ended_at, digest(seen.encode()), remedy)


def _look_at(nodes: Sequence[str], inputs: set[str], exhibits: Exhibits) -> tuple[State, str]:
    report = exhibits.tests
    if bad := sum(report.outcomes[node] != "passed" for node in nodes):
        return "failing", f"{bad} of {len(nodes)} did not pass in the last test run"
    if report.session is None:
        return "stale", "nothing tells what the last test run looked at"
    if causes := _changed(inputs, report.session, exhibits):
        return "stale", f"{in_words(causes)} after the last test run"
    return "proved", f"{len(nodes)} passed in the last test run"


def _changed(inputs: set[str], session: TestSession, exhibits: Exhibits) -> list[str]:
    """Return what is not as it was, the test's own lines first."""
    changed = [path for path in inputs if exhibits.inputs.digest(path) != session.content.get(path)]
    return sorted(changed, key=lambda path: ("::" not in path, path.startswith("tests/"), path))


def _inputs(nodes: Sequence[str], session: TestSession, exhibits: Exhibits) -> set[str]:
    code = set().union(*(exhibits.inputs.test_files(node) for node in {node.partition("[")[0] for node in nodes}))
    return code.union(*(session.opened(node) for node in nodes))


def spoken(node: str) -> str:
    """Return a test's id as people read it: `tests/test_rules.py::test_a_fault_is_found` is `rules: a fault is found`."""
    file, *names = node.split("::")
    words = [
        re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name).lower().removeprefix("test_").removeprefix("test ")
        for name in names
    ]
    return ": ".join([Path(file).stem.removeprefix("test_"), *words]).replace("_", " ")


def anchor_of(node: str) -> str:
    """Return the anchor of a test on the page of checks."""
    return re.sub(r"[^a-z0-9]+", "-", node.lower()).strip("-")
