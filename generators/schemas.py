"""The published JSON Schemas by name. Pages link to them, and the evidence checks files against them."""

from collections.abc import Callable, Mapping
from typing import Any

from etl import events, record
from generators import backlog
from generators.evidence import report

SCHEMAS: Mapping[str, Callable[[], dict[str, Any]]] = {
    "run": record.json_schema,
    "log": events.json_schema,
    "backlog": backlog.json_schema,
    "evidence": report.json_schema,
}
