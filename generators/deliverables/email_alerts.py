"""E-mail alerts: how they are set up, what is sent when, every mail as it arrives, and what to do when none does."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from etl.config import as_text, is_private, is_secret, setting_names, unit
from etl.failures import LIST_ALERTS, SEVERITY_WORDS, TEST_ALERTS, WATCH, failure
from etl.mail import FAULTS, Notice, render, sample, subject
from etl.record import AlertRecord
from etl.settings import PREFIX, Settings
from etl.signals import NO_SUCCESS, SIGNALS, UNDELIVERED, Signal
from generators.context import Context
from generators.deliverable import Deliverable

SECTIONS = ("mail", "alerts")
NEWEST = 15
WATCHED = {NO_SUCCESS, UNDELIVERED}
COMMANDS = (
    ("Send a sample of every alert, marked as a test", TEST_ALERTS),
    ("Send one of them", "python -m etl alert test --signal run-failed"),
    ("See what was sent, held back or failed", LIST_ALERTS),
    ("Ask whether a successful run is overdue; for a scheduler or a watcher on another machine", WATCH),
    ("Check the settings of production", "python -m etl config check --environment production"),
)


@dataclass(frozen=True)
class Scenario:
    """What happens, what is sent, and what the record of the run and the journal of alerts hold afterwards."""

    happens: str
    sent: str
    recorded: str


SCENARIOS = (
    Scenario("A run fails", "One mail", "`sent`"),
    Scenario("It fails again for the same reason within the quiet time", "Nothing", "`suppressed`"),
    Scenario("It fails for another reason", "One mail: another class of error is another cause", "`sent`"),
    Scenario("The same cause gets worse (P3 becomes P2)", "One mail, at once", "`sent`, with the worse severity"),
    Scenario("The next run is good", "One mail that says resolved", "`sent`, kind `resolved`"),
    Scenario("The cause comes back after it was resolved", "One mail: that is news", "`sent`"),
    Scenario("A run could not measure what an open alert is about", "Nothing: not measured is not resolved", "nothing; the alert stays open"),
    Scenario(
        "The mail server is down, hangs or refuses", "Nothing; the run ends as it would have, with one warning more",
        "`failed` with the class of the error; a plain success becomes one with warnings",
    ),
    Scenario("Mail works again", "What is still the case, and one mail that alerts were not delivered", "`sent`"),
    Scenario("The server refuses one of several receivers", "The mail, to the others", "`sent` with the number refused, and a warning"),
    Scenario("The disk is full", "The mail: it does not need the disk", "what can still be written"),
    Scenario("No run is started at all", "One mail, from the watcher", "`sent`, without a run"),
    Scenario("The settings name no mail server", "Nothing", "`off`; told as soon as there is a server"),
)  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """A mail as it arrives: the heading over it, its subject, its text and its HTML as the value of an attribute.

    `kind` is that of its notice: a mail that says resolved is short, and so is its frame.
    """

    heading: str
    subject: str
    text: str
    html: Markup
    kind: str


def build(context: Context, _: Path) -> Mapping[str, object]:
    """Return settings, signals, the mails as rendered and what the last runs recorded."""
    values = context.settings.values
    return {
        "on": bool(values.mail.host),
        "setting_rows": list(_setting_rows(context)),
        "variables": [_variable(f"mail.{name}") for name in ("sender", "receivers", "user", "password")],
        "signals": [_signal_row(one, context) for one in SIGNALS],
        "severities": SEVERITY_WORDS,
        "mails": list(_mails(values, context)),
        "scenarios": SCENARIOS,
        "faults": FAULTS,
        "commands": COMMANDS,
        "recorded": _recorded(context),
        "paged": {one.run_id for one in context.runs[-values.runs.published :]},
        "last": context.run.alerts,
        "test": TEST_ALERTS,
        "watch": WATCH,
    }  # fmt: skip


def _setting_rows(context: Context) -> Iterator[dict[str, Any]]:
    """Yield each setting of mail and alerts; what is secret or names a person is only said to be set or not."""
    effective = as_text(context.settings)
    for name, field in setting_names().items():
        if name.partition(".")[0] in SECTIONS:
            mark = "secret" if is_secret(name) else "private" if is_private(name) else ""
            yield {"name": name, "description": field.description, "mark": mark, "unit": _short_unit(name), **effective[name]}


def _short_unit(name: str) -> str:
    return "" if name == "mail.port" else unit(name).partition(",")[0]


def _variable(name: str) -> str:
    return PREFIX + name.replace(".", "__").upper()


def _signal_row(one: Signal, context: Context) -> dict[str, Any]:
    value = as_text(context.settings)[one.setting]["value"]
    return {
        "signal": one,
        "switch": value if value in ("yes", "no") else None,
        "unit": _short_unit(one.setting),
        "failure": failure(one.runbook),
        "watched": one.id in WATCHED,
    }


def _mails(settings: Settings, context: Context) -> Iterator[Shown]:
    """Yield one mail of each signal with made-up figures, one that says resolved, and one that is a test."""
    at, environment = context.run.ended_at, context.settings.environment
    notices = [sample(one, settings, environment, at, "alert") for one in SIGNALS]
    for notice, one in zip(notices, SIGNALS, strict=True):
        yield _shown(one.title.capitalize(), notice, settings)
    yield _shown("Resolved", _resolved(notices[0], at), settings)
    yield _shown("A test", replace(notices[0], kind="test"), settings)


def _resolved(notice: Notice, at: datetime) -> Notice:
    return replace(notice, kind="resolved", finding=None, told_at=at)


def _shown(heading: str, notice: Notice, settings: Settings) -> Shown:
    html = escape(render(notice, settings, "html")).replace("\n", Markup("&#10;"))  # an attribute keeps to one line in Markdown
    return Shown(heading, subject(notice), render(notice, settings, "txt").strip(), html, notice.kind)


def _recorded(context: Context) -> list[AlertRecord]:
    """Return what the newest runs told or could not tell, newest first."""
    return [alert for run in reversed(context.runs) for alert in run.alerts][:NEWEST]


DELIVERABLE = Deliverable(
    "email-alerts",
    "Who is told by e-mail when a run goes wrong: how to set it up, what each mail looks like, and what to do when none arrives.",
    "operations",
    build,
)
