"""Reads the Markdown documents that stories come from, of two shapes, told apart by their content, not by their names.

Nothing in a document is passed over: a line that is not understood where it stands is an error that names it.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ftfy

from generators.backlog import ITEM_ID, LARGEST, BacklogError

DELIVERABLES: dict[str, tuple[str, str]] = {
    "Data Flow Visualization": ("data-flow", "Data flow"),
    "GDPR Compliance Assessment": ("gdpr", "GDPR assessment"),
    "Change Management Documentation": ("change-log", "Change log"),
    "Operations Runbook": ("runbook", "Operations runbook"),
    "Business Value Documentation": ("business-value", "Business value"),
    "Quality Metrics Definition": ("quality", "Quality scorecard"),
    "Deployment Documentation": ("deployment", "Deployment guide"),
    "Failure Simulation & Recovery": ("failure-simulation", "Failure simulation and training"),
    "Pipeline Automation": ("automation", "Automation"),
    "Deployment Packaging": ("packaging", "Package"),
    "Manual Testing Framework": ("manual-testing", "Manual testing"),
    "Code Modularization": ("module-map", "Module map"),
    "Configuration Externalization": ("configuration", "Configuration reference"),
    "Unit Testing Framework": ("unit-tests", "Unit tests"),
    "Production Logging": ("logging", "Logging"),
    "Basic Python Logging Implementation": ("logging", "Logging"),
    "Data Validation Enhancement": ("validation", "Validation"),
    "Performance Monitoring": ("performance", "Performance"),
    "Performance Metrics Collection": ("performance", "Performance"),
    "Dashboard Design": ("dashboards", "Dashboards"),
    "Data Summary Visualization": ("data-summary", "Data summary"),
    "User Journey Mapping": ("user-journey", "User journey"),
    "Production Readiness Assessment": ("readiness", "Production readiness"),
    "Database Connection Health Checks": ("database-health", "Database health"),
    "Monitoring Strategy Design": ("monitoring", "Monitoring strategy"),
    "Pipeline Gap Analysis": ("gap-analysis", "Gap analysis"),
    "Incident Response Planning": ("incident-response", "Incident response"),
    "Azure Monitor Integration": ("azure-monitor", "Azure Monitor"),
    "Fabric Pipeline Observability": ("fabric", "Fabric observability"),
    "Logging Strategy Framework": ("logging-strategy", "Logging strategy"),
    "Email Alerting Setup": ("email-alerts", "E-mail alerts"),
}
"""What the known stories ask for, by their title. Stories with the same slug ask for the same document."""

SIZES = ("Small", "Medium", "Large")

_STORIES = [
    re.compile(rf"^As an? (?P<role>[^,]+), I want (?P<want>.+?){reason}\.?$")
    for reason in (r",? so that (?P<so_that>.+?)", r",? so (?P<so_that>\S+ .+?)", "")
]
_POINTS = r"\((?P<points>[^()\s]+) points?\)"
_ICON = r"(?:(?P<icon>[^\x00-\x7f\w\s]+) +)?"

_LINES: list[tuple[str, str, re.Pattern[str]]] = [
    # What a line is, where it may stand, and how it looks.
    ("title", "start", re.compile(r"^# (?P<text>.+?)(?: \((?P<minutes>[1-9][0-9]{0,3}) minutes\))?$")),
    ("challenge", "head", re.compile(r'^\*\*Challenge:\*\* "(?P<text>.+)"$')),
    ("choose", "head", re.compile(r"^\*(?P<text>[^*]+)\*$")),
    ("summary", "head section item criteria advice", re.compile(r"^## Summary$")),
    (
        "section",
        "head section item criteria advice summary",
        re.compile(rf"^## {_ICON}(?P<text>.+?)(?: \((?:(?P<count>[0-9]+) items?|(?P<range>[0-9]+(?:-[0-9]+)? points?))\))?$"),
    ),
    ("item", "section item criteria", re.compile(rf"^### \*\*(?P<id>{ITEM_ID}): (?P<text>.+)\*\*(?: {_POINTS})?$")),
    ("item", "section item criteria", re.compile(rf"^### (?P<text>.+) {_POINTS}$")),
    ("story", "item criteria", re.compile(r"^\*\*Story:\*\* (?P<text>.+)$")),
    ("story", "item criteria", re.compile(r'^!!! abstract "(?P<text>.+)"$')),
    ("estimate", "item criteria", re.compile(rf"^\*\*Estimate:\*\* (?P<size>\w+) {_POINTS}$")),
    ("skills", "item criteria", re.compile(r"^\*\*Skills:\*\* (?P<text>.+)$")),
    ("criteria", "item", re.compile(r"^\*\*(?:Acceptance Criteria|Key Tasks):\*\*$")),
    ("criterion", "criteria", re.compile(r"^- (?:\[[ xX]\] )?(?P<text>.+)$")),
    ("advice", "section advice", re.compile(r"^#### (?P<text>.+?):?$")),
    ("point", "advice", re.compile(r"^- (?P<text>.+)$")),
    ("part", "summary", re.compile(r"^\*\*(?P<text>[^*]+):\*\*(?: (?P<statement>.+))?$")),
    (
        "count",
        "summary",
        re.compile(rf"^- {_ICON}\*\*(?P<name>[^*]+):\*\* (?P<items>[0-9]{{1,9}}) items?(?: \((?P<note>.+)\))?$"),
    ),
    ("closing", "head item criteria advice summary", re.compile(r'^!!! success "(?P<text>.+)"$')),
]

_HINTS = {
    "# ": "A document has one title: # Sprint 1: Theme (40 minutes).",
    "### ": "A story's heading is ### **G1: Title** or, with its estimate, ### Title (2 points).",
    "**Story": "A story is **Story:** As a ROLE, I want WISH so that REASON.",
    "!!! a": 'A story is !!! abstract "As a ROLE, I want WISH so that REASON."',
    "**Est": "An estimate is **Estimate:** Small (2 points).",
    "- ": "A criterion stands below **Acceptance Criteria:** or **Key Tasks:**.",
}


@dataclass
class _Reader:
    """Reads one document line by line. `place` is what the last lines were about and decides what may follow."""

    file: str
    number: int = 0
    place: str = "start"
    document: dict[str, Any] = field(default_factory=dict)
    items: list[dict[str, Any]] = field(default_factory=list)
    heading: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    lines: dict[str, int] = field(default_factory=dict)
    sprint: int | None = None

    def fail(self, what: str, line: int | None = None) -> BacklogError:
        return BacklogError(f"{self.file}, line {line or self.number}: {what}")

    def read(self, text: str) -> None:
        for self.number, raw in enumerate(re.split(r"\r\n|\r|\n", text), 1):
            line = ftfy.fix_encoding(raw).rstrip()
            if line not in ("", "---"):
                self._read_line(line)
        self._leave_section()
        self._check()

    def _read_line(self, line: str) -> None:
        for kind, places, pattern in _LINES:
            if self.place in places.split() and (found := pattern.match(line)):
                parts = {name: value for name, value in found.groupdict().items() if value is not None}
                if kind in ("challenge", "choose", "closing"):
                    self._set(self.document, kind, parts["text"])
                else:
                    getattr(self, f"_take_{kind}")(parts)
                return
        if self.place == "start":
            raise self.fail(f"the document must start with its title (# Title), not with {line[:60]!r}.")
        hint = next((hint for start, hint in _HINTS.items() if line.startswith(start)), "Correct it or leave it out.")
        raise self.fail(f"{line[:60]!r} is no line of a backlog in this place. {hint}")

    def _set(self, part: dict[str, Any], key: str, value: Any) -> None:
        if part[key] not in (None, []):
            raise self.fail(f"a second {key.replace('_', ' ')} for the same thing. Leave one of them out.")
        part[key] = value

    def _take_title(self, found: dict[str, str]) -> None:
        title = found["text"]
        sprint = re.match(r"Sprint ([0-9]{1,4}): (.+)", title)
        self.place, self.sprint = "head", int(sprint[1]) if sprint else None
        short = re.sub(r"^day-[0-9]+-", "", slug(title.partition(":")[0])) or slug(self.file) or "document"
        self.document = {
            "id": f"sprint-{self.sprint}" if sprint else short,
            "file": self.file,
            "title": title,
            "theme": sprint[2] if sprint else re.sub(r"^.*?: | Backlog$", "", title),
            "challenge": None,
            "timebox_minutes": int(found["minutes"]) if "minutes" in found else None,
            "choose": None,
            "advice_title": None,
            "advice": [],
            "closing": None,
            "summary": [],
        }

    def _leave_section(self) -> None:
        if self.place == "section" or (self.place == "summary" and not self.document["summary"]):
            raise self.fail("the section before this line holds nothing. Fill it or leave its heading out.")
        if self.place == "advice" and not self.document["advice"][-1]["points"]:
            raise self.fail("the advice before this line has no points. Add them (- ...) or leave its heading out.")

    def _take_section(self, found: dict[str, str]) -> None:
        self._leave_section()
        self.place, self.heading = "section", found
        self.counts[found["text"]] += int(found.get("count", 0))

    def _take_summary(self, _: dict[str, str]) -> None:
        self._leave_section()
        self.place = "summary"

    def _take_item(self, found: dict[str, str]) -> None:
        if "id" not in found and self.sprint is None:
            heading = f"### **G1: {found['text'][:40]}**"
            raise self.fail(f"the story has no id, and the document is no sprint that could number it. Write {heading}.")
        item_id = found.get("id") or f"S{self.sprint}.{len(self.items) + 1}"
        if item_id in self.lines:
            raise self.fail(f"the id {item_id!r} stands in line {self.lines[item_id]} already. Give each story its own.")
        self.place, self.lines[item_id] = "item", self.number
        self.items.append(self._new_item(item_id, found["text"]))
        if "points" in found:
            self._set(self.items[-1], "points", self._points(found))

    def _new_item(self, item_id: str, title: str) -> dict[str, Any]:
        return {
            "id": item_id,
            "document": self.document["id"],
            "title": title,
            "theme": self.document["theme"],
            "category": self.heading["text"],
            "icon": self.heading.get("icon"),
            "category_points": self.heading.get("range"),
            **dict.fromkeys(("role", "want", "so_that", "story", "points", "size")),
            "skills": [],
            "deliverable": DELIVERABLES.get(title, (slug(title) or "untitled", title))[0],
            "criteria": [],
        }

    def _points(self, found: dict[str, str]) -> int:
        points = int(found["points"]) if re.fullmatch("[0-9]{1,4}", found["points"]) else 0
        if not 1 <= points <= LARGEST:
            raise self.fail(f"{found['points'][:40]!r} is no number of points. Write a whole number from 1 to {LARGEST}.")
        return points

    def _take_story(self, found: dict[str, str]) -> None:
        sentence = found["text"]
        parts = next((match for pattern in _STORIES if (match := pattern.match(sentence))), None)
        if parts is None:
            raise self.fail(f"{sentence[:60]!r} is no story. Write it as: As a ROLE, I want WISH so that REASON.")
        self._set(self.items[-1], "story", sentence)
        self.items[-1].update(parts.groupdict())

    def _take_estimate(self, found: dict[str, str]) -> None:
        if found["size"] not in SIZES:
            raise self.fail(f"{found['size'][:40]!r} is no size. Write one of {', '.join(SIZES)}.")
        self._set(self.items[-1], "points", self._points(found))
        self.items[-1]["size"] = found["size"]
        self.place = "item"

    def _take_skills(self, found: dict[str, str]) -> None:
        self._set(self.items[-1], "skills", [skill for part in found["text"].split(",") if (skill := part.strip())])
        self.place = "item"

    def _take_criteria(self, _: dict[str, str]) -> None:
        self.place = "criteria"

    def _take_criterion(self, found: dict[str, str]) -> None:
        self.items[-1]["criteria"].append({"text": found["text"], "proofs": []})

    def _take_advice(self, found: dict[str, str]) -> None:
        if self.place == "section":
            self._set(self.document, "advice_title", self.heading["text"])
        else:
            self._leave_section()
        self.place = "advice"
        self.document["advice"].append({"title": found["text"], "points": []})

    def _take_point(self, found: dict[str, str]) -> None:
        self.document["advice"][-1]["points"].append(found["text"])

    def _take_part(self, found: dict[str, str]) -> None:
        self.document["summary"].append({"title": found["text"], "text": found.get("statement"), "counts": []})

    def _take_count(self, found: dict[str, str]) -> None:
        if not self.document["summary"]:
            raise self.fail("a count stands before what is counted. Write **By Category:** or the like above it.")
        count = {"name": found["name"], "items": int(found["items"]), "note": found.get("note"), "icon": found.get("icon")}
        self.document["summary"][-1]["counts"].append(count)

    def _check(self) -> None:
        if not self.items:
            raise BacklogError(f"{self.file}: no story found (### ...). Is it a backlog?")
        for item in self.items:
            for name, line in _NEEDED.items():
                if not item[name]:
                    what = f"story {item['id']} {item['title'][:60]!r} has no {name}. Add {line}."
                    raise self.fail(what, self.lines[item["id"]])
        found = Counter(item["category"] for item in self.items)
        for category, count in self.counts.items():
            if count and found[category] != count:
                raise BacklogError(
                    f"{self.file}: {category!r} announces {count} items and holds {found[category]}. Correct either."
                )


_NEEDED = {
    "story": "the line **Story:** As a ..., I want ...",
    "points": "the line **Estimate:** Small (2 points)",
    "skills": "the line **Skills:** ...",
    "criteria": "**Acceptance Criteria:** with a line - [ ] ... for each",
}


def slug(text: str) -> str:
    """Return a text as lower-case words joined by hyphens; empty when there is no word in it."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def read_documents(paths: Sequence[Path]) -> dict[str, Any]:
    """Read the documents into the plain form of `backlog.yaml`, without proofs.

    Raises BacklogError naming file and line when one is not of a known shape, or when two documents give the same id.
    """
    readers = []
    for path in paths:
        reader = _Reader(path.name)
        reader.read(_text_of(path))
        readers.append(reader)
    _check_ids(readers)
    items = [item for reader in readers for item in reader.items]
    titles = dict(DELIVERABLES.values())
    return {
        "version": 1,
        "skills": vocabulary(items),
        "deliverables": {item["deliverable"]: titles.get(item["deliverable"], item["title"]) for item in items},
        "documents": [reader.document for reader in readers],
        "items": items,
    }


def _check_ids(readers: list[_Reader]) -> None:
    seen: dict[str, str] = {}
    for reader in readers:
        ids = {f"the id {item_id!r}": line for item_id, line in reader.lines.items()}
        for what, line in {f"the document's id {reader.document['id']!r} (from its title)": 1, **ids}.items():
            if what in seen:
                raise reader.fail(f"{what} is given by {seen[what]} too. Give each its own.", line)
            seen[what] = reader.file


def vocabulary(items: Sequence[dict[str, Any]]) -> list[str]:
    """Return the skills that items ask for, lower case and sorted, each once."""
    return sorted({skill.lower() for item in items for skill in item["skills"]})


def _text_of(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise BacklogError(f"{path.name}, line {line}: not UTF-8. Save the file as UTF-8.") from None
    except OSError as error:
        raise BacklogError(f"{path}: can't be read ({error.strerror}). Name a file that is there.") from None
