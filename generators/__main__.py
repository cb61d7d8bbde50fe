"""`python -m generators`: write all pages from the newest run."""

import argparse
import sys
import time
from collections.abc import Sequence

from etl.console import add_settings_options, load_settings, say
from etl.errors import ConfigError
from generators.backlog import BacklogError
from generators.build import BuildResult, build
from generators.changes import ChangesError
from generators.context import NoRunError
from generators.evidence.report import next_steps
from generators.facts import FactsError
from generators.figures import FigureError, resolve
from generators.notebooks import NotebookError

EXPECTED = (ConfigError, NoRunError, BacklogError, ChangesError, FactsError, FigureError, NotebookError)

SHOWN = 4
"""So many steps that would prove more are told; the page of evidence has them all."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write all pages and say how much of the backlog is proved; return 0, or 1 when a page can't be made."""
    parser = argparse.ArgumentParser(prog="python -m generators", description="Write all pages from the newest run.")
    add_settings_options(parser)
    begin = time.perf_counter()
    try:
        result = build(load_settings(parser.parse_args(arguments)))
    except EXPECTED as error:
        say(f"Pages not written: {error}", sys.stderr)
        return 1
    say(summary(result, time.perf_counter() - begin))
    return 0


def summary(result: BuildResult, seconds: float) -> str:
    """Return what was executed, how much of the backlog is proved, and what would prove more."""
    proved, all_criteria = (resolve(result.context, source) for source in ("evidence:proved", "backlog:criteria"))
    executed = f", executed {' and '.join(result.executed)}" if result.executed else ""
    proofs = [proof for verdict in (result.context.verdicts or {}).values() for proof in verdict.proofs]
    left = "".join(
        f"\n           {count} proofs wait for: {remedy}" for remedy, count in list(next_steps(proofs).items())[:SHOWN]
    )
    return f"Pages in {seconds:.1f} s{executed}\n  proved   {proved} of {all_criteria} criteria{left}"


if __name__ == "__main__":
    raise SystemExit(main())
