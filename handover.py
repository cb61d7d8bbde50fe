"""The main job: run the pipeline once, then write every page from its record. `python -m handover --input my.csv`

One process for both, because loading their libraries takes longer than their work. Pipeline and generators know nothing of
each other here either: the run record is what the second reads.
"""

import sys
from collections.abc import Sequence

from etl.cli import main as run_pipeline
from generators.__main__ import main as write_pages


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and write with the options of `python -m etl run`; return the run's exit code, or 1 when a page can't be made.

    Pages are written after a failed run too: they say what failed and what to do.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    ended = run_pipeline(["run", *words])
    written = write_pages([word for word in words if word != "--quiet"])
    return ended if ended not in (0, 10) else written or ended


if __name__ == "__main__":
    raise SystemExit(main())
