"""The change log: its releases and entries are read, and a line that is none of a change log is refused."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl import __version__
from generators import changes
from generators.changes import ChangesError, fits_version, read_changelog
from tests.records import ROOT


def write_changelog(folder: Path, text: str) -> Path:
    path = folder / "CHANGELOG.md"
    path.write_text(text, encoding="utf-8")
    return path


GOOD = """# Changelog

What changed.

## [Unreleased]

### Added

- A new page
  for everybody.
- Another.

## [1.10.0] - 2026-05-01

### Fixed

- A fault.

### Security

- A hole.

## [1.9.0] - 2026-04-01

[1.10.0]: https://host.example/compare
"""


class TestTheChangeLog:
    def test_releases_are_read_with_their_entries_by_kind(self, tmp_path: Path) -> None:
        releases = read_changelog(write_changelog(tmp_path, GOOD))
        assert [(one.version, one.date, one.entries) for one in releases] == [
            ("Unreleased", None, {"added": ["A new page for everybody.", "Another."]}),
            ("1.10.0", "2026-05-01", {"fixed": ["A fault."], "security": ["A hole."]}),
            ("1.9.0", "2026-04-01", {}),
        ]

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("## 1.0.0\n", 1),
            ("## [1.0]\n", 1),
            ("## [1.0.0]\n", 1),
            ("## [1.0.0] - 2026-02-30\n", 1),
            ("## [Unreleased] - 2026-02-01\n", 1),
            ("## [Unreleased]\n- an entry\n", 2),
            ("## [Unreleased]\n\n### Improved\n", 3),
            ("## [Unreleased]\n### Added\n- x\n### Added\n", 4),
            ("## [Unreleased]\n### Added\n  indented\n", 3),
            ("## [Unreleased]\nsome words\n", 2),
            ("## [Unreleased]\n## [Unreleased]\n", 2),
            ("## [1.0.0] - 2026-01-01\n## [Unreleased]\n", 2),
            ("## [1.9.0] - 2026-01-01\n## [1.10.0] - 2026-02-01\n", 2),
            ("## [1.0.0] - 2026-01-01\n## [1.0.0] - 2026-01-01\n", 2),
        ],
    )
    def test_a_line_that_is_none_of_a_change_log_is_named(self, tmp_path: Path, text: str, line: int) -> None:
        with pytest.raises(ChangesError, match=rf"CHANGELOG\.md, line {line}: "):
            read_changelog(write_changelog(tmp_path, text))

    @pytest.mark.parametrize("text", ["", "# Changelog\n\nNothing yet.\n"])
    def test_a_change_log_without_a_release_tells_how_to_start(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(ChangesError, match=r"Start with ## \[Unreleased\]"):
            read_changelog(write_changelog(tmp_path, text))

    def test_a_missing_or_unreadable_one_is_an_error_that_tells_what_to_do(self, tmp_path: Path) -> None:
        with pytest.raises(ChangesError, match="Restore it"):
            read_changelog(tmp_path / "CHANGELOG.md")
        (tmp_path / "CHANGELOG.md").write_bytes(b"## [Unreleased]\n\xff\n")
        with pytest.raises(ChangesError, match="Restore it"):
            read_changelog(tmp_path / "CHANGELOG.md")

    @given(st.text(alphabet="# []-.UnreleasdAdfix0123456789\n", max_size=80))
    def test_no_text_ends_in_anything_but_releases_or_an_error_of_ours(self, text: str) -> None:
        reader = changes._ChangelogReader("CHANGELOG.md")
        told = ""
        try:
            for number, line in enumerate(text.splitlines(), 1):
                reader.take(number, line)
        except ChangesError as error:
            told = str(error)
        assert told == "" or told.startswith("CHANGELOG.md, line ")

    @pytest.mark.parametrize(("version", "fits"), [("1.10.0", True), ("1.11.0", False)])
    def test_the_newest_release_is_the_packages_version_once_it_is_released(
        self, tmp_path: Path, version: str, fits: bool
    ) -> None:
        releases = read_changelog(write_changelog(tmp_path, GOOD))
        assert fits_version(releases, version)
        assert fits_version(releases[1:], version) is fits

    def test_the_projects_own_is_in_order(self) -> None:
        assert fits_version(read_changelog(ROOT / changes.CHANGELOG), __version__)
