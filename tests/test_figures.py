"""Figures are read from their source and can be read again."""

import pytest

from generators.figures import FigureError, bound_figures, plain, render, resolve
from tests.records import make_context, make_record


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("run:rows.read", 1000),
        ("run:stages.load.rows_in", 960),
        ("run:quality.dimensions.validity.score", 99.0),
        ("run:rules.email.form.violations", 4),
        ("run:enrichment.postcodes.reference", 940),
        ("settings:quality.rejects_stop", 0.1),
        ("backlog:items", 35),
        ("backlog:criteria", 140),
        ("backlog:points", 91),
        ("history:runs", 1),
        ("code:columns", 26),
    ],
)
def test_a_source_gives_its_figure(source: str, value: float) -> None:
    assert resolve(make_context(), source) == value


@pytest.mark.parametrize(
    "source", ["run:rows.raed", "run:rows", "nowhere:x", "run:rules.no.such.violations", "settings:quality.reject"]
)
def test_a_source_that_is_not_there_is_an_error_that_names_it(source: str) -> None:
    with pytest.raises(FigureError, match=source):
        resolve(make_context(), source)


def test_a_figure_on_a_page_carries_source_and_value() -> None:
    shown = render(make_context(), "run:rows.read")
    assert shown == '<data value="1000" data-src="run:rows.read" title="run:rows.read">1,000</data>'
    assert [(one.source, one.value) for one in bound_figures(f"text {shown} text")] == [("run:rows.read", "1000")]


def test_foreign_text_in_a_figure_is_escaped() -> None:
    context = make_context(make_record(0, environment='<b onclick="x">'))
    assert "<b" not in render(context, "run:environment")


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (1234567, "1,234,567"), (99.5, "99.5"), (97.0, "97"), (0.126, "0.13"), ("x", "x")]
)
def test_numbers_are_written_as_people_write_them(value: float | str, text: str) -> None:
    assert plain(value) == text
