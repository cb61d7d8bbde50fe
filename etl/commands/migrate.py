"""Bring the tables of the warehouse to the schema."""

import argparse

from etl.config import LoadedSettings
from etl.console import say
from etl.errors import EXIT_SUCCESS
from etl.warehouse import open_warehouse


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `migrate` takes."""
    parser.add_argument("--apply", action="store_true", help="carry the plan out (default: show it only)")


def carry_out(settings: LoadedSettings, options: argparse.Namespace) -> int:
    """Show the statements that are missing, and carry them out when told to. Columns are added, never dropped."""
    with open_warehouse(settings.values.warehouse) as warehouse:
        plan = warehouse.migrate()
        for statement in plan:
            say(statement)
        if options.apply:
            with warehouse.transaction():
                for statement in plan:
                    warehouse.execute(statement)
    say(
        f"{len(plan)} statement(s) {'carried out' if options.apply else 'to carry out with --apply'}."
        if plan
        else "Nothing to do."
    )
    return EXIT_SUCCESS
