"""The page on logging tells a real run's story, names every event, and its commands answer from the logs of real runs."""

import html
import re
import shlex
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from etl import cli, config
from etl.config import LoadedSettings
from etl.events import EVENTS, LOGS, example
from etl.log import log_parts, log_path
from etl.pipeline import run
from etl.record import RunRecord
from etl.stages import STAGES
from generators.context import Context
from generators.deliverables.logging import BEGINNING, END, NEVER, QUESTIONS, WATCH
from tests.conftest import ROOT
from tests.customers import customer, write_customers
from tests.pages import render_deliverable
from tests.records import make_context, make_record

Page = Callable[..., str]


@pytest.fixture
def records(project: Path, monkeypatch: pytest.MonkeyPatch) -> list[RunRecord]:
    """A run that failed, and a good one of three batches."""
    numbers = count(1)  # two runs of the same second: their ids shall be in order all the same
    monkeypatch.setattr("secrets.token_hex", lambda _: f"{next(numbers):06x}")
    failed = run(config.load(), quiet=True)
    write_customers(project / "data/customers.csv", [customer(number) for number in range(1, 8)])
    return [failed, run(config.load(overrides={"input.batch_size": "3"}), quiet=True)]


def page_of(folder: Path, *records: RunRecord) -> str:
    return render_deliverable("logging", make_context(*records, settings=config.load()), folder / "out")


def section(text: str, heading: str) -> str:
    return text.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def test_the_story_is_that_of_the_newest_run(records: list[RunRecord], project: Path) -> None:
    told = html.unescape(section(page_of(project, *records), "One run's story"))
    assert f"{records[1].run_id}" in told
    for stage in STAGES:
        assert f"{stage.name}: stage ended" in told
    assert "0.000 s  run started" in told
    assert "outcome=success" in told


def test_the_story_of_a_failed_run_ends_with_its_error(records: list[RunRecord], project: Path) -> None:
    assert "ERROR: run failed" in section(page_of(project, records[0]), "One run's story")


def test_a_long_story_is_shortened_and_says_so(project: Path) -> None:
    write_customers(project / "data/customers.csv", [customer(number) for number in range(1, 31)])
    record = run(config.load(overrides={"input.batch_size": "1"}), quiet=True)
    told = section(page_of(project, record), "One run's story")
    assert len(re.findall(r"^(?:.*<pre>)? +\d+\.\d{3} s ", html.unescape(told), re.MULTILINE)) == BEGINNING + END
    assert "lines left out" in told


def test_a_log_that_was_deleted_is_no_fault_of_the_page(project: Path) -> None:
    told = page_of(project, make_record())
    assert "Its log is not there" in section(told, "One run's story")
    assert '<data value="0" data-src="logs:files"' in told


def test_a_line_of_a_log_is_shown_as_text_and_not_as_a_page(records: list[RunRecord], project: Path) -> None:
    path = log_path(project / "runs" / records[1].run_id)
    with path.open("a", encoding="utf-8") as file:
        file.write(
            '{"timestamp": "2026-11-20T12:00:00Z", "level": "info", "logger": "operations", "event": "<script>alert(1)</script>"}\n'
        )
    assert "<script" not in page_of(project, *records)


def test_the_figures_are_those_of_the_files(records: list[RunRecord], project: Path) -> None:
    told = section(page_of(project, *records), "Where logs are")
    parts = [part for record in records for part in log_parts(project / "runs" / record.run_id)]
    assert f'<data value="{len(parts)}" data-src="logs:files"' in told
    assert f'<data value="{round(sum(part.stat().st_size for part in parts) / 1e6, 3)}" data-src="logs:megabytes"' in told
    assert f'<data value="{records[0].run_id}" data-src="logs:oldest"' in told
    for name in (name for name in config.setting_names() if name.startswith("logging.")):
        assert f"| `{name}` |" in told


def test_what_is_due_is_counted(records: list[RunRecord], project: Path) -> None:
    due: LoadedSettings = config.load(overrides={"logging.keep": "0.000001", "runs.keep_quarantine": "0.000001"})
    context: Context = make_context(*records, settings=due)
    assert "Due now: 1 log files" in section(render_deliverable("logging", context, project / "out"), "Where logs are")


def test_every_event_stands_there_with_level_fields_and_an_example(records: list[RunRecord], project: Path) -> None:
    text = html.unescape(section(page_of(project, *records), "Event catalogue"))
    for event in EVENTS:
        (row,) = [line for line in text.splitlines() if line.startswith(f"| `{event.name}` |")]
        assert f"| {' or '.join(event.levels)} |" in row
        assert all(f">{field.name}</code>" in row for field in event.fields)
        assert f'"event": "{event.name}"' in text
        assert str(example(event)["logger"]) in LOGS
    assert re.search(r"^\| `batch loaded` .*\| 3 \|$", text, re.MULTILINE), "seen in the logs of the good run"


@pytest.mark.parametrize(("question", "command"), QUESTIONS)
def test_every_command_answers_from_the_logs_of_real_runs(
    question: str, command: str, records: list[RunRecord], project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"| {question} | <code>{command}</code> |" in html.unescape(page_of(project, *records))
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "etl"]
    capsys.readouterr()
    assert cli.main(words[3:]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if not re.match(r"\d[\d,]* (?:lines )?of|\d+ lines", line)]
    assert rows
    assert not any("Nothing went wrong" in line or line.startswith("0 of") for line in rows)


def test_the_command_below_the_story_works(records: list[RunRecord], project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (command,) = re.findall(r"`python -m etl (logs --story \S+)`", section(page_of(project, *records), "One run's story"))
    assert cli.main(command.split()) == 0
    assert records[1].run_id in capsys.readouterr().out


def test_every_event_above_info_says_what_to_do() -> None:
    assert set(WATCH) == {event.name for event in EVENTS if {"warning", "error"} & set(event.levels)}


def test_every_test_that_the_page_names_is_there() -> None:
    for _, _, node in NEVER:
        file, *names = node.split("::")
        text = (ROOT / file).read_text(encoding="utf-8")
        assert all(re.search(rf"(?:def|class) {name}\b", text) for name in names), node
