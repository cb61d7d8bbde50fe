"""Extract: read a customer file in batches of text, losing no line however broken it is.

Each physical line is one record. A line that does not split into the header's fields, or that holds bytes which are no
text, comes through marked, with the line as it came, so that validation can send it to quarantine.
"""

import codecs
import difflib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
from pyroaring import BitMap

from etl.errors import InputError
from etl.lines import Records, below_header, cut_lines, read_blocks, split_quoted, split_records
from etl.rules import id_numbers
from etl.schema import INPUT_COLUMNS, KEY, QUARANTINE_COLUMNS
from etl.settings import InputSettings

T = TypeVar("T")
TEXT = pd.StringDtype("pyarrow", na_value=np.nan)
DELIMITERS = (",", ";", "|", "\t")
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True)
class InputFacts:
    """What is known of an input before a row is read; holds no customer's data. Times in UTC."""

    name: str
    bytes: int
    sha256: str
    made_at: datetime
    encoding: str
    delimiter: str
    columns: tuple[str, ...]
    unknown_columns: tuple[str, ...]


class Source(Protocol):
    """Where customers come from. Another source is another class with these two members."""

    facts: InputFacts

    def batches(self, rows: int, after: int = 1) -> Iterator[pd.DataFrame]:
        """Yield frames of at most `rows` rows, those below line `after`: the input columns as text, `_line`, `_raw`, marks."""
        ...


@dataclass
class CsvSource:
    """A delimited text file. Opening it checks the header; raises InputError when it can't be used."""

    path: Path
    settings: InputSettings
    facts: InputFacts = field(init=False)

    def __post_init__(self) -> None:
        """Read the header and the facts of the file."""
        encoding = self._encoding()
        header = self._header(encoding)
        if not header.strip():
            raise InputError(f"{self.path}: the file is empty. Ask the supplier for a complete file.")
        delimiter = self._delimiter(header)
        columns = tuple(name.strip().lower() for name in split_quoted([header], delimiter)[0])
        self._check_header(columns)
        stat = self.path.stat()
        self.facts = InputFacts(
            self.path.name, stat.st_size, _sha256(self.path), datetime.fromtimestamp(stat.st_mtime, UTC),
            encoding, delimiter, columns, tuple(c for c in columns if c not in INPUT_COLUMNS + QUARANTINE_COLUMNS),
        )  # fmt: skip

    def batches(self, rows: int, after: int = 1) -> Iterator[pd.DataFrame]:
        """Yield the file's lines below line `after`, `rows` at a time; blank lines are left out.

        Lines before are read for their ids only, so that one repeated later is noticed. Raises InputError when the file
        changes while it is read.
        """
        before = self.path.stat()
        seen = BitMap()
        for batch in self._frames(rows):
            _mark_repeated(batch, seen)
            left = batch if batch["_line"].iloc[0] > after else batch[batch["_line"] > after].reset_index(drop=True)
            if len(left):
                yield left
        now = self.path.stat()
        if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise InputError(f"{self.path}: the file changed while it was read. Start again when it is written completely.")

    def _frames(self, rows: int) -> Iterator[pd.DataFrame]:
        line = 2
        blocks = below_header(read_blocks(self.path, self.facts.encoding))
        for lines, chunk in self._guarded(cut_lines(blocks, rows), self.facts.encoding):
            records = split_records(lines, chunk, self.facts.delimiter, len(self.facts.columns))
            batch = self._frame(records, line)
            line += len(lines)
            if len(batch):
                yield batch

    def _frame(self, records: Records, first: int) -> pd.DataFrame:
        fields = dict(zip(self.facts.columns, records.fields, strict=True))
        table = pa.table({name: fields[name] for name in INPUT_COLUMNS} | {"_raw": records.text})
        batch: pd.DataFrame = table.to_pandas(types_mapper={pa.large_string(): TEXT}.get)
        batch["_line"] = np.arange(first, first + len(batch))
        batch["_misshapen"], batch["_undecodable"] = records.misshapen, records.undecodable
        kept = batch["_raw"].str.strip() != ""
        return batch if kept.all() else batch[kept].reset_index(drop=True)

    def _guarded(self, parts: Iterator[T], encoding: str) -> Iterator[T]:
        try:
            yield from parts
        except OSError as error:
            raise InputError(
                f"{self.path}: the input can't be read ({error.strerror}). Place the file there or name another with --input."
            ) from None
        except UnicodeError:  # UTF-8 and cp1252 mark bad bytes instead; UTF-16 can't
            raise InputError(f"{self.path}: not readable as {encoding}. Set input.encoding to what it is.") from None

    def _header(self, encoding: str) -> str:
        """Return the first line. Only as much as it takes is read, a block at least."""
        text = b""
        for block in self._guarded(read_blocks(self.path, encoding), encoding):
            text += block
            if b"\n" in text:
                break
        return text.partition(b"\n")[0].decode("utf-8", "backslashreplace")

    def _encoding(self) -> str:
        if self.settings.encoding != "auto":
            return self.settings.encoding
        start = next(self._guarded(_starts(self.path), ""))
        return next((name for bom, name in _BOMS if start.startswith(bom)), "utf-8")

    def _delimiter(self, header: str) -> str:
        if self.settings.delimiter != "auto":
            return self.settings.delimiter
        return max(DELIMITERS, key=header.count)

    def _check_header(self, columns: tuple[str, ...]) -> None:
        missing = [name for name in INPUT_COLUMNS if name not in columns]
        twice = sorted({name for name in columns if columns.count(name) > 1})
        if missing or twice:
            faults = [f"column {name!r} is missing" for name in missing] + [f"column {name!r} stands twice" for name in twice]
            raise InputError(
                f"{self.path.name}, line 1: {'; '.join(faults)}; found: {_like_columns(columns)}. "
                "Correct the header in the file or ask the supplier for the agreed layout."
            )


def _like_columns(columns: tuple[str, ...]) -> str:
    """Return the headings that resemble agreed ones. Where the header is missing, they are a customer's data: only counted."""
    shown = [name for name in columns if difflib.get_close_matches(name, INPUT_COLUMNS, n=1, cutoff=0.6)]
    others = len(columns) - len(shown)
    return ", ".join([*shown, *([f"{others} other(s) unlike any agreed column"] if others else [])])


def _starts(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield file.read(4)


def _mark_repeated(batch: pd.DataFrame, seen: BitMap) -> None:
    """Add the ids as numbers and mark those that stood earlier in the file.

    `seen`, the numbers met so far, is the only thing that crosses batches.
    """
    batch["_number"] = numbers = id_numbers(batch[KEY])
    valid = numbers > 0
    repeated = numbers.duplicated() & valid
    distinct = BitMap(numbers[valid].to_numpy(dtype="uint32"))
    if again := seen & distinct:
        repeated |= numbers.isin(np.asarray(again)) & valid
    seen |= distinct
    batch["_repeated"] = repeated


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
