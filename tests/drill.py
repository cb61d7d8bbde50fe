"""Rehearses failures on real parts and writes what came of each to `runs/drills.json`. Started by `nox -s drill`.

* `run killed`: runs are killed with no warning at random moments, 100 of them unless told otherwise, and resumed.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from etl.repository import code_version
from tests.kill_drill import rehearse

RESULTS = Path("runs/drills.json")


def main() -> int:
    """Rehearse, print and keep the results; return 1 when something did not recover."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="how many runs are killed (default: 100)")
    parser.add_argument("--seed", type=int, default=None, help="makes the moments repeatable in kind (default: the time)")
    options = parser.parse_args()
    ran_at = datetime.now(UTC)
    seed = options.seed if options.seed is not None else int(ran_at.timestamp())
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        report = rehearse(Path(folder), options.kills, seed)
    commit, dirty = code_version(Path(__file__).parent)
    result = {
        "name": "run killed", "ran_at": ran_at.isoformat(), "commit": commit, "dirty": dirty, "seed": seed,
        "seconds": round(time.perf_counter() - begin, 1), "recovered": report.differing == 0 and report.kills >= options.kills,
        "figures": asdict(report),
    }  # fmt: skip
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps([result], indent=2) + "\n", encoding="utf-8", newline="\n")
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    return int(not result["recovered"])


if __name__ == "__main__":
    raise SystemExit(main())
