"""Delete what is past its time."""

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime

from etl.config import LoadedSettings, as_text
from etl.console import say
from etl.errors import EXIT_SUCCESS, EXIT_WARNINGS
from etl.log import log_command, logger
from etl.retention import PERIODS, Plan, plan_pruning, prune

WORDS = {
    "logs": "log file(s)", "quarantines": "file(s) of rejected rows", "runs": "run(s) with all they left",
    "audit_lines": "line(s) of the audit log",
}  # fmt: skip


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `prune` takes."""
    parser.add_argument("--dry-run", action="store_true", help="only say what is due")


def carry_out(settings: LoadedSettings, options: argparse.Namespace) -> int:
    """Delete what is due, say what and why, and write it to the audit log. Exit code 10 when something can't be deleted."""
    plan = plan_pruning(settings.values, datetime.now(UTC))
    if options.dry_run:
        _tell("due", plan.counts, settings, plan)
        return EXIT_SUCCESS
    done = prune(plan)
    with log_command(settings.values):
        tell = logger().warning if done.failed else logger().info
        tell("data pruned", **done.counts, failed=len(done.failed))
    _tell("deleted", done.counts, settings, plan)
    for path, error in done.failed:
        say(f"not deleted: {path} ({error}). Look at the rights and at who has it open, then prune again.")
    return EXIT_WARNINGS if done.failed else EXIT_SUCCESS


def _tell(what: str, counts: Mapping[str, int], settings: LoadedSettings, plan: Plan) -> None:
    values = as_text(settings)
    for name, number in counts.items():
        period = PERIODS[name]
        say(f"{number:>7,} {WORDS[name]} {what}: older than {values[period]['value']} days ({period})")
    for run_id, reason in plan.kept.items():
        say(f"   kept {run_id}: {reason}")
