"""The pipeline: takes batches from the source through the stages to the warehouse and records what happened."""

import platform
import secrets
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import duckdb
import pandas as pd
import psutil

from etl import __version__
from etl.config import LoadedSettings, as_text
from etl.errors import EXIT_INTERRUPTED, EXIT_SUCCESS, EXIT_UNEXPECTED, EXIT_WARNINGS, PipelineError, ThresholdError
from etl.extract import CsvSource, InputFacts
from etl.log import log_run, logger
from etl.quality import overall, score_dimensions
from etl.quarantine import Quarantine
from etl.record import (
    Code,
    DimensionRecord,
    Fault,
    Host,
    InputRecord,
    Outcome,
    Quality,
    Rows,
    RuleRecord,
    RunRecord,
    SettingValue,
    StageRecord,
    WarehouseRecord,
    new_run_id,
    write_record,
)
from etl.references import load_references
from etl.repository import code_version
from etl.stages import STAGES
from etl.transform import Knowledge, Tally, Transformed, transform
from etl.warehouse import AuditRow, DuckDBWarehouse, Health, UpsertCounts, open_warehouse

MB = 1_000_000
_process = psutil.Process()


def _cpu_seconds() -> float:
    times = _process.cpu_times()
    return times.user + times.system


@dataclass
class _Flow:
    """What has gone through one stage so far."""

    rows_in: int = 0
    rows_out: int = 0
    rows_rejected: int = 0
    seconds: float = 0.0
    batches: int = 0
    peak_mb: float = 0.0

    def count(self, rows_in: int, rows_rejected: int = 0) -> None:
        self.rows_in += rows_in
        self.rows_rejected += rows_rejected
        self.rows_out += rows_in - rows_rejected


@dataclass
class _Run:
    """All that a run gathers until its record is written."""

    run_id: str
    folder: Path
    loaded: LoadedSettings
    started: datetime
    cpu_before: float = field(default_factory=_cpu_seconds)
    batch_id: UUID = field(default_factory=uuid4)
    flows: dict[str, _Flow] = field(default_factory=lambda: {stage.name: _Flow() for stage in STAGES})
    tallies: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    sources: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))
    risk: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("Low", "Medium", "High"), 0))
    upserts: UpsertCounts = field(default_factory=UpsertCounts)
    businesses: int = 0
    facts: InputFacts | None = None
    before: Health | None = None
    after: Health | None = None
    error: BaseException | None = None
    warnings: list[str] = field(default_factory=list)

    @contextmanager
    def observe(self, stage: str) -> Iterator[None]:
        """Add the seconds spent inside to the stage, and look at the memory when leaving."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            flow = self.flows[stage]
            flow.seconds += time.perf_counter() - begin
            flow.peak_mb = max(flow.peak_mb, _process.memory_info().rss / MB)


def run(loaded: LoadedSettings, quiet: bool = False) -> RunRecord:
    """Run the pipeline and return its record, which also lies in the runs folder.

    A failure does not raise: it stands in the record with its exit code. `quiet` keeps the terminal free of log lines.
    """
    started = datetime.now(UTC)
    runs = loaded.values.runs.path
    run_id = new_run_id(started, secrets.token_hex(3))
    folder = runs / run_id
    folder.mkdir(parents=True)
    state = _Run(run_id, folder, loaded, started)
    with log_run(folder, run_id, quiet):
        logger().info("run started", environment=loaded.environment, version=__version__)
        try:
            _process_input(state)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - every end of a run is recorded, whatever it was
            state.error = state.error or error
        record = _conclude(state)
        write_record(record, runs)
    return record


def _process_input(state: _Run) -> None:
    with open_warehouse(state.loaded.values.warehouse) as warehouse:  # first of all, so that every failure after it is audited
        try:
            warehouse.prepare()
            state.before = warehouse.health()
            _process_batches(state, warehouse)
        except BaseException as error:
            state.error = error
            raise
        finally:
            _close_books(state, warehouse)


def _process_batches(state: _Run, warehouse: DuckDBWarehouse) -> None:
    settings = state.loaded.values
    with state.observe("extract"):
        source = CsvSource(settings.input.path, settings.input)
        state.facts = source.facts
    with state.observe("enrich"):
        references = load_references(settings.references)
    knowledge = Knowledge(references, settings.risk, state.started.date())
    quarantine = Quarantine(state.folder)
    for batch in _observed(source.batches(settings.input.batch_size), state):
        _process_batch(state, batch, knowledge, quarantine, warehouse)


def _observed(batches: Iterator[pd.DataFrame], state: _Run) -> Iterator[pd.DataFrame]:
    """Yield the batches, timing what the source takes for each."""
    while True:
        with state.observe("extract"):
            batch = next(batches, None)
        if batch is None:
            return
        state.flows["extract"].count(len(batch))
        state.flows["extract"].batches += 1
        yield batch


def _process_batch(
    state: _Run, batch: pd.DataFrame, knowledge: Knowledge, quarantine: Quarantine, warehouse: DuckDBWarehouse
) -> None:
    done = transform(batch, knowledge, state.observe)
    quarantine.add(done.rejected)
    _count(state, len(batch), done)
    _stop_above_limit(state)
    with state.observe("load"):
        upserted = warehouse.upsert(done.accepted, state.started)
    state.upserts = state.upserts.plus(upserted)
    state.flows["load"].count(len(done.accepted))
    for band, number in done.accepted["calculated_risk"].value_counts().items():
        state.risk[str(band)] += int(number)
    state.businesses += int(done.accepted["is_business"].sum())
    logger().info("batch loaded", rows=len(batch), rejected=len(done.rejected), **upserted._asdict())


def _count(state: _Run, read: int, done: Transformed) -> None:
    state.flows["validate"].count(read, len(done.rejected))
    for stage in ("enrich", "score"):
        state.flows[stage].count(len(done.accepted))
    for stage in ("validate", "enrich", "score", "load"):
        state.flows[stage].batches += 1
    for rule_id, tally in done.tallies.items():
        state.tallies[rule_id] = state.tallies[rule_id].plus(tally)
    for lookup, counts in done.sources.items():
        for source, number in counts.items():
            state.sources[lookup][source] += number


def _rejects_share(state: _Run) -> float:
    flow = state.flows["validate"]
    return flow.rows_rejected / flow.rows_in if flow.rows_in else 0.0


def _stop_above_limit(state: _Run) -> None:
    share, limit = _rejects_share(state), state.loaded.values.quality.rejects_stop
    if share > limit:
        flow = state.flows["validate"]
        raise ThresholdError(
            f"{flow.rows_rejected} of {flow.rows_in} rows were rejected ({share:.1%}; quality.rejects_stop is {limit:.1%}). "
            "Look at the rules they broke on the run's page, correct the file and start again."
        )


def _close_books(state: _Run, warehouse: DuckDBWarehouse) -> None:
    """Write the audit row and look at the warehouse once more, whether the run went well or not."""
    with state.observe("record"):
        warehouse.audit(
            AuditRow(
                state.batch_id, "upsert", state.flows["extract"].rows_out, sum(state.upserts),
                state.flows["validate"].rows_rejected, state.started, datetime.now(UTC),
                _fault(state.error).message if state.error else None, __version__,
            )
        )  # fmt: skip
        state.after = warehouse.health()
    state.flows["record"].batches = 1


def _fault(error: BaseException) -> Fault:
    if isinstance(error, PipelineError):
        return Fault(error_class=type(error).__name__, message=str(error), runbook=error.runbook)
    if isinstance(error, KeyboardInterrupt):
        return Fault(error_class="Interrupted", message="Stopped by hand. Start again: no row loads twice.", runbook="run-killed")
    return Fault(error_class=type(error).__name__, message=f"Unexpected, at {_where(error)}", runbook="unexpected-error")


def _where(error: BaseException) -> str:
    """Return the last place in our own code; the message of a foreign error can quote a row, so it is not kept."""
    place, trace = "start", error.__traceback__
    while trace:
        path = Path(trace.tb_frame.f_code.co_filename)
        if path.parent == Path(__file__).parent:
            place = f"etl/{path.name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _conclude(state: _Run) -> RunRecord:
    ended = datetime.now(UTC)
    commit, dirty = code_version(Path(__file__).parent)
    quality = _quality(state, ended) if state.error is None else None
    exit_code, outcome = _judge(state, quality)
    fault = _fault(state.error) if state.error else None
    for name, flow in state.flows.items():
        if flow.batches:
            logger().info(
                "stage ended", stage=name, rows_in=flow.rows_in, rejected=flow.rows_rejected, seconds=round(flow.seconds, 3)
            )
    if fault:
        logger().error("run failed", error=fault.error_class, message=fault.message, runbook=fault.runbook)
    else:
        logger().info("run ended", outcome=outcome)
    return RunRecord(
        run_id=state.run_id, batch_id=str(state.batch_id), environment=state.loaded.environment,
        outcome=outcome, exit_code=exit_code, warnings=tuple(state.warnings), fault=fault,
        started_at=state.started, ended_at=ended, seconds=(ended - state.started).total_seconds(),
        cpu_seconds=round(_cpu_seconds() - state.cpu_before, 3), peak_mb=max(flow.peak_mb for flow in state.flows.values()),
        versions=_versions(), code=Code(commit=commit, dirty=dirty),
        host=Host(system=platform.system(), cpus=psutil.cpu_count() or 0, memory_mb=psutil.virtual_memory().total // MB),
        settings={name: SettingValue(**entry) for name, entry in as_text(state.loaded).items()},
        input=InputRecord(**asdict(state.facts)) if state.facts else None,
        rows=_rows(state),
        stages=tuple(StageRecord(name=name, **_rounded(flow)) for name, flow in state.flows.items() if flow.batches),
        rules={rule_id: RuleRecord(**tally._asdict()) for rule_id, tally in state.tallies.items()},
        quality=quality,
        enrichment={lookup: dict(counts) for lookup, counts in state.sources.items()},
        risk=state.risk, businesses=state.businesses,
        warehouse=_warehouse_record(state),
    )  # fmt: skip


def _rows(state: _Run) -> Rows:
    read, loaded, quarantined = state.flows["extract"].rows_out, sum(state.upserts), state.flows["validate"].rows_rejected
    return Rows(
        read=read, loaded=loaded, **state.upserts._asdict(), quarantined=quarantined, held_back=read - loaded - quarantined
    )


def _versions() -> dict[str, str]:
    versions = {"handover": __version__, "python": platform.python_version()}
    return versions | {"pandas": pd.__version__, "duckdb": duckdb.__version__}


def _rounded(flow: _Flow) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(flow).items()}


def _quality(state: _Run, now: datetime) -> Quality | None:
    if state.facts is None or not state.flows["extract"].rows_out:
        return None
    settings = state.loaded.values
    scores = score_dimensions(state.tallies, settings.quality, state.facts.made_at, now, settings.input.promised_age)
    measured = [score.score for score in scores if score.score is not None]
    return Quality(
        overall=overall(scores), mean=round(sum(measured) / len(measured), 2) if measured else None,
        dimensions=tuple(DimensionRecord(**asdict(score)) for score in scores),
    )  # fmt: skip


def _judge(state: _Run, quality: Quality | None) -> tuple[int, Outcome]:
    """Return exit code and outcome; adds to the run's warnings."""
    if isinstance(state.error, KeyboardInterrupt):
        return EXIT_INTERRUPTED, "interrupted"
    if state.error is not None:
        return (state.error.exit_code if isinstance(state.error, PipelineError) else EXIT_UNEXPECTED), "failed"
    limit = state.loaded.values.quality.rejects_warn
    if (share := _rejects_share(state)) > limit:
        state.warnings.append(f"{share:.1%} of the rows were rejected; quality.rejects_warn is {limit:.1%}")
    if not state.flows["extract"].rows_out:
        state.warnings.append("the input held no rows")
    for part in quality.dimensions if quality else ():
        if part.state == "red":
            state.warnings.append(f"{part.dimension} is {part.score:g}, below its minimum of {part.minimum:g}")
    return (EXIT_WARNINGS, "warnings") if state.warnings else (EXIT_SUCCESS, "success")


def _warehouse_record(state: _Run) -> WarehouseRecord | None:
    if state.before is None or state.after is None:
        return None
    return WarehouseRecord(
        server=state.after.server, rows_before=state.before.rows, rows_after=state.after.rows, audit_rows=state.after.audit_rows
    )
