"""The log of health checks: which components there are, and what was found of them in the past."""

import json
from collections.abc import Iterator
from pathlib import Path

from etl.record import HealthRecord

FILE_NAME = "health.jsonl"

COMPONENTS = ("settings", "input", "references", "disk", "clock", "postcodes", "companies", "mail", "warehouse")
"""Everything a run depends on, in the order in which it is looked at."""

BEFORE_RUN = ("settings", "disk", "clock", "mail")
"""What a run looks at before it reads a row, besides its warehouse; all else it meets by itself right after."""


def read_checks(runs: Path) -> Iterator[HealthRecord]:
    """Yield the checks of the past, oldest first; a line cut short by a crash is left out."""
    path = runs / FILE_NAME
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            yield HealthRecord.model_validate(json.loads(line))
        except ValueError:
            continue
