"""Run the pipeline once."""

import argparse

from etl.config import LoadedSettings
from etl.console import say
from etl.pipeline import run
from etl.record import RunRecord


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `run` takes."""
    parser.add_argument("--quiet", action="store_true", help="no log lines on the terminal")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--resume", action="store_const", const="require", dest="resume", default="auto",
        help="go on with the unfinished run of this input, which is done anyway; an error when there is none",
    )  # fmt: skip
    which.add_argument("--restart", action="store_const", const="never", dest="resume", help="start from the first row")


def carry_out(settings: LoadedSettings, options: argparse.Namespace) -> int:
    """Run once; the summary tells what happened."""
    record = run(settings, options.quiet, options.resume)
    say(summary(record))
    return record.exit_code


def summary(record: RunRecord) -> str:
    """Return what a person wants to know when a run has ended."""
    rows = record.rows
    lines = [
        f"Run {record.run_id}: {record.outcome} in {record.seconds:.1f} s",
        f"  rows     {rows.read:,} read = {rows.loaded:,} loaded + {rows.quarantined:,} quarantined{_held(rows.held_back)}",
        f"  loaded   {rows.inserted:,} inserted, {rows.updated:,} updated, {rows.unchanged:,} unchanged",
    ]
    if record.resumed:
        lines.append(f"  resumed  run {record.resumed.run_id} after {record.resumed.rows:,} rows; they are counted here")
    if record.quality and record.quality.overall is not None:
        lines.append(f"  quality  {record.quality.overall:g} (lowest dimension; mean {record.quality.mean:g})")
    lines.append("  seconds  " + ", ".join(f"{stage.name} {stage.seconds:.2f}" for stage in record.stages))
    lines += [f"  warning  {text}" for text in record.warnings]
    if record.fault:
        lines += [f"  error    {record.fault.message}", f"  runbook  {record.fault.runbook}"]
    return "\n".join(lines)


def _held(rows: int) -> str:
    return f" + {rows:,} held back when the run stopped" if rows else ""
