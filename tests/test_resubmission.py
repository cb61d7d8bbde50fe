"""A rejected row can be taken out, corrected and submitted again, and the quarantine knows."""

import csv
import stat
import sys
from pathlib import Path

import duckdb
import pytest

from etl import cli, config
from etl.pipeline import run
from etl.record import history
from etl.resubmission import backlog, harmless, origins_of
from tests.customers import customer, write_customers

ROWS = [
    customer(1),
    customer(2, email="wrong"),
    customer(3, first_name="=1+1", phone="+44 20 7946 0000"),
    customer(4, status="gone"),
]
ALLOW = ["--set", "quality.rejects_stop=1"]


@pytest.fixture
def rejected(project: Path) -> Path:
    write_customers(project / "data/customers.csv", ROWS)
    run(config.load(overrides={"quality.rejects_stop": "1"}), quiet=True)
    assert cli.main(["quarantine", "export"]) == 0
    return project / "corrections.csv"


def correct(path: Path, **changes: dict[str, str]) -> None:
    """Change cells by customer id."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row.update(changes.get(f"c{row['customer_id']}", {}))
    write_customers(path, rows)


def loaded_ids() -> list[int]:
    with duckdb.connect("warehouse/handover.duckdb", read_only=True) as connection:
        return [row[0] for row in connection.execute("SELECT customer_id FROM customer_enriched ORDER BY 1").fetchall()]


def test_rejected_corrected_resubmitted_loaded(rejected: Path, capsys: pytest.CaptureFixture[str]) -> None:
    correct(rejected, c2={"email": "right@hollis.example"}, c3={"first_name": "Wrenna"})
    assert cli.main(["quarantine", "resubmit", str(rejected), *ALLOW]) in (0, 10)
    assert "resolved 2 of 3 row(s)" in capsys.readouterr().out
    assert loaded_ids() == [1, 2, 3]
    first, second = history(Path("runs"))
    assert (first.operation, second.operation) == ("upsert", "resubmit")
    assert [(one.run_id, one.rejected, one.left) for one in backlog(Path("runs"))] == [
        (first.run_id, 3, 1),
        (second.run_id, 1, 1),
    ]


def test_what_was_dealt_with_is_not_shown_or_exported_again(rejected: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = next(history(Path("runs"))).run_id
    correct(rejected, c2={"email": "right@hollis.example"})
    cli.main(["quarantine", "resubmit", str(rejected), *ALLOW])
    capsys.readouterr()
    assert cli.main(["quarantine", "--run", first]) == 0
    shown = capsys.readouterr().out
    assert "email.form" not in shown
    assert "status.known" in shown
    assert cli.main(["quarantine", "export", "--run", first, "--out", "again.csv"]) == 0
    assert {origin.line for origin in origins_of(Path("again.csv")).values()} == {4, 5}


def test_a_resubmission_is_a_run_of_its_own_in_the_audit(rejected: Path) -> None:
    cli.main(["quarantine", "resubmit", str(rejected), *ALLOW])
    with duckdb.connect("warehouse/handover.duckdb", read_only=True) as connection:
        audit = connection.execute("SELECT operation_type, records_processed FROM enrichment_audit ORDER BY audit_id").fetchall()
    assert audit == [("upsert", 4), ("resubmit", 3)]


def test_the_file_says_where_each_row_came_from_and_is_harmless_in_a_spreadsheet(rejected: Path) -> None:
    text = rejected.read_text(encoding="utf-8")
    with rejected.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["quarantine_line"], row["broken_rules"]) for row in rows] == [
        ("3", "email.form"), ("4", "row.formula first_name.letters"), ("5", "status.known"),
    ]  # fmt: skip
    assert (rows[1]["first_name"], rows[1]["phone"]) == ("'=1+1", "'+44 20 7946 0000")
    assert not any(cell.startswith(("=", "+", "-", "@")) for line in csv.reader(text.splitlines()) for cell in line)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps rights in another way")
def test_the_file_is_for_its_owner_only(rejected: Path) -> None:
    assert stat.S_IMODE(rejected.stat().st_mode) == 0o600


def test_the_guard_before_a_formula_is_taken_off_again(rejected: Path) -> None:
    correct(rejected, c3={"first_name": "Wrenna"})
    cli.main(["quarantine", "resubmit", str(rejected), *ALLOW])
    with duckdb.connect("warehouse/handover.duckdb", read_only=True) as connection:
        found = connection.execute("SELECT phone FROM customer_enriched WHERE customer_id = 3").fetchall()
    assert found == [("+44 20 7946 0000",)]


@pytest.mark.parametrize("text", ["=1+1", "+44", "-1", "@x", "\tx", "\rx"])
def test_every_start_of_a_formula_is_guarded(text: str) -> None:
    assert harmless(text) == "'" + text
    assert harmless("x" + text) == "x" + text


def test_show_tells_the_values_of_one_line(rejected: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rejected.exists()
    capsys.readouterr()
    assert cli.main(["quarantine", "show", "--line", "3"]) == 0
    shown = capsys.readouterr().out
    assert "line 3: email.form" in shown
    assert "'wrong'" in shown
    assert "line 4" not in shown


def test_an_export_overwrites_no_file(rejected: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rejected.exists()
    assert cli.main(["quarantine", "export"]) == 2
    assert "there is such a file already" in capsys.readouterr().err


@pytest.mark.parametrize(("content", "told"), [("customer_id\n1\n", "are missing"), ("", "are missing"), (None, "can't be read")])
def test_a_file_that_was_not_exported_is_refused(
    content: str | None, told: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project / "other.csv"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    assert cli.main(["quarantine", "resubmit", str(path)]) == 3
    assert told in capsys.readouterr().err


def test_resubmitting_no_file_is_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert project.exists()
    assert cli.main(["quarantine", "resubmit"]) == 2
    assert "quarantine resubmit FILE" in capsys.readouterr().err


def test_the_list_tells_how_old_the_backlog_is(rejected: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rejected.exists()
    capsys.readouterr()
    assert cli.main(["quarantine", "list"]) == 0
    assert "3 rejected        3 left     0.0 days" in capsys.readouterr().out
