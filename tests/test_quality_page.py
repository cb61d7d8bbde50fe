"""The scorecard's figures, recomputed by other code from the file and the quarantine alone."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from etl import config
from etl.pipeline import run
from etl.quarantine import Quarantine
from etl.record import RunRecord
from etl.rules import RULES, Severity
from generators.trend import sparkline
from tests.conftest import ROOT
from tests.customers import customer, write_customers
from tests.pages import CONTEXTS, render_deliverable

SAMPLE = ROOT / "data/customers.csv"


@pytest.fixture
def record(project: Path) -> RunRecord:
    assert project.exists()
    return run(config.load(overrides={"input.path": str(SAMPLE), "quality.rejects_stop": "1"}), quiet=True)


def test_scores_recomputed_from_the_file_and_quarantine_are_those_of_the_record(record: RunRecord) -> None:
    lines = SAMPLE.read_bytes().decode("utf-8", "replace").split("\n")[1:-1]
    broken = Counter(name for row in Quarantine(Path("runs") / record.run_id).rows() for name in row.rules)
    errors = {rule.id for rule in RULES if rule.severity is Severity.ERROR}
    assert record.rows.read == len(lines)
    assert {name: record.rules[name].violations for name in errors if record.rules[name].violations} == dict(broken)
    assert record.rows.quarantined == sum(1 for _ in Quarantine(Path("runs") / record.run_id).rows())
    shapes = [len(fields[0]) if len(fields := list(csv.reader([line, "end"]))) == 2 else 0 for line in lines]
    assert record.rules["row.shape"].violations == sum(shape != 8 for shape in shapes)
    assert record.rules["row.encoding"].violations == sum("\ufffd" in line for line in lines)


def test_each_dimension_is_the_weighted_share_of_its_rules(record: RunRecord) -> None:
    assert record.quality is not None
    for part in record.quality.dimensions:
        rules = [rule for rule in RULES if rule.dimension.value == part.dimension]
        if not rules:
            continue
        passed = sum(rule.weight * (record.rules[rule.id].applicable - record.rules[rule.id].violations) for rule in rules)
        asked = sum(rule.weight * record.rules[rule.id].applicable for rule in rules)
        assert part.score == pytest.approx(100 * passed / asked, abs=0.01)
        assert part.score is not None
        assert part.score <= 100 * passed / asked
    assert record.quality.overall == min(part.score for part in record.quality.dimensions if part.score is not None)


@pytest.mark.parametrize(("bad", "outcome"), [(0, "success"), (1, "success"), (2, "warnings"), (3, "warnings"), (4, "failed")])
def test_both_sides_of_each_threshold(bad: int, outcome: str, project: Path) -> None:
    rows = [customer(number, status="gone" if number <= bad else "active") for number in range(1, 31)]
    write_customers(project / "data/customers.csv", rows)
    ranges = {
        f"quality.{name}.minimum": "0"
        for name in ("completeness", "validity", "uniqueness", "consistency", "timeliness", "accuracy")
    }
    assert run(config.load(overrides=ranges), quiet=True).outcome == outcome


@pytest.mark.parametrize(("minimum", "outcome"), [("100", "warnings"), ("90", "success")])
def test_a_dimension_below_its_minimum_is_a_warning(minimum: str, outcome: str, project: Path) -> None:
    write_customers(
        project / "data/customers.csv", [customer(number, email="x" if number == 1 else "a@b.example") for number in range(1, 31)]
    )
    low = {f"quality.{name}.minimum": "0" for name in ("completeness", "uniqueness", "consistency", "timeliness", "accuracy")}
    record = run(
        config.load(overrides={**low, "quality.validity.target": "100", "quality.validity.minimum": minimum}), quiet=True
    )
    assert record.outcome == outcome


def test_every_rule_stands_on_the_page_with_its_counts(tmp_path: Path) -> None:
    page = render_deliverable("quality", CONTEXTS["good"](), tmp_path)
    for rule in RULES:
        assert f'data-src="run:rules.{rule.id}.violations"' in page


def test_formulas_on_the_page_are_those_of_the_code(tmp_path: Path) -> None:
    page = render_deliverable("quality", CONTEXTS["good"](), tmp_path)
    assert "100 × Σ(weight × passed) / Σ(weight × applicable)" in page


def test_a_trend_tells_its_finding_in_words() -> None:
    assert "<title>validity: from 97 to 99, lowest 96, highest 99</title>" in sparkline([97, 96, 99], "validity")


@pytest.mark.parametrize("values", [[5.0], [5.0, 5.0], [1.0, 2.0]])
def test_a_trend_of_any_length_can_be_drawn(values: list[float]) -> None:
    assert "nan" not in sparkline(values, "x")
