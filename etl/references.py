"""References: what is known of places and companies, asked through chains of lookups.

A chain asks its links in turn for the keys that no link before has known. Its last link is the embedded reference;
a cache and a live service are further links of the same shape.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pandas as pd

from etl.errors import ReferenceDataError
from etl.settings import ReferenceSettings

PLACE_COLUMNS = ("country", "region", "district", "longitude", "latitude")
COMPANY_COLUMNS = ("company_size", "industry", "annual_revenue", "founded", "email_domain")
UNKNOWN = "unknown"


class Lookup(Protocol):
    """One link of a chain."""

    @property
    def name(self) -> str:
        """Shown in the run record as the source of what it found: cache, live, reference."""
        ...

    def find(self, keys: pd.Index) -> pd.DataFrame:
        """Return a frame indexed by those of `keys` that are known; unknown keys have no row."""
        ...


@dataclass(frozen=True)
class Chain:
    """Lookups asked in turn; what a link finds is not asked of the next."""

    links: Sequence[Lookup]
    columns: tuple[str, ...]

    def find(self, keys: pd.Index) -> pd.DataFrame:
        """Return a frame indexed by all of `keys` (distinct) with `columns` and `source`; unknown keys hold NA."""
        found = []
        left = keys
        for link in self.links:
            part = link.find(left)
            found.append(part.assign(source=link.name))
            left = left.difference(part.index, sort=False)
        known = pd.concat(found).reindex(keys)
        return known.assign(source=known["source"].fillna(UNKNOWN))


@dataclass(frozen=True)
class PostcodeAreas:
    """Places by the leading letters of a postcode: the area's post town, not the household."""

    table: pd.DataFrame
    name: str = "reference"

    def find(self, keys: pd.Index) -> pd.DataFrame:
        """Return the place of each well-formed postcode whose area is known."""
        areas = keys.to_series().str.extract(r"^([A-Z]{1,2})\d", expand=False)
        known = areas[areas.isin(self.table.index)]
        return self.table.loc[known].set_axis(known.index)


@dataclass(frozen=True)
class Companies:
    """Companies by their name in lower case."""

    table: pd.DataFrame
    name: str = "reference"

    def find(self, keys: pd.Index) -> pd.DataFrame:
        """Return the bands of each known company."""
        return self.table.reindex(keys.intersection(self.table.index))


@dataclass(frozen=True)
class References:
    """All that `enrich` looks things up in."""

    postcodes: Chain
    companies: Chain


def load_references(settings: ReferenceSettings) -> References:
    """Build both chains from the settings; raises ReferenceDataError when a reference file is missing or of another shape."""
    places = _read(settings.postcodes, "area", PLACE_COLUMNS, "references.postcodes")
    places = places.astype({"longitude": "float64", "latitude": "float64"})
    companies = _read(settings.companies, "company", COMPANY_COLUMNS, "references.companies")
    companies = companies.astype({"founded": "Int64"}).set_axis(companies.index.str.lower())
    return References(
        Chain((PostcodeAreas(places),), PLACE_COLUMNS),
        Chain((Companies(companies),), COMPANY_COLUMNS),
    )


def _read(path: Path, key: str, columns: tuple[str, ...], setting: str) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype="str", keep_default_na=False, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ReferenceDataError(f"{path}: the reference can't be read ({type(error).__name__}). Correct {setting}.") from None
    missing = {key, *columns} - set(table.columns)
    if missing or table[key].duplicated().any():
        what = f"columns missing: {', '.join(sorted(missing))}" if missing else f"column {key!r} holds a value twice"
        raise ReferenceDataError(f"{path}: {what}. Restore the file or correct {setting}.")
    return table.set_index(key)[list(columns)]
