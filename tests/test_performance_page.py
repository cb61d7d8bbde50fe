"""The performance page judges by the baseline, and its figures are those of the runs."""

from pathlib import Path

import pytest

from etl.baseline import baseline_path, make_baseline
from etl.config import load
from etl.record import BaselineVerdict, Rows
from tests.conftest import ROOT
from tests.pages import CONTEXTS, render_deliverable
from tests.records import NOON, make_context, make_record

SIX = [make_record(n) for n in range(6)]


def verdict_of(page: str) -> str:
    return page.split("## Verdict")[1].split("\n## ")[0]


@pytest.fixture
def based(tmp_path: Path) -> Path:
    """A runs folder with a baseline of six runs of five seconds."""
    (tmp_path / "runs").mkdir()
    baseline_path(tmp_path / "runs", "default").write_text(make_baseline(SIX, NOON).model_dump_json(), encoding="utf-8")
    return tmp_path / "runs"


def render(runs: Path, *records: object, out: Path) -> str:
    settings = load(folder=ROOT / "config", overrides={"runs.path": str(runs)})
    return render_deliverable("performance", make_context(*records, settings=settings), out)  # type: ignore[arg-type]


@pytest.mark.parametrize(("slow", "told"), [(True, "slow"), (False, "as it should be")])
def test_the_verdict_is_that_of_the_record(slow: bool, told: str, based: Path, tmp_path: Path) -> None:
    last = make_record(6, baseline=BaselineVerdict(ratio=1.6, slow=slow, seconds=5.0, runs=6))
    page = verdict_of(render(based, *SIX, last, out=tmp_path))
    assert f">{told}<" in page
    assert 'data-src="run:baseline.ratio"' in page


def test_without_a_baseline_it_says_how_to_get_one(tmp_path: Path) -> None:
    page = render(tmp_path / "none", *SIX, out=tmp_path)
    assert "not judged" in verdict_of(page)
    assert "`python -m etl baseline set`" in page


def test_a_run_of_other_size_is_not_judged_and_says_why(based: Path, tmp_path: Path) -> None:
    rows = Rows(read=9000, loaded=9000, inserted=0, updated=0, unchanged=9000, quarantined=0, held_back=0)
    page = verdict_of(render(based, *SIX, make_record(6, rows=rows), out=tmp_path))
    assert "it read 9,000 rows, the baseline about 1,000" in page


def test_a_damaged_baseline_is_told(based: Path, tmp_path: Path) -> None:
    baseline_path(based, "default").write_text("{", encoding="utf-8")
    assert "The baseline can't be read" in verdict_of(render(based, *SIX, out=tmp_path))


def test_every_stage_has_its_seconds_share_and_memory(based: Path, tmp_path: Path) -> None:
    page = render(based, *SIX, out=tmp_path)
    stages = page.split("## Stages")[1].split("\n## ")[0]
    for name in ("extract", "validate", "enrich", "score", "load", "record"):
        assert f'data-src="run:stages.{name}.seconds"' in stages
        assert f'data-src="run:stages.{name}.peak_mb"' in stages
    shares = [int(line.split("|")[3].strip().removesuffix(" %")) for line in stages.splitlines() if " % |" in line]
    assert sum(shares) == pytest.approx(100, abs=3)


@pytest.mark.parametrize("state", CONTEXTS)
def test_the_page_is_made_after_any_run(state: str, tmp_path: Path) -> None:
    assert "## How it is measured" in render_deliverable("performance", CONTEXTS[state](), tmp_path)
