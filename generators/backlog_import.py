"""Imports the backlog from Markdown documents of two shapes, told apart by their content, and writes `backlog.yaml`.

What was added by hand since (proofs, another deliverable) is kept, matched by the item's id and the criterion's text.
"""

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ftfy
import yaml
from pydantic import ValidationError

from etl.cli import say
from generators.backlog import Backlog, BacklogError, json_schema, load

HEADER = """\
# yaml-language-server: $schema=docs/generated/data/backlog.schema.json
# The backlog. Stories come from the documents named below: `python -m generators.backlog import FILE...` reads them again
# and keeps what is written here by hand: `deliverable` of an item, `proofs` of a criterion.
"""

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

_STORY = re.compile(r"^As an? (?P<role>[^,]+), I want (?P<want>.+?)(?:,? so (?:that )?(?P<so_that>.+?))?\.?$")
_POINTS = r"(?P<points>[\w.]+) points?"
_LINES: dict[str, re.Pattern[str]] = {
    "title": re.compile(r"^# (?P<text>.+?)(?: \((?P<minutes>\d+) minutes\))?$"),
    "item": re.compile(rf"^### (?:\*\*(?P<id>[A-Z]\d+): (?P<bold>.+?)\*\*|(?P<text>.+?) \({_POINTS}\))$"),
    "advice": re.compile(r"^#### (?P<text>.+?):?$"),
    "section": re.compile(
        r"^## (?P<icon>[^\w\s*]+ )?(?P<text>.+?)(?: \((?:(?P<count>\d+) items?|(?P<range>\d+(?:-\d+)? points?))\))?$"
    ),
    "story": re.compile(r'^(?:\*\*Story:\*\* (?P<text>.+)|!!! abstract "(?P<quoted>.+)")$'),
    "closing": re.compile(r'^!!! success "(?P<text>.+)"$'),
    "estimate": re.compile(rf"^\*\*Estimate:\*\* (?P<size>\w+) \({_POINTS}\)$"),
    "skills": re.compile(r"^\*\*Skills:\*\* (?P<text>.+)$"),
    "criteria": re.compile(r"^\*\*(?:Acceptance Criteria|Key Tasks):\*\*$"),
    "challenge": re.compile(r'^\*\*Challenge:\*\* "(?P<text>.+)"$'),
    "choose": re.compile(r"^\*(?P<text>[^*]+)\*$"),
    "part": re.compile(r"^\*\*(?P<name>[^*]+):\*\*(?: (?P<text>.+))?$"),
    "count": re.compile(
        r"^- (?P<icon>[^\w\s*]+ )?\*\*(?P<name>[^*]+):\*\* (?P<items>\d+) items?(?: \((?P<note>.+)\))?$"
    ),
    "bullet": re.compile(r"^- (?:\[[ xX]\] )?(?P<text>.+)$"),
}


@dataclass
class _Reader:
    """Reads one document line by line; `fail` names file and line."""

    file: str
    number: int = 0
    document: dict[str, Any] = field(default_factory=dict)
    items: list[dict[str, Any]] = field(default_factory=list)
    category: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    sprint: int | None = None

    def fail(self, what: str) -> BacklogError:
        return BacklogError(f"{self.file}, line {self.number}: {what}")

    def read(self, text: str) -> None:
        for self.number, line in enumerate(text.splitlines(), 1):
            line = ftfy.fix_encoding(line).rstrip()
            if line in ("", "---"):
                continue
            kind, found = next(((kind, m) for kind, pattern in _LINES.items() if (m := pattern.match(line))), (None, None))
            if kind is None or found is None:
                raise self.fail(f"{line[:60]!r} is no line of a backlog. Correct it or leave it out.")
            self._take(kind, {name: value for name, value in found.groupdict().items() if value is not None})
        self._check()

    def _take(self, kind: str, found: dict[str, str]) -> None:
        if kind != "title" and not self.document:
            raise self.fail("the document must start with its title (# ...).")
        getattr(self, f"_take_{kind}")(found)

    def _take_title(self, found: dict[str, str]) -> None:
        if self.document:
            raise self.fail("a second title; give each document its own file.")
        title = found["text"]
        sprint = re.match(r"Sprint (\d+): (.+)", title)
        self.sprint = int(sprint[1]) if sprint else None
        theme = sprint[2] if sprint else re.sub(r"^.*?: | Backlog$", "", title)
        self.document = {
            "id": f"sprint-{sprint[1]}" if sprint else slug(re.sub(r":.*", "", title)).removeprefix("day-4-"),
            "file": self.file,
            "title": title,
            "theme": theme,
            "challenge": None,
            "timebox_minutes": int(found["minutes"]) if "minutes" in found else None,
            "choose": None,
            "advice": [],
            "closing": None,
            "summary": [],
        }

    def _take_section(self, found: dict[str, str]) -> None:
        self.category = {
            "category": found["text"],
            "icon": found["icon"].strip() if "icon" in found else None,
            "category_points": found.get("range"),
        }
        if "count" in found:
            self.counts[found["text"]] = int(found["count"])

    def _take_item(self, found: dict[str, str]) -> None:
        title = found.get("bold") or found["text"]
        if "id" not in found and self.sprint is None:
            raise self.fail(f"{title!r} has no id, and the document is no sprint that could number it. Write ### **G1: {title}**.")
        self.items.append(
            {
                "id": found.get("id") or f"S{self.sprint}.{len(self.items) + 1}",
                "document": self.document["id"],
                "title": title,
                "theme": self.document["theme"],
                **self.category,
                "role": None,
                "want": None,
                "so_that": None,
                "story": None,
                "points": self._points(found) if "points" in found else None,
                "size": None,
                "skills": [],
                "deliverable": DELIVERABLES.get(title, (slug(title), title))[0],
                "criteria": [],
            }
        )

    def _item(self) -> dict[str, Any]:
        if not self.items:
            raise self.fail("stands before the first story (### ...).")
        return self.items[-1]

    def _points(self, found: dict[str, str]) -> int:
        try:
            return int(found["points"])
        except ValueError:
            raise self.fail(f"{found['points']!r} is no number of points. Write a whole number.") from None

    def _take_story(self, found: dict[str, str]) -> None:
        sentence = found.get("text") or found["quoted"]
        parts = _STORY.match(sentence)
        if parts is None:
            raise self.fail(f"{sentence[:60]!r} is no story. Write it as: As a ROLE, I want WISH so that REASON.")
        self._item().update(parts.groupdict(), story=sentence)

    def _take_estimate(self, found: dict[str, str]) -> None:
        self._item().update(size=found["size"], points=self._points(found))

    def _take_skills(self, found: dict[str, str]) -> None:
        self._item()["skills"] = [skill.strip() for skill in found["text"].split(",")]

    def _take_criteria(self, _: dict[str, str]) -> None:
        self._item()

    def _take_bullet(self, found: dict[str, str]) -> None:
        if self.document["advice"]:
            self.document["advice"][-1]["points"].append(found["text"])
        else:
            self._item()["criteria"].append({"text": found["text"], "proofs": []})

    def _take_advice(self, found: dict[str, str]) -> None:
        self.document["advice"].append({"title": found["text"], "points": []})

    def _take_closing(self, found: dict[str, str]) -> None:
        self.document["closing"] = found["text"]

    def _take_challenge(self, found: dict[str, str]) -> None:
        self.document["challenge"] = found["text"]

    def _take_choose(self, found: dict[str, str]) -> None:
        self.document["choose"] = found["text"]

    def _take_part(self, found: dict[str, str]) -> None:
        self.document["summary"].append({"title": found["name"], "text": found.get("text"), "counts": []})

    def _take_count(self, found: dict[str, str]) -> None:
        if not self.document["summary"]:
            raise self.fail("a count stands outside the summary.")
        self.document["summary"][-1]["counts"].append(
            {"name": found["name"], "items": int(found["items"]), "note": found.get("note"),
             "icon": found["icon"].strip() if "icon" in found else None}
        )  # fmt: skip

    def _check(self) -> None:
        if not self.items:
            raise BacklogError(f"{self.file}: no story found (### ...). Is it a backlog?")
        for item in self.items:
            for name, line in (("story", "**Story:**"), ("points", "**Estimate:**"), ("skills", "**Skills:**"), ("criteria", "- [ ]")):
                if not item[name]:
                    raise BacklogError(f"{self.file}: story {item['id']} {item['title']!r} has no {name}. Add the line {line} ...")
        found = Counter(item["category"] for item in self.items)
        for category, count in self.counts.items():
            if found[category] != count:
                raise BacklogError(f"{self.file}: {category!r} announces {count} items and holds {found[category]}. Correct either.")


def slug(text: str) -> str:
    """Return a text as lower-case words joined by hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def read_documents(paths: Sequence[Path]) -> dict[str, Any]:
    """Read the documents into the plain form of `backlog.yaml`, without proofs.

    Raises BacklogError naming file and line when one is not of a known shape, or when two items have the same id.
    """
    readers = []
    for path in paths:
        reader = _Reader(path.name)
        reader.read(_text_of(path))
        readers.append(reader)
    items = [item for reader in readers for item in reader.items]
    for item_id, count in Counter(item["id"] for item in items).items():
        if count > 1:
            raise BacklogError(f"the id {item_id!r} stands {count} times in {', '.join(r.file for r in readers)}. Give each its own.")
    titles = {slug_: title for slug_, title in DELIVERABLES.values()}
    return {
        "version": 1,
        "skills": sorted({skill.lower() for item in items for skill in item["skills"]}),
        "deliverables": {item["deliverable"]: titles.get(item["deliverable"], item["title"]) for item in items},
        "documents": [reader.document for reader in readers],
        "items": items,
    }


def _text_of(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BacklogError(f"{path.name}: byte {error.start} is not UTF-8. Save the file as UTF-8.") from None
    except OSError as error:
        raise BacklogError(f"{path}: can't be read ({error.strerror}).") from None


def merge(fresh: dict[str, Any], before: Backlog) -> list[str]:
    """Bring into `fresh` what `before` holds beyond it: other documents, and what was written by hand.

    Returns a line for each proof that finds no place any more.
    """
    lost = list(_keep_handwork(fresh["items"], before))
    read = {document["id"]: document for document in fresh["documents"]}
    kept = [read.pop(document.id, None) or document.model_dump() for document in before.documents]
    fresh["documents"] = [*kept, *read.values()]
    reread = {item["document"] for item in fresh["items"]}
    items = fresh["items"] + [item.model_dump() for item in before.items if item.document not in reread]
    order = [document["id"] for document in fresh["documents"]]
    fresh["items"] = sorted(items, key=lambda item: order.index(item["document"]))
    titles = {**before.deliverables, **fresh["deliverables"]}
    fresh["deliverables"] = {item["deliverable"]: titles[item["deliverable"]] for item in fresh["items"]}
    fresh["skills"] = sorted({skill.lower() for item in fresh["items"] for skill in item["skills"]})
    return lost


def _keep_handwork(items: list[dict[str, Any]], before: Backlog) -> Iterator[str]:
    read = {item["document"] for item in items}
    old = {item.id: item for item in before.items if item.document in read}
    for item in items:
        known = old.pop(item["id"], None)
        if known is None:
            continue
        item["deliverable"] = known.deliverable
        proofs = {criterion.text: [proof.model_dump() for proof in criterion.proofs] for criterion in known.criteria}
        for criterion in item["criteria"]:
            criterion["proofs"] = proofs.pop(criterion["text"], [])
        yield from (f"{item['id']}: the criterion {text[:60]!r} is gone and its proofs with it" for text, left in proofs.items() if left)
    yield from (f"{item.id}: the item is gone and its proofs with it" for item in old.values() if any(c.proofs for c in item.criteria))


def to_yaml(data: dict[str, Any]) -> str:
    """Return the text of `backlog.yaml`; the same data gives the same text."""
    return HEADER + yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


class _Dumper(yaml.SafeDumper):
    """Indents lists below their key, which is how people write them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out `import`, `check` or `schema`; return 0, or 1 when there is a fault."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except BacklogError as error:
        say(str(error), sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m generators.backlog", description="The structured backlog.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    importing = commands.add_parser("import", help="read Markdown documents into the backlog, keeping proofs")
    importing.add_argument("files", nargs="+", type=Path)
    importing.add_argument("--into", type=Path, default=Path("backlog.yaml"))
    importing.set_defaults(command=_import)
    checking = commands.add_parser("check", help="name every fault of the backlog")
    checking.add_argument("file", nargs="?", type=Path, default=Path("backlog.yaml"))
    checking.set_defaults(command=_check)
    schema = commands.add_parser("schema", help="print the JSON Schema")
    schema.set_defaults(command=_schema)
    return parser


def _import(options: argparse.Namespace) -> int:
    fresh = read_documents(options.files)
    if options.into.exists():
        for lost in merge(fresh, load(options.into)):
            say(f"warning: {lost}", sys.stderr)
    try:
        Backlog.model_validate(fresh)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise BacklogError(f"{options.into} was not written: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    options.into.write_text(to_yaml(fresh), encoding="utf-8", newline="\n")
    options.file = options.into
    return _check(options)


def _check(options: argparse.Namespace) -> int:
    backlog = load(options.file)
    say(f"{options.file}: {len(backlog.items)} items, {len(backlog.criteria)} criteria, {backlog.points} points")
    return 0


def _schema(_: argparse.Namespace) -> int:
    say(json.dumps(json_schema(), indent=2, ensure_ascii=False))
    return 0
