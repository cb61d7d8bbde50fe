"""Answers of services are checked and brought into our columns; what is not as agreed never becomes a value of a row."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from etl.service_cache import AnswerCache
from etl.service_calls import Caller, ServiceError
from etl.services import COMPANY_TYPES, PLACE_TYPES, Cached, CompanyRegister, Live, PostcodeService
from tests.service_server import ServiceServer
from tests.service_world import Clock, caller_of, clock, pauses, server

__all__ = ["caller_of", "clock", "pauses", "server"]
Make = Callable[..., Caller]


def many(number: int) -> list[str]:
    return [f"M{n % 99 + 1} {n // 99 % 9 + 1}A{'ABDEFGHJ'[n // 891]}" for n in range(number)]


class TestPostcodes:
    def service(self, server: ServiceServer, caller_of: Make, withdrawn: int = 1000, **settings: object) -> PostcodeService:
        return PostcodeService(caller_of(server.url, attempts=1, **settings), withdrawn)

    def test_a_place_comes_in_our_columns(self, server: ServiceServer, caller_of: Make) -> None:
        assert self.service(server, caller_of).answer(["M1 1AF"]) == {
            "M1 1AF": {
                "country": "England", "region": "North West", "district": "Manchester Central",
                "longitude": -2.2387654, "latitude": 53.4812346,
            }
        }  # fmt: skip

    def test_outside_england_the_region_is_empty(self, server: ServiceServer, caller_of: Make) -> None:
        place = self.service(server, caller_of).answer(["CF10 2HH"])["CF10 2HH"]
        assert place
        assert (place["country"], place["region"]) == ("Wales", "")

    def test_what_the_service_leaves_open_stays_open(self, server: ServiceServer, caller_of: Make) -> None:
        place = self.service(server, caller_of).answer(["IM1 1AG"])["IM1 1AG"]
        assert place == {"country": "Isle of Man", "region": "", "district": None, "longitude": None, "latitude": None}

    def test_answers_in_another_order_are_matched_by_what_was_asked(self, server: ServiceServer, caller_of: Make) -> None:
        keys = ["M1 1AF", "CF10 2HH", "EH1 1AA", "ZZ1 1AA"]
        server.fail("shuffled")
        answers = self.service(server, caller_of).answer(keys)
        assert {key: answer and answer["country"] for key, answer in answers.items()} == {
            "M1 1AF": "England", "CF10 2HH": "Wales", "EH1 1AA": "Scotland", "ZZ1 1AA": None,
        }  # fmt: skip

    @pytest.mark.parametrize("fault", ["types", "gap", "mixed up", "broken"])
    def test_an_answer_that_is_not_as_agreed_is_refused(self, fault: str, server: ServiceServer, caller_of: Make) -> None:
        service = self.service(server, caller_of)
        server.fail(fault)
        with pytest.raises(ServiceError, match="contract"):
            service.answer(["M1 1AF", "CF10 2HH"])

    @pytest.mark.parametrize(
        "change",
        [
            {"country": None}, {"country": 7}, {"country": ""}, {"country": "x" * 51}, {"region": 3}, {"longitude": "2.5"},
            {"longitude": float("nan")}, {"latitude": 1e9}, {"latitude": True}, {"postcode": "M1 1AG"}, {"admin_district": ["x"]},
        ],
    )  # fmt: skip
    def test_a_value_of_another_kind_is_refused(
        self, change: dict[str, object], server: ServiceServer, caller_of: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = server.place_of
        monkeypatch.setattr(server, "place_of", lambda key: (real(key) or {}) | change)
        with pytest.raises(ServiceError, match="contract"):
            self.service(server, caller_of).answer(["M1 1AF"])

    def test_a_withdrawn_postcode_keeps_its_coordinates_and_an_unknown_one_is_unknown(
        self, server: ServiceServer, caller_of: Make
    ) -> None:
        server.behaviour.withdrawn, server.behaviour.unknown = {"M1 1AA"}, {"M1 1AB"}
        answers = self.service(server, caller_of).answer(["M1 1AA", "M1 1AB"])
        assert answers == {"M1 1AA": {"longitude": -1.5, "latitude": 53.5}, "M1 1AB": None}
        assert [request.path for request in server.log] == ["/postcodes", "/postcodes/M1%201AA", "/postcodes/M1%201AB"]

    def test_no_more_are_asked_about_one_by_one_than_allowed(self, server: ServiceServer, caller_of: Make) -> None:
        keys = [f"ZZ{n} 1AA" for n in range(1, 9)]
        service = self.service(server, caller_of, withdrawn=3)
        assert set(service.answer(keys).values()) == {None}
        service.answer(keys)
        assert [request.method for request in server.log] == ["POST", "GET", "GET", "GET", "POST"]

    def test_when_that_question_fails_only_its_postcode_has_no_answer(self, server: ServiceServer, caller_of: Make) -> None:
        server.fail("ok", "unavailable", "ok")
        answers = self.service(server, caller_of).answer(["M1 1AF", "ZZ1 1AA", "ZZ2 1AA"])
        assert sorted(answers) == ["M1 1AF", "ZZ2 1AA"]


class TestCompanies:
    def answer(self, server: ServiceServer, caller_of: Make, name: str) -> object:
        return CompanyRegister(caller_of(server.url, "companies", attempts=1)).answer([name])[name]

    def test_the_year_it_was_founded_is_taken_whatever_the_letter_case(self, server: ServiceServer, caller_of: Make) -> None:
        assert self.answer(server, caller_of, "techcorp ltd") == {"founded": 2009}
        assert server.log[0].path == "/search/companies?q=techcorp+ltd"

    def test_a_name_that_is_only_alike_is_another_company(self, server: ServiceServer, caller_of: Make) -> None:
        assert self.answer(server, caller_of, "techcorp limited") is None

    @pytest.mark.parametrize(
        ("statuses", "founded"),
        [
            (["active", "dissolved"], 2001),
            (["dissolved"], 2001),
            (["active", "active"], None),
            (["dissolved", "dissolved"], None),
        ],
    )
    def test_of_several_of_a_name_the_one_that_lives_counts(
        self, statuses: list[str], founded: int | None, server: ServiceServer, caller_of: Make
    ) -> None:
        server.behaviour.companies = [
            {"title": "Zubrik  Works", "company_status": status, "date_of_creation": f"{2001 + n}-02-03"}
            for n, status in enumerate(statuses)
        ]
        assert self.answer(server, caller_of, "zubrik works") == (founded and {"founded": founded})

    def test_without_a_date_it_is_known_all_the_same(self, server: ServiceServer, caller_of: Make) -> None:
        server.behaviour.companies = [{"title": "Zubrik Works"}]
        assert self.answer(server, caller_of, "zubrik works") == {}

    @pytest.mark.parametrize("fault", ["types", "broken"])
    def test_an_answer_that_is_not_as_agreed_is_refused(self, fault: str, server: ServiceServer, caller_of: Make) -> None:
        server.fail(fault)
        with pytest.raises(ServiceError, match="contract"):
            self.answer(server, caller_of, "techcorp ltd")


class TestTheLiveLookup:
    def test_it_asks_a_hundred_at_once_and_each_key_once(self, server: ServiceServer, caller_of: Make) -> None:
        service = PostcodeService(caller_of(server.url), 0)
        live = Live(service, None, "shelf", 4)
        keys = many(1050)
        found = live.find(pd.Index(keys))
        live.close()
        assert sorted(found.known.index) == sorted(keys)
        assert sorted(len(request.keys) for request in server.log) == [50, *[100] * 10]
        assert sorted(key for request in server.log for key in request.keys) == sorted(keys)

    def test_a_question_that_fails_costs_no_other(self, server: ServiceServer, caller_of: Make) -> None:
        live = Live(PostcodeService(caller_of(server.url, attempts=1), 0), None, "shelf", 1)
        server.fail("ok", "unavailable", "ok")
        keys = many(250)
        found = live.find(pd.Index(keys))
        live.close()
        assert (list(found.failed), list(found.known.index)) == (keys[100:200], keys[:100] + keys[200:])
        record = live.service.caller.figures.record()
        assert (record.keys_asked, record.keys_failed) == (250, 100)

    def test_never_more_calls_are_under_way_than_allowed(self, server: ServiceServer, caller_of: Make) -> None:
        import threading

        under_way, most, lock = 0, 0, threading.Lock()
        real = server.place_of

        def counting(key: str) -> object:
            nonlocal under_way, most
            with lock:
                under_way += 1
                most = max(most, under_way)
            place = real(key)
            with lock:
                under_way -= 1
            return place

        server.place_of = counting  # type: ignore[assignment,method-assign]
        live = Live(PostcodeService(caller_of(server.url), 0), None, "shelf", 2)
        live.find(pd.Index(many(2000)))
        live.close()
        assert most <= 2

    def test_columns_keep_their_types_whether_or_not_anything_is_known(self, server: ServiceServer, caller_of: Make) -> None:
        for service, types in (
            (PostcodeService(caller_of(server.url), 0), PLACE_TYPES),
            (CompanyRegister(caller_of(server.url, "companies")), COMPANY_TYPES),
        ):
            live = Live(service, None, "shelf", 1)
            for keys in ([], ["nobody"], ["M1 1AF", "techcorp ltd"]):
                known = live.find(pd.Index(keys, dtype="str")).known
                assert {name: str(kind) for name, kind in known.dtypes.items()} == types
            live.close()

    def test_what_it_answers_is_kept_also_that_a_key_is_unknown(
        self, server: ServiceServer, caller_of: Make, clock: Clock, tmp_path: Path
    ) -> None:
        service = PostcodeService(caller_of(server.url, attempts=1), 0)
        cache = AnswerCache(tmp_path / "cache", 24, clock.now)
        live, cached = Live(service, cache, "shelf", 1), Cached(service, cache, "shelf")
        keys = pd.Index(["M1 1AF", "ZZ1 1AA"])
        first = live.find(keys)
        server.fail("unavailable")
        live.find(pd.Index(["EH1 1AA"]))
        again = cached.find(keys.append(pd.Index(["EH1 1AA"])))
        live.close()
        cache.close()
        pd.testing.assert_frame_equal(first.known, again.known)
        assert (list(first.unknown), list(again.unknown), list(again.failed)) == (["ZZ1 1AA"], ["ZZ1 1AA"], [])
        assert service.caller.figures.record().keys_cached == 2
