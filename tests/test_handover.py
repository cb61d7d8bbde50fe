"""The main job writes the pages whatever the run was, and ends with the run's exit code."""

from pathlib import Path

import pytest

from tests.site_build import command, copy_project


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    return copy_project(tmp_path / "fresh")


def test_a_failed_run_is_documented_and_reported(fresh: Path) -> None:
    done = command(fresh, "handover", "--input", "nowhere.csv")
    assert done.returncode == 3
    assert "Pages in " in done.stdout
    assert "Needs help" in (fresh / "docs/generated/home.md").read_text(encoding="utf-8")
    assert command(fresh, "mkdocs", "build", "--strict").returncode == 0


def test_a_wrong_setting_ends_before_anything_is_written(fresh: Path) -> None:
    done = command(fresh, "handover", "--environment", "nowhere")
    assert done.returncode == 2
    assert not (fresh / "docs/generated").exists()
    assert not (fresh / "runs").exists()
