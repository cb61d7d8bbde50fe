"""Looks for customers in what is published: every name, address, number and full postcode of a customer file."""

import csv
import gzip
import html
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from etl.schema import INPUT_COLUMNS
from etl.transform import STAND_INS

SCANNED = {".html", ".json", ".jsonl", ".js", ".css", ".xml", ".svg", ".md", ".txt", ".csv", ".ipynb", ".log", ".gz", ".map"}
PERSONAL = ("first_name", "last_name", "email", "phone", "postcode", "company")
SHORTEST = 4
_POSTCODE = re.compile(r"[a-z]{1,2}\d[a-z\d]? \d[a-z]{2}")
_SURROGATES = re.compile(r"[\ud800-\udbff][\udc00-\udfff]")
_PART = re.compile(r"[^\W_]+")


def personal_values(path: Path) -> set[str]:
    """Return every personal value of a customer file, as it came and in its normal forms; broken lines give what they can."""
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        lines = [line for line in file if line.count('"') % 2 == 0]
    rows = csv.DictReader(lines, restkey="rest")
    assert rows.fieldnames is not None
    assert set(rows.fieldnames) == set(INPUT_COLUMNS)
    found = {form for row in rows for name in PERSONAL for form in _forms(row[name] or "")}
    return found | {value.replace(" ", "") for value in found if _POSTCODE.fullmatch(value)}


def _forms(value: str) -> Iterator[str]:
    value = unicodedata.normalize("NFC", " ".join(value.split()))
    if len(value) >= SHORTEST and value.lower() not in STAND_INS and "\ufffd" not in value:
        yield value.lower()


def find_leaks(root: Path, values: Collection[str]) -> list[str]:
    """Return `file: value, shortened` for every value that stands in a text file below `root`."""
    by_start: dict[str, list[str]] = {}
    for value in values:
        if start := _PART.search(value):
            by_start.setdefault(start[0], []).append(value)
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.suffix in SCANNED)
    return [f"{path.relative_to(root)}: {value[:2]}…" for path in files for value in sorted(_found(_text(path), by_start))]


def _found(text: str, by_start: Mapping[str, Collection[str]]) -> set[str]:
    """Return the values whose first part stands in the text as a part of its own, followed by the rest."""
    found = set()
    for part in _PART.finditer(text):
        for value in by_start.get(part[0], ()):
            before = value.index(part[0])
            begin, end = part.start() - before, part.start() - before + len(value)
            if text[begin:end] == value and not text[end : end + 1].isalnum():
                found.add(value)
    return found


def _text(path: Path) -> str:
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    text = raw.decode("utf-8", "replace")
    if "\\u" in text:
        text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text)
        text = _SURROGATES.sub(lambda pair: pair[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le"), text)
    text = html.unescape(html.unescape(text)).replace("\u00a0", " ")  # twice: feeds and search indexes hold HTML as text
    return unicodedata.normalize("NFC", text).lower()
