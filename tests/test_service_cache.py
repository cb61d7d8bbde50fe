"""The cache gives back what was put in, for as long as it may, and never fails a run."""

import random
import sqlite3
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from etl.service_cache import Answer, AnswerCache, parts
from tests.service_world import Clock, clock

__all__ = ["clock"]
PLACE: Answer = {"country": "Wales", "region": "", "district": None, "longitude": -3.18, "latitude": 51.48}
HOUR = 3600


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made" / "services.sqlite"


@pytest.fixture
def cache(path: Path, clock: Clock) -> Iterator[AnswerCache]:
    one = AnswerCache(path, 24, clock.now)
    yield one
    one.close()


def filled(path: Path, clock: Clock, number: int = 2000) -> dict[str, Answer]:
    """Fill a cache and close it; return what it holds."""
    answers = {f"M{n} 1AF": None if n % 3 == 0 else {"country": f"Land {n}"} for n in range(number)}
    cache = AnswerCache(path, 24, clock.now)
    cache.put("postcodes", answers)
    cache.close()
    return answers


def test_answers_come_back_as_they_were_put_in_known_and_unknown(cache: AnswerCache) -> None:
    cache.put("postcodes", {"CF10 2HH": PLACE, "ZZ1 1AA": None})
    assert cache.get("postcodes", ["CF10 2HH", "ZZ1 1AA", "M1 1AF"]) == {"CF10 2HH": PLACE, "ZZ1 1AA": None}


def test_the_same_key_of_another_service_is_another_answer(cache: AnswerCache) -> None:
    cache.put("postcodes http://one", {"M1 1AF": PLACE})
    assert cache.get("postcodes http://two", ["M1 1AF"]) == {}


def test_a_later_answer_takes_the_place_of_an_earlier_one(cache: AnswerCache) -> None:
    cache.put("postcodes", {"M1 1AF": None})
    cache.put("postcodes", {"M1 1AF": PLACE})
    assert cache.get("postcodes", ["M1 1AF"]) == {"M1 1AF": PLACE}


def test_many_keys_are_kept_and_found_at_once(path: Path, clock: Clock, cache: AnswerCache) -> None:
    answers = filled(path, clock, 5000)
    assert cache.get("postcodes", list(answers)) == answers


@pytest.mark.parametrize(("hours", "found"), [(0, True), (23.99, True), (24, False), (-1, False)])
def test_an_answer_that_is_too_old_or_from_the_future_is_not_used(
    hours: float, found: bool, cache: AnswerCache, clock: Clock
) -> None:
    cache.put("postcodes", {"M1 1AF": PLACE})
    clock.seconds += hours * HOUR
    assert bool(cache.get("postcodes", ["M1 1AF"])) == found


def test_what_is_too_old_is_deleted_by_the_next_run(path: Path, clock: Clock) -> None:
    filled(path, clock)
    clock.seconds += 25 * HOUR
    cache = AnswerCache(path, 24, clock.now)
    cache.get("postcodes", [])
    cache.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM answer").fetchone() == (0,)
    assert b"M7 1AF" not in path.read_bytes(), "not even in free pages"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps no owner bits")
@pytest.mark.parametrize("there", [False, True])
def test_only_its_owner_may_read_it(there: bool, path: Path, cache: AnswerCache) -> None:
    if there:
        path.parent.mkdir()
        path.touch(mode=0o644)
    cache.put("postcodes", {"M1 1AF": PLACE})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_file_is_made_before_it_is_needed(path: Path, cache: AnswerCache) -> None:
    cache.put("postcodes", {})
    cache.close()
    assert not path.exists()


def spoil_header(path: Path) -> None:
    path.write_bytes(b"no database at all " * 400)


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def change_an_answer(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"Land 7", b"Land 8"))


def another_table(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE answer (something INTEGER)")
    connection.close()


@pytest.mark.parametrize("damage", [spoil_header, cut_in_half, change_an_answer, another_table], ids=lambda one: one.__name__)
def test_a_damaged_file_is_set_aside_and_begun_anew(damage: object, path: Path, clock: Clock) -> None:
    answers = filled(path, clock)
    damage(path)  # type: ignore[operator]
    cache = AnswerCache(path, 24, clock.now)
    with capture_logs() as events:
        assert cache.get("postcodes", list(answers)) == {}
    assert [(event["event"], event["log_level"]) for event in events] == [("cache set aside", "warning")]
    assert path.with_name("services.sqlite.damaged").exists()
    cache.put("postcodes", answers)
    assert cache.get("postcodes", list(answers)) == answers
    cache.close()


def test_what_another_run_has_begun_anew_is_not_set_aside(path: Path, clock: Clock) -> None:
    answers = filled(path, clock)
    ours = AnswerCache(path, 24, clock.now)
    assert ours.get("postcodes", ["M1 1AF"])
    change_an_answer(path)
    with path.open("r+b") as file:  # SQLite reads pages anew when this counter has moved
        file.seek(24)
        file.write(b"\xff" * 4)
    path.rename(path.with_name("old"))  # as the other run does; ours still reads the old file
    filled(path, clock)
    assert ours.get("postcodes", list(answers)) == answers
    assert not path.with_name("services.sqlite.damaged").exists()
    ours.close()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), many=st.integers(1, 40))
def test_flipped_bytes_never_fail_a_run_and_never_give_a_wrong_answer(seed: int, many: int, tmp_path: Path) -> None:
    clock, chance = Clock(), random.Random(seed)
    path = tmp_path / f"{seed}-{many}" / "services.sqlite"
    answers = filled(path, clock, 300)
    content = bytearray(path.read_bytes())
    for _ in range(many):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    cache = AnswerCache(path, 24, clock.now)
    found = cache.get("postcodes", list(answers))
    cache.put("postcodes", {"M1 1AF": PLACE})
    cache.close()
    assert all(answers[key] == answer for key, answer in found.items())


@pytest.mark.parametrize("obstacle", ["folder", "file"])
def test_where_no_file_can_be_the_run_goes_on_without(obstacle: str, path: Path, cache: AnswerCache) -> None:
    path.mkdir(parents=True) if obstacle == "folder" else path.parent.write_text("in the way", encoding="utf-8")
    with capture_logs() as events:
        cache.put("postcodes", {"M1 1AF": PLACE})
        assert cache.get("postcodes", ["M1 1AF"]) == {}
    assert [event["event"] for event in events] == ["cache not used"], "told once"


def test_two_runs_read_and_write_one_file(path: Path, clock: Clock) -> None:
    one, two = AnswerCache(path, 24, clock.now), AnswerCache(path, 24, clock.now)
    for number in range(50):
        one.put("postcodes", {f"M{number} 1AA": PLACE})
        two.put("postcodes", {f"M{number} 1AB": None})
        assert two.get("postcodes", [f"M{number} 1AA"]) == {f"M{number} 1AA": PLACE}
        assert one.get("postcodes", [f"M{number} 1AB"]) == {f"M{number} 1AB": None}
    one.close()
    two.close()


def test_a_file_that_another_run_keeps_locked_is_left_alone(path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etl.service_cache._PATIENCE", 0)
    filled(path, clock)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    cache = AnswerCache(path, 24, clock.now)
    with capture_logs() as events:
        assert cache.get("postcodes", ["M1 1AF"]) == {}
    holder.close()
    assert [(event["event"], event["error"]) for event in events] == [("cache not used", "SQLITE_BUSY")]
    assert not path.with_name("services.sqlite.damaged").exists()


def test_log_lines_hold_no_key(path: Path, clock: Clock) -> None:
    filled(path, clock)
    change_an_answer(path)
    with capture_logs() as events:
        AnswerCache(path, 24, clock.now).get("postcodes", [f"M{n} 1AF" for n in range(2000)])
    assert events
    assert "1AF" not in str(events)


@given(st.lists(st.text(max_size=3), max_size=30), st.integers(1, 10))
def test_parts_are_all_keys_in_order(keys: list[str], size: int) -> None:
    found = list(parts(keys, size))
    assert [key for part in found for key in part] == keys
    assert all(1 <= len(part) <= size for part in found)
