"""Notebooks: executed for real, only when their inputs changed, and published with personal values masked."""

import hashlib
import html
import platform
import re
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from generators.sample_names import NOTEBOOK_CUSTOMERS, NOTEBOOK_UPSERT

MASK = "***"
_MASKED_FIELDS = ("first_name", "last_name", "email", "phone", "postcode", "company")
_MASK_NOTE = (
    "\n\n*Published with {count} values masked: this notebook holds customers as literals and prints them. "
    "That is one of its faults.*"
)


class NotebookError(Exception):
    """A notebook could not be executed. The text names notebook, cell and error, without what the cell printed."""


@dataclass(frozen=True)
class NotebookResult:
    """What was done with a notebook. `seconds` is 0 when the cached copy was good."""

    name: str
    executed: bool
    seconds: float


def notebook_personal_values() -> set[str]:
    """Return every personal value of the customers that the notebook before holds."""
    return {row[name] for row in (*NOTEBOOK_CUSTOMERS, *NOTEBOOK_UPSERT) for name in _MASKED_FIELDS if row[name]}


def publish_notebooks(
    source: Path, target: Path, cache: Path, inputs: Mapping[str, Sequence[Path]], personal: Collection[str]
) -> list[NotebookResult]:
    """Write an executed, masked copy of every notebook in `source` to `target`.

    `inputs` are the files a notebook reads, by its name: when neither they nor the notebook changed, the copy in `cache` is
    taken. Raises NotebookError naming the cell that failed; then nothing of that notebook is written.
    """
    target.mkdir(parents=True, exist_ok=True)
    cache.mkdir(parents=True, exist_ok=True)
    return [_publish(path, target, cache, inputs.get(path.stem, ()), personal) for path in sorted(source.glob("*.ipynb"))]


def _publish(path: Path, target: Path, cache: Path, inputs: Sequence[Path], personal: Collection[str]) -> NotebookResult:
    begin = time.perf_counter()
    cached = cache / f"{path.stem}-{_fingerprint(path, inputs, personal)}.ipynb"
    executed = not cached.exists()
    if executed:
        import nbformat  # only here and below: a build that executes nothing need not load it

        text = nbformat.writes(mask(_execute(path), personal))  # type: ignore[no-untyped-call]
        for old in cache.glob(f"{path.stem}-*.ipynb"):
            old.unlink(missing_ok=True)
        _write(cached, text)
    _write(target / path.name, cached.read_text(encoding="utf-8"))
    return NotebookResult(path.stem, executed, time.perf_counter() - begin if executed else 0.0)


def _write(path: Path, text: str) -> None:
    beside = path.with_suffix(".tmp")
    beside.write_text(text, encoding="utf-8", newline="\n")
    beside.replace(path)


def _fingerprint(path: Path, inputs: Sequence[Path], personal: Collection[str]) -> str:
    digest = hashlib.sha256()
    for file in (path, Path(__file__), *inputs):
        digest.update(file.name.encode("utf-8") + b"\0" + file.read_bytes() + b"\0")
    digest.update(repr(sorted(personal)).encode("utf-8"))
    digest.update(" ".join([platform.python_version(), *map(version, ("pandas", "duckdb"))]).encode())
    return digest.hexdigest()[:16]


def _execute(path: Path) -> Any:
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    notebook: Any = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", record_timing=False, resources={"metadata": {"path": "."}}
    )
    try:
        client.execute(stderr=subprocess.DEVNULL)  # the kernel warns there of its loopback connection
    except CellExecutionError as error:
        number = next((n for n, cell in enumerate(notebook.cells, 1) if _failed(cell)), 0)
        raise NotebookError(
            f"{path.name}, cell {number}: {error.ename}. Open the notebook, run it to that cell and mend it."
        ) from None
    return notebook


def _failed(cell: Any) -> bool:
    return any(output.output_type == "error" for output in cell.get("outputs", ()))


def mask(notebook: Any, personal: Collection[str]) -> Any:
    """Return the notebook with every personal value masked in sources and outputs, and a note under its title of how many.

    Also takes out what differs between machines: paths of this one and the kernel's own metadata.
    """
    counts = [0]
    for cell in notebook.cells:
        cell.metadata = {}
        cell.source = _mask_text(cell.source, personal, counts)
        for output in cell.get("outputs", ()):
            for key, value in _texts(output):
                output_part = output.data if key in output.get("data", {}) else output
                output_part[key] = _mask_text(value, personal, counts)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    if counts[0]:
        notebook.cells[0].source += _MASK_NOTE.format(count=counts[0])
    return notebook


def _texts(output: Any) -> list[tuple[str, str]]:
    parts = {**output.get("data", {}), **({"text": output.text} if "text" in output else {})}
    return [(key, value) for key, value in parts.items() if isinstance(value, str)]


def _mask_text(text: str, personal: Collection[str], counts: list[int]) -> str:
    text = text.replace(str(Path.home()), "~").replace(str(Path.cwd()), ".")
    if not personal:
        return text
    forms = {form for value in personal for form in (value, html.escape(value))}
    pattern = re.compile("|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)), re.IGNORECASE)
    masked, count = pattern.subn(MASK, text)
    counts[0] += count
    return masked
