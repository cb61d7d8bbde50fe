"""The embedded reference data is complete, and each place lies where its country or region is."""

import csv
from pathlib import Path

import pytest

from etl.errors import ConfigError
from etl.references import load_references
from etl.settings import ReferenceSettings
from generators.sample_names import UNKNOWN_COMPANIES
from tests.conftest import ROOT

DATA = ROOT / "data"
UNITED_KINGDOM = {
    "AB", "AL", "B", "BA", "BB", "BD", "BH", "BL", "BN", "BR", "BS", "BT", "CA", "CB", "CF", "CH", "CM", "CO", "CR", "CT",
    "CV", "CW", "DA", "DD", "DE", "DG", "DH", "DL", "DN", "DT", "DY", "E", "EC", "EH", "EN", "EX", "FK", "FY", "G", "GL",
    "GU", "HA", "HD", "HG", "HP", "HR", "HS", "HU", "HX", "IG", "IP", "IV", "KA", "KT", "KW", "KY", "L", "LA", "LD", "LE",
    "LL", "LN", "LS", "LU", "M", "ME", "MK", "ML", "N", "NE", "NG", "NN", "NP", "NR", "NW", "OL", "OX", "PA", "PE", "PH",
    "PL", "PO", "PR", "RG", "RH", "RM", "S", "SA", "SE", "SG", "SK", "SL", "SM", "SN", "SO", "SP", "SR", "SS", "ST", "SW",
    "SY", "TA", "TD", "TF", "TN", "TQ", "TR", "TS", "TW", "UB", "W", "WA", "WC", "WD", "WF", "WN", "WR", "WS", "WV", "YO",
    "ZE",
}  # fmt: skip
DEPENDENCIES = {"GY": "Guernsey", "JE": "Jersey", "IM": "Isle of Man"}
BOXES = {
    "North East": (-2.7, -0.7, 54.4, 55.9),
    "North West": (-3.7, -1.9, 52.9, 55.2),
    "Yorkshire and The Humber": (-2.6, 0.2, 53.3, 54.6),
    "East Midlands": (-2.1, 0.4, 51.95, 53.65),
    "West Midlands": (-3.25, -1.15, 51.8, 53.3),
    "East of England": (-0.75, 1.8, 51.4, 53.0),
    "London": (-0.52, 0.34, 51.28, 51.7),
    "South East": (-2.0, 1.5, 50.55, 52.2),
    "South West": (-6.5, -1.4, 49.85, 52.15),
    "Wales": (-5.4, -2.6, 51.3, 53.5),
    "Scotland": (-8.7, -0.7, 54.6, 60.9),
    "Northern Ireland": (-8.2, -5.4, 54.0, 55.4),
    "Guernsey": (-2.8, -2.1, 49.3, 49.8),
    "Jersey": (-2.3, -1.9, 49.1, 49.3),
    "Isle of Man": (-4.9, -4.2, 54.0, 54.5),
}
REGIONS = frozenset(list(BOXES)[:9])
REVENUES = {
    "Micro (1-10 employees)": {"Under £100k", "£100k-£1m"},
    "Small (10-50 employees)": {"£100k-£1m", "£1m-£10m"},
    "Medium (50-250 employees)": {"£1m-£10m", "£10m-£50m"},
    "Large (250+ employees)": {"£10m-£50m", "Over £50m"},
}


def table(name: str) -> list[dict[str, str]]:
    with (DATA / "reference" / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


PLACES = {row["area"]: row for row in table("postcode_areas.csv")}
COMPANIES = {row["company"]: row for row in table("companies.csv")}


def test_every_postcode_area_has_one_row() -> None:
    assert len(table("postcode_areas.csv")) == len(PLACES) == 124
    assert set(PLACES) == UNITED_KINGDOM | set(DEPENDENCIES)


def test_regions_are_english_and_only_england_has_them() -> None:
    assert {row["region"] for row in PLACES.values() if row["country"] == "England"} == REGIONS
    assert {row["region"] for row in PLACES.values() if row["country"] != "England"} == {""}
    assert {row["country"] for row in PLACES.values()} == set(BOXES) - REGIONS | {"England"}
    assert {area: PLACES[area]["country"] for area in DEPENDENCIES} == DEPENDENCIES


@pytest.mark.parametrize("area", sorted(PLACES))
def test_a_place_lies_where_its_region_or_country_is(area: str) -> None:
    row = PLACES[area]
    west, east, south, north = BOXES[row["region"] or row["country"]]
    assert west <= float(row["longitude"]) <= east
    assert south <= float(row["latitude"]) <= north
    assert all(len(row[name].rpartition(".")[2]) == 2 for name in ("longitude", "latitude"))


@pytest.mark.parametrize(
    ("area", "country", "region", "district"),
    [
        ("B", "England", "West Midlands", "Birmingham"),
        ("SW", "England", "London", "London"),
        ("CH", "England", "North West", "Chester"),
        ("SY", "England", "West Midlands", "Shrewsbury"),
        ("PE", "England", "East of England", "Peterborough"),
        ("S", "England", "Yorkshire and The Humber", "Sheffield"),
        ("TD", "Scotland", "", "Galashiels"),
        ("NP", "Wales", "", "Newport"),
        ("BT", "Northern Ireland", "", "Belfast"),
    ],
)
def test_an_area_across_a_border_has_the_side_of_its_post_town(area: str, country: str, region: str, district: str) -> None:
    row = PLACES[area]
    assert (row["country"], row["region"], row["district"]) == (country, region, district)


def test_different_post_towns_have_different_coordinates() -> None:
    spots = {(row["longitude"], row["latitude"]): row["district"] for row in PLACES.values()}
    assert len(spots) == len(PLACES)


def test_companies_are_distinct_and_their_domains_reserved() -> None:
    assert len(table("companies.csv")) == len(COMPANIES) == len({name.lower() for name in COMPANIES}) == 160
    domains = [row["email_domain"] for row in COMPANIES.values()]
    assert len(set(domains)) == len(domains)
    assert all(domain.endswith(".example") and domain == domain.lower() for domain in domains)
    assert not COMPANIES.keys() & set(UNKNOWN_COMPANIES)


def test_a_company_has_a_name_of_its_own_and_revenue_that_fits_its_size() -> None:
    assert [name for name in COMPANIES if len(name.split()) < 2] == []
    assert [name for name, row in COMPANIES.items() if row["annual_revenue"] not in REVENUES[row["company_size"]]] == []
    assert {row["company_size"] for row in COMPANIES.values()} == set(REVENUES)
    assert all(row["industry"] for row in COMPANIES.values())


def test_about_an_eighth_of_the_companies_are_new() -> None:
    years = [int(row["founded"]) for row in COMPANIES.values()]
    assert all(1950 <= year <= 2022 or year in (2025, 2026) for year in years)
    assert 0.08 < sum(year >= 2025 for year in years) / len(years) < 0.16


def test_the_notebooks_companies_are_known() -> None:
    def facts(name: str) -> tuple[str, str, str]:
        row = COMPANIES[name]
        return row["company_size"], row["industry"], row["founded"]

    assert facts("TechCorp Ltd") == ("Large (250+ employees)", "Technology", "2009")
    assert COMPANIES["TechCorp Ltd"]["annual_revenue"] == "Over £50m"
    assert facts("Retail Plus") == ("Small (10-50 employees)", "Retail", "2025")
    assert facts("Freelance Design") == ("Micro (1-10 employees)", "Creative", "2021")


def test_the_pipeline_reads_both_files() -> None:
    folder = DATA / "reference"
    references = load_references(ReferenceSettings(postcodes=folder / "postcode_areas.csv", companies=folder / "companies.csv"))
    assert [chain.services for chain in (references.postcodes, references.companies)] == [(), ()]


def test_the_readme_tells_where_every_file_comes_from() -> None:
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    files = [path.relative_to(DATA) for path in DATA.rglob("*.csv")]
    assert len(files) == 3
    assert [path for path in files if f"`{Path(path).as_posix()}`" not in readme] == []
    for fact in ("Royal Mail", "Office for National Statistics", "MIT", "two decimals", ".example", "Ofcom"):
        assert fact in readme


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("area,country\nX,Y\n", "columns missing: district"),
        ("", "can't be read"),
        ("area,country,region,district,longitude,latitude\nA,,,,1,1\nA,,,,1,1\n", "twice"),
    ],
)
def test_a_reference_of_another_shape_is_refused(content: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "areas.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=told):
        load_references(ReferenceSettings(postcodes=path, companies=DATA / "reference" / "companies.csv"))
