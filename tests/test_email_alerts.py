"""The page on e-mail alerts: set-up from the settings, every mail as it arrives, and troubles with what to do."""

import html
import re
import shlex
from datetime import timedelta
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from etl.alerts import with_alerts
from etl.commands import alert
from etl.config import LoadedSettings, setting_names
from etl.console import COMMANDS as KNOWN
from etl.mail import FAULTS, render, sample, subject
from etl.record import AlertRecord
from etl.signals import SIGNALS
from generators.context import Context
from generators.deliverables.email_alerts import COMMANDS
from tests.mail_server import PASSWORD, RECEIVERS, USER, mail_settings
from tests.pages import CONTEXTS, render_deliverable
from tests.records import NOON, make_context, make_record


def page(context: Context, folder: Path) -> str:
    return render_deliverable("email-alerts", context, folder)


@pytest.fixture
def context() -> Context:
    return CONTEXTS["good"]()


@pytest.fixture
def with_mail() -> Context:
    return make_context(
        make_record(), settings=mail_settings(587, alerts__rejects="0.3", alerts__runbook_url="https://handover.example/r/")
    )


def section(text: str, heading: str) -> str:
    return text.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def test_every_setting_of_mail_and_alerts_is_listed_with_its_value(context: Context, tmp_path: Path) -> None:
    body = section(page(context, tmp_path), "Set-up")
    listed = set(re.findall(r"^\| `([a-z_.]+)` \|", body, re.MULTILINE))
    assert listed == {name for name in setting_names() if name.startswith(("mail.", "alerts."))}


def test_secrets_and_addresses_are_only_said_to_be_set(with_mail: Context, tmp_path: Path) -> None:
    text = page(with_mail, tmp_path)
    assert not any(value in text for value in (PASSWORD, *RECEIVERS, with_mail.settings.values.mail.sender, f"| {USER} "))
    assert len(re.findall(r"\(set\)", section(text, "Set-up"))) == 4
    assert "**sent by e-mail**" in text


def test_every_signal_stands_there_with_its_threshold_its_reason_and_its_runbook_section(
    with_mail: Context, tmp_path: Path
) -> None:
    rows = [line for line in section(page(with_mail, tmp_path), "What is sent, and when").splitlines() if line.startswith("| ")]
    for one in SIGNALS:
        (row,) = [line for line in rows if f"`{one.setting}`" in line and one.title.capitalize() in line]
        assert one.reason in html.unescape(row)
        assert f"(runbook.md#{one.runbook})" in row
    assert '<data value="0.3" data-src="settings:alerts.rejects"' in page(with_mail, tmp_path)


def test_every_mail_is_shown_as_it_is_rendered(with_mail: Context, tmp_path: Path) -> None:
    soup = BeautifulSoup(page(with_mail, tmp_path), "html.parser")
    frames, texts = soup.find_all("iframe"), soup.find_all("pre")
    assert len(frames) == len(texts) == len(SIGNALS) + 2
    settings = with_mail.settings.values
    for one, frame, text in zip(SIGNALS, frames, texts, strict=False):
        notice = sample(one, settings, with_mail.settings.environment, with_mail.run.ended_at, "alert")
        assert frame["srcdoc"] == render(notice, settings, "html")
        assert text.get_text() == render(notice, settings, "txt").strip()
        assert subject(notice) in page(with_mail, tmp_path)


def test_a_mail_can_not_break_out_of_its_frame(with_mail: Context, tmp_path: Path) -> None:
    hostile = LoadedSettings('"><script>alert(1)</script>', with_mail.settings.values, with_mail.settings.origins)
    text = page(make_context(make_record(), settings=hostile), tmp_path)
    assert "<script" not in text
    soup = BeautifulSoup(text, "html.parser")
    assert all(not frame["sandbox"] for frame in soup.find_all("iframe"))
    assert all("\n" not in line for line in re.findall(r'srcdoc="([^"]*)"', text)), "a line break would end the block in Markdown"


def test_every_class_of_error_has_a_cause_and_a_remedy(context: Context, tmp_path: Path) -> None:
    body = section(page(context, tmp_path), "Troubleshooting")
    for name, fault in FAULTS.items():
        (row,) = [line for line in body.splitlines() if line.startswith(f"| `{name}` |")]
        assert fault.cause in html.unescape(row)
        assert fault.remedy in html.unescape(row)


def test_what_the_last_runs_recorded_is_shown_newest_first(tmp_path: Path) -> None:
    def told(number: int, outcome: str, **changes: object) -> AlertRecord:
        values = {"at": NOON + timedelta(days=number), "environment": "default", "signal": "run-slow", "cause": "run-slow",
                  "severity": "P3", "kind": "alert", "outcome": outcome, "run_id": make_record(number).run_id}  # fmt: skip
        return AlertRecord.model_validate(values | changes)

    runs = [with_alerts(make_record(0), (told(0, "sent"),)),
            with_alerts(make_record(1), (told(1, "failed", error_class="SMTPDataError", code=554),))]  # fmt: skip
    rows = re.findall(r"^\| <time.*", section(page(make_context(*runs), tmp_path), "Now"), re.MULTILINE)
    assert len(rows) == 2
    assert "failed</span> SMTPDataError, code 554" in rows[0]
    assert runs[1].run_id in rows[0]
    assert "sent</span>" in rows[1]


def test_every_command_on_the_page_is_one_that_the_command_line_takes(context: Context, tmp_path: Path) -> None:
    import argparse

    parser = argparse.ArgumentParser()
    alert.add_options(parser)
    for _, command in COMMANDS:
        words = shlex.split(command)
        assert words[:3] == ["python", "-m", "etl"]
        assert words[3] in KNOWN
        if words[3] == "alert":
            assert parser.parse_args(words[4:]).action == words[4]
        assert f"`{command}`" in page(context, tmp_path)
