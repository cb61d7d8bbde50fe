"""Print what a server's owner needs: the tables and the rights as scripts. Nothing is connected to."""

import argparse

from etl.config import LoadedSettings
from etl.console import say
from etl.ddl import DIALECTS, SERVERS, script_of_rights, script_of_tables
from etl.errors import EXIT_SUCCESS, ConfigError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `schema` takes."""
    parser.add_argument("--dialect", choices=DIALECTS, help="the server's kind (default: that of warehouse.kind)")
    parser.add_argument("--rights", action="store_true", help="roles and rights in place of tables")


def carry_out(settings: LoadedSettings, options: argparse.Namespace) -> int:
    """Print one script; raises ConfigError when rights are wanted of a file."""
    dialect = options.dialect or settings.values.warehouse.kind
    if options.rights and dialect not in SERVERS:
        raise ConfigError("schema --rights: a file has no roles. Name a server: --dialect postgresql or --dialect sqlserver.")
    say((script_of_rights if options.rights else script_of_tables)(dialect).rstrip("\n"))
    return EXIT_SUCCESS
