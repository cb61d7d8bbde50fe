"""Shared by all tests: a project folder of one's own, and what counts as a missing part."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from etl.warehouse import Warehouse
from tests import session_record
from tests.postgres_server import Server, running
from tests.warehouse_targets import SERVERS, Target, kinds, make_target

ROOT = Path(__file__).parent.parent


def pytest_configure(config: pytest.Config) -> None:
    session_record.register(config)


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of whoever runs the tests must not change what they see."""
    for name in list(os.environ):
        if name.startswith("HANDOVER_") and name != "HANDOVER_CHROMIUM":
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def events_are_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    """An event that the catalogue does not have is an error in tests; in production it is flagged."""
    monkeypatch.setattr("etl.log.strict", True)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with the settings and reference data of the project; runs and warehouse stay in it."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    shutil.copytree(ROOT / "data" / "reference", tmp_path / "data" / "reference")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL server of the tests' own, one for each process that tests.

    It does not lie below pytest's folder: each pytest that starts on this machine shuts that to all accounts but its own, also to
    the one that a server runs under.
    """
    temporary = tempfile.TemporaryDirectory(prefix="handover-pg-", ignore_cleanup_errors=True)
    with temporary as folder, running(Path(folder)) as started:
        yield started


@pytest.fixture
def database(server: Server) -> str:
    """An empty database on that server."""
    return server.new_database()


@pytest.fixture(params=kinds("duckdb", *SERVERS))
def target(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    """An empty warehouse of each kind."""
    return make_target(request.param, tmp_path, request, monkeypatch)


@pytest.fixture(params=kinds(*SERVERS))
def server_target(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    """An empty warehouse of each kind that is on a server."""
    return make_target(request.param, tmp_path, request, monkeypatch)


@pytest.fixture
def warehouse(target: Target) -> Iterator[Warehouse]:
    """A warehouse of each kind, with its tables."""
    with target.open() as opened:
        opened.prepare()
        yield opened


hypothesis.settings.register_profile("handover", deadline=None, print_blob=True)
hypothesis.settings.load_profile("handover")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The product after its main job ran twice: records, warehouse, pages and site in a folder of its own."""
    from tests.site_build import build_project

    return build_project(tmp_path_factory.mktemp("built") / "project")
