"""Templates hold layout and words; every figure comes from a source that can be read again."""

import re
from pathlib import Path

import pytest

from generators.deliverable import all_deliverables
from tests.conftest import ROOT

TEMPLATES = sorted((ROOT / "templates").rglob("*.j2"))

ALLOWED = {
    r"<h[1-6]|</h[1-6]|&#\d+;|markdown=\"1\"": "markup",
    r"^\d+\. ": "numbers of an ordered list",
    r"\*\*?\w*UTF-8|sha256|ISO \d+": "names of standards",
    r"\bp(?:50|95|99)\b": "names of percentiles",
    r"Articles? \d+[A-Z]?(?:(?:, | to | and )\d+[A-Z]?)*": "articles of a law",
    r"Keep a Changelog \d\.\d\.\d": "name of a convention with its version",
}
"""Digits that may stand in a template, and why."""


def words(template: Path) -> str:
    """Return a template's own text, without what jinja2 replaces or leaves out."""
    text = template.read_text(encoding="utf-8")
    return re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", "", text, flags=re.DOTALL)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.relative_to(ROOT / "templates").as_posix())
def test_no_figure_is_typed_into_a_template(template: Path) -> None:
    text = words(template)
    for pattern in ALLOWED:
        text = re.sub(pattern, "", text, flags=re.MULTILINE)
    typed = [line.strip() for line in text.splitlines() if re.search(r"\d", line)]
    assert typed == []


def test_every_deliverable_has_one_template_and_every_template_a_deliverable() -> None:
    templates = {path.name.removesuffix(".md.j2") for path in (ROOT / "templates/deliverables").glob("*.j2")}
    assert templates == {one.slug for one in all_deliverables()}


def test_no_template_is_orphaned() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "generators").rglob("*.py"))
    code += "".join(path.read_text(encoding="utf-8") for path in TEMPLATES)
    for path in TEMPLATES:
        name = path.relative_to(ROOT / "templates").as_posix()
        assert name in code or name.startswith("deliverables/"), f"nothing uses {name}"
