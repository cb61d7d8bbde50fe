"""The runbook leads from every symptom to a procedure whose commands work."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from etl import cli
from etl.errors import ERROR_CLASSES, PipelineError
from etl.failures import FAILURES, SEVERITY_WORDS
from etl.stages import STAGES
from generators.pages.reference import exit_codes
from tests.conftest import ROOT
from tests.customers import customer, write_customers
from tests.mail_server import HOST, mail_server
from tests.pages import CONTEXTS, render_deliverable

IDS = {one.id for one in FAILURES}
COMMANDS = sorted(
    {step.command for one in FAILURES for step in (*one.steps, one.verify) if step.command}
    | set(re.findall(r'"((?:nox|python) [^"]+)"', (ROOT / "generators/deliverables/runbook.py").read_text(encoding="utf-8")))
)


def test_every_failure_has_an_id_of_its_own_and_a_known_severity() -> None:
    assert len(IDS) == len(FAILURES)
    assert {one.severity for one in FAILURES} <= set(SEVERITY_WORDS)


def test_every_error_exit_code_and_stage_leads_to_a_failure() -> None:
    named = {error.runbook for error in (*ERROR_CLASSES, PipelineError)}
    named |= {section for _, _, section in exit_codes() if section}
    named |= {failure for stage in STAGES for failure in stage.failures}
    assert named <= IDS
    assert all(stage.failures for stage in STAGES)


def test_exit_codes_are_distinct() -> None:
    codes = [code for code, _, _ in exit_codes()]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("one", FAILURES, ids=lambda one: one.id)
def test_each_failure_has_its_seven_lines_on_the_page(one: object, tmp_path: Path) -> None:
    page = render_deliverable("runbook", CONTEXTS["good"](), tmp_path)
    section = page.split(f"{{ #{one.id} }}")[1].split("\n### ")[0]  # type: ignore[attr-defined]
    for part in (
        "| You see |",
        "| Meaning |",
        "| Impact |",
        "| Detected |",
        "**First checks**",
        "**Steps**",
        "**Verify.**",
        "**If it does not help.**",
    ):
        assert part in section


def test_links_within_the_page_land(tmp_path: Path) -> None:
    page = render_deliverable("runbook", CONTEXTS["good"](), tmp_path)
    assert set(re.findall(r"\]\(#([\w-]+)\)", page)) <= set(re.findall(r"\{ #([\w-]+) \}", page))


def test_contacts_are_complete_for_whoever_the_page_sends_one_to() -> None:
    contacts = CONTEXTS["good"]().facts.group("contacts")
    assert {"operations_lead", "data_steward", "warehouse_owner", "supplier_contact", "data_protection_officer"} <= set(contacts)
    for contact in contacts.values():
        assert set(contact) == {"role", "channel", "hours", "deputy"}


@pytest.fixture
def mail(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A mail server that the settings name."""
    with mail_server(None, sign_in=False) as (_, port):
        for name, value in {
            "HOST": HOST,
            "PORT": str(port),
            "SECURITY": "none",
            "SENDER": "a@x.example",
            "RECEIVERS": "b@x.example",
        }.items():
            monkeypatch.setenv(f"HANDOVER_MAIL__{name}", value)
        yield


@pytest.mark.usefixtures("mail")
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_works(command: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(command)
    if words[0] == "nox":
        sessions = re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text(encoding="utf-8"), re.MULTILINE)
        assert words[1:2] == ["-s"]
        assert words[2] in sessions
        return
    assert words[:2] == ["python", "-m"]
    if words[2] == "generators":
        return  # the site's tests run it
    assert words[2] == "etl"
    write_customers(project / "data/customers.csv", [customer(number) for number in range(1, 30)])
    assert cli.main(["run", "--quiet"]) in (0, 10)
    assert cli.main(words[3:]) in (0, 10)
    assert capsys.readouterr().out
