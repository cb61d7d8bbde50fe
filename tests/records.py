"""Run records and contexts for tests of pages; nothing here is the record of a real run."""

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from etl import config
from etl.record import Fault, RunRecord
from etl.repository import content_of
from etl.rules import RULES, Dimension
from etl.stages import STAGES

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ROOT = Path(__file__).parent.parent


@cache
def pipeline_content() -> dict[str, str]:
    """Return the hashes that a run of the code as it is now records."""
    return content_of(ROOT / "etl", ())


def make_record(number: int = 0, **changes: Any) -> RunRecord:
    """Return the record of a good run of 1,000 rows, 40 of them rejected; `number` days after the first one."""
    started = NOON + timedelta(days=number)
    stages = [
        {"name": stage.name, "rows_in": 1000 if index < 2 else 960, "rows_out": 1000 if index < 1 else 960,
         "rows_rejected": 40 if index == 1 else 0, "seconds": 0.25 * (index + 1), "batches": 1, "peak_mb": 150.0}
        for index, stage in enumerate(STAGES[:-1])
    ]  # fmt: skip
    stages.append(
        {"name": "record", "rows_in": 0, "rows_out": 0, "rows_rejected": 0, "seconds": 0.1, "batches": 1, "peak_mb": 151.0}
    )
    dimensions = [
        {"dimension": d.value, "score": 99.0, "target": 98.0, "minimum": 95.0, "state": "green", "worst_rule": None}
        for d in Dimension
    ]
    values: dict[str, Any] = {
        "run_id": f"{started:%Y%m%dT%H%M%SZ}-{number:06x}",
        "batch_id": "00000000-0000-4000-8000-000000000000",
        "environment": "default",
        "outcome": "success",
        "exit_code": 0,
        "warnings": (),
        "fault": None,
        "started_at": started,
        "ended_at": started + timedelta(seconds=5),
        "seconds": 5.0,
        "cpu_seconds": 4.0,
        "peak_mb": 151.0,
        "versions": {"handover": "0.1.0", "python": "3.11", "pandas": "3.1", "duckdb": "2.0"},
        "code": {"commit": "0123456789abcdef0123456789abcdef01234567", "dirty": False, "content": pipeline_content()},
        "host": {"system": "Linux", "cpus": 2, "memory_mb": 24000.0},
        "settings": config.as_text(config.load(folder=ROOT / "config")),
        "input": {
            "name": "customers.csv", "bytes": 90_000, "sha256": "ab" * 32, "made_at": started - timedelta(hours=2),
            "encoding": "utf-8", "delimiter": ",", "columns": ("customer_id", "first_name"), "unknown_columns": (),
        },
        "rows": {"read": 1000, "loaded": 960, "inserted": 900, "updated": 40, "unchanged": 20, "quarantined": 40, "held_back": 0},
        "stages": stages,
        "rules": {rule.id: {"applicable": 1000, "violations": 4} for rule in RULES},
        "quality": {"overall": 99.0, "mean": 99.0, "dimensions": dimensions},
        "enrichment": {"postcodes": {"reference": 940, "unknown": 10}, "companies": {"reference": 380, "unknown": 50}},
        "risk": {"Low": 700, "Medium": 220, "High": 40},
        "businesses": 430,
        "warehouse": {"server": "DuckDB 2.0", "rows_before": 60, "rows_after": 960, "audit_rows": 3},
    }  # fmt: skip
    return RunRecord.model_validate(values | changes)


def failed_record(number: int = 1) -> RunRecord:
    """Return the record of a run that failed before it read a row."""
    nothing = {"read": 0, "loaded": 0, "inserted": 0, "updated": 0, "unchanged": 0, "quarantined": 0, "held_back": 0}
    return make_record(
        number, outcome="failed", exit_code=3, input=None, rows=nothing, stages=(), rules={}, quality=None, enrichment={},
        risk={"Low": 0, "Medium": 0, "High": 0}, businesses=0,
        fault=Fault(error_class="InputError", message="customers.csv: the file is empty.", runbook="input-unusable"),
    )  # fmt: skip


def clean_record(number: int = 2) -> RunRecord:
    """Return the record of a run in which no row broke a rule."""
    record = make_record(number)
    rows = {"read": 960, "loaded": 960, "inserted": 0, "updated": 0, "unchanged": 960, "quarantined": 0, "held_back": 0}
    rules = {name: {"applicable": 960, "violations": 0} for name in record.rules}
    return make_record(number, rows=rows, rules=rules)


def make_context(*runs: RunRecord, **changes: Any) -> Any:
    """Return a context over these runs (default: one good run) with the project's own backlog and facts."""
    from generators.backlog import load as load_backlog
    from generators.context import Context
    from generators.facts import load_facts

    runs = runs or (make_record(),)
    values = {
        "root": ROOT,
        "backlog": load_backlog(ROOT / "backlog.yaml"),
        "settings": config.load(folder=ROOT / "config"),
        "facts": load_facts(ROOT / "facts"),
        "runs": runs,
        "now": runs[-1].ended_at + timedelta(minutes=1),
    }
    return Context(**(values | changes))
