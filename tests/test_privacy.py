"""No customer of the sample is found in anything that is published or recorded."""

import shutil
from pathlib import Path

import pytest

from tests.privacy_scan import find_leaks, personal_values

pytestmark = pytest.mark.xdist_group("site")


@pytest.fixture(scope="module")
def values(built: Path) -> set[str]:
    found = personal_values(built / "data/customers.csv")
    assert len(found) > 12_000
    return found


def test_no_customer_is_on_a_page(built: Path, values: set[str]) -> None:
    assert find_leaks(built / "site", values) == []


def test_no_customer_is_in_what_pages_are_made_of(built: Path, values: set[str]) -> None:
    assert find_leaks(built / "docs/generated", values) + find_leaks(built / "docs/data", values) == []


def test_no_customer_is_in_a_run_record_or_a_log(built: Path, values: set[str], tmp_path: Path) -> None:
    for path in built.glob("runs/**/*"):
        if path.is_file() and path.name != "quarantine.jsonl":
            target = tmp_path / path.relative_to(built)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    assert len(list(tmp_path.rglob("*.json*"))) >= 5
    assert find_leaks(tmp_path, values) == []


def test_no_customer_is_told_on_the_terminal(built: Path, values: set[str], tmp_path: Path) -> None:
    shutil.copy(built / "told.txt", tmp_path)
    assert find_leaks(tmp_path, values) == []


def test_the_scan_would_find_them(built: Path, values: set[str]) -> None:
    quarantine = next(built.glob("runs/*/quarantine.jsonl"))
    assert len(find_leaks(quarantine.parent, values)) > 100


@pytest.mark.parametrize("planted", ["Trelissick", "MORWYNNA", "sw1a 1aa", "gavrilo.pennystreet@inkmail.example", "020 7946 0101",
                                     "O&#x27;Rianna", "Zo\\u00eblle", "Trelissick's", "SW1A1AA", "020&nbsp;7946&nbsp;0101",
                                     "&amp;#x54;relissick", "\\ud842\\udfb7\\u7530\\u592a\\u90ce"])  # fmt: skip
def test_a_planted_customer_is_found_however_it_is_written(values: set[str], tmp_path: Path, planted: str) -> None:
    (tmp_path / "page.html").write_text(f"<td title='x'>{planted}</td>", encoding="utf-8")
    assert find_leaks(tmp_path, values)


def test_two_runs_of_the_same_file_are_two_runs_and_the_same_customers(built: Path) -> None:
    from etl.record import history

    first, second = history(built / "runs")
    assert first.rows.loaded == second.rows.loaded == second.rows.unchanged > 4_500
    assert first.warehouse is not None
    assert second.warehouse is not None
    assert first.warehouse.rows_after == second.warehouse.rows_before == second.warehouse.rows_after
