"""Questions to the logs are answered from real logs, also from one that a killed run left."""

from itertools import count
from pathlib import Path

import pytest

from etl import cli, config
from etl.errors import ConfigError
from etl.events import BY_NAME, example
from etl.log import log_parts, log_path, log_run, logger
from etl.log_analysis import (
    RunLog,
    choose_logs,
    count_events,
    errors_by_class,
    named,
    read_log,
    runs_with_logs,
    slowest_stages,
    summarise,
    tell_story,
)
from etl.pipeline import run
from etl.stages import STAGES
from tests.customers import customer, write_customers

RUN = "20261120T120000Z-00000a"


def line(name: str, **values: object) -> dict[str, object]:
    return example(BY_NAME[name]) | values


@pytest.fixture
def runs(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The runs folder after a good run and one whose input was not there."""
    numbers = count(1)  # two runs of the same second: their ids shall be in order all the same
    monkeypatch.setattr("secrets.token_hex", lambda _: f"{next(numbers):06x}")
    write_customers(project / "data/customers.csv", [customer(number) for number in range(1, 8)])
    run(config.load(overrides={"input.batch_size": "3"}), quiet=True)
    (project / "data/customers.csv").unlink()
    run(config.load(), quiet=True)
    return project / "runs"


def test_parts_are_read_in_the_order_in_which_they_were_written(project: Path) -> None:
    folder = project / "runs" / RUN
    folder.mkdir(parents=True)
    small = config.load(overrides={"logging.rotate_at": "0.001", "logging.rotate_keep": "12"}).values
    with log_run(folder, RUN, small, quiet=True):
        for number in range(60):
            logger().info("service is back", service=f"s{number}")
    assert len(log_parts(folder)) > 10, "ten and more: the tenth part is no neighbour of the first"
    assert [one["service"] for one in read_log(folder).lines] == [f"s{number}" for number in range(60)]


def test_a_line_that_was_cut_short_is_counted_and_no_error(runs: Path) -> None:
    folder = runs_with_logs(runs)[0]
    path = log_path(folder)
    whole = read_log(folder)
    for cut in range(1, 60, 7):
        path.write_bytes(path.read_bytes()[:-cut])
        log = read_log(folder)
        assert log.broken <= 1
        assert list(log.lines) == list(whole.lines[: len(log.lines)])
    assert "it was killed, or it is still under way" in tell_story(read_log(folder))[-1]


@pytest.mark.parametrize("text", ["", "\n", "no json\n", "[]\n", "null\n", '{"event": 1}\n', '{"a": "\udcff"}\n', "\x00\x00\n"])
def test_whatever_lies_there_instead_of_a_log_is_read_without_an_error(text: str, project: Path) -> None:
    folder = project / "runs" / RUN
    folder.mkdir(parents=True)
    log_path(folder).write_text(text, encoding="utf-8", errors="surrogateescape")
    log = read_log(folder)
    assert log.lines == ()
    assert tell_story(log) == ["The log holds no line that can be read."]


def test_a_log_of_the_first_version_is_read_too(project: Path) -> None:
    folder = project / "runs" / RUN
    folder.mkdir(parents=True)
    text = '{"run_id": "x", "level": "info", "timestamp": "2026-11-20T12:00:00Z", "event": "run ended", "outcome": "success"}\n'
    (folder / "log.jsonl").write_text(text, encoding="utf-8")
    assert [one["outcome"] for one in read_log(folder).lines] == ["success"]


def test_errors_are_counted_by_class_over_runs() -> None:
    logs = [
        RunLog(
            "a",
            (
                line("run failed", error="InputError", runbook="input-unusable"),
                line("rows refused by the warehouse"),
                line("run ended"),
            ),
        ),
        RunLog(
            "b", (line("run failed", error="InputError", runbook="other", timestamp="2026-11-21T00:00:00Z"), line("run started"))
        ),
    ]
    first, second = errors_by_class(logs)
    assert (first.name, first.times, first.runs, first.last) == ("InputError (run failed)", 2, {"a", "b"}, "2026-11-21T00:00:00Z")
    assert first.runbooks == {"input-unusable", "other"}
    assert (second.name, second.times, second.runbooks) == ("rows refused by the warehouse", 1, set())


def test_stages_are_ordered_by_what_they_took() -> None:
    logs = [RunLog("a", (line("stage ended", stage="load", seconds=2), line("stage ended", stage="score", seconds=9.5))),
            RunLog("b", (line("stage ended", stage="load", seconds=4, rows_in=7), line("stage ended", seconds="broken")))]  # fmt: skip
    assert [(one.run_id, one.stage, one.seconds) for one in slowest_stages(logs)] == [
        ("a", "score", 9.5),
        ("b", "load", 4),
        ("a", "load", 2),
    ]


def test_events_are_counted_by_level() -> None:
    logs = [RunLog("a", (line("tried again"), line("run started"), line("tried again"), line("health checked", level="warning")))]
    assert count_events(logs) == [("run started", "info", 1), ("health checked", "warning", 1), ("tried again", "warning", 2)]


def test_a_story_tells_each_line_with_the_seconds_since_the_beginning() -> None:
    lines = (line("run started", timestamp="2026-11-20T12:00:00Z"), line("tried again", timestamp="2026-11-20T12:00:01.5Z", stage="load"),
             line("run ended", timestamp="2026-11-20T12:01:00Z"))  # fmt: skip
    told = tell_story(RunLog("a", lines))
    assert len(told) == 3
    assert told[0].startswith("    0.000 s  run started")
    assert told[1].startswith("    1.500 s  WARNING: load: tried again")
    assert told[2].startswith("   60.000 s  run ended")


def test_logs_are_chosen_by_run_or_by_how_new_they_are(runs: Path) -> None:
    folders = runs_with_logs(runs)
    assert choose_logs(runs, None, None) == folders
    assert choose_logs(runs, None, 1) == folders[-1:]
    assert choose_logs(runs, folders[0].name, 1) == folders[:1]
    with pytest.raises(ConfigError, match="no log of a run 'x'"):
        choose_logs(runs, "x", None)
    assert summarise([RunLog("a", (), 2)]) == "0 lines of 1 run(s); 2 can't be read"
    assert list(named([line("tried again")], "run ended")) == []


@pytest.mark.parametrize(("arguments", "told"), [
    ([], "run started"), (["--errors"], "InputError (run failed)"), (["--stages"], "load"), (["--story"], "ERROR: run failed"),
    (["--event", "rows loaded"], "inserted=3"), (["--last", "1"], "of 1 run(s)"), (["--errors", "--last", "1"], "runbook: input-unusable"),
])  # fmt: skip
def test_the_command_answers_from_the_logs_of_real_runs(
    arguments: list[str], told: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert runs.exists()
    capsys.readouterr()
    assert cli.main(["logs", *arguments]) == 0
    assert told in capsys.readouterr().out


def test_the_story_of_a_named_run_names_every_stage(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = runs_with_logs(runs)[0].name
    for arguments in (["--story", first], [first, "--story", first]):
        assert cli.main(["logs", *arguments]) == 0
        shown = capsys.readouterr().out
        assert all(f"{stage.name}: stage ended" in shown for stage in STAGES)
        assert "outcome=success" in shown


@pytest.mark.usefixtures("project")
def test_without_a_log_the_command_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["logs"]) == 2
    assert "no log of a run yet" in capsys.readouterr().err
    for wrong in (["--last", "0"], ["--event", "nonsense"]):
        with pytest.raises(SystemExit):
            cli.main(["logs", *wrong])
