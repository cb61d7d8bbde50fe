"""The repository: what git says of the code, or nothing where there is no git or no checkout."""

import os
import shutil
import subprocess
from pathlib import Path


def ask_git(folder: Path, *arguments: str) -> str | None:
    """Return what `git ARGUMENTS` prints in a folder, or None when git is not there or refuses."""
    git = shutil.which("git")
    if git is None:
        return None
    # Within a hook, git's own variables would point at another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        [git, *arguments], cwd=folder, env=environment, capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    return done.stdout if done.returncode == 0 else None


def code_version(folder: Path) -> tuple[str | None, bool | None]:
    """Return the commit that is checked out and whether files differ from it; twice None where that can't be seen."""
    commit = ask_git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None, None
    return commit.strip(), bool((ask_git(folder, "status", "--porcelain") or "").strip())
