"""The module map is read from the code, so it can't leave anything out."""

from html import unescape
from pathlib import Path

import pytest

from etl.errors import ERROR_CLASSES
from tests.conftest import ROOT
from tests.pages import CONTEXTS, render_deliverable

MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "etl").rglob("*.py")
    if path.name != "__main__.py"
]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return unescape(render_deliverable("module-map", CONTEXTS["good"](), tmp_path_factory.mktemp("map")))


@pytest.mark.parametrize("module", MODULES)
def test_every_module_is_listed_with_its_purpose_and_lines(module: str, page: str) -> None:
    row = next(line for line in page.splitlines() if line.startswith(f"| [`{module}`]"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    path = ROOT / Path(*module.split("."))
    file = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"
    assert cells[1]
    assert cells[2] == f"{len(file.read_text(encoding='utf-8').splitlines()):,}"


def test_public_functions_show_signature_and_docstring(page: str) -> None:
    assert "`harmless(text: str) -> str` | Return a cell that no spreadsheet takes for a formula. |" in page
    assert "_resume_key" not in page


def test_every_error_tells_where_it_is_raised(page: str) -> None:
    table = page.split("## Errors")[1].split("\n## ")[0]
    for error in ERROR_CLASSES:
        row = next(line for line in table.splitlines() if f"`{error.__name__}`" in line)
        assert "`etl/" in row, error.__name__
        assert f"runbook.md#{error.runbook}" in row


def test_all_public_names_are_documented(page: str) -> None:
    told = page.split("## Public functions and classes")[1].split(";")[0].split()
    assert told[0] == told[3], "public names, documented names"
