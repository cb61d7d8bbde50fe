"""Advice on version control: kept or broken as a look finds it, unseen where nothing can be looked at."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from generators.changes import Release
from generators.version_control import LARGEST, OUTPUTS, Advice, look

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

UNRELEASED = [Release("Unreleased", None)]


def git(root: Path, *arguments: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
    }
    who = ("-c", "user.name=Nobody", "-c", "user.email=nobody@handover.example", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *arguments], cwd=root, env=environment, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository that keeps all advice, with one commit."""
    root = tmp_path / "project"
    (root / "config").mkdir(parents=True)
    (root / "docs/notebooks").mkdir(parents=True)
    (root / ".gitignore").write_text("".join(f"/{folder}/\n" for folder in OUTPUTS), encoding="utf-8")
    (root / "config/default.toml").write_text('[warehouse]\npath = "warehouse/x.duckdb"\n', encoding="utf-8")
    write_notebook(root)
    git(root, "init", "--initial-branch=main")
    commit(root)
    return root


def write_notebook(root: Path, outputs: tuple[str, ...] = ()) -> None:
    cells = [{"cell_type": "markdown"}, {"cell_type": "code", "outputs": list(outputs)}]
    (root / "docs/notebooks/before.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")


def commit(root: Path) -> None:
    git(root, "add", "--force", "--all")
    git(root, "commit", "--allow-empty", "--message=Change")


def advice(root: Path, about: str, releases: list[Release] = UNRELEASED, version: str = "1.0.0") -> Advice:
    return next(one for one in look(root, releases, version) if about in one.text)


def test_a_repository_in_order_keeps_all_that_can_be_seen(repository: Path) -> None:
    states = [one.state for one in look(repository, UNRELEASED, "1.0.0")]
    assert states == ["unseen", "unseen", *["kept"] * 6]


def test_a_large_file_in_git_is_named_and_one_outside_is_not(repository: Path) -> None:
    (repository / "big.csv").write_bytes(b"x" * (LARGEST + 1))
    assert advice(repository, "Small files").state == "kept"
    commit(repository)
    assert advice(repository, "Small files") == Advice("Small files only; data stays outside", "broken", "Too large: big.csv")


def test_an_output_in_git_is_named(repository: Path) -> None:
    (repository / "runs").mkdir()
    (repository / "runs/run.json").write_text("{}", encoding="utf-8")
    assert advice(repository, "Nothing generated").state == "kept"
    commit(repository)
    assert "runs/run.json" in advice(repository, "Nothing generated").found


def test_an_output_that_git_would_take_is_named(repository: Path) -> None:
    (repository / ".gitignore").write_text("/runs/\n/site/\n/docs/generated/\n/docs/data/\n", encoding="utf-8")
    assert (advice(repository, "Nothing generated").state, "warehouse" in advice(repository, "Nothing generated").found) == (
        "broken",
        True,
    )


def test_a_notebook_with_outputs_is_named(repository: Path) -> None:
    write_notebook(repository, ("a name",))
    assert advice(repository, "Notebooks") == Advice("Notebooks without outputs", "broken", "With outputs: before.ipynb")


@pytest.mark.parametrize(
    "line",
    [
        'password = "sesame"',
        'api_key = "4711"',
        'url = "postgres://me:sesame@db.example/x"',
        'dsn = "Server=x;Pwd=sesame;"',
        "a = [",
    ],
)
def test_what_looks_like_a_secret_is_named_without_its_value(repository: Path, line: str) -> None:
    (repository / "config/production.toml").write_text(f"[warehouse]\n{line}\n", encoding="utf-8")
    found = advice(repository, "No secret")
    assert found.state == "broken"
    assert "production.toml" in found.found
    assert "sesame" not in found.found


def test_an_empty_or_ordinary_setting_is_no_secret(repository: Path) -> None:
    text = 'password = ""\npath = "data/secrets.csv"\nurl = "https://api.example/postcodes"\n'
    (repository / "config/production.toml").write_text(text, encoding="utf-8")
    assert advice(repository, "No secret").state == "kept"


@pytest.mark.parametrize(
    ("tags", "versions", "state"),
    [((), (), "kept"), (("v1.0.0",), ("1.0.0",), "kept"), (("v1.0.0",), (), "broken"), ((), ("1.0.0",), "broken")],
)
def test_tags_and_releases_are_the_same(repository: Path, tags: tuple[str, ...], versions: tuple[str, ...], state: str) -> None:
    for tag in tags:
        git(repository, "tag", tag)
    releases = UNRELEASED + [Release(version, "2026-01-01") for version in versions]
    assert advice(repository, "A tag for", releases).state == state


@pytest.mark.parametrize(("version", "state"), [("1.0.0", "kept"), ("1.1.0", "broken")])
def test_a_version_that_the_change_log_does_not_have_is_told(repository: Path, version: str, state: str) -> None:
    assert advice(repository, "newest section", [Release("1.0.0", "2026-01-01")], version).state == state


@pytest.mark.parametrize(("message", "state"), [("Merge\n\nApproved-by: data steward", "kept"), ("Merge", "broken")])
def test_a_merge_names_who_approved_it(repository: Path, message: str, state: str) -> None:
    git(repository, "checkout", "-b", "change")
    commit(repository)
    git(repository, "checkout", "main")
    git(repository, "merge", "--no-ff", "change", "--message", message)
    assert advice(repository, "names who approved").state == state


def unseen(root: Path) -> int:
    return sum(one.state == "unseen" for one in look(root, UNRELEASED, "1.0.0"))


def test_without_git_what_only_git_tells_is_unseen(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert unseen(repository) == 5
    assert {advice(repository, about).state for about in ("Notebooks", "No secret", "newest section")} == {"kept"}


def test_a_copy_within_another_repository_is_not_judged_by_that_one(repository: Path) -> None:
    inner = repository / "copy"
    shutil.copytree(repository / "config", inner / "config")
    assert unseen(inner) == 6  # there is no notebook either


def test_within_a_hook_it_looks_at_the_project_all_the_same(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", str(repository.parent / "elsewhere"))
    assert advice(repository, "Small files").state == "kept"


def test_an_empty_folder_is_told_of_without_an_error(tmp_path: Path) -> None:
    assert unseen(tmp_path) == 7
