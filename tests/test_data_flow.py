"""The data flow page and its diagram show what is declared and what the run recorded."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from etl.schema import COLUMNS
from etl.stages import STAGES, STOPPED, STORES
from generators.deliverables.data_flow import describe_diagram, stage_node
from tests.pages import CONTEXTS, render_deliverable
from tests.records import failed_record, make_record

SVG = "{http://www.w3.org/2000/svg}"
A4 = (595.3, 841.9)
MARGIN = 28.4
"""Points: A4 upright and a margin of a centimetre."""


@pytest.fixture
def drawn(tmp_path: Path) -> tuple[str, ElementTree.Element]:
    page = render_deliverable("data-flow", CONTEXTS["good"](), tmp_path)
    return page, ElementTree.parse(tmp_path / "deliverables/data-flow.svg").getroot()


def titles(svg: ElementTree.Element, kind: str) -> set[str]:
    return {group.find(f"{SVG}title").text or "" for group in svg.iter(f"{SVG}g") if group.get("class") == kind}  # type: ignore[union-attr]


def texts(svg: ElementTree.Element) -> str:
    return " ".join("".join(text.itertext()) for text in svg.iter(f"{SVG}text"))


def test_its_nodes_are_the_declared_stages_stores_decisions_and_end(drawn: tuple[str, ElementTree.Element]) -> None:
    declared = {stage_node(stage) for stage in STAGES} | {store.id for store in STORES} | {STOPPED}
    declared |= {stage.decision.id for stage in STAGES if stage.decision}
    assert titles(drawn[1], "node") == declared


def test_every_decision_and_failure_path_is_drawn_and_ends_somewhere(drawn: tuple[str, ElementTree.Element]) -> None:
    edges = titles(drawn[1], "edge")
    for stage in STAGES:
        if stage.decision:
            assert f"{stage_node(stage)}->{stage.decision.id}" in edges
            ends = {stage.decision.no, f"stage-{stage.decision.no}"}
            assert any(f"{stage.decision.id}->{end}" in edges for end in ends)
            assert stage.decision.no in {store.id for store in STORES} | {STOPPED} | {one.name for one in STAGES}
    assert f"{STOPPED}->stage-record" in edges, "whatever happens, it is recorded"


def test_it_carries_the_figures_of_the_run(drawn: tuple[str, ElementTree.Element]) -> None:
    record, shown = make_record(1), texts(drawn[1])
    assert "1,000 rows" in shown
    assert "960 rows" in shown
    assert "40 rejected" in shown
    for stage in record.stages:
        assert (f"{stage.seconds:.1f} s" if stage.seconds >= 1 else f"{stage.seconds * 1000:.0f} ms") in shown


def test_it_prints_on_one_a4_sheet_with_text_of_eight_points_or_more(drawn: tuple[str, ElementTree.Element]) -> None:
    width, height = (float(str(drawn[1].get(side)).removesuffix("pt")) for side in ("width", "height"))
    scale = min((A4[0] - 2 * MARGIN) / width, (A4[1] - 2 * MARGIN) / height)
    smallest = min(float(str(text.get("font-size"))) for text in drawn[1].iter(f"{SVG}text"))
    assert smallest * scale >= 8


def test_those_who_can_not_see_it_get_the_same_in_words(drawn: tuple[str, ElementTree.Element]) -> None:
    page, svg = drawn
    description = svg.find(f"{SVG}desc")
    assert description is not None
    assert "Validate took 1,000 rows in 500 ms, 40 rejected" in (description.text or "")
    assert f"![{description.text}](data-flow.svg)" in page


def test_the_table_tells_the_same_as_the_diagram(drawn: tuple[str, ElementTree.Element]) -> None:
    rows = re.findall(r"^\| (\w+) \|.*data-src=\"run:stages\.\w+\.rows_in\".*$", drawn[0], re.MULTILINE)
    assert rows == [stage.title for stage in STAGES if stage.name != "record"]


def test_a_run_that_failed_early_shows_what_was_not_reached() -> None:
    assert describe_diagram(failed_record()).count("not reached") == len(STAGES)


def test_every_source_destination_and_column_is_told(drawn: tuple[str, ElementTree.Element]) -> None:
    for store in STORES:
        assert f"| {store.title} |" in drawn[0]
    for column in COLUMNS:
        assert f"| `{column.name}` |" in drawn[0]


def test_the_bottleneck_is_the_stage_that_took_longest(drawn: tuple[str, ElementTree.Element]) -> None:
    longest = max(make_record().stages, key=lambda stage: stage.seconds)
    assert (
        f"most\nof the time went into\n**{longest.name.capitalize()}**" in drawn[0]
        or f"**{longest.name.capitalize()}**." in drawn[0]
    )


def test_what_a_stage_reads_and_writes_is_one_arrow_with_two_heads() -> None:
    edges = re.findall(r'^\s*"?([\w-]+)"? -> "?([\w-]+)"? \[.*?dir=(\w+)', describe_diagram(make_record()), re.MULTILINE)
    for stage in STAGES:
        for one in stage.reads:
            between = [head for source, target, head in edges if {source, target} == {one, stage_node(stage)}]
            assert between == ["both" if one in stage.writes else "forward"], one
    assert ("services", "stage-enrich", "both") in edges, "what leaves is shown"
