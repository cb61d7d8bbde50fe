"""Look into the logs of the runs."""

import argparse
from collections.abc import Callable, Iterator, Sequence

from etl.config import LoadedSettings
from etl.console import say
from etl.errors import EXIT_SUCCESS
from etl.events import EVENTS
from etl.log import plain
from etl.log_analysis import (
    RunLog,
    choose_logs,
    count_events,
    errors_by_class,
    named,
    read_log,
    slowest_stages,
    summarise,
    tell_story,
)

SLOWEST = 20


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `logs` takes."""
    parser.add_argument("run_id", nargs="?", metavar="RUN", help="only this run (default: all that have a log)")
    parser.add_argument("--last", type=_positive, metavar="N", help="only the N newest runs")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--errors", action="store_true", help="what went wrong, by class of error")
    which.add_argument("--stages", action="store_true", help="the slowest stages")
    which.add_argument("--story", nargs="?", const="", metavar="RUN", help="one run from beginning to end (default: the newest)")
    which.add_argument("--event", choices=[event.name for event in EVENTS], metavar="NAME", help="every line of this event")


def carry_out(settings: LoadedSettings, options: argparse.Namespace) -> int:
    """Answer from the logs; without a question, count the events."""
    run_id, last = options.story or options.run_id, 1 if options.story is not None else options.last
    logs = [read_log(folder) for folder in choose_logs(settings.values.runs.path, run_id, last)]
    for line in _question(options)(logs):
        say(line)
    return EXIT_SUCCESS


def _question(options: argparse.Namespace) -> Callable[[Sequence[RunLog]], Iterator[str]]:
    if options.errors:
        return _errors
    if options.stages:
        return _stages
    if options.story is not None:
        return _story
    return _event(options.event) if options.event else _overview


def _errors(logs: Sequence[RunLog]) -> Iterator[str]:
    found = errors_by_class(logs)
    for one in found:
        helped = f"  runbook: {', '.join(sorted(one.runbooks))}" if one.runbooks else ""
        yield f"{one.times:>6,}  in {len(one.runs):>3,} run(s)  last {one.last[:19]}  {one.name}{helped}"
    yield f"{'' if found else 'Nothing went wrong: '}{summarise(logs)}"


def _stages(logs: Sequence[RunLog]) -> Iterator[str]:
    for one in slowest_stages(logs)[:SLOWEST]:
        yield f"{one.seconds:>9.3f} s  {one.stage:<9} {one.rows:>10,} rows  {one.run_id}"
    yield summarise(logs)


def _story(logs: Sequence[RunLog]) -> Iterator[str]:
    for log in logs:
        yield f"Run {log.run_id}"
        yield from tell_story(log)


def _event(name: str) -> Callable[[Sequence[RunLog]], Iterator[str]]:
    def lines(logs: Sequence[RunLog]) -> Iterator[str]:
        found = [(log.run_id, line) for log in logs for line in named(log.lines, name)]
        for run_id, line in found:
            yield f"{run_id}  {plain(dict(line) | {'run_id': None})}"
        yield f"{len(found):,} of {summarise(logs)}"

    return lines


def _overview(logs: Sequence[RunLog]) -> Iterator[str]:
    for event, level, times in count_events(logs):
        yield f"{times:>9,}  {level:<8} {event}"
    yield summarise(logs)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number
