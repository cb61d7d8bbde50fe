"""Logging: JSON lines in a file per run, plain lines on the terminal, the run's id on each.

Events carry counts, names of stages and rules, never values of rows.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import stamina
import structlog

FILE_NAME = "log.jsonl"

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def logger() -> Any:
    """Return the pipeline's logger."""
    return structlog.get_logger("etl")


@contextmanager
def log_run(folder: Path, run_id: str, quiet: bool = False) -> Iterator[None]:
    """Log to `folder` and, unless `quiet`, to standard error, with `run_id` on each event, until left."""
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handlers: list[logging.Handler] = [logging.FileHandler(folder / FILE_NAME, encoding="utf-8")]
    handlers[0].setFormatter(_formatter(structlog.processors.JSONRenderer(ensure_ascii=False)))
    if not quiet:
        handlers.append(logging.StreamHandler(sys.stderr))
        handlers[1].setFormatter(_formatter(_plain))
    stamina.instrumentation.set_on_retry_hooks([_log_retry])
    root = logging.getLogger("etl")
    root.setLevel(logging.INFO)
    root.propagate = False
    root.handlers = handlers
    try:
        with structlog.contextvars.bound_contextvars(run_id=run_id):
            yield
    finally:
        root.handlers = []
        handlers[0].close()


def _log_retry(details: stamina.instrumentation.RetryDetails) -> None:
    """Tell of a retry in place of the library's own words, which quote the error: that of a database can hold a row."""
    error = details.caused_by
    kind = getattr(error, "kind", type(error).__name__)
    logger().warning("tried again", error=kind, seconds=round(details.wait_for, 2))


def _formatter(renderer: Any) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer], foreign_pre_chain=_SHARED
    )


def _plain(_: Any, __: str, event: dict[str, Any]) -> str:
    """Render `10:15:02 info  stage ended  stage=load rows=100`; the run's id is told once, at the start."""
    moment, level, text = event.pop("timestamp")[11:19], event.pop("level"), event.pop("event")
    if text != "run started":
        event.pop("run_id", None)
    return f"{moment} {level:<7} {text:<14} " + " ".join(f"{key}={value}" for key, value in event.items())
