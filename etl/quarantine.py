"""Quarantine: rejected rows as they came, with the ids of all rules they break and where they stood.

The file holds personal data. It lies beside the run record, readable by its owner only, and is never published.
"""

import json
from collections.abc import Iterator
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

    def add(self, rejected: pd.DataFrame) -> None:
        """Append the rows of a frame with `_line`, `_raw` and `_rules`."""
        if rejected.empty:
            return
        self.path.touch(mode=0o600)
        with self.path.open("a", encoding="utf-8", newline="\n") as file:
            for line, raw, rules in zip(rejected["_line"], rejected["_raw"], rejected["_rules"], strict=True):
                file.write(json.dumps({"line": int(line), "raw": raw, "rules": rules}, ensure_ascii=False) + "\n")

    def rows(self) -> Iterator[QuarantinedRow]:
        """Yield what the quarantine holds, in the order of the input."""
        if not self.path.exists():
            return
        with self.path.open(encoding="utf-8") as file:
            for text in file:
                row = json.loads(text)
                yield QuarantinedRow(row["line"], row["raw"], tuple(row["rules"]))
