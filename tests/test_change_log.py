"""The change log's page: what changed, how changes are made, and the notebook against the pipeline."""

import re
import shutil
from pathlib import Path

import pytest

from etl import __version__
from generators.changes import ChangesError
from generators.code_facts import notebook_facts, package_facts
from generators.context import Context
from generators.deliverables.change_log import FAULTS, NOTEBOOK
from tests.pages import render_deliverable
from tests.records import ROOT, clean_record, failed_record, make_context, make_record

SECTIONS = [
    "Where we are", "The notebook as it was found", "Change log", "Template for a change", "Approval", "Version control",
    "How to roll back",
]  # fmt: skip
PARTS = ("changes", "etl", "docs/notebooks", "config", "CHANGELOG.md", "CODEOWNERS")


def render(context: Context, folder: Path) -> str:
    return render_deliverable("change-log", context, folder)


def section(page: str, heading: str) -> str:
    return page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What the page looks at, as a folder of its own that is no checkout."""
    root = tmp_path / "copy"
    for part in PARTS:
        (root / part).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, root / part)
    return root


@pytest.mark.parametrize(
    "record", [make_record(), failed_record(), clean_record(), make_record(code={"commit": None, "dirty": None})]
)
def test_the_page_has_all_its_sections_whatever_the_run(record: object, tmp_path: Path) -> None:
    page = render(make_context(record), tmp_path)  # type: ignore[arg-type]
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == SECTIONS
    assert not re.search(r"^\|[\s:|-]+\|$(?!\n\|)", page, re.MULTILINE), "a table has no rows"
    assert f"Version {__version__}" in page


def test_the_notebooks_faults_are_counted_beside_what_is_left_of_them(tmp_path: Path) -> None:
    page = render(make_context(), tmp_path)
    before, now = notebook_facts(ROOT / NOTEBOOK), package_facts(ROOT / "etl")
    items = {item.id for item in make_context().backlog.items}
    rows = re.findall(
        r"^\| (.+?) \| (high|medium|low) \| ([\d,]+) \| ([\d,]+) \| \[(.+?)\]", section(page, SECTIONS[1]), re.MULTILINE
    )
    assert [(text, severity, item) for text, severity, _, _, item in rows] == [
        (text, severity, item) for text, severity, _, item in FAULTS
    ]
    for (_, _, shown, left, item), (_, _, name, _) in zip(rows, FAULTS, strict=True):
        assert (int(shown), int(left)) == (getattr(before, name), getattr(now, name))
        assert getattr(before, name) > 0
        assert getattr(now, name) == 0
        assert item in items


def test_a_new_fragment_and_a_new_entry_come_onto_the_page(copy: Path, tmp_path: Path) -> None:
    fragment = (copy / "changes/reject-with-reasons.yaml").read_text(encoding="utf-8").replace("type: added", "type: fixed")
    (copy / "changes/another.yaml").write_text(fragment.replace("summary: ", "summary: Brand new. "), encoding="utf-8")
    with (copy / "CHANGELOG.md").open("a", encoding="utf-8") as file:
        file.write("\n### Removed\n\n- The old way out.\n")
    page = render(make_context(root=copy), tmp_path)
    assert "- Brand new. " in section(page, "Where we are")
    assert "**Removed**\n\n- The old way out." in section(page, "Change log")


def test_no_change_awaiting_a_release_is_said(copy: Path, tmp_path: Path) -> None:
    for path in (copy / "changes").glob("[a-z]*.yaml"):
        path.unlink()
    assert "No change awaits the next release." in render(make_context(root=copy), tmp_path)


def test_a_fragment_that_is_not_complete_stops_the_page(copy: Path, tmp_path: Path) -> None:
    (copy / "changes/half.yaml").write_text("type: added\n", encoding="utf-8")
    with pytest.raises(ChangesError, match=r"half\.yaml"):
        render(make_context(root=copy), tmp_path)


def test_outside_a_checkout_the_page_says_what_it_can_not_see(copy: Path, tmp_path: Path) -> None:
    told = section(render(make_context(root=copy), tmp_path), "Version control")
    assert told.count("Can&#39;t be seen from here") >= 4
    assert ">broken<" not in told


def test_this_repository_follows_its_own_advice(tmp_path: Path) -> None:
    assert ">broken<" not in section(render(make_context(), tmp_path), "Version control")


def test_each_class_of_change_has_an_approver_and_each_path_an_owner(tmp_path: Path) -> None:
    approval = section(render(make_context(), tmp_path), "Approval")
    assert re.findall(r"^\| (Standard|Normal|Emergency) \|", approval, re.MULTILINE) == ["Standard", "Normal", "Emergency"]
    assert "| `/etl/rules.py` | Data stewards |" in approval
