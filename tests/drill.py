"""Rehearses failures on real parts and keeps what came of each in `runs/drills.json`. Started by `nox -s drill`.

* `run-killed`: runs are killed with no warning at random moments, 100 of them unless told otherwise, and resumed.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from etl.repository import code_version
from generators.evidence.exhibits import DRILLS as RESULTS
from generators.evidence.results import Result, write_results
from generators.inputs import DATA, Inputs
from tests.kill_drill import rehearse

ROOT = Path(__file__).parent.parent


def run_killed(folder: Path, options: argparse.Namespace) -> tuple[bool, str]:
    """Kill runs and resume them; return whether all recovered, and that in words."""
    report = rehearse(folder, options.kills, options.seed)
    sys.stdout.write(f"{asdict(report)}\n")
    told = f"{report.kills} kills, {report.differing} warehouses differ from an undisturbed run"
    return report.differing == 0 and report.kills >= options.kills, told


DRILLS = {"run-killed": run_killed}


def main() -> int:
    """Rehearse, print and keep the results; return 1 when something did not recover."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="how many runs are killed (default: 100)")
    parser.add_argument(
        "--seed", type=int, default=int(time.time()), help="makes the moments repeatable in kind (default: the time)"
    )
    options = parser.parse_args()
    results = [carry_out(name, drill, options) for name, drill in DRILLS.items()]
    write_results(ROOT / RESULTS, results)
    return int(not all(result.good for result in results))


def carry_out(name: str, drill: Callable[[Path, argparse.Namespace], tuple[bool, str]], options: argparse.Namespace) -> Result:
    """Rehearse one failure in a folder of its own and return what came of it."""
    inputs = Inputs(ROOT)
    content = inputs.digests(inputs.closure("tests/kill_drill.py") | inputs.below(*DATA))
    commit, dirty = code_version(ROOT)
    ran_at, begin = datetime.now(UTC), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        good, told = drill(Path(folder), options)
    seconds = round(time.perf_counter() - begin, 1)
    sys.stdout.write(f"{name}: {'recovered' if good else 'did not recover'}, {told}; {seconds} s; seed {options.seed}\n")
    return Result(name=name, ran_at=ran_at, good=good, seconds=seconds, commit=commit, dirty=dirty, told=told, content=content)


if __name__ == "__main__":
    raise SystemExit(main())
