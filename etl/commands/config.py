"""Show or check the settings."""

import argparse

from etl.config import LoadedSettings, as_text, missing_files
from etl.console import say
from etl.errors import EXIT_SUCCESS, ConfigError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `config` takes."""
    parser.add_argument("action", nargs="?", choices=("show", "check"), default="show", help="show (default) or check")


def carry_out(settings: LoadedSettings, options: argparse.Namespace) -> int:
    """Show every effective setting with its origin, or say that all of them are in order; raises ConfigError."""
    if options.action == "check":
        if missing := list(missing_files(settings)):
            listed = "\n".join(f"  {one}" for one in missing)
            raise ConfigError(f"Files that settings name are not there:\n{listed}\nPut them in place or correct the settings.")
        say(f"The settings of environment {settings.environment!r} are in order.")
        return EXIT_SUCCESS
    entries = as_text(settings, private=True)
    width = max(len(name) for name in entries)
    for name, entry in entries.items():
        say(f"{name:<{width}}  {entry['value']}  ({entry['origin']})")
    return EXIT_SUCCESS
