"""The baseline: how long runs of an environment take, against which each run is judged.

It is set by a command from the newest comparable runs and lies in the runs folder. Runs compare only on the same kind of
machine with the same Python and about the same number of rows; a run that went on with another one is left out.
"""

import statistics
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError

from etl.config import LoadedSettings
from etl.errors import ConfigError
from etl.record import BaselineVerdict, Host, RunRecord, history
from etl.settings import PerformanceSettings

FEWEST = 5
"""Runs below which a median says nothing."""
ROWS_APART = 0.25
"""Share by which the rows of comparable runs may differ."""


class Machine(BaseModel):
    """What must be alike for seconds to compare; no machine or user name."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    system: str
    cpus: int
    memory_gb: int
    python: str


class Baseline(BaseModel):
    """Median and spread (median absolute deviation) of the seconds of some runs, and medians by stage."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    schema_version: Literal[1] = 1
    environment: str
    set_at: AwareDatetime
    run_ids: tuple[str, ...] = Field(min_length=FEWEST)
    machine: Machine
    rows: PositiveInt
    seconds: PositiveFloat
    spread: float = Field(ge=0)
    stages: dict[str, float]
    peak_mb: float


def machine_of(host: Host, python: str) -> Machine:
    """Return what of a run's machine must be alike; `python` is its full version."""
    minor = ".".join(python.split(".")[:2])
    return Machine(system=host.system, cpus=host.cpus, memory_gb=round(host.memory_mb / 1000), python=minor)


def baseline_path(runs: Path, environment: str) -> Path:
    """Return where the baseline of an environment lies."""
    return runs / f"baseline-{environment}.json"


def read_baseline(runs: Path, environment: str) -> Baseline | None:
    """Return the baseline of an environment, or None; raises ConfigError when the file is none."""
    path = baseline_path(runs, environment)
    try:
        return Baseline.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValidationError, UnicodeDecodeError):
        raise ConfigError(f"{path}: this is no baseline. Set it anew with: python -m etl baseline set") from None


def set_baseline(loaded: LoadedSettings, now: datetime) -> Baseline:
    """Make the baseline of the newest comparable runs and keep it; raises ConfigError when there are too few."""
    runs = loaded.values.runs.path
    chosen = comparable_runs(history(runs), loaded.environment, loaded.values.performance)
    if len(chosen) < FEWEST:
        raise ConfigError(
            f"{runs}: {len(chosen)} comparable run(s) of environment {loaded.environment!r}, a baseline takes {FEWEST}. "
            "Run more often on the same machine with about the same number of rows."
        )
    baseline = make_baseline(chosen, now)
    text = baseline.model_dump_json(indent=2) + "\n"
    baseline_path(runs, loaded.environment).write_text(text, encoding="utf-8", newline="\n")
    return baseline


def comparable_runs(records: Iterable[RunRecord], environment: str, settings: PerformanceSettings) -> list[RunRecord]:
    """Return the newest runs that compare with the last good one, oldest first, at most `settings.baseline_runs`."""
    good = [one for one in records if one.environment == environment and one.outcome in ("success", "warnings")]
    whole = [one for one in good if one.resumed is None and one.rows.read]
    alike = [one for one in whole if _compares(one, whole[-1].rows.read, _machine(whole[-1]))]
    return alike[-settings.baseline_runs :]


def make_baseline(runs: list[RunRecord], now: datetime) -> Baseline:
    """Return the baseline of some comparable runs."""
    seconds = [one.seconds for one in runs]
    median = statistics.median(seconds)
    names = [stage.name for stage in runs[-1].stages]
    return Baseline(
        environment=runs[-1].environment, set_at=now, run_ids=tuple(one.run_id for one in runs), machine=_machine(runs[-1]),
        rows=round(statistics.median(one.rows.read for one in runs)), seconds=median,
        spread=statistics.median(abs(one - median) for one in seconds),
        stages={name: statistics.median(_stage_seconds(one, name) for one in runs) for name in names},
        peak_mb=statistics.median(one.peak_mb for one in runs),
    )  # fmt: skip


def why_not_comparable(record: RunRecord, baseline: Baseline) -> str | None:
    """Return in words why a run does not compare with a baseline, or None when it does."""
    if record.resumed is not None:
        return "it went on with another run"
    if _machine(record) != baseline.machine:
        return "it ran on another machine or Python"
    if not _compares(record, baseline.rows, baseline.machine):
        return f"it read {record.rows.read:,} rows, the baseline about {baseline.rows:,}"
    return None


def with_baseline(record: RunRecord, loaded: LoadedSettings) -> RunRecord:
    """Return the record with the verdict of its environment's baseline; a slow run gets a warning."""
    try:
        baseline = read_baseline(loaded.values.runs.path, loaded.environment)
    except ConfigError as error:
        return record.warned([str(error)])
    if baseline is None or record.outcome not in ("success", "warnings") or why_not_comparable(record, baseline):
        return record
    limits = loaded.values.performance
    ratio = record.seconds / baseline.seconds
    slow = ratio > limits.slower_factor and record.seconds - baseline.seconds > limits.slower_seconds
    verdict = BaselineVerdict(ratio=round(ratio, 3), slow=slow, seconds=baseline.seconds, runs=len(baseline.run_ids))
    text = f"the run took {ratio:.1f} times its baseline; performance.slower_factor is {limits.slower_factor:g}"
    return record.warned([text] if slow else [], baseline=verdict)


def _compares(record: RunRecord, rows: int, machine: Machine) -> bool:
    return abs(record.rows.read - rows) <= ROWS_APART * rows and _machine(record) == machine


def _machine(record: RunRecord) -> Machine:
    return machine_of(record.host, record.versions["python"])


def _stage_seconds(record: RunRecord, name: str) -> float:
    stage = record.stage(name)
    return stage.seconds if stage else 0.0
