"""Alerts: send a test, list what was sent, judge from outside whether a run is overdue."""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime

from etl.alerts import read_journal, send_samples, watch
from etl.config import LoadedSettings
from etl.console import say
from etl.errors import EXIT_SUCCESS, EXIT_WARNINGS
from etl.record import AlertRecord
from etl.signals import SIGNALS, Finding, signal


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `alert` takes."""
    parser.add_argument(
        "action", choices=("test", "list", "check"),
        help="test: send a sample of each alert; list: what was sent; check: is a successful run overdue?",
    )  # fmt: skip
    parser.add_argument("--signal", choices=[one.id for one in SIGNALS], help="with test: only this one")


def carry_out(settings: LoadedSettings, options: argparse.Namespace) -> int:
    """Do what `action` says. Exit code 10 when a mail could not be sent, or when `check` finds that a run is overdue."""
    if options.action == "list":
        return _list(settings)
    return _test(settings, options.signal) if options.action == "test" else _check(settings)


def _test(settings: LoadedSettings, only: str | None) -> int:
    alerts = send_samples(settings, datetime.now(UTC), [signal(only)] if only else SIGNALS)
    _show(alerts)
    return EXIT_WARNINGS if any(one.outcome == "failed" or one.refused for one in alerts) else EXIT_SUCCESS


def _list(settings: LoadedSettings) -> int:
    alerts = list(read_journal(settings.values.runs.path))
    _show(alerts)
    if not alerts:
        say("Nothing was sent yet.")
    return EXIT_SUCCESS


def _check(settings: LoadedSettings) -> int:
    alerts, judgement = watch(settings, datetime.now(UTC))
    found = isinstance(judgement, Finding)
    say(f"{judgement.severity}: {judgement.happened}" if isinstance(judgement, Finding) else "No successful run is overdue.")
    _show(alerts)
    return EXIT_WARNINGS if found or any(one.outcome == "failed" for one in alerts) else EXIT_SUCCESS


def _show(alerts: Sequence[AlertRecord]) -> None:
    for one in alerts:
        say(
            f"{one.at:%Y-%m-%d %H:%M} UTC  {one.outcome:<10}  {one.severity}  {one.kind:<8}  {one.cause}"
            f"  {one.environment}  {one.run_id or 'no run'}{_why(one)}"
        )


def _why(one: AlertRecord) -> str:
    why = f"  ({one.error_class}{f', code {one.code}' if one.code else ''})" if one.error_class else ""
    return why + (f"  ({one.refused} receivers refused)" if one.refused else "")
