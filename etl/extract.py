"""Extract: read a customer file in batches of text, losing no line however broken it is.

Each physical line is one record. A line that does not split into the header's fields, or that holds bytes which are no
text, comes through marked, with the line as it came, so that validation can send it to quarantine.
"""

import codecs
import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Protocol, TextIO

import pandas as pd

from etl.errors import InputError
from etl.schema import INPUT_COLUMNS, KEY
from etl.settings import InputSettings

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

    def batches(self, rows: int) -> Iterator[pd.DataFrame]:
        """Yield frames of at most `rows` rows: the input columns as text, and `_line`, `_raw` and the `_` marks."""
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
        with self._open(encoding) as file:
            header = next(self._lines(file, encoding), "")
        if not header.strip():
            raise InputError(f"{self.path}: the file is empty. Ask the supplier for a complete file.")
        delimiter = self._delimiter(header)
        columns = tuple(name.strip().lower() for name in next(csv.reader([header], delimiter=delimiter)))
        self._check_header(columns)
        stat = self.path.stat()
        self.facts = InputFacts(
            self.path.name, stat.st_size, _sha256(self.path), datetime.fromtimestamp(stat.st_mtime, UTC),
            encoding, delimiter, columns, tuple(c for c in columns if c not in INPUT_COLUMNS),
        )  # fmt: skip

    def batches(self, rows: int) -> Iterator[pd.DataFrame]:
        """Yield the file's lines below the header, `rows` at a time; blank lines are left out."""
        seen: set[str] = set()
        line = 2
        with self._open(self.facts.encoding) as file:
            below = islice(self._lines(file, self.facts.encoding), 1, None)
            while lines := list(islice(below, rows)):
                batch = self._frame(lines, line)
                line += len(lines)
                if len(batch):
                    yield _mark_repeated(batch, seen)

    def _frame(self, lines: list[str], first: int) -> pd.DataFrame:
        numbers = range(first, first + len(lines))
        kept = [(number, text) for number, text in zip(numbers, lines, strict=True) if text.strip()]
        width = len(self.facts.columns)
        records = _split([text for _, text in kept], self.facts.delimiter)
        misshapen = [len(record) != width for record in records]
        padded = [(record + [""] * width)[:width] for record in records]
        table = pd.DataFrame(padded, columns=list(self.facts.columns), dtype="object")
        undecodable = [not text.isascii() and _has_surrogate(text) for _, text in kept]
        if any(undecodable):  # Arrow strings can't hold the marks of undecodable bytes; `_raw` keeps them as escapes.
            table = table.map(_escaped)
        batch = table[list(INPUT_COLUMNS)].astype("str")
        batch["_line"] = [number for number, _ in kept]
        batch["_raw"] = pd.Series([_escaped(text) for _, text in kept], dtype="str")
        batch["_misshapen"], batch["_undecodable"] = misshapen, undecodable
        return batch

    def _open(self, encoding: str) -> TextIO:
        try:
            return self.path.open(encoding=encoding, errors="surrogateescape", newline="")
        except OSError as error:
            raise InputError(
                f"{self.path}: the input can't be read ({error.strerror}). Place the file there or name another with --input."
            ) from None

    def _encoding(self) -> str:
        if self.settings.encoding != "auto":
            return "utf-8-sig" if self.settings.encoding == "utf-8" else self.settings.encoding
        with self._open("latin-1") as file:  # latin-1 maps each byte to one character, so this reads bytes
            start = file.read(4).encode("latin-1")
        return next((name for bom, name in _BOMS if start.startswith(bom)), "utf-8")

    def _lines(self, file: TextIO, encoding: str) -> Iterator[str]:
        try:
            for text in file:
                yield text.rstrip("\r\n")
        except UnicodeError:  # UTF-8 and cp1252 mark bad bytes instead; UTF-16 can't
            raise InputError(f"{self.path}: not readable as {encoding}. Set input.encoding to what it is.") from None

    def _delimiter(self, header: str) -> str:
        if self.settings.delimiter != "auto":
            return self.settings.delimiter
        return max(DELIMITERS, key=header.count)

    def _check_header(self, columns: tuple[str, ...]) -> None:
        missing = [name for name in INPUT_COLUMNS if name not in columns]
        twice = sorted({name for name in columns if columns.count(name) > 1})
        if missing or twice:
            faults = [f"column {name!r} is missing" for name in missing] + [f"column {name!r} stands twice" for name in twice]
            found = ", ".join(name[:30] for name in columns[:20])
            raise InputError(
                f"{self.path.name}, line 1: {'; '.join(faults)}; found: {found}. "
                "Correct the header in the file or ask the supplier for the agreed layout."
            )


_END = "end"  # a last line of our own: if it does not come back alone, a quotation mark before it was never closed


def _split(lines: list[str], delimiter: str) -> list[list[str]]:
    """Split each line into its fields. A quotation mark that is never closed gives one field, so that no line is eaten."""
    try:
        records = list(csv.reader([*lines, _END], delimiter=delimiter))
    except csv.Error:  # a field beyond the reader's limit
        records = []
    if len(records) == len(lines) + 1 and records[-1] == [_END]:
        return records[:-1]
    return [[lines[0]]] if len(lines) == 1 else [_split([line], delimiter)[0] for line in lines]


def _mark_repeated(batch: pd.DataFrame, seen: set[str]) -> pd.DataFrame:
    """Mark ids that stood earlier in the file. `seen` is the only thing that crosses batches."""
    ids = batch[KEY].str.strip().str.lstrip("0")
    batch["_repeated"] = (ids.duplicated() | ids.isin(seen)) & (ids != "")
    seen.update(ids)
    return batch


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _escaped(text: str) -> str:
    """Show undecodable bytes as `\\xe9`; all other text stays as it is."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
