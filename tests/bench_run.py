"""Measures, as ratios within one run: the whole warm main job against the site build alone on the same pages.

Started by `nox -s bench`, in a copy of the project. Notebooks are executed before the measuring and not again: the run
that is measured differs from the one before in nothing that they read but its own record, so the time their execution takes
is measured apart and taken off.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.site_build import command, copy_project

ROUNDS = 5
LIMIT = 2.0


def timed(project: Path, *steps: list[str]) -> float:
    """Return the seconds that some commands take, one after the other."""
    begin = time.perf_counter()
    for step in steps:
        done = command(project, *step)
        if done.returncode not in (0, 10):
            raise SystemExit(f"{' '.join(step)} failed:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - begin


def notebook_seconds(project: Path) -> float:
    """Return the seconds that writing the pages takes longer when the notebooks are executed."""
    warm = timed(project, ["generators"])
    for cached in (project / ".cache/notebooks").glob("last_run-*.ipynb"):
        cached.unlink()
    return max(timed(project, ["generators"]) - warm, 0.0)


def main() -> int:
    """Print both times and their ratio; return 1 when it is beyond the limit."""
    with tempfile.TemporaryDirectory() as folder:
        project = copy_project(Path(folder) / "project")
        job, build = ["handover", "--quiet"], ["mkdocs", "build", "--strict"]
        timed(project, job, build)
        apart = statistics.median(notebook_seconds(project) for _ in range(3))
        pairs = [(timed(project, job, build) - apart, timed(project, build)) for _ in range(ROUNDS)]
        ratio = statistics.median(whole / alone for whole, alone in pairs)
        figures = {
            "whole run, notebooks apart": round(statistics.median(whole for whole, _ in pairs), 2),
            "site build alone": round(statistics.median(alone for _, alone in pairs), 2),
            "executing the notebook of the last run": round(apart, 2),
            "ratio": round(ratio, 2),
            "limit": LIMIT,
        }
        sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    return int(ratio > LIMIT)


if __name__ == "__main__":
    raise SystemExit(main())
