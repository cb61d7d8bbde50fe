"""The judge of `drill`: a rehearsed failure was noticed and recovered, and nothing it depends on changed since."""

from collections.abc import Mapping

from etl.failures import FAILURES
from etl.repository import digest
from generators.evidence.exhibits import REFRESH_DRILLS, Exhibits, in_words
from generators.evidence.results import Result
from generators.judging import ProofVerdict, State
from generators.proofs import DrillProof

_TITLES: Mapping[str, str] = {failure.id: failure.title for failure in FAILURES}


def judge(proof: DrillProof, exhibits: Exhibits) -> ProofVerdict:
    """Look at the result of the last rehearsal."""
    what = _TITLES.get(proof.name, proof.name)
    result = exhibits.drills.get(proof.name)
    if result is None:
        return ProofVerdict("drill", what, "missing", "not rehearsed yet", remedy=REFRESH_DRILLS)
    state, why = weigh(result, exhibits, "the last rehearsal")
    return verdict_on(result, "drill", what, state, why, "rehearsals", REFRESH_DRILLS)


def verdict_on(result: Result, kind: str, what: str, state: State, why: str, section: str, remedy: str) -> ProofVerdict:
    """Return the verdict on a result that is kept; `section` is that of the page of checks, `remedy` what brings a new one."""
    link, seen = f"generated/backlog/checks.md#{section}", digest(result.model_dump_json().encode())
    return ProofVerdict(kind, what, state, why, link, result.ran_at, seen, None if state == "proved" else remedy)


def weigh(result: Result, exhibits: Exhibits, when: str) -> tuple[State, str]:
    """Return what a result is worth: failing when it ended badly, stale when something it depends on changed."""
    if not result.good:
        return "failing", result.told or "it did not end well"
    if not result.content:
        return "stale", f"nothing tells what {when} depended on"
    if changed := exhibits.inputs.changed(result.content):
        return "stale", f"{in_words(changed)} after {when}"
    return "proved", result.told or "it ended well"
