"""No small group of customers can be made out from what is published."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generators.disclosure import withheld

CASES = [
    ({"Low": 900, "Medium": 60, "High": 40}, set()),
    ({"Low": 900, "Medium": 60, "High": 9}, {"High", "Medium"}),
    ({"Low": 900, "Medium": 60, "High": 0}, {"High", "Medium"}),
    ({"Low": 900, "Medium": 5, "High": 6}, {"Medium", "High"}),
    ({"Low": 900, "Medium": 1, "High": 2}, {"Low", "Medium", "High"}),
    ({"Low": 0, "Medium": 0, "High": 0}, {"Low", "Medium", "High"}),
    ({"Low": 10, "Medium": 10, "High": 10}, set()),
    ({"Low": 3}, {"Low"}),
    ({}, set()),
]


@pytest.mark.parametrize(("counts", "hidden"), CASES)
def test_small_groups_are_withheld_with_others_that_would_give_them_away(counts: dict[str, int], hidden: set[str]) -> None:
    assert withheld(counts, 10) == hidden


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 50), max_size=6), st.integers(1, 30))
def test_the_rest_of_the_total_is_never_a_single_small_group(counts: dict[str, int], k: int) -> None:
    hidden = withheld(counts, k)
    assert all(count >= k for name, count in counts.items() if name not in hidden)
    if hidden and hidden != set(counts):
        assert len(hidden) > 1
        assert sum(counts[name] for name in hidden) >= k
