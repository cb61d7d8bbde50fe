"""What git says is told; where git can't say anything, that is told too."""

import subprocess
from pathlib import Path

import pytest

from etl.repository import ask_git, code_version


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for arguments in (
        ["init", "-q"],
        ["-c", "user.name=x", "-c", "user.email=x@x.example", "commit", "-q", "--allow-empty", "-m", "x"],
    ):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    return tmp_path


def test_commit_and_local_changes_are_told(checkout: Path) -> None:
    commit, dirty = code_version(checkout)
    assert len(commit or "") == 40
    assert dirty is False
    (checkout / "new.txt").write_text("x", encoding="utf-8")
    assert code_version(checkout) == (commit, True)


def test_a_folder_that_is_no_checkout_says_nothing(tmp_path: Path) -> None:
    assert code_version(tmp_path) == (None, None)


def test_without_git_nothing_is_said(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert ask_git(checkout, "status") is None
