"""Facts say who decides them and whether they are decided."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from generators.facts import Fact, FactsError, load_facts
from generators.rendering import declared
from tests.conftest import ROOT

GOOD = "lead:\n  role: {value: x, status: example, owner: somebody, review_by: 2027-01-31}\n"


def write(folder: Path, text: str) -> Path:
    (folder / "contacts.yaml").write_text(text, encoding="utf-8")
    return folder


def test_facts_are_found_by_file_and_name(tmp_path: Path) -> None:
    facts = load_facts(write(tmp_path, GOOD))
    assert facts.get("contacts", "lead.role").value == "x"
    assert list(facts.group("contacts")) == ["lead"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD.replace("status: example, ", ""), "contacts.yaml: lead.role.status: Field required"),
        (GOOD.replace("example", "maybe"), "lead.role.status"),
        ("lead:\n  role: x\n", "lead.role is a bare value"),
        ("lead:\n\trole: x\n", "line 2"),
        ("", "holds nothing"),
    ],
)
def test_a_fact_that_is_none_is_named(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(FactsError, match=told):
        load_facts(write(tmp_path, text))


def test_a_missing_fact_says_where_to_write_it(tmp_path: Path) -> None:
    with pytest.raises(FactsError, match=r"facts/contacts\.yaml: 'lead\.hours' is missing"):
        load_facts(write(tmp_path, GOOD)).get("contacts", "lead.hours")


@pytest.mark.parametrize(
    ("status", "now", "state"), [("example", 2026, "example"), ("decided", 2026, "decided"), ("decided", 2028, "overdue")]
)
def test_a_declared_value_shows_its_state(status: str, now: int, state: str) -> None:
    fact = Fact(value="<x>", status=status, owner="me", review_by=date(2027, 1, 31))  # type: ignore[arg-type]
    shown = declared(fact, datetime(now, 6, 1, tzinfo=UTC))
    assert f"declared--{state}" in shown
    assert "&lt;x&gt;" in shown


def test_all_facts_of_the_project_can_be_read_and_none_is_overdue_yet() -> None:
    facts = list(load_facts(ROOT / "facts").all())
    assert len(facts) > 50
    assert all(fact.owner and fact.value for _, _, fact in facts)
