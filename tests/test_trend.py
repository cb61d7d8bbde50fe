"""Trends: what a picture tells in words, what is usual, and when a distribution has moved."""

import math
import re
import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generators.trend import ACT_FROM, ENOUGH_ROWS, ENOUGH_RUNS, LOOK_FROM, burn_up, sparkline, stability_index, usual_range

SCORES = st.lists(st.floats(0, 100), min_size=1, max_size=40)


@given(SCORES)
def test_a_picture_stays_within_its_frame_and_has_a_point_for_each_value(values: list[float]) -> None:
    picture = ElementTree.fromstring(sparkline(values, "score"))
    points = [tuple(map(float, point.split(","))) for point in picture.find("polyline").get("points").split()]  # type: ignore[union-attr]
    assert len(points) == len(values)
    assert all(0 <= x <= 120 and 0 <= y <= 24 for x, y in points)


def test_a_picture_tells_its_finding_in_words() -> None:
    picture = ElementTree.fromstring(sparkline([98, 90, 99], "a <b> & c"))
    assert picture.findtext("title") == "a <b> & c: from 98 to 99, lowest 90, highest 99"


def test_higher_values_stand_higher() -> None:
    picture = ElementTree.fromstring(sparkline([1, 2], "x"))
    first, last = (float(point.split(",")[1]) for point in picture.find("polyline").get("points").split())  # type: ignore[union-attr]
    assert last < first


def test_too_few_runs_make_nothing_usual() -> None:
    assert usual_range([100.0] * (ENOUGH_RUNS - 1)) is None
    assert usual_range([100.0] * ENOUGH_RUNS) is not None


@pytest.mark.parametrize(("value", "usual"), [(100, True), (80, True), (120, True), (79.9, False), (120.1, False), (0, False)])
def test_runs_that_never_differed_still_leave_a_fifth_of_room(value: float, usual: bool) -> None:
    found = usual_range([100.0] * 8)
    assert found
    assert found.holds(value) is usual


def test_one_odd_run_does_not_make_all_usual() -> None:
    found = usual_range([100.0, 101.0, 99.0, 100.0, 5000.0, 100.0])
    assert found
    assert not found.holds(1000)


def test_wide_spread_widens_the_range() -> None:
    found = usual_range([50.0, 75.0, 100.0, 125.0, 150.0])
    assert found
    assert found.high == pytest.approx(100 + 3 * 1.4826 * 25)
    assert found.low == 0.0


BANDS = {"Low": 700, "Medium": 220, "High": 80}


def test_the_same_shares_have_not_moved() -> None:
    assert stability_index(BANDS, [{name: 3 * count for name, count in BANDS.items()}] * 8) == pytest.approx(0)


def test_the_index_is_the_sum_of_its_formula() -> None:
    before = [{"a": 500, "b": 500}] * 5
    expected = (0.8 - 0.5) * math.log(0.8 / 0.5) + (0.2 - 0.5) * math.log(0.2 / 0.5)
    found = stability_index({"a": 800, "b": 200}, before)
    assert found == pytest.approx(expected)
    assert found > ACT_FROM > LOOK_FROM


@pytest.mark.parametrize(
    ("now", "before"),
    [
        (BANDS, [BANDS] * (ENOUGH_RUNS - 1)),
        ({"Low": ENOUGH_ROWS - 3, "Medium": 1, "High": 1}, [BANDS] * 8),
        ({"Low": 900, "Medium": 100, "High": 0}, [BANDS] * 8),
        (BANDS, [{"Low": 900, "Medium": 100, "High": 0}] * 8),
        (BANDS, [BANDS, {"Low": 0, "Medium": 0, "High": 0}] * 4),
        (BANDS, [{"Low": 700, "Medium": 300}] * 8),
    ],
)
def test_where_it_would_say_nothing_there_is_no_index(now: dict[str, int], before: list[dict[str, int]]) -> None:
    assert stability_index(now, before) is None


def test_the_way_to_the_goal_is_told_in_words_and_drawn_in_steps() -> None:
    times = [datetime(2026, 11, day, tzinfo=UTC) for day in (1, 11, 21)]
    drawn = str(burn_up(times, [0, 30, 20], [100, 100, 120], "criteria proved"))
    assert "<title>criteria proved: 0 of 100 on 01 Nov 2026, 20 of 120 on 21 Nov 2026</title>" in drawn
    [reached] = re.findall(r'chart__reached" d="([^"]+)"', drawn)
    heights = [float(value) for value in re.findall(r"V([\d.]+)", reached)]
    assert heights[1] < heights[2] < heights[0]
    ElementTree.fromstring(drawn)


def test_one_publication_is_drawn_too() -> None:
    drawn = burn_up([datetime(2026, 11, 1, tzinfo=UTC)], [0], [0], "criteria proved")
    ElementTree.fromstring(str(drawn))
