"""Fragments and the change log are read strictly, and a fault names its line."""

from pathlib import Path

import pytest

from generators.changes import ChangesError, read_changelog, read_fragment, read_fragments, read_owners
from tests.conftest import ROOT

TEMPLATE = (ROOT / "changes/TEMPLATE.yaml").read_text(encoding="utf-8")


def test_the_template_is_a_valid_fragment() -> None:
    assert read_fragment(ROOT / "changes/TEMPLATE.yaml").type == "added"


def test_every_fragment_of_the_project_is_valid() -> None:
    assert len(read_fragments(ROOT / "changes")) >= 3


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("type: added", "type: improved"), "line 2: type"),
        (("rollback: ", "role_back: "), "rollback"),
        (("class: normal", "class: quick"), "class"),
        (("why: What", "why: ["), "change.yaml"),
    ],
)
def test_a_fragment_that_is_not_complete_is_refused(tmp_path: Path, change: tuple[str, str], told: str) -> None:
    path = tmp_path / "change.yaml"
    path.write_text(TEMPLATE.replace(*change), encoding="utf-8")
    with pytest.raises(ChangesError, match=told):
        read_fragment(path)


def test_the_projects_change_log_is_read() -> None:
    releases = read_changelog(ROOT / "CHANGELOG.md")
    assert releases[0].version == "Unreleased"
    assert all(entries for release in releases for entries in release.entries.values())


@pytest.mark.parametrize(
    ("text", "told"), [("## 1.0\n", "line 1"), ("## [1.0.0] - 2026-01-01\n### Improved\n", "line 2"), ("x\n", "no release")]
)
def test_a_change_log_of_another_form_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "CHANGELOG.md"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ChangesError, match=told):
        read_changelog(path)


def test_owners_name_paths_that_exist() -> None:
    owners = dict(read_owners(ROOT / "CODEOWNERS"))
    assert "*" in owners
    for path in owners:
        assert path == "*" or (ROOT / path.strip("/")).exists(), path
