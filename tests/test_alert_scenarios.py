"""Real runs that fail, with a real mail server: what arrives, and that no customer is in it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl import cli
from etl.alerts import send_alerts
from etl.config import LoadedSettings
from etl.mail import Notice, compose, render
from etl.record import RunRecord, read_record
from etl.signals import SIGNALS, Finding, Situation
from tests.customers import GOOD, customer, write_customers
from tests.mail_server import Authority, Mailbox, mail_server, mail_settings
from tests.privacy_scan import find_leaks, personal_values
from tests.records import NOON, failed_record, make_record
from tests.test_failures import empty_input, many_rejects, missing_input, missing_reference, no_warehouse, wrong_column


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def server(authority: Authority) -> Iterator[tuple[Mailbox, int]]:
    with mail_server(authority) as serving:
        yield serving


@pytest.fixture
def loaded(server: tuple[Mailbox, int], authority: Authority, project: Path) -> LoadedSettings:
    assert project.exists()
    return mail_settings(server[1], authority)


def run_once() -> RunRecord:
    """Run the pipeline as an operator does, and return the record it left."""
    cli.main(["run", "--quiet"])
    return read_record(Path("runs/latest.json"))


def plain_text(box: Mailbox) -> str:
    body = box.mails[-1].get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def headerless(project: Path) -> None:
    path = project / "data/customers.csv"
    path.write_text("".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[1:]), encoding="utf-8")


SCENARIOS: list[tuple[Callable[[Path], None], str, str]] = [
    (missing_input, "InputError", "input-unusable"),
    (empty_input, "InputError", "input-unusable"),
    (wrong_column, "InputError", "input-unusable"),
    (headerless, "InputError", "input-unusable"),
    (missing_reference, "ReferenceDataError", "reference-unusable"),
    (many_rejects, "ThresholdError", "too-many-rejects"),
    (no_warehouse, "WarehouseError", "warehouse-unavailable"),
]


@pytest.mark.parametrize(("provoke", "error_class", "section"), SCENARIOS, ids=[case[0].__name__ for case in SCENARIOS])
def test_a_failed_run_brings_one_mail_that_leads_to_its_runbook_section_and_one_when_it_is_over(
    provoke: Callable[[Path], None], error_class: str, section: str, loaded: LoadedSettings, server: tuple[Mailbox, int],
    project: Path,
) -> None:  # fmt: skip
    box, path = server[0], project / "data/customers.csv"
    write_customers(path, [customer(number) for number in range(1, 21)])
    values = personal_values(path)
    saved = {one: one.read_bytes() for one in project.rglob("*") if one.is_file()}
    provoke(project)
    for _ in range(2):  # the second failure of the same cause is not told
        record = run_once()
        send_alerts(loaded, record, record.ended_at)
    assert len(box.mails) == 1
    assert f"run-failed-{error_class}" in str(box.mails[0]["References"])
    assert f"({section})" in plain_text(box)
    for one, content in saved.items():
        one.write_bytes(content)
    if provoke is no_warehouse:
        (project / "warehouse/handover.duckdb").unlink()
    record = run_once()
    assert record.fault is None
    send_alerts(loaded, record, record.ended_at)
    assert [line.split()[0] for line in box.subjects()] in (["[P2]", "[resolved]"], ["[P1]", "[resolved]"])
    keep(box, project / "mails")
    assert find_leaks(project / "mails", values) == []


def test_a_stopped_run_is_not_told_but_a_watcher_would(
    loaded: LoadedSettings, server: tuple[Mailbox, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    from etl import pipeline

    def stop(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "CsvSource", stop)
    write_customers(Path("data/customers.csv"), [customer()])
    record = run_once()
    assert record.outcome == "interrupted"
    assert send_alerts(loaded, record, record.ended_at) == ()
    assert [one.signal for one in send_alerts(loaded, record, record.ended_at + timedelta(hours=49))] == ["no-success"]
    assert len(server[0].mails) == 1


def keep(box: Mailbox, folder: Path) -> None:
    """Write every mail as it was read and as it came, for the scan."""
    folder.mkdir(exist_ok=True)
    for number, mail in enumerate(box.mails):
        (folder / f"{number}.txt").write_text(mail.as_string(), encoding="utf-8")
        for part in mail.walk():
            if not part.is_multipart():
                ending = "html" if part.get_content_subtype() == "html" else "txt"
                (folder / f"{number}-{ending}.{ending}").write_text(part.get_content(), encoding="utf-8")


# Properties: whatever a record holds that came from outside, no mail holds it.

MARK = "qzx"
FOREIGN = st.text(min_size=1, max_size=12).map(lambda text: f"{MARK}{text}{MARK}")


@st.composite
def records(draw: st.DrawFn) -> RunRecord:
    """A record in which every text that can come from a file, a server or an error holds a customer's value."""
    value = draw(FOREIGN)
    record = draw(st.sampled_from([make_record(), failed_record()]))
    changes: dict[str, Any] = {
        "warnings": (value,), "versions": {value: value}, "host": record.host.model_copy(update={"system": value}),
        "settings": dict.fromkeys((value,), next(iter(record.settings.values())).model_copy(update={"value": value})),
        "enrichment": {value: {value: 1}}, "risk": {value: 1},
        "rows": record.rows.model_copy(update={"quarantined": 900, "read": 1000}),
    }  # fmt: skip
    source = make_record().input
    assert source is not None
    old = {"name": value, "columns": (value,), "unknown_columns": (value,), "made_at": NOON - timedelta(days=30)}
    changes["input"] = source.model_copy(update=old)
    if record.fault:
        changes["fault"] = record.fault.model_copy(
            update={"message": value, "runbook": draw(st.sampled_from(["input-unusable", value]))}
        )
    if record.quality:
        changes["quality"] = record.quality.model_copy(update={"overall": 1.0})
    if record.warehouse:
        changes["warehouse"] = record.warehouse.model_copy(update={"server": value})
    return record.model_copy(update=changes)


@settings(max_examples=60)
@given(records())
def test_no_text_that_comes_from_a_file_or_an_error_reaches_a_mail(record: RunRecord) -> None:
    loaded = mail_settings(587)
    situation = Situation(loaded.values, record.ended_at, record, record.started_at - timedelta(days=9), 3)
    found = [(one, one.judge(situation)) for one in SIGNALS]
    findings = [(one, result) for one, result in found if isinstance(result, Finding)]
    assert len(findings) >= 3
    for one, result in findings:
        notice = Notice("alert", one.id, result.cause, result.severity, "default", record.ended_at, record.run_id, result)
        mail = compose(notice, loaded.values)
        everything = mail.as_string() + render(notice, loaded.values, "txt") + render(notice, loaded.values, "html")
        assert MARK not in everything


def test_the_mails_of_a_run_over_the_whole_sample_hold_no_customer(
    loaded: LoadedSettings, server: tuple[Mailbox, int], project: Path
) -> None:
    from tests.conftest import ROOT

    sample = ROOT / "data/customers.csv"
    cli.main(["run", "--quiet", "--input", str(sample)])
    record = read_record(Path("runs/latest.json"))
    assert send_alerts(loaded, record, datetime.now(UTC) + timedelta(hours=100))
    keep(server[0], project / "mails")
    assert find_leaks(project / "mails", personal_values(sample)) == []
    (project / "mails/planted.txt").write_text(f"Rejected: {GOOD['email']}", encoding="utf-8")
    assert find_leaks(project / "mails", {GOOD["email"]}), "the scan would find one"
