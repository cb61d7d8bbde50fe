"""Version control: what is advised for this repository, each with what a look at it finds.

Works without git too: what can't be seen then says so, and counts as unseen, never as kept.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from etl.repository import ask_git
from generators.changes import UNRELEASED, Release, fits_version

LARGEST = 1_000_000
"""Bytes; a larger file belongs where data is kept."""

OUTPUTS = ("runs", "site", "warehouse", "docs/generated", "docs/data")
UNSEEN = "Can't be seen from here"
_SECRET_KEY = re.compile(r"password|passwd|pwd|secret|token|api_?key|credential|connection_?string", re.IGNORECASE)
_SECRET_VALUE = re.compile(
    r"(?:password|pwd|accountkey|accesskey)\s*=|://[^/\s:@]+:[^/\s@]+@|-----BEGIN|\b(?:ghp|xox[bp]|AKIA)[\w-]{12,}", re.I
)


@dataclass(frozen=True)
class Advice:
    """A piece of advice: whether it is kept here, and what was found."""

    text: str
    state: Literal["kept", "broken", "unseen"]
    found: str


@dataclass(frozen=True)
class Checkout:
    """A git checkout with `root` at its top."""

    root: Path

    def ask(self, *arguments: str) -> str | None:
        """Return what git says, or None when it refuses."""
        return ask_git(self.root, *arguments)

    def tracked(self) -> list[str]:
        """Return the paths of the files in git, relative to the root."""
        return [name for name in (self.ask("ls-files", "-z") or "").split("\0") if name]


def open_checkout(root: Path) -> Checkout | None:
    """Return the checkout at `root`; None without git, or where `root` is not the top of one."""
    top = ask_git(root, "rev-parse", "--show-toplevel")
    return Checkout(root) if top and Path(top.strip()).resolve() == root.resolve() else None


def look(root: Path, releases: Sequence[Release], version: str) -> list[Advice]:
    """Return all advice with what `root` shows of it; `version` is the package's."""
    checkout = open_checkout(root)
    return [
        Advice(
            "One branch per change, merged into a protected main after a review", "unseen", f"{UNSEEN}; the git host enforces it"
        ),
        _merges(checkout),
        _change_log(releases, version),
        _tags(checkout, releases),
        _small_files(checkout),
        _generated(checkout),
        _notebooks(root / "docs" / "notebooks"),
        _secrets(root / "config"),
    ]


def _merges(checkout: Checkout | None) -> Advice:
    text = "The message of a merge names who approved it (Approved-by: ROLE)"
    told = checkout.ask("log", "--merges", "--format=%x00%(trailers:key=Approved-by,valueonly)") if checkout else None
    if told is None:
        return Advice(text, "unseen", UNSEEN)
    merges = told.split("\0")[1:]
    named = sum(bool(merge.strip()) for merge in merges)
    if not merges:
        return Advice(text, "unseen", "There is no merge to look at yet")
    return Advice(text, "kept" if named == len(merges) else "broken", f"{named} of {len(merges)} merges name somebody")


def _change_log(releases: Sequence[Release], version: str) -> Advice:
    fits = fits_version(list(releases), version)
    return Advice(
        "The change log's newest section is the unreleased one or the package's version", "kept" if fits else "broken",
        f"{releases[0].version}; the package is {version}",
    )  # fmt: skip


def _tags(checkout: Checkout | None, releases: Sequence[Release]) -> Advice:
    text = "A tag for each release, named after it"
    told = checkout.ask("tag", "--list", "v[0-9]*") if checkout else None
    if told is None:
        return Advice(text, "unseen", UNSEEN)
    tags = set(told.split())
    wanted = {f"v{release.version}" for release in releases if release.version != UNRELEASED}
    if apart := sorted(tags ^ wanted):
        return Advice(text, "broken", "Either the tag or the section is missing: " + ", ".join(apart))
    return Advice(text, "kept", f"Each of {len(tags)} has both" if tags else "No release yet, and no tag")


def _small_files(checkout: Checkout | None) -> Advice:
    text = "Small files only; data stays outside"
    if checkout is None:
        return Advice(text, "unseen", UNSEEN)
    names = checkout.tracked()
    large = [name for name in names if (path := checkout.root / name).is_file() and path.stat().st_size > LARGEST]
    found = "Too large: " + ", ".join(large) if large else f"None of {len(names)} files is larger than {LARGEST:,} bytes"
    return Advice(text, "broken" if large else "kept", found)


def _generated(checkout: Checkout | None) -> Advice:
    text = "Nothing generated in git"
    if checkout is None:
        return Advice(text, "unseen", UNSEEN)
    tracked = [name for name in checkout.tracked() if name.startswith(tuple(f"{folder}/" for folder in OUTPUTS))]
    open_to_git = [folder for folder in OUTPUTS if checkout.ask("check-ignore", "-q", "--no-index", f"{folder}/any") is None]
    if tracked or open_to_git:
        return Advice(text, "broken", "Take out of git or add to .gitignore: " + ", ".join([*tracked, *open_to_git]))
    return Advice(text, "kept", f"Git ignores {', '.join(OUTPUTS)}")


def _notebooks(folder: Path) -> Advice:
    text = "Notebooks without outputs"
    paths = sorted(folder.glob("*.ipynb"))
    dirty = [path.name for path in paths if _has_outputs(path)]
    if not paths:
        return Advice(text, "unseen", "There is no notebook")
    found = "With outputs: " + ", ".join(dirty) if dirty else f"{len(paths)} notebooks, none with outputs"
    return Advice(text, "broken" if dirty else "kept", found)


def _has_outputs(path: Path) -> bool:
    return any(cell.get("outputs") for cell in json.loads(path.read_text(encoding="utf-8"))["cells"])


def _secrets(folder: Path) -> Advice:
    text = "No secret in a file of settings; they come from the environment"
    paths = sorted(folder.glob("*.toml"))
    found = [f"{path.name}: {name}" for path in paths for name in _secret_names(path)]
    if not paths:
        return Advice(text, "unseen", "There is no file of settings")
    if found:
        return Advice(text, "broken", "Looks like one: " + ", ".join(found))
    return Advice(text, "kept", f"None in {len(paths)} files")


def _secret_names(path: Path) -> Iterator[str]:
    """Yield the names of settings whose name or value looks like a secret; never the value."""
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        yield "not readable as TOML"
        return
    for name, value in _flat(settings):
        if value != "" and (_SECRET_KEY.search(name) or _SECRET_VALUE.search(str(value))):
            yield name


def _flat(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else key)
    else:
        yield prefix, node
