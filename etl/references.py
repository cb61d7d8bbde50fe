"""References: what is known of places and companies, asked through chains of lookups.

A chain asks its links in turn: the cache, the live service, and last the embedded reference, which is always there. A
service that fails costs rows what it alone knows; it never costs a row or a run.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from etl.errors import ReferenceDataError
from etl.record import ServiceRecord
from etl.service_cache import AnswerCache
from etl.service_calls import Caller
from etl.services import COMPANY_TYPES, PLACE_TYPES, Cached, CompanyRegister, Found, Live, PostcodeService, Service
from etl.settings import ReferenceSettings, ServiceSettings

PLACE_COLUMNS = tuple(PLACE_TYPES)
COMPANY_COLUMNS = tuple(COMPANY_TYPES)
UNKNOWN, FAILED = "unknown", "failed"


class Lookup(Protocol):
    """One link of a chain."""

    @property
    def name(self) -> str:
        """Shown in the run record as the source of what it found: cache, live, reference."""
        ...

    def find(self, keys: pd.Index) -> Found:
        """Tell which of `keys` are known, certainly unknown, or could not be asked."""
        ...


@dataclass(frozen=True)
class Chain:
    """Lookups asked in turn; what a link knows or knows not to exist is not asked of the next.

    The last link is the embedded reference. It also fills what the others know only in part: a register tells when a company
    was founded, the reference its size. With `definite`, what a service knows not to exist stays unknown; otherwise the
    reference may know it all the same.
    """

    reference: "Reference"
    columns: tuple[str, ...]
    services: Sequence[Lookup] = ()
    definite: bool = True

    @property
    def is_live(self) -> bool:
        """Whether a service is asked besides the embedded reference."""
        return bool(self.services)

    def look_up(self, keys: pd.Series) -> pd.DataFrame:
        """Return what is known for each row: `columns`, `source` and `failed`; rows with an empty key hold NA and did not fail."""
        if self.is_live:
            found = self.find(pd.Index(keys[keys != ""].unique()))
            rows = found.reindex(keys).set_axis(keys.index)
            return rows.assign(failed=rows["failed"].eq(True))
        rows = self.reference.look_up(keys)
        source = rows["source"].fillna(UNKNOWN).where(keys != "")
        return rows.assign(source=source, failed=False)

    def find(self, keys: pd.Index) -> pd.DataFrame:
        """Return a frame indexed by all of `keys` (distinct) with `columns`, `source` and `failed`; unknown keys hold NA.

        `source` is the link that knew the key, `unknown`, or `failed` when a service failed and no other link knew it.
        `failed` marks every key for which the service failed, whether or not the reference stood in.
        """
        parts: list[pd.DataFrame] = []
        left, unknown, failed = keys, keys[:0], keys[:0]
        for link in self.services:
            found = link.find(left)
            parts.append(found.known.assign(source=link.name))
            unknown, failed = unknown.append(found.unknown), found.failed
            left = left[~left.isin(found.known.index) & ~left.isin(found.unknown)]
        answered = pd.concat(parts).reindex(keys) if parts else None
        known = self._refer(keys[~keys.isin(unknown)] if self.definite else keys, answered).reindex(keys)
        missed = keys.isin(failed)
        source = known["source"].fillna(pd.Series(UNKNOWN, index=keys, dtype="str").mask(missed, FAILED))
        return known.assign(source=source, failed=missed)

    def _refer(self, keys: pd.Index, answered: pd.DataFrame | None) -> pd.DataFrame:
        """Return what is known with the help of the reference, which is asked where anything is missing."""
        if answered is None:
            return self.reference.find(keys).known.assign(source=self.reference.name)
        gaps = answered.index[answered[list(self.columns)].isna().any(axis=1)]
        more = self.reference.find(keys[keys.isin(gaps)]).known.assign(source=self.reference.name)
        return answered.fillna(more.reindex(answered.index))


class Reference(ABC):
    """An embedded reference: a small table, and how a key leads to a row of it."""

    name = "reference"

    def __init__(self, table: pd.DataFrame) -> None:
        """Take the table; a row of nothing behind its last is what unknown keys lead to."""
        self.index = table.index
        self._rows = table.assign(source=pd.Series(self.name, index=table.index, dtype="str")).reindex([*table.index, None])

    @abstractmethod
    def places(self, keys: pd.Series) -> npt.NDArray[np.intp]:
        """Return the number of each key's row in the table, -1 where there is none."""

    def look_up(self, keys: pd.Series) -> pd.DataFrame:
        """Return what is known for each row, NA where nothing is."""
        return self._rows.take(self.places(keys)).set_axis(keys.index)

    def find(self, keys: pd.Index) -> Found:
        """Tell which of `keys` are known; of others it says nothing."""
        places = self.places(keys.to_series())
        known = places >= 0
        return Found(self._rows.take(places[known]).set_axis(keys[known]).drop(columns="source"), keys[:0], keys[:0])


class PostcodeAreas(Reference):
    """Places by the leading letters of a postcode: the area's post town, not the household."""

    def places(self, keys: pd.Series) -> npt.NDArray[np.intp]:
        """Take the letters before the first figure."""
        areas = pc.replace_substring_regex(pa.array(keys, pa.large_string()), r"^([A-Z]{1,2})[0-9].*$", r"\1")
        return self.index.get_indexer(pd.Index(pd.array(areas, dtype="str")))


class Companies(Reference):
    """Companies by their name in lower case."""

    def places(self, keys: pd.Series) -> npt.NDArray[np.intp]:
        """Take the name as it is."""
        return self.index.get_indexer(pd.Index(keys))


@dataclass(frozen=True)
class References:
    """All that `enrich` looks things up in. Close it after use, or use it as a context."""

    postcodes: Chain
    companies: Chain
    services: Sequence[Live] = ()
    cache: AnswerCache | None = None

    def figures(self) -> dict[str, ServiceRecord]:
        """Return how each live service answered so far, by its name; empty when none is switched on."""
        return {one.service.caller.name: one.service.caller.figures.record() for one in self.services}

    def warnings(self) -> list[str]:
        """Return a sentence for each service of which questions failed."""
        return [_warning(name, one) for name, one in self.figures().items() if one.keys_failed]

    def close(self) -> None:
        """Close the connections and the cache."""
        for service in self.services:
            service.close()
        if self.cache:
            self.cache.close()

    def __enter__(self) -> Self:
        """Return this."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


def load_references(settings: ReferenceSettings, services: ServiceSettings | None = None) -> References:
    """Build both chains from the settings; without addresses of services they consist of the embedded reference.

    Raises ReferenceDataError when a reference file is missing or of another shape, ConfigError when an address is none.
    """
    places = _read(settings.postcodes, "area", PLACE_COLUMNS, "references.postcodes").astype(PLACE_TYPES)
    companies = _read(settings.companies, "company", COMPANY_COLUMNS, "references.companies")
    companies = companies.astype(COMPANY_TYPES).set_axis(companies.index.str.lower())
    live = open_services(services) if services else {}
    cache = AnswerCache(services.cache_path, services.cache_age) if services and live and services.cache_age else None
    postcodes = _links(live.get("postcodes"), services, cache)
    register = _links(live.get("companies"), services, cache)
    return References(
        Chain(PostcodeAreas(places), PLACE_COLUMNS, postcodes),
        # A register lists companies, not every trader under a name of their own; the reference is as exact as it is.
        Chain(Companies(companies), COMPANY_COLUMNS, register, definite=False),
        [link for link in (*postcodes, *register) if isinstance(link, Live)],
        cache,
    )


def open_services(settings: ServiceSettings) -> dict[str, Service]:
    """Return the services that have an address, by name; close the caller of each after use."""
    live: dict[str, Service] = {}
    if settings.postcodes_url:
        live["postcodes"] = PostcodeService(Caller("postcodes", settings.postcodes_url, settings), settings.withdrawn)
    if settings.companies_url:
        key = settings.companies_key.get_secret_value()
        live["companies"] = CompanyRegister(Caller("companies", settings.companies_url, settings, key))
    return live


def _links(service: Service | None, settings: ServiceSettings | None, cache: AnswerCache | None) -> tuple[Lookup, ...]:
    if service is None or settings is None:
        return ()
    shelf = f"{service.caller.name} {getattr(settings, service.caller.name + '_url')}"
    live = Live(service, cache, shelf, settings.concurrency)
    return (Cached(service, cache, shelf), live) if cache else (live,)


def _warning(name: str, one: ServiceRecord) -> str:
    kinds = ", ".join(f"{kind} {number}" for kind, number in one.failed.items()) or "none tried"
    return (
        f"the service for {name} did not answer for {one.keys_failed} of {one.keys_asked} keys "
        f"({one.calls - one.succeeded} of {one.calls} calls failed: {kinds}); the embedded reference stood in where it could"
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
