"""Progress: all that a load has counted so far. It is the state of a checkpoint, so a resumed run ends with the figures of
one that was never disturbed. It holds no personal data."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import psutil
from pydantic import AwareDatetime, BaseModel

from etl.log import in_stage, logger
from etl.rules import REFUSED
from etl.stages import STAGES
from etl.transform import Tally, Transformed
from etl.warehouse import Loaded, UpsertCounts

MB = 1_000_000
_process = psutil.Process()


def cpu_seconds() -> float:
    """Return the processor time this process has used, in user and system mode."""
    times = _process.cpu_times()
    return times.user + times.system


@dataclass
class Stopwatch:
    """Seconds and largest resident memory (MB) by stage. The log says when a stage not in `started` begins."""

    started: set[str] = field(default_factory=set)
    """Stages that have begun; the stopwatches of one run share it."""

    seconds: dict[str, float] = field(default_factory=dict)
    peak_mb: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def observe(self, stage: str) -> Iterator[None]:
        """Add the seconds spent inside to the stage, write its name on what is logged there, and look at the memory when leaving."""
        begin = time.perf_counter()
        try:
            with in_stage(stage):
                if stage not in self.started:
                    self.started.add(stage)
                    logger().info("stage started")
                yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - begin
            self.peak_mb[stage] = max(self.peak_mb.get(stage, 0.0), _process.memory_info().rss / MB)


@dataclass(frozen=True)
class Step:
    """A batch that went through all stages but the last: its number, its last line, rows read, and what came of them."""

    number: int
    line: int
    read: int
    done: Transformed
    watch: Stopwatch


class Flow(BaseModel):
    """What has gone through one stage: rows_in = rows_out + rows_rejected. Seconds are busy ones; stages overlap."""

    rows_in: int = 0
    rows_out: int = 0
    rows_rejected: int = 0
    seconds: float = 0.0
    batches: int = 0
    peak_mb: float = 0.0

    def count(self, rows_in: int, rows_rejected: int = 0) -> None:
        """Count a batch."""
        self.rows_in += rows_in
        self.rows_rejected += rows_rejected
        self.rows_out += rows_in - rows_rejected
        self.batches += 1


class Progress(BaseModel):
    """What a load has counted; `as_of` (UTC) is the start of the run that began it and dates all its rows."""

    key: str
    """What must be the same for a resumed run to go on: input, settings that change results, version."""
    as_of: AwareDatetime
    line: int = 1
    batches: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    flows: dict[str, Flow] = {}
    tallies: dict[str, Tally] = {}
    sources: dict[str, dict[str, int]] = {}
    risk: dict[str, int] = dict.fromkeys(("Low", "Medium", "High"), 0)
    businesses: int = 0
    upserts: UpsertCounts = UpsertCounts()
    quarantined_bytes: int = 0
    batch_seconds: list[float] = []
    """Busy seconds of each batch."""

    @classmethod
    def start(cls, key: str, as_of: datetime) -> "Progress":
        """Return the progress of a load that has not begun."""
        return cls(key=key, as_of=as_of, flows={stage.name: Flow() for stage in STAGES})

    def time(self, watch: Stopwatch) -> None:
        """Add what a stopwatch has measured."""
        for stage, seconds in watch.seconds.items():
            self.flows[stage].seconds += seconds
            self.flows[stage].peak_mb = max(self.flows[stage].peak_mb, watch.peak_mb[stage])

    def after(self, step: Step) -> "Progress":
        """Return the progress with a batch counted that is not loaded yet."""
        new = self.model_copy(deep=True)
        new.line, new.batches = step.line, step.number
        new.flows["extract"].count(step.read)
        new.flows["validate"].count(step.read, len(step.done.rejected))
        for stage in ("enrich", "score"):
            new.flows[stage].count(len(step.done.accepted))
        for rule_id, tally in step.done.tallies.items():
            new.tallies[rule_id] = new.tallies.get(rule_id, Tally()).plus(tally)
        for lookup, counts in step.done.sources.items():
            known = new.sources.setdefault(lookup, {})
            for source, number in counts.items():
                known[source] = known.get(source, 0) + number
        new.time(step.watch)
        return new

    def settled(self, step: Step, loaded: Loaded) -> "Progress":
        """Return the progress with the batch loaded, but for the rows that were refused."""
        new = self.model_copy(deep=True)
        accepted = step.done.accepted
        new.flows["load"].count(len(accepted), len(loaded.refused))
        new.tallies[REFUSED] = new.tallies.get(REFUSED, Tally()).plus(Tally(len(accepted), len(loaded.refused)))
        kept = accepted.drop(index=list(loaded.refused)) if loaded.refused else accepted
        for band, number in kept["calculated_risk"].value_counts().items():
            new.risk[str(band)] += int(number)
        new.businesses += int(kept["is_business"].sum())
        new.upserts = new.upserts.plus(loaded.counts)
        return new

    @property
    def read(self) -> int:
        """Rows read."""
        return self.flows["extract"].rows_out

    @property
    def quarantined(self) -> int:
        """Rows rejected by a rule or refused by the warehouse."""
        return self.flows["validate"].rows_rejected + self.flows["load"].rows_rejected

    @property
    def rejects_share(self) -> float:
        """Share of the rows read that were quarantined, 0 when none was read."""
        return self.quarantined / self.read if self.read else 0.0
