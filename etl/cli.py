"""The command line of the pipeline: `python -m etl COMMAND`. Each command is a module in `etl.commands`."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from etl.console import COMMANDS, add_settings_options, load_settings, say
from etl.errors import EXIT_SUCCESS, PipelineError


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command and return its exit code."""
    options = build_parser().parse_args(arguments)
    try:
        return int(options.carry_out(load_settings(options), options))
    except BrokenPipeError:  # whoever reads the output has read enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_SUCCESS
    except PipelineError as error:
        say(f"{error.meaning}: {error}\nRunbook: {error.runbook}", sys.stderr)
        return error.exit_code


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(prog="python -m etl", description="The customer pipeline.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        command = importlib.import_module(f"etl.commands.{name}")
        sub = commands.add_parser(name, help=text, description=text)
        add_settings_options(sub)
        command.add_options(sub)
        sub.set_defaults(carry_out=command.carry_out)
    return parser
