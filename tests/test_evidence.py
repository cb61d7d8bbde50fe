"""Evidence: a state follows from what was looked at, and from nothing else."""

from pathlib import Path

import pytest

from generators.backlog import Criterion
from generators.context import Context
from generators.evidence import Exhibits, anchor, in_words, judge, judge_all, read_test_report, section_body
from generators.judging import STATES, Verdict, worst
from tests.pages import render_all
from tests.records import make_context, make_record

PAGE = """# Title

## Full

Text with <data value="1000" data-src="run:rows.read" title="x">1,000</data>.

### Inside

More.

## Wrong figure

<data value="999" data-src="run:rows.read" title="x">999</data>

## No such figure

<data value="1" data-src="run:rows.raed" title="x">1</data>

## Placeholder

To be confirmed.

## Empty table

| A | B |
|---|---|

## Full table

| A | B |
|---|--:|
| 1 | 2 |

## Nothing
"""


def verdict(proof: dict[str, object], context: Context | None = None, tests: dict[str, str] | None = None) -> Verdict:
    criterion = Criterion.model_validate({"text": "x", "proofs": [proof]})
    return judge(criterion, Exhibits(context or make_context(), {"runbook": PAGE}, tests or {}))


@pytest.mark.parametrize(
    ("heading", "state", "why"),
    [
        ("Full", "proved", "1 figures, all equal"),
        ("Inside", "proved", "content without figures"),
        ("Full table", "proved", "content"),
        ("Wrong figure", "failing", "run:rows.read is 1000, the page shows 999"),
        ("No such figure", "failing", "there is no 'raed'"),
        ("Placeholder", "failing", "a placeholder stands there"),
        ("Empty table", "failing", "no rows"),
        ("Nothing", "failing", "nothing stands below"),
        ("Absent", "missing", "no such section"),
    ],
)
def test_a_section_is_judged_by_what_stands_in_it(heading: str, state: str, why: str) -> None:
    found = verdict({"kind": "section", "page": "runbook", "heading": heading})
    assert found.state == state
    assert why in found.proofs[0].why


def test_a_page_that_is_not_built_is_missing() -> None:
    assert verdict({"kind": "section", "page": "automation", "heading": "x"}).state == "missing"


@pytest.mark.parametrize(
    ("expression", "state"),
    [
        ("rows.read == rows.loaded + rows.quarantined + rows.held_back", "proved"),
        ("stages.load.seconds > 0 and quality.overall >= 99", "proved"),
        ("all([stage.rows_in == stage.rows_out + stage.rows_rejected for stage in stages.values()])", "proved"),
        ("rows.read > 5000", "failing"),
        ("rows.raed > 0", "failing"),
        ("rows.read", "failing"),
        ("rows.read >", "failing"),
        ("__import__('os').system('x')", "failing"),
        ("open('/etc/passwd')", "failing"),
    ],
)
def test_an_expression_is_judged_on_the_newest_run(expression: str, state: str) -> None:
    assert verdict({"kind": "run", "expression": expression}).state == state


def test_the_same_expression_turns_when_the_run_does() -> None:
    rows = {"read": 10, "loaded": 9, "inserted": 9, "updated": 0, "unchanged": 0, "quarantined": 0, "held_back": 0}
    context = make_context(make_record(0), make_record(1, rows=rows))
    assert verdict({"kind": "run", "expression": "rows.read == rows.loaded + rows.quarantined"}, context).state == "failing"


@pytest.mark.parametrize(
    ("tests", "state"),
    [
        ({"tests/test_a.py::test_b": "passed"}, "proved"),
        ({"tests/test_a.py::test_b[1]": "passed", "tests/test_a.py::test_b[2]": "failure"}, "failing"),
        ({"tests/test_a.py::test_b": "skipped"}, "failing"),
        ({"tests/test_a.py::test_bc": "passed"}, "missing"),
        ({}, "missing"),
    ],
)
def test_a_test_is_judged_by_the_last_report(tests: dict[str, str], state: str) -> None:
    assert verdict({"kind": "test", "node": "tests/test_a.py::test_b"}, tests=tests).state == state


def test_a_test_is_named_in_words() -> None:
    assert in_words("tests/test_data_flow.py::TestARun::test_each_row_is_found") == "data flow: a run: each row is found"


@pytest.mark.parametrize(("path", "state"), [("backlog.yaml", "proved"), ("no-such-file", "missing"), ("docs", "missing")])
def test_a_file_must_be_there(path: str, state: str) -> None:
    assert verdict({"kind": "file", "path": path}).state == state


def test_a_signature_waits_for_its_person() -> None:
    assert verdict({"kind": "signoff", "page": "runbook", "role": "team lead"}).state == "waiting"


@pytest.mark.parametrize("proof", [{"kind": "drill", "name": "x"}, {"kind": "command", "run": "x"}])
def test_what_nothing_judges_yet_is_missing(proof: dict[str, object]) -> None:
    assert verdict(proof).state == "missing"


def test_without_a_proof_nothing_is_proved() -> None:
    assert Verdict("x", ()).state == "missing"


@pytest.mark.parametrize("state", STATES)
def test_the_worst_proof_decides(state: str) -> None:
    assert worst(["proved", state]) == state  # type: ignore[list-item]


def test_every_criterion_is_judged_and_every_proof_of_the_backlog_can_be(tmp_path: Path) -> None:
    context = make_context()
    verdicts = judge_all(context, render_all(context, tmp_path))
    assert len(verdicts) == 140
    states = {proof.state for one in verdicts.values() for proof in one.proofs if proof.kind in ("section", "run", "file")}
    assert states == {"proved"}, [
        proof for one in verdicts.values() for proof in one.proofs if proof.state not in ("proved", "waiting")
    ]


def test_a_report_of_classes_and_parameters_is_read(tmp_path: Path) -> None:
    path = tmp_path / "tests.xml"
    cases = '<testcase classname="tests.test_a.TestB" name="test_c[x]"/><testcase classname="tests.test_a" name="test_d"><skipped/></testcase>'
    path.write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>", encoding="utf-8")
    assert read_test_report(path) == {"tests/test_a.py::TestB::test_c[x]": "passed", "tests/test_a.py::test_d": "skipped"}
    assert read_test_report(tmp_path / "none.xml") == {}


def test_sections_end_where_the_next_of_their_rank_begins() -> None:
    body = section_body(PAGE, "Full")
    assert body is not None
    assert "More." in body
    assert "Wrong" not in body


@pytest.mark.parametrize(
    ("heading", "expected"), [("Quick card", "quick-card"), ("Is it an incident?", "is-it-an-incident"), ("A - B", "a-b")]
)
def test_anchors_are_those_of_the_site(heading: str, expected: str) -> None:
    assert anchor(heading) == expected
