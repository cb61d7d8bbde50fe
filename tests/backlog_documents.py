"""Writes backlog documents in both Markdown shapes, the way back from what the importer reads; and a small backlog.yaml."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
_FOLDER = ROOT / "tests" / "fixtures" / "seeds"
HACKATHON = _FOLDER / "hackathon-backlog.md"
SPRINT = _FOLDER / "sprint-1-make-it-observable.md"
SEEDS = [HACKATHON, SPRINT]

HACKATHON_SHAPE = """\
# Hackathon: Things

## 🧠 Category (1 item)

### **A1: New Thing**
**Story:** As a Tester, I want a thing so that it is there.
**Acceptance Criteria:**
- [ ] One
**Estimate:** Small (2 points)
**Skills:** Python, Design
"""

SPRINT_SHAPE = """\
# Sprint 7: Things (40 minutes)

## Category (2 points)

### New Thing (2 points)

!!! abstract "As a Tester, I want a thing so that it is there."

**Key Tasks:**

- One

**Skills:** python, design
"""

DOCUMENT: dict[str, Any] = {
    "title": "Hackathon: Things",
    **dict.fromkeys(("timebox_minutes", "challenge", "choose", "closing", "advice_title")),
    "advice": [],
    "summary": [],
}
"""What a document says beside its stories: nothing."""


def hackathon_lines(document: dict[str, Any], items: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the document's lines, those that are not blank, in the shape with ids and tick boxes."""
    yield from _head(document)
    for (icon, category), some in groupby(items, key=lambda item: (item["icon"], item["category"])):
        group = list(some)
        yield f"## {_before(icon)}{category} ({len(group)} items)"
        for item in group:
            yield f"### **{item['id']}: {item['title']}**"
            yield f"**Story:** {item['story']}"
            yield "**Acceptance Criteria:**"
            yield from (f"- [ ] {criterion['text']}" for criterion in item["criteria"])
            yield f"**Estimate:** {item['size']} ({_count(item['points'], 'point')})"
            yield f"**Skills:** {', '.join(item['skills'])}"
    yield from _tail(document)


def sprint_lines(document: dict[str, Any], items: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the document's lines, those that are not blank, in the shape with admonitions and key tasks."""
    yield from _head(document)
    for (category, points), group in groupby(items, key=lambda item: (item["category"], item["category_points"])):
        yield f"## {category} ({points})" if points else f"## {category}"
        for item in group:
            yield f"### {item['title']} ({_count(item['points'], 'point')})"
            yield f'!!! abstract "{item["story"]}"'
            yield "**Key Tasks:**"
            yield from (f"- {criterion['text']}" for criterion in item["criteria"])
            yield f"**Skills:** {', '.join(item['skills'])}"
    yield from _tail(document)


def _head(document: dict[str, Any]) -> Iterator[str]:
    minutes = document["timebox_minutes"]
    yield f"# {document['title']}" + (f" ({minutes} minutes)" if minutes else "")
    if document["challenge"]:
        yield f'**Challenge:** "{document["challenge"]}"'
    if document["choose"]:
        yield f"*{document['choose']}*"


def _tail(document: dict[str, Any]) -> Iterator[str]:
    if document["advice"]:
        yield f"## {document['advice_title']}"
    for advice in document["advice"]:
        yield f"#### {advice['title']}:"
        yield from (f"- {point}" for point in advice["points"])
    if document["summary"]:
        yield "## Summary"
    for part in document["summary"]:
        yield f"**{part['title']}:**" + (f" {part['text']}" if part["text"] else "")
        for count in part["counts"]:
            note = f" ({count['note']})" if count["note"] else ""
            yield f"- {_before(count['icon'])}**{count['name']}:** {_count(count['items'], 'item')}{note}"
    if document["closing"]:
        yield f'!!! success "{document["closing"]}"'


def _before(icon: str | None) -> str:
    return f"{icon} " if icon else ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def small_backlog(**changes: Any) -> dict[str, Any]:
    """Return the plain form of a backlog of two items, X1 and X2; `changes` are made in the first of them."""
    item = {
        "id": "X1",
        "document": "things",
        "title": "Runbook",
        "theme": "Things",
        "category": "Operations",
        "role": "Team Lead",
        "want": "a runbook",
        "so_that": "nobody is stuck",
        "story": "As a Team Lead, I want a runbook so that nobody is stuck.",
        "points": 2,
        "skills": ["Planning"],
        "deliverable": "runbook",
        "criteria": [{"text": "First", "proofs": [{"kind": "test", "node": "tests/test_x.py"}]}, {"text": "Second"}],
    }
    return {
        "version": 1,
        "skills": ["planning", "python"],
        "deliverables": {"runbook": "Runbook", "logging": "Logging"},
        "documents": [{"id": "things", "file": "things.md", "title": "Things", "theme": "Things"}],
        "items": [{**item, **changes}, {**item, "id": "X2", "criteria": [{"text": "Third"}]}],
    }


def write_yaml(path: Path, data: Any) -> Path:
    """Write plain data as YAML without aliases; return the path."""
    dumper = type("_Plain", (yaml.SafeDumper,), {"ignore_aliases": lambda *_: True})
    path.write_text(yaml.dump(data, Dumper=dumper, sort_keys=False, allow_unicode=True), encoding="utf-8", newline="\n")
    return path


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    """Write a document; return its path."""
    path.write_bytes(text.encode(encoding))
    return path
