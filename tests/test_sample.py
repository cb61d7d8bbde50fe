"""The sample: the same seed gives the same made-up people, with the faults that were promised."""

import csv
import re
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest

from etl import config
from etl.pipeline import run
from etl.schema import INPUT_COLUMNS
from generators.sample import FAULTS, LATE_COLUMN, REPEATED, customers, main, write_sample
from generators.sample_names import FIRST_NAMES, LAST_NAMES, NOTEBOOK_CUSTOMERS, NOTEBOOK_UPSERT
from tests.conftest import ROOT

COMPANIES = ROOT / "data/reference/companies.csv"
DRAMA = re.compile(r"^(?:07700900|02079460|01134960|01214960|01614960|02920180|01914980|01632960)\d{3}$")


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    text = b"".join(customers(20_000, 7, COMPANIES)).decode("utf-8", "replace")
    return list(csv.DictReader([line for line in text.splitlines() if line.count('"') % 2 == 0], restkey="rest"))


def test_the_committed_sample_is_what_the_generator_makes(tmp_path: Path) -> None:
    write_sample(tmp_path / "c.csv", companies=COMPANIES)
    assert (tmp_path / "c.csv").read_bytes() == (ROOT / "data/customers.csv").read_bytes()


def test_another_seed_makes_other_people() -> None:
    assert list(customers(50, 1, COMPANIES)) != list(customers(50, 2, COMPANIES))


@pytest.mark.parametrize("count", [0, 1, 7, 8, 100])
def test_it_makes_as_many_rows_as_it_is_asked_for(count: int) -> None:
    assert len(list(customers(count, 3, COMPANIES))) == count + 1


def test_the_notebooks_customers_come_first() -> None:
    text = b"".join(customers(8, 3, COMPANIES)).decode("utf-8").splitlines()
    assert [line.split(",")[0] for line in text[1:]] == ["1001", "1002", "1003", "1004", "1005", "1006", "1007", "1008"]


def test_nobody_has_a_real_address_or_number(rows: list[dict[str, str]]) -> None:
    assert all(
        row["email"].lower().strip().endswith(".example")
        for row in rows
        if row["email"].count("@") == 1 and "." in row["email"].split("@")[1]
    )
    numbers = [
        re.sub(r"\D", "", row["phone"] or "").removeprefix("44").rjust(11, "0")
        for row in rows
        if row["phone"] and len(row["phone"]) > 5
    ]
    assert [number for number in numbers if not DRAMA.match(number)] == []


def test_names_are_rare_and_long_enough_to_be_looked_for() -> None:
    names = [
        *FIRST_NAMES,
        *LAST_NAMES,
        *(row[name] for row in (*NOTEBOOK_CUSTOMERS, *NOTEBOOK_UPSERT) for name in ("first_name", "last_name")),
    ]
    assert all(len(name) >= 4 for name in names)
    assert len(set(FIRST_NAMES)) == len(FIRST_NAMES)
    assert len(set(LAST_NAMES)) == len(LAST_NAMES)


def test_the_shares_of_faults_are_those_declared(project: Path) -> None:
    write_sample(project / "data/customers.csv", 20_000)
    record = run(config.load(), quiet=True)
    declared = sum(fault.share for fault in FAULTS if fault.rejected) + REPEATED + LATE_COLUMN
    assert record.rows.quarantined / record.rows.read == pytest.approx(declared, abs=0.006)
    broken = {name for name, count in record.rules.items() if count.violations}
    assert len(broken) >= 18, "nearly every rule has something to find"


def test_every_fault_is_planted(rows: list[dict[str, str]]) -> None:
    text = b"".join(customers(20_000, 7, COMPANIES))
    assert b"\xe9" in text.replace("é".encode(), b"").replace("é".encode(), b"")
    assert b"=HYPERLINK" in text
    assert b"\x07" in text
    assert b",web\n" in text
    assert any(row["status"] and row["status"].isupper() for row in rows)
    assert any(row["company"] and '"' in row["company"] for row in rows)
    assert max(Counter(row["customer_id"] for row in rows).values()) > 1
    assert set(rows[0]) - {"rest"} == set(INPUT_COLUMNS)


def test_memory_does_not_grow_with_the_rows() -> None:
    peaks = []
    for count in (5_000, 50_000):
        tracemalloc.start()
        for _ in customers(count, 5, COMPANIES):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


def test_the_command_says_what_it_made(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rows", "30", "--out", str(project / "x.csv")]) == 0
    assert "30 made-up customers" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--rows", "-1"])
