"""Measures that judging and writing the backlog's pages grows with the backlog and no faster: time per item at three sizes.

The backlogs are generated: five criteria an item, each proved by another kind of proof. Started by `nox -s bench`.
"""

import json
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from generators.backlog import Backlog, load
from generators.evidence.exhibits import Exhibits
from generators.evidence.judge import judge_with
from generators.evidence.publications import publish
from generators.evidence.results import TestReport
from generators.pages.backlog import write_backlog
from generators.pages.evidence import write_evidence
from generators.rendering import Renderer
from tests.backlog_documents import small_backlog
from tests.exhibits import make_exhibits, make_result, make_session
from tests.records import make_context

SIZES = (100, 1_000, 10_000)
LIMIT = 1.5
"""So much longer an item may take in the largest backlog than in the one a tenth of its size."""

SECTIONS = 500
COMMAND = "python -m etl config check"


def backlog_of(items: int, folder: Path) -> Path:
    """Write a backlog of so many items and return its path."""
    data = small_backlog()
    first, node = data["items"][0], "tests/test_disclosure.py::test_the_rest_of_the_total_is_never_a_single_small_group"
    data["items"] = [
        {**first, "id": f"S{number // 100 + 1}.{number % 100 + 1}", "deliverable": f"thing-{number // 2}", "criteria": [
            {"text": f"Criterion about {number}", "proofs": [proof]} for proof in (
                {"kind": "section", "page": "runbook", "heading": f"Part {number % SECTIONS}"},
                {"kind": "test", "node": f"{node}[{number}]"},
                {"kind": "run", "expression": f"rows.read >= {number}"},
                {"kind": "file", "path": "config/default.toml"},
                {"kind": "command", "run": COMMAND},
            )
        ]}
        for number in range(items)
    ]  # fmt: skip
    data["deliverables"] |= {f"thing-{number}": f"Thing {number}" for number in range(items // 2 + 1)}
    path = folder / "backlog.yaml"
    path.write_text(json.dumps(data), encoding="utf-8")  # which is YAML too, and sooner written
    return path


def measure(items: int) -> dict[str, float]:
    """Return the seconds of each step for a backlog of so many items."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = backlog_of(items, folder)
        marks = [time.perf_counter()]
        backlog = load(path)
        marks.append(time.perf_counter())
        verdicts = judge_with(exhibits := exhibits_of(backlog))
        marks.append(time.perf_counter())
        context = make_context(backlog=backlog, root=folder).with_evidence(("runbook",), verdicts)
        renderer = Renderer(context, folder / "out")
        write_backlog(context, renderer)
        write_evidence(context, exhibits, publish(context), renderer)
        marks.append(time.perf_counter())
        pages = len(list((folder / "out/backlog").glob("s*.md")))
    assert (len(verdicts), pages) == (5 * items, items)
    assert all(proof.state in ("proved", "failing") for verdict in verdicts.values() for proof in verdict.proofs)
    return dict(zip(("read", "judge", "write"), (after - before for before, after in pairwise(marks)), strict=True))


def exhibits_of(backlog: Backlog) -> Exhibits:
    """Return what the judges of a generated backlog find: a page with all its sections, passed tests, a command that ended well."""
    page = "\n".join(f"## Part {number}\n\nWords about {number}.\n" for number in range(SECTIONS))
    outcomes = {proof.node: "passed" for one in backlog.criteria for proof in one.proofs if proof.kind == "test"}
    context = make_context(backlog=backlog)
    return make_exhibits(context, {"runbook": page}, TestReport(outcomes, make_session()), [make_result(COMMAND)])


def main() -> int:
    """Print milliseconds per item and their ratio; return 1 when it is beyond the limit."""
    measure(SIZES[0])  # so that no size pays for loading
    times = {size: {step: 1000 * seconds / size for step, seconds in measure(size).items()} for size in SIZES}
    totals = {size: sum(steps.values()) for size, steps in times.items()}
    ratio = totals[SIZES[-1]] / totals[SIZES[-2]]
    figures = {f"{size:,} items, ms per item": {step: round(value, 3) for step, value in times[size].items()} for size in SIZES}
    sys.stdout.write(
        json.dumps({**figures, "growth from the second to the last": round(ratio, 2), "limit": LIMIT}, indent=2) + "\n"
    )
    return int(ratio > LIMIT)


if __name__ == "__main__":
    raise SystemExit(main())
