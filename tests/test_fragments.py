"""Fragments: what is complete is read, what is not is refused with its line, and the command says so."""

import re
from pathlib import Path

import pytest

from generators import changes
from generators.changes import ChangesError, Fragment, read_fragment, read_fragments, read_owners
from generators.safe_yaml import read_yaml
from tests.records import ROOT

COMPLETE = {
    "type": "fixed",
    "summary": "Blank postcodes are counted once.",
    "why": "They were counted twice.",
    "risk": "Scores rise a little.",
    "tests": "tests/test_rules.py",
    "rollback": "Revert the commit and run again.",
    "data": "none",
    "privacy": "none",
    "class": "standard",
    "approver": "data steward",
}


def write_fragment(folder: Path, name: str = "a", **altered: str | None) -> Path:
    fields = {field: value for field, value in (COMPLETE | altered).items() if value is not None}
    path = folder / f"{name}.yaml"
    path.write_text("".join(f'{field}: "{value}"\n' for field, value in fields.items()), encoding="utf-8")
    return path


class TestFragments:
    def test_a_complete_one_is_read(self, tmp_path: Path) -> None:
        fragment = read_fragment(write_fragment(tmp_path))
        assert fragment.model_dump(by_alias=True) == COMPLETE

    @pytest.mark.parametrize("field", COMPLETE)
    def test_no_field_may_be_left_out_or_empty(self, tmp_path: Path, field: str) -> None:
        for value in (None, "", "  "):
            with pytest.raises(ChangesError, match=rf"a\.yaml, line \d+: {field}: .*TEMPLATE\.yaml"):
                read_fragment(write_fragment(tmp_path, **{field: value}))

    @pytest.mark.parametrize(("field", "value"), [("type", "improved"), ("class", "urgent")])
    def test_kinds_and_classes_are_those_that_were_agreed(self, tmp_path: Path, field: str, value: str) -> None:
        with pytest.raises(ChangesError, match=f"{field}: "):
            read_fragment(write_fragment(tmp_path, **{field: value}))

    def test_a_field_nobody_knows_is_refused_with_its_line(self, tmp_path: Path) -> None:
        with pytest.raises(ChangesError, match=rf"line {len(COMPLETE) + 1}: ticket: "):
            read_fragment(write_fragment(tmp_path, ticket="4711"))

    @pytest.mark.parametrize("text", ["", "- a list\n", "just words\n", "type: [unclosed\n", "type: &a x\n"])
    def test_what_is_no_fragment_is_refused(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "a.yaml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ChangesError, match=r"a\.yaml"):
            read_fragment(path)

    def test_all_that_is_wrong_is_told_at_once(self, tmp_path: Path) -> None:
        write_fragment(tmp_path, "good")
        write_fragment(tmp_path, "one", risk=None, approver=None)
        write_fragment(tmp_path, "two", type="x")
        with pytest.raises(ChangesError) as caught:
            read_fragments(tmp_path)
        assert re.findall(r"^(\w+)\.yaml, line \d+: (\w+)", str(caught.value), re.MULTILINE) == [
            ("one", "risk"), ("one", "approver"), ("two", "type"),
        ]  # fmt: skip

    def test_a_copy_of_the_template_is_no_fragment(self, tmp_path: Path) -> None:
        template = (ROOT / changes.FOLDER / changes.TEMPLATE).read_text(encoding="utf-8")
        for name in (changes.TEMPLATE, "copied.yaml"):
            (tmp_path / name).write_text(template, encoding="utf-8")
        with pytest.raises(ChangesError, match=r"copied\.yaml: summary, why, .*template's words"):
            read_fragments(tmp_path)

    def test_the_template_asks_for_exactly_what_is_checked(self) -> None:
        asked = read_yaml(ROOT / changes.FOLDER / changes.TEMPLATE).value
        assert list(asked) == [field.alias or name for name, field in Fragment.model_fields.items()]

    def test_the_projects_own_fragments_are_complete(self) -> None:
        fragments = read_fragments(ROOT / changes.FOLDER)
        named = " ".join(fragment.tests for fragment in fragments.values())
        assert all((ROOT / path).exists() for path in re.findall(r"tests/\w+\.py", named))


class TestTheCommand:
    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        (tmp_path / "changes").mkdir()
        (tmp_path / "CHANGELOG.md").write_text("## [Unreleased]\n", encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        return tmp_path

    def test_it_counts_what_is_in_order(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        write_fragment(folder / "changes")
        assert changes.main() == 0
        assert capsys.readouterr().out == "1 fragments, 1 releases\n"

    def test_it_refuses_a_fragment_that_is_not_complete(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        write_fragment(folder / "changes", rollback=None)
        assert changes.main() == 1
        assert "rollback" in capsys.readouterr().err

    def test_it_refuses_a_release_that_is_not_the_packages(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (folder / "CHANGELOG.md").write_text("## [99.0.0] - 2026-01-01\n", encoding="utf-8")
        assert changes.main() == 1
        assert "99.0.0" in capsys.readouterr().err


class TestOwners:
    def test_teams_become_roles_and_comments_are_left_out(self, tmp_path: Path) -> None:
        path = tmp_path / "CODEOWNERS"
        path.write_text(
            "# words\n\n* @handover/maintainers\n/etl/ @handover/data-engineers @handover/owners # why\n", encoding="utf-8"
        )
        assert list(read_owners(path)) == [("*", "maintainers"), ("/etl/", "data engineers, owners")]

    def test_every_path_of_the_projects_own_exists(self) -> None:
        paths = [path for path, _ in read_owners(ROOT / "CODEOWNERS")]
        assert "*" in paths
        assert [path for path in paths if path != "*" and not (ROOT / path.strip("/")).exists()] == []
