"""The data flow: where customers come from, what happens to them, where they end, with the figures of the last run."""

from collections.abc import Mapping
from pathlib import Path

from diagrams import Cluster, Edge, Node
from diagrams.onprem.client import Users
from diagrams.onprem.database import Duckdb
from diagrams.programming.flowchart import Display, Document, InternalStorage, MultipleDocuments, StoredData

from etl.failures import FAILURES
from etl.record import RunRecord, StageRecord
from etl.rules import RULES
from etl.schema import COLUMNS
from etl.stages import STAGES, STOPPED, STORES, Stage, Store, store
from generators.context import Context
from generators.deliverable import Deliverable
from generators.diagram import Drawing, write_pictures
from generators.rendering import seconds

NAME = "data-flow"
TRANSFORMING = tuple(stage for stage in STAGES if stage.name != "record")
_ICONS: dict[str, type[Node]] = {
    "file": Document, "reference": InternalStorage, "service": Display, "cache": StoredData, "database": Duckdb, "log": StoredData, "record": MultipleDocuments, "pages": Users,
}  # fmt: skip
_ZONES = {
    "Outside: the supplier": ("customers",),
    "Outside: services": ("services",),
    "Pipeline host": ("postcode_areas", "companies", "answers", "quarantine", "record", "log", "audit_log"),
    "Warehouse": ("warehouse", "audit"),
    "Readers": ("site",),
}
"""Trust boundaries: who may touch what lies in a zone differs from zone to zone."""

_STAGE = {"shape": "box", "style": "rounded,filled", "fillcolor": "#e8eaf6", "color": "#3f51b5", "penwidth": "2", "fontsize": "25",
          "width": "1.9", "height": "1.25", "margin": "0.15", "labelloc": "c"}  # fmt: skip
_DECISION = {"shape": "diamond", "style": "filled", "fillcolor": "#fff8e1", "color": "#8a5300", "fontsize": "20", "width": "2.5",
             "height": "1.7", "margin": "0.0", "labelloc": "c"}  # fmt: skip
_END = {
    "shape": "doubleoctagon",
    "style": "filled",
    "fillcolor": "#fdecea",
    "color": "#b3261e",
    "fontsize": "20",
    "margin": "0.1",
    "labelloc": "c",
}
_GOOD = {"color": "#3f51b5", "penwidth": "2", "fontsize": "20", "fontcolor": "#1f2a44"}
_BAD = {"color": "#b3261e", "style": "dashed", "penwidth": "2", "fontsize": "20", "fontcolor": "#b3261e"}


def build(context: Context, folder: Path) -> Mapping[str, object]:
    """Draw the diagram into `folder` and return what the page tells beside it."""
    run = context.run
    description = describe(run)
    write_pictures(describe_diagram(run), folder, NAME, f"Data flow of run {run.run_id}", description)
    timed = [stage for stage in run.stages if stage.seconds]
    slowest = sorted(timed, key=lambda stage: -stage.seconds)[:3]
    return {
        "description": description,
        "stages": [(stage, run.stage(stage.name)) for stage in STAGES],
        "transforming": {stage.name for stage in TRANSFORMING},
        "stores": STORES,
        "zones": {title: [store(one) for one in ids] for title, ids in _ZONES.items()},
        "endpoints": [one for one in STORES if one.kind != "log"],
        "end_titles": {one.id: one.title for one in STORES} | {STOPPED: "stopped", "score": "Score"},
        "volumes": _volumes(run),
        "columns": COLUMNS,
        "rules_by_column": {column.name: [rule.id for rule in RULES if rule.column == column.name] for column in COLUMNS},
        "failures": {failure.id: failure for failure in FAILURES},
        "bottlenecks": [_bottleneck(stage, timed) for stage in slowest],
    }


def describe(run: RunRecord) -> str:
    """Tell the flow of the run in words, for those who can't see the diagram."""
    parts = []
    for stage in STAGES:
        found = run.stage(stage.name)
        if found and stage in TRANSFORMING:
            rejected = f", {found.rows_rejected:,} rejected" if found.rows_rejected else ""
            parts.append(f"{stage.title} took {found.rows_in:,} rows in {seconds(found.seconds)}{rejected}")
        elif found:
            parts.append(f"{stage.title} took {seconds(found.seconds)}")
        else:
            parts.append(f"{stage.title} was not reached")
    return ". ".join(parts) + f". {run.rows.loaded:,} rows are in the warehouse, {run.rows.quarantined:,} in quarantine."


def describe_diagram(run: RunRecord) -> str:
    """Return the diagram's source: every declared stage, store, decision and failure path, with the figures of the run."""
    attributes = {"nodesep": "0.18", "ranksep": "0.5", "pad": "0.15", "splines": "spline", "newrank": "true", "dpi": "72"}
    with Drawing("", direction="TB", graph_attr=attributes) as drawing:
        nodes = _draw_nodes(run)
        _connect(nodes, run)
        drawing.dot.body += _rows_of_nodes()
    return str(drawing.source)


def _draw_nodes(run: RunRecord) -> dict[str, Node]:
    nodes: dict[str, Node] = {}
    for title, ids in _ZONES.items():
        with Cluster(title, graph_attr={"fontsize": "20", "margin": "14", "bgcolor": "#f6f7fa", "style": "rounded,dashed"}):
            nodes |= {one: _store_node(store(one)) for one in ids}
            if title == "Pipeline host":
                nodes |= {
                    stage_node(stage): Node(_stage_label(stage, run), nodeid=stage_node(stage), **_STAGE) for stage in STAGES
                }
                decisions = [stage.decision for stage in STAGES if stage.decision]
                nodes |= {one.id: Node(_wrap(one.question), nodeid=one.id, **_DECISION) for one in decisions}
                nodes[STOPPED] = Node("Stopped", nodeid=STOPPED, **_END)
    return nodes


def stage_node(stage: Stage) -> str:
    """Return the id of a stage's node; a store may have the same name."""
    return f"stage-{stage.name}"


def _store_node(one: Store) -> Node:
    return _ICONS[one.kind](_wrap(one.title), nodeid=one.id, fontsize="20", width="1.6", margin="0")


def _stage_label(stage: Stage, run: RunRecord) -> str:
    found = run.stage(stage.name)
    lines = [f"<b>{stage.title}</b>"]
    if found is None:
        lines.append('<font point-size="20">not reached</font>')
    else:
        rows = f"{found.rows_in:,} rows<br/>" if stage in TRANSFORMING else ""
        lines.append(f'<font point-size="20">{rows}{seconds(found.seconds)}</font>')
    return "<" + "<br/>".join(lines) + ">"


def _wrap(text: str) -> str:
    """Break a label near its middle, at a blank."""
    blanks = [index for index, sign in enumerate(text) if sign == " "]
    if len(text) < 11 or not blanks:
        return text
    middle = min(blanks, key=lambda index: abs(index - len(text) / 2))
    return text[:middle] + "\n" + text[middle + 1 :]


def _connect(nodes: dict[str, Node], run: RunRecord) -> None:
    for stage, following in zip(STAGES, (*STAGES[1:], None), strict=True):
        for source in stage.reads:
            (
                nodes[source]
                >> Edge(
                    label=_rows(run.rows.read) if source == "customers" else "",
                    reverse=source in stage.writes,
                    **_GOOD,
                )
                >> nodes[stage_node(stage)]
            )
        leaves = nodes[stage_node(stage)]
        if stage.decision:
            leaves >> Edge(**_GOOD) >> nodes[stage.decision.id]
            leaves = nodes[stage.decision.id]
            leaves >> Edge(label=_failure_label(stage, run), **_BAD) >> nodes[_target(stage.decision.no)]
        for written in stage.writes:
            if written not in stage.reads and not (stage.decision and stage.decision.no == written):
                leaves >> Edge(label=_rows(run.rows.loaded) if written == "warehouse" else "", **_GOOD) >> nodes[written]
        if following:
            leaves >> Edge(label="yes" if stage.decision else "", **_GOOD) >> nodes[stage_node(following)]
    nodes["record"] >> Edge(label="aggregates", **_GOOD) >> nodes["site"]
    nodes[STOPPED] >> Edge(label="always", **_BAD) >> nodes["stage-record"]


def _target(no: str) -> str:
    """Return the node where data goes that a decision turns away: a store, the end state or a later stage."""
    return next((stage_node(stage) for stage in STAGES if stage.name == no), no)


def _rows_of_nodes() -> list[str]:
    """Return the layout's hints: a stage stands in one row with what it decides, all stages in one column."""
    hints = [_row(stage_node(stage), *([stage.decision.id] if stage.decision else [STOPPED])) for stage in STAGES[:-1]]
    hints += [_row("customers", "stage-extract"), _row("quarantine", "stage-validate"), _row("stage-record", "warehouse")]
    column = [f'"{stage_node(stage)}"' for stage in STAGES]
    return [*hints, f"{' -> '.join(column)} [style=invis, weight=100]\n"]


def _row(*names: str) -> str:
    return "{rank=same; " + "; ".join(f'"{name}"' for name in names) + "}\n"


def _rows(count: int) -> str:
    return f"{count:,} rows"


def _failure_label(stage: Stage, run: RunRecord) -> str:
    label = stage.decision.no_label if stage.decision else ""
    found = run.stage(stage.name)
    return f"{found.rows_rejected:,} {label}" if found and found.rows_rejected else label


def _volumes(run: RunRecord) -> dict[str, str]:
    """Return how many rows of the last run each store gave or took; nothing where no count is recorded."""
    volumes = {"customers": run.rows.read, "warehouse": run.rows.loaded, "quarantine": run.rows.quarantined}
    return {name: f"{count:,} rows" for name, count in volumes.items()} | {
        "audit": "one row",
        "record": "one record",
        "log": "one file",
        "audit_log": "a line for each batch",
    }


def _bottleneck(stage: StageRecord, timed: list[StageRecord]) -> dict[str, object]:
    total = sum(one.seconds for one in timed)
    return {"stage": stage, "share": stage.seconds / total, "saving": seconds(stage.seconds / 2)}


DELIVERABLE = Deliverable(
    NAME,
    "Where customers come from, what happens to them on the way, where they end, and what happens when something goes wrong, "
    "with rows and times of the last run.",
    "project leads, new engineers and the data protection officer",
    build,
)
