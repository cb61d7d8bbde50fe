"""The build: writes all pages from one context. Pages of deliverables come first, the evidence is judged on them."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from etl.config import LoadedSettings
from generators.context import Context, load_context
from generators.deliverable import all_deliverables, write_deliverables
from generators.evidence.exhibits import load_exhibits
from generators.evidence.judge import judge_with
from generators.evidence.publications import publish
from generators.notebooks import notebook_personal_values, publish_notebooks
from generators.pages.backlog import write_backlog
from generators.pages.evidence import write_evidence
from generators.pages.home import write_home
from generators.pages.reference import write_reference
from generators.pages.runs import write_runs
from generators.rendering import Renderer

OUT = Path("docs/generated")
DATA = Path("docs/data")
NOTEBOOKS = Path("docs/notebooks")
NOTEBOOK_CACHE = Path(".cache/notebooks")


@dataclass(frozen=True)
class BuildResult:
    """The context with its evidence, and the names of the notebooks that were executed."""

    context: Context
    executed: tuple[str, ...]


def build(settings: LoadedSettings, root: Path = Path()) -> BuildResult:
    """Write all generated pages below `docs/generated` and the same as data below `docs/data`; both are emptied first.

    Raises NoRunError, BacklogError, FactsError, FigureError or NotebookError.
    """
    context = load_context(settings, root)
    out, data = root / OUT, root / DATA
    for folder in (out, data):
        shutil.rmtree(folder, ignore_errors=True)
    executed = _write_notebooks(context, out)
    pages = write_deliverables(context, Renderer(context, out, data))
    exhibits = load_exhibits(context, pages)
    context = context.with_evidence(tuple(pages), judge_with(exhibits))
    renderer = Renderer(context, out, data)
    for write in (write_home, write_backlog, write_runs, write_reference):
        write(context, renderer)
    write_evidence(context, exhibits, publish(context), renderer)
    renderer.write("pages/deliverables.md.j2", "deliverables/index.md", {"deliverables": all_deliverables()})
    renderer.write("pages/deliverables_nav.md.j2", "deliverables/SUMMARY.md", {"deliverables": all_deliverables()})
    return BuildResult(context, executed)


def _write_notebooks(context: Context, out: Path) -> tuple[str, ...]:
    runs = context.settings.values.runs.path
    inputs = {"before": [], "last_run": sorted(runs.glob("*/run.json"))}
    results = publish_notebooks(
        context.root / NOTEBOOKS,
        out / "notebooks",
        context.root / NOTEBOOK_CACHE,
        inputs,
        notebook_personal_values(),
        environment={"HANDOVER_RUNS__PATH": str(runs)},
    )
    return tuple(result.name for result in results if result.executed)
