"""The command line of the pipeline: `python -m etl COMMAND`; the commands are named in `etl.console`."""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from etl import config
from etl.console import COMMANDS, add_settings_options, load_settings, say
from etl.errors import EXIT_SUCCESS, ConfigError, PipelineError
from etl.pipeline import run
from etl.quarantine import Quarantine
from etl.record import RunRecord, history
from etl.rules import rule


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command and return its exit code."""
    options = build_parser().parse_args(arguments)
    try:
        return int(options.command(load_settings(options), options))
    except PipelineError as error:
        say(f"{error.meaning}: {error}\nRunbook: {error.runbook}", sys.stderr)
        return error.exit_code


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(prog="python -m etl", description="The customer pipeline.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=text)
        add_settings_options(sub)
        sub.set_defaults(command=_CARRY_OUT[name])
        if name == "quarantine":
            sub.add_argument("run_id", nargs="?", help="id of the run (default: the newest)")
        if name == "run":
            sub.add_argument("--quiet", action="store_true", help="no log lines on the terminal")
    return parser


def run_command(settings: config.LoadedSettings, options: argparse.Namespace) -> int:
    """Run once; the summary tells what happened."""
    record = run(settings, options.quiet)
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
    if record.quality and record.quality.overall is not None:
        lines.append(f"  quality  {record.quality.overall:g} (lowest dimension; mean {record.quality.mean:g})")
    lines.append("  seconds  " + ", ".join(f"{stage.name} {stage.seconds:.2f}" for stage in record.stages))
    lines += [f"  warning  {text}" for text in record.warnings]
    if record.fault:
        lines += [f"  error    {record.fault.message}", f"  runbook  {record.fault.runbook}"]
    return "\n".join(lines)


def _held(rows: int) -> str:
    return f" + {rows:,} held back when the run stopped" if rows else ""


def config_command(settings: config.LoadedSettings, _: argparse.Namespace) -> int:
    """Show the effective settings."""
    entries = config.as_text(settings)
    width = max(len(name) for name in entries)
    for name, entry in entries.items():
        say(f"{name:<{width}}  {entry['value']}  ({entry['origin']})")
    return EXIT_SUCCESS


def runs_command(settings: config.LoadedSettings, _: argparse.Namespace) -> int:
    """List the runs."""
    for record in history(settings.values.runs.path):
        say(
            f"{record.run_id}  {record.outcome:<11}  {record.rows.read:>9,} read  {record.rows.quarantined:>7,} quarantined"
            f"  {record.seconds:>7.1f} s"
        )
    return EXIT_SUCCESS


def quarantine_command(settings: config.LoadedSettings, options: argparse.Namespace) -> int:
    """Show which rules the rejected rows of a run broke, and on which lines; no values."""
    folder = _run_folder(settings.values.runs.path, options.run_id)
    lines: dict[str, list[int]] = {}
    for row in Quarantine(folder).rows():
        for rule_id in row.rules:
            lines.setdefault(rule_id, []).append(row.line)
    counts = Counter({rule_id: len(found) for rule_id, found in lines.items()})
    for rule_id, count in counts.most_common():
        shown = ", ".join(str(line) for line in lines[rule_id][:8]) + (" ..." if count > 8 else "")
        say(f"{count:>7,}  {rule_id:<24} lines {shown}\n         {rule(rule_id).remedy}")
    say(f"The rows as they came: {Quarantine(folder).path}" if counts else "No row is in quarantine.")
    return EXIT_SUCCESS


def _run_folder(runs: Path, run_id: str | None) -> Path:
    known = sorted(path.parent.name for path in runs.glob("*/run.json"))
    if not known or (run_id and run_id not in known):
        raise ConfigError(f"{runs}: {f'no run {run_id!r}' if run_id else 'no run yet'}. List the runs with: python -m etl runs")
    return runs / (run_id or known[-1])


_CARRY_OUT = {"run": run_command, "config": config_command, "runs": runs_command, "quarantine": quarantine_command}
