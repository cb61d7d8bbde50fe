"""Judging: each proof goes to the judge of its kind; the worst proof decides about a criterion."""

from collections.abc import Callable, Mapping
from typing import Any

from generators.backlog import Criterion
from generators.context import Context
from generators.evidence import command, drill, file, run, section, signoff, test
from generators.evidence.exhibits import Exhibits, load_exhibits
from generators.judging import ProofVerdict, Verdict
from generators.proofs import CommandProof, DrillProof, FileProof, Proof, RunProof, SectionProof, SignoffProof, TestProof

JUDGES: Mapping[type, Callable[[Any, Exhibits], ProofVerdict]] = {
    SectionProof: section.judge,
    RunProof: run.judge,
    TestProof: test.judge,
    FileProof: file.judge,
    DrillProof: drill.judge,
    CommandProof: command.judge,
    SignoffProof: signoff.judge,
}


def judge_all(context: Context, pages: Mapping[str, str]) -> dict[str, Verdict]:
    """Judge every criterion of the backlog; return the verdicts by the criterion's id. Raises FactsError."""
    return judge_with(load_exhibits(context, pages))


def judge_with(exhibits: Exhibits) -> dict[str, Verdict]:
    """Judge every criterion; a proof that several criteria name is judged once."""
    known: dict[Proof, ProofVerdict] = {}
    return {criterion.id: judge(criterion, exhibits, known) for criterion in exhibits.context.backlog.criteria}


def judge(criterion: Criterion, exhibits: Exhibits, known: dict[Proof, ProofVerdict] | None = None) -> Verdict:
    """Judge one criterion. `known` keeps what was judged."""
    known = {} if known is None else known
    for proof in criterion.proofs:
        if proof not in known:
            known[proof] = _judge_proof(proof, exhibits)
    return Verdict(criterion.id, tuple(known[proof] for proof in criterion.proofs))


def _judge_proof(proof: Proof, exhibits: Exhibits) -> ProofVerdict:
    if proof.planned:
        return ProofVerdict(proof.kind, proof.what, "missing", f"planned: {proof.planned}")
    return JUDGES[type(proof)](proof, exhibits)
