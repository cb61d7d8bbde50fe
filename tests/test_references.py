"""A chain asks cache, service and embedded reference in turn, and tells known, unknown and failed apart."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.errors import ConfigError
from etl.references import FAILED, UNKNOWN, Chain, load_references
from etl.services import Found
from etl.settings import ReferenceSettings
from tests.conftest import ROOT
from tests.service_server import ServiceServer
from tests.service_world import pauses, server, service_settings

__all__ = ["pauses", "server"]
TYPES = {"size": "str", "founded": "Int64"}
REFERENCES = ReferenceSettings(
    postcodes=ROOT / "data/reference/postcode_areas.csv", companies=ROOT / "data/reference/companies.csv"
)


class Link:
    """A lookup that knows, knows not to exist, and fails, as it is told."""

    def __init__(self, name: str, known: dict[str, tuple[object, object]], unknown: str = "", failed: str = "") -> None:
        self.name, self.known, self.unknown, self.failed = name, known, unknown, failed
        self.asked: list[str] = []

    def find(self, keys: pd.Index) -> Found:
        self.asked = list(keys)
        known = [key for key in keys if key in self.known]
        frame = pd.DataFrame([self.known[key] for key in known], index=pd.Index(known, dtype="str"), columns=list(TYPES))
        return Found(frame.astype(TYPES), keys[keys.isin(list(self.unknown))], keys[keys.isin(list(self.failed))])


def find(links: Sequence[Link], keys: str, definite: bool = True) -> pd.DataFrame:
    *services, reference = links
    return Chain(reference, tuple(TYPES), services, definite).find(pd.Index(list(keys), dtype="str"))


def sources(links: Sequence[Link], keys: str, definite: bool = True) -> str:
    """Return the sources of the keys by their first letter."""
    return "".join(source[0] for source in find(links, keys, definite)["source"])


class TestAChain:
    def test_what_a_link_finds_is_not_asked_of_the_next(self) -> None:
        links = [Link("cache", {"a": ("Micro", 1999)}), Link("live", {"b": ("Small", 2001)}), Link("reference", {})]
        assert sources(links, "abc") == "clu"
        assert [link.asked for link in links] == [["a", "b", "c"], ["b", "c"], ["c"]]

    def test_what_a_service_knows_not_to_exist_stays_unknown(self) -> None:
        links = [Link("cache", {}, unknown="a"), Link("live", {}, unknown="b"), Link("reference", dict.fromkeys("ab", ("x", 1)))]
        assert sources(links, "ab") == "uu"
        assert find(links, "ab")["size"].isna().all()
        assert links[1].asked == ["b"]

    def test_a_register_does_not_decide_what_the_reference_may_know(self) -> None:
        links = [Link("live", {}, unknown="ab"), Link("reference", {"a": ("Micro", 1999)})]
        assert sources(links, "ab", definite=False) == "ru"

    def test_the_reference_stands_in_for_a_service_that_failed(self) -> None:
        links = [Link("live", {}, failed="ab"), Link("reference", {"a": ("Micro", 1999)})]
        found = find(links, "ab")
        assert list(found["source"]) == ["reference", FAILED]
        assert list(found["failed"]) == [True, True]

    def test_the_reference_fills_what_a_service_knows_only_in_part(self) -> None:
        links = [Link("live", {"a": (None, 2009), "b": (None, 2010)}), Link("reference", {"a": ("Micro", 1999)})]
        found = find(links, "ab")
        assert list(found["source"]) == ["live", "live"]
        assert (found.at["a", "size"], found.at["a", "founded"]) == ("Micro", 2009)
        assert found.isna().at["b", "size"]

    def test_alone_the_reference_is_asked_for_all(self) -> None:
        assert sources([Link("reference", {"a": ("Micro", 1999)})], "ba") == "ur"
        assert UNKNOWN.startswith("u")

    @given(st.lists(st.sampled_from("klunf"), min_size=1, max_size=8), st.booleans())
    def test_every_key_has_one_source_and_columns_keep_their_types(self, fates: list[str], definite: bool) -> None:
        keys = "abcdefgh"[: len(fates)]
        of = {fate: "".join(key for key, one in zip(keys, fates, strict=True) if one == fate) for fate in "klunf"}
        links = [
            Link("cache", dict.fromkeys(of["k"], ("x", 1))),
            Link("live", dict.fromkeys(of["l"], ("y", None)), unknown=of["u"], failed=of["f"]),
            Link("reference", {}),
        ]
        found = find(links, keys, definite)
        told = {"k": "cache", "l": "live", "u": UNKNOWN, "n": UNKNOWN, "f": FAILED}
        assert list(found["source"]) == [told[fate] for fate in fates]
        assert list(found.index) == list(keys)
        assert {name: str(found.dtypes[name]) for name in TYPES} == TYPES


class TestLoading:
    def test_without_addresses_nothing_is_asked_and_no_cache_is_made(self, tmp_path: Path) -> None:
        with load_references(REFERENCES, service_settings(cache_path=tmp_path / "cache")) as references:
            assert [chain.services for chain in (references.postcodes, references.companies)] == [(), ()]
            assert not references.postcodes.is_live
            references.postcodes.find(pd.Index(["M1 1AF"]))
        assert (references.figures(), references.warnings(), list(tmp_path.iterdir())) == ({}, [], [])

    def test_each_address_switches_its_service_on(self, server: ServiceServer, tmp_path: Path) -> None:
        settings = service_settings(companies_url=server.url, cache_path=tmp_path / "cache")
        with load_references(REFERENCES, settings) as references:
            assert [link.name for link in references.companies.services] == ["cache", "live"]
            assert references.postcodes.services == ()
            assert list(references.figures()) == ["companies"]

    def test_an_age_of_nothing_keeps_no_cache(self, server: ServiceServer, tmp_path: Path) -> None:
        settings = service_settings(postcodes_url=server.url, cache_age=0, cache_path=tmp_path / "cache")
        with load_references(REFERENCES, settings) as references:
            found = references.postcodes.find(pd.Index(["M1 1AF"]))
        assert list(found["source"]) == ["live"]
        assert list(tmp_path.iterdir()) == []

    def test_the_key_of_the_register_is_sent_and_never_shown(self, server: ServiceServer, tmp_path: Path) -> None:
        server.behaviour.key = "s3cret"
        settings = service_settings(companies_url=server.url, companies_key="s3cret", cache_path=tmp_path / "cache")
        with load_references(REFERENCES, settings) as references:
            found = references.companies.find(pd.Index(["techcorp ltd"]))
        assert list(found["source"]) == ["live"]
        assert (found["founded"].iloc[0], found["industry"].iloc[0]) == (2009, "Technology")
        assert b"s3cret" not in (tmp_path / "cache").read_bytes()
        assert "s3cret" not in repr(settings)

    def test_a_withdrawn_postcode_has_its_own_coordinates_and_the_areas_country(
        self, server: ServiceServer, tmp_path: Path
    ) -> None:
        server.behaviour.withdrawn = {"M1 1AA"}
        with load_references(REFERENCES, service_settings(postcodes_url=server.url, cache_path=tmp_path / "c")) as references:
            place = references.postcodes.find(pd.Index(["M1 1AA"])).iloc[0]
        assert (place["country"], place["longitude"], place["source"]) == ("England", -1.5, "live")

    def test_answers_of_one_address_are_not_those_of_another(self, server: ServiceServer, tmp_path: Path) -> None:
        for _ in range(2):
            with load_references(REFERENCES, service_settings(postcodes_url=server.url, cache_path=tmp_path / "c")) as one:
                one.postcodes.find(pd.Index(["M1 1AF"]))
        with ServiceServer() as other:
            settings = service_settings(postcodes_url=other.url, cache_path=tmp_path / "c")
            with load_references(REFERENCES, settings) as references:
                references.postcodes.find(pd.Index(["M1 1AF"]))
            assert (len(server.log), len(other.log)) == (1, 1)

    def test_an_address_with_a_password_in_it_is_refused(self) -> None:
        with pytest.raises(ValueError, match="postcodes_url"):
            service_settings(postcodes_url="https://me:secret@host/")

    def test_an_address_that_is_none_is_told_before_a_row_is_read(self) -> None:
        with pytest.raises(ConfigError, match="companies_url"):
            load_references(REFERENCES, service_settings(companies_url="http://host:port/"))

    def test_the_warning_tells_how_many_keys_and_calls_failed(
        self, server: ServiceServer, tmp_path: Path, pauses: list[float]
    ) -> None:
        server.behaviour.always = "unavailable"
        settings = service_settings(postcodes_url=server.url, attempts=2, cache_path=tmp_path / "c")
        with load_references(REFERENCES, settings) as references:
            references.postcodes.find(pd.Index(["M1 1AF", "EH1 1AA"]))
            told = references.warnings()
        assert told == [
            "the service for postcodes did not answer for 2 of 2 keys (2 of 2 calls failed: unavailable 2); "
            "the embedded reference stood in where it could"
        ]
        assert len(pauses) == 1
