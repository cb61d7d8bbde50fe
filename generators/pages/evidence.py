"""The evidence's pages: traceability and coverage, what was run, what changed; and the same as data, JUnit XML and badges."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from markupsafe import Markup

from etl.record import RunRecord
from generators.backlog import Item
from generators.badges import badge
from generators.context import Context
from generators.disclosure import withheld
from generators.evidence.exhibits import Exhibits
from generators.evidence.publications import Publication
from generators.evidence.report import make_report, next_steps, to_junit
from generators.evidence.results import Result, TestReport
from generators.evidence.test import anchor_of, spoken
from generators.judging import STATES, State
from generators.proofs import TestProof
from generators.rendering import Renderer
from generators.trend import burn_up

FOLDER = "backlog"
LATEST_FIRST = 20


@dataclass(frozen=True)
class Coverage:
    """How much of a group of items is proved."""

    name: str
    items: int
    done: int
    criteria: int
    proved: int
    points: int
    points_done: int


@dataclass(frozen=True)
class CheckedTest:
    """A test that proves something: how it ended, and for which criteria it stands."""

    anchor: str
    words: str
    node: str
    outcomes: Mapping[str, int]
    criteria: tuple[tuple[str, str], ...]


def write_evidence(context: Context, exhibits: Exhibits, publications: tuple[Publication, ...], renderer: Renderer) -> None:
    """Write the pages and files of a judged context; `exhibits` are what it was judged on."""
    proofs = [proof for verdict in (context.verdicts or {}).values() for proof in verdict.proofs]
    coverage = {
        "Theme": _coverage(context, lambda item: item.theme),
        "Category": _coverage(context, lambda item: item.category),
        "Role": _coverage(context, lambda item: item.role),
    }
    values = {"items": context.backlog.items, "coverage": coverage, "steps": next_steps(proofs), "states": STATES,
              "charts": _charts(publications), "publications": publications[: -LATEST_FIRST - 1 : -1]}  # fmt: skip
    renderer.write("pages/evidence.md.j2", f"{FOLDER}/evidence.md", values)
    renderer.write("pages/checks.md.j2", f"{FOLDER}/checks.md", _checks(context, exhibits))
    renderer.write("pages/changed.md.j2", f"{FOLDER}/changed.md", _changed(context, publications))
    _write_data(context, renderer)


def _coverage(context: Context, group: Callable[[Item], str]) -> list[Coverage]:
    groups: dict[str, list[Item]] = defaultdict(list)
    for item in context.backlog.items:
        groups[group(item)].append(item)
    return [_covered(name, items, context) for name, items in groups.items()]


def _covered(name: str, items: list[Item], context: Context) -> Coverage:
    verdicts = context.verdicts or {}
    criteria = [criterion for item in items for criterion in item.criteria]
    done = [item for item in items if context.item_state(item) == "proved"]
    proved = sum(verdicts[one.id].state == "proved" for one in criteria)
    return Coverage(
        name, len(items), len(done), len(criteria), proved, sum(item.points for item in items), sum(item.points for item in done)
    )


def _charts(publications: tuple[Publication, ...]) -> list[tuple[str, Markup]]:
    times = [one.at for one in publications]
    proved, criteria = [one.states["proved"] for one in publications], [sum(one.states.values()) for one in publications]
    done, points = [one.points_done for one in publications], [one.points for one in publications]
    return [
        ("Points done", burn_up(times, done, points, "points done")),
        ("Criteria proved", burn_up(times, proved, criteria, "criteria proved")),
    ]


def _checks(context: Context, exhibits: Exhibits) -> dict[str, object]:
    report = exhibits.tests
    modules: dict[str, list[CheckedTest]] = defaultdict(list)
    for node, criteria in sorted(_criteria_of_tests(context).items()):
        modules[node.partition("::")[0]].append(_checked(node, criteria, report))
    return {
        "modules": modules, "session": report.session, "tests": len(report.outcomes),
        "passed": sum(outcome == "passed" for outcome in report.outcomes.values()),
        "drills": _by_time(exhibits.drills), "commands": _by_time(exhibits.commands), "signatures": exhibits.signatures,
    }  # fmt: skip


def _criteria_of_tests(context: Context) -> Mapping[str, list[tuple[str, str]]]:
    named: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for item in context.backlog.items:
        for criterion in item.criteria:
            for proof in criterion.proofs:
                if isinstance(proof, TestProof) and not proof.planned:
                    named[proof.node].append((criterion.id, item.id))
    return named


def _checked(node: str, criteria: Iterable[tuple[str, str]], report: TestReport) -> CheckedTest:
    outcomes: dict[str, int] = defaultdict(int)
    for one in report.covered(node):
        outcomes[report.outcomes[one]] += 1
    return CheckedTest(anchor_of(node), spoken(node).partition(": ")[2], node, outcomes, tuple(criteria))


def _by_time(results: Mapping[str, Result]) -> list[Result]:
    return sorted(results.values(), key=lambda one: one.ran_at, reverse=True)


def _changed(context: Context, publications: tuple[Publication, ...]) -> dict[str, object]:
    last = publications[-1]
    before = publications[-2] if len(publications) > 1 else None
    texts = {one.id: (item.id, one.text) for item in context.backlog.items for one in item.criteria}
    return {
        "last": last, "before": before, "texts": texts,
        "better": [turn for turn in last.turned if _rank(turn.after) < _rank(turn.before)],
        "worse": [turn for turn in last.turned if _rank(turn.after) > _rank(turn.before)],
        "run_before": _run_of(before, context), "run_now": context.run, "rejects": _new_rejects(context, before),
    }  # fmt: skip


def _rank(state: State | None) -> int:
    order: tuple[State, ...] = ("proved", "waiting", "stale", "missing", "failing")
    return order.index(state) if state else order.index("missing")


def _run_of(publication: Publication | None, context: Context) -> RunRecord | None:
    return next((run for run in context.runs if publication and run.run_id == publication.run_id), None)


def _new_rejects(context: Context, before: Publication | None) -> list[tuple[str, int, int]]:
    """Return the rules that more rows broke than in the run of the publication before; small groups are left out."""
    earlier = _run_of(before, context)
    if earlier is None:
        return []
    now = {name: tally.violations for name, tally in context.run.rules.items()}
    then = {name: earlier.rules[name].violations if name in earlier.rules else 0 for name in now}
    k = context.settings.values.privacy.k
    hidden = withheld({name: count for name, count in now.items() if count}, k)
    shown = [name for name in now if now[name] > then[name] and name not in hidden and now[name] - then[name] >= k]
    return sorted(((name, then[name], now[name]) for name in shown), key=lambda one: one[1] - one[2])


def _write_data(context: Context, renderer: Renderer) -> None:
    report, folder = make_report(context), renderer.data
    proved, criteria = report.states["proved"], len(report.criteria)
    quality = context.run.quality.overall if context.run.quality else None
    files = {
        "evidence.json": report.model_dump_json(indent=1) + "\n",
        "evidence.xml": to_junit(report),
        "badges/proved.svg": badge("criteria proved", f"{proved} of {criteria}", "good" if proved == criteria else "fair"),
        "badges/points.svg": badge("points done", f"{report.points_done} of {report.points}", "plain"),
        "badges/quality.svg": badge("data quality", "unknown" if quality is None else f"{quality:.2f} %", _look(context)),
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")


def _look(context: Context) -> str:
    states = {part.state for part in context.run.quality.dimensions} if context.run.quality else {"not measured"}
    return "bad" if "red" in states else "fair" if "amber" in states else "good" if "green" in states else "plain"
