"""The runs' pages: a list of all and a page for each of the newest."""

from etl.record import RunRecord
from etl.rules import RULES
from generators.context import Context
from generators.rendering import Renderer

FOLDER = "runs"


def write_runs(context: Context, renderer: Renderer) -> None:
    """Write the list, the pages and their navigation."""
    newest = context.runs[-context.settings.values.runs.published :][::-1]
    renderer.write(
        "pages/runs.md.j2", f"{FOLDER}/index.md", {"runs": context.runs[::-1], "paged": {one.run_id for one in newest}}
    )
    for one in newest:
        renderer.write("pages/run.md.j2", f"{FOLDER}/{one.run_id}.md", {"one": one, "broken": _broken(one), "rules": _RULES})
    renderer.write("pages/runs_nav.md.j2", f"{FOLDER}/SUMMARY.md", {"runs": newest})


_RULES = {rule.id: rule for rule in RULES}


def _broken(run: RunRecord) -> list[tuple[str, int, int]]:
    """Return rule, violations and applicable rows of the rules that rows broke, worst first."""
    found = [(rule_id, count.violations, count.applicable) for rule_id, count in run.rules.items() if count.violations]
    return sorted(found, key=lambda row: -row[1])
