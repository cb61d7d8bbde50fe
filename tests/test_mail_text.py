"""Mail: what a notice says in its headers, as plain text and as HTML."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from bs4 import BeautifulSoup

from etl.config import LoadedSettings
from etl.failures import failure
from etl.mail import Notice, compose, render, runbook_link, sample, subject
from etl.signals import SIGNALS, signal
from tests.mail_server import RECEIVERS, mail_settings

AT = datetime(2026, 11, 23, 12, 53, 18, tzinfo=UTC)


@pytest.fixture
def loaded() -> LoadedSettings:
    return mail_settings(587, alerts__runbook_url="https://handover.example/runbook/")


def failed_notice(loaded: LoadedSettings, **changes: Any) -> Notice:
    return replace(sample(signal("run-failed"), loaded.values, "production", AT, "alert"), **changes)


def test_headers_say_who_when_and_that_a_machine_wrote_it(loaded: LoadedSettings) -> None:
    message = compose(failed_notice(loaded), loaded.values)
    assert message["From"] == "handover@handover.example"
    assert message["To"] == ", ".join(RECEIVERS)
    assert message["Date"] == "Mon, 23 Nov 2026 12:53:18 +0000"
    assert message["Message-ID"] == "<production-run-failed-InputError.alert.20261123T125318000000@handover.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Importance"] == "high"


def test_mails_of_one_cause_stand_in_one_thread_each_with_an_id_of_its_own(loaded: LoadedSettings) -> None:
    notices = [
        failed_notice(loaded),
        failed_notice(loaded, at=AT.replace(hour=13)),
        failed_notice(loaded, kind="resolved", finding=None),
    ]
    messages = [compose(one, loaded.values) for one in notices]
    assert len({message["Message-ID"] for message in messages}) == 3
    assert {message["References"] for message in messages} == {"<production-run-failed-InputError@handover.example>"}
    other = compose(sample(signal("run-slow"), loaded.values, "production", AT), loaded.values)
    assert other["References"] != messages[0]["References"]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "[P2] Handover production: run failed (20261123T125318Z-000000)"),
        ({"kind": "test"}, "[TEST] [P2] Handover production: run failed (20261123T125318Z-000000)"),
        ({"kind": "resolved"}, "[resolved] Handover production: run failed (20261123T125318Z-000000)"),
        ({"run_id": None}, "[P2] Handover production: run failed"),
    ],
)
def test_the_subject_says_how_bad_where_and_what(changes: dict[str, Any], line: str, loaded: LoadedSettings) -> None:
    assert subject(failed_notice(loaded, **changes)) == line


@pytest.mark.parametrize("break_", ["\r\n", "\n", "\r", "\u2028", "\x85", "\x0b", "\x00"])
def test_a_line_break_in_a_name_adds_no_header(break_: str, loaded: LoadedSettings) -> None:
    message = compose(failed_notice(loaded, environment=f"x{break_}Bcc: all@handover.example"), loaded.values)
    assert message["Bcc"] is None
    assert str(message["Subject"]).startswith("[P2] Handover x Bcc: all@handover.example: run failed")
    head = message.as_bytes().split(b"\r\n\r\n")[0]
    assert not any(line.startswith(b"Bcc") for line in head.splitlines())


def test_no_line_is_longer_than_mail_allows_and_the_subject_stays_on_one(loaded: LoadedSettings) -> None:
    for one in SIGNALS:
        message = compose(sample(one, loaded.values, "a-rather-long-environment-name", AT), loaded.values)
        head, _, body = message.as_bytes().partition(b"\r\n\r\n")
        assert (
            f"Subject: {subject(sample(one, loaded.values, 'a-rather-long-environment-name', AT))}".encode() in head.splitlines()
        )
        assert max(map(len, body.splitlines())) <= 78


@pytest.mark.parametrize("one", SIGNALS, ids=lambda one: one.id)
def test_both_forms_say_what_happened_the_figures_and_what_to_do_first(one: Any, loaded: LoadedSettings) -> None:
    notice = sample(one, loaded.values, "production", AT, "alert")
    assert notice.finding is not None
    helps = failure(notice.finding.runbook)
    html = BeautifulSoup(render(notice, loaded.values, "html"), "html.parser")
    for text in (render(notice, loaded.values, "txt"), html.get_text()):
        plain = " ".join(text.replace("`", "").split())
        assert notice.finding.happened in plain
        for label, value in notice.finding.figures:
            assert label in plain
            assert value in plain
        for step in (*helps.steps, helps.verify):
            assert step.text.replace("`", "") in plain
            assert not step.command or step.command in plain
        assert notice.run_id in plain  # type: ignore[operator]
        assert "production" in plain
    assert html.find("a")["href"] == f"https://handover.example/runbook/#{helps.id}"  # type: ignore[index]
    assert f"https://handover.example/runbook/#{helps.id}" in render(notice, loaded.values, "txt")


def test_a_mail_loads_nothing_and_runs_nothing(loaded: LoadedSettings) -> None:
    for one in SIGNALS:
        html = BeautifulSoup(render(sample(one, loaded.values, "production", AT), loaded.values, "html"), "html.parser")
        assert html.find_all(["img", "script", "link", "style", "iframe", "object", "form"]) == []
        assert "url(" not in str(html)


def test_without_an_address_of_the_runbook_its_section_is_named(loaded: LoadedSettings) -> None:
    bare = mail_settings(587).values
    text = render(failed_notice(loaded), bare, "txt")
    assert 'section "The input can\'t be used" (input-unusable)' in text
    assert "<a " not in render(failed_notice(loaded), bare, "html")


def test_a_link_replaces_a_section_that_the_address_already_names() -> None:
    loaded = mail_settings(587, alerts__runbook_url="https://handover.example/runbook.html#top")
    assert runbook_link(loaded.values, "late-file") == "https://handover.example/runbook.html#late-file"


def test_what_a_name_holds_is_text_in_html(loaded: LoadedSettings) -> None:
    html = render(failed_notice(loaded, environment="<b>&x"), loaded.values, "html")
    assert "&lt;b&gt;&amp;x" in html
    assert "<b>" not in html


def test_a_test_says_that_it_is_one_in_both_forms(loaded: LoadedSettings) -> None:
    notice = failed_notice(loaded, kind="test")
    assert "THIS IS A TEST" in render(notice, loaded.values, "txt")
    assert "This is a test." in render(notice, loaded.values, "html")


def test_a_resolved_mail_says_what_is_over_and_asks_for_nothing(loaded: LoadedSettings) -> None:
    text = render(failed_notice(loaded, kind="resolved", finding=None, told_at=AT), loaded.values, "txt")
    assert "Resolved: run failed" in text
    assert signal("run-failed").resolved in text
    assert "told on 23 Nov 2026 12:53 UTC" in text
    assert "What to do first" not in text
    assert "Runbook" not in text
