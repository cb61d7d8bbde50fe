"""The quality scorecard: dimensions, scores, ranges, rules, and who acts when quality falls."""

from collections.abc import Mapping
from pathlib import Path

import etl.quality
from etl.quality import rule_score
from etl.record import RunRecord
from etl.rules import RULES, Dimension, Rule
from etl.transform import Tally
from generators.context import Context
from generators.deliverable import Deliverable
from generators.trend import sparkline

SHOWN = 30

MEANINGS: dict[Dimension, str] = {
    Dimension.COMPLETENESS: "What the use of the data needs is there",
    Dimension.VALIDITY: "Values have the form and range that was agreed",
    Dimension.UNIQUENESS: "Each customer stands once",
    Dimension.CONSISTENCY: "Fields of a row agree with one another",
    Dimension.TIMELINESS: "The file is as fresh as was promised",
    Dimension.ACCURACY: "Values agree with a reference outside the file",
}


def build(context: Context, _: Path) -> Mapping[str, object]:
    """Return scores, rules and trend of the newest run that was measured."""
    measured = [run for run in context.runs if run.quality]
    quality = context.run.quality
    scored = [part for part in quality.dimensions if part.score is not None] if quality else []
    return {
        "quality": quality,
        "worst": min(scored, key=lambda part: part.score or 0, default=None),
        "below": [part for part in scored if part.state != "green"],
        "meanings": MEANINGS,
        "formulas": _paragraphs(etl.quality.__doc__)[1:],
        "timeliness": _paragraphs(etl.quality.timeliness.__doc__)[0].removeprefix("Return "),
        "rules": [_rule_row(rule, context.run) for rule in RULES],
        "trend": _trends(measured[-SHOWN:]),
        "shown": SHOWN,
        "runs_measured": len(measured),
    }


def _paragraphs(text: str | None) -> list[str]:
    return [" ".join(paragraph.split()) for paragraph in (text or "").split("\n\n")]


def _rule_row(rule: Rule, run: RunRecord) -> dict[str, object]:
    counted = run.rules.get(rule.id)
    tally = Tally(counted.applicable, counted.violations) if counted else Tally()
    return {"rule": rule, "tally": tally, "score": rule_score(tally), "counted": counted is not None}


def _trends(runs: list[RunRecord]) -> dict[str, object]:
    """Return a small picture of each dimension's scores over the last runs."""
    series: dict[str, list[float]] = {}
    for run in runs:
        for part in run.quality.dimensions if run.quality else ():
            if part.score is not None:
                series.setdefault(part.dimension, []).append(part.score)
    return {name: sparkline(scores, f"{name}, {len(scores)} runs") for name, scores in series.items()}


DELIVERABLE = Deliverable(
    "quality",
    "How good the data of the last run was, measured on the input in six dimensions, and what happens when it is not good enough.",
    "data analysts and stewards",
    build,
)
