"""Look at everything a run depends on."""

import argparse
from datetime import UTC, datetime

from etl.config import LoadedSettings
from etl.console import say
from etl.health import check_health, exit_code
from etl.record import HealthRecord

_SIGNS = {"ok": "ok", "warning": "WARN", "failed": "FAIL", "off": "off"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `health` takes."""
    parser.add_argument("--json", action="store_true", help="for monitors: one JSON object")


def carry_out(settings: LoadedSettings, options: argparse.Namespace) -> int:
    """Show the state of each component with its time and advice; the exit code is that of the worst."""
    health = check_health(settings, datetime.now(UTC))
    say(health.model_dump_json(indent=2) if options.json else _told(health))
    return exit_code(health.components)


def _told(health: HealthRecord) -> str:
    lines = []
    for one in health.components:
        lines.append(f"{_SIGNS[one.state]:<4}  {one.name:<10}  {1000 * one.seconds:>7.1f} ms  {one.told}")
        if one.advice:
            lines.append(f"{'':<29}{one.advice}" + (f" Runbook: {one.runbook}" if one.runbook else ""))
    return "\n".join(lines)
