"""Evidence: judges each criterion by its proofs. Nobody types "done"; a state follows from what was looked at.

A judge is a pure function of a proof and what there is to look at (`Exhibits`). Kinds without a judge yet are `missing`,
so that nothing counts before something has looked.
"""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from simpleeval import EvalWithCompoundTypes, InvalidExpression

from generators.backlog import Criterion, FileProof, Proof, RunProof, SectionProof, SignoffProof, TestProof
from generators.context import Context
from generators.figures import FigureError, bound_figures, resolve
from generators.judging import ProofVerdict, State, Verdict

TEST_REPORT = Path("runs/tests.xml")
FILLER = re.compile(r"\b(?:TODO|TBD|FIXME|XXX|lorem ipsum|to be confirmed)\b", re.IGNORECASE)
_FUNCTIONS = {"all": all, "any": any, "len": len, "max": max, "min": min, "sum": sum}
_HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*(?:\{[^}]*\})?\s*$")


@dataclass(frozen=True)
class Exhibits:
    """What judges look at: the context, the pages' texts by slug and the outcome of each test by its node id."""

    context: Context
    pages: Mapping[str, str]
    tests: Mapping[str, str]


def judge_all(context: Context, pages: Mapping[str, str]) -> dict[str, Verdict]:
    """Judge every criterion of the backlog; return the verdicts by the criterion's id."""
    exhibits = Exhibits(context, pages, read_test_report(context.root / TEST_REPORT))
    return {criterion.id: judge(criterion, exhibits) for item in context.backlog.items for criterion in item.criteria}


def judge(criterion: Criterion, exhibits: Exhibits) -> Verdict:
    """Judge one criterion."""
    return Verdict(criterion.id, tuple(_judge_proof(proof, exhibits) for proof in criterion.proofs))


def _judge_proof(proof: Proof, exhibits: Exhibits) -> ProofVerdict:
    judge_kind = _JUDGES.get(type(proof))
    if judge_kind is None:
        return ProofVerdict(proof.kind, str(proof.what), "missing", f"nothing judges a {proof.kind} yet")
    return judge_kind(proof, exhibits)


def judge_section(proof: SectionProof, exhibits: Exhibits) -> ProofVerdict:
    """The page has the heading, with content of its own below it whose figures equal their sources."""
    page = exhibits.pages.get(proof.page)
    link = f"generated/deliverables/{proof.page}.md"
    if page is None:
        return ProofVerdict("section", proof.what, "missing", f"the page {proof.page} is not built yet")
    body = section_body(page, proof.heading)
    state, why = ("missing", "the page has no such section") if body is None else _look_at(body, exhibits.context)
    return ProofVerdict("section", proof.what, state, why, f"{link}#{anchor(proof.heading)}")  # type: ignore[arg-type]


def _look_at(body: str, context: Context) -> tuple[State, str]:
    if not re.sub(r"[\s|:-]", "", body):
        return "failing", "nothing stands below the heading"
    if found := FILLER.search(body):
        return "failing", f"a placeholder stands there: {found[0]}"
    if re.search(r"^\|[\s:|-]+\|$(?!\n\|)", body, re.MULTILINE):
        return "failing", "a table there has no rows"
    figures = bound_figures(body)
    for figure in figures:
        try:
            now = str(resolve(context, figure.source))
        except FigureError as error:
            return "failing", str(error)
        if now != figure.value:
            return "failing", f"{figure.source} is {now}, the page shows {figure.value}"
    return "proved", f"{len(figures)} figures, all equal to their source" if figures else "content without figures"


def judge_run(proof: RunProof, exhibits: Exhibits) -> ProofVerdict:
    """The expression holds for the newest run. Language: simpleeval's, with the record's fields as names."""
    run = exhibits.context.run
    names = run.model_dump(mode="json") | {"stages": {stage.name: stage.model_dump(mode="json") for stage in run.stages}}
    link = f"generated/runs/{run.run_id}.md"
    try:
        holds = EvalWithCompoundTypes(names=names, functions=_FUNCTIONS).eval(proof.expression)
    except (InvalidExpression, SyntaxError, KeyError, TypeError, AttributeError) as error:
        return ProofVerdict("run", proof.what, "failing", f"can't be judged on run {run.run_id}: {error}", link)
    state: State = "proved" if holds is True else "failing"
    return ProofVerdict("run", proof.what, state, f"{'holds' if holds is True else 'does not hold'} for run {run.run_id}", link)


def judge_test(proof: TestProof, exhibits: Exhibits) -> ProofVerdict:
    """The test (or every test whose id starts so) passed in the last test run."""
    what = in_words(proof.node)
    found = [
        outcome
        for node, outcome in exhibits.tests.items()
        if node == proof.node or node.startswith((f"{proof.node}[", f"{proof.node}::"))
    ]
    if not found:
        return ProofVerdict("test", what, "missing", "not in the last test report; run nox -s tests, then nox -s run")
    failed = sum(outcome != "passed" for outcome in found)
    if failed:
        return ProofVerdict("test", what, "failing", f"{failed} of {len(found)} did not pass in the last test run")
    return ProofVerdict("test", what, "proved", f"{len(found)} passed in the last test run")


def in_words(node: str) -> str:
    """Return a test's id as people read it: `tests/test_rules.py::test_a_fault_is_found` is `rules: a fault is found`."""
    file, *names = node.split("::")
    spoken = [
        re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name).lower().removeprefix("test_").removeprefix("test ")
        for name in names
    ]
    return ": ".join([Path(file).stem.removeprefix("test_"), *spoken]).replace("_", " ")


def judge_file(proof: FileProof, exhibits: Exhibits) -> ProofVerdict:
    """The file exists and is not empty."""
    path = exhibits.context.root / proof.path
    there = path.is_file() and path.stat().st_size > 0
    return ProofVerdict("file", proof.what, "proved" if there else "missing", "the file is there" if there else "no such file")


def judge_signoff(proof: SignoffProof, _: Exhibits) -> ProofVerdict:
    """A person's signature: waiting until it can be given."""
    return ProofVerdict(
        "signoff",
        proof.what,
        "waiting",
        f"waits for the {proof.role} to look at the page",
        f"generated/deliverables/{proof.page}.md",
    )


_JUDGES: dict[type, Callable[..., ProofVerdict]] = {
    SectionProof: judge_section,
    RunProof: judge_run,
    TestProof: judge_test,
    FileProof: judge_file,
    SignoffProof: judge_signoff,
}


def section_body(page: str, heading: str) -> str | None:
    """Return what stands below a heading down to the next of its rank or higher, or None when the page has none such."""
    lines = page.splitlines()
    for number, line in enumerate(lines):
        found = _HEADING.match(line)
        if found and found[2] == heading:
            rest = lines[number + 1 :]
            end = next(
                (i for i, text in enumerate(rest) if (h := _HEADING.match(text)) and len(h[1]) <= len(found[1])), len(rest)
            )
            return "\n".join(rest[:end]).strip()
    return None


def anchor(heading: str) -> str:
    """Return the anchor that Python-Markdown gives a heading."""
    kept = re.sub(r"[^\w\s-]", "", heading).strip().lower()
    return re.sub(r"[-\s]+", "-", kept)


def read_test_report(path: Path) -> dict[str, str]:
    """Return the outcome of each test by node id from a JUnit report of pytest; empty when there is none."""
    if not path.is_file():
        return {}
    outcomes = {}
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        module = re.sub(r"\.(?=[A-Z])", "::", case.get("classname", "")).partition("::")
        node = f"{module[0].replace('.', '/')}.py{module[1]}{module[2]}::{case.get('name', '')}"
        bad = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        outcomes[node] = bad[0] if bad else "passed"
    return outcomes
