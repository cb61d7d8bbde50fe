"""A disk that is full or may not be written: the last committed batch stays, and the error says what to do."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from etl.errors import DiskError
from tests.conftest import ROOT
from tests.test_warehouse import open_at

posix = pytest.mark.skipif(os.name != "posix", reason="limits and rights of files as here are those of POSIX")

BEGIN = """
import os, sys
from pathlib import Path
from etl.errors import PipelineError
from tests.test_warehouse import NOW, open_at, upsert
from tests.test_warehouse_contract import many
path = Path(sys.argv[1])
"""
FULL = """
import resource
try:
    with open_at(path) as warehouse:
        warehouse.prepare()
        upsert(warehouse, many(100), NOW)
        warehouse.execute("CHECKPOINT")
        size = max(one.stat().st_size for one in path.parent.iterdir())
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 200_000, -1))  # nothing can grow beyond this
        for start in range(100, 100_000, 5_000):
            upsert(warehouse, many(100_000).iloc[start : start + 5_000], NOW)
            print("loaded", start + 5_000, flush=True)
except PipelineError as error:
    print(error.exit_code, error, flush=True)
os._exit(0)  # without the tidying up of a library whose file can't be written
"""
READ_ONLY = """
if os.geteuid() == 0:
    os.setuid(65534)  # whom no file here belongs to; root may write anything
try:
    open_at(path).close()
except PipelineError as error:
    print(error.exit_code, error)
"""


def carried_out(script: str, path: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + script, str(path)], cwd=ROOT, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@posix
def test_a_full_disk_leaves_the_last_committed_batch_and_ends_with_its_own_exit_code(tmp_path: Path) -> None:
    *loaded, told = carried_out(FULL, tmp_path / "w.duckdb").splitlines()
    assert told.startswith(f"{DiskError.exit_code} {(tmp_path / 'w.duckdb').as_posix()}: no room left to write")
    assert "Make room, run again." in told
    with open_at(tmp_path / "w.duckdb") as warehouse:
        warehouse.prepare()
        rows = warehouse.health().rows
    assert rows == (int(loaded[-1].split()[1]) if loaded else 100)


@posix
def test_a_folder_that_may_not_be_written_is_told_with_what_to_look_at() -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are shut to other accounts
        folder = Path(name)
        folder.chmod(0o555)
        told = carried_out(READ_ONLY, folder / "w.duckdb")
        folder.chmod(0o755)
    assert told.startswith(f"4 {(folder / 'w.duckdb').as_posix()}: the warehouse failed with")
    assert "the folder can't be written" in told
