"""The pages around the deliverables, as the build writes them."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from etl.config import setting_names
from etl.record import history
from etl.rules import RULES
from etl.service_calls import Figures
from generators.pages.reference import exit_codes
from generators.pages.runs import write_runs
from generators.rendering import Renderer
from tests.records import make_context, make_record

pytestmark = pytest.mark.xdist_group("site")


@pytest.fixture(scope="module")
def generated(built: Path) -> Path:
    return built / "docs/generated"


def test_every_page_has_a_title_and_a_description_that_can_be_read(generated: Path) -> None:
    pages = [path for path in generated.rglob("*.md") if path.name not in ("SUMMARY.md", "home.md")]
    assert len(pages) > 45
    for path in pages:
        head = yaml.safe_load(path.read_text(encoding="utf-8").split("---\n")[1])
        assert head["title"], path.name
        assert head["description"], path.name


def test_every_item_has_a_page_and_every_run_of_the_newest(generated: Path, built: Path) -> None:
    assert len(list((generated / "backlog").glob("*.md"))) == 35 + 5
    for record in history(built / "runs"):
        assert f"# Run {record.run_id}" in (generated / f"runs/{record.run_id}.md").read_text(encoding="utf-8")


def test_references_list_all_that_is_declared(generated: Path) -> None:
    settings = (generated / "deliverables/configuration.md").read_text(encoding="utf-8")
    rules = (generated / "reference/rules.md").read_text(encoding="utf-8")
    codes = (generated / "reference/exit-codes.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in settings for name in setting_names())
    assert all(f"## `{rule.id}`" in rules for rule in RULES)
    assert all(f"| {code} | {meaning} |" in codes for code, meaning, _ in exit_codes())


def test_the_published_schemas_accept_what_they_describe(built: Path) -> None:
    documents = {
        "run": json.loads((built / "runs/latest.json").read_text(encoding="utf-8")),
        "backlog": yaml.safe_load((built / "backlog.yaml").read_text(encoding="utf-8")),
    }
    for name, document in documents.items():
        schema = json.loads((built / f"site/data/{name}.schema.json").read_text(encoding="utf-8"))
        assert (built / f"docs/data/{name}.schema.json").exists()
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.Draft202012Validator(schema).validate(document)
        broken = {key: value for key, value in document.items() if key != next(iter(schema["required"]))}
        assert list(jsonschema.Draft202012Validator(schema).iter_errors(broken))


def test_the_second_build_executes_no_notebook_whose_inputs_did_not_change(built: Path) -> None:
    from tests.site_build import command

    again = command(built, "generators")
    assert again.returncode == 0
    assert "executed" not in again.stdout


def test_a_runs_page_tells_how_each_live_service_answered(tmp_path: Path) -> None:
    figures = Figures(keys_asked=3, keys_failed=1, keys_cached=12)
    figures.count_call(0.25)
    figures.count_call(0.75, "timeout")
    runs = make_record(0), make_record(1, services={"postcodes": figures.record(), "companies": Figures().record()})
    context = make_context(*runs)
    write_runs(context, Renderer(context, tmp_path))
    page = (tmp_path / "runs" / f"{runs[1].run_id}.md").read_text(encoding="utf-8")
    assert "| Postcodes | 2 | 1 | 0 | 3 | 1 | 12 | 500 ms |" in page
    assert "| timeout 1 |" in page
    assert "| Companies | 0 | 0 | 0 | 0 | 0 | 0 | none | none | none | none |" in page
    without = (tmp_path / "runs" / f"{runs[0].run_id}.md").read_text(encoding="utf-8")
    assert "## Live services" not in without


def test_without_a_run_it_says_what_to_do(tmp_path: Path) -> None:
    from tests.site_build import command, copy_project

    done = command(copy_project(tmp_path / "fresh"), "generators")
    assert done.returncode == 1
    assert "Run the pipeline first: python -m etl run" in done.stderr
