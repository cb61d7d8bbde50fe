"""Failures are provoked for real: each ends with its exit code and says what happened, where, and what to do."""

import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from etl import cli
from etl.failures import failure
from tests.customers import customer, write_customers

GOOD = [customer(number) for number in range(1, 21)]


def missing_input(project: Path) -> None:
    (project / "data/customers.csv").unlink()


def empty_input(project: Path) -> None:
    (project / "data/customers.csv").write_bytes(b"")


def wrong_column(project: Path) -> None:
    path = project / "data/customers.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("postcode", "post_code", 1), encoding="utf-8")


def wrong_setting(project: Path) -> None:
    (project / "config/default.toml").write_text("[input]\nbatch_sise = 5\n", encoding="utf-8")


def missing_reference(project: Path) -> None:
    (project / "data/reference/companies.csv").unlink()


def many_rejects(project: Path) -> None:
    write_customers(project / "data/customers.csv", [row | {"email": "x"} for row in GOOD])


def no_warehouse(project: Path) -> None:
    (project / "warehouse").mkdir()
    (project / "warehouse/handover.duckdb").write_text("this is no database" * 500, encoding="utf-8")


def folder_in_the_way(project: Path) -> None:
    (project / "warehouse").write_text("a file where the folder should be", encoding="utf-8")


CASES: list[tuple[Callable[[Path], None], int, str, str]] = [
    (missing_input, 3, "input-unusable", "customers.csv: the input can't be read"),
    (empty_input, 3, "input-unusable", "the file is empty"),
    (wrong_column, 3, "input-unusable", "column 'postcode' is missing; found: customer_id"),
    (wrong_setting, 2, "settings-wrong", "did you mean input.batch_size?"),
    (missing_reference, 2, "reference-unusable", "companies.csv: the reference can't be read"),
    (many_rejects, 5, "too-many-rejects", "20 of 20 rows were rejected"),
    (no_warehouse, 4, "warehouse-unavailable", "handover.duckdb: the warehouse failed"),
    (folder_in_the_way, 4, "warehouse-unavailable", "handover.duckdb: the warehouse failed"),
]


@pytest.mark.parametrize(("provoke", "code", "failure_id", "told"), CASES, ids=[case[0].__name__ for case in CASES])
def test_a_failure_ends_with_its_code_and_says_what_to_do(
    provoke: Callable[[Path], None], code: int, failure_id: str, told: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_customers(project / "data/customers.csv", GOOD)
    provoke(project)
    assert cli.main(["run", "--quiet"]) == code
    shown = capsys.readouterr()
    assert told in shown.out + shown.err
    assert failure(failure_id).symptom.startswith(f"Exit code {code}")
    assert not any(value in shown.out + shown.err for value in ("Wrenna", "Hollisk", "7946 0"))


def test_a_warehouse_held_by_another_process_is_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import subprocess

    write_customers(project / "data/customers.csv", GOOD)
    (project / "warehouse").mkdir()
    holder = "import duckdb, sys; c = duckdb.connect('warehouse/handover.duckdb'); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert cli.main(["run", "--quiet"]) == 4
        assert process.stdin is not None
        process.stdin.close()
    assert "Another process holds it" in capsys.readouterr().out
    assert cli.main(["run", "--quiet"]) in (0, 10), "when it has let go, the run goes through"


def test_what_was_loaded_before_stays_after_a_failed_run(project: Path) -> None:
    write_customers(project / "data/customers.csv", GOOD)
    assert cli.main(["run", "--quiet"]) in (0, 10)
    many_rejects(project)
    assert cli.main(["run", "--quiet"]) == 5
    with duckdb.connect("warehouse/handover.duckdb", read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM customer_enriched").fetchone() == (20,)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["quarantine", "--run", "20200101T000000Z-000000"], "no run '20200101T000000Z-000000'"),
        (["quarantine"], "no run yet"),
        (["run", "--environment", "nowhere"], "there is no such environment; found in config/: default, production, test"),
        (["config", "--set", "input.path"], "Write it as NAME=VALUE"),
    ],
)
def test_a_wrong_command_line_is_told(arguments: list[str], told: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert project.exists()
    assert cli.main(arguments) == 2
    assert told in capsys.readouterr().err
