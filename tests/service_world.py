"""What tests of services share: a server, clocks and pauses in the test's hand, settings."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from etl.service_calls import Caller
from etl.settings import ServiceSettings
from tests.service_server import ServiceServer

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Clock:
    """Time that moves only when told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def steady(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceServer]:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with ServiceServer() as one:
        yield one


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between tries, in seconds; none is slept."""
    taken: list[float] = []
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=taken.append))
    return taken


@pytest.fixture
def caller_of(clock: Clock) -> Iterator[Callable[..., Caller]]:
    """Makes callers that are closed at the end of the test."""
    made = []

    def make(url: str, name: str = "postcodes", key: str = "", **settings: Any) -> Caller:
        made.append(Caller(name, url, service_settings(**settings), key, clock.steady, clock.now))
        return made[-1]

    yield make
    for one in made:
        one.close()


def service_settings(**changes: Any) -> ServiceSettings:
    return ServiceSettings.model_validate({"read_timeout": 30, **changes})
