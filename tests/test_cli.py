"""The command line as a whole."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from etl import cli
from etl.console import COMMANDS
from tests.conftest import ROOT


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in COMMANDS.items():
        with pytest.raises(SystemExit) as ended:
            cli.main([name, "--help"])
        assert ended.value.code == 0
        assert text[:20] in capsys.readouterr().out


def test_a_reader_that_has_read_enough_is_no_error(project: Path) -> None:
    for number in range(2000):  # more than a pipe holds
        (project / f"runs/20261120T{number:06}Z-00000a").mkdir(parents=True)
    with subprocess.Popen(
        [sys.executable, "-m", "etl", "runs"], cwd=project, env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 0
