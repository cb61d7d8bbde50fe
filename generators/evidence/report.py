"""The evidence as data: `evidence.json` with its schema, a JUnit report for a CI, and badges."""

import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from generators.backlog import Item
from generators.context import Context
from generators.judging import STATES, ProofVerdict, State, Verdict


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ProofReport(_Part):
    """What was found when a proof was looked at."""

    kind: str
    what: str
    state: State
    why: str
    link: str | None = Field(description="Page of the site, from its root")
    at: AwareDatetime | None = Field(description="When what was looked at came into being")
    fingerprint: str = Field(description="Start of the SHA-256 of what was looked at; empty when there was nothing")
    remedy: str | None = Field(description="What can make a proof of it")


class CriterionReport(_Part):
    """A criterion with the state of its proofs; the worst decides."""

    id: str
    item: str
    text: str
    state: State
    proofs: tuple[ProofReport, ...]


class EvidenceReport(_Part):
    """The evidence of one build."""

    schema_version: Literal[1] = 1
    made_at: AwareDatetime
    run_id: str = Field(description="The newest run")
    commit: str | None = Field(description="Commit that the run was made with")
    states: dict[State, int] = Field(description="Criteria by state")
    points: int = Field(description="Points of all items")
    points_done: int = Field(description="Points of the items whose criteria are all proved")
    criteria: tuple[CriterionReport, ...]


def json_schema() -> dict[str, Any]:
    """Return the published JSON Schema (draft 2020-12) of `evidence.json`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:handover:evidence:1",
        **EvidenceReport.model_json_schema(mode="serialization"),
    }


def make_report(context: Context) -> EvidenceReport:
    """Return the evidence of a judged context."""
    verdicts = context.verdicts or {}
    counted = Counter(verdict.state for verdict in verdicts.values())
    return EvidenceReport(
        made_at=context.now,
        run_id=context.run.run_id,
        commit=context.run.code.commit,
        states={state: counted[state] for state in STATES},
        points=context.backlog.points,
        points_done=sum(item.points for item in context.done_items()),
        criteria=tuple(_criteria(context.backlog.items, verdicts)),
    )


def _criteria(items: Iterable[Item], verdicts: Mapping[str, Verdict]) -> Iterable[CriterionReport]:
    for item in items:
        for criterion in item.criteria:
            verdict = verdicts[criterion.id]
            proofs = tuple(ProofReport.model_validate(vars(proof)) for proof in verdict.proofs)
            yield CriterionReport(id=criterion.id, item=item.id, text=criterion.text, state=verdict.state, proofs=proofs)


def to_junit(report: EvidenceReport) -> str:
    """Return the evidence as JUnit XML: a case for each criterion. What waits for a person is skipped, all else unproved fails."""
    cases, waiting, proved = report.criteria, report.states["waiting"], report.states["proved"]
    suite = ElementTree.Element(
        "testsuite", name="evidence", tests=str(len(cases)), failures=str(len(cases) - proved - waiting), errors="0",
        skipped=str(waiting),
        timestamp=report.made_at.isoformat(timespec="seconds"),
    )  # fmt: skip
    for one in cases:
        case = ElementTree.SubElement(suite, "testcase", classname=f"evidence.{one.item}", name=f"{one.id} {one.text}", time="0")
        if one.state != "proved":
            told = "; ".join(f"{proof.kind} {proof.what}: {proof.why}" for proof in one.proofs if proof.state != "proved")
            tag = "skipped" if one.state == "waiting" else "failure"
            ElementTree.SubElement(case, tag, message=f"{one.state}: {told or 'nothing proves it yet'}")
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def next_steps(proofs: Iterable[ProofVerdict]) -> dict[str, int]:
    """Return what can make proofs of what is none yet, without its options, each with how many proofs; the most useful first."""
    wanted = [proof.remedy.partition(" --")[0] for proof in proofs if proof.remedy and proof.state != "proved"]
    return dict(Counter(wanted).most_common())
