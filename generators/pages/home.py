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
_LOOK = {"green": "good", "amber": "fair", "red": "bad", "not measured": "unknown"}


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
            "quality_look": _LOOK[worst.state] if worst else "unknown",
            "deliverables": all_deliverables(),
            "runbook": "generated/deliverables/runbook.md",
        },
    )
