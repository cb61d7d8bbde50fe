"""What holds for every deliverable."""

import re
from pathlib import Path

import pytest

from generators.deliverable import all_deliverables
from generators.evidence.section import FILLER
from generators.figures import bound_figures, resolve
from tests.pages import CONTEXTS, render_deliverable
from tests.records import make_context

SLUGS = [one.slug for one in all_deliverables()]


@pytest.mark.parametrize("state", CONTEXTS)
@pytest.mark.parametrize("slug", SLUGS)
def test_it_renders_whatever_the_last_run_was_and_binds_its_figures(slug: str, state: str, tmp_path: Path) -> None:
    context = CONTEXTS[state]()
    page = render_deliverable(slug, context, tmp_path)
    for figure in bound_figures(page):
        assert str(resolve(context, figure.source)) == figure.value
    assert not FILLER.search(page)
    assert not re.search(r"[|>]\s*None\s*[|<]", page)
    assert context.run.run_id in page


@pytest.mark.parametrize("slug", SLUGS)
def test_every_section_has_content_of_its_own(slug: str, tmp_path: Path) -> None:
    page = render_deliverable(slug, CONTEXTS["good"](), tmp_path)
    headings = re.findall(r"^(#{2,4}) (.+)\n+(?=(#{2,4}) )", page, re.MULTILINE)
    assert [title for level, title, following in headings if len(following) <= len(level)] == []


@pytest.mark.parametrize("slug", SLUGS)
def test_a_page_after_a_failed_run_says_so_and_leads_to_the_runbook(slug: str, tmp_path: Path) -> None:
    page = render_deliverable(slug, CONTEXTS["failed"](), tmp_path)
    assert "The last run did not finish" in page
    assert "runbook.md#input-unusable" in page


def test_every_deliverable_is_one_that_the_backlog_asks_for() -> None:
    backlog = make_context().backlog
    asked = {item.deliverable for item in backlog.items}
    assert set(SLUGS) <= asked == set(backlog.deliverables)
