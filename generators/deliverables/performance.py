"""Performance: the last run against its baseline, where the time goes, what was used, how it has been over the runs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from markupsafe import Markup

from etl.baseline import FEWEST, ROWS_APART, Baseline, comparable_runs, read_baseline, why_not_comparable
from etl.errors import EXIT_WARNINGS, ConfigError
from etl.record import RunRecord, StageRecord
from etl.signals import SIGNALS
from etl.stages import STAGES
from generators.context import Context
from generators.deliverable import Deliverable
from generators.trend import sparkline, usual_range

RUNS_IN_TREND = 30
ADVICE = {
    "extract": "Is the file on a slow or remote disk? Quotation marks around every field cost as well: they go line by line",
    "validate": "Look at the e-mail addresses and numbers of unusual form: they are judged one by one by a library",
    "enrich": "Are live services slow? Their latencies stand below. The cache makes the second run fast",
    "score": "Nothing to do: a table is looked up",
    "load": "Is the warehouse on a slow disk, or busy with others? Larger batches cost memory and save commits",
    "record": "Is git slow in this folder, or the mail server in answering?",
}


@dataclass(frozen=True)
class StageRow:
    """A stage of the last run with its share of the busy seconds and the median of comparable runs before."""

    record: StageRecord
    title: str
    share: float
    before: float | None


def build(context: Context, _: Path) -> Mapping[str, object]:
    """Return the verdict, the baseline, the stages and the trend."""
    run, settings = context.run, context.settings
    baseline, damaged = _baseline(context)
    alike = comparable_runs(context.runs, run.environment, settings.values.performance)
    before = [one for one in alike if one.run_id != run.run_id]
    return {
        "baseline": baseline,
        "damaged": damaged,
        "not_comparable": why_not_comparable(run, baseline) if baseline else None,
        "fewest": FEWEST,
        "rows_apart": ROWS_APART,
        "alike": len(alike),
        "rate": run.rows.read / run.seconds if run.seconds else 0.0,
        "stages": list(_stages(run, before)),
        "busy": sum(stage.seconds for stage in run.stages),
        "slowest": max(run.stages, key=lambda stage: stage.seconds, default=None),
        "advice": ADVICE,
        "trends": list(_trends(alike)),
        "table": [(one, one.rows.read / one.seconds if one.seconds else 0.0) for one in reversed(context.runs[-RUNS_IN_TREND:])],
        "paged": {one.run_id for one in context.runs[-settings.values.runs.published :]},
        "exit_warnings": EXIT_WARNINGS,
        "slow_signal": next(one for one in SIGNALS if one.id == "run-slow"),
    }


def _baseline(context: Context) -> tuple[Baseline | None, str | None]:
    try:
        return read_baseline(context.root / context.settings.values.runs.path, context.run.environment), None
    except ConfigError as error:
        return None, str(error)


def _stages(run: RunRecord, before: list[RunRecord]) -> Iterator[StageRow]:
    busy = sum(stage.seconds for stage in run.stages) or 1.0
    titles = {stage.name: stage.title for stage in STAGES}
    for record in run.stages:
        earlier = [stage.seconds for one in before if (stage := one.stage(record.name))]
        yield StageRow(record, titles[record.name], record.seconds / busy, median(earlier) if earlier else None)


def _trends(alike: list[RunRecord]) -> Iterator[tuple[str, str, Markup, str]]:
    """Yield each measure with its newest value, a line over the comparable runs, and whether it is usual."""
    measures = {
        "Seconds": ("s", [one.seconds for one in alike]),
        "Rows a second": ("", [one.rows.read / one.seconds for one in alike if one.seconds]),
        "Processor seconds": ("s", [one.cpu_seconds for one in alike]),
        "Peak memory": ("MB", [one.peak_mb for one in alike]),
    }
    for name, (in_unit, values) in measures.items():
        if values:
            usual = usual_range(values[:-1])
            verdict = "not enough history" if usual is None else "usual" if usual.holds(values[-1]) else "unusual"
            yield name, f"{values[-1]:,.1f} {in_unit}".strip(), sparkline(values, name), verdict


DELIVERABLE = Deliverable(
    "performance",
    "Whether the last run was as fast as it should be, where its time went, what it used, and how that has been over the runs.",
    "developers and operations",
    build,
)
