"""Trends: small line pictures as inline SVG with their finding as text, and what is usual after the runs before."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT, EDGE = 120.0, 24.0, 3.0

ENOUGH_RUNS = 5
"""Fewer runs than this make no range: nothing is called usual."""

SPREADS = 3
LEAST_DISTANCE = 0.2
_NORMAL = 1.4826  # makes the median absolute deviation comparable with a standard deviation

ENOUGH_ROWS = 500
LOOK_FROM, ACT_FROM = 0.10, 0.25
"""Stability indices from which a distribution is looked at, and from which somebody acts: a rule of thumb."""


def sparkline(values: Sequence[float], what: str) -> Markup:
    """Return a line through `values`, oldest first. The text alternative tells first, last, lowest and highest."""
    low, high = min(values), max(values)
    told = escape(f"{what}: from {values[0]:g} to {values[-1]:g}, lowest {low:g}, highest {high:g}")
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in _points(values, low, high))
    last_x, last_y = _points(values, low, high)[-1]
    return Markup(
        f'<svg class="sparkline" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" width="{WIDTH:g}" height="{HEIGHT:g}" role="img">'
        f"<title>{told}</title>"
        f'<polyline points="{points}"/><circle cx="{last_x:.1f}" cy="{last_y:.1f}" r="2.5"/></svg>'
    )


def _points(values: Sequence[float], low: float, high: float) -> list[tuple[float, float]]:
    step = (WIDTH - 2 * EDGE) / max(len(values) - 1, 1)
    span = (high - low) or 1.0
    level = 0.5 if high == low else 0.0
    return [
        (EDGE + number * step, HEIGHT - EDGE - ((value - low) / span + level) * (HEIGHT - 2 * EDGE))
        for number, value in enumerate(values)
    ]


@dataclass(frozen=True)
class Usual:
    """What the runs before make one expect of a measure."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Return whether the value is nothing unusual."""
        return self.low <= value <= self.high


def usual_range(before: Sequence[float]) -> Usual | None:
    """Return the median of the values and what lies around it; None when there are fewer than `ENOUGH_RUNS`.

    The distance is `SPREADS` deviations, measured by the median absolute deviation so that one odd run does not widen it,
    and at least `LEAST_DISTANCE` of the median, so that runs which never differed do not make a trifle remarkable.
    """
    if len(before) < ENOUGH_RUNS:
        return None
    middle = statistics.median(before)
    spread = _NORMAL * statistics.median(abs(value - middle) for value in before)
    distance = max(SPREADS * spread, LEAST_DISTANCE * middle)
    return Usual(max(0.0, middle - distance), middle + distance)


def stability_index(now: Mapping[str, int], before: Sequence[Mapping[str, int]]) -> float | None:
    """Return the population stability index: the sum of (q - p) * ln(q / p) over all groups.

    q is a group's share now, p the median of its shares before. None when that would say nothing: fewer than `ENOUGH_RUNS`
    runs, fewer than `ENOUGH_ROWS` rows, or an empty group.
    """
    if len(before) < ENOUGH_RUNS or sum(now.values()) < ENOUGH_ROWS or not all(sum(counts.values()) for counts in before):
        return None
    medians = {name: statistics.median(counts.get(name, 0) / sum(counts.values()) for counts in before) for name in now}
    if not all(now.values()) or not all(medians.values()):
        return None
    shares = [(now[name] / sum(now.values()), medians[name] / sum(medians.values())) for name in now]
    return sum((q - p) * math.log(q / p) for q, p in shares)
