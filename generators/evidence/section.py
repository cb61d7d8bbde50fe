"""The judge of `section`: a page has the heading, with content of its own below it whose figures equal their sources."""

import re

from etl.repository import digest
from generators.evidence.exhibits import REFRESH_RUN, Exhibits, anchor
from generators.figures import BoundFigure, FigureError, bound_figures, resolve
from generators.judging import ProofVerdict, State
from generators.proofs import SectionProof

FILLER = re.compile(r"\b(?:TODO|TBD|FIXME|XXX|lorem ipsum|to be confirmed)\b", re.IGNORECASE)
_EMPTY_TABLE = re.compile(r"^\|[\s:|-]+\|$(?!\n\|)", re.MULTILINE)
_OF_RUNS = ("run:", "history:", "logs:")


def judge(proof: SectionProof, exhibits: Exhibits) -> ProofVerdict:
    """Look for the section on the page that was just written, and read each of its figures again."""
    if proof.page not in exhibits.pages:
        return ProofVerdict("section", proof.what, "missing", f"the page {proof.page} is not built yet")
    link = f"generated/deliverables/{proof.page}.md"
    body = exhibits.section(proof.page, proof.heading)
    if body is None:
        why = f"the page has no section {proof.heading!r}"
        return ProofVerdict("section", proof.what, "missing", why, link, remedy=f"templates/deliverables/{proof.page}.md.j2")
    state, why = _look_at(body, proof.figures or 0, exhibits)
    return ProofVerdict(
        "section", proof.what, state, why, f"{link}#{anchor(proof.heading)}", exhibits.context.now, digest(body.encode()),
        REFRESH_RUN if state == "stale" else None,
    )  # fmt: skip


def _look_at(body: str, wanted: int, exhibits: Exhibits) -> tuple[State, str]:
    if fault := _without_content(body):
        return "failing", fault
    figures = bound_figures(body)
    if len(figures) < wanted:
        return "failing", f"{len(figures)} figures stand there, {wanted} are wanted"
    for figure in figures:
        if fault := _differs(figure, exhibits):
            return "failing", fault
    if exhibits.run_stale and any(figure.source.startswith(_OF_RUNS) for figure in figures):
        return "stale", exhibits.run_stale
    return "proved", f"{len(figures)} figures, all equal to their source" if figures else "content without figures"


def _without_content(body: str) -> str | None:
    if not re.sub(r"[\s|:-]", "", body):
        return "nothing stands below the heading"
    if found := FILLER.search(body):
        return f"a placeholder stands there: {found[0]}"
    return "a table there has no rows" if _EMPTY_TABLE.search(body) else None


def _differs(figure: BoundFigure, exhibits: Exhibits) -> str | None:
    try:
        now = str(resolve(exhibits.context, figure.source))
    except FigureError as error:
        return str(error)
    return None if now == figure.value else f"{figure.source} is {now}, the page shows {figure.value}"
