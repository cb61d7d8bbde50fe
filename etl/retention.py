"""Retention: finds what of the runs' leavings is past its time, and deletes it.

The age of a run is counted from its start, which stands in its id, so that a copied file is as old as its run. What goes is
planned first and deleted after, so that a dry run, the pages and the deletion speak of the same. Three things stay:
the newest good run of each environment (its record and its log; rejected rows are personal data and go when they are due), a run
that is under way, and whatever is no folder of a run.
"""

import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from etl.audit import due_lines, trim_audit
from etl.events import RUN_ID
from etl.log import log_parts
from etl.quarantine import FILE_NAME as QUARANTINE
from etl.record import FILE_NAME as RECORD
from etl.record import RunRecord, read_record
from etl.settings import Settings

UNDER_WAY = timedelta(days=1)
"""A run without a record is taken to be under way for as long as this."""
PERIODS: Mapping[str, str] = {
    "logs": "logging.keep", "quarantines": "runs.keep_quarantine", "runs": "runs.keep", "audit_lines": "logging.keep_audit",
}  # fmt: skip
"""What is deleted when it is due, by the setting that says when."""


@dataclass(frozen=True)
class Plan:
    """What is due at a time (UTC): logs and rejected rows as files, runs as folders, lines of the audit log by their number."""

    now: datetime
    runs_folder: Path
    logs: tuple[Path, ...]
    quarantines: tuple[Path, ...]
    runs: tuple[Path, ...]
    audit_lines: int
    audit_before: datetime
    kept: Mapping[str, str]
    """Runs that stay although they are due, with the reason."""

    @property
    def counts(self) -> dict[str, int]:
        """How much is due, by the names of `PERIODS`."""
        return {
            "logs": len(self.logs),
            "quarantines": len(self.quarantines),
            "runs": len(self.runs),
            "audit_lines": self.audit_lines,
        }

    @property
    def empty(self) -> bool:
        """Whether nothing is due."""
        return not any(self.counts.values())


@dataclass(frozen=True)
class Pruned:
    """What was deleted, by the names of `PERIODS`, and what could not be: its path and the class of the error."""

    counts: Mapping[str, int]
    failed: tuple[tuple[Path, str], ...]


def plan_pruning(settings: Settings, now: datetime) -> Plan:
    """Return what is due at `now` (UTC). Reads only; a record that can't be read makes no good run."""
    root = settings.runs.path
    folders = {path: _started(path) for path in sorted(root.glob("*")) if _is_run(path)}
    protected = _protected(list(folders), now)
    due_runs = [path for path, at in folders.items() if now - at > timedelta(days=settings.runs.keep)]
    gone = [path for path in due_runs if path not in protected]
    left = {path: at for path, at in folders.items() if path not in gone}
    busy = {path for path in left if protected.get(path) == _BUSY}
    shortest = min(settings.logging.keep, settings.runs.keep)
    audit_before = now - timedelta(days=settings.logging.keep_audit)
    return Plan(
        now, root,
        tuple(part for path in _older(left, now, settings.logging.keep) if path not in protected for part in log_parts(path)),
        tuple(_rejected_rows(path for path in _older(left, now, settings.runs.keep_quarantine) if path not in busy)),
        tuple(gone), due_lines(root, audit_before), audit_before,
        {path.name: protected[path] for path in _older(left, now, shortest) if path in protected},
    )  # fmt: skip


def prune(plan: Plan) -> Pruned:
    """Delete what a plan names; what can't be deleted is told and does not keep the rest from it."""
    failed: list[tuple[Path, str]] = []
    counts = {
        "logs": sum(_deleted(path, failed) for path in plan.logs),
        "quarantines": sum(_deleted(path, failed) for path in plan.quarantines),
        "runs": sum(_deleted(path, failed) for path in plan.runs),
        "audit_lines": 0,
    }
    try:
        counts["audit_lines"] = trim_audit(plan.runs_folder, plan.audit_before) if plan.audit_lines else 0
    except OSError as error:
        failed.append((plan.runs_folder, type(error).__name__))
    return Pruned(counts, tuple(failed))


_NEWEST = "newest good run of its environment"
_BUSY = "perhaps under way: it has no record and is younger than a day"


def _is_run(path: Path) -> bool:
    return bool(re.match(RUN_ID, path.name)) and path.is_dir() and not path.is_symlink()


def _started(folder: Path) -> datetime:
    try:
        return datetime.strptime(folder.name.partition("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:  # digits that are no date: too young to be due
        return datetime.max.replace(tzinfo=UTC)


def _protected(folders: list[Path], now: datetime) -> dict[Path, str]:
    found: dict[Path, str] = {}
    environments: set[str] = set()
    for folder in reversed(folders):
        record = _record(folder)
        if record is None:
            if not (folder / RECORD).exists() and now - _started(folder) < UNDER_WAY:
                found[folder] = _BUSY
        elif record.outcome in ("success", "warnings") and record.environment not in environments:
            environments.add(record.environment)
            found[folder] = _NEWEST
    return found


def _record(folder: Path) -> RunRecord | None:
    try:
        return read_record(folder / RECORD)
    except (OSError, ValueError):
        return None


def _older(folders: Mapping[Path, datetime], now: datetime, days: float) -> list[Path]:
    return [path for path, started in folders.items() if now - started > timedelta(days=days)]


def _rejected_rows(folders: Iterator[Path]) -> Iterator[Path]:
    return (path for folder in folders if (path := folder / QUARANTINE).is_file())


def _deleted(path: Path, failed: list[tuple[Path, str]]) -> bool:
    try:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    except FileNotFoundError:  # somebody else was faster
        return False
    except OSError as error:
        failed.append((path, type(error).__name__))
        return False
    return True
