"""The operations runbook: what to do when the pipeline fails, for whoever is on duty."""

from collections.abc import Mapping
from pathlib import Path

from etl.failures import (
    FAILURES,
    LIST_ALERTS,
    LIST_RUNS,
    MIGRATE,
    PRUNE,
    RUN,
    SEVERITY_WORDS,
    SHOW_QUARANTINE,
    SHOW_SETTINGS,
    TELL_STORY,
    TEST_ALERTS,
    WATCH,
)
from etl.stages import STAGES
from generators.context import Context
from generators.deliverable import Deliverable
from generators.pages.home import HEALTH
from generators.pages.reference import exit_codes

QUICK = (
    ("Run the pipeline and write all pages", RUN),
    ("List the runs with their outcome", LIST_RUNS),
    ("See what was rejected, and on which lines", SHOW_QUARANTINE),
    ("See what the last run did, line by line", TELL_STORY),
    ("See every setting and where it came from", SHOW_SETTINGS),
    ("Open these pages on this machine", "nox -s serve"),
)
ROUTINE = (
    ("Load a file", "python -m etl run --input data/customers.csv"),
    ("Write the pages of the newest run", "python -m generators"),
    ("Look at the rejected rows of a run", SHOW_QUARANTINE),
    ("Change a setting for one run", "python -m etl run --set input.batch_size=10000"),
    ("See the settings of production", "python -m etl config --environment production"),
    ("Delete what is past its time: logs, rejected rows, old runs; once a day", PRUNE),
    ("See what went wrong lately", "python -m etl logs --errors --last 30"),
    ("Look at everything a run depends on", "python -m etl health"),
    ("See what the tables lack of the schema", MIGRATE),
    ("See which alerts were sent", LIST_ALERTS),
    ("Send a test of every alert", TEST_ALERTS),
    ("Ask whether a successful run is overdue", WATCH),
)


def build(context: Context, _: Path) -> Mapping[str, object]:
    """Return the catalogue of failures with what leads to each."""
    contacts = context.facts.group("contacts")
    return {
        "health": HEALTH[context.run.outcome],
        "failures": FAILURES,
        "quick": QUICK,
        "routine": ROUTINE,
        "codes": exit_codes(),
        "severities": SEVERITY_WORDS,
        "contacts": contacts,
        "stages_by_failure": {
            failure.id: [stage.title for stage in STAGES if failure.id in stage.failures] for failure in FAILURES
        },
    }


DELIVERABLE = Deliverable(
    "runbook",
    "What to do when the customer pipeline fails: find the symptom, follow the steps, check that it worked, know whom to call.",
    "operators on duty",
    build,
)
