"""The quality scorecard: dimensions, scores, ranges, rules, and who acts when quality falls."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from etl import quality
from etl.errors import EXIT_WARNINGS, ThresholdError
from etl.quality import rule_score
from etl.record import DimensionRecord, RunRecord
from etl.rules import RULES, Dimension, Rule, Severity
from etl.schema import COLUMNS
from etl.transform import Tally
from generators.context import Context
from generators.deliverable import Deliverable
from generators.disclosure import withheld
from generators.trend import (
    ACT_FROM,
    ENOUGH_ROWS,
    ENOUGH_RUNS,
    LEAST_DISTANCE,
    LOOK_FROM,
    SPREADS,
    sparkline,
    stability_index,
    usual_range,
)

MEANINGS: dict[Dimension, str] = {
    Dimension.COMPLETENESS: "What the use of the data needs is there",
    Dimension.VALIDITY: "Values have the form and range that was agreed",
    Dimension.UNIQUENESS: "Each customer stands once",
    Dimension.CONSISTENCY: "Fields of a row agree with one another",
    Dimension.TIMELINESS: "The file is as fresh as was promised",
    Dimension.ACCURACY: "Values agree with a reference outside the file",
}
WEIGHTS = {3: "critical", 2: "important", 1: "other"}
CALLED = {"red": "data_steward", "stopped": "operations_lead", "used": "operations_lead"}
"""Whose channel stands beside a step of the escalation; an amber dimension is for its own owner."""

FULL = 100
RUNS_IN_TREND, RUNS_IN_RANGE, RUNS_IN_SHARES = 30, 14, 8


def build(context: Context, _: Path) -> Mapping[str, object]:
    """Return scores, rules, ranges and trend of the newest run, measured or not."""
    run = context.run
    comparable = [one for one in context.runs if one.environment == run.environment]
    measured = [one for one in comparable if _scored(one)]
    parts = run.quality.dimensions if run.quality else ()
    worst = min((part for part in parts if part.score is not None), key=lambda part: part.score or 0, default=None)
    return {
        "quality": run.quality,
        "full": FULL,
        "worst": worst,
        "last_measured": measured[-1] if measured else None,
        "paged": {one.run_id for one in context.runs[-context.settings.values.runs.published :]},
        "short_of": {state: [part.dimension for part in parts if part.state == state] for state in ("red", "amber")},
        "rejected_share": _rejected(run),
        "trend": _trends(measured[-RUNS_IN_TREND:]),
        "trend_runs": len(measured[-RUNS_IN_TREND:]),
        "trend_most": RUNS_IN_TREND,
        "rule_exit": {"warn": EXIT_WARNINGS, "stop": ThresholdError.exit_code},
        "level": escalation_level(comparable, context.settings.values.quality.rejects_warn),
        "called": CALLED,
        **_definitions(run),
        **_volumes(context, _before(comparable)),
    }


def _definitions(run: RunRecord) -> dict[str, object]:
    example = max((rule for rule in RULES if rule.id in run.rules), key=lambda rule: run.rules[rule.id].violations, default=None)
    return {
        "meanings": MEANINGS,
        "formulas": _paragraphs(quality)[1:],
        "timeliness": _paragraphs(quality.timeliness)[0].removeprefix("Return "),
        "sums": {dimension.value: weighted_sum(dimension, run) for dimension in Dimension},
        "rules": {d.value: sorted((_rule_row(rule, run) for rule in RULES if rule.dimension is d), key=_cost) for d in Dimension},
        "example": _rule_row(example, run) if example else None,
        "age_hours": (run.ended_at - run.input.made_at).total_seconds() / 3600 if run.input else None,
        "weights": [(weight, word, _judged_columns(weight)) for weight, word in WEIGHTS.items()],
    }


def _paragraphs(documented: object) -> list[str]:
    return [" ".join(paragraph.split()) for paragraph in (inspect.getdoc(documented) or "").split("\n\n")]


def _judged_columns(weight: int) -> list[str]:
    judged = {rule.column for rule in RULES}
    return [column.name for column in COLUMNS if column.weight == weight and column.name in judged]


@dataclass(frozen=True)
class RuleRow:
    """A rule with what the run counted; `counted` is False when the run did not come to it."""

    rule: Rule
    tally: Tally
    counted: bool

    @property
    def score(self) -> float | None:
        """Score of the rule, None when it was about no row."""
        return rule_score(self.tally)

    @property
    def effect(self) -> str:
        """What breaking it does to the row."""
        return "quarantined" if self.rule.severity is Severity.ERROR else "loaded, counted"


def _rule_row(rule: Rule, run: RunRecord) -> RuleRow:
    counted = run.rules.get(rule.id)
    return RuleRow(rule, Tally(counted.applicable, counted.violations) if counted else Tally(), counted is not None)


def _cost(row: RuleRow) -> int:
    return -row.rule.weight * row.tally.violations


def weighted_sum(dimension: Dimension, run: RunRecord) -> tuple[int, int]:
    """Return a dimension's numerator and denominator: weighted passes and weighted rows its rules were about."""
    rows = [_rule_row(rule, run) for rule in RULES if rule.dimension is dimension]
    applicable = sum(row.rule.weight * row.tally.applicable for row in rows)
    return applicable - sum(row.rule.weight * row.tally.violations for row in rows), applicable


def _rejected(run: RunRecord) -> float | None:
    """Return the share of rejected rows, per cent."""
    return FULL * run.rows.quarantined / run.rows.read if run.rows.read else None


def _trends(runs: Sequence[RunRecord]) -> dict[str, object]:
    """Return a small picture of each dimension's scores over these runs."""
    series: dict[str, list[float]] = {}
    for part in (part for run in runs for part in _scored(run)):
        series.setdefault(part.dimension, []).append(part.score or 0)
    return {name: sparkline(scores, f"{name}, runs: {len(scores)}") for name, scores in series.items()}


def _scored(run: RunRecord) -> list[DimensionRecord]:
    return [part for part in run.quality.dimensions if part.score is not None] if run.quality else []


def escalation_level(runs: Sequence[RunRecord], rejects_warn: float) -> str:
    """Return the step of the escalation that the newest of these runs is at: stopped, red, amber, watch, none or unknown.

    `rejects_warn` is the share of rejected rows above which a run counts as red whatever its scores.
    """
    run, earlier = runs[-1], [one for one in runs[:-1] if one.quality]
    if run.fault and run.fault.error_class == ThresholdError.__name__:
        return "stopped"
    if not run.quality:
        return "unknown"
    if _in_state(run, "red") or (_rejected(run) or 0) > FULL * rejects_warn:
        return "red"
    amber = _in_state(run, "amber")
    twice = amber & (_in_state(earlier[-1], "amber") | _in_state(earlier[-1], "red")) if earlier else set()
    return "amber" if twice else "watch" if amber else "none"


def _in_state(run: RunRecord, state: str) -> set[str]:
    return {part.dimension for part in _scored(run) if part.state == state}


def _before(comparable: Sequence[RunRecord]) -> list[RunRecord]:
    """Return the earlier runs that loaded something, oldest first."""
    return [run for run in comparable[:-1] if run.outcome in ("success", "warnings") and run.rows.loaded]


def _volumes(context: Context, before: Sequence[RunRecord]) -> dict[str, object]:
    run = context.run
    measures = {
        "Rows read": [float(one.rows.read) for one in (*before, run)],
        "Rows loaded": [float(one.rows.loaded) for one in (*before, run)],
        "Rejected, per cent": [_rejected(one) or 0.0 for one in (*before, run)],
        "Seconds": [one.seconds for one in (*before, run)],
    }
    shares = [one.risk for one in before[-RUNS_IN_SHARES:]]
    return {
        "volumes": [_volume(name, values[-RUNS_IN_RANGE - 1 : -1], values[-1]) for name, values in measures.items()],
        "bands": run.risk,
        "withheld": withheld(run.risk, context.settings.values.privacy.k),
        "drift": stability_index(run.risk, shares),
        "history": {
            "runs": len(before), "enough": ENOUGH_RUNS, "rows": ENOUGH_ROWS, "in_range": RUNS_IN_RANGE,
            "in_shares": RUNS_IN_SHARES, "spreads": SPREADS, "distance": f"{LEAST_DISTANCE:.0%}",
            "look": LOOK_FROM, "act": ACT_FROM,
        },
    }  # fmt: skip


def _volume(name: str, before: Sequence[float], now: float) -> dict[str, object]:
    usual = usual_range(before)
    verdict = "not enough history" if usual is None else "usual" if usual.holds(now) else "unusual"
    form = "{:,.0f}" if now.is_integer() else "{:,.2f}"
    told = f"{form} to {form}".format(usual.low, usual.high) if usual else "unknown"
    return {"name": name, "now": form.format(now), "usual": told, "verdict": verdict}


DELIVERABLE = Deliverable(
    "quality",
    "How good the data of the last run was, measured on the input in six dimensions, and what happens when it is not "
    "good enough.",
    "data analysts and stewards",
    build,
)
