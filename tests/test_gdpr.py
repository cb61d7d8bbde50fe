"""The GDPR assessment lists what is declared, looks where it can look, and counts what it can't see as open."""

import os
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from etl import config
from etl.schema import COLUMNS, Personal
from etl.service_calls import Figures
from etl.stages import STORES
from generators.deliverables.gdpr import Check, checklist
from tests.pages import CONTEXTS, render_deliverable
from tests.records import ROOT, make_context, make_record


def check(area: str, wanted: str = "", **changes: object) -> Check:
    context = make_context(make_record(), **changes)
    return next(one for one in checklist(context) if one.area == area and wanted in one.wanted)


def with_runs(folder: Path, **overrides: str) -> config.LoadedSettings:
    return config.load(overrides={"runs.path": str(folder), **overrides}, folder=ROOT / "config")


def test_every_personal_column_is_listed_and_no_other(tmp_path: Path) -> None:
    page = render_deliverable("gdpr", CONTEXTS["good"](), tmp_path)
    inventory = page.split("## Personal data")[1].split("## Where it rests")[0]
    for column in COLUMNS:
        assert (f"| `{column.name}` |" in inventory) == (column.personal is not Personal.NONE), column.name


def test_every_column_says_whether_it_is_personal_and_why_it_is_kept() -> None:
    for column in COLUMNS:
        assert column.purposes, column.name
        assert column.retention, column.name


def test_every_store_is_listed_with_its_retention(tmp_path: Path) -> None:
    page = render_deliverable("gdpr", CONTEXTS["good"](), tmp_path)
    for store in STORES:
        assert f"| {store.title} | {'yes' if store.personal else 'no'} |" in page
        assert store.retention


def test_a_period_that_a_job_keeps_is_that_of_a_setting_in_days(tmp_path: Path) -> None:
    page = render_deliverable("gdpr", CONTEXTS["good"](), tmp_path)
    kept = [store for store in STORES if store.period]
    assert {store.id for store in kept} == {"quarantine", "record", "log", "audit_log"}
    for store in kept:
        assert config.unit(store.period) == "days"
        assert f'data-src="settings:{store.period}"' in page


def test_retention_is_open_as_soon_as_something_is_past_its_time(tmp_path: Path) -> None:
    for days, state in ((29, "closed"), (31, "open")):
        folder = tmp_path / str(days) / make_record().run_id
        folder.mkdir(parents=True)
        (folder / "quarantine.jsonl").touch()
        now = make_record().started_at + timedelta(days=days)
        assert check("Retention", "Logs, rejected", settings=with_runs(folder.parent), now=now).state == state
    assert check("Retention", "customers").state == "open", "no job deletes customers yet"


def test_what_can_not_be_seen_is_open(tmp_path: Path) -> None:
    page = render_deliverable("gdpr", CONTEXTS["good"](), tmp_path)
    assert check("Encryption at rest").state == "unknown"
    assert "**Not ready for real customers.**" in page


def test_a_secret_in_a_settings_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/default.toml").write_text('[warehouse]\npassword = "x"\n', encoding="utf-8")
    found = check("Secrets", root=tmp_path)
    assert (found.state, found.found) == ("open", "default.toml: password")
    assert check("Secrets").state == "closed"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps no owner bits")
def test_a_quarantine_that_others_can_read_is_found(tmp_path: Path) -> None:
    folder = tmp_path / make_record().run_id
    folder.mkdir()
    path = folder / "quarantine.jsonl"
    path.touch(mode=0o600)
    wanted = "Quarantined rows"
    assert check("Access", wanted, settings=with_runs(tmp_path)).state == "closed"
    os.chmod(path, 0o644)  # noqa: PTH101
    assert check("Access", wanted, settings=with_runs(tmp_path)).state == "open"


def test_places_that_add_risk_are_open(tmp_path: Path) -> None:
    assert check("Fairness", settings=with_runs(tmp_path)).state == "closed"
    assert check("Fairness", settings=config.load("test", folder=ROOT / "config")).state == "open"


def test_a_lookup_outside_the_organisation_is_open() -> None:
    outside = make_record(0, enrichment={"postcodes": {"live": 3}})
    context = replace(make_context(), runs=(outside,))
    assert next(one for one in checklist(context) if one.area == "Minimisation").state == "open"
    assert check("Minimisation").state == "closed"


@pytest.mark.parametrize(("asked", "state"), [(3, "open"), (0, "closed")])
def test_keys_sent_to_a_service_that_never_answered_have_left_all_the_same(asked: int, state: str) -> None:
    figures = Figures(keys_asked=asked, keys_failed=asked).record()
    run = make_record(0, services={"postcodes": figures}, enrichment={"postcodes": {"failed": 3}})
    context = replace(make_context(), runs=(run,))
    assert next(one for one in checklist(context) if one.area == "Minimisation").state == state


def test_masking_is_proved_by_the_tests_that_looked_or_unknown(tmp_path: Path) -> None:
    assert check("Masking", root=tmp_path).state == "unknown"
    (tmp_path / "runs").mkdir()
    case = '<testsuite><testcase classname="tests.test_privacy" name="test_a">{}</testcase></testsuite>'
    for inside, state in (("", "closed"), ("<failure/>", "open")):
        (tmp_path / "runs/tests.xml").write_text(case.format(inside), encoding="utf-8")
        assert check("Masking", root=tmp_path).state == state


def test_undecided_facts_keep_their_line_open() -> None:
    assert {one.state for one in checklist(make_context()) if one.area == "Decisions"} == {"open"}
