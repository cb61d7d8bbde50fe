"""The embedded reference data is complete and right as far as can be checked."""

import csv
from pathlib import Path

import pytest

from etl.config import ReferenceSettings
from etl.errors import ConfigError
from etl.references import load_references
from tests.conftest import ROOT

FOLDER = ROOT / "data/reference"
AREAS = [
    "AB",
    "AL",
    "B",
    "BA",
    "BB",
    "BD",
    "BH",
    "BL",
    "BN",
    "BR",
    "BS",
    "BT",
    "CA",
    "CB",
    "CF",
    "CH",
    "CM",
    "CO",
    "CR",
    "CT",
    "CV",
    "CW",
    "DA",
    "DD",
    "DE",
    "DG",
    "DH",
    "DL",
    "DN",
    "DT",
    "DY",
    "E",
    "EC",
    "EH",
    "EN",
    "EX",
    "FK",
    "FY",
    "G",
    "GL",
    "GU",
    "GY",
    "HA",
    "HD",
    "HG",
    "HP",
    "HR",
    "HS",
    "HU",
    "HX",
    "IG",
    "IM",
    "IP",
    "IV",
    "JE",
    "KA",
    "KT",
    "KW",
    "KY",
    "L",
    "LA",
    "LD",
    "LE",
    "LL",
    "LN",
    "LS",
    "LU",
    "M",
    "ME",
    "MK",
    "ML",
    "N",
    "NE",
    "NG",
    "NN",
    "NP",
    "NR",
    "NW",
    "OL",
    "OX",
    "PA",
    "PE",
    "PH",
    "PL",
    "PO",
    "PR",
    "RG",
    "RH",
    "RM",
    "S",
    "SA",
    "SE",
    "SG",
    "SK",
    "SL",
    "SM",
    "SN",
    "SO",
    "SP",
    "SR",
    "SS",
    "ST",
    "SW",
    "SY",
    "TA",
    "TD",
    "TF",
    "TN",
    "TQ",
    "TR",
    "TS",
    "TW",
    "UB",
    "W",
    "WA",
    "WC",
    "WD",
    "WF",
    "WN",
    "WR",
    "WS",
    "WV",
    "YO",
    "ZE",
]
BOXES = {  # west, south, east, north, generously
    "London": (-0.55, 51.25, 0.35, 51.72), "South East": (-1.96, 50.5, 1.45, 52.2), "East of England": (-0.75, 51.4, 1.8, 53.0),
    "South West": (-5.8, 49.9, -1.4, 52.15), "East Midlands": (-2.1, 51.9, 0.4, 53.7), "West Midlands": (-3.3, 51.8, -1.1, 53.25),
    "Yorkshire and The Humber": (-2.6, 53.25, 0.2, 54.6), "North West": (-3.7, 52.9, -1.9, 55.2), "North East": (-2.7, 54.4, -0.7, 55.85),
    "Scotland": (-8.7, 54.6, -0.7, 60.9), "Wales": (-5.4, 51.3, -2.6, 53.5), "Northern Ireland": (-8.2, 54.0, -5.4, 55.4),
    "Guernsey": (-2.8, 49.3, -2.1, 49.8), "Jersey": (-2.3, 49.1, -2.0, 49.3), "Isle of Man": (-4.9, 54.0, -4.2, 54.5),
}  # fmt: skip


def rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_postcode_area_is_there_once() -> None:
    assert [row["area"] for row in rows("postcode_areas.csv")] == sorted(AREAS)
    assert len(AREAS) == 124


@pytest.mark.parametrize("row", rows("postcode_areas.csv"), ids=lambda row: row["area"])
def test_each_place_lies_where_its_region_does(row: dict[str, str]) -> None:
    assert bool(row["region"]) == (row["country"] == "England"), "a region is an English one"
    west, south, east, north = BOXES[row["region"] or row["country"]]
    assert west <= float(row["longitude"]) <= east
    assert south <= float(row["latitude"]) <= north


def test_companies_are_made_up_distinct_and_in_known_bands() -> None:
    companies = rows("companies.csv")
    assert len({row["company"].lower() for row in companies}) == len(companies) > 100
    assert all(row["email_domain"].endswith(".example") for row in companies)
    assert {row["company_size"].split()[0] for row in companies} == {"Micro", "Small", "Medium", "Large"}
    assert {"TechCorp Ltd", "Retail Plus", "Freelance Design"} <= {row["company"] for row in companies}
    assert all(1900 < int(row["founded"]) <= 2026 for row in companies)


def test_every_file_tells_its_source_and_licence() -> None:
    text = (ROOT / "data/README.md").read_text(encoding="utf-8")
    for path in (ROOT / "data").rglob("*.csv"):
        assert path.name in text


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
        load_references(ReferenceSettings(postcodes=path, companies=FOLDER / "companies.csv"))
