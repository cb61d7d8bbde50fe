"""Validation: what was rejected and why, every rule with its remedy, how a rejected row gets back in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from etl.record import RunRecord
from etl.rules import RULES, Rule, Severity
from etl.schema import COLUMNS, INPUT_COLUMNS, column
from generators.context import Context
from generators.deliverable import Deliverable

RUNS_BEFORE = 10
NOT_CHECKED = (
    "Whether an e-mail address exists: only its form is judged. A mail that comes back tells the rest.",
    "Whether a postcode is the customer's own: it may exist and be a neighbour's.",
    "Whether a telephone number is in use: only whether it is possible in its country.",
    "Whether two numbers are the same person: doubles are found by customer number, not by name or address.",
    "Whether a company is the one that is meant: it is matched by its exact name.",
    "Whether what is right in form is true. A sample of rows compared with the source by a person tells that.",
)
COMMANDS = (
    ("Which rules, how often, on which lines, and what to do", "python -m etl quarantine"),
    ("Every run that has rejected rows left, and for how many days", "python -m etl quarantine list"),
    ("The rows themselves, for whoever may see them", "python -m etl quarantine show"),
    ("Take the rows out for correction", "python -m etl quarantine export --out corrections.csv"),
    ("Submit the corrected file", "python -m etl quarantine resubmit corrections.csv"),
)


@dataclass(frozen=True)
class Broken:
    """A rule that rows of the last run broke, and how often it was broken before."""

    rule: Rule
    violations: int
    before: str


def build(context: Context, _: Path) -> Mapping[str, object]:
    """Return what the last run rejected, the rule book by column, and the way back."""
    run = context.run
    earlier = [one for one in context.runs[:-1] if one.environment == run.environment and one.rows.read][-RUNS_BEFORE:]
    return {
        "broken": sorted(_broken(run, earlier), key=lambda one: -one.violations),
        "earlier": len(earlier),
        "columns": [(name, [rule for rule in RULES if rule.column == name]) for name in ("row", *INPUT_COLUMNS, *_looked_up())],
        "errors": sum(rule.severity is Severity.ERROR for rule in RULES),
        "warnings": sum(rule.severity is Severity.WARNING for rule in RULES),
        "meaning": lambda name: "the line as a whole" if name == "row" else column(name).meaning,
        "commands": COMMANDS,
        "not_checked": NOT_CHECKED,
    }


def _looked_up() -> list[str]:
    return [one.name for one in COLUMNS if one.name not in INPUT_COLUMNS and any(rule.column == one.name for rule in RULES)]


def _broken(run: RunRecord, earlier: list[RunRecord]) -> Iterator[Broken]:
    for rule in RULES:
        counts = run.rules.get(rule.id)
        if counts and counts.violations:
            yield Broken(rule, counts.violations, _before(rule, earlier))


def _before(rule: Rule, earlier: list[RunRecord]) -> str:
    """Say how often the rule was broken before, per thousand rows it is about."""
    rates = [
        1000 * counts.violations / counts.applicable
        for one in earlier
        if (counts := one.rules.get(rule.id)) and counts.applicable
    ]
    return f"{min(rates):.1f} to {max(rates):.1f}" if rates else "no run to compare"


DELIVERABLE = Deliverable(
    "validation",
    "What the last run rejected and why, the rule book with a remedy for each rule, and how a rejected row gets back in.",
    "data engineers and the data steward",
    build,
)
