"""The console: what command lines have in common. Importing it pulls in no part of the pipeline."""

import argparse
import sys
from pathlib import Path
from typing import TextIO

from etl import config
from etl.errors import ConfigError

COMMANDS = {
    "run": "run the pipeline once and write its record",
    "config": "show every setting with its value and origin, or check them",
    "runs": "list the runs, oldest first",
    "logs": "answer from the logs: what went wrong, what was slow, one run's story",
    "prune": "delete what is past its time: logs, rejected rows, old runs",
    "baseline": "set the baseline that runs are judged against, or show it",
    "health": "look at everything a run depends on",
    "migrate": "show what the tables lack of the schema, or add it",
    "schema": "print the scripts for a server's owner: tables, roles and rights",
    "alert": "send a test of the alerts, list what was sent, or check whether a run is overdue",
    "quarantine": "count a run's rejected rows by rule and name their lines",
}
"""The commands of `python -m etl`, with what each does."""


def add_settings_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose settings; `load_settings` reads them."""
    parser.add_argument("--environment", default="default", help="settings of config/ENVIRONMENT.toml (default: default)")
    parser.add_argument("--input", metavar="FILE", help="the customer file; short for --set input.path=FILE")
    parser.add_argument("--set", metavar="NAME=VALUE", action="append", default=[], help="any setting by its dotted name")


def say(text: str, to: TextIO | None = None) -> None:
    """Write a line for a person, to standard output unless told otherwise."""
    (to or sys.stdout).write(text + "\n")


def run_folder(runs: Path, run_id: str | None = None) -> Path:
    """Return the folder of a recorded run, the newest unless `run_id` names one; raises ConfigError when there is none."""
    known = sorted(path.parent.name for path in runs.glob("*/run.json"))
    if not known or (run_id and run_id not in known):
        raise ConfigError(f"{runs}: {f'no run {run_id!r}' if run_id else 'no run yet'}. List the runs with: python -m etl runs")
    return runs / (run_id or known[-1])


def load_settings(options: argparse.Namespace) -> config.LoadedSettings:
    """Return the settings that the options choose; raises ConfigError."""
    overrides = {}
    for assignment in options.set:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--set {assignment}: no value. Write it as NAME=VALUE.")
        overrides[name.strip()] = value
    if options.input:
        overrides["input.path"] = options.input
    return config.load(options.environment, overrides)
