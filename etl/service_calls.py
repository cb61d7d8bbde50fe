"""Calls: one HTTP service, asked with patience: limits of time and size, retries, a breaker, and figures of every call.

A call is one request. A fault says its kind and nothing of what was asked or answered, so that no key gets into a log.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, NoReturn, TypeVar

import httpx2
import numpy as np
import stamina
from pybreaker import (
    STATE_CLOSED,
    STATE_OPEN,
    CircuitBreaker,
    CircuitBreakerError,
    CircuitBreakerListener,
    CircuitBreakerState,
    CircuitMemoryStorage,
)
from pydantic import ValidationError

from etl.errors import ConfigError
from etl.log import logger
from etl.record import ServiceRecord
from etl.settings import ServiceSettings

LARGEST_BODY = 4_000_000
"""Bytes of the largest answer that is read; a hundred places take about 120,000."""

FIRST_PAUSE = 0.2
"""Seconds before the first retry; each further pause is twice as long, up to `services.longest_pause`."""

JITTER = 0.5
"""Seconds of chance added to a pause, so that clients that failed together do not come back together."""

Kind = Literal["timeout", "connection", "throttled", "unavailable", "denied", "contract", "left alone"]
T = TypeVar("T")


class ServiceError(Exception):
    """A question that got no answer. `pause`: the seconds the service asked to wait, if it did."""

    def __init__(self, kind: Kind, pause: float | None = None) -> None:
        """Take how it failed."""
        super().__init__(kind)
        self.kind = kind
        self.pause = pause


@dataclass(frozen=True)
class Reply:
    """What came back: the status and the whole body."""

    status: int
    body: bytes


@dataclass
class Figures:
    """What is counted of a service. Calls are requests sent; those that failed are counted by kind."""

    seconds: list[float] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    refused: int = 0
    openings: int = 0
    keys_asked: int = 0
    keys_failed: int = 0
    keys_cached: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count_call(self, seconds: float, kind: Kind | None = None) -> None:
        """Count a call that took `seconds`; `kind` tells how it failed, None that it did not."""
        with self._lock:
            self.seconds.append(seconds)
            if kind:
                self.failed[kind] += 1

    def add(self, **numbers: int) -> None:
        """Add to the counters of these names."""
        with self._lock:
            for name, number in numbers.items():
                setattr(self, name, getattr(self, name) + number)

    def record(self) -> ServiceRecord:
        """Return the figures as a run record holds them."""
        p50, p95, p99 = (
            (round(float(one), 4) for one in np.percentile(self.seconds, [50, 95, 99])) if self.seconds else [None] * 3
        )
        return ServiceRecord(
            calls=len(self.seconds), succeeded=len(self.seconds) - self.failed.total(), failed=dict(sorted(self.failed.items())),
            retries=self.retries, refused=self.refused, breaker_openings=self.openings, keys_asked=self.keys_asked,
            keys_failed=self.keys_failed, keys_cached=self.keys_cached, p50=p50, p95=p95, p99=p99,
        )  # fmt: skip


def retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a Retry-After header asks for, as a number or as a date; None when it says neither."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return max(0.0, ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now).total_seconds())


class _SteadyStorage(CircuitMemoryStorage):
    """Where the breaker keeps its state. It reckons by the wall clock, which may be set back; this tells it steady time."""

    def __init__(self, steady: Callable[[], float]) -> None:
        super().__init__(STATE_CLOSED)
        self._steady = steady
        self._opened: float | None = None

    @property
    def opened_at(self) -> datetime | None:
        if self._opened is None:
            return None
        return datetime.fromtimestamp(datetime.now(UTC).timestamp() - (self._steady() - self._opened), UTC)

    @opened_at.setter
    def opened_at(self, _: datetime) -> None:
        self._opened = self._steady()


class _Watcher(CircuitBreakerListener):
    """Counts and logs when the breaker opens or closes again."""

    def __init__(self, name: str, figures: Figures, pause: float) -> None:
        self._name, self._figures, self._pause = name, figures, pause

    def state_change(self, cb: CircuitBreaker, old_state: CircuitBreakerState | None, new_state: CircuitBreakerState) -> None:  # noqa: ARG002
        if new_state.name == STATE_OPEN:
            self._figures.add(openings=1)
            logger().warning("service left alone", service=self._name, seconds=self._pause)
        elif new_state.name == STATE_CLOSED:
            logger().info("service is back", service=self._name)


class Caller:
    """Asks one service over HTTP; may be used from several threads.

    `steady` counts seconds and is never set back, `now` is the time in UTC: both are there for tests to replace.
    Raises ConfigError when the address is none. Close it after use.
    """

    def __init__(
        self,
        name: str,
        url: str,
        settings: ServiceSettings,
        key: str = "",
        steady: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Take the service's name and base address; `key` is sent by HTTP basic when there is one."""
        self.name, self.figures = name, Figures()
        self._settings, self._steady, self._now = settings, steady, now
        self._client = _open_client(name, url, settings, key)
        self._closing = threading.Event()
        self._breaker = CircuitBreaker(
            settings.breaker_failures, settings.breaker_pause, name=name, throw_new_error_on_trip=False,
            state_storage=_SteadyStorage(steady), listeners=[_Watcher(name, self.figures, settings.breaker_pause)],
        )  # fmt: skip

    def ask(
        self, read: Callable[[Reply], T], method: str, path: str, allowed: frozenset[int] = frozenset({200}), **content: Any
    ) -> T:
        """Send a request and return what `read` makes of the reply.

        `read` may raise ValidationError or ServiceError when the reply is not as agreed; statuses outside `allowed` never
        reach it. Raises ServiceError when no try succeeded or the service is left alone for a while.
        """

        def try_once() -> T:
            return self._try(read, method, path, allowed, content)

        if self._breaker.current_state != STATE_CLOSED:
            return self._try_out(try_once)
        # The breaker holds its lock while it calls, so calls are made outside of it, side by side, and reported to it.
        try:
            result = self._persist(try_once)
        except ServiceError as error:
            self._report(_raise, error)
            raise
        self._report(_nothing)
        return result

    def close(self) -> None:
        """Close all connections; a call under way is not tried again."""
        self._closing.set()
        self._client.close()

    def give_up(self) -> None:
        """Let calls under way end without another try."""
        self._closing.set()

    def _try_out(self, try_once: Callable[[], T]) -> T:
        """Make the one trial call once the pause is over; refuse every other."""
        try:
            return self._breaker.call(try_once)
        except CircuitBreakerError:
            self.figures.add(refused=1)
            raise ServiceError("left alone") from None

    def _report(self, outcome: Callable[..., None], *arguments: object) -> None:
        with suppress(CircuitBreakerError, ServiceError):
            self._breaker.call(outcome, *arguments)

    def _persist(self, try_once: Callable[[], T]) -> T:
        longest = self._settings.longest_pause
        retries = stamina.retry_context(
            _Patience(longest, self._closing), self._settings.attempts, None, FIRST_PAUSE, longest, JITTER
        )
        for attempt in retries:
            with attempt:
                if attempt.num > 1:
                    self.figures.add(retries=1)
                return try_once()
        raise AssertionError("stamina ends with a result or an error")

    def _try(self, read: Callable[[Reply], T], method: str, path: str, allowed: frozenset[int], content: Mapping[str, Any]) -> T:
        begin = self._steady()
        try:
            result = self._read(read, self._exchange(method, path, allowed, content))
        except ServiceError as error:
            self.figures.count_call(self._steady() - begin, error.kind)
            raise
        self.figures.count_call(self._steady() - begin)
        return result

    def _read(self, read: Callable[[Reply], T], reply: Reply) -> T:
        try:
            return read(reply)
        except ValidationError:
            raise ServiceError("contract") from None

    def _exchange(self, method: str, path: str, allowed: frozenset[int], content: Mapping[str, Any]) -> Reply:
        try:
            with self._client.stream(method, path, **content) as response:
                self._check(response, allowed)
                return Reply(response.status_code, self._body(response))
        except httpx2.TimeoutException:
            raise ServiceError("timeout") from None
        except httpx2.DecodingError:
            raise ServiceError("contract") from None
        except httpx2.RequestError:
            raise ServiceError("connection") from None

    def _check(self, response: httpx2.Response, allowed: frozenset[int]) -> None:
        status = response.status_code
        if status in allowed:
            return
        pause = retry_after(response.headers.get("retry-after"), self._now())
        if status == 429:
            raise ServiceError("throttled", pause)
        if status >= 500:
            raise ServiceError("unavailable", pause)
        raise ServiceError("denied")

    def _body(self, response: httpx2.Response) -> bytes:
        """Read the body, but not more than the limit and not longer than an answer may take: a trickle is no answer."""
        latest = self._steady() + self._settings.read_timeout
        body = bytearray()
        try:
            for piece in response.iter_bytes():
                body += piece
                if len(body) > LARGEST_BODY:
                    raise ServiceError("contract")
                if self._steady() > latest:
                    raise ServiceError("timeout")
        except httpx2.RemoteProtocolError:  # the connection ended in the middle of the body
            raise ServiceError("contract") from None
        return bytes(body)


class _Patience:
    """Judges for one question whether a failed try is worth another, and after which pause."""

    def __init__(self, longest: float, closing: threading.Event) -> None:
        self._longest, self._closing, self._broken_contracts = longest, closing, 0

    def __call__(self, error: Exception) -> bool | float:
        if not isinstance(error, ServiceError) or error.kind == "denied" or self._closing.is_set():
            return False
        if error.kind == "contract":  # once may be an accident on the way, twice is how the service is
            self._broken_contracts += 1
            return self._broken_contracts == 1
        return True if error.pause is None else min(error.pause, self._longest)


def _open_client(name: str, url: str, settings: ServiceSettings, key: str) -> httpx2.Client:
    for library in ("httpx2", "httpcore2"):
        logging.getLogger(library).setLevel(logging.WARNING)  # below that they log addresses, which hold keys
    timeout = httpx2.Timeout(settings.read_timeout, connect=settings.connect_timeout, pool=None)
    try:
        return httpx2.Client(
            base_url=url, timeout=timeout, auth=(key, "") if key else None,
            headers={"accept": "application/json", "accept-encoding": "identity"},
        )  # fmt: skip
    except httpx2.InvalidURL:
        raise ConfigError(f"services.{name}_url is no address. Write it like https://host/path.") from None


def _raise(error: ServiceError) -> NoReturn:
    raise error


def _nothing() -> None:
    """Be the outcome of a call that succeeded."""
