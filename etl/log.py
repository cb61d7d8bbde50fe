"""Logging: JSON lines in a file per run, plain lines on the terminal; the run's id and the stage on each.

An event passes the catalogue and the masks (`etl.events`, `etl.masking`) before any handler sees it. What libraries and
Python itself have to tell comes the same way. A log that can't be written never stops a run; it is told at the end.
"""

import logging
import os
import re
import sys
import warnings
from collections.abc import Collection, Iterator, MutableMapping, Sequence
from contextlib import ExitStack, contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, TextIO

import stamina
import structlog

from etl.audit import append_audit
from etl.errors import place_in_our_code
from etl.events import BY_NAME, FLAG, LOGS, faults, fields_of
from etl.masking import escape, mask, secret_values
from etl.settings import Settings

OWNER_ONLY = 0o600
MB = 1_000_000
strict = False
"""Whether an event that the catalogue does not have is refused, as in tests; otherwise it is flagged and logged."""

_SINK = "handover"
_COMMON = ("timestamp", "level", "logger", "event", "run_id", "stage", FLAG)
_Line = MutableMapping[str, Any]


class UndeclaredEventError(Exception):
    """Code tells an event that the catalogue does not have in this form. The text names event and fields."""


class LogLoss:
    """How many lines could not be written to the log, and why."""

    def __init__(self) -> None:
        """Nothing is lost yet."""
        self.lines = 0
        self.error = ""

    def note(self, error: BaseException | None) -> None:
        """Count a line that was lost to an error."""
        self.lines += 1
        self.error = type(error).__name__

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return what the record of the run should say about it: nothing, or one warning."""
        return (
            (f"{self.lines} lines could not be written to the log ({self.error}); see the runbook, disk-full",)
            if self.lines
            else ()
        )


def log_path(folder: Path) -> Path:
    """Return the log in the folder of a run. Its name holds the run's id: its start in UTC and a random part."""
    return folder / f"log-{folder.name}.jsonl"


def log_parts(folder: Path) -> list[Path]:
    """Return the files of a run's log, oldest part first."""
    path = log_path(folder)
    rotated = {
        int(found[1]): one
        for one in folder.glob(f"{path.stem}.*{path.suffix}")
        if (found := re.fullmatch(r".*\.(\d+)\.jsonl", one.name))
    }
    old = folder / "log.jsonl"  # as runs of version 0.1.0 named it
    return [one for one in (old, *(rotated[number] for number in sorted(rotated, reverse=True)), path) if one.is_file()]


def logger() -> Any:
    """Return the pipeline's logger. Which of the three logs an event belongs to stands in the catalogue."""
    return structlog.get_logger(_SINK)


@contextmanager
def in_stage(name: str) -> Iterator[None]:
    """Write the name of a stage on every event inside."""
    with structlog.contextvars.bound_contextvars(stage=name):
        yield


@contextmanager
def log_run(folder: Path, run_id: str, settings: Settings, quiet: bool = False) -> Iterator[LogLoss]:
    """Log to `folder` and, unless `quiet`, to standard error, with `run_id` on each event, until left.

    Audit events also go to the audit log beside the folders of runs. Raises nothing when a log can't be written; what was
    lost stands in the result, and on standard error at the end.
    """
    loss = LogLoss()
    handlers: list[logging.Handler] = [_RunFile(log_path(folder), settings, loss), _AuditLog(folder.parent, loss)]
    if not quiet:
        handlers.append(_Terminal(sys.stderr, loss))
    with _logging(handlers, settings), structlog.contextvars.bound_contextvars(run_id=run_id):
        yield loss
    for warning in loss.warnings:
        sys.stderr.write(f"{warning}\n")


@contextmanager
def log_command(settings: Settings) -> Iterator[None]:
    """Log what a command does outside of a run: audit events to the audit log, what went wrong to standard error."""
    loss = LogLoss()
    terminal = _Terminal(sys.stderr, loss)
    terminal.setLevel(logging.WARNING)
    with _logging([_AuditLog(settings.runs.path, loss), terminal], settings):
        yield
    for warning in loss.warnings:
        sys.stderr.write(f"{warning}\n")


@contextmanager
def _logging(handlers: Sequence[logging.Handler], settings: Settings) -> Iterator[None]:
    sink, forward = logging.getLogger(_SINK), _Forward(logging.WARNING)
    with ExitStack() as stack:
        for handler in handlers:
            sink.addHandler(handler)
            stack.callback(_close, handler)
            stack.callback(sink.removeHandler, handler)
        logging.getLogger().addHandler(forward)
        stack.callback(logging.getLogger().removeHandler, forward)
        stack.enter_context(_warnings_logged())
        _configure(settings.logging.level, secret_values(settings))
        stack.callback(_configure)
        yield


def _close(handler: logging.Handler) -> None:
    try:
        handler.close()
    except OSError:  # what is still in a buffer of a full disk
        logging.Handler.close(handler)


def _configure(level: str = "info", secrets: Collection[str] = ()) -> None:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            describe_error,
            check_event,
            Threshold(level),
            Mask(secrets),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def describe_error(_: Any, __: str, line: _Line) -> _Line:
    """Put the class and the place of an error where the error was; its text and its traceback go no further."""
    given = line.pop("exc_info", None)
    line.pop("stack_info", None)
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        line.setdefault("error", type(error).__name__)
        line.setdefault("place", place_in_our_code(error))
    return line


def check_event(_: Any, __: str, line: _Line) -> _Line:
    """Bring an event to the form of the catalogue: the log it belongs to, its fields and no others.

    What the catalogue does not have is flagged and left out, the event stays; raises UndeclaredEventError when `strict`.
    """
    name = str(line["event"])
    values = {key: value for key, value in line.items() if key not in _COMMON and value is not None}
    stage = {"stage": line["stage"]} if line.get("stage") is not None else {}
    found = faults(name, line["level"], values | stage)
    if found and strict:
        raise UndeclaredEventError(f"event {name!r}: not in etl/events.py: {', '.join(found)}. Declare it there.")
    event = BY_NAME.get(name)
    declared = fields_of(event) if event else {}
    common = {key: line.get(key) for key in _COMMON[:2]} | {"logger": event.log if event else next(iter(LOGS)), "event": name}
    common |= {"run_id": line.get("run_id"), "stage": None if "stage" in found else line.get("stage")}
    kept = {key: value for key, value in values.items() if key in declared and key not in found}
    return common | kept | ({FLAG: list(found)} if found else {})


class Threshold:
    """Drops events below a level; the audit log is complete whatever the level."""

    def __init__(self, level: str) -> None:
        """Take the lowest level that is logged."""
        self._least = logging.getLevelName(level.upper())

    def __call__(self, _: Any, __: str, line: _Line) -> _Line:
        """Return the event or raise structlog.DropEvent."""
        if line["logger"] != "audit" and logging.getLevelName(line["level"].upper()) < self._least:
            raise structlog.DropEvent
        return line


class Mask:
    """Masks what may hold words, and spells out what could forge a line."""

    def __init__(self, secrets: Collection[str]) -> None:
        """Take the secrets in force."""
        self._secrets = secrets

    def __call__(self, _: Any, __: str, line: _Line) -> _Line:
        """Return the event with its free words masked; names, ids and figures have passed the catalogue."""
        event = BY_NAME.get(line["event"])
        for name, field in (fields_of(event) if event else {}).items():
            if field.kind.masked and isinstance(line.get(name), str):
                line[name] = mask(line[name], self._secrets)
        if FLAG in line:
            line["event"] = line["event"] if event else mask(line["event"], self._secrets)
            line[FLAG] = [mask(name, self._secrets) for name in line[FLAG]]
        return line


class _Handling(logging.Handler):
    """A handler whose failures are counted and never told in the middle of a run."""

    def __init__(self, renderer: Any, loss: LogLoss) -> None:
        self._loss = loss
        self.setFormatter(
            structlog.stdlib.ProcessorFormatter(processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer])
        )

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002 - the name is logging's
        self._loss.note(sys.exc_info()[1])


_JSON = structlog.processors.JSONRenderer(ensure_ascii=False)


class _RunFile(_Handling, RotatingFileHandler):
    """The log of a run, for its owner only. It is opened by the first line, so that a failure to open is one like any other."""

    def __init__(self, path: Path, settings: Settings, loss: LogLoss) -> None:
        RotatingFileHandler.__init__(
            self, path, maxBytes=int(settings.logging.rotate_at * MB), backupCount=settings.logging.rotate_keep,
            encoding="utf-8", delay=True, errors="backslashreplace",
        )  # fmt: skip
        _Handling.__init__(self, _JSON, loss)

    def rotation_filename(self, default_name: str) -> str:
        """Return the name of a rotated part: `log-RUN.1.jsonl`, so that it is still a file of JSON lines by its name."""
        stem, _, number = default_name.rpartition(".")
        return f"{stem.removesuffix('.jsonl')}.{number}.jsonl"

    def _open(self) -> Any:
        return open(
            self.baseFilename, "a", encoding="utf-8", errors="backslashreplace", newline="\n",
            opener=lambda path, flags: os.open(path, flags, OWNER_ONLY),
        )  # fmt: skip


class _AuditLog(_Handling):
    """Adds audit events to the audit log of the runs folder."""

    def __init__(self, runs: Path, loss: LogLoss) -> None:
        logging.Handler.__init__(self)
        _Handling.__init__(self, _JSON, loss)
        self._runs = runs

    def emit(self, record: logging.LogRecord) -> None:
        """Add a line when the event is one of the audit."""
        try:
            if isinstance(record.msg, dict) and record.msg["logger"] == "audit":
                append_audit(self._runs, self.format(record))
        except (OSError, TypeError, ValueError):  # a full disk, another process that has it for too long
            self.handleError(record)


class _Terminal(_Handling, logging.StreamHandler[TextIO]):
    """Readable lines on the terminal."""

    def __init__(self, stream: TextIO, loss: LogLoss) -> None:
        logging.StreamHandler.__init__(self, stream)
        _Handling.__init__(self, lambda _, __, line: plain(line), loss)


def plain(line: _Line) -> str:
    """Return a line for people: `10:15:02 info    stage ended    stage=load rows_in=100`; the run's id only where it begins."""
    left = {
        key: value for key, value in line.items() if key not in ("timestamp", "level", "event", "logger") and value is not None
    }
    if line["event"] != "run started":
        left.pop("run_id", None)
    told = " ".join(f"{key}={_shown(value)}" for key, value in left.items())
    return f"{line['timestamp'][11:19]} {line['level']:<7} {escape(line['event']):<14} {told}".rstrip()


def _shown(value: object) -> str:
    """Return a value for people: `validate:0.5,load:0.7` for seconds by stage."""
    return ",".join(f"{key}:{one}" for key, one in value.items()) if isinstance(value, dict) else escape(str(value))


class _Forward(logging.Handler):
    """Takes what libraries log and tells it as events of ours, with no value that was put into the words."""

    def emit(self, record: logging.LogRecord) -> None:
        """Tell a record; of one with values the words between them, for the values can be those of a row."""
        tell = logger().error if record.levelno >= logging.ERROR else logger().warning
        tell("library message", library=record.name, text=_words(record), exc_info=record.exc_info or None)


def _words(record: logging.LogRecord) -> str:
    """Return the words of a record. Our own modules that also log outside of a run put classes into theirs, which may be told."""
    try:
        return record.getMessage() if record.name.split(".")[0] == "etl" else str(record.msg)
    except (TypeError, ValueError):  # values that do not fit the words
        return str(record.msg)


@contextmanager
def _warnings_logged() -> Iterator[None]:
    """Tell Python's warnings as events: class and place. Their text is made of whatever was at hand."""

    def show(_: Any, category: type[Warning], filename: str, lineno: int, *__: Any) -> None:
        place = re.sub(r"[^\w./-]", "", "/".join(Path(filename).parts[-3:])) or "code"
        logger().warning("library warning", category=category.__name__, place=f"{place}:{lineno}")

    before = warnings.showwarning
    warnings.showwarning = show  # type: ignore[assignment]
    try:
        yield
    finally:
        warnings.showwarning = before


def _log_retry(details: stamina.instrumentation.RetryDetails) -> None:
    """Tell of a retry in place of the library's own words, which quote the error: that of a database can hold a row."""
    error = details.caused_by
    kind = getattr(error, "kind", type(error).__name__)
    logger().warning("tried again", error=kind, seconds=round(details.wait_for, 2))


stamina.instrumentation.set_on_retry_hooks([_log_retry])
logging.getLogger(_SINK).setLevel(logging.DEBUG)
logging.getLogger(_SINK).propagate = False
_configure()
