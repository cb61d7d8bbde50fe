"""The judge of `command`: it ended well when the commands were tried last. `try_commands` is what tries them.

Only `python -m` commands of the project are tried, without a shell, in the project's folder.
"""

import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from etl.errors import EXIT_SUCCESS, EXIT_WARNINGS
from etl.repository import code_version
from generators.evidence.drill import verdict_on, weigh
from generators.evidence.exhibits import REFRESH_COMMANDS, Exhibits
from generators.evidence.results import Result
from generators.inputs import DATA, Inputs
from generators.judging import ProofVerdict
from generators.proofs import CommandProof


def judge(proof: CommandProof, exhibits: Exhibits) -> ProofVerdict:
    """Look at how the command ended last."""
    result = exhibits.commands.get(proof.run)
    if result is None:
        return ProofVerdict("command", proof.run, "missing", "not tried yet", remedy=REFRESH_COMMANDS)
    state, why = weigh(result, exhibits, "it was tried")
    return verdict_on(result, "command", proof.run, state, why, "commands", REFRESH_COMMANDS)


def module_of(command: str) -> str | None:
    """Return the module that a command starts, or None when it is no `python -m` command."""
    words = shlex.split(command)
    return words[2] if len(words) > 2 and words[:2] == ["python", "-m"] else None


def try_commands(commands: Iterable[str], root: Path) -> Iterator[Result]:
    """Carry out commands one after the other and yield how each ended. What they print is not kept: it can hold anything."""
    inputs = Inputs(root)
    commit, dirty = code_version(root)
    for command in commands:
        content = inputs.digests(depends_on(command, inputs))
        ran_at, begin = datetime.now(UTC), time.perf_counter()
        done = subprocess.run([sys.executable, *shlex.split(command)[1:]], cwd=root, capture_output=True, check=False)
        good = done.returncode in (EXIT_SUCCESS, EXIT_WARNINGS)
        told = f"ended with {done.returncode}" if done.returncode else "ended well"
        seconds = round(time.perf_counter() - begin, 2)
        yield Result(
            name=command, ran_at=ran_at, good=good, seconds=seconds, commit=commit, dirty=dirty, told=told, content=content
        )


def depends_on(command: str, inputs: Inputs) -> set[str]:
    """Return the files a command depends on: its code with all it imports, the settings and the data of the project."""
    module = module_of(command) or ""
    files = [file for name in (module, f"{module}.__main__") if (file := inputs.module_file(name))]
    return inputs.closure(*files) | inputs.below(*DATA)
