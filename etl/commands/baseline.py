"""Set or show the baseline that runs are judged against."""

import argparse
from datetime import UTC, datetime

from etl.baseline import Baseline, read_baseline, set_baseline
from etl.config import LoadedSettings
from etl.console import say
from etl.errors import EXIT_SUCCESS


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `baseline` takes."""
    parser.add_argument("action", nargs="?", choices=("show", "set"), default="show", help="show (default) or set")


def carry_out(settings: LoadedSettings, options: argparse.Namespace) -> int:
    """Set the baseline of the environment from its newest comparable runs, or show it."""
    if options.action == "set":
        say(_told(set_baseline(settings, datetime.now(UTC))))
        return EXIT_SUCCESS
    baseline = read_baseline(settings.values.runs.path, settings.environment)
    say(_told(baseline) if baseline else "No baseline yet. Set it after five runs or more with: python -m etl baseline set")
    return EXIT_SUCCESS


def _told(baseline: Baseline) -> str:
    stages = ", ".join(f"{name} {seconds:.2f}" for name, seconds in baseline.stages.items())
    return (
        f"Baseline of {baseline.environment!r}, set {baseline.set_at:%Y-%m-%d %H:%M} UTC from {len(baseline.run_ids)} runs:\n"
        f"  {baseline.seconds:.2f} s (spread {baseline.spread:.2f}) for about {baseline.rows:,} rows, {baseline.peak_mb:.0f} MB\n"
        f"  {stages}\n"
        f"  {baseline.machine.system}, {baseline.machine.cpus} processors, {baseline.machine.memory_gb} GB, "
        f"Python {baseline.machine.python}"
    )
