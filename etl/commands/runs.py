"""List the runs."""

import argparse

from etl.config import LoadedSettings
from etl.console import say
from etl.errors import EXIT_SUCCESS
from etl.record import history, unrecorded


def add_options(_: argparse.ArgumentParser) -> None:
    """`runs` takes nothing more."""


def carry_out(settings: LoadedSettings, _: argparse.Namespace) -> int:
    """List the runs, oldest first."""
    for record in history(settings.values.runs.path):
        say(
            f"{record.run_id}  {record.outcome:<11}  {record.rows.read:>9,} read  {record.rows.quarantined:>7,} quarantined"
            f"  {record.seconds:>7.1f} s"
        )
    for folder in unrecorded(settings.values.runs.path):
        say(f"{folder.name}  no record: it is under way, or it was killed; the next run of the same input goes on behind it")
    return EXIT_SUCCESS
