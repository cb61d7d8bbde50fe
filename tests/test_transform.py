"""Transform is pure: the same batch gives the same result, and every row comes out once."""

from datetime import date

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.references import COMPANY_COLUMNS, PLACE_COLUMNS, Chain, Companies, PostcodeAreas, References
from etl.rules import Severity, rule
from etl.services import Found
from etl.settings import RiskSettings
from etl.transform import Knowledge, normalise, risk_factors, transform
from tests.batches import batch_of
from tests.customers import customer

PLACES = pd.DataFrame(
    {
        "country": ["England", "Wales", "England"],
        "region": ["North West", "", ""],
        "district": ["Manchester", "Cardiff", "Nowhere"],
        "longitude": [-2.24, -3.18, 0.0],
        "latitude": [53.48, 51.48, 52.0],
    },
    index=["M", "CF", "PE"],
)
FIRMS = pd.DataFrame(
    {
        "company_size": ["Micro (1-10 employees)", "Large (250+ employees)"],
        "industry": ["Crafts", "Technology"],
        "annual_revenue": ["Under £100k", "Over £50m"],
        "founded": pd.array([2025, 1999], dtype="Int64"),
        "email_domain": ["hollisk.example", "zubrik.example"],
    },
    index=["hollisk & daughters", "zubrik machines"],
)
REFERENCES = References(Chain(PostcodeAreas(PLACES), PLACE_COLUMNS), Chain(Companies(FIRMS), COMPANY_COLUMNS))


def knowledge(**risk: object) -> Knowledge:
    return Knowledge(REFERENCES, RiskSettings(**risk), date(2026, 11, 23))  # type: ignore[arg-type]


def one(**changes: str) -> pd.Series:
    """Return the row that a customer with these changes becomes."""
    return transform(batch_of([customer(**changes)]), knowledge()).accepted.iloc[0]


def test_fields_are_brought_into_their_normal_form() -> None:
    row = normalise(
        batch_of([customer(email=" WRENNA@Hollisk.Example ", postcode="m11af", status="ACTIVE", first_name="  Zoe\u0308lle  ")])
    ).iloc[0]
    assert (row["email"], row["postcode"], row["status"]) == ("wrenna@hollisk.example", "M1 1AF", "active")
    assert row["first_name"] == "Zoëlle"


@pytest.mark.parametrize("stand_in", ["N/A", "-", "null", "None", "?", "unknown"])
def test_stand_ins_for_nothing_are_read_as_nothing(stand_in: str) -> None:
    assert one(company=stand_in)["company"] == ""


def test_the_place_is_found_by_the_postcodes_area() -> None:
    row = one(postcode="M60 2LA")
    assert (row["country"], row["region"], row["district"]) == ("England", "North West", "Manchester")
    assert (row["latitude"], bool(row["geo_enriched"]), row["enrichment_status"]) == (53.48, True, "complete")


def test_outside_england_the_region_is_empty_and_no_fault() -> None:
    done = transform(batch_of([customer(postcode="CF10 2HH")]), knowledge())
    assert (done.accepted.iloc[0]["country"], done.accepted.iloc[0]["region"]) == ("Wales", "")
    assert done.tallies["region.present"] == (0, 0)


def test_an_english_place_without_region_is_counted() -> None:
    assert transform(batch_of([customer(postcode="PE1 1AA")]), knowledge()).tallies["region.present"] == (1, 1)


def test_an_unknown_place_is_loaded_without_and_counted() -> None:
    done = transform(batch_of([customer(postcode="ZE1 0AA")]), knowledge())
    row = done.accepted.iloc[0]
    assert (row["country"], bool(row["geo_enriched"]), row["enrichment_status"]) == ("", False, "none")
    assert done.tallies["postcode.known"] == (1, 1)
    assert done.sources["postcodes"] == {"unknown": 1}


def test_no_postcode_is_neither_known_nor_unknown() -> None:
    assert transform(batch_of([customer(postcode="")]), knowledge()).sources["postcodes"] == {}


def test_a_company_is_found_whatever_its_letter_case() -> None:
    row = one(company="HOLLISK & Daughters")
    assert (row["industry"], bool(row["is_business"]), row["data_source"]) == (
        "Crafts",
        True,
        "csv, postcode: reference, company: reference",
    )


def test_an_unknown_company_stays_a_business() -> None:
    row = one(company="Nobody Heard Of")
    assert (bool(row["is_business"]), row["company_size"], row["enrichment_status"]) == (True, "", "place only")


def test_a_private_person_is_no_business() -> None:
    row = one(company="")
    assert (bool(row["is_business"]), row["company_size"], row["data_source"]) == (
        False,
        "Individual",
        "csv, postcode: reference",
    )


def test_an_address_of_another_domain_is_counted_as_inconsistent() -> None:
    done = transform(batch_of([customer(1, company="Zubrik Machines"), customer(2, company="Hollisk & Daughters")]), knowledge())
    assert done.tallies["company.email_domain"] == (2, 1)


@pytest.mark.parametrize(
    ("changes", "points", "band", "words"),
    [
        ({}, 0, "Low", "standard profile"),
        ({"status": "suspended"}, 60, "High", "account suspended"),
        ({"company": "Hollisk & Daughters"}, 30, "Medium", "small business; new business"),
        ({"company": "Zubrik Machines"}, 0, "Low", "standard profile"),
        (
            {"company": "Hollisk & Daughters", "status": "suspended"},
            90,
            "High",
            "account suspended; small business; new business",
        ),
    ],
)
def test_risk_is_the_sum_of_explained_factors(changes: dict[str, str], points: int, band: str, words: str) -> None:
    row = one(**changes)
    assert (row["risk_score_numeric"], row["calculated_risk"], row["risk_factors"]) == (points, band, words)


def test_no_place_adds_risk_unless_the_settings_list_it() -> None:
    batch = batch_of([customer(postcode="M1 1AF")])
    assert transform(batch, knowledge()).accepted.iloc[0]["risk_score_numeric"] == 0
    listed = transform(batch, knowledge(high_risk_regions=("north west",))).accepted.iloc[0]
    assert (listed["risk_score_numeric"], listed["risk_factors"]) == (15, "high-risk region")


def test_points_are_capped_at_a_hundred() -> None:
    batch = batch_of([customer(company="Hollisk & Daughters", status="suspended")])
    assert transform(batch, knowledge(suspended=90, small_business=90)).accepted.iloc[0]["risk_score_numeric"] == 100


def test_every_factor_says_why() -> None:
    assert all(len(factor.reason) > 20 for factor in risk_factors(RiskSettings(), date(2026, 1, 1)))  # type: ignore[call-arg]


def test_an_empty_batch_comes_through() -> None:
    done = transform(batch_of([customer()]).iloc[:0], knowledge())
    assert (len(done.accepted), len(done.rejected)) == (0, 0)


def test_a_chain_asks_the_next_link_only_for_what_is_left() -> None:
    asked = []

    class Recorder(Companies):
        def find(self, keys: pd.Index) -> Found:
            asked.append(list(keys))
            return super().find(keys)

    first = Recorder(FIRMS.iloc[:1])
    first.name = "cache"
    chain = Chain(Recorder(FIRMS), COMPANY_COLUMNS, (first,))
    found = chain.find(pd.Index(["zubrik machines", "hollisk & daughters", "nobody"]))
    assert asked == [["zubrik machines", "hollisk & daughters", "nobody"], ["zubrik machines", "nobody"]]
    assert list(found["source"]) == ["reference", "cache", "unknown"]


FIELD = st.one_of(st.sampled_from(["", "x", "M1 1AF", "active", "a@b.example", "N/A", "=1"]), st.text(max_size=12))
CUSTOMERS = st.lists(
    st.fixed_dictionaries(dict.fromkeys(customer(), FIELD)) | st.builds(customer, st.integers(1, 6)), max_size=12
)


@settings(max_examples=40)
@given(rows=CUSTOMERS)
def test_every_row_comes_out_in_exactly_one_place_and_rejected_ones_with_their_reasons(rows: list[dict[str, str]]) -> None:
    batch = batch_of(rows)
    done = transform(batch, knowledge())
    assert sorted([*done.accepted["_line"], *done.rejected["_line"]]) == list(batch["_line"])
    assert all(reasons and all(rule(name).severity is Severity.ERROR for name in reasons) for reasons in done.rejected["_rules"])
    assert done.accepted["customer_id"].astype("int64").is_unique


@settings(max_examples=40)
@given(rows=CUSTOMERS)
def test_the_same_batch_gives_the_same_result_and_is_not_changed(rows: list[dict[str, str]]) -> None:
    batch = batch_of(rows)
    before = batch.copy(deep=True)
    first, second = transform(batch, knowledge()), transform(batch, knowledge())
    pd.testing.assert_frame_equal(batch, before)
    pd.testing.assert_frame_equal(first.accepted, second.accepted)
    assert dict(first.tallies) == dict(second.tallies)


@settings(max_examples=40)
@given(rows=CUSTOMERS, cut=st.integers(0, 12))
def test_how_rows_are_cut_into_batches_changes_nothing(rows: list[dict[str, str]], cut: int) -> None:
    batch = batch_of(rows)
    whole = transform(batch, knowledge())
    parts = [transform(part, knowledge()) for part in (batch.iloc[:cut], batch.iloc[cut:])]
    assert [*parts[0].rejected["_line"], *parts[1].rejected["_line"]] == list(whole.rejected["_line"])
    scores = [*parts[0].accepted["risk_score_numeric"], *parts[1].accepted["risk_score_numeric"]]
    assert scores == list(whole.accepted["risk_score_numeric"])
    for rule_id, tally in whole.tallies.items():
        assert parts[0].tallies[rule_id].plus(parts[1].tallies[rule_id]) == tally
