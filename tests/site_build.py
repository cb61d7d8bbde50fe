"""The whole product once, as a user gets it: run twice, write the pages, build the site. Shared by all workers."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
COPIED = ("config", "data", "docs", "facts", "templates", "etl", "generators", "changes", "backlog.yaml", "mkdocs.yml",
          "CHANGELOG.md", "CODEOWNERS", "pyproject.toml", "handover.py")  # fmt: skip


def copy_project(target: Path) -> Path:
    """Copy what the main job needs, without outputs of earlier runs."""
    target.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(
                source,
                target / name,
                ignore=shutil.ignore_patterns("__pycache__", *(("generated", "data") if name == "docs" else ())),
            )
        else:
            shutil.copy(source, target / name)
    return target


def command(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m ...` in the project, with no setting from outside."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HANDOVER_", "COV_", "PYTHONDONT"))}
    environment |= {"PYTHONUTF8": "1", "NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true", "PYTHONPATH": str(project),
                    "JUPYTER_PLATFORM_DIRS": "1", "IPYTHONDIR": str(project / ".ipython")}  # fmt: skip
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def build_project(project: Path) -> Path:
    """Run the main job twice in a fresh copy and build the site; fails with what was printed when a step fails."""
    copy_project(project)
    steps = (["etl", "run", "--quiet"], ["handover"], ["mkdocs", "build", "--strict"])
    told = []
    for step in steps:
        done = command(project, *step)
        told.append(done.stdout + done.stderr)
        assert done.returncode in (0, 10), f"{' '.join(step)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    (project / "told.txt").write_text("\n".join(told), encoding="utf-8")
    return project
