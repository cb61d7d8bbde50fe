"""Database health: the state now, what is checked, how it has been, and how to recover."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from etl.errors import EXIT_SUCCESS, EXIT_WARNINGS
from etl.failures import failure
from etl.health_log import BEFORE_RUN, COMPONENTS, read_checks
from etl.record import ComponentRecord, HealthRecord
from generators.context import Context
from generators.deliverable import Deliverable

LOOKS = 30
STEPS = (
    ("Lock", "Another run on the same warehouse is turned away", "`warehouse.lock_timeout`", "two-runs-at-once"),
    ("Connection", "The file can be opened, or the server is found, proves who it is and lets this account in",
     "`warehouse.connect_timeout`; a file: `warehouse.lock_timeout`", "warehouse-unavailable"),
    ("Tables", "Every declared table and column is there", "none: a look into the catalogue", "schema-drift"),
    ("Rights", "A row is written in a transaction and rolled back", "none", "warehouse-unavailable"),
    ("Round trip", "The smallest question is answered within a second", "1 s, then a warning", "warehouse-unavailable"),
    ("Room", "The disk has four times the size of the input free, and a tenth of itself", "none", "disk-full"),
    ("Clock", "It is behind no earlier run and no input", "2 min", "unexpected-error"),
)  # fmt: skip
RETRIES = (
    ("A conflict of transactions, a deadlock, a lock, a lost connection", "The batch again, at most `warehouse.attempts` times, with growing pauses",
     "The transaction was rolled back, so nothing is loaded twice"),
    ("A refused sign-in, a missing right", "Never", "Asking again locks accounts"),
    ("A value that the table refuses", "Never; the batch is halved until the row is found, which goes to quarantine", "The same row fails for ever"),
    ("A missing table or column", "Never", "A person has to look at the plan: `python -m etl migrate`"),
    ("Anything else", "Never", "The run stops with its checkpoint; the next one goes on behind it"),
)  # fmt: skip
RECOVERY = ("warehouse-unavailable", "two-runs-at-once", "schema-drift", "run-killed", "disk-full")


@dataclass(frozen=True)
class History:
    """How a component was found in the newest looks: how often, how often well, and the seconds it took."""

    name: str
    looks: int
    well: int
    median: float
    longest: float


def build(context: Context, _: Path) -> Mapping[str, object]:
    """Return the newest look, the history, and how to recover."""
    looks = [
        one for one in read_checks(context.root / context.settings.values.runs.path) if one.environment == context.run.environment
    ]
    newest = looks[-1].components if looks else context.run.health
    return {
        "newest": newest,
        "looked_at": looks[-1].checked_at if looks else None,
        "steps": [(*step[:3], failure(step[3])) for step in STEPS],
        "components": COMPONENTS,
        "before_run": [*BEFORE_RUN, "warehouse"],
        "history": list(_history(looks[-LOOKS:])),
        "attempts": [
            (one.checked_at, part) for one in reversed(looks[-LOOKS:]) for part in one.components if part.name == "warehouse"
        ],
        "retries": RETRIES,
        "exit_success": EXIT_SUCCESS,
        "exit_warnings": EXIT_WARNINGS,
        "recovery": [failure(name) for name in RECOVERY],
        "server": context.run.warehouse.server if context.run.warehouse else None,
    }


def _history(looks: list[HealthRecord]) -> Iterator[History]:
    found: dict[str, list[ComponentRecord]] = {}
    for look in looks:
        for part in look.components:
            if part.state != "off":
                found.setdefault(part.name, []).append(part)
    for name, parts in found.items():
        seconds = [part.seconds for part in parts]
        yield History(name, len(parts), sum(part.state == "ok" for part in parts), median(seconds), max(seconds))


DELIVERABLE = Deliverable(
    "database-health",
    "Whether the warehouse and all else that a run needs is well, how it has been, what is tried again, and how to recover.",
    "engineers and operations",
    build,
)
