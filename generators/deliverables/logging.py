"""Logging: one run's story, where logs lie and how long, every event, and which command answers which question."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etl.audit import AUDIT_FILE
from etl.config import as_text, setting_names
from etl.events import EVENTS, LOGS, Event, example
from etl.failures import failure
from etl.log import log_parts, log_path
from etl.log_analysis import tell_story
from etl.retention import PERIODS, plan_pruning
from generators.context import Context
from generators.deliverable import Deliverable
from generators.log_facts import log_facts

BEGINNING, END = 40, 12
"""Lines of a long story that are shown from its beginning and from its end."""
STORY = "python -m etl logs --story"
ERRORS = "python -m etl logs --errors"
QUESTIONS = (
    ("What happened in the last run, line by line?", STORY),
    ("What went wrong lately, how often, and where is the help?", f"{ERRORS} --last 30"),
    ("Which stage takes the time?", "python -m etl logs --stages --last 10"),
    ("How much was loaded, batch by batch?", 'python -m etl logs --event "rows loaded" --last 1'),
    ("How long did each batch take, by stage?", 'python -m etl logs --event "batch timed" --last 1'),
    ("What did the checks before the run find?", 'python -m etl logs --event "health checked" --last 1'),
    ("Which runs failed, and why?", 'python -m etl logs --event "run failed"'),
    ("How many lines are there of each event?", "python -m etl logs"),
    ("What is due for deletion?", "python -m etl prune --dry-run"),
)
"""What operators ask, and the command that answers it."""


@dataclass(frozen=True)
class Watched:
    """What an event that is no good news means, what to do, and the runbook section that helps."""

    means: str
    do: str
    runbook: str


WATCH: Mapping[str, Watched] = {
    "run restarted": Watched("The input or a setting changed since the run that stopped", "Nothing, if that was meant", "run-killed"),
    "health checked": Watched("Something the run depends on is not as it should be", "Look at all of them: `python -m etl health`",
                              "finished-with-warnings"),
    "tried again": Watched("A call failed for a moment", "Nothing, as long as it is rare", "service-slow"),
    "rows refused by the warehouse": Watched("Rows passed the rules and the warehouse took them not", "Look into the quarantine",
                                             "finished-with-warnings"),
    "lock refused": Watched("Another run is on the same target", "Wait for it; then run again", "two-runs-at-once"),
    "service left alone": Watched("A service failed too often in a row", "See whether “service is back” follows", "service-down"),
    "cache set aside": Watched("The cached answers were damaged", "Nothing; see whether the disk is sound", "cache-damaged"),
    "cache not used": Watched("The cached answers can't be read or written", "Look at the rights and the room", "cache-damaged"),
    "alert failed": Watched("Nobody was told what was found", "Act on the finding first, then on the mail", "alert-not-sent"),
    "data pruned": Watched("Something that is due could not be deleted", "Look at its rights; prune again", "disk-full"),
    "library message": Watched("A library has something to tell", "Look its words up; report it when it comes again", "unexpected-error"),
    "library warning": Watched("A library will change or found something odd", "Report it with class and place", "unexpected-error"),
    "run failed": Watched("The run could not go on", "Follow the runbook section that the line names", "unexpected-error"),
}  # fmt: skip
"""Every event that can have a level above info."""

NEVER = (
    ("Names, addresses, numbers or any other value of a row", "No event has a field for one; what is not declared is left out",
     "tests/test_log.py::TestWhatNeverStandsInALog::test_no_row_that_breaks_a_rule_gets_into_log_record_or_terminal"),
    ("The text of an error that is not ours, or a traceback", "Class and place in our own code instead",
     "tests/test_log.py::TestWhatNeverStandsInALog::test_the_text_of_no_database_error_gets_in_by_any_way"),
    ("An e-mail address, a telephone number or a postcode in any text", "Masked before a line is made",
     "tests/test_masking.py::test_no_address_or_number_comes_through_whatever_stands_around_it"),
    ("A secret or a connection string", "Masked, the secrets in force by their value",
     "tests/test_log.py::TestWhatNeverStandsInALog::test_a_secret_in_force_is_masked_in_every_line"),
    ("A line that somebody forged with a line break in a value", "Control characters are spelt out",
     "tests/test_log.py::TestWhatNeverStandsInALog::test_a_line_break_in_a_value_forges_no_line"),
    ("What a library puts into its messages", "The words without the values, masked, from warning on",
     "tests/test_log.py::TestLibraries::test_what_they_log_comes_from_warning_on_masked_and_without_values"),
)  # fmt: skip
"""What never stands in a log, what sees to that, and the test for it."""


def build(context: Context, _: Path) -> Mapping[str, object]:
    """Return story, places, catalogue and questions from the logs that are there."""
    facts = log_facts(context.settings.values)
    log = facts.log_of(context.run.run_id)
    seen = facts.seen()
    return {
        "story": _shortened(tell_story(log)) if log else None,
        "story_command": f"{STORY} {context.run.run_id}",
        "file": log_path(facts.runs / context.run.run_id).as_posix(),
        "parts": len(log_parts(facts.runs / context.run.run_id)),
        "lines": len(log.lines) if log else 0,
        "setting_rows": list(_setting_rows(context)),
        "due": plan_pruning(context.settings.values, context.now).counts,
        "logs": {name: (words, [event for event in EVENTS if event.log == name]) for name, words in LOGS.items()},
        "levels": {event.name: " or ".join(event.levels) for event in EVENTS},
        "fields": {event.name: list(_fields(event)) for event in EVENTS},
        "examples": [json.dumps(example(event), ensure_ascii=False) for event in EVENTS],
        "seen": seen,
        "unseen": [event.name for event in EVENTS if not seen.get(event.name)],
        "questions": QUESTIONS,
        "audit_file": (facts.runs / AUDIT_FILE).as_posix(),
        "watch": {name: (one, failure(one.runbook)) for name, one in WATCH.items()},
        "errors_command": ERRORS,
        "never": NEVER,
    }  # fmt: skip


def _shortened(lines: list[str]) -> list[str]:
    if len(lines) <= BEGINNING + END:
        return lines
    left_out = len(lines) - BEGINNING - END
    return [*lines[:BEGINNING], f"{'':>11}  ({left_out:,} lines left out)", *lines[-END:]]


def _fields(event: Event) -> Iterator[tuple[str, str, bool]]:
    """Yield name, what it tells with its kind, and whether it may be left out."""
    for field in event.fields:
        yield field.name, f"{field.tells}; {field.kind.words}", field.optional


def _setting_rows(context: Context) -> Iterator[dict[str, Any]]:
    effective = as_text(context.settings)
    for name in (*(name for name in setting_names() if name.startswith("logging.")), PERIODS["quarantines"], PERIODS["runs"]):
        extra = setting_names()[name].json_schema_extra or {}
        yield {"name": name, "unit": extra.get("unit", ""), "description": setting_names()[name].description, **effective[name]}


DELIVERABLE = Deliverable(
    "logging",
    "What the pipeline writes down while it runs, where that lies and for how long, how to find things in it, and what never stands there.",
    "developers and operators",
    build,
)
