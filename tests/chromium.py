"""Finds the browser for tests. In CI a missing one is a failure; elsewhere the tests that need it are skipped and say so."""

import os
import shutil
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge", "microsoft-edge")
PLACES = (
    Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
    Path("/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge"),
    Path(os.environ.get("PROGRAMFILES", "C:/Program Files")) / "Google/Chrome/Application/chrome.exe",
    Path(os.environ.get("PROGRAMFILES(X86)", "C:/Program Files (x86)")) / "Microsoft/Edge/Application/msedge.exe",
)


def chromium() -> str:
    """Return the path of a Chromium, Chrome or Edge; HANDOVER_CHROMIUM names another one."""
    named = os.environ.get("HANDOVER_CHROMIUM")
    found = named or next((path for name in NAMES if (path := shutil.which(name))), None)
    found = found or next((str(path) for path in PLACES if path.exists()), None)
    if found:
        return found
    missing = "no Chromium, Chrome or Edge found: install one, or name it in HANDOVER_CHROMIUM"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)
