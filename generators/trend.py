"""Trends: small line pictures as inline SVG with their finding as text, and what is usual after the runs before."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

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


CHART_WIDTH, CHART_HEIGHT, LEFT, BOTTOM, TOP = 640.0, 220.0, 40.0, 24.0, 14.0


def burn_up(times: Sequence[datetime], reached: Sequence[int], wanted: Sequence[int], what: str) -> Markup:
    """Return a stepped line of what was reached below one of what is wanted, over time; oldest first, at least one.

    `what` is counted, such as `criteria proved`. The text alternative tells first and last.
    """
    span = (times[-1] - times[0]).total_seconds() or 1.0
    top = max(*wanted, *reached, 1)

    def place(moment: datetime, value: int) -> tuple[float, float]:
        x = LEFT + (CHART_WIDTH - LEFT - EDGE) * ((moment - times[0]).total_seconds() / span if len(times) > 1 else 1.0)
        return x, TOP + (CHART_HEIGHT - BOTTOM - TOP) * (1 - value / top)

    def steps(values: Sequence[int]) -> str:
        path = [f"M{LEFT:.1f},{place(times[0], values[0])[1]:.1f}"]
        for moment, value in zip(times, values, strict=True):
            x, y = place(moment, value)
            path.append(f"H{x:.1f}V{y:.1f}")
        return "".join(path)

    form = "%d %b %Y" if times[0].date() != times[-1].date() else "%d %b %Y %H:%M"
    base, (end_x, end_y) = CHART_HEIGHT - BOTTOM, place(times[-1], reached[-1])
    told = escape(
        f"{what}: {reached[0]} of {wanted[0]} on {times[0]:%d %b %Y}, {reached[-1]} of {wanted[-1]} on {times[-1]:%d %b %Y}"
    )
    return Markup(
        f'<svg class="chart" viewBox="0 0 {CHART_WIDTH:g} {CHART_HEIGHT:g}" role="img"><title>{told}</title>'
        f'<path class="chart__axis" d="M{LEFT:g},{TOP:g}V{base:g}H{CHART_WIDTH - EDGE:g}"/>'
        f'<path class="chart__wanted" d="{steps(wanted)}"/><path class="chart__reached" d="{steps(reached)}"/>'
        f'<circle cx="{end_x:.1f}" cy="{end_y:.1f}" r="3.5"/>'
        f'<text x="{end_x - 6:.1f}" y="{end_y - 6:.1f}" text-anchor="end">{reached[-1]}</text>'
        f'<text x="{LEFT - 6:g}" y="{place(times[0], wanted[-1])[1] + 4:.1f}" text-anchor="end">{wanted[-1]}</text>'
        f'<text x="{LEFT - 6:g}" y="{base:g}" text-anchor="end">0</text>'
        f'<text x="{LEFT:g}" y="{CHART_HEIGHT - 6:g}">{times[0]:{form}}</text>'
        f'<text x="{CHART_WIDTH - EDGE:g}" y="{CHART_HEIGHT - 6:g}" text-anchor="end">{times[-1]:{form}}</text></svg>'
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
