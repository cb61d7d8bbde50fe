"""The pipeline: takes batches from the source through the stages to the warehouse and records what happened.

While a batch is loaded, the next one is read and transformed. A batch and its checkpoint are committed together; whoever
runs the same input after a kill goes on behind the last committed batch.
"""

import hashlib
import secrets
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Literal
from uuid import UUID, uuid4

import pandas as pd
from pydantic import ValidationError

from etl import __version__
from etl.alerts import send_alerts, with_alerts
from etl.baseline import with_baseline
from etl.config import LoadedSettings, as_text
from etl.errors import ConfigError, PipelineError, ThresholdError
from etl.extract import CsvSource, InputFacts
from etl.health import check_before_run
from etl.log import log_run, logger
from etl.progress import Progress, Step, Stopwatch, cpu_seconds
from etl.quarantine import Quarantine, refused_rows, rejected_rows
from etl.record import AlertRecord, ComponentRecord, Operation, Resumed, RunRecord, new_run_id, write_record
from etl.recording import Ended, describe_fault, make_record
from etl.references import References, load_references
from etl.rules import REFUSED
from etl.transform import Knowledge, transform
from etl.warehouse import AuditRow, Checkpoint, Health, Loaded, Warehouse, open_warehouse

Resume = Literal["auto", "require", "never"]
_RESULTS = ("input.", "references.", "services.", "risk.")
"""Settings that change what is loaded; a run that differs in one of them starts from the first row."""


@dataclass
class _Run:
    """All that a run gathers until its record is written."""

    run_id: str
    folder: Path
    loaded: LoadedSettings
    started: datetime
    progress: Progress
    resume: Resume
    operation: Operation
    cpu_before: float = field(default_factory=cpu_seconds)
    batch_id: UUID = field(default_factory=uuid4)
    facts: InputFacts | None = None
    resumed: Resumed | None = None
    references: References | None = None
    before: Health | None = None
    after: Health | None = None
    health: tuple[ComponentRecord, ...] = ()
    error: BaseException | None = None
    watch: Stopwatch = field(default_factory=Stopwatch)
    """What is measured outside of batches."""

    @property
    def quarantine(self) -> Quarantine:
        return Quarantine(self.folder)


def run(loaded: LoadedSettings, quiet: bool = False, resume: Resume = "auto", resubmission: bool = False) -> RunRecord:
    """Run the pipeline and return its record, which also lies in the runs folder.

    A failure does not raise: it stands in the record with its exit code. `quiet` keeps the terminal free of log lines.
    `resume` says what to do with a load of the same input that did not end: go on with it (`auto`), insist on that
    (`require`), or start from the first row (`never`). A `resubmission` brings corrected rows of earlier runs.
    """
    started = datetime.now(UTC)
    runs = loaded.values.runs.path
    run_id = new_run_id(started, secrets.token_hex(1)[0])
    folder = runs / run_id
    folder.mkdir(parents=True)
    operation: Operation = "resubmit" if resubmission else "upsert"
    state = _Run(run_id, folder, loaded, started, Progress.start("", started), resume, operation)
    with log_run(folder, run_id, loaded.values, quiet) as loss:
        logger().info("run started", environment=loaded.environment, version=__version__)
        try:
            _process_input(state)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - every end of a run is recorded, whatever it was
            state.error = state.error or error
        record = with_baseline(make_record(_ended(state)), loaded)
        record = with_alerts(record, _alert(loaded, record)).warned(loss.warnings)
        write_record(record, runs)
    return record


def _alert(loaded: LoadedSettings, record: RunRecord) -> tuple[AlertRecord, ...]:
    """Send what has to be told, and log what became of it."""
    alerts = send_alerts(loaded, record, datetime.now(UTC))
    for one in alerts:
        if one.outcome == "sent":
            logger().info("alert sent", signal=one.signal, severity=one.severity)
        elif one.outcome == "failed":
            logger().error("alert failed", signal=one.signal, severity=one.severity, error=one.error_class or "unknown")
    return alerts


def _process_input(state: _Run) -> None:
    with state.watch.observe("load"):  # first of all, so that every failure after it is audited
        opened = open_warehouse(state.loaded.values.warehouse)
    with opened as warehouse:
        with state.watch.observe("load"):
            warehouse.prepare()
            state.before = warehouse.health()
            warehouse.begin_audit(_audit_row(state, "running", None))
        try:
            with state.watch.observe("record"):
                state.health = check_before_run(state.loaded, state.started, warehouse)
            _load_input(state, warehouse)
        except BaseException as error:
            state.error = error
            with suppress(PipelineError):  # what ended the run may keep the books from being closed; it is what has to be told
                _close_books(state, warehouse)
            raise
        _close_books(state, warehouse)


def _load_input(state: _Run, warehouse: Warehouse) -> None:
    settings = state.loaded.values
    with state.watch.observe("extract"):
        source = CsvSource(settings.input.path, settings.input)
        state.facts = source.facts
    with state.watch.observe("enrich"):
        state.references = load_references(settings.references, settings.services)
    with state.references as references:
        _take_up(state, warehouse, source.facts)
        knowledge = Knowledge(references, settings.risk, state.progress.as_of.date())
        _load_batches(state, source, knowledge, warehouse)


def _take_up(state: _Run, warehouse: Warehouse, facts: InputFacts) -> None:
    """Go on where an earlier run of the same input has stopped, unless told otherwise."""
    key = _resume_key(state.loaded, facts)
    state.progress.key = key
    found = warehouse.checkpoint() if state.resume != "never" else None
    earlier = _progress_of(found, key) if found else None
    if found and earlier and state.quarantine.take_over(state.folder.parent / found.run_id, earlier.quarantined_bytes):
        state.progress = earlier
        state.resumed = Resumed(run_id=found.run_id, line=found.line, rows=earlier.read)
        logger().info("run resumed", from_run=found.run_id, rows=earlier.read)
    elif state.resume == "require":
        raise ConfigError("There is no unfinished run of this input with these settings. Run without --resume.")
    elif found:
        logger().warning("run restarted", from_run=found.run_id)


def _resume_key(loaded: LoadedSettings, facts: InputFacts) -> str:
    values = {name: entry["value"] for name, entry in as_text(loaded).items() if name.startswith(_RESULTS)}
    values.pop("input.batch_size"), values.pop("input.path")
    return hashlib.sha256(repr((facts.sha256, __version__, sorted(values.items()))).encode()).hexdigest()


def _progress_of(checkpoint: Checkpoint, key: str) -> Progress | None:
    """Return the progress that a checkpoint keeps, or None when it is damaged or of another input."""
    try:
        progress = Progress.model_validate_json(checkpoint.state)
    except ValidationError:
        return None
    return progress if progress.key == key else None


def _load_batches(state: _Run, source: CsvSource, knowledge: Knowledge, warehouse: Warehouse) -> None:
    """Transform the batches here while one thread reads the next and another loads the last, in order, one waiting at most."""
    with ThreadPoolExecutor(1, "load") as loader, ThreadPoolExecutor(1, "extract") as reader:
        under_way: Future[None] | None = None
        for step in _steps(state, source, knowledge, reader):
            if under_way:
                under_way.result()
            under_way = loader.submit(copy_context().run, _load, state, step, warehouse)
        if under_way:
            under_way.result()


def _steps(state: _Run, source: CsvSource, knowledge: Knowledge, reader: Executor) -> Iterator[Step]:
    """Yield each batch transformed, with the time that each stage took."""
    batches = source.batches(state.loaded.values.input.batch_size, after=state.progress.line)

    def read() -> tuple[pd.DataFrame | None, Stopwatch]:
        watch = Stopwatch(state.watch.started)
        with watch.observe("extract"):
            return next(batches, None), watch

    coming = reader.submit(copy_context().run, read)
    for number in count(state.progress.batches + 1):
        batch, watch = coming.result()
        if batch is None:
            return
        coming = reader.submit(copy_context().run, read)
        done = transform(batch, knowledge, watch.observe)
        yield Step(number, int(batch["_line"].iloc[-1]), len(batch), done, watch)


def _load(state: _Run, step: Step, warehouse: Warehouse) -> None:
    """Load one batch; everything it changes is committed with its checkpoint."""
    before = state.progress
    counted = before.after(step)
    rejected = list(rejected_rows(step.done.rejected))
    counted.quarantined_bytes = state.quarantine.put(rejected, before.quarantined_bytes)
    state.progress = counted
    _stop_above_limit(state)
    watch = Stopwatch(state.watch.started)

    def settle(loaded: Loaded) -> Checkpoint:
        refused = refused_rows(step.done.accepted, loaded.refused, REFUSED)
        state.progress = counted.settled(step, loaded)
        if loaded.refused:
            state.progress.quarantined_bytes = state.quarantine.put([*rejected, *refused], before.quarantined_bytes)
        return _checkpoint(state)

    with watch.observe("load"):
        loaded = warehouse.load(step.done.accepted, state.progress.as_of, settle)
    state.progress.time(watch)
    seconds = sum(step.watch.seconds.values()) + watch.seconds["load"]
    state.progress.batch_seconds.append(round(seconds, 4))
    rejects = len(rejected) + len(loaded.refused)
    logger().info("batch loaded", batch=step.number, rows=step.read, rejected=rejects, **loaded.counts._asdict())
    logger().info("rows loaded", batch=step.number, rejected=rejects, **loaded.counts._asdict())
    times = {name: round(taken, 4) for name, taken in (step.watch.seconds | watch.seconds).items()}
    logger().info("batch timed", batch=step.number, rows=step.read, seconds=times)


def _checkpoint(state: _Run) -> Checkpoint:
    assert state.facts is not None
    progress = state.progress.model_copy()
    progress.seconds += (datetime.now(UTC) - state.started).total_seconds()
    progress.cpu_seconds += cpu_seconds() - state.cpu_before
    return Checkpoint(state.run_id, state.facts.sha256, progress.line, datetime.now(UTC), progress.model_dump_json())


def _stop_above_limit(state: _Run) -> None:
    share, limit = state.progress.rejects_share, state.loaded.values.quality.rejects_stop
    if share > limit:
        raise ThresholdError(
            f"{state.progress.quarantined} of {state.progress.read} rows were rejected "
            f"({share:.1%}; quality.rejects_stop is {limit:.1%}). "
            "Look at the rules they broke on the run's page, correct the file and start again."
        )


def _close_books(state: _Run, warehouse: Warehouse) -> None:
    """Complete the audit row and look at the warehouse once more, whether the run went well or not."""
    with state.watch.observe("record"):
        outcome = "failed" if isinstance(state.error, Exception) else "interrupted" if state.error else "success"
        warehouse.end_audit(_audit_row(state, outcome, datetime.now(UTC)))
        state.after = warehouse.health()
    state.progress.flows["record"].batches = 1


def _audit_row(state: _Run, outcome: str, ended: datetime | None) -> AuditRow:
    progress = state.progress
    message = describe_fault(state.error).message if state.error else None
    return AuditRow(
        state.batch_id, state.operation, outcome, progress.read, sum(progress.upserts), progress.quarantined,
        state.started, ended, message and message[:1000], __version__,
    )  # fmt: skip


def _ended(state: _Run) -> Ended:
    progress = state.progress
    progress.time(state.watch)
    progress.seconds += (datetime.now(UTC) - state.started).total_seconds()
    progress.cpu_seconds += cpu_seconds() - state.cpu_before
    return Ended(
        state.run_id, state.batch_id, state.operation, state.loaded, state.started, datetime.now(UTC), progress,
        state.facts, state.resumed, state.references, state.before, state.after, state.health, state.error,
    )  # fmt: skip
