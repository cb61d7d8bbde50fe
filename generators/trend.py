"""Trends: small line pictures as inline SVG, with their finding as text."""

from collections.abc import Sequence

from markupsafe import Markup

WIDTH, HEIGHT, EDGE = 120.0, 24.0, 3.0


def sparkline(values: Sequence[float], what: str) -> Markup:
    """Return a line through `values`, oldest first. The text alternative tells first, last, lowest and highest."""
    low, high = min(values), max(values)
    told = f"{what}: from {values[0]:g} to {values[-1]:g}, lowest {low:g}, highest {high:g}"
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
