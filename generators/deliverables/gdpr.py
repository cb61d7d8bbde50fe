"""The GDPR assessment: which personal data there is, why, where, how long, how it is protected, and what is still open."""

import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from etl.console import COMMANDS
from etl.quarantine import FILE_NAME as QUARANTINE
from etl.retention import PERIODS, plan_pruning
from etl.schema import COLUMNS, RETENTION_WORDS, Personal
from etl.stages import STORES
from etl.transform import risk_factors
from generators.context import Context
from generators.deliverable import Deliverable
from generators.evidence.exhibits import TEST_REPORT
from generators.evidence.results import read_test_report

State = Literal["closed", "open", "unknown"]
PRIVACY_TESTS = "tests/test_privacy.py"
_SECRET = re.compile(r"password|passwd|pwd|secret|token|api_?key", re.IGNORECASE)


@dataclass(frozen=True)
class Check:
    """A line of the checklist: what is wanted, what was found, and how it was found. Unknown counts as open."""

    area: str
    wanted: str
    found: str
    state: State
    how: str


def build(context: Context, _: Path) -> Mapping[str, object]:
    """Return inventory, safeguards and checklist as they are now."""
    checks = list(checklist(context))
    waiting: dict[str, int] = {}
    for file, _name, fact in context.facts.all():
        if file in ("organisation", "privacy", "law") and (fact.status == "example" or fact.overdue(context.now.date())):
            waiting[fact.owner] = waiting.get(fact.owner, 0) + 1
    return {
        "personal_columns": [column for column in COLUMNS if column.personal is not Personal.NONE],
        "retention": RETENTION_WORDS,
        "stores": STORES,
        "periods": PERIODS,
        "due": plan_pruning(context.settings.values, context.now).counts,
        "checks": checks,
        "open": [check for check in checks if check.state != "closed"],
        "waiting": waiting,
        "purposes": context.facts.group("privacy"),
        "factors": risk_factors(context.settings.values.risk, context.run.started_at.date()),
        "regions": context.settings.values.risk.high_risk_regions,
        "screening": _screening(context),
        "rights": RIGHTS,
        "risks": RISKS,
    }


def checklist(context: Context) -> Iterator[Check]:
    """Yield every line of the go-live checklist; what a program can look at was looked at."""
    yield _pages_hold_no_rows(context)
    yield _small_groups(context)
    yield _secrets(context.root / "config")
    yield _quarantine_rights(context)
    yield _minimisation(context)
    regions = context.settings.values.risk.high_risk_regions
    yield Check("Fairness", "Nobody is scored by where they live without a reason",
                f"risk.high_risk_regions lists {len(regions)} places", "open" if regions else "closed", "settings")  # fmt: skip
    yield _transit(context)
    yield Check("Encryption at rest", "The warehouse, quarantine and backups lie on encrypted disks", "Can't be seen from here",
                "unknown", "ask the warehouse owner")  # fmt: skip
    yield _due(context)
    yield _command("Retention", "A job deletes customers whose time is over", "retention")
    yield _command("Erasure", "A command finds and erases a person in every store", "erase")
    yield _command("Access", "A command gathers all that is kept of a person", "subject-access")
    yield from _decisions(context)


def _pages_hold_no_rows(context: Context) -> Check:
    outcomes = [
        outcome
        for node, outcome in read_test_report(context.root / TEST_REPORT).outcomes.items()
        if node.startswith(PRIVACY_TESTS)
    ]
    wanted, how = "Pages, logs and records hold no customer's values", f"{PRIVACY_TESTS} in the last test run"
    if not outcomes:
        return Check("Masking", wanted, "Not looked at: no test report lies in runs/", "unknown", how)
    passed = all(outcome == "passed" for outcome in outcomes)
    found = f"{len(outcomes)} tests looked for every sample customer; {'all passed' if passed else 'not all passed'}"
    return Check("Masking", wanted, found, "closed" if passed else "open", how)


def _minimisation(context: Context) -> Check:
    inside = {"reference", "unknown", "failed"}
    answered = {source for sources in context.run.enrichment.values() for source in sources} - inside
    asked = {f"the service for {name}" for name, one in context.run.services.items() if one.keys_asked}
    outside = answered | asked
    found = (
        f"Besides the embedded references: {', '.join(sorted(outside))}"
        if outside
        else "The embedded references alone were asked"
    )
    return Check(
        "Minimisation",
        "No personal data leaves the organisation",
        found,
        "open" if outside else "closed",
        "lookups of the last run",
    )


def _transit(context: Context) -> Check:
    kind = context.settings.values.warehouse.kind
    embedded = kind == "duckdb"
    found = "The embedded warehouse is a file; there is no connection" if embedded else f"Not looked at for {kind}"
    return Check("Encryption in transit", "Connections to the warehouse are encrypted", found, "closed" if embedded else "unknown",
                 "settings: warehouse.kind")  # fmt: skip


def _due(context: Context) -> Check:
    """Look for what is past its time: a command that nobody calls keeps no promise."""
    due = {name: number for name, number in plan_pruning(context.settings.values, context.now).counts.items() if number}
    found = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in due.items())
    return Check("Retention", "Logs, rejected rows and run folders go when they are due", f"Past their time: {found}" if due else
                 "Nothing is past its time", "open" if due else "closed", "age of what lies in runs/; python -m etl prune deletes it")  # fmt: skip


def _command(area: str, wanted: str, name: str) -> Check:
    there = name in COMMANDS
    return Check(
        area,
        wanted,
        f"python -m etl {name}" if there else "Not there yet",
        "closed" if there else "open",
        "commands of the pipeline",
    )


def _small_groups(context: Context) -> Check:
    k = context.settings.values.privacy.k
    return Check("Small groups", "No published figure describes few people", f"privacy.k is {k}; no page shows groups of customers yet",
                 "closed" if k >= 10 else "open", "settings")  # fmt: skip


def _secrets(folder: Path) -> Check:
    found = [f"{path.name}: {key}" for path in sorted(folder.glob("*.toml")) for key in _keys(path) if _SECRET.search(key)]
    return Check("Secrets", "No secret stands in a file of the project", ", ".join(found) or "None found in config/",
                 "open" if found else "closed", "keys of config/*.toml")  # fmt: skip


def _keys(path: Path) -> Iterator[str]:
    for section, values in tomllib.loads(path.read_text(encoding="utf-8")).items():
        yield section
        if isinstance(values, dict):
            yield from values


def _quarantine_rights(context: Context) -> Check:
    wanted = "Quarantined rows are readable by their owner only"
    files = [context.settings.values.runs.path / run.run_id / QUARANTINE for run in context.runs]
    files = [path for path in files if path.exists()]
    if os.name == "nt" or not files:
        return Check(
            "Access",
            wanted,
            "Can't be seen from here" if files else "No row is in quarantine",
            "unknown" if files else "closed",
            "",
        )
    loose = [path.parent.name for path in files if stat.S_IMODE(path.stat().st_mode) & 0o077]
    found = f"{len(files)} files, {len(loose)} of them readable by others"
    return Check("Access", wanted, found, "open" if loose else "closed", "permissions of the files in runs/")


def _decisions(context: Context) -> Iterator[Check]:
    named = {
        "organisation": "Responsible people are named",
        "privacy": "Purposes, basis and effects are decided",
        "law": "The law was looked at",
    }
    for file, wanted in named.items():
        facts = [fact for name, _, fact in context.facts.all() if name == file]
        undecided = sum(fact.status == "example" or fact.overdue(context.now.date()) for fact in facts)
        yield Check("Decisions", wanted, f"{undecided} of {len(facts)} values are examples or overdue", "open" if undecided else "closed",
                    f"facts/{file}.yaml")  # fmt: skip


def _screening(context: Context) -> tuple[tuple[str, str], ...]:
    return (
        ("Evaluation or scoring of people", f"Yes: {context.run.rows.loaded:,} customers were scored in the last run"),
        ("Decisions with legal or similar effect", "The controller says what follows from a score, below"),
        ("Matching of data from several sources", "Yes: file, postcode reference and company reference"),
        ("People do not expect it", "Yes, unless the privacy notice tells of it"),
        ("Systematic monitoring, special categories, new technology", "No"),
        ("Children or vulnerable people", "Unknown: ask the customer system team"),
    )


RIGHTS = (
    ("To be informed", "Articles 13, 14", "Text from the inventory below", "access.limit"),
    ("Access", "Article 15", "No command yet: search the warehouse and quarantine by hand", "access.limit"),
    ("Rectification", "Articles 16, 19", "Correct at the source; the next run updates the row", "access.limit"),
    ("Erasure", "Article 17", "No command yet; the next file would bring the person back", "access.limit"),
    ("Restriction", "Article 18", "No mark yet that keeps a person from being scored", "access.limit"),
    ("Portability", "Article 20", "No export yet", "access.limit"),
    ("Objection", "Article 21", "No mark yet that stops scoring and analysis", "access.limit"),
    (
        "Safeguards for automated decisions",
        "Articles 22A to 22D",
        "Every score names its factors; a person must decide",
        "profiling.articles",
    ),
    ("Complaint", "Section 164A of the Data Protection Act 2018", "By the contact of the officer below", "complaint.limit"),
)
RISKS = (
    ("A wrong score harms a customer", "Factors are few, named and explained per customer; a person decides", "score"),
    (
        "Scoring by place stands in for a protected characteristic",
        "Off unless the settings list regions; then needs its own justification",
        "score",
    ),
    ("Quarantine leaks: it holds unverified raw rows", "Owner-only file, never published; deleted when it is due", "validate"),
    ("A log or page shows a customer", "Only counts are recorded; a test looks for every sample customer", "record"),
    ("An erased person comes back with the next file", "Open: no suppression list yet", "extract"),
    ("Company data of a sole trader is stale", "Reference is reviewed every quarter", "enrich"),
)

DELIVERABLE = Deliverable(
    "gdpr",
    "Which personal data the pipeline handles, why, where it rests, how long, how it is protected, and what must be decided or built "
    "before real customers go through it.",
    "the compliance officer and the data protection officer",
    build,
)
