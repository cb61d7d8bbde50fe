"""Log analysis: answers the questions an operator has from the logs of the runs, so that nobody has to search files by hand.

Pure functions over lines that were read; a line that was cut short, as a killed run leaves one, is counted and left out.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from etl.errors import ConfigError
from etl.events import BY_NAME, RUN_ID
from etl.log import log_parts, plain

Line = Mapping[str, Any]
_NEEDED = ("timestamp", "level", "event", "logger")


@dataclass(frozen=True)
class RunLog:
    """The log of one run: its lines in order, and how many could not be read."""

    run_id: str
    lines: tuple[Line, ...]
    broken: int = 0


@dataclass
class ErrorClass:
    """A class of error over some runs: how often, in which runs, when last, and the runbook sections that help."""

    name: str
    times: int = 0
    runs: set[str] = field(default_factory=set)
    last: str = ""
    runbooks: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class StageTime:
    """How long a stage of one run took, for how many rows."""

    run_id: str
    stage: str
    seconds: float
    rows: int


def runs_with_logs(runs: Path) -> list[Path]:
    """Return the folders of runs that have a log, oldest first, recorded or not."""
    folders = sorted(path for path in runs.glob("*") if re.match(RUN_ID, path.name) and path.is_dir())
    return [path for path in folders if log_parts(path)]


def choose_logs(runs: Path, run_id: str | None, last: int | None) -> list[Path]:
    """Return the folder of one run, or those of the `last` newest; raises ConfigError when there is none or not that one."""
    folders = runs_with_logs(runs)
    chosen = [path for path in folders if path.name == run_id] if run_id else folders[-last:] if last else folders
    if not chosen:
        what = f"no log of a run {run_id!r}" if run_id else "no log of a run yet"
        raise ConfigError(f"{runs.as_posix()}: {what}. List the runs with: python -m etl runs")
    return chosen


def read_log(folder: Path) -> RunLog:
    """Read all parts of a run's log, oldest first. Raises nothing for lines that are no log lines; they are counted."""
    lines: list[Line] = []
    broken = 0
    for part in log_parts(folder):
        for text in part.read_text(encoding="utf-8", errors="replace").split("\n"):
            if not text.strip():
                continue
            if line := _parsed(text):
                lines.append(line)
            else:
                broken += 1
    return RunLog(folder.name, tuple(lines), broken)


def _parsed(text: str) -> Line | None:
    try:
        line = json.loads(text)
    except ValueError:
        return None
    if not isinstance(line, dict):
        return None
    line.setdefault("logger", "operations")  # logs of version 0.1.0 have none
    return line if all(isinstance(line.get(name), str) for name in _NEEDED) else None


def count_events(logs: Iterable[RunLog]) -> list[tuple[str, str, int]]:
    """Return event, level and how often, in the order of the catalogue."""
    counts = Counter((line["event"], line["level"]) for log in logs for line in log.lines)
    order = {name: number for number, name in enumerate(BY_NAME)}
    return [(*key, counts[key]) for key in sorted(counts, key=lambda key: (order.get(key[0], len(order)), key))]


def errors_by_class(logs: Iterable[RunLog]) -> list[ErrorClass]:
    """Return what went wrong by class of error, most frequent first; lines below warning tell of nothing wrong."""
    found: dict[str, ErrorClass] = {}
    for log in logs:
        for line in log.lines:
            if line["level"] in ("warning", "error", "critical"):
                one = found.setdefault(_class_of(line), ErrorClass(_class_of(line)))
                one.times += 1
                one.runs.add(log.run_id)
                one.last = max(one.last, line["timestamp"])
                one.runbooks |= {line["runbook"]} if "runbook" in line else set()
    return sorted(found.values(), key=lambda one: (-one.times, one.name))


def _class_of(line: Line) -> str:
    return f"{line['error']} ({line['event']})" if "error" in line else str(line["event"])


def slowest_stages(logs: Iterable[RunLog]) -> list[StageTime]:
    """Return the stages of all runs, slowest first."""
    ended = [
        StageTime(log.run_id, str(line.get("stage")), float(line["seconds"]), int(line.get("rows_in", 0)))
        for log in logs
        for line in named(log.lines, "stage ended")
        if isinstance(line.get("seconds"), int | float)
    ]
    return sorted(ended, key=lambda one: (-one.seconds, one.run_id, one.stage))


def named(lines: Iterable[Line], event: str) -> Iterator[Line]:
    """Yield the lines of one event."""
    return (line for line in lines if line["event"] == event)


def tell_story(log: RunLog) -> list[str]:
    """Return a run from its first line to its last, with the seconds since it began; says so when it did not end."""
    if not log.lines:
        return ["The log holds no line that can be read."]
    begin = _moment(log.lines[0])
    told = [f"{(_moment(line) - begin).total_seconds():>9.3f} s  {_sentence(line)}" for line in log.lines]
    if log.broken:
        told.append(f"{log.broken} line(s) can't be read; the last one of a run that was killed is cut short.")
    if log.lines[-1]["event"] not in ("run ended", "run failed"):
        told.append("The log ends before the run does: it was killed, or it is still under way.")
    return told


def _moment(line: Line) -> datetime:
    return datetime.fromisoformat(line["timestamp"])


_LEAD = len("10:15:02 warning ")


def _sentence(line: Line) -> str:
    level = "" if line["level"] == "info" else f"{line['level'].upper()}: "
    stage = f"{line['stage']}: " if line.get("stage") else ""
    left = {key: value for key, value in line.items() if key not in ("stage", "run_id")}
    return level + stage + plain(left)[_LEAD:]


def summarise(logs: Sequence[RunLog]) -> str:
    """Return in one line how many lines were read, of how many runs, and how many could not be."""
    lines, broken = sum(len(log.lines) for log in logs), sum(log.broken for log in logs)
    return f"{lines:,} lines of {len(logs):,} run(s)" + (f"; {broken:,} can't be read" if broken else "")
