"""Quality: scores per dimension, from what the rules counted.

A rule's score is 100 × passed / applicable. A dimension's score is the weighted share of its rules' passes,
100 × Σ(weight × passed) / Σ(weight × applicable), so that a rule about few rows does not count like one about all.
The overall score is the lowest dimension: an average would hide a failing one. Scores are rounded down to two decimals,
so that 100 means every single row.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from etl.rules import RULES, Dimension, Rule
from etl.settings import QualitySettings, Range
from etl.transform import Tally

State = Literal["green", "amber", "red", "not measured"]


@dataclass(frozen=True)
class DimensionScore:
    """The score of a dimension, per cent, with its range, its state and the rule that cost most."""

    dimension: Dimension
    score: float | None
    target: float
    minimum: float
    state: State
    worst_rule: str | None


def score_dimensions(
    tallies: Mapping[str, Tally], settings: QualitySettings, input_made_at: datetime, now: datetime, promised_age: float
) -> list[DimensionScore]:
    """Score all six dimensions; `promised_age` in hours, times in UTC."""
    scores = {d: _weighted_score(d, tallies) for d in Dimension}
    scores[Dimension.TIMELINESS] = timeliness((now - input_made_at).total_seconds() / 3600, promised_age)
    return [_judge(d, score, getattr(settings, d.value), _worst(d, tallies)) for d, score in scores.items()]


def overall(scores: list[DimensionScore]) -> float | None:
    """Return the lowest score of those measured."""
    return min((s.score for s in scores if s.score is not None), default=None)


def timeliness(age: float, promised: float) -> float:
    """Return 100 up to the promised age (both in hours), then falling in proportion: twice the age is 50."""
    return 100.0 if age <= promised else floor2(100 * promised / age)


def rule_score(tally: Tally) -> float | None:
    """Return the score of one rule, or None when it was about no row."""
    applicable, violations = tally
    return floor2(100 * (applicable - violations) / applicable) if applicable else None


def floor2(value: float) -> float:
    """Round down to two decimals."""
    return math.floor(value * 100 + 1e-9) / 100


def _rules(dimension: Dimension) -> list[Rule]:
    return [rule for rule in RULES if rule.dimension is dimension]


def _weighted_score(dimension: Dimension, tallies: Mapping[str, Tally]) -> float | None:
    counted = [(rule.weight, tallies.get(rule.id, Tally())) for rule in _rules(dimension)]
    applicable = sum(weight * tally.applicable for weight, tally in counted)
    violations = sum(weight * tally.violations for weight, tally in counted)
    return floor2(100 * (applicable - violations) / applicable) if applicable else None


def _worst(dimension: Dimension, tallies: Mapping[str, Tally]) -> str | None:
    costs = {rule.id: rule.weight * tallies.get(rule.id, Tally()).violations for rule in _rules(dimension)}
    worst = max(costs, key=lambda rule_id: costs[rule_id], default=None)
    return worst if worst and costs[worst] else None


def _judge(dimension: Dimension, score: float | None, limits: Range, worst: str | None) -> DimensionScore:
    state: State = "not measured"
    if score is not None:
        state = "green" if score >= limits.target else "amber" if score >= limits.minimum else "red"
    return DimensionScore(dimension, score, limits.target, limits.minimum, state, worst)
