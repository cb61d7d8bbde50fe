"""Rehearses the death of a run: kills it with no warning at random moments, lets the next one go on, compares the outcome.

A round starts with an empty warehouse and ends when a run gets through before it is killed. Its warehouse, quarantine and figures must then be
those of a run that nobody disturbed.
"""

import multiprocessing
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from pathlib import Path

import duckdb

from etl import config
from etl.pipeline import run
from etl.quarantine import Quarantine, QuarantinedRow
from etl.record import RunRecord, history
from generators.sample import main as make_sample

ROWS = 2_000
BATCH = 100
DATES = "processed_date, created_date, modified_date"


@dataclass(frozen=True)
class Outcome:
    """What a load has come to, apart from the moments at which it happened."""

    table: list[tuple[object, ...]]
    moments: int
    quarantine: list[QuarantinedRow]
    figures: tuple[object, ...]


@dataclass(frozen=True)
class KillReport:
    """How a rehearsal went."""

    kills: int
    rounds: int
    resumed: int
    differing: int


def rehearse(folder: Path, kills: int, seed: int) -> KillReport:
    """Kill runs in `folder` until `kills` have died in their work; `seed` makes the moments repeatable in kind."""
    chance = random.Random(seed)
    make_sample(["--rows", str(ROWS), "--seed", str(seed), "--out", str(folder / "customers.csv")])
    begun = multiprocessing.get_context("forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn")
    if begun.get_start_method() == "forkserver":
        begun.set_forkserver_preload(["etl.pipeline"])  # so that a run begins at once and most kills hit its work
    undisturbed = folder / "undisturbed"
    seconds = _run_to_end(undisturbed, folder).seconds
    expected = outcome_of(undisturbed)
    died = rounds = resumed = differing = 0
    while died < kills:
        rounds += 1
        project = folder / f"round-{rounds}"
        while _kill_one(begun, project, folder, chance.uniform(0, 1.2 * seconds)):
            died += 1
        resumed += list(history(project / "runs"))[-1].resumed is not None
        differing += outcome_of(project) != expected
        shutil.rmtree(project)
    return KillReport(died, rounds, resumed, differing)


def _settings(project: Path, folder: Path) -> config.LoadedSettings:
    overrides = {
        "input.path": str(folder / "customers.csv"), "input.batch_size": str(BATCH), "quality.rejects_stop": "1",
        "runs.path": str(project / "runs"), "warehouse.path": str(project / "warehouse.duckdb"),
    }  # fmt: skip
    return config.load(overrides=overrides)


def _run_once(project: Path, folder: Path) -> None:
    run(_settings(project, folder), quiet=True)


def _run_to_end(project: Path, folder: Path) -> RunRecord:
    record = run(_settings(project, folder), quiet=True)
    assert record.exit_code in (0, 10), record.fault
    return record


def _kill_one(begun: BaseContext, project: Path, folder: Path, after: float) -> bool:
    """Start a run and kill it after some seconds; tell whether that was before it had ended by itself."""
    process = begun.Process(target=_run_once, args=(project, folder))  # type: ignore[attr-defined]
    process.start()
    while not list(project.glob("runs/*/")) and process.is_alive():
        process.join(0.001)
    process.join(after)
    process.kill()
    process.join()
    return bool(process.exitcode != 0)


def outcome_of(project: Path) -> Outcome:
    """Return what the load in `project` has come to."""
    with duckdb.connect(str(project / "warehouse.duckdb"), read_only=True) as connection:
        table = connection.execute(f"SELECT * EXCLUDE ({DATES}) FROM customer_enriched ORDER BY customer_id").fetchall()
        moments = connection.execute(f"SELECT DISTINCT {DATES} FROM customer_enriched").fetchall()
        outcomes = connection.execute(
            "SELECT outcome FROM enrichment_audit WHERE outcome NOT IN ('killed', 'interrupted', 'success')"
        ).fetchall()
        left = connection.execute("SELECT run_id FROM pipeline_checkpoint").fetchall()
    last = list(history(project / "runs"))[-1]
    rows = (last.rows.read, last.rows.loaded, last.rows.quarantined, last.rows.held_back)
    quarantine = sorted(Quarantine(project / "runs" / last.run_id).rows())
    stages = tuple(_counts(last))
    return Outcome(table, len(moments), quarantine, (rows, last.rules, last.risk, last.businesses, stages, outcomes, left))


def _counts(record: RunRecord) -> Iterator[tuple[object, ...]]:
    for stage in record.stages:
        yield stage.name, stage.rows_in, stage.rows_out, stage.rows_rejected, stage.batches
