"""Makes what judges look at, for tests: pages, results and signatures that tests write themselves."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from generators.backlog import Criterion
from generators.context import Context
from generators.evidence.exhibits import Exhibits
from generators.evidence.judge import judge
from generators.evidence.results import Result, TestReport, TestSession
from generators.evidence.signatures import Signature
from generators.inputs import WATCHED, Inputs, parts_of
from generators.judging import ProofVerdict
from tests.records import ROOT, make_context

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def make_session(root: Path = ROOT, opened: Mapping[str, Sequence[str]] | None = None) -> TestSession:
    """Return the session of a test run that saw everything as it is now; `opened` are files by node id."""
    inputs = Inputs(root)
    parts = {
        f"tests/{path.name}::{name}" for path in (root / "tests").glob("test_*.py") for name in parts_of(path.read_text("utf-8"))
    }
    groups = [list(paths) for paths in (opened or {}).values()]
    return TestSession(
        began_at=NOW, ended_at=NOW, commit="0" * 40, dirty=False, content=inputs.digests(inputs.below(*WATCHED) | parts),
        groups=groups, tests={node: place for place, node in enumerate(opened or {})},
    )  # fmt: skip


def make_result(name: str, **changes: Any) -> Result:
    """Return the result of something that ended well and depends on one file that did not change."""
    values = {"name": name, "ran_at": NOW, "good": True, "seconds": 1.0, "content": Inputs(ROOT).digests(["etl/errors.py"])}
    return Result(**(values | changes))


def make_exhibits(
    context: Context | None = None,
    pages: Mapping[str, str] | None = None,
    tests: TestReport | None = None,
    results: Sequence[Result] = (),
    signatures: Sequence[Signature] = (),
) -> Exhibits:
    """Return exhibits; results count as rehearsals and as commands."""
    context = context or make_context()
    by_name = {result.name: result for result in results}
    return Exhibits(context, pages or {}, tests or TestReport({}), by_name, by_name, signatures, Inputs(context.root))


def verdict(proof: dict[str, object], **exhibits: Any) -> ProofVerdict:
    """Return how a proof is judged by what `make_exhibits` makes."""
    criterion = Criterion.model_validate({"text": "x", "proofs": [proof]})
    return judge(criterion, make_exhibits(**exhibits)).proofs[0]
