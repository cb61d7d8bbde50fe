"""Resubmission: rejected rows go out as a CSV file for correction and come back through the whole pipeline.

The file names the run and the line each row came from, so that the quarantine knows which rows have been dealt with. It holds
personal data: it is written for its owner only, and whoever corrects it deletes it afterwards.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from etl.errors import ConfigError, InputError
from etl.lines import split_quoted
from etl.quarantine import Quarantine, QuarantinedRow
from etl.record import RunRecord, read_record
from etl.rules import starts_formula
from etl.schema import INPUT_COLUMNS, QUARANTINE_COLUMNS

RESOLVED = "resolved.jsonl"
GUARD = "'"
"""Stands before a cell that a spreadsheet would take for a formula; `etl.transform.normalise` takes it off again."""


class Origin(NamedTuple):
    """Where a rejected row came from."""

    run_id: str
    line: int


class Backlog(NamedTuple):
    """How many rows of a run were rejected, how many of them are still to be dealt with, and when the run was."""

    run_id: str
    rejected: int
    left: int
    since: datetime


def harmless(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return GUARD + text if starts_formula(text) else text


def backlog(runs: Path) -> Iterator[Backlog]:
    """Yield every run that has rows in quarantine, oldest first."""
    for path in sorted(runs.glob("*/run.json")):
        rejected = sum(1 for _ in Quarantine(path.parent).rows())
        if rejected:
            left = rejected - len(resolved(path.parent))
            yield Backlog(path.parent.name, rejected, left, read_record(path).started_at)


def resolved(folder: Path) -> dict[int, str]:
    """Return the lines of a run's quarantine that were loaded later, with the run that did."""
    path = folder / RESOLVED
    if not path.exists():
        return {}
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {row["line"]: row["run_id"] for row in rows}


def left_rows(folder: Path) -> Iterator[QuarantinedRow]:
    """Yield the rows of a run's quarantine that are still to be dealt with."""
    done = resolved(folder)
    return (row for row in Quarantine(folder).rows() if row.line not in done)


def fields_of(row: QuarantinedRow, record: RunRecord) -> dict[str, str]:
    """Return the fields of a rejected row by column; those of a misshapen line as far as they go."""
    if record.input is None:
        return {}
    values = split_quoted([row.raw], record.input.delimiter)[0]
    return dict(zip(record.input.columns, values, strict=False))


def export_rows(folder: Path, out: Path) -> int:
    """Write the rows of a run that are still to be dealt with to a CSV file; return how many. Raises ConfigError."""
    if out.exists():
        raise ConfigError(f"{out}: there is such a file already. Name another one with --out, or move it away.")
    record = read_record(folder / "run.json")
    out.touch(mode=0o600)
    count = 0
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*QUARANTINE_COLUMNS, *INPUT_COLUMNS])
        for count, row in enumerate(left_rows(folder), 1):  # noqa: B007 - the last number is the count
            fields = fields_of(row, record)
            cells = [
                record.run_id,
                str(row.line),
                " ".join(row.rules),
                row.raw,
                *(fields.get(name, "") for name in INPUT_COLUMNS),
            ]
            writer.writerow([harmless(" ".join(cell.split("\n"))) for cell in cells])
    return count


def origins_of(path: Path) -> Mapping[int, Origin]:
    """Return where the rows of a corrected file came from, by their line in it; raises InputError when it does not say."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the file can't be read ({type(error).__name__}). Save it as CSV in UTF-8.") from None
    delimiter = max(",;\t|", key=lines[0].count) if lines else ","
    header = [name.strip().lower() for name in split_quoted(lines[:1] or [""], delimiter)[0]]
    if not set(QUARANTINE_COLUMNS[:2]) <= set(header):
        raise InputError(
            f"{path.name}, line 1: columns {' and '.join(QUARANTINE_COLUMNS[:2])} are missing. "
            "Correct a file that was written by: python -m etl quarantine export"
        )
    run_at, line_at = (header.index(name) for name in QUARANTINE_COLUMNS[:2])
    return {
        number: Origin(fields[run_at], int(fields[line_at]))
        for number, fields in enumerate(split_quoted(lines[1:], delimiter) if lines[1:] else [], 2)
        if len(fields) == len(header) and fields[line_at].isdecimal()
    }


def mark_resolved(runs: Path, origins: Mapping[int, Origin], record: RunRecord) -> int:
    """Note for each row that `record`'s run has loaded that it is dealt with; return how many."""
    rejected = {row.line for row in Quarantine(runs / record.run_id).rows()}
    done = [origin for line, origin in origins.items() if line not in rejected and (runs / origin.run_id).is_dir()]
    for origin in done:
        with (runs / origin.run_id / RESOLVED).open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps({"line": origin.line, "run_id": record.run_id}) + "\n")
    return len(done)
