"""The scorecard: sound whatever the run, its scores made again without the pipeline's code, each threshold from both sides."""

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import duckdb
import pytest

import etl.quality
from etl import config
from etl.pipeline import run
from etl.quality import floor2
from etl.record import Fault, RunRecord
from etl.rules import RULES, Dimension
from generators.context import Context
from generators.deliverables.quality import MEANINGS, escalation_level
from generators.figures import bound_figures, resolve
from tests.customers import customer, write_customers
from tests.pages import render_deliverable
from tests.records import ROOT, clean_record, failed_record, make_context, make_record

SECTIONS = [
    "Verdict", "Scorecard", "Volume and risk distribution", "Dimensions and acceptable ranges", "Rules and their scores",
    "Thresholds and alerts", "When quality fails", "What the scores do not tell",
]  # fmt: skip


def assert_figures_hold(page: str, context: Context) -> None:
    """Every bound figure of the page equals its source, and there is at least one."""
    figures = bound_figures(page)
    assert figures
    for figure in figures:
        assert figure.value == str(resolve(context, figure.source)), figure.source


def in_state(number: int, **states: str) -> RunRecord:
    """Return a record in which these dimensions are amber or red."""
    record = make_record(number)
    assert record.quality
    parts = tuple(part.model_copy(update={"state": states.get(part.dimension, "green")}) for part in record.quality.dimensions)
    return record.model_copy(update={"quality": record.quality.model_copy(update={"dimensions": parts})})


def stopped_record(number: int = 1) -> RunRecord:
    fault = Fault(error_class="ThresholdError", message="400 of 1000 rows were rejected", runbook="too-many-rejects")
    rows = {"read": 1000, "loaded": 0, "inserted": 0, "updated": 0, "unchanged": 0, "quarantined": 400, "held_back": 600}
    return make_record(number, outcome="failed", exit_code=5, quality=None, fault=fault, rows=rows)


RUNS = {
    "a good run": (make_record(),),
    "a run without rejects": (clean_record(),),
    "a run that read nothing": (failed_record(),),
    "a failed run after a good one": (make_record(), failed_record(1)),
    "a run that was stopped": (make_record(), stopped_record()),
    "many runs": tuple(make_record(number) for number in range(40)),
    "a rule that is newer than the run": (make_record(rules={"email.form": {"applicable": 0, "violations": 0}}),),
}


@pytest.mark.parametrize("runs", RUNS.values(), ids=RUNS)
def test_the_page_has_all_its_sections_whatever_the_run(runs: tuple[RunRecord, ...], tmp_path: Path) -> None:
    context = make_context(*runs)
    page = render_deliverable("quality", context, tmp_path)
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == SECTIONS
    assert_figures_hold(page, context)
    assert not re.search(r"^\|[\s:|-]+\|$(?!\n\|)", page, re.MULTILINE), "a table has no rows"
    assert [rule.id for rule in RULES if f'<span id="rule-{rule.id.replace(".", "-")}">' not in page] == []


def test_a_dimension_in_trouble_stands_in_the_verdict_although_the_overall_score_is_another(tmp_path: Path) -> None:
    page = render_deliverable("quality", make_context(in_state(0, uniqueness="red", validity="amber")), tmp_path)
    assert "Below minimum: **uniqueness**; short of target: validity." in page


def test_a_run_that_measured_nothing_points_to_the_last_that_did(tmp_path: Path) -> None:
    page = render_deliverable("quality", make_context(make_record(), failed_record(1)), tmp_path)
    assert f"The newest run that has one is [{make_record().run_id}](../runs/{make_record().run_id}.md)" in page


def test_small_bands_are_not_published(tmp_path: Path) -> None:
    page = render_deliverable("quality", make_context(make_record(risk={"Low": 900, "Medium": 57, "High": 3})), tmp_path)
    shown = dict(re.findall(r"^\| (Low|Medium|High) \| (withheld|<data)", page, re.MULTILINE))
    assert shown == {"Low": "<data", "Medium": "withheld", "High": "withheld"}
    assert "run:risk.Medium" not in page


def test_each_dimension_has_rules_or_a_formula_of_its_own_an_owner_and_a_reason() -> None:
    facts = make_context().facts
    assert set(MEANINGS) == set(Dimension)
    assert {rule.dimension for rule in RULES} == set(Dimension) - {Dimension.TIMELINESS}
    for dimension in Dimension:
        assert facts.get("quality", f"{dimension.value}.owner")
        assert facts.get("quality", f"{dimension.value}.reason")


@pytest.mark.parametrize("environment", ["default", "test", "production"])
def test_a_target_is_never_below_its_minimum(environment: str) -> None:
    settings = config.load(environment, folder=ROOT / "config").values.quality
    assert settings.rejects_warn <= settings.rejects_stop
    for dimension in Dimension:
        limits = getattr(settings, dimension.value)
        assert limits.minimum <= limits.target


def test_the_formulas_on_the_page_are_those_of_the_code(tmp_path: Path) -> None:
    page = render_deliverable("quality", make_context(), tmp_path)
    of_a_rule, of_a_dimension = "100 × passed / applicable", "100 × Σ(weight × passed) / Σ(weight × applicable)"
    assert of_a_rule in page
    assert of_a_dimension in page
    counted = {"email.form": (3, 90, 100), "phone.form": (1, 40, 50)}
    sums = {name: sum(weight * (passed, applicable)[index] for weight, passed, applicable in counted.values())
            for index, name in enumerate(("passed", "applicable"))}  # fmt: skip
    tallies = {name: etl.quality.Tally(applicable, applicable - passed) for name, (_, passed, applicable) in counted.items()}
    assert etl.quality.rule_score(tallies["email.form"]) == 100 * 90 / 100
    assert etl.quality._weighted_score(Dimension.VALIDITY, tallies) == floor2(100 * sums["passed"] / sums["applicable"])


LEVELS = [
    ("none", [make_record(0)]),
    ("watch", [make_record(0), in_state(1, validity="amber")]),
    ("watch", [in_state(0, accuracy="amber"), in_state(1, validity="amber")]),
    ("amber", [in_state(0, validity="amber"), in_state(1, validity="amber")]),
    ("amber", [in_state(0, validity="amber"), failed_record(1), in_state(2, validity="amber")]),
    ("red", [in_state(0, validity="red", accuracy="amber")]),
    ("stopped", [make_record(0), stopped_record(1)]),
    ("unknown", [make_record(0), failed_record(1)]),
]


@pytest.mark.parametrize(("level", "runs"), LEVELS)
def test_the_step_of_the_escalation_follows_from_the_runs(level: str, runs: list[RunRecord]) -> None:
    assert escalation_level(runs, 0.05) == level


def test_rejects_above_the_warning_escalate_whatever_the_scores() -> None:
    assert [escalation_level([make_record()], limit) for limit in (0.04, 0.039)] == ["none", "red"]


@pytest.mark.usefixtures("project")
class TestBothSidesOfEachThreshold:
    """20 rows, one of them rejected: a share of 0.05."""

    def run_with(self, **overrides: str) -> RunRecord:
        rows = [*(customer(number) for number in range(1, 20)), customer(20, email="nobody")]
        write_customers(Path("data/customers.csv"), rows)
        return run(config.load(overrides={"quality.rejects_stop": "1", "quality.rejects_warn": "1", **overrides}), quiet=True)

    @pytest.mark.parametrize(("limit", "warned"), [("0.05", False), ("0.049", True)])
    def test_rejects_warn(self, limit: str, warned: bool) -> None:
        assert any("rejects_warn" in text for text in self.run_with(**{"quality.rejects_warn": limit}).warnings) is warned

    @pytest.mark.parametrize(("limit", "code"), [("0.05", 10), ("0.049", 5)])
    def test_rejects_stop(self, limit: str, code: int) -> None:
        record = self.run_with(**{"quality.rejects_stop": limit, "quality.rejects_warn": "0"})
        assert (record.exit_code, record.rows.loaded > 0) == (code, code == 10)

    @pytest.mark.parametrize(("distance", "state"), [(0.0, "green"), (0.01, "amber")])
    def test_target(self, distance: float, state: str) -> None:
        assert self.validity_with(target=self.score() + distance, minimum=0)[0] == state

    @pytest.mark.parametrize(("distance", "expected"), [(0.0, ("amber", False)), (0.01, ("red", True))])
    def test_minimum(self, distance: float, expected: tuple[str, bool]) -> None:
        assert self.validity_with(target=100, minimum=self.score() + distance) == expected

    def score(self) -> float:
        return next(part.score for part in self.run_with().quality.dimensions if part.dimension == "validity")  # type: ignore[union-attr,return-value]

    def validity_with(self, target: float, minimum: float) -> tuple[str, bool]:
        with Path("config/default.toml").open("a", encoding="utf-8") as file:
            file.write(f"\n[quality]\nvalidity = {{ target = {target:.2f}, minimum = {minimum:.2f} }}\n")
        record = self.run_with()
        assert record.quality
        part = next(part for part in record.quality.dimensions if part.dimension == "validity")
        return part.state, any(text.startswith("validity ") for text in record.warnings)


class Line(NamedTuple):
    """A line of the customer file as this test reads it."""

    number: int
    text: str
    fields: dict[str, str]
    whole: bool
    misshapen: bool
    undecodable: bool


BLANK = {"", "-", "--", "n/a", "na", "none", "null", "nil", "?", "unknown"}
REQUIRED = ("customer_id", "first_name", "last_name", "email", "postcode", "status")


def split(text: str) -> list[str] | None:
    """Return the fields of a line, None when a quotation mark is never closed."""
    fields = []
    while True:
        quoted = re.match(r'"((?:[^"]|"")*)"', text)
        if text.startswith('"') and not quoted:
            return None
        value, comma, text = text[quoted.end() if quoted else 0 :].partition(",")
        fields.append((quoted[1].replace('""', '"') if quoted else "") + value)
        if not comma:
            return fields


def blanked(value: str) -> str:
    return "" if value.lower() in BLANK else value


def lines_of(path: Path) -> Iterator[Line]:
    """Read the file without any of the pipeline's code."""
    header, *rows = path.read_bytes().split(b"\n")
    names = header.decode("utf-8").split(",")
    for number, raw in enumerate(rows, 2):
        if not raw.strip():
            continue
        try:
            text, undecodable = raw.decode("utf-8"), False
        except UnicodeDecodeError:
            text, undecodable = raw.decode("latin-1"), True
        found = split(text)
        misshapen = found is None or len(found) != len(names)
        filled = ((found or [text]) + [""] * len(names))[: len(names)]
        values = {name: blanked(value.strip()) for name, value in zip(names, filled, strict=True)}
        yield Line(number, text, values, not (misshapen or undecodable), misshapen, undecodable)


@pytest.fixture
def sample_run(project: Path) -> RunRecord:
    """A run over the sample, which is 30 hours old; promised are 24."""
    shutil.copy(ROOT / "data" / "customers.csv", project / "data")
    record = run(config.load(), quiet=True)
    made = record.ended_at - timedelta(hours=30)
    os.utime(project / "data" / "customers.csv", (made.timestamp(), made.timestamp()))
    (project / "warehouse" / "handover.duckdb").unlink()
    return run(config.load(), quiet=True)


def quarantined(record: RunRecord) -> dict[int, list[str]]:
    path = Path("runs") / record.run_id / "quarantine.jsonl"
    return {row["line"]: row["rules"] for row in map(json.loads, path.read_text(encoding="utf-8").splitlines())}


def count(query: str) -> int:
    with duckdb.connect("warehouse/handover.duckdb", read_only=True) as connection:
        connection.execute("CREATE TEMP VIEW companies AS SELECT * FROM 'data/reference/companies.csv'")
        return int(connection.execute(f"SELECT count(*) FROM customer_enriched {query}").fetchone()[0])  # type: ignore[index]


def from_the_file(lines: list[Line]) -> dict[str, tuple[int, int]]:
    """Return applicable rows and violations of the rules that the file alone can tell."""
    whole = [line for line in lines if line.whole]
    found = {f"{name}.required": (len(whole), sum(not line.fields[name] for line in whole)) for name in REQUIRED}
    found["row.shape"] = (len(lines), sum(line.misshapen for line in lines))
    found["row.encoding"] = (len(lines), sum(line.undecodable for line in lines))
    seen: set[str] = set()
    repeated = 0
    for line in lines:
        number = line.fields["customer_id"].lstrip("0")
        if number.isdecimal() and int(number) < 2**31:
            repeated += line.whole and number in seen
            seen.add(number)
    found["customer_id.unique"] = (sum(line.fields["customer_id"] != "" for line in whole), repeated)
    statuses = [line.fields["status"].lower() for line in whole if line.fields["status"]]
    found["status.known"] = (len(statuses), sum(one not in ("active", "inactive", "suspended", "closed") for one in statuses))
    postcodes = [line.fields["postcode"].upper().replace(" ", "") for line in whole if line.fields["postcode"]]
    special = sum(bool(re.match(r"GIR0AA$|BFPO|(?:GY|JE|IM)\d|GX11|.{4}1ZZ$", one)) for one in postcodes)
    found["postcode.special"] = (len(postcodes), special)
    return found


def from_the_warehouse() -> dict[str, tuple[int, int]]:
    """Return applicable rows and violations of the rules about what the lookups found."""
    place, company = "WHERE postcode IS NOT NULL", "WHERE company IS NOT NULL"
    known = "JOIN companies c ON lower(c.company) = lower(customer_enriched.company)"
    return {
        "postcode.known": (count(place), count(f"{place} AND NOT geo_enriched")),
        "region.present": (count("WHERE country = 'England'"), count("WHERE country = 'England' AND region IS NULL")),
        "company.known": (count(company), count(company) - count(known)),
        "company.email_domain": (count(known), count(f"{known} WHERE split_part(email, '@', 2) <> c.email_domain")),
    }


class TestTheScoresAgain:
    """Scores made from file, quarantine and warehouse, with formulas of our own."""

    def test_no_row_is_lost_or_doubled(self, sample_run: RunRecord) -> None:
        lines = list(lines_of(Path("data/customers.csv")))
        bad, rows = quarantined(sample_run), sample_run.rows
        assert len(lines) == rows.read == rows.loaded + rows.quarantined
        assert len(bad) == rows.quarantined == sum(1 for line in lines if line.number in bad)
        assert count("") == rows.loaded == rows.inserted
        kept = {int(line.fields["customer_id"]) for line in lines if line.number not in bad}
        with duckdb.connect("warehouse/handover.duckdb", read_only=True) as connection:
            assert {number for (number,) in connection.execute("SELECT customer_id FROM customer_enriched").fetchall()} == kept

    def test_each_rule_counts_what_the_file_and_the_warehouse_tell(self, sample_run: RunRecord) -> None:
        told = from_the_file(list(lines_of(Path("data/customers.csv")))) | from_the_warehouse()
        counted = {name: (one.applicable, one.violations) for name, one in sample_run.rules.items() if name in told}
        assert counted == told
        assert sum(violations > 0 for _, violations in told.values()) >= 8, "the sample should hold faults"

    def test_each_rejection_in_quarantine_is_a_violation_counted(self, sample_run: RunRecord) -> None:
        named = Counter(rule_id for rules in quarantined(sample_run).values() for rule_id in rules)
        errors = [rule.id for rule in RULES if rule.severity.value == "error"]
        assert {name: named[name] for name in errors} == {name: sample_run.rules[name].violations for name in errors}

    def test_each_dimension_follows(self, sample_run: RunRecord) -> None:
        lines = list(lines_of(Path("data/customers.csv")))
        whole = [line for line in lines if line.whole]
        named = Counter(rule_id for rules in quarantined(sample_run).values() for rule_id in rules)
        # Of the rules about form the file tells how many rows they are about, and the quarantine which broke them.
        told = {
            rule.id: (len(lines if rule.column == "row" else [one for one in whole if one.fields[rule.column]]), named[rule.id])
            for rule in RULES
            if rule.dimension is Dimension.VALIDITY
        }
        # A broken warning stands nowhere but in the record.
        told["phone.form"] = (told["phone.form"][0], sample_run.rules["phone.form"].violations)
        told |= from_the_file(lines) | from_the_warehouse()
        asked = {"postcode.asked": (0, 0), "company.asked": (0, 0)}  # about live services, which are switched off
        assert {name: (sample_run.rules[name].applicable, sample_run.rules[name].violations) for name in asked} == asked
        told |= asked
        assert set(told) == {rule.id for rule in RULES}
        weights = dict.fromkeys(("row", "customer_id", "first_name", "last_name", "email", "status"), 3)
        weights |= dict.fromkeys(("postcode", "region", "company"), 2) | {"phone": 1}
        scores = {}
        for dimension in {rule.dimension for rule in RULES}:
            parts = [(weights[rule.column], *told[rule.id]) for rule in RULES if rule.dimension is dimension]
            lost, of = sum(w * broken for w, _, broken in parts), sum(w * about for w, about, _ in parts)
            scores[dimension.value] = (10_000 * (of - lost) // of) / 100
        assert sample_run.input
        hours = (sample_run.ended_at - sample_run.input.made_at).total_seconds() / 3600
        scores["timeliness"] = int(100 * 100 * 24 / hours) / 100
        assert sample_run.quality
        assert {part.dimension: part.score for part in sample_run.quality.dimensions} == scores
        assert 79 < scores["timeliness"] < 81
        assert sample_run.quality.overall == min(scores.values())

    def test_the_page_shows_these_scores(self, sample_run: RunRecord, tmp_path: Path) -> None:
        context = make_context(sample_run)
        page = render_deliverable("quality", context, tmp_path / "pages")
        assert_figures_hold(page, context)
        assert sample_run.quality
        for part in sample_run.quality.dimensions:
            assert f'<data value="{part.score}" data-src="run:quality.dimensions.{part.dimension}.score"' in page
