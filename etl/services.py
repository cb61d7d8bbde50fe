"""Services: what live services answer about postcodes and companies, checked and brought into our columns.

A service is told distinct postcodes or names of companies and nothing else. What it answers is not trusted: other types,
missing keys or a place of another postcode are faults of the service, never values of a row.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Literal, NamedTuple, Protocol
from urllib.parse import quote

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from etl.schema import column
from etl.service_cache import Answer, AnswerCache, parts
from etl.service_calls import Caller, Reply, ServiceError

PLACE_TYPES = {"country": "str", "region": "str", "district": "str", "longitude": "float64", "latitude": "float64"}
COMPANY_TYPES = {"company_size": "str", "industry": "str", "annual_revenue": "str", "founded": "Int64", "email_domain": "str"}
CACHE, LIVE = "cache", "live"
Degrees = Annotated[float, Field(ge=-180, le=180)]


class Found(NamedTuple):
    """What a lookup says of the keys it was asked for. Keys in none of the three: it says nothing of them.

    `known` is indexed by key; NA in it is for another lookup to fill. `unknown`: certainly not there. `failed`: not asked.
    """

    known: pd.DataFrame
    unknown: pd.Index
    failed: pd.Index


class Service(Protocol):
    """A live service."""

    types: Mapping[str, str]
    """The columns it answers and their types."""
    at_once: int
    """How many keys it takes in one question."""

    @property
    def caller(self) -> Caller:
        """What carries the questions."""
        ...

    def answer(self, keys: Sequence[str]) -> dict[str, Answer]:
        """Answer a question about at most `at_once` keys; those left out could not be asked. Raises ServiceError."""
        ...


class _Part(BaseModel):
    model_config = ConfigDict(strict=True)


class _Place(_Part):
    postcode: str
    country: str = Field(min_length=1, max_length=column("country").length)
    region: str | None = Field(max_length=column("region").length)
    admin_district: str | None = Field(max_length=column("district").length)
    longitude: Degrees | None
    latitude: Degrees | None


class _Queried(_Part):
    query: str
    result: _Place | None


class _Bulk(_Part):
    status: Literal[200]
    result: list[_Queried]


class _Single(_Part):
    status: Literal[200]
    result: _Place


class _Withdrawn(_Part):
    longitude: Degrees | None
    latitude: Degrees | None


class _Missing(_Part):
    status: Literal[404]
    error: str
    terminated: _Withdrawn | None = None


class _Company(_Part):
    title: str
    company_status: str | None = None
    date_of_creation: date | None = None


class _Search(_Part):
    items: list[_Company]


class PostcodeService:
    """Places by postcode, from a service with the interface of postcodes.io. Postcodes are in their normal form."""

    types: Mapping[str, str] = PLACE_TYPES
    at_once = 100

    def __init__(self, caller: Caller, withdrawn: int) -> None:
        """Take what carries the questions, and how many postcodes may be asked about one by one."""
        self.caller = caller
        self._left = threading.Semaphore(withdrawn)

    def answer(self, keys: Sequence[str]) -> dict[str, Answer]:
        """Return the places; for those the service has none for, ask whether they were withdrawn."""
        answers = self.caller.ask(_reader_of(keys), "POST", "postcodes", json={"postcodes": list(keys)})
        for key in [key for key, answer in answers.items() if answer is None]:
            if self._left.acquire(blocking=False):
                try:
                    answers[key] = self._answer_one(key)
                except ServiceError:
                    del answers[key]
        return answers

    def _answer_one(self, key: str) -> Answer:
        path = f"postcodes/{quote(key, safe='')}"

        def read(reply: Reply) -> Answer:
            if reply.status == 200:
                return _place(key, _Single.model_validate_json(reply.body).result)
            gone = _Missing.model_validate_json(reply.body).terminated
            return {"longitude": _rounded(gone.longitude), "latitude": _rounded(gone.latitude)} if gone else None

        return self.caller.ask(read, "GET", path, frozenset({200, 404}))


class CompanyRegister:
    """Companies by name, from a register that can be searched. Names are in lower case; only the same name counts.

    A register tells when a company was founded; bands and e-mail domains it does not hold.
    """

    types: Mapping[str, str] = COMPANY_TYPES
    at_once = 1

    def __init__(self, caller: Caller) -> None:
        """Take what carries the questions."""
        self.caller = caller

    def answer(self, keys: Sequence[str]) -> dict[str, Answer]:
        """Return what the register holds of each name."""
        return {key: self._search(key) for key in keys}

    def _search(self, key: str) -> Answer:
        def read(reply: Reply) -> Answer:
            same = [one for one in _Search.model_validate_json(reply.body).items if _normal(one.title) == _normal(key)]
            # A dissolved company may have had the name before; of two that live, none can be chosen.
            chosen = [one for one in same if one.company_status == "active"] or same
            if len(chosen) != 1:
                return None
            return {"founded": created.year} if (created := chosen[0].date_of_creation) else {}

        return self.caller.ask(read, "GET", "search/companies", params={"q": key})


@dataclass(frozen=True)
class Cached:
    """The lookup in what a service answered before."""

    service: Service
    cache: AnswerCache
    shelf: str
    """Under which name its answers are kept: those of another address are another's."""
    name: str = CACHE

    def find(self, keys: pd.Index) -> Found:
        """Return what is kept and not too old."""
        answers = self.cache.get(self.shelf, list(keys))
        self.service.caller.figures.add(keys_cached=len(answers))
        return _found(answers, self.service.types, [])


@dataclass(frozen=True)
class Live:
    """The lookup that asks a service, several questions at once, and keeps its answers."""

    service: Service
    cache: AnswerCache | None
    shelf: str
    concurrency: int
    name: str = LIVE
    _pool: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        """Make ready for several questions at once."""
        object.__setattr__(self, "_pool", ThreadPoolExecutor(self.concurrency, self.service.caller.name))

    def find(self, keys: pd.Index) -> Found:
        """Ask for all keys; those of questions that failed are told as failed, the others do not suffer."""
        asked = list(keys)
        questions = [self._submit(self._answer, part) for part in parts(asked, self.service.at_once)]
        answers: dict[str, Answer] = {}
        for question in questions:
            answers |= question.result()
        if self.cache:
            self.cache.put(self.shelf, answers)
        failed = [key for key in asked if key not in answers]
        self.service.caller.figures.add(keys_asked=len(asked), keys_failed=len(failed))
        return _found(answers, self.service.types, failed)

    def close(self) -> None:
        """End what is under way and close the connections."""
        self.service.caller.give_up()
        self._pool.shutdown(cancel_futures=True)
        self.service.caller.close()

    def _submit(self, work: Callable[[Sequence[str]], dict[str, Answer]], part: Sequence[str]) -> Future[dict[str, Answer]]:
        return self._pool.submit(copy_context().run, work, part)  # the context carries the run's id into log lines

    def _answer(self, part: Sequence[str]) -> dict[str, Answer]:
        try:
            return self.service.answer(part)
        except ServiceError:
            return {}


def _reader_of(keys: Sequence[str]) -> Callable[[Reply], dict[str, Answer]]:
    """Return what reads the answer about these postcodes. Order means nothing; each must be answered."""

    def read(reply: Reply) -> dict[str, Answer]:
        places = {one.query: one.result for one in _Bulk.model_validate_json(reply.body).result}
        if not places.keys() >= set(keys):
            raise ServiceError("contract")
        return {key: _place(key, places[key]) for key in keys}

    return read


def _place(key: str, place: _Place | None) -> Answer:
    if place is None:
        return None
    if place.postcode.replace(" ", "").upper() != key.replace(" ", ""):
        raise ServiceError("contract")
    return {
        "country": place.country,
        "region": place.region or "",  # none outside England, where the country stands for it
        "district": place.admin_district,
        "longitude": _rounded(place.longitude),
        "latitude": _rounded(place.latitude),
    }


def _rounded(degrees: float | None) -> float | None:
    """Round to what the warehouse holds, so that the same answer never looks like a change."""
    return None if degrees is None else round(degrees, 7)


def _normal(name: str) -> str:
    return " ".join(name.lower().split())


def _found(answers: Mapping[str, Answer], types: Mapping[str, str], failed: Sequence[str]) -> Found:
    known = {key: answer for key, answer in answers.items() if answer is not None}
    frame = pd.DataFrame(list(known.values()), index=pd.Index(list(known), dtype="str"), columns=list(types)).astype(dict(types))
    unknown = [key for key, answer in answers.items() if answer is None]
    return Found(frame, pd.Index(unknown, dtype="str"), pd.Index(list(failed), dtype="str"))
