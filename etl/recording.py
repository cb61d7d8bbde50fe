"""Recording: makes the run record of what a run has gathered, and judges how it ended."""

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import numpy as np
import pandas as pd
import psutil
import pyarrow

from etl import __version__
from etl.config import LoadedSettings, as_text
from etl.errors import EXIT_INTERRUPTED, EXIT_SUCCESS, EXIT_UNEXPECTED, EXIT_WARNINGS, PipelineError, place_in_our_code
from etl.extract import InputFacts
from etl.log import logger
from etl.progress import MB, Flow, Progress
from etl.quality import overall, score_dimensions
from etl.record import (
    BatchTimes,
    Code,
    ComponentRecord,
    DimensionRecord,
    Fault,
    Host,
    InputRecord,
    Operation,
    Outcome,
    Quality,
    Resumed,
    Rows,
    RuleRecord,
    RunRecord,
    SettingValue,
    StageRecord,
    WarehouseRecord,
)
from etl.references import References
from etl.repository import code_version, content_of
from etl.warehouse import Health


@dataclass(frozen=True)
class Ended:
    """All that a run has gathered when it has ended, well or not. Times in UTC."""

    run_id: str
    batch_id: UUID
    operation: Operation
    loaded: LoadedSettings
    started: datetime
    ended: datetime
    progress: Progress
    facts: InputFacts | None
    resumed: Resumed | None
    references: References | None
    before: Health | None
    after: Health | None
    health: tuple[ComponentRecord, ...]
    error: BaseException | None


def make_record(run: Ended) -> RunRecord:
    """Return the record of a run and log how it ended."""
    progress = run.progress
    quality = _quality(run) if run.error is None else None
    warnings = _warnings(run, quality) if run.error is None else ()
    exit_code, outcome = _judge(run.error, warnings)
    fault = describe_fault(run.error) if run.error else None
    flows = {name: flow for name, flow in progress.flows.items() if flow.batches}
    _log_end(flows, outcome, fault)
    package, reference = Path(__file__).parent, run.loaded.values.references
    commit, dirty = code_version(package)
    return RunRecord(
        run_id=run.run_id, batch_id=str(run.batch_id), environment=run.loaded.environment, operation=run.operation, resumed=run.resumed,
        outcome=outcome, exit_code=exit_code, warnings=tuple(warnings), fault=fault,
        started_at=run.started, ended_at=run.ended, seconds=round(progress.seconds, 3),
        cpu_seconds=round(progress.cpu_seconds, 3), peak_mb=round(max(flow.peak_mb for flow in progress.flows.values()), 1),
        versions=_versions(), code=Code(commit=commit, dirty=dirty, content=content_of(package, (reference.postcodes, reference.companies))),
        host=Host(system=platform.system(), cpus=psutil.cpu_count() or 0, memory_mb=psutil.virtual_memory().total // MB),
        settings={name: SettingValue(**entry) for name, entry in as_text(run.loaded).items()},
        input=InputRecord(**asdict(run.facts)) if run.facts else None,
        rows=_rows(progress),
        stages=tuple(StageRecord(name=name, **_rounded(flow)) for name, flow in flows.items()),
        batches=_batch_times(progress.batch_seconds),
        rules={rule_id: RuleRecord(**tally._asdict()) for rule_id, tally in progress.tallies.items()},
        services=run.references.figures() if run.references else {},
        quality=quality, enrichment=progress.sources, risk=progress.risk, businesses=progress.businesses,
        health=run.health, warehouse=_warehouse_record(run),
    )  # fmt: skip


def describe_fault(error: BaseException) -> Fault:
    """Return what a record may say of an error: our own say it all, of others only the class and the place."""
    if isinstance(error, PipelineError):
        return Fault(error_class=type(error).__name__, message=str(error), runbook=error.runbook)
    if isinstance(error, KeyboardInterrupt):
        message = "Stopped by hand. Start again: it goes on behind the last batch that was committed."
        return Fault(error_class="Interrupted", message=message, runbook="run-killed")
    return Fault(
        error_class=type(error).__name__, message=f"Unexpected, at {place_in_our_code(error)}", runbook="unexpected-error"
    )


def _log_end(flows: dict[str, Flow], outcome: Outcome, fault: Fault | None) -> None:
    for name, flow in flows.items():
        rows = {"rows_in": flow.rows_in, "rows_out": flow.rows_out, "rows_rejected": flow.rows_rejected}
        logger().info("stage ended", stage=name, seconds=round(flow.seconds, 3), **rows)
    if fault:
        logger().error("run failed", error=fault.error_class, message=fault.message, runbook=fault.runbook)
    else:
        logger().info("run ended", outcome=outcome)


def _rows(progress: Progress) -> Rows:
    read, loaded, quarantined = progress.read, sum(progress.upserts), progress.quarantined
    counts = progress.upserts._asdict()
    return Rows(read=read, loaded=loaded, **counts, quarantined=quarantined, held_back=read - loaded - quarantined)


def _versions() -> dict[str, str]:
    versions = {"handover": __version__, "python": platform.python_version()}
    return versions | {"pandas": pd.__version__, "pyarrow": pyarrow.__version__, "duckdb": duckdb.__version__}


def _rounded(flow: Flow) -> dict[str, Any]:
    rate = round(flow.rows_in / flow.seconds, 1) if flow.rows_in and flow.seconds else None
    figures = {name: round(value, 4) if isinstance(value, float) else value for name, value in flow.model_dump().items()}
    return figures | {"rate": rate}


def _batch_times(seconds: Sequence[float]) -> BatchTimes | None:
    if not seconds:
        return None
    median, p95 = np.percentile(seconds, [50, 95])
    return BatchTimes(median=round(float(median), 4), p95=round(float(p95), 4), longest=max(seconds))


def _quality(run: Ended) -> Quality | None:
    if run.facts is None or not run.progress.read:
        return None
    settings = run.loaded.values
    tallies = run.progress.tallies
    scores = score_dimensions(tallies, settings.quality, run.facts.made_at, run.ended, settings.input.promised_age)
    measured = [score.score for score in scores if score.score is not None]
    return Quality(
        overall=overall(scores), mean=round(sum(measured) / len(measured), 2) if measured else None,
        dimensions=tuple(DimensionRecord(**asdict(score)) for score in scores),
    )  # fmt: skip


def _warnings(run: Ended, quality: Quality | None) -> list[str]:
    """Return why a run that loaded its input is not a plain success."""
    limit = run.loaded.values.quality.rejects_warn
    warnings = []
    if (share := run.progress.rejects_share) > limit:
        warnings.append(f"{share:.1%} of the rows were rejected; quality.rejects_warn is {limit:.1%}")
    if not run.progress.read:
        warnings.append("the input held no rows")
    if run.facts and run.facts.unknown_columns:
        warnings.append(f"{len(run.facts.unknown_columns)} column(s) of the input are not in the schema and were left out")
    warnings += run.references.warnings() if run.references else []
    for part in quality.dimensions if quality else ():
        if part.state == "red":
            warnings.append(f"{part.dimension} is {part.score:g}, below its minimum of {part.minimum:g}")
    return warnings


def _judge(error: BaseException | None, warnings: Sequence[str]) -> tuple[int, Outcome]:
    """Return exit code and outcome."""
    if isinstance(error, KeyboardInterrupt):
        return EXIT_INTERRUPTED, "interrupted"
    if error is not None:
        return (error.exit_code if isinstance(error, PipelineError) else EXIT_UNEXPECTED), "failed"
    return (EXIT_WARNINGS, "warnings") if warnings else (EXIT_SUCCESS, "success")


def _warehouse_record(run: Ended) -> WarehouseRecord | None:
    if run.before is None or run.after is None:
        return None
    return WarehouseRecord(
        server=run.after.server, rows_before=run.before.rows, rows_after=run.after.rows, audit_rows=run.after.audit_rows
    )
