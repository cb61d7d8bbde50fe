"""The run record: what really happened in a run, without personal data. The only door to the generators.

Times are UTC with offset, durations seconds, memory megabytes (1,000,000 bytes), scores per cent.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, ValidationError

from etl.errors import EXIT_WARNINGS
from etl.failures import Severity

SCHEMA_VERSION = 1
FILE_NAME = "run.json"
LATEST = "latest.json"

HealthState = Literal["ok", "warning", "failed", "off"]
Operation = Literal["upsert", "resubmit"]
Outcome = Literal["success", "warnings", "failed", "interrupted"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Fault(_Part):
    """Why a run did not end well. The message of an unexpected error is left out: it can quote data."""

    error_class: str
    message: str
    runbook: str = Field(description="Anchor of the runbook section that helps")


class SettingValue(_Part):
    """A setting as it was, and where the value came from."""

    value: str
    origin: str


class InputRecord(_Part):
    """The input as it was found."""

    name: str
    bytes: NonNegativeInt
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    made_at: AwareDatetime
    encoding: str
    delimiter: str
    columns: tuple[str, ...]
    unknown_columns: tuple[str, ...]


class StageRecord(_Part):
    """What went through a stage: rows_in = rows_out + rows_rejected. Seconds are busy ones; stages overlap."""

    name: str
    rows_in: NonNegativeInt
    rows_out: NonNegativeInt
    rows_rejected: NonNegativeInt
    seconds: NonNegativeFloat
    batches: NonNegativeInt
    peak_mb: NonNegativeFloat = Field(description="Largest resident memory of the process when a batch left the stage")
    rate: NonNegativeFloat | None = Field(None, description="Rows in for each busy second; none where no row or no time was seen")


class BatchTimes(_Part):
    """Busy seconds of the batches."""

    median: NonNegativeFloat
    p95: NonNegativeFloat
    longest: NonNegativeFloat


class Resumed(_Part):
    """Which run this one went on with, behind which line, after how many rows."""

    run_id: str
    line: NonNegativeInt
    rows: NonNegativeInt


class Rows(_Part):
    """Where the rows went.

    read = loaded + quarantined + held_back, and loaded = inserted + updated + unchanged. Rows are held back only when a run
    stops: they were good, and the batch they are in was not loaded.
    """

    read: NonNegativeInt
    loaded: NonNegativeInt
    inserted: NonNegativeInt
    updated: NonNegativeInt
    unchanged: NonNegativeInt
    quarantined: NonNegativeInt
    held_back: NonNegativeInt


class RuleRecord(_Part):
    """How many rows a rule was about and how many broke it."""

    applicable: NonNegativeInt
    violations: NonNegativeInt


class DimensionRecord(_Part):
    """The score of a quality dimension with its range; no score when nothing was measured."""

    dimension: str
    score: float | None = Field(ge=0, le=100)
    target: float
    minimum: float
    state: Literal["green", "amber", "red", "not measured"]
    worst_rule: str | None


class Quality(_Part):
    """The scores of a run. Overall is the lowest dimension; the mean stands beside it."""

    overall: float | None
    mean: float | None
    dimensions: tuple[DimensionRecord, ...]


class ServiceRecord(_Part):
    """How a live service answered. calls = succeeded + failed; a call is one request, so retries are calls too."""

    calls: NonNegativeInt
    succeeded: NonNegativeInt
    failed: dict[str, NonNegativeInt] = Field(description="Failed calls by kind")
    retries: NonNegativeInt
    refused: NonNegativeInt = Field(description="Calls not made because the breaker was open")
    breaker_openings: NonNegativeInt
    keys_asked: NonNegativeInt = Field(description="Postcodes or companies the service was to be asked about, retries apart")
    keys_failed: NonNegativeInt = Field(description="Those of them that got no answer")
    keys_cached: NonNegativeInt = Field(description="Postcodes or companies that the cache answered")
    p50: NonNegativeFloat | None = Field(description="Median seconds of a call; None when there was none")
    p95: NonNegativeFloat | None
    p99: NonNegativeFloat | None

    @property
    def success(self) -> float | None:
        """Share of calls that succeeded, None when there was none."""
        return self.succeeded / self.calls if self.calls else None


class WarehouseRecord(_Part):
    """The warehouse before and after."""

    server: str
    rows_before: NonNegativeInt
    rows_after: NonNegativeInt
    audit_rows: NonNegativeInt


class ComponentRecord(_Part):
    """The state of one component that runs depend on. The texts hold no personal data and no secret."""

    name: str
    state: HealthState
    told: str = Field(description="What was found")
    advice: str = Field(description="What to do about it")
    runbook: str = Field(description="Anchor of the runbook section that helps")
    exit_code: NonNegativeInt = Field(description="What a run would end with because of it")
    seconds: NonNegativeFloat


class HealthRecord(_Part):
    """One look at all components."""

    environment: str
    checked_at: AwareDatetime
    components: tuple[ComponentRecord, ...]


class BaselineVerdict(_Part):
    """How long the run took against the baseline of its environment."""

    ratio: NonNegativeFloat = Field(description="Seconds of this run divided by those of the baseline")
    slow: bool = Field(description="Whether that is more than the settings allow")
    seconds: NonNegativeFloat = Field(description="Median seconds of the runs of the baseline")
    runs: NonNegativeInt = Field(description="How many runs the baseline is made of")


class AlertRecord(_Part):
    """What became of one alert: what it was about, whether it was sent, and if not, why. No address and no answer of a server."""

    at: AwareDatetime
    environment: str
    signal: str = Field(description="Id of the signal that was judged")
    cause: str = Field(description="What makes two alerts the same: the signal, and the class of the error where there is one")
    severity: Severity
    kind: Literal["alert", "resolved", "test"]
    outcome: Literal["sent", "suppressed", "failed", "off"] = Field(
        description="suppressed: told within the quiet time; off: the settings name no mail server"
    )
    error_class: str | None = Field(None, description="Class of the error when it failed")
    code: int | None = Field(None, description="SMTP code of the server's answer when it failed with one")
    refused: NonNegativeInt = Field(0, description="Receivers that the server refused although others got the mail")
    run_id: str | None = Field(description="The run it is about; none when a watcher from outside found it")


class Host(_Part):
    """What the run ran on; no machine or user name."""

    system: str
    cpus: NonNegativeInt
    memory_mb: NonNegativeFloat


class Code(_Part):
    """Which code ran. `dirty` when files differed from the commit."""

    commit: str | None
    dirty: bool | None
    content: dict[str, str] = Field(
        {}, description="Start of the SHA-256 of each file of the pipeline and of its reference data; empty in older records"
    )


class RunRecord(_Part):
    """One run of the pipeline."""

    schema_version: Literal[1] = 1
    run_id: str = Field(
        pattern=r"^\d{8}T\d{6}Z-[0-9a-f]{6}$", description="Start in UTC, its microsecond, one random digit; sorts by time"
    )
    batch_id: str = Field(description="The run's id in the audit table")
    environment: str
    operation: Operation = Field("upsert", description="resubmit: corrected rows of earlier runs")
    resumed: Resumed | None = Field(None, description="The unfinished run this one went on with; its rows are counted here too")
    outcome: Outcome
    exit_code: int
    warnings: tuple[str, ...] = Field(description="Why a run that ended is not a plain success")
    fault: Fault | None
    started_at: AwareDatetime
    ended_at: AwareDatetime
    seconds: NonNegativeFloat
    cpu_seconds: NonNegativeFloat
    peak_mb: NonNegativeFloat
    versions: dict[str, str]
    code: Code
    host: Host
    settings: dict[str, SettingValue]
    input: InputRecord | None
    rows: Rows
    stages: tuple[StageRecord, ...]
    batches: BatchTimes | None = None
    rules: dict[str, RuleRecord]
    quality: Quality | None
    enrichment: dict[str, dict[str, NonNegativeInt]] = Field(description="Rows by lookup and by source of what was found")
    services: dict[str, ServiceRecord] = Field({}, description="Live services that were switched on, by name")
    risk: dict[str, NonNegativeInt] = Field(description="Loaded rows by risk band")
    businesses: NonNegativeInt
    warehouse: WarehouseRecord | None
    health: tuple[ComponentRecord, ...] = Field((), description="What the look before the run found")
    baseline: BaselineVerdict | None = None
    alerts: tuple[AlertRecord, ...] = ()

    def warned(self, warnings: Sequence[str], **changes: object) -> "RunRecord":
        """Return the record with changes and more warnings; a plain success becomes one with warnings."""
        changes["warnings"] = (*self.warnings, *warnings)
        if warnings and self.outcome == "success":
            changes |= {"outcome": "warnings", "exit_code": EXIT_WARNINGS}
        return self.model_copy(update=changes)

    def stage(self, name: str) -> StageRecord | None:
        """Return the stage called `name`, or None when the run did not come that far."""
        return next((stage for stage in self.stages if stage.name == name), None)


def json_schema() -> dict[str, Any]:
    """Return the published JSON Schema (draft 2020-12) of a run record."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:handover:run-record:1",
        **RunRecord.model_json_schema(mode="serialization"),
    }


def write_record(record: RunRecord, runs: Path) -> Path:
    """Write the record to its run's folder and as the latest; return its path."""
    path = runs / record.run_id / FILE_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    for target in (path, runs / LATEST):
        # Written beside and moved into place, so that a reader never sees half a record.
        beside = target.with_suffix(".tmp")
        beside.write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8", newline="\n")
        beside.replace(target)
    return path


def read_record(path: Path) -> RunRecord:
    """Read a record; raises ValueError naming the file when it is none."""
    try:
        return RunRecord.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, ValidationError, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0]
        raise ValueError(f"{path}: no run record of version {SCHEMA_VERSION} ({first}). Move the folder away.") from None


def history(runs: Path) -> Iterator[RunRecord]:
    """Yield the records of all runs, oldest first."""
    for path in sorted(runs.glob(f"*/{FILE_NAME}")):
        yield read_record(path)


def unrecorded(runs: Path) -> list[Path]:
    """Return the folders of runs without a record, oldest first: they are under way, or were killed."""
    return [path for path in sorted(runs.glob("*Z-*")) if path.is_dir() and not (path / FILE_NAME).exists()]


def new_run_id(now: datetime, random: str) -> str:
    """Return the id of a run that starts `now` (UTC); it sorts by the microsecond. `random` is one hexadecimal digit."""
    return f"{now:%Y%m%dT%H%M%SZ}-{now.microsecond:05x}{random}"
