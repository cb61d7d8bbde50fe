"""The judge of `run`: an expression is true for the newest run that loaded its input."""

from simpleeval import EvalWithCompoundTypes, InvalidExpression

from etl.record import RunRecord
from etl.repository import digest
from generators.evidence.exhibits import REFRESH_RUN, Exhibits
from generators.judging import ProofVerdict, State
from generators.proofs import RunProof

FUNCTIONS = {"all": all, "any": any, "len": len, "max": max, "min": min, "sum": sum}


def judge(proof: RunProof, exhibits: Exhibits) -> ProofVerdict:
    """Evaluate the expression over the run's record."""
    run = exhibits.run
    if run is None:
        why = "no run has loaded its input yet"
        return ProofVerdict("run", proof.what, "missing", why, "generated/runs/index.md", remedy=REFRESH_RUN)
    state, why = _evaluate(proof.expression, run)
    if state == "proved" and exhibits.run_stale:
        state, why = "stale", exhibits.run_stale
    return ProofVerdict(
        "run", proof.what, state, why, f"generated/runs/{run.run_id}.md", run.ended_at, _fingerprint(run),
        REFRESH_RUN if state == "stale" else None,
    )  # fmt: skip


def _evaluate(expression: str, run: RunRecord) -> tuple[State, str]:
    try:
        holds = EvalWithCompoundTypes(names=names_of(run), functions=FUNCTIONS).eval(expression)
    except (InvalidExpression, SyntaxError, KeyError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        return "failing", f"can't be judged on run {run.run_id}: {error}"
    return ("proved", f"holds for run {run.run_id}") if holds is True else ("failing", f"does not hold for run {run.run_id}")


def names_of(run: RunRecord) -> dict[str, object]:
    """Return what an expression can name: the record's fields, with the stages by their names."""
    return run.model_dump(mode="json") | {"stages": {stage.name: stage.model_dump(mode="json") for stage in run.stages}}


def _fingerprint(run: RunRecord) -> str:
    return digest(run.model_dump_json().encode())
