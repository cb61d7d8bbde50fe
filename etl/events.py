"""The events: every line that a log may hold, declared once: what it is called, when it comes, what it tells.

A field is of a kind, and no kind takes the value of a row: counts, seconds, ids, names of stages and classes, words of our own.
Code tells an event by its name, `logger().info("batch loaded", rows=100)`; which of the three logs it belongs to stands here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from etl.stages import STAGES

Log = Literal["operations", "audit", "performance"]
Level = Literal["debug", "info", "warning", "error"]

LOGS: dict[Log, str] = {
    "operations": "what the pipeline does, and what hinders it",
    "audit": "what was done to the data; logged whatever the level, and kept for longer",
    "performance": "how long it took",
}


@dataclass(frozen=True)
class Kind:
    """What a field may hold: in words, as JSON Schema, with an example. Only the values of a `masked` kind are free words."""

    name: str
    words: str
    schema: Mapping[str, Any]
    example: Any
    masked: bool = False

    def accepts(self, value: object) -> bool:
        """Tell whether a value is of this kind."""
        return _accepts(self.schema, value)


def _accepts(schema: Mapping[str, Any], value: object) -> bool:
    if isinstance(value, bool):
        return False
    if schema["type"] == "object":
        inner = schema["additionalProperties"]
        names = schema["propertyNames"]["enum"]
        return isinstance(value, dict) and all(key in names and _accepts(inner, one) for key, one in value.items())
    if schema["type"] == "string":
        known = schema.get("enum")
        return isinstance(value, str) and (value in known if known else bool(re.search(schema.get("pattern", ""), value)))
    number = int if schema["type"] == "integer" else (int, float)
    return isinstance(value, number) and value >= schema["minimum"]


RUN_ID = r"^\d{8}T\d{6}Z-[0-9a-f]{6}$"
_NAMES = [stage.name for stage in STAGES]
_SECONDS = {"type": "number", "minimum": 0}

COUNT = Kind("count", "whole number, 0 or more", {"type": "integer", "minimum": 0}, 960)
SECONDS = Kind("seconds", "seconds", _SECONDS, 1.25)
TIMES = Kind(
    "times", "seconds by name of stage",
    {"type": "object", "propertyNames": {"enum": _NAMES}, "additionalProperties": _SECONDS}, {"validate": 0.5, "load": 0.75},
)  # fmt: skip
STAGE = Kind("stage", "name of a stage", {"type": "string", "enum": _NAMES}, "load")
RUN = Kind("run", "id of a run", {"type": "string", "pattern": RUN_ID}, "20261120T120000Z-00000a")
CLASS = Kind("class", "class of an error", {"type": "string", "pattern": r"^[A-Za-z_][\w.]*$"}, "InputError")
PLACE = Kind("place", "file and line of code", {"type": "string", "pattern": r"^(start|[\w./-]+:\d+)$"}, "etl/extract.py:120")
WORD = Kind("word", "one word of our own", {"type": "string", "pattern": r"^\S{1,80}$"}, "batch", masked=True)
TEXT = Kind("text", "words of our own, masked", {"type": "string"}, "the file is empty", masked=True)


@dataclass(frozen=True)
class Field:
    """A field of an event: its name, its kind, what it tells, and whether it may be left out."""

    name: str
    kind: Kind
    tells: str
    optional: bool = False


@dataclass(frozen=True)
class Event:
    """An event: its name, the log it belongs to, its usual level and a worse one it may have, when it comes, its fields."""

    name: str
    log: Log
    level: Level
    when: str
    fields: tuple[Field, ...] = ()
    worse: Level | None = None

    @property
    def levels(self) -> tuple[Level, ...]:
        """Every level that the event may have."""
        return (self.level, self.worse) if self.worse else (self.level,)


def _rows(name: str, tells: str) -> Field:
    return Field(name, COUNT, tells)


_ERROR = Field("error", CLASS, "class of the error")
_MAY_ERROR = Field("error", CLASS, "class of the error", optional=True)
_TOOK = Field("seconds", SECONDS, "how long it took")
_SERVICE = Field("service", WORD, "name of the service")
_UPSERTS = (
    _rows("inserted", "rows that are new"),
    _rows("updated", "rows that differ"),
    _rows("unchanged", "rows that are as they were"),
)
_BATCH = Field("batch", COUNT, "number of the batch")

KINDS = (COUNT, SECONDS, TIMES, STAGE, RUN, CLASS, PLACE, WORD, TEXT)
"""Every kind that a field can be of."""

FAULT = (_MAY_ERROR, Field("place", PLACE, "last place in our own code", optional=True))
"""What any event may tell of an error: never its text, which can quote a row, and never a foreign traceback."""

EVENTS: tuple[Event, ...] = (
    Event("run started", "operations", "info", "first of all", (
        Field("environment", WORD, "environment of the settings"), Field("version", WORD, "version of the pipeline"))),
    Event("run resumed", "operations", "info", "a run goes on where an earlier one stopped", (
        Field("from_run", RUN, "the earlier run"), _rows("rows", "rows that it had read"))),
    Event("run restarted", "operations", "warning", "an earlier run stopped, and this one can't go on with it", (
        Field("from_run", RUN, "the earlier run"),)),
    Event("health checked", "operations", "info", "a thing that the run depends on was looked at", (
        Field("component", WORD, "what was looked at"), Field("state", WORD, "what was found"), _TOOK), "warning"),
    Event("stage started", "operations", "info", "a stage takes up its first batch"),
    Event("stage ended", "operations", "info", "a stage is through with its last batch", (
        _rows("rows_in", "rows that came in"), _rows("rows_out", "rows that went on"),
        _rows("rows_rejected", "rows that went to quarantine"), _TOOK)),
    Event("batch loaded", "operations", "info", "a batch is committed", (
        _BATCH, _rows("rows", "rows of the batch"), _rows("rejected", "rows that went to quarantine"), *_UPSERTS)),
    Event("batch timed", "performance", "info", "a batch is through all stages", (
        _BATCH, _rows("rows", "rows of the batch"), Field("seconds", TIMES, "how long each stage took"))),
    Event("rows loaded", "audit", "info", "a batch has changed the warehouse", (
        *_UPSERTS, _rows("rejected", "rows that went to quarantine"), _BATCH)),
    Event("tried again", "operations", "warning", "a call failed and will be repeated after a pause", (
        _ERROR, Field("seconds", SECONDS, "pause before the next attempt"))),
    Event("rows refused by the warehouse", "operations", "warning", "the warehouse took a batch but for some rows", (
        _rows("rows", "rows that were refused"),)),
    Event("lock refused", "operations", "error", "another run holds the target", (
        Field("seconds", SECONDS, "how long this one waited", optional=True),)),
    Event("service left alone", "operations", "warning", "a service failed too often in a row", (
        _SERVICE, Field("seconds", SECONDS, "pause before one trial call"))),
    Event("service is back", "operations", "info", "the trial call succeeded", (_SERVICE,)),
    Event("cache set aside", "operations", "warning", "the cached answers are damaged; a new file is begun", (
        Field("file", TEXT, "name of the file"), _ERROR)),
    Event("cache not used", "operations", "warning", "the cached answers can't be read or written", (
        Field("file", TEXT, "name of the file"), _ERROR)),
    Event("alert sent", "operations", "info", "somebody was told by e-mail", (
        Field("signal", WORD, "what it was about"), Field("severity", WORD, "how bad it is", optional=True))),
    Event("alert failed", "operations", "error", "nobody could be told", (
        Field("signal", WORD, "what it was about"), _MAY_ERROR, Field("severity", WORD, "how bad it is", optional=True))),
    Event("quarantine exported", "audit", "info", "rejected rows were written to a file for correction", (
        _rows("rows", "rows that were written"),)),
    Event("quarantine resubmitted", "audit", "info", "corrected rows were loaded", (_rows("rows", "rows that were loaded"),)),
    Event("data pruned", "audit", "info", "what was due was deleted", (
        _rows("logs", "log files"), _rows("quarantines", "files of rejected rows"), _rows("runs", "folders of runs"),
        _rows("audit_lines", "lines of the audit log"), _rows("failed", "things that could not be deleted")), "warning"),
    Event("library message", "operations", "warning", "a library that we use has something to tell", (
        Field("library", WORD, "name of its logger"), Field("text", TEXT, "its words, without the values put into them"), *FAULT),
        "error"),
    Event("library warning", "operations", "warning", "a library that we use gives a Python warning", (
        Field("category", CLASS, "class of the warning"), Field("place", PLACE, "where it came from"))),
    Event("run failed", "operations", "error", "last of all, when the run could not go on", (
        _ERROR, Field("message", TEXT, "what happened, where, what to do next"), Field("runbook", WORD, "section that helps"))),
    Event("run ended", "operations", "info", "last of all, when the run went through", (
        Field("outcome", WORD, "success or warnings"),)),
)  # fmt: skip

BY_NAME: Mapping[str, Event] = {event.name: event for event in EVENTS}
FLAG = "undeclared"
"""The field that names what the catalogue does not have, on a line that was logged all the same."""


def faults(event: str, level: str, values: Mapping[str, object]) -> tuple[str, ...]:
    """Return what the catalogue has against an event: its name, its level, a field it lacks, has too much or of another kind."""
    known = BY_NAME.get(event)
    if known is None:
        return ("event",)
    declared = fields_of(known)
    missing = [name for name, field in declared.items() if not field.optional and name not in values]
    wrong = [name for name, value in values.items() if name not in declared or not declared[name].kind.accepts(value)]
    return (*(["level"] if level not in known.levels else []), *missing, *wrong)


def fields_of(event: Event) -> dict[str, Field]:
    """Return the fields of an event by name, with those that any event may have."""
    return {field.name: field for field in (Field("stage", STAGE, "the stage", optional=True), *FAULT, *event.fields)}


def example(event: Event, at: str = "2026-11-20T12:00:05.250000Z") -> dict[str, Any]:
    """Return a line of this event with made-up values; `at` is its time in UTC."""
    line = {"timestamp": at, "level": event.level, "logger": event.log, "event": event.name, "run_id": RUN.example}
    line["stage"] = STAGE.example if event.name.startswith(("stage", "batch", "rows")) else None
    return line | {field.name: field.kind.example for field in event.fields if not field.optional}


def json_schema() -> dict[str, Any]:
    """Return the published JSON Schema (draft 2020-12) of a line of a log."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:handover:log-line:1",
        "title": "LogLine",
        "description": "A line of a run's log or of the audit log. Times are UTC.",
        "oneOf": [*(_event_schema(event) for event in EVENTS), _flagged_schema()],
    }


def _event_schema(event: Event) -> dict[str, Any]:
    declared = fields_of(event)
    needed = [name for name, field in declared.items() if not field.optional]
    own = {name: {**field.kind.schema, "description": field.tells} for name, field in declared.items() if name != "stage"}
    fixed = {"level": {"enum": list(event.levels)}, "logger": {"const": event.log}, "event": {"const": event.name}}
    return {
        "title": event.name, "description": event.when, "type": "object", "properties": _COMMON | fixed | own,
        "required": [*_COMMON, *needed], "additionalProperties": False,
    }  # fmt: skip


def _flagged_schema() -> dict[str, Any]:
    """Return the schema of a line that was not as declared: its own name and what is left of its fields."""
    flag = {"type": "array", "items": {"type": "string"}, "minItems": 1, "description": "What the catalogue does not have"}
    return {
        "title": "not as declared", "description": "an event that the catalogue does not have in this form; report it",
        "type": "object", "properties": _COMMON | {FLAG: flag}, "required": [*_COMMON, FLAG],
    }  # fmt: skip


_COMMON: dict[str, Any] = {
    "timestamp": {"type": "string", "format": "date-time", "pattern": "Z$", "description": "UTC, to the microsecond"},
    "level": {"enum": ["debug", "info", "warning", "error", "critical"]},
    "logger": {"enum": list(LOGS)},
    "event": {"type": "string"},
    "run_id": {"anyOf": [dict(RUN.schema), {"type": "null"}], "description": "null outside of a run"},
    "stage": {"anyOf": [dict(STAGE.schema), {"type": "null"}], "description": "null between the stages"},
}
