"""Quality scores follow their formulas."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.quality import floor2, overall, rule_score, score_dimensions, timeliness
from etl.rules import RULES, Dimension
from etl.settings import QualitySettings
from etl.transform import Tally

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def scores(tallies: dict[str, Tally], age: float = 1) -> dict[str, object]:
    found = score_dimensions(tallies, QualitySettings(), NOW - timedelta(hours=age), NOW, 24)  # type: ignore[call-arg]
    return {one.dimension.value: one for one in found}


def test_all_six_dimensions_are_scored_in_order() -> None:
    assert list(scores({})) == [dimension.value for dimension in Dimension]


def test_what_was_about_no_row_is_not_measured_and_never_a_hundred() -> None:
    assert (scores({})["validity"].score, scores({})["validity"].state) == (None, "not measured")


def test_rules_weigh_by_their_column_and_their_rows() -> None:
    tallies = {"email.form": Tally(100, 10), "phone.form": Tally(50, 0)}  # weights 3 and 1
    assert scores(tallies)["validity"].score == floor2(100 * (3 * 90 + 1 * 50) / (3 * 100 + 1 * 50))


def test_the_costliest_rule_is_named() -> None:
    tallies = {"email.form": Tally(100, 2), "phone.form": Tally(100, 5)}
    assert scores(tallies)["validity"].worst_rule == "email.form"


@pytest.mark.parametrize(("violations", "state"), [(0, "green"), (10, "amber"), (40, "red")])
def test_states_follow_target_and_minimum(violations: int, state: str) -> None:
    assert scores({"email.required": Tally(1000, violations)})["completeness"].state == state


@pytest.mark.parametrize(("age", "score"), [(0, 100), (24, 100), (48, 50), (96, 25)])
def test_late_data_loses_in_proportion(age: float, score: float) -> None:
    assert timeliness(age, 24) == score


def test_the_overall_score_is_the_lowest_dimension() -> None:
    tallies = {"email.required": Tally(100, 1), "email.form": Tally(100, 20)}
    found = list(scores(tallies).values())
    assert overall(found) == 80
    assert overall([]) is None


@given(st.integers(1, 10**7).flatmap(lambda rows: st.tuples(st.just(rows), st.integers(0, rows))))
def test_a_score_is_a_hundred_only_when_no_row_failed(tally: tuple[int, int]) -> None:
    score = rule_score(Tally(*tally))
    assert score is not None
    assert 0 <= score <= 100
    assert (score == 100) == (tally[1] == 0)


def test_every_rule_counts_in_exactly_one_dimension() -> None:
    for rule in RULES:
        changed = [name for name, one in scores({rule.id: Tally(10, 5)}).items() if one.score not in (None, 100.0)]
        assert changed == [rule.dimension.value]
