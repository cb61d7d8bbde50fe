"""The sample generator: the same bytes for a seed, every fault as declared, nobody and nothing real, flat memory."""

import csv
import random
import re
import tracemalloc
import unicodedata
from collections import Counter
from datetime import date
from importlib.resources import files
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl import config
from etl.extract import CsvSource
from etl.pipeline import run
from etl.references import load_references
from etl.schema import INPUT_COLUMNS, STATUSES
from etl.settings import InputSettings, ReferenceSettings, RiskSettings
from etl.transform import Knowledge, Transformed, transform
from generators import sample
from generators.sample import FAULTS, Dice, Weighted, customers, lines, write_sample
from generators.sample_names import FIRST_NAMES, LAST_NAMES, NOTEBOOK_CUSTOMERS, NOTEBOOK_UPSERT
from tests.batches import batch_of
from tests.conftest import ROOT

COMPANIES = ROOT / "data/reference/companies.csv"
NOTEBOOK_NAMES = {row[name] for row in (*NOTEBOOK_CUSTOMERS, *NOTEBOOK_UPSERT) for name in ("first_name", "last_name")}
NAMES = (*FIRST_NAMES, *LAST_NAMES, *sorted(NOTEBOOK_NAMES))
RESERVED = re.compile(
    r"07700900\d{3}|02079460\d{3}|01134960\d{3}|01214960\d{3}|01614960\d{3}|02920180\d{3}|01914980\d{3}|01632960\d{3}"
)
"""The numbers that Ofcom keeps free for drama."""
STOP = {
    "alex", "alice", "anna", "anne", "april", "august", "autumn", "bash", "bell", "berlin", "bill", "black", "blue", "bob",
    "brown", "charlie", "chrome", "clay", "crystal", "curl", "daisy", "dart", "docker", "dolly", "edge", "elm", "emma",
    "faker", "fisher", "flask", "forest", "gauss", "grace", "green", "guido", "hazel", "ivy", "jack", "jade", "jasmine",
    "java", "jean", "jenkins", "john", "june", "karma", "kafka", "kotlin", "linus", "lily", "london", "lua", "luna",
    "mason", "maria", "mark", "march", "marlowe", "maven", "mercury", "micro", "miller", "nova", "olive", "oliver",
    "pandas", "paris", "pascal", "pearl", "penny", "perl", "rose", "ruby", "rust", "sage", "scala", "scarlet", "selenium",
    "silver", "sky", "smith", "spark", "stone", "sydney", "taylor", "turing", "victoria", "violet", "wales", "white",
    "will", "woods", "york",
}  # fmt: skip


def knowledge() -> Knowledge:
    folder = COMPANIES.parent
    references = load_references(ReferenceSettings(postcodes=folder / "postcode_areas.csv", companies=COMPANIES))
    return Knowledge(references, RiskSettings.model_validate({}), date(2026, 11, 23))


def content(rows: int, seed: int = sample.SEED) -> bytes:
    return b"".join(customers(rows, seed, COMPANIES))


def sound(rows: int) -> list[dict[str, str]]:
    """Return the customers of a sample that have no fault."""
    text = [line.content.decode() for line in lines(rows, companies=COMPANIES) if not line.fault]
    return list(csv.DictReader(text))


class TestTheBytes:
    def test_the_committed_file_is_what_the_default_seed_gives(self) -> None:
        assert (ROOT / "data/customers.csv").read_bytes() == content(sample.ROWS)

    def test_another_seed_gives_other_customers(self) -> None:
        assert content(100, 1) == content(100, 1) != content(100, 2)

    def test_choices_use_only_the_method_whose_numbers_python_keeps(self) -> None:
        stable, dice = random.Random(7).random, Dice(7)
        assert [dice.below(1000) for _ in range(20)] == [int(stable() * 1000) for _ in range(20)]
        assert [dice.one_of("abcd") for _ in range(20)] == ["abcd"[int(stable() * 4)] for _ in range(20)]
        assert [dice.chance(0.3) for _ in range(20)] == [stable() < 0.3 for _ in range(20)]

    def test_weights_are_kept(self) -> None:
        dice, choices = Dice(7), Weighted(("often", 3), ("never", 0), ("seldom", 1))
        drawn = Counter(dice.weighted(choices) for _ in range(4_000))
        assert drawn["never"] == 0
        assert drawn["often"] == pytest.approx(3_000, abs=120)

    @settings(max_examples=30)
    @given(rows=st.integers(0, 60), seed=st.integers())
    def test_any_number_of_rows_can_be_had(self, rows: int, seed: int) -> None:
        assert content(rows, seed).count(b"\n") == rows + 1
        assert all(line.content.endswith(b"\n") for line in lines(rows, seed, COMPANIES))

    def test_it_starts_with_the_notebooks_customers(self) -> None:
        header, *first = list(csv.reader(content(10).decode().splitlines()))
        assert tuple(header) == INPUT_COLUMNS
        assert first[:8] == [list(row.values()) for row in (*NOTEBOOK_CUSTOMERS, *NOTEBOOK_UPSERT[2:])]

    def test_memory_stays_flat(self) -> None:
        few, many = peak(20_000), peak(200_000)
        assert many < 1.2 * few


def peak(rows: int) -> int:
    """Return how many bytes were in use at most while a sample was made."""
    sum(1 for _ in lines(1_000, companies=COMPANIES))
    tracemalloc.start()
    sum(1 for _ in lines(rows, companies=COMPANIES))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Transformed:
    """A sample of 20,000 after the pipeline's transformation."""
    path = tmp_path_factory.mktemp("sample") / "customers.csv"
    write_sample(path, 20_000, companies=COMPANIES)
    return transform(next(CsvSource(path, InputSettings.model_validate({})).batches(30_000)), knowledge())


class TestTheFaults:
    def test_each_has_the_share_declared(self, tmp_path: Path) -> None:
        rows = 100_000
        summary = write_sample(tmp_path / "new" / "c.csv", rows, companies=COMPANIES)
        assert summary.bytes == (tmp_path / "new" / "c.csv").stat().st_size
        for fault in FAULTS:
            expected = fault.share * rows
            assert abs(summary.faults[fault.name] - expected) < 4 * expected**0.5, fault.name
        assert summary.rejected == sum(summary.faults[fault.name] for fault in FAULTS if fault.rejected)

    def test_about_four_in_a_hundred_are_refused_and_six_do_no_harm(self) -> None:
        assert len({fault.name for fault in FAULTS}) == len(FAULTS)
        assert sum(fault.share for fault in FAULTS if fault.rejected) == pytest.approx(0.04, abs=0.003)
        assert sum(fault.share for fault in FAULTS if not fault.rejected) == pytest.approx(0.06, abs=0.005)

    def test_the_pipeline_refuses_exactly_those_said_to_be_refused(self, done: Transformed) -> None:
        planted = list(lines(20_000, companies=COMPANIES))
        refused = set(done.rejected["_line"])
        wrong = Counter(
            (line.fault.name if line.fault else "none", number in refused)
            for number, line in enumerate(planted, start=1)
            if (number in refused) != bool(line.fault and line.fault.rejected)
        )
        assert wrong == {}
        assert {line.fault.name for line in planted if line.fault} == {fault.name for fault in FAULTS}

    def test_every_rule_about_the_input_but_lengths_finds_something(self, done: Transformed) -> None:
        silent = {rule for rule, tally in done.tallies.items() if tally.violations == 0}
        assert silent <= {"status.required", "first_name.letters", "first_name.length", "email.length", "phone.length",
                          "company.length", "region.present", "postcode.asked", "company.asked"}  # fmt: skip

    @pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
    def test_each_changes_a_line(self, fault: sample.Fault) -> None:
        row, other = NOTEBOOK_CUSTOMERS[4], NOTEBOOK_CUSTOMERS[3]
        good = (",".join(row.values()) + "\n").encode()
        assert fault.spoil(row, Dice(1), [other]) != good
        assert list(row) == list(INPUT_COLUMNS)

    def test_late_columns_come_in_the_last_fifth_only(self) -> None:
        found = [number for number, line in enumerate(lines(20_000, companies=COMPANIES)) if line.fault and line.fault.late]
        assert found
        assert min(found) > 0.8 * 20_000

    def test_a_repeated_row_stood_shortly_before_once_as_it_is_and_once_changed(self) -> None:
        seen: dict[bytes, int] = {}
        for number, line in enumerate(lines(20_000, companies=COMPANIES)):
            key = line.content.partition(b",")[0]
            if line.fault and line.fault.name in ("id of an earlier row", "row that stood before"):
                assert number - seen[key] < 2 * sample.REMEMBERED
            elif not line.fault:
                seen[key] = number

    def test_a_repeat_is_possible_in_the_very_first_row(self) -> None:
        repeats = [fault for fault in FAULTS if "earlier" in fault.name or "before" in fault.name]
        assert all(fault.spoil(NOTEBOOK_CUSTOMERS[0], Dice(1), []).startswith(b"1001,") for fault in repeats)


@pytest.fixture(scope="module")
def text() -> str:
    return (ROOT / "data/customers.csv").read_text(encoding="utf-8", errors="replace")


class TestTheCustomers:
    def test_telephone_numbers_are_reserved_for_drama(self, text: str) -> None:
        found = re.findall(r"(?<=,)(?:\+44|\(?0)[\d ()-]{7,}(?=,)", text)
        numbers = {re.sub(r"^440?", "0", re.sub(r"\D", "", number)) for number in found}
        assert len(found) > 4_000
        assert [number for number in numbers if not RESERVED.fullmatch(number)] == []
        assert {re.sub(r"\d+", "1", number) for number in found} >= {"1", "1 1", "1 1 1", "+1 1 1", "+1 (1)1 1", "(1) 1", "1-1-1"}

    def test_mail_domains_are_reserved(self, text: str) -> None:
        domains = {domain.lower() for domain in re.findall(r"@([\w.-]+)(?=,)", text)}
        assert len(domains) > 100
        assert [domain for domain in domains if not domain.endswith(".example")] == []

    def test_about_four_in_ten_act_for_a_company_most_of_them_known(self) -> None:
        rows = sound(20_000)
        with COMPANIES.open(encoding="utf-8", newline="") as file:
            domains = {row["company"]: row["email_domain"] for row in csv.DictReader(file)}
        firms = [row for row in rows if row["company"]]
        known = [row for row in firms if row["company"] in domains]
        assert len(firms) / len(rows) == pytest.approx(0.4, abs=0.02)
        assert len(known) / len(firms) == pytest.approx(0.88, abs=0.02)
        assert sum(row["email"].endswith(domains[row["company"]]) for row in known) / len(known) > 0.95

    def test_states_and_missing_telephones_have_their_shares(self) -> None:
        rows = sound(20_000)
        states = Counter(row["status"] for row in rows)
        assert set(states) == set(STATUSES)
        assert states["active"] / len(rows) == pytest.approx(0.85, abs=0.01)
        assert states["suspended"] / len(rows) == pytest.approx(0.03, abs=0.005)
        assert sum(not row["phone"] for row in rows) / len(rows) == pytest.approx(0.08, abs=0.01)

    def test_places_are_known_and_all_over_the_country(self) -> None:
        done = transform(batch_of(sound(20_000)), knowledge())
        assert not len(done.rejected)
        assert done.tallies["postcode.known"].violations == 0
        assert done.accepted["region"].nunique() == 9 + 1
        assert set(done.accepted["country"]) >= {"Scotland", "Wales", "Northern Ireland", "Guernsey", "Jersey", "Isle of Man"}

    def test_the_notebooks_six_have_the_risk_the_notebook_shows(self) -> None:
        scored = transform(batch_of(NOTEBOOK_CUSTOMERS), knowledge()).accepted
        assert scored["calculated_risk"].value_counts().to_dict() == {"Low": 3, "Medium": 2, "High": 1}

    def test_the_notebooks_upsert_changes_two_and_adds_two(self) -> None:
        changed = [row for row in NOTEBOOK_UPSERT if row["customer_id"] in ("1001", "1002")]
        assert [row["customer_id"] for row in NOTEBOOK_UPSERT] == ["1001", "1002", "1007", "1008"]
        assert all(row not in NOTEBOOK_CUSTOMERS for row in changed)


@pytest.fixture(scope="module")
def words() -> set[str]:
    """Every word of what pages are made of: the project's own text and code, and the theme's."""
    own = [path for name in ("docs", "templates", "etl", "facts", "changes") for path in (ROOT / name).rglob("*")]
    own += [path for path in (ROOT / "generators").rglob("*.py") if path.name != "sample_names.py"]
    theme = [path for path in Path(str(files("material"))).rglob("*") if path.suffix in {".js", ".css", ".html"}]
    kept = [path for path in (*own, *theme, ROOT / "backlog.yaml") if path.is_file() and "generated" not in path.parts]
    found: set[str] = set()
    for path in kept:
        if path.suffix != ".ipynb":
            found.update(re.findall(r"[^\W\d_]+", path.read_text(encoding="utf-8", errors="replace").lower()))
    return found


class TestTheNames:
    def test_there_are_enough_and_no_two_are_the_same(self) -> None:
        assert len(FIRST_NAMES) >= 80
        assert len(LAST_NAMES) >= 120
        assert len({name.casefold() for name in NAMES}) == len(NAMES)

    def test_each_is_rare_enough_to_search_for(self, words: set[str]) -> None:
        assert len(words) > 5_000
        assert [name for name in NAMES if name.lower() in words | STOP] == []
        assert [name for name in NAMES if sum(map(str.isalpha, name)) < (3 if min(name) > "\u1100" else 5)] == []

    def test_each_is_composed_and_fits_its_column(self) -> None:
        assert [name for name in NAMES if unicodedata.normalize("NFC", name) != name or len(name) > 50] == []

    def test_many_scripts_and_signs_occur(self) -> None:
        letters = "".join((*FIRST_NAMES, *LAST_NAMES))
        kinds = {unicodedata.name(letter).split()[0] for letter in letters}
        assert kinds >= {"LATIN", "GREEK", "ARABIC", "CYRILLIC", "HANGUL", "CJK", "APOSTROPHE", "RIGHT", "HYPHEN-MINUS"}
        assert max(letters) > "\uffff"
        assert set("øłþễ") <= set(letters.lower())


class TestTheCommand:
    def test_it_writes_the_file_and_tells_what_it_planted(self, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert sample.main(["--rows", "2000", "--seed", "5", "--out", "out/c.csv"]) == 0
        told = capsys.readouterr().out
        assert (project / "out/c.csv").read_bytes() == content(2000, 5)
        assert "2,000 made-up customers" in told
        assert all(fault.name in told for fault in FAULTS)

    def test_what_it_tells_holds_no_customer(self, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert sample.main(["--rows", "50", "--out", str(project / "c.csv")]) == 0
        told = capsys.readouterr().out
        assert not any(row["last_name"] in told for row in NOTEBOOK_CUSTOMERS)

    @pytest.mark.parametrize("rows", ["-1", "many", "1.5"])
    def test_a_senseless_number_of_rows_is_refused(self, rows: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit, match="2"):
            sample.main(["--rows", rows])
        assert "--rows" in capsys.readouterr().err

    def test_a_file_that_cant_be_written_is_named(self, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert sample.main(["--out", str(project)]) == 1
        assert str(project) in capsys.readouterr().err

    def test_missing_companies_are_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                         capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
        monkeypatch.chdir(tmp_path)
        assert sample.main(["--out", "c.csv"]) == 1
        assert "companies.csv" in capsys.readouterr().err


def test_frames_of_the_sample_are_what_the_pipeline_reads() -> None:
    batches = list(CsvSource(ROOT / "data/customers.csv", InputSettings.model_validate({})).batches(700))
    assert sum(map(len, batches)) == sample.ROWS
    assert list(pd.concat(batches)["_line"]) == list(range(2, sample.ROWS + 2))


def test_a_run_rejects_the_share_declared(project: Path) -> None:
    summary = write_sample(project / "data/customers.csv", 20_000)
    record = run(config.load(), quiet=True)
    assert record.rows.quarantined == summary.rejected
    assert record.rows.read == summary.rows
