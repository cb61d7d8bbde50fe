"""The catalogue has every event that the code tells, and no line that it does not have gets into a log unnoticed."""

import ast
import copy

import jsonschema
import pytest

from etl.events import BY_NAME, EVENTS, FLAG, KINDS, Event, example, faults, fields_of, json_schema
from etl.stages import STAGES
from tests.conftest import ROOT
from tests.run_logs import validator


def told_in_code() -> dict[str, set[str]]:
    """Return the events that the code of `etl` tells, with the fields that are named there."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "etl").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
                continue
            named = getattr(node.func, "id", "") == "tell"
            if named or "logger()" in ast.unparse(node.func):
                fields = {keyword.arg for keyword in node.keywords if keyword.arg and keyword.arg != "exc_info"}
                found.setdefault(node.args[0].value, set()).update(fields)
    return found


def test_every_event_that_the_code_tells_is_declared_with_its_fields() -> None:
    told = told_in_code()
    assert len(told) > 15
    for name, fields in told.items():
        assert name in BY_NAME, name
        assert fields <= set(fields_of(BY_NAME[name])), name


def test_names_are_distinct_and_each_event_says_when_it_comes() -> None:
    assert len(BY_NAME) == len(EVENTS)
    for event in EVENTS:
        assert event.when, event.name
        assert all(field.tells for field in event.fields), event.name


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_the_example_of_an_event_obeys_the_schema_and_the_catalogue(event: Event) -> None:
    line = example(event)
    validator().validate(line)
    values = {name: value for name, value in line.items() if name in fields_of(event) and value is not None}
    assert faults(event.name, event.level, values) == ()


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_a_line_with_one_thing_wrong_is_refused_by_the_schema(event: Event) -> None:
    for spoil in (
        {"name": "Wrenna"},
        {"level": "trace"},
        {"timestamp": "2026-11-20 12:00"},
        {"run_id": "Wrenna"},
        {"stage": "Hollisk"},
    ):
        with pytest.raises(jsonschema.ValidationError):
            validator().validate(example(event) | spoil)
    for name in [field.name for field in event.fields if not field.optional]:
        line = copy.deepcopy(example(event))
        del line[name]
        with pytest.raises(jsonschema.ValidationError):
            validator().validate(line)


@pytest.mark.parametrize(("values", "found"), [
    ({"rows": 1}, ("environment", "version", "rows")), ({"environment": "a", "version": "1"}, ()),
    ({"environment": "a b", "version": "1"}, ("environment",)), ({"environment": "a", "version": 1}, ("version",)),
    ({"environment": "a", "version": "1", "stage": "Wrenna"}, ("stage",)),
])  # fmt: skip
def test_what_an_event_lacks_or_has_too_much_is_named(values: dict[str, object], found: tuple[str, ...]) -> None:
    assert faults("run started", "info", values) == found


def test_another_name_or_level_is_named() -> None:
    assert faults("customer found", "info", {}) == ("event",)
    assert faults("run ended", "error", {"outcome": "success"}) == ("level",)


def test_kinds_take_what_they_are_for_and_no_words_of_a_row() -> None:
    for kind in KINDS:
        assert kind.accepts(kind.example), kind.name
        if not kind.masked:
            for value in ("Wrenna Hollisk", "wrenna@hollisk.example", "020 7946 0000", True, None, [], -1):
                assert not kind.accepts(value), (kind.name, value)


def test_stages_in_the_schema_are_the_declared_ones() -> None:
    first = json_schema()["oneOf"][0]["properties"]["stage"]["anyOf"][0]["enum"]
    assert first == [stage.name for stage in STAGES]


def test_a_flagged_line_is_valid_and_says_what_is_wrong() -> None:
    line = {
        "timestamp": "2026-11-20T12:00:05Z",
        "level": "info",
        "logger": "operations",
        "event": "x",
        "run_id": None,
        "stage": None,
    }
    validator().validate(line | {FLAG: ["event"]})
    with pytest.raises(jsonschema.ValidationError):
        validator().validate(line)


def test_every_event_of_the_catalogue_is_emitted_somewhere() -> None:
    code = [path for path in (ROOT / "etl").rglob("*.py") if path.name != "events.py"]
    calls = [
        node for path in code for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
    ]
    told = {call.args[0].value for call in calls if call.args and isinstance(call.args[0], ast.Constant)}
    assert [one.name for one in EVENTS if one.name not in told] == []
