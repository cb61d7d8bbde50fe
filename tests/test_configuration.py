"""The configuration page, and what it promises: nothing that differs from place to place stands in the code."""

import ast
import re
from html import unescape
from pathlib import Path

import pytest

from etl import config
from etl.config import is_secret, setting_names
from etl.pipeline import run
from generators.deliverables.configuration import variable
from tests.conftest import ROOT
from tests.customers import customer, write_customers
from tests.pages import CONTEXTS, render_deliverable
from tests.records import make_context

CODE = [path for path in (ROOT / "etl").rglob("*.py") if path.name != "settings.py"]
PLACES = re.compile(
    r"https?://\w|localhost|127\.0\.0\.1|^[A-Za-z]:[\\/]|^/(?:home|Users|tmp|var|etc|opt)/|\w@\w+\.\w+|\.duckdb$|\.sqlite$"
)
ALLOWED = {
    "https://json-schema.org/draft/2020-12/schema": "the name of a dialect; nobody asks there",
    "_url is no address. Write it like https://host/path.": "an example of the form in an error",
}
TABLES = re.compile(r"\b(?:customer_enriched|enrichment_audit|pipeline_checkpoint)\b")


def texts(path: Path) -> list[str]:
    """Return the texts in some code that are no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)}
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in bare]
    return [str(node.value) for node in constants if isinstance(node.value, str)]


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_server_path_or_address_stands_in_the_code(path: Path) -> None:
    found = [text for text in texts(path) if PLACES.search(text) and text not in ALLOWED]
    assert [text for text in found if not text.endswith(".example")] == []  # addresses of nobody, in the rule book


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_name_of_a_table_stands_in_the_schema_only(path: Path) -> None:
    assert path.name == "schema.py" or [text for text in texts(path) if TABLES.search(text)] == []


def test_with_every_place_changed_nothing_is_left_at_the_old_ones(project: Path) -> None:
    write_customers(project / "elsewhere/in.csv", [customer(n) for n in range(1, 21)])
    (project / "data/reference").rename(project / "elsewhere/reference")
    (project / "data").rmdir()
    places = {
        "input.path": "elsewhere/in.csv", "references.postcodes": "elsewhere/reference/postcode_areas.csv",
        "references.companies": "elsewhere/reference/companies.csv", "warehouse.path": "elsewhere/w.duckdb",
        "services.cache_path": "elsewhere/cache.sqlite", "runs.path": "elsewhere/runs",
    }  # fmt: skip
    assert set(places) == {name for name, field in setting_names().items() if field.annotation is Path}
    assert run(config.load(overrides=places), quiet=True).exit_code in (0, 10)
    assert sorted(path.name for path in project.iterdir()) == ["config", "elsewhere"]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return render_deliverable("configuration", make_context(), tmp_path_factory.mktemp("page"))


def test_every_setting_is_listed_with_its_purpose_and_unit(page: str) -> None:
    rows = {
        line.split("`")[1]: unescape(line)
        for line in page.split("## Every setting")[1].split("## Environments")[0].splitlines()
        if line.startswith("| `")
    }
    assert set(rows) == set(setting_names())
    assert all(str(field.description) in rows[name].replace("\\", "") for name, field in setting_names().items())
    assert "| hours |" in rows["input.promised_age"]
    assert "above 0" in rows["input.promised_age"]
    assert "at least 0, at most 1" in rows["quality.rejects_stop"]


def test_environments_are_compared_where_they_differ(page: str) -> None:
    compared = page.split("## Environments compared")[1].split("\n## ")[0]
    assert "| Setting | default | production | test |" in compared
    assert "| `quality.rejects_stop` | 0.1 | 0.05 | 0.1 |" in compared
    assert "`privacy.k`" not in compared


def test_every_secret_says_where_it_goes(page: str) -> None:
    secrets = page.split("## Secrets")[1].split("\n## ")[0]
    names = [name for name in setting_names() if is_secret(name)]
    assert names
    assert all(f"| `{name}` | `{variable(name)}` | `{name}` |" in secrets for name in names)


def test_a_secret_in_force_is_on_no_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HANDOVER_MAIL__PASSWORD", "s3cret-canary")
    monkeypatch.setenv("HANDOVER_MAIL__RECEIVERS", "ops@canary.example")
    context = make_context(settings=config.load(folder=ROOT / "config"))
    assert not any(
        canary in render_deliverable("configuration", context, tmp_path) for canary in ("s3cret-canary", "canary.example")
    )


@pytest.mark.parametrize("state", CONTEXTS)
def test_the_page_is_made_after_any_run(state: str, tmp_path: Path) -> None:
    assert "## The last run" in render_deliverable("configuration", CONTEXTS[state](), tmp_path)
