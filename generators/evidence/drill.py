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
    link, remedy = "generated/backlog/checks.md#rehearsals", None if state == "proved" else REFRESH_DRILLS
    return ProofVerdict("drill", what, state, why, link, result.ran_at, digest(result.model_dump_json().encode()), remedy)


def weigh(result: Result, exhibits: Exhibits, when: str) -> tuple[State, str]:
    """Return what a result is worth: failing when it ended badly, stale when something it depends on changed."""
    if not result.good:
        return "failing", result.told or "it did not end well"
    if not result.content:
        return "stale", f"nothing tells what {when} depended on"
    if changed := exhibits.inputs.changed(result.content):
        return "stale", f"{in_words(changed)} after {when}"
    return "proved", result.told or "it ended well"
