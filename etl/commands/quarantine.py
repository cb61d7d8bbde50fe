"""Look into a run's quarantine."""

import argparse
from collections import Counter

from etl.config import LoadedSettings
from etl.console import run_folder, say
from etl.errors import EXIT_SUCCESS
from etl.quarantine import Quarantine
from etl.rules import rule


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `quarantine` takes."""
    parser.add_argument("run_id", nargs="?", help="id of the run (default: the newest)")


def carry_out(settings: LoadedSettings, options: argparse.Namespace) -> int:
    """Show which rules the rejected rows of a run broke, and on which lines; no values."""
    folder = run_folder(settings.values.runs.path, options.run_id)
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
