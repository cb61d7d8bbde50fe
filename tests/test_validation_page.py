"""The validation page tells what the run rejected, every rule, and commands that exist."""

from html import unescape
from pathlib import Path

import pytest

from etl.rules import RULES
from generators.deliverables.validation import COMMANDS
from tests.pages import CONTEXTS, render_deliverable
from tests.records import clean_record, make_context, make_record


@pytest.mark.parametrize("state", CONTEXTS)
def test_every_rule_stands_in_the_rule_book_after_any_run(state: str, tmp_path: Path) -> None:
    book = unescape(render_deliverable("validation", CONTEXTS[state](), tmp_path)).split("## Rule book")[1].split("\n## ")[0]
    assert [rule.id for rule in RULES if f"[`{rule.id}`]" not in book] == []
    assert all(rule.remedy.split("|")[0][:30] in book for rule in RULES)


def test_broken_rules_are_ordered_by_how_often_and_compared_with_runs_before(tmp_path: Path) -> None:
    rules = {rule.id: {"applicable": 1000, "violations": 0} for rule in RULES}
    rules["email.form"]["violations"], rules["status.known"]["violations"] = 5, 50
    runs = [make_record(0), make_record(1), make_record(2, rules=rules)]
    table = render_deliverable("validation", make_context(*runs), tmp_path).split("## The last run")[1].split("\n## ")[0]
    assert table.index("status.known") < table.index("email.form")
    assert 'data-src="run:rules.status.known.violations"' in table
    assert "| 4.0 to 4.0 |" in table


def test_a_run_without_a_fault_says_so(tmp_path: Path) -> None:
    page = render_deliverable("validation", make_context(clean_record()), tmp_path)
    assert "No row broke a rule." in page


@pytest.mark.parametrize("command", [command for _, command in COMMANDS])
def test_the_commands_of_the_page_exist(command: str) -> None:
    from etl.cli import build_parser

    build_parser().parse_args(command.split()[3:])
