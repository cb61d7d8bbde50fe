"""Quarantine: rejected rows as they came, with the ids of all rules they break and where they stood.

The file holds personal data. It lies beside the run record, readable by its owner only, and is never published.
"""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

FILE_NAME = "quarantine.jsonl"


class QuarantinedRow(NamedTuple):
    """A rejected row: its line in the input, the line as it came, the rules it breaks."""

    line: int
    raw: str
    rules: tuple[str, ...]


class Quarantine:
    """The quarantine of one run; rows are appended as batches come."""

    def __init__(self, folder: Path) -> None:
        """Keep rows in `folder`, which must exist."""
        self.path = folder / FILE_NAME

    def put(self, rows: Iterable[QuarantinedRow], start: int) -> int:
        """Write rows from byte `start` on, replacing what a batch that was not committed left there; return the new end.

        The rows are on the disk when this returns, so that a checkpoint never knows of more than there is.
        """
        text = "".join(json.dumps(row._asdict(), ensure_ascii=False) + "\n" for row in rows).encode()
        if not text and not self.path.exists():
            return start
        self.path.touch(mode=0o600)
        with self.path.open("r+b") as file:
            file.truncate(start)
            file.seek(start)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        return start + len(text)

    def take_over(self, folder: Path, end: int) -> bool:
        """Copy the first `end` bytes of the quarantine in `folder`; return False when it holds less."""
        earlier = folder / FILE_NAME
        if end and (not earlier.exists() or earlier.stat().st_size < end):
            return False
        if end:
            self.path.touch(mode=0o600)
            with earlier.open("rb") as source:
                self.path.write_bytes(source.read(end))
        return True

    def rows(self) -> Iterator[QuarantinedRow]:
        """Yield what the quarantine holds, in the order of the batches."""
        if not self.path.exists():
            return
        with self.path.open(encoding="utf-8") as file:
            for text in file:
                row = json.loads(text)
                yield QuarantinedRow(row["line"], row["raw"], tuple(row["rules"]))


def rejected_rows(rejected: pd.DataFrame) -> Iterator[QuarantinedRow]:
    """Yield the rows of a frame with `_line`, `_raw` and `_rules`."""
    for line, raw, rules in zip(rejected["_line"], rejected["_raw"], rejected["_rules"], strict=True):
        yield QuarantinedRow(int(line), raw, tuple(rules))


def refused_rows(accepted: pd.DataFrame, labels: Sequence[object], rule_id: str) -> Iterator[QuarantinedRow]:
    """Yield the rows of a frame that bear these labels, as broken by one rule."""
    refused = accepted[accepted.index.isin(list(labels))]
    for line, raw in zip(refused["_line"], refused["_raw"], strict=True):
        yield QuarantinedRow(int(line), raw, (rule_id,))
