"""Look into the quarantine, take rows out for correction, submit them again."""

import argparse
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from etl.commands.run import summary
from etl.config import LoadedSettings, with_input
from etl.console import run_folder, say
from etl.errors import EXIT_SUCCESS, ConfigError
from etl.log import log_command, logger
from etl.pipeline import run
from etl.record import read_record
from etl.resubmission import backlog, export_rows, fields_of, left_rows, mark_resolved, origins_of
from etl.rules import rule

ACTIONS = ("rules", "list", "show", "export", "resubmit")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `quarantine` takes."""
    parser.add_argument("action", nargs="?", choices=ACTIONS, default="rules", help=(
        "rules: count by rule (default); list: every run with rows left; show: the rows themselves; "
        "export: write them for correction; resubmit: run a corrected file"))  # fmt: skip
    parser.add_argument("file", nargs="?", type=Path, help="resubmit: the corrected file")
    parser.add_argument("--run", metavar="ID", help="id of the run (default: the newest)")
    parser.add_argument("--line", type=int, help="show: this line of the input only")
    parser.add_argument("--out", type=Path, default=Path("corrections.csv"), help="export: the file to write")


def carry_out(settings: LoadedSettings, options: argparse.Namespace) -> int:
    """Do what the action says."""
    return {"rules": _rules, "list": _list, "show": _show, "export": _export, "resubmit": _resubmit}[options.action](
        settings, options
    )


def _rules(settings: LoadedSettings, options: argparse.Namespace) -> int:
    """Show which rules the rows broke, on which lines, and what to do; no values."""
    lines: dict[str, list[int]] = {}
    for row in left_rows(run_folder(settings.values.runs.path, options.run)):
        for rule_id in row.rules:
            lines.setdefault(rule_id, []).append(row.line)
    counts = Counter({rule_id: len(found) for rule_id, found in lines.items()})
    for rule_id, count in counts.most_common():
        shown = ", ".join(str(line) for line in lines[rule_id][:8]) + (" ..." if count > 8 else "")
        say(f"{count:>7,}  {rule_id:<24} lines {shown}\n         {rule(rule_id).remedy}")
    say("Take the rows out for correction: python -m etl quarantine export" if counts else "No row is left in quarantine.")
    return EXIT_SUCCESS


def _list(settings: LoadedSettings, _: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    for one in backlog(settings.values.runs.path):
        days = (now - one.since).total_seconds() / 86400
        say(f"{one.run_id}  {one.rejected:>7,} rejected  {one.left:>7,} left  {days:>6.1f} days")
    return EXIT_SUCCESS


def _show(settings: LoadedSettings, options: argparse.Namespace) -> int:
    """Show the rows with what they break: personal data, on the terminal of whoever may read the file anyway."""
    folder = run_folder(settings.values.runs.path, options.run)
    record = read_record(folder / "run.json")
    for row in left_rows(folder):
        if options.line in (None, row.line):
            say(f"line {row.line}: {', '.join(row.rules)}")
            say("\n".join(f"    {name:<12} {value!r}" for name, value in fields_of(row, record).items()))
    return EXIT_SUCCESS


def _export(settings: LoadedSettings, options: argparse.Namespace) -> int:
    count = export_rows(run_folder(settings.values.runs.path, options.run), options.out)
    with log_command(settings.values):
        logger().info("quarantine exported", rows=count)
    say(f"{count:,} row(s) written to {options.out}. Correct them, leave the first four columns as they are, and run:")
    say(f"python -m etl quarantine resubmit {options.out}\nThen delete the file: it holds personal data.")
    return EXIT_SUCCESS


def _resubmit(settings: LoadedSettings, options: argparse.Namespace) -> int:
    if options.file is None:
        raise ConfigError("quarantine resubmit: no file. Name the corrected one: python -m etl quarantine resubmit FILE")
    origins = origins_of(options.file)
    record = run(with_input(settings, options.file), quiet=True, resubmission=True)
    say(summary(record))
    if record.outcome in ("success", "warnings"):
        count = mark_resolved(settings.values.runs.path, origins, record)
        with log_command(settings.values):
            logger().info("quarantine resubmitted", rows=count)
        say(f"  resolved {count:,} of {len(origins):,} row(s); the others are in the quarantine of this run")
    return record.exit_code
