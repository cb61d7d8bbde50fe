"""Publications: what the evidence was at each build that differed from the one before. `publications.jsonl` beside the runs.

A line holds counts and what turned, so that it stays short however large the backlog is; `evidence.json` beside it holds the
states that the next build is compared with.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from generators.context import Context
from generators.evidence.report import EvidenceReport, make_report
from generators.judging import State

HISTORY = "publications.jsonl"
LATEST = "evidence.json"


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Turn(_Part):
    """A criterion whose state is another one now; none before when the criterion is new, none after when it is gone."""

    criterion: str
    before: State | None
    after: State | None


class Publication(_Part):
    """A build: counts, and what turned since the one before. Times in UTC."""

    at: AwareDatetime
    run_id: str
    commit: str | None
    states: dict[State, int]
    points: int
    points_done: int
    quality: float | None = Field(description="Overall score of the run, per cent")
    turned: tuple[Turn, ...]


def publish(context: Context) -> tuple[Publication, ...]:
    """Keep the evidence of a judged context, if it is of a new run or anything turned; return all publications, oldest first."""
    runs = context.root / context.settings.values.runs.path
    report, before = make_report(context), _read_states(runs / LATEST)
    earlier = read_publications(runs / HISTORY)
    turned = _turned(before, {one.id: one.state for one in report.criteria}) if earlier else ()
    if earlier and earlier[-1].run_id == report.run_id and not turned:
        return earlier
    fresh = Publication(
        at=report.made_at, run_id=report.run_id, commit=report.commit, states=report.states, points=report.points,
        points_done=report.points_done, quality=context.run.quality.overall if context.run.quality else None, turned=turned,
    )  # fmt: skip
    _write(runs, report, fresh)
    return (*earlier, fresh)


def read_publications(path: Path) -> tuple[Publication, ...]:
    """Return all publications, oldest first. A line that can't be read is left out: a stop can have cut it."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            found.append(Publication.model_validate_json(line))
        except ValidationError:
            continue
    return tuple(found)


def _read_states(path: Path) -> Mapping[str, State]:
    try:
        return {one.id: one.state for one in EvidenceReport.model_validate(json.loads(path.read_text(encoding="utf-8"))).criteria}
    except (OSError, ValueError):
        return {}


def _turned(before: Mapping[str, State], after: Mapping[str, State]) -> tuple[Turn, ...]:
    both = dict.fromkeys([*after, *before])
    return tuple(
        Turn(criterion=name, before=before.get(name), after=after.get(name))
        for name in both
        if before.get(name) != after.get(name)
    )


def _write(runs: Path, report: EvidenceReport, fresh: Publication) -> None:
    runs.mkdir(parents=True, exist_ok=True)
    beside = runs / f"{LATEST}.tmp"
    beside.write_text(report.model_dump_json() + "\n", encoding="utf-8", newline="\n")
    beside.replace(runs / LATEST)
    with (runs / HISTORY).open("a", encoding="utf-8", newline="\n") as file:
        file.write(fresh.model_dump_json() + "\n")
