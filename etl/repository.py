"""The repository: what git says of the code, or nothing where there is no git or no checkout; and hashes of files."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterable
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


def digest(content: bytes) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of a file of text, its line ends as on Linux."""
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()[:16]


def content_of(package: Path, files: Iterable[Path]) -> dict[str, str]:
    """Return the hash of every file of a package, by its path from the folder that holds it, and of some other files."""
    code = sorted(path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    named = {path.relative_to(package.parent).as_posix(): path for path in code}
    named |= {path.as_posix(): path for path in files if path.is_file()}
    return {name: digest(path.read_bytes()) for name, path in named.items()}
