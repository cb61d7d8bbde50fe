"""The audit log: what was done to the data, one line each, beside the folders of the runs and kept for longer than they."""

import json
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

AUDIT_FILE = "audit.jsonl"
_LOCK = "audit.lock"
_OWNER_ONLY = 0o600
_PATIENCE = 30
"""Seconds that a writer waits for another one."""


def append_audit(runs: Path, line: str) -> None:
    """Add a line; it begins a line of its own even where a crash cut the one before short. Raises OSError."""
    with _locked(runs), os.fdopen(os.open(runs / AUDIT_FILE, os.O_RDWR | os.O_CREAT | _BINARY, _OWNER_ONLY), "r+b") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - 1))
        broken = file.read(1) not in (b"", b"\n")
        file.write(("\n" * broken + line + "\n").encode("utf-8", "backslashreplace"))


def read_audit(runs: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines, oldest first; one that was cut short is left out."""
    path = runs / AUDIT_FILE
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
        try:
            yield json.loads(line)
        except ValueError:
            continue


def due_lines(runs: Path, before: datetime) -> int:
    """Return how many lines are older than `before` (UTC)."""
    return sum(_is_older(line, before) for line in read_audit(runs))


def trim_audit(runs: Path, before: datetime) -> int:
    """Take out the lines older than `before` (UTC) and return how many they were. Raises OSError."""
    with _locked(runs):
        lines = list(read_audit(runs))
        kept = [line for line in lines if not _is_older(line, before)]
        if len(kept) < len(lines):
            beside = runs / f"{AUDIT_FILE}.tmp"
            beside.touch(mode=_OWNER_ONLY)
            text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in kept)
            beside.write_text(text, encoding="utf-8", newline="\n")
            beside.replace(runs / AUDIT_FILE)
    return len(lines) - len(kept)


_BINARY = getattr(os, "O_BINARY", 0)


def _is_older(line: dict[str, Any], before: datetime) -> bool:
    try:
        return datetime.fromisoformat(str(line.get("timestamp"))) < before
    except (ValueError, AttributeError):
        return False


def _locked(runs: Path) -> FileLock:
    runs.mkdir(parents=True, exist_ok=True)
    return FileLock(runs / _LOCK, timeout=_PATIENCE)
