"""Bring the tables of the warehouse to the schema."""

import argparse

from etl.config import LoadedSettings
from etl.console import say
from etl.errors import EXIT_SUCCESS, SchemaDriftError
from etl.warehouse import open_warehouse


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `migrate` takes."""
    parser.add_argument("--apply", action="store_true", help="carry the plan out (default: show it only)")


def carry_out(settings: LoadedSettings, options: argparse.Namespace) -> int:
    """Show what differs with the statements that mend it, and carry them out when told to. No table, column or value is dropped.

    What could lose data is refused and listed with why and what to do; it ends with the exit code of tables not as declared.
    """
    with open_warehouse(settings.values.warehouse) as warehouse:
        found = warehouse.differences()
        plan = [statement for one in found for statement in one.statements]
        for one in found:
            say(f"-- {one.words}" + (f"\n-- refused: {one.refused}" if one.refused else ""))
            for statement in one.statements:
                say(f"{statement};")
        if options.apply:
            with warehouse.transaction():
                for statement in plan:
                    warehouse.execute(statement)
    refused = sum(bool(one.refused) for one in found)
    say(_conclusion(len(plan), refused, options.apply))
    return SchemaDriftError.exit_code if refused else EXIT_SUCCESS


def _conclusion(planned: int, refused: int, applied: bool) -> str:
    parts = [f"{planned} statement(s) {'carried out' if applied else 'to carry out with --apply'}."] if planned else []
    parts += [f"{refused} difference(s) refused; they need a person."] if refused else []
    return " ".join(parts) or "Nothing to do."
