"""The backlog's pages: all items with filters, and a page for each with what proves its criteria."""

from generators.backlog import Item
from generators.context import Context
from generators.rendering import Renderer, page_slug

FOLDER = "backlog"
MOST_SIBLINGS = 20
"""So many other stories with the same deliverable are named on a story's page."""


def write_backlog(context: Context, renderer: Renderer) -> None:
    """Write the list, the item pages and the navigation."""
    items = context.backlog.items
    renderer.write(
        "pages/backlog.md.j2", f"{FOLDER}/index.md", {"rows": [_row(item, context) for item in items], **_choices(context)}
    )
    for item in items:
        renderer.write("pages/item.md.j2", f"{FOLDER}/{page_slug(item.id)}.md", _item_values(item, context))
    renderer.write("pages/backlog_nav.md.j2", f"{FOLDER}/SUMMARY.md", {"themes": _by_theme(items)})


def _row(item: Item, context: Context) -> dict[str, object]:
    verdicts = context.verdicts or {}
    proved = sum(verdicts[criterion.id].state == "proved" for criterion in item.criteria if criterion.id in verdicts)
    return {
        "item": item,
        "state": context.item_state(item),
        "proved": proved,
        "skills": " ".join(f"[{skill.lower()}]" for skill in item.skills),
    }


def _choices(context: Context) -> dict[str, object]:
    items = context.backlog.items
    return {
        "themes": list(dict.fromkeys(item.theme for item in items)),
        "categories": list(dict.fromkeys(item.category for item in items)),
        "roles": sorted({item.role for item in items}),
        "skills": context.backlog.skills,
        "all_points": sorted({item.points for item in items}),
        "documents": context.backlog.documents,
    }


def _item_values(item: Item, context: Context) -> dict[str, object]:
    siblings = [other for other in context.items_of(item.deliverable) if other.id != item.id]
    return {
        "item": item,
        "state": context.item_state(item),
        "siblings": siblings[:MOST_SIBLINGS],
        "more": max(len(siblings) - MOST_SIBLINGS, 0),
        "built": item.deliverable in context.built,
        "deliverable_title": context.backlog.deliverables[item.deliverable],
    }


def _by_theme(items: list[Item]) -> dict[str, list[Item]]:
    themes: dict[str, list[Item]] = {}
    for item in items:
        themes.setdefault(item.theme, []).append(item)
    return themes
