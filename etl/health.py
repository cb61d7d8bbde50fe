"""Health: looks at everything a run depends on, each part with its state, the time it took, and what to do.

A run looks too, before it reads a row. States: `ok`; `warning`, a run goes well all the same; `failed`, it would not; `off`,
not in use by the settings.
"""

import contextlib
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from etl.config import LoadedSettings
from etl.errors import (
    EXIT_SUCCESS,
    EXIT_UNEXPECTED,
    EXIT_WARNINGS,
    BusyError,
    DiskError,
    InputError,
    PipelineError,
    WarehouseError,
)
from etl.extract import CsvSource
from etl.health_log import BEFORE_RUN, COMPONENTS, FILE_NAME
from etl.log import logger
from etl.mail import FAULTS, greet
from etl.record import ComponentRecord, HealthRecord, HealthState, history
from etl.references import load_references, open_services
from etl.service_calls import ServiceError
from etl.warehouse import Warehouse, open_warehouse

LEAST_FREE = 0.1
"""Share of a disk below which there is too little room."""
TIMES_INPUT = 4
"""How many times the size of the input a run needs on the disk of the warehouse and of the runs."""
CLOCK_SKEW = timedelta(minutes=2)


@dataclass(frozen=True)
class Finding:
    """What a check found. `code` is the exit code that a run would end with."""

    state: HealthState
    told: str
    advice: str = ""
    runbook: str = ""
    code: int = EXIT_SUCCESS


Check = Callable[[LoadedSettings, datetime], Finding]


def check_health(loaded: LoadedSettings, now: datetime) -> HealthRecord:
    """Look at every component, the warehouse by a connection of its own, and add the outcome to the history of checks."""
    found = [*check_surroundings(loaded, now, CHECKS), *_timed("warehouse", lambda: _check_warehouse(loaded))]
    return _concluded(loaded, now, found)


def check_before_run(loaded: LoadedSettings, now: datetime, warehouse: Warehouse) -> tuple[ComponentRecord, ...]:
    """Look at what a run does not look at by itself within the next second, and at the warehouse over the run's connection.

    Raises what a run can't go on with.
    """
    found = [*check_surroundings(loaded, now, BEFORE_RUN), *_timed("warehouse", lambda: probe(warehouse))]
    components = _concluded(loaded, now, found).components
    for one in components:
        if one.state != "off":
            tell = logger().info if one.state == "ok" else logger().warning
            tell("health checked", component=one.name, state=one.state, seconds=one.seconds)
        if one.state == "failed":
            raise DiskError(f"{one.name}: {one.told}. {one.advice}") if one.name == "disk" else WarehouseError(one.told)
    return components


def check_surroundings(loaded: LoadedSettings, now: datetime, names: Iterable[str]) -> Iterator[ComponentRecord]:
    """Yield the state of some components, the warehouse apart."""
    for name in names:
        check = CHECKS[name]
        yield from _timed(name, lambda check=check: check(loaded, now))  # type: ignore[misc]


def exit_code(components: tuple[ComponentRecord, ...]) -> int:
    """Return the exit code of the worst component: that of its failure, 10 for warnings, 0."""
    failed = [one.exit_code for one in components if one.state == "failed"]
    return failed[0] if failed else EXIT_WARNINGS if any(one.state == "warning" for one in components) else EXIT_SUCCESS


def _concluded(loaded: LoadedSettings, now: datetime, found: list[ComponentRecord]) -> HealthRecord:
    record = HealthRecord(environment=loaded.environment, checked_at=now, components=tuple(found))
    runs = loaded.values.runs.path
    if runs.is_dir():
        with (runs / FILE_NAME).open("a", encoding="utf-8", newline="\n") as file:
            file.write(record.model_dump_json() + "\n")
    return record


def _timed(name: str, check: Callable[[], Finding]) -> Iterator[ComponentRecord]:
    begin = time.perf_counter()
    try:
        found = check()
    except PipelineError as error:
        what, _, advice = str(error).partition(". ")
        found = Finding("failed", what, advice or "See the runbook.", error.runbook, error.exit_code)
    except OSError as error:
        found = Finding("failed", f"not readable ({type(error).__name__})", "Look at the rights.", "disk-full", EXIT_UNEXPECTED)
    yield ComponentRecord(
        name=name, state=found.state, told=found.told, advice=found.advice, runbook=found.runbook, exit_code=found.code,
        seconds=round(time.perf_counter() - begin, 4),
    )  # fmt: skip


def _check_settings(loaded: LoadedSettings, _: datetime) -> Finding:
    given = sum(origin != "default" for origin in loaded.origins.values())
    return Finding("ok", f"{len(loaded.origins)} settings in order, {given} of them not at their default")


def _check_input(loaded: LoadedSettings, now: datetime) -> Finding:
    settings = loaded.values.input
    facts = CsvSource(settings.path, settings).facts
    age = (now - facts.made_at).total_seconds() / 3600
    told = f"{facts.name}, {facts.bytes:,} bytes, {age:.1f} h old"
    if facts.unknown_columns:
        advice = f"{len(facts.unknown_columns)} column(s) will be left out. Ask the supplier whether the layout has changed."
        return Finding("warning", told, advice, InputError.runbook)
    if age > settings.promised_age:
        return Finding("warning", told, "Ask the supplier for the newest file.", "late-file")
    return Finding("ok", told)


def _check_references(loaded: LoadedSettings, _: datetime) -> Finding:
    load_references(loaded.values.references)
    return Finding("ok", "places and companies can be read")


def _check_service(name: str, question: str) -> Check:
    """Return a check that asks a service one question about no customer, once."""

    def check(loaded: LoadedSettings, _: datetime) -> Finding:
        settings = loaded.values.services.model_copy(update={"attempts": 1})
        service = open_services(settings).get(name)
        if service is None:
            return Finding("off", f"services.{name}_url is not set; the embedded reference answers")
        with contextlib.closing(service.caller):
            try:
                service.answer([question])
            except ServiceError as error:
                return Finding("warning", f"no use: {error.kind}", "Runs go on with cache and reference.", "service-down")
        return Finding("ok", "answers")

    return check


def _check_disk(loaded: LoadedSettings, _: datetime) -> Finding:
    values = loaded.values
    size = values.input.path.stat().st_size if values.input.path.exists() else 0
    spaces = [shutil.disk_usage(_existing(path)) for path in (values.runs.path, values.warehouse.path)]
    free, share = min(space.free for space in spaces), min(space.free / space.total for space in spaces)
    told = f"{free / 1e9:.1f} GB free ({share:.0%})"
    if free < TIMES_INPUT * size:
        return Finding(
            "failed", told, f"A run needs {TIMES_INPUT * size / 1e9:.1f} GB. Make room: python -m etl prune", "disk-full", 1
        )
    if share < LEAST_FREE:
        return Finding("warning", told, "Make room soon: python -m etl prune", "disk-full")
    return Finding("ok", told)


def _existing(path: Path) -> Path:
    return next(one for one in (path.absolute(), *path.absolute().parents) if one.exists())


def _check_clock(loaded: LoadedSettings, now: datetime) -> Finding:
    """Compare the clock with what the clock has written before: it can't have gone backwards."""
    last = max((record.ended_at for record in history(loaded.values.runs.path)), default=now)
    path = loaded.values.input.path
    made = datetime.fromtimestamp(path.stat().st_mtime, UTC) if path.exists() else now
    ahead = max(last, made) - now
    if ahead > CLOCK_SKEW:
        what = "the last run ended" if last >= made else "the input was made"
        return Finding("warning", f"{what} {ahead} in the future", "Set the clock by a time server.", "unexpected-error")
    return Finding("ok", f"{now:%Y-%m-%d %H:%M:%S} UTC, behind every earlier run")


def _check_mail(loaded: LoadedSettings, _: datetime) -> Finding:
    mail = loaded.values.mail
    if not mail.host:
        return Finding("off", "mail.host is not set, so alerts are not sent")
    done = greet(mail)
    if done.error_class is None:
        return Finding("ok", "connected" + (" and signed in" if mail.user else ""))
    fault = FAULTS.get(done.error_class)
    return Finding("warning", f"alerts can't be sent ({done.error_class})", fault.remedy if fault else "", "alert-not-sent")


def _check_warehouse(loaded: LoadedSettings) -> Finding:
    try:
        with open_warehouse(loaded.values.warehouse) as warehouse:
            warehouse.prepare()
            return probe(warehouse)
    except BusyError as error:
        return Finding("warning", str(error), "Nothing to do, unless that run hangs.", error.runbook)


def probe(warehouse: Warehouse) -> Finding:
    """Look at the tables, measure a round trip, and write a row that is rolled back. The tables must be prepared."""
    seconds = warehouse.probe()
    health = warehouse.health()
    if seconds > 1:
        advice = "The server or the way to it is slow; ask its owner."
        return Finding("warning", f"{health.server} answers in {seconds:.1f} s", advice, WarehouseError.runbook)
    return Finding(
        "ok", f"{health.server}, {len(health.tables)} tables, {health.rows:,} customers, answers in {1000 * seconds:.1f} ms"
    )


CHECKS: dict[str, Check] = {
    "settings": _check_settings,
    "input": _check_input,
    "references": _check_references,
    "disk": _check_disk,
    "clock": _check_clock,
    "postcodes": _check_service("postcodes", "SW1A 1AA"),
    "companies": _check_service("companies", "handover health check"),
    "mail": _check_mail,
}
"""Every component but the warehouse, in the order in which they are looked at."""
assert tuple(CHECKS) == COMPONENTS[:-1]
