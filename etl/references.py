"""References: what is known of places and companies, asked through chains of lookups.

A chain asks its links in turn: the cache, the live service, and last the embedded reference, which is always there. A
service that fails costs rows what it alone knows; it never costs a row or a run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import pandas as pd

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

    links: Sequence[Lookup]
    columns: tuple[str, ...]
    definite: bool = True

    @property
    def is_live(self) -> bool:
        """Whether a service is asked besides the embedded reference."""
        return len(self.links) > 1

    def find(self, keys: pd.Index) -> pd.DataFrame:
        """Return a frame indexed by all of `keys` (distinct) with `columns`, `source` and `failed`; unknown keys hold NA.

        `source` is the link that knew the key, `unknown`, or `failed` when a service failed and no other link knew it.
        `failed` marks every key for which the service failed, whether or not the reference stood in.
        """
        *services, reference = self.links
        parts: list[pd.DataFrame] = []
        left, unknown, failed = keys, keys[:0], keys[:0]
        for link in services:
            found = link.find(left)
            parts.append(found.known.assign(source=link.name))
            unknown, failed = unknown.append(found.unknown), found.failed
            left = left[~left.isin(found.known.index) & ~left.isin(found.unknown)]
        answered = pd.concat(parts).reindex(keys) if parts else None
        known = self._refer(reference, keys[~keys.isin(unknown)] if self.definite else keys, answered).reindex(keys)
        missed = keys.isin(failed)
        source = known["source"].fillna(pd.Series(UNKNOWN, index=keys, dtype="str").mask(missed, FAILED))
        return known.assign(source=source, failed=missed)

    def _refer(self, reference: Lookup, keys: pd.Index, answered: pd.DataFrame | None) -> pd.DataFrame:
        """Return what is known with the help of the reference, which is asked where anything is missing."""
        if answered is None:
            return reference.find(keys).known.assign(source=reference.name)
        gaps = answered.index[answered[list(self.columns)].isna().any(axis=1)]
        more = reference.find(keys[keys.isin(gaps)]).known.assign(source=reference.name)
        return answered.fillna(more.reindex(answered.index))


@dataclass(frozen=True)
class PostcodeAreas:
    """Places by the leading letters of a postcode: the area's post town, not the household."""

    table: pd.DataFrame
    name: str = "reference"

    def find(self, keys: pd.Index) -> Found:
        """Return the place of each well-formed postcode whose area is known; of others it says nothing."""
        areas = keys.to_series().str.extract(r"^([A-Z]{1,2})\d", expand=False)
        known = areas[areas.isin(self.table.index)]
        return Found(self.table.loc[known].set_axis(known.index), keys[:0], keys[:0])


@dataclass(frozen=True)
class Companies:
    """Companies by their name in lower case."""

    table: pd.DataFrame
    name: str = "reference"

    def find(self, keys: pd.Index) -> Found:
        """Return the bands of each known company; of others it says nothing."""
        return Found(self.table.reindex(keys.intersection(self.table.index)), keys[:0], keys[:0])


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
    live = _open_services(services) if services else {}
    cache = AnswerCache(services.cache_path, services.cache_age) if services and live and services.cache_age else None
    postcodes = _links(live.get("postcodes"), services, cache)
    register = _links(live.get("companies"), services, cache)
    return References(
        Chain((*postcodes, PostcodeAreas(places)), PLACE_COLUMNS),
        # A register lists companies, not every trader under a name of their own; the reference is as exact as it is.
        Chain((*register, Companies(companies)), COMPANY_COLUMNS, definite=False),
        [link for link in (*postcodes, *register) if isinstance(link, Live)],
        cache,
    )


def _open_services(settings: ServiceSettings) -> dict[str, Service]:
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
