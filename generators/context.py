"""The context: everything a generator may know, gathered once and never changed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from etl.config import LoadedSettings
from etl.record import RunRecord, history
from generators.backlog import Backlog, Item
from generators.backlog import load as load_backlog
from generators.facts import Facts, load_facts
from generators.judging import State, Verdict, worst


class NoRunError(Exception):
    """There is no run record yet; pages are made of run data, so none can be made."""


@dataclass(frozen=True)
class Context:
    """What pages are made from. `runs` are all records, oldest first, at least one; `now` is UTC."""

    root: Path
    backlog: Backlog
    settings: LoadedSettings
    facts: Facts
    runs: tuple[RunRecord, ...]
    now: datetime
    built: tuple[str, ...] = ()
    """Slugs of the deliverables that have been written."""
    verdicts: Mapping[str, Verdict] | None = None
    """State of each criterion by id; None until the evidence was judged."""
    _by_deliverable: dict[str, list[Item]] = field(default_factory=dict)

    @property
    def run(self) -> RunRecord:
        """The newest run, however it ended."""
        return self.runs[-1]

    @property
    def good_run(self) -> RunRecord | None:
        """The newest run that loaded its input."""
        return next((run for run in reversed(self.runs) if run.outcome in ("success", "warnings")), None)

    @property
    def stale_after(self) -> datetime:
        """When these pages are older than two scheduled runs."""
        return self.run.ended_at + timedelta(hours=2 * self.settings.values.runs.interval)

    def item_state(self, item: Item) -> State:
        """Return the worst state of an item's criteria."""
        verdicts = self.verdicts or {}
        return worst([verdicts[criterion.id].state if criterion.id in verdicts else "missing" for criterion in item.criteria])

    def done_items(self) -> list[Item]:
        """Return the items whose criteria are all proved."""
        return [item for item in self.backlog.items if self.item_state(item) == "proved"]

    def items_of(self, deliverable: str) -> list[Item]:
        """Return the items that ask for a deliverable."""
        if not self._by_deliverable:
            for item in self.backlog.items:
                self._by_deliverable.setdefault(item.deliverable, []).append(item)
        return self._by_deliverable.get(deliverable, [])

    def with_evidence(self, built: tuple[str, ...], verdicts: Mapping[str, Verdict]) -> "Context":
        """Return the same context with the deliverables written and the criteria judged."""
        return replace(self, built=built, verdicts=verdicts)


def load_context(settings: LoadedSettings, root: Path = Path()) -> Context:
    """Read backlog, facts and run records; raises NoRunError, BacklogError, FactsError or ValueError."""
    runs = tuple(history(settings.values.runs.path))
    if not runs:
        raise NoRunError(f"{settings.values.runs.path}: no run record yet. Run the pipeline first: python -m etl run")
    return Context(
        root=root,
        backlog=load_backlog(root / "backlog.yaml"),
        settings=settings,
        facts=load_facts(root / "facts"),
        runs=runs,
        now=datetime.now(UTC),
    )
