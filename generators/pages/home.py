"""The home page: is it healthy, how good is the data, how much of the backlog is proved."""

from generators.context import Context
from generators.deliverable import all_deliverables
from generators.rendering import Renderer

HEALTH = {
    "success": ("good", "Healthy", "The last run loaded its input."),
    "warnings": ("fair", "Healthy, with warnings", "The last run loaded its input and has something to look at."),
    "failed": ("bad", "Needs help", "The last run failed."),
    "interrupted": ("fair", "Not finished", "The last run was stopped by hand."),
}
_LOOK = {"red": "bad", "amber": "fair", "green": "good"}
"""How the quality card looks: its worst dimension decides, not the average."""


def write_home(context: Context, renderer: Renderer) -> None:
    """Write the snippet that `docs/index.md` shows."""
    quality = context.run.quality
    measured = [part for part in quality.dimensions if part.score is not None] if quality else []
    worst = min(measured, key=lambda part: part.score or 0, default=None)
    renderer.write(
        "pages/home.md.j2",
        "home.md",
        {
            "health": HEALTH[context.run.outcome],
            "worst": worst,
            "below": [part.dimension for part in measured if part.state != "green"],
            "quality_look": next(
                (look for state, look in _LOOK.items() if any(part.state == state for part in measured)), "unknown"
            ),
            "deliverables": all_deliverables(),
            "runbook": "generated/deliverables/runbook.md",
        },
    )
