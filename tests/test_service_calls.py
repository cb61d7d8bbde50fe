"""A service is asked with patience and within limits, over a real connection; its figures are those of the server's log."""

import json
import logging
import socket
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from etl.errors import ConfigError
from etl.service_calls import LARGEST_BODY, Caller, Figures, Reply, ServiceError, retry_after
from tests.service_server import HUGE, ServiceServer
from tests.service_world import NOON, Clock, caller_of, clock, pauses, server, service_settings

__all__ = ["caller_of", "clock", "pauses", "server"]
Make = Callable[..., Caller]
KEYS = ["M1 1AF", "CF10 2HH"]


def read_json(reply: Reply) -> object:
    return TypeAdapter(dict[str, object]).validate_json(reply.body)


def ask(caller: Caller) -> object:
    return caller.ask(read_json, "POST", "postcodes", json={"postcodes": KEYS})


def kind_of(caller: Caller) -> str:
    with pytest.raises(ServiceError) as told:
        ask(caller)
    return told.value.kind


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class TestATry:
    def test_an_answer_comes_back_whole(self, server: ServiceServer, caller_of: Make) -> None:
        assert ask(caller_of(server.url))["status"] == 200  # type: ignore[index]
        assert server.log[0].keys == tuple(KEYS)

    @pytest.mark.parametrize("ending", ["", "/", "/api/v1", "/api/v1/"])
    def test_the_path_of_the_base_address_is_kept(self, server: ServiceServer, caller_of: Make, ending: str) -> None:
        caller = caller_of(server.url + ending, attempts=1)
        with nullcontext() if ending in ("", "/") else pytest.raises(ServiceError, match="denied"):
            ask(caller)
        assert server.log[0].path == ending.rstrip("/") + "/postcodes"

    @pytest.mark.parametrize(
        ("fault", "kind"),
        [
            ("drop", "connection"),
            ("throttled", "throttled"),
            ("unavailable", "unavailable"),
            ("denied", "denied"),
            ("moved", "denied"),
            ("broken", "contract"),
            ("half", "contract"),
            ("huge", "contract"),
        ],
    )
    def test_each_fault_has_its_kind(
        self, fault: str, kind: str, server: ServiceServer, caller_of: Make, pauses: list[float]
    ) -> None:
        caller = caller_of(server.url, attempts=1)
        server.fail(fault)
        assert kind_of(caller) == kind
        assert (caller.figures.record().failed, pauses) == ({kind: 1}, [])
        assert ask(caller), "the next call is a new one"

    def test_an_answer_that_does_not_come_in_time_is_not_waited_for(self, server: ServiceServer, caller_of: Make) -> None:
        server.fail("slow")
        assert kind_of(caller_of(server.url, attempts=1, read_timeout=0.05)) == "timeout"

    def test_an_answer_that_trickles_is_not_waited_for_longer(self, server: ServiceServer, caller_of: Make, clock: Clock) -> None:
        caller = caller_of(server.url, attempts=1, read_timeout=5)
        real, seconds = clock.steady, iter([0.0, 0.0, 6.0, 6.0])
        caller._steady = lambda: next(seconds, real())
        assert kind_of(caller) == "timeout"

    def test_nobody_there_is_a_fault_of_the_connection(self, caller_of: Make) -> None:
        assert kind_of(caller_of(f"http://127.0.0.1:{closed_port()}", attempts=1)) == "connection"

    def test_a_huge_body_is_refused_before_it_is_read(self, server: ServiceServer, caller_of: Make) -> None:
        server.fail("huge")
        assert kind_of(caller_of(server.url, attempts=1)) == "contract"
        assert server.bytes_sent < HUGE / 2 > LARGEST_BODY

    def test_an_address_that_is_none_is_told(self) -> None:
        with pytest.raises(ConfigError, match="postcodes_url is no address"):
            Caller("postcodes", "http://127.0.0.1:port", service_settings())

    def test_the_key_is_sent_by_http_basic(self, server: ServiceServer, caller_of: Make) -> None:
        server.behaviour.key = "s3cret"
        for key, kind in (("s3cret", None), ("", "denied"), ("other", "denied")):
            caller = caller_of(server.url, "companies", key)
            try:
                caller.ask(read_json, "GET", "search/companies", params={"q": "techcorp"})
                told = None
            except ServiceError as error:
                told = error.kind
            assert told == kind, key


class TestRetries:
    def test_pauses_grow_and_are_never_longer_than_the_settings_allow(
        self, server: ServiceServer, caller_of: Make, pauses: list[float]
    ) -> None:
        server.fail(*["unavailable"] * 6)
        assert ask(caller_of(server.url, attempts=10, longest_pause=1))
        for least, pause in zip((0.2, 0.4, 0.8, 1, 1, 1), pauses, strict=True):
            assert least <= pause <= min(1, least + 0.5)

    def test_pauses_are_jittered(self, server: ServiceServer, caller_of: Make, pauses: list[float]) -> None:
        for _ in range(4):
            server.fail("unavailable")
            ask(caller_of(server.url))
        assert len(set(pauses)) == 4

    def test_tries_end_with_the_last_fault(self, server: ServiceServer, caller_of: Make, pauses: list[float]) -> None:
        server.fail("unavailable", "drop", "throttled")
        assert kind_of(caller_of(server.url, attempts=3)) == "throttled"
        assert (len(server.log), len(pauses)) == (3, 2)

    @pytest.mark.parametrize(("asked", "pause"), [("3", 3), ("0", 0), ("3600", 20), ("x", None)])
    def test_a_throttled_service_is_given_the_seconds_it_asks_for(
        self, asked: str, pause: float | None, server: ServiceServer, caller_of: Make, pauses: list[float]
    ) -> None:
        server.behaviour.retry_after = asked
        server.fail("throttled")
        assert ask(caller_of(server.url, longest_pause=20))
        assert pauses == [pause] if pause is not None else 0.2 <= pauses[0] <= 0.7

    def test_a_throttled_service_is_left_until_the_date_it_names(
        self, server: ServiceServer, caller_of: Make, pauses: list[float]
    ) -> None:
        server.behaviour.retry_after = format_datetime(NOON + timedelta(seconds=9), usegmt=True)
        server.fail("throttled")
        assert ask(caller_of(server.url))
        assert pauses == [9]

    @pytest.mark.parametrize("fault", ["denied", "moved"])
    def test_what_the_service_refuses_is_not_tried_again(self, fault: str, server: ServiceServer, caller_of: Make) -> None:
        server.fail(fault, fault)
        assert kind_of(caller_of(server.url, attempts=5)) == "denied"
        assert len(server.log) == 1

    @pytest.mark.parametrize("fault", ["broken", "half", "huge"])
    def test_nonsense_is_tried_once_more_and_not_twice(
        self, fault: str, server: ServiceServer, caller_of: Make, pauses: list[float]
    ) -> None:
        server.fail(fault)
        assert ask(caller_of(server.url, attempts=5))
        server.fail(fault, fault, fault)
        assert kind_of(caller_of(server.url, attempts=5)) == "contract"
        assert (len(server.log), len(pauses)) == (4, 2)

    def test_after_the_end_of_a_run_nothing_is_tried_again(
        self, server: ServiceServer, caller_of: Make, pauses: list[float]
    ) -> None:
        server.fail("unavailable", "unavailable")
        caller = caller_of(server.url)
        caller.give_up()
        assert kind_of(caller) == "unavailable"
        assert (len(server.log), pauses) == (1, [])


class TestTheBreaker:
    def failing(self, server: ServiceServer, caller_of: Make) -> Caller:
        caller = caller_of(server.url, attempts=1, breaker_failures=3, breaker_pause=30)
        server.behaviour.always = "unavailable"
        assert [kind_of(caller) for _ in range(3)] == ["unavailable"] * 3
        return caller

    def test_it_opens_after_so_many_failures_and_then_asks_no_more(self, server: ServiceServer, caller_of: Make) -> None:
        caller = self.failing(server, caller_of)
        assert [kind_of(caller) for _ in range(5)] == ["left alone"] * 5
        record = caller.figures.record()
        assert (len(server.log), record.calls, record.refused, record.breaker_openings) == (3, 3, 5, 1)

    def test_a_success_between_failures_keeps_it_closed(self, server: ServiceServer, caller_of: Make) -> None:
        caller = caller_of(server.url, attempts=1, breaker_failures=3)
        for _ in range(4):
            server.fail("unavailable", "unavailable")
            assert [kind_of(caller), kind_of(caller)] == ["unavailable"] * 2
            assert ask(caller)

    def test_after_the_pause_one_trial_that_succeeds_closes_it(
        self, server: ServiceServer, caller_of: Make, clock: Clock
    ) -> None:
        caller = self.failing(server, caller_of)
        server.behaviour.always = None
        clock.seconds += 29
        assert kind_of(caller) == "left alone"
        clock.seconds += 1
        assert ask(caller)
        server.fail("unavailable")
        assert kind_of(caller) == "unavailable"
        assert ask(caller), "one failure does not open it again"

    def test_a_trial_that_fails_is_made_once_and_opens_it_again(
        self, server: ServiceServer, caller_of: Make, clock: Clock, pauses: list[float]
    ) -> None:
        caller = self.failing(server, caller_of)
        clock.seconds += 31
        assert kind_of(caller) == "unavailable"
        assert kind_of(caller) == "left alone"
        assert (len(server.log), caller.figures.record().breaker_openings, pauses) == (4, 2, [])

    def test_calls_are_made_side_by_side(self, server: ServiceServer, caller_of: Make) -> None:
        from concurrent.futures import ThreadPoolExecutor
        from threading import Barrier

        both = Barrier(2, timeout=20)
        caller = caller_of(server.url)

        def read(reply: Reply) -> int:
            both.wait()  # passes only when two calls are under way at once
            return reply.status

        with ThreadPoolExecutor(2) as pool:
            questions = [pool.submit(caller.ask, read, "POST", "postcodes", json={"postcodes": KEYS}) for _ in range(2)]
            assert [question.result() for question in questions] == [200, 200]


class TestFigures:
    def test_they_equal_the_servers_own_log(self, server: ServiceServer, caller_of: Make, pauses: list[float]) -> None:
        caller = caller_of(server.url, attempts=4)
        server.fail("unavailable", "drop", "throttled")
        ask(caller)
        server.fail("half", "broken")
        kind_of(caller)
        server.fail("denied")
        kind_of(caller)
        ask(caller)
        record, outcomes = caller.figures.record(), server.outcomes()
        assert record.calls == len(server.log) == 8
        assert record.succeeded == outcomes["ok"] == 2
        assert record.failed == {"connection": 1, "contract": 2, "denied": 1, "throttled": 1, "unavailable": 1}
        assert sum(record.failed.values()) == sum(outcomes.values()) - outcomes["ok"]
        assert record.retries == len(pauses) == 4
        assert record.success == 2 / 8

    def test_percentiles_are_those_of_all_calls(self) -> None:
        figures = Figures()
        for number in range(1, 101):
            figures.count_call(float(number))
        record = figures.record()
        assert (record.p50, record.p95, record.p99) == (50.5, 95.05, 99.01)

    def test_without_a_call_there_is_no_share_and_no_time(self) -> None:
        record = Figures().record()
        assert (record.calls, record.success, record.p50) == (0, None, None)


class TestPrivacy:
    def test_neither_errors_nor_log_lines_hold_a_key(
        self, server: ServiceServer, caller_of: Make, pauses: list[float], caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        caller = caller_of(server.url, "companies", "s3cret", attempts=2, breaker_failures=9)
        texts = []
        for fault in ("drop", "unavailable", "broken", "half", "denied", "ok"):
            server.behaviour.always = fault
            try:
                caller.ask(read_json, "GET", "search/companies", params={"q": "zubrik-gmbh"})
            except ServiceError as error:
                texts += [repr(error), str(error)]
        told = " ".join([*texts, *(record.getMessage() for record in caplog.records)])
        assert "zubrik" not in told.lower()
        assert "s3cret" not in told
        assert pauses

    def test_a_redirect_is_not_followed(self, server: ServiceServer, caller_of: Make) -> None:
        server.fail("moved")
        assert kind_of(caller_of(server.url)) == "denied"

    def test_only_the_keys_are_sent(self, server: ServiceServer, caller_of: Make) -> None:
        ask(caller_of(server.url))
        request = server.log[0]
        assert json.loads(request.body) == {"postcodes": KEYS}
        assert set(request.headers) <= {
            "host", "accept", "accept-encoding", "connection", "user-agent", "content-length", "content-type",
        }  # fmt: skip


@given(st.text(max_size=40))
def test_whatever_a_service_asks_for_is_a_pause_or_nothing(value: str) -> None:
    pause = retry_after(value, NOON)
    assert pause is None or pause >= 0


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(lambda moment: moment.replace(microsecond=0, tzinfo=UTC)))
def test_a_date_is_the_time_left_until_it(moment: datetime) -> None:
    assert retry_after(format_datetime(moment, usegmt=True), NOON) == max(0, (moment - NOON).total_seconds())
