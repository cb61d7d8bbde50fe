"""The database health page shows what was found, how it has been, and how to recover."""

from datetime import timedelta
from pathlib import Path

import pytest

from etl.config import load
from etl.failures import FAILURES
from etl.health_log import COMPONENTS, FILE_NAME
from etl.record import ComponentRecord, HealthRecord, HealthState
from generators.deliverables.database_health import RECOVERY, STEPS
from tests.conftest import ROOT
from tests.pages import CONTEXTS, render_deliverable
from tests.records import NOON, make_context


def look(number: int, state: HealthState = "ok", seconds: float = 0.01) -> str:
    part = ComponentRecord(
        name="warehouse", state=state, told="DuckDB", advice="", runbook="" if state == "ok" else "schema-drift", exit_code=0,
        seconds=seconds,
    )  # fmt: skip
    record = HealthRecord(environment="default", checked_at=NOON + timedelta(hours=number), components=(part,))
    return record.model_dump_json() + "\n"


def render(tmp_path: Path, *looks: str) -> str:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / FILE_NAME).write_text("".join(looks), encoding="utf-8")
    settings = load(folder=ROOT / "config", overrides={"runs.path": str(tmp_path / "runs")})
    return render_deliverable("database-health", make_context(settings=settings), tmp_path)


def test_the_newest_look_is_shown_and_leads_to_the_runbook(tmp_path: Path) -> None:
    page = render(tmp_path, look(0), look(1, "failed")).split("## State now")[1].split("\n## ")[0]
    assert '<span class="state state--red">failed</span>' in page
    assert "(runbook.md#schema-drift)" in page


def test_the_history_tells_how_often_all_was_well_and_how_long_it_took(tmp_path: Path) -> None:
    page = render(tmp_path, look(0), look(1), look(2, "warning", 0.5), "half a li").split("## History")[1].split("\n## ")[0]
    assert "| warehouse | 3 | 67 % | 10.0 ms | 500.0 ms |" in page
    assert page.index("500.0") < page.rindex("10.0"), "newest attempt first"


def test_every_component_and_every_recovery_is_described(tmp_path: Path) -> None:
    page = render(tmp_path, look(0))
    assert all(name in page for name in COMPONENTS)
    known = {one.id for one in FAILURES}
    assert {step[3] for step in STEPS} | set(RECOVERY) <= known
    assert all(f"runbook.md#{name}" in page for name in RECOVERY)


@pytest.mark.parametrize("state", CONTEXTS)
def test_the_page_is_made_after_any_run(state: str, tmp_path: Path) -> None:
    assert "## For monitors" in render_deliverable("database-health", CONTEXTS[state](), tmp_path)
