"""Evidence: a state follows from what was looked at, and from nothing else."""

import json
from datetime import date, timedelta
from pathlib import Path

import pytest

from generators.backlog import Criterion
from generators.evidence.exhibits import anchor, load_exhibits, sections
from generators.evidence.judge import judge, judge_all
from generators.evidence.results import TestReport, read_results, read_test_report, write_results
from generators.evidence.signatures import Signature, fingerprint, read_signatures, write_signatures
from generators.evidence.test import spoken
from generators.facts import FactsError
from generators.inputs import Inputs
from generators.judging import STATES, Verdict, worst
from tests.exhibits import NOW, make_exhibits, make_result, make_session, verdict
from tests.pages import CONTEXTS, render_all
from tests.records import ROOT, failed_record, make_context, make_record

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

```
## In a listing
```

## Nothing
"""
NODE = "tests/test_disclosure.py::test_small_groups_are_withheld_with_others_that_would_give_them_away"
PAGES = {"runbook": PAGE}


def section(heading: str, **more: object) -> dict[str, object]:
    return {"kind": "section", "page": "runbook", "heading": heading, **more}


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
        ("Absent", "missing", "no section 'Absent'"),
        ("In a listing", "missing", "no section"),
    ],
)
def test_a_section_is_judged_by_what_stands_in_it(heading: str, state: str, why: str) -> None:
    found = verdict(section(heading), pages=PAGES)
    assert found.state == state
    assert why in found.why


def test_a_section_that_must_have_figures_fails_without_them() -> None:
    assert verdict(section("Full", figures=1), pages=PAGES).state == "proved"
    found = verdict(section("Inside", figures=1), pages=PAGES)
    assert (found.state, found.why) == ("failing", "0 figures stand there, 1 are wanted")


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
        ("rows.read / 0 > 1", "failing"),
        ("__import__('os').system('x')", "failing"),
        ("open('/etc/passwd')", "failing"),
        ("9**9**9 > 1", "failing"),
    ],
)
def test_an_expression_is_judged_on_the_newest_run(expression: str, state: str) -> None:
    assert verdict({"kind": "run", "expression": expression}).state == state


def test_the_same_expression_turns_when_the_run_does() -> None:
    rows = {"read": 10, "loaded": 9, "inserted": 9, "updated": 0, "unchanged": 0, "quarantined": 0, "held_back": 0}
    context = make_context(make_record(0), make_record(1, rows=rows))
    assert (
        verdict({"kind": "run", "expression": "rows.read == rows.loaded + rows.quarantined"}, context=context).state == "failing"
    )


def test_a_run_that_failed_proves_nothing_and_takes_nothing_from_the_one_before() -> None:
    proof = {"kind": "run", "expression": "rows.read == rows.loaded + rows.quarantined"}
    assert verdict(proof, context=make_context(failed_record(0))).state == "missing"
    found = verdict(proof, context=make_context(make_record(0), failed_record(1)))
    assert (found.state, make_record(0).run_id in found.why) == ("proved", True)


def changed_code() -> dict[str, object]:
    code = make_record().code
    return {"code": code.model_copy(update={"content": {**code.content, "etl/rules.py": "0" * 16}})}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (changed_code(), "etl/rules.py changed after run"),
        ({"code": {"commit": None, "dirty": None, "content": {}}}, "nothing tells which code made run"),
        (
            {"settings": {"quality.rejects_stop": {"value": "0.99", "origin": "x"}}},
            "the setting quality.rejects_stop changed after run",
        ),
        ({"code": make_record().code.model_copy(update={"content": {"etl/gone.py": "ab"}})}, "etl/gone.py and"),
    ],
)
def test_what_a_run_showed_is_stale_when_what_made_it_changed(changes: dict[str, object], why: str) -> None:
    context = make_context(make_record(**changes))  # type: ignore[arg-type]
    for proof in ({"kind": "run", "expression": "rows.read > 0"}, section("Full")):
        found = verdict(proof, context=context, pages=PAGES)
        assert (found.state, found.remedy) == ("stale", "nox -s run")
        assert why in found.why
    assert verdict(section("Inside"), context=context, pages=PAGES).state == "proved"


def test_what_a_run_showed_is_stale_when_two_runs_were_missed() -> None:
    context = make_context(now=make_record().ended_at + timedelta(days=3))
    found = verdict({"kind": "run", "expression": "rows.read > 0"}, context=context)
    assert found.state == "stale"
    assert "older than two scheduled runs" in found.why


def test_a_failing_expression_is_not_excused_by_being_stale() -> None:
    assert (
        verdict({"kind": "run", "expression": "rows.read < 0"}, context=make_context(make_record(**changed_code()))).state
        == "failing"
    )  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ({NODE: "passed"}, "proved"),
        ({f"{NODE}[1]": "passed", f"{NODE}[2]": "failure"}, "failing"),
        ({f"{NODE}[1]": "passed", f"{NODE}[2]": "passed"}, "proved"),
        ({NODE: "skipped"}, "failing"),
        ({f"{NODE}_more": "passed"}, "missing"),
        ({}, "missing"),
    ],
)
def test_a_test_is_judged_by_the_last_report(outcomes: dict[str, str], state: str) -> None:
    assert verdict({"kind": "test", "node": NODE}, tests=TestReport(outcomes, make_session())).state == state


GROUP = "tests/test_log.py::TestTheCatalogue"


@pytest.mark.parametrize("name", ["tests/test_log.py", GROUP, f"{GROUP}::test_b"])
def test_a_group_of_tests_is_all_of_it(name: str) -> None:
    outcomes = {f"{GROUP}::test_b[a]": "passed", f"{GROUP}::test_b[b::c]": "failure", "tests/test_logs.py::test_d": "failure"}
    assert "1 of 2 did not pass" in verdict({"kind": "test", "node": name}, tests=TestReport(outcomes, make_session())).why


def test_a_test_that_was_taken_out_is_missing_whatever_the_report_says() -> None:
    node = "tests/test_disclosure.py::test_that_was_here"
    found = verdict({"kind": "test", "node": node}, tests=TestReport({node: "passed"}, make_session()))
    assert (found.state, found.why) == ("missing", "there is no such test any more")


def stale_after(node: str, path: str, opened: tuple[str, ...] = ()) -> tuple[str, str]:
    session = make_session(opened={node: opened})
    session.content[path] = "0" * 16
    found = verdict({"kind": "test", "node": node}, tests=TestReport({node: "passed"}, session))
    return found.state, found.why


def test_a_test_is_stale_when_its_lines_its_modules_or_what_it_imports_changed() -> None:
    for path in (NODE, "tests/test_disclosure.py::", "generators/disclosure.py", "tests/conftest.py"):
        assert stale_after(NODE, path)[0] == "stale", path
    assert stale_after(NODE, "generators/disclosure.py")[1] == "generators/disclosure.py changed after the last test run"


def test_a_test_is_stale_when_a_file_it_opened_changed() -> None:
    assert stale_after(NODE, "templates/pages/home.md.j2")[0] == "proved"
    assert stale_after(NODE, "templates/pages/home.md.j2", ("templates/pages/home.md.j2",))[0] == "stale"


def test_a_test_is_not_stale_when_another_of_its_module_changed() -> None:
    other = next(name for name in make_session().content if name.startswith("tests/test_disclosure.py::test") and name != NODE)
    assert stale_after(NODE, other)[0] == "proved"


def test_without_a_session_nobody_knows_what_a_test_looked_at() -> None:
    found = verdict({"kind": "test", "node": NODE}, tests=TestReport({NODE: "passed"}))
    assert (found.state, found.remedy) == ("stale", "nox -s tests")


def test_a_test_is_named_in_words() -> None:
    assert spoken("tests/test_data_flow.py::TestARun::test_each_row_is_found") == "data flow: a run: each row is found"


@pytest.mark.parametrize(
    ("name", "text", "state"),
    [
        ("a.json", '{"a": 1}', "proved"),
        ("a.json", '{"a": ', "failing"),
        ("a.jsonl", '{"a": 1}\n{"b": 2}\n', "proved"),
        ("a.jsonl", '{"a": 1}\n{"b": \n', "failing"),
        ("a.yaml", "a: 1\n", "proved"),
        ("a.yaml", "a: &x 1\n", "failing"),
        ("a.toml", "a = 1\n", "proved"),
        ("a.toml", "a = \n", "failing"),
        ("a.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>", "proved"),
        ("a.svg", "<svg>", "failing"),
        ("a.csv", "a,b\n1,2\n", "proved"),
        ("a.csv", "a,b\n1\n", "failing"),
        ("a.py", "a = 1\n", "proved"),
        ("a.py", "a = \n", "failing"),
        ("a.ipynb", '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', "proved"),
        ("a.ipynb", '{"cells": 1, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', "failing"),
        ("OWNERS", "* @team\n", "proved"),
        ("OWNERS", " \n", "failing"),
    ],
)
def test_a_file_must_be_readable_by_what_reads_its_kind(tmp_path: Path, name: str, text: str, state: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert verdict({"kind": "file", "path": name}, context=make_context(root=tmp_path)).state == state


SCHEMA = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
<xs:element name="task"><xs:complexType><xs:attribute name="every" type="xs:positiveInteger" use="required"/></xs:complexType></xs:element>
</xs:schema>"""


@pytest.mark.parametrize(
    ("schema", "text", "state", "why"),
    [
        (SCHEMA, '<task every="24"/>', "proved", "1 entry fits the schema task.xsd"),
        (SCHEMA, '<task every="Wrenna"/>', "failing", "a.xml: /task does not fit the schema task.xsd"),
        (SCHEMA, "<job/>", "failing", "does not fit the schema task.xsd"),
        ("<broken", '<task every="24"/>', "failing", "the schema task.xsd can't be used"),
    ],
)
def test_an_xml_file_must_fit_its_schema(tmp_path: Path, schema: str, text: str, state: str, why: str) -> None:
    (tmp_path / "task.xsd").write_text(schema, encoding="utf-8")
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    found = verdict({"kind": "file", "path": "a.xml", "fits": "task.xsd"}, context=make_context(root=tmp_path))
    assert found.state == state
    assert why in found.why
    assert "Wrenna" not in found.why


@pytest.mark.parametrize("path", ["no-such-file", "docs", "docs/*.nothing"])
def test_a_file_that_is_not_there_is_missing(path: str) -> None:
    assert verdict({"kind": "file", "path": path}).state == "missing"


def test_a_file_of_the_newest_run_must_fit_its_schema(project: Path) -> None:
    record = make_record()
    folder = project / "runs" / record.run_id
    folder.mkdir(parents=True)
    proof = {"kind": "file", "path": "{run}/run.json", "fits": "run"}
    context = make_context(record, root=project)
    (folder / "run.json").write_text(record.model_dump_json(), encoding="utf-8")
    # the pipeline of an empty folder is not what made the run, so a good file is stale and no more
    assert verdict(proof, context=context).state == "stale"
    (folder / "run.json").write_text(json.dumps(record.model_dump(mode="json") | {"seconds": "Wrenna"}), encoding="utf-8")
    found = verdict(proof, context=context)
    assert (found.state, found.why) == ("failing", "run.json: entry 1: seconds breaks 'type' of the schema run")


@pytest.mark.parametrize("proof", [{"kind": "drill", "name": "run-killed"}, {"kind": "command", "run": "python -m etl health"}])
def test_a_rehearsal_and_a_command_are_judged_by_their_last_result(proof: dict[str, str]) -> None:
    name = proof.get("name") or proof["run"]
    assert verdict(dict(proof)).state == "missing"
    assert verdict(dict(proof), results=[make_result(name)]).state == "proved"
    assert verdict(dict(proof), results=[make_result(name, good=False)]).state == "failing"
    found = verdict(dict(proof), results=[make_result(name, content={"etl/rules.py": "0" * 16})])
    assert found.state == "stale"
    assert found.why.startswith("etl/rules.py changed after")
    assert verdict(dict(proof), results=[make_result(name, content={})]).state == "stale"


def signed(**changes: object) -> list[Signature]:
    values = {"page": "runbook", "role": "team lead", "who": "A. Example", "on": date(2026, 11, 1), "seen": fingerprint(PAGE)}
    return [Signature.model_validate(values | changes)]


@pytest.mark.parametrize(
    ("signatures", "state"),
    [
        ([], "waiting"),
        (signed(), "proved"),
        (signed(role="somebody else"), "waiting"),
        (signed(page="gdpr"), "waiting"),
        (signed(seen="0" * 16), "stale"),
        (signed(accepted=False), "failing"),
        (signed(accepted=False) + signed(), "proved"),
    ],
)
def test_a_signature_is_judged_by_the_role_the_page_and_what_was_seen(signatures: list[Signature], state: str) -> None:
    found = verdict({"kind": "signoff", "page": "runbook", "role": "team lead"}, pages=PAGES, signatures=signatures)
    assert found.state == state
    assert (found.remedy is None) == (state == "proved")


def test_a_signature_outlives_new_figures_and_no_new_words(tmp_path: Path) -> None:
    first = render_all(make_context(make_record(0)), tmp_path / "a")
    later = render_all(make_context(make_record(0), make_record(1, seconds=7.5, peak_mb=155.0)), tmp_path / "b")
    for page in ("gdpr", "runbook", "change-log", "data-flow"):
        assert fingerprint(first[page]) == fingerprint(later[page]), page
        assert fingerprint(first[page]) != fingerprint(later[page] + "\nAnd one more sentence.\n")


def test_signatures_are_kept_and_a_wrong_entry_is_named(tmp_path: Path) -> None:
    path = tmp_path / "signoffs.yaml"
    assert read_signatures(path) == []
    write_signatures(path, signed(note="with care: äß"))
    assert read_signatures(path) == signed(note="with care: äß")
    path.write_text("- page: x\n  role: y\n", encoding="utf-8")
    with pytest.raises(FactsError, match=r"signoffs.yaml, line 1: 0.who"):
        read_signatures(path)


def test_what_is_planned_is_missing_and_told() -> None:
    found = verdict({"kind": "drill", "name": "run-killed", "planned": "a fire"}, results=[make_result("run-killed")])
    assert (found.state, found.why) == ("missing", "planned: a fire")


def test_without_a_proof_nothing_is_proved() -> None:
    assert Verdict("x", ()).state == "missing"
    assert judge(Criterion(text="x"), make_exhibits()).state == "missing"


@pytest.mark.parametrize("state", STATES)
def test_the_worst_proof_decides(state: str) -> None:
    assert worst(["proved", state]) == state  # type: ignore[list-item]


def test_a_verdict_says_when_it_looked_at_what() -> None:
    found = verdict({"kind": "test", "node": NODE}, tests=TestReport({NODE: "passed"}, make_session()))
    assert (found.at, len(found.fingerprint)) == (NOW, 16)
    found = verdict({"kind": "run", "expression": "rows.read > 0"})
    assert (found.at, len(found.fingerprint)) == (make_record().ended_at, 16)


def test_every_criterion_is_judged_and_every_page_of_a_proof_is_there(tmp_path: Path) -> None:
    context = make_context()
    verdicts = judge_all(context, render_all(context, tmp_path))
    assert len(verdicts) == 140
    assert all(verdict.proofs for verdict in verdicts.values())
    proofs = [proof for one in verdicts.values() for proof in one.proofs if not proof.why.startswith("planned: ")]
    assert {proof.state for proof in proofs if proof.kind in ("section", "run")} == {"proved"}, [
        proof for proof in proofs if proof.kind in ("section", "run") and proof.state != "proved"
    ]


@pytest.mark.parametrize("name", CONTEXTS)
def test_evidence_is_judged_after_runs_of_every_outcome(name: str, tmp_path: Path) -> None:
    context = CONTEXTS[name]()
    assert len(judge_all(context, render_all(context, tmp_path))) == 140


def test_a_report_of_classes_and_parameters_is_read(tmp_path: Path) -> None:
    (tmp_path / "tests.xml").write_text(
        '<testsuites><testsuite><testcase classname="tests.test_a.TestB" name="test_c[1.5]"/>'
        '<testcase classname="tests.sub.test_a" name="test_d"><failure/></testcase></testsuite></testsuites>',
        encoding="utf-8",
    )
    (tmp_path / "tests.json").write_text(make_session().model_dump_json(), encoding="utf-8")
    report = read_test_report(tmp_path / "tests.xml")
    assert report.outcomes == {"tests/test_a.py::TestB::test_c[1.5]": "passed", "tests/sub/test_a.py::test_d": "failure"}
    assert report.session is not None


@pytest.mark.parametrize("text", ["", "<testsuites>", "no xml"])
def test_a_report_that_can_not_be_read_proves_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "tests.xml").write_text(text, encoding="utf-8")
    (tmp_path / "drills.json").write_text(text, encoding="utf-8")
    assert read_test_report(tmp_path / "tests.xml").outcomes == {}
    assert read_results(tmp_path / "drills.json") == {}


def test_results_replace_those_of_their_name_and_leave_the_others(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "drills.json"
    write_results(path, [make_result("a"), make_result("b")])
    write_results(path, [make_result("b", good=False)])
    assert {name: result.good for name, result in read_results(path).items()} == {"a": True, "b": False}


def test_sections_end_where_the_next_of_their_rank_begins() -> None:
    bodies = sections(PAGE)
    assert "### Inside" in bodies["Full"]
    assert "Wrong figure" not in bodies["Full"]
    assert bodies["Inside"] == "More."
    assert bodies["Nothing"] == ""


@pytest.mark.parametrize(
    ("heading", "expected"), [("Who to call", "who-to-call"), ("What's next?", "whats-next"), ("A / B", "a-b")]
)
def test_anchors_are_those_of_the_site(heading: str, expected: str) -> None:
    assert anchor(heading) == expected


def test_exhibits_are_read_from_the_project(tmp_path: Path) -> None:
    context = make_context(root=tmp_path)
    exhibits = load_exhibits(context, {})
    assert (exhibits.tests.outcomes, exhibits.drills, exhibits.commands, list(exhibits.signatures)) == ({}, {}, {}, [])
    assert Inputs(ROOT).closure("tests/kill_drill.py") > {"etl/pipeline.py", "etl/warehouse/embedded.py"}
