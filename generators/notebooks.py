"""Notebooks: executed for real, only when their inputs changed, and published with personal values masked."""

import hashlib
import html
import os
import platform
import re
import subprocess
import sys
import sysconfig
import tempfile
import time
import unicodedata
import urllib.parse
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from generators.sample_names import NOTEBOOK_CUSTOMERS, NOTEBOOK_UPSERT

MASK = "***"
TIMEOUT = 300
"""Seconds after which a cell counts as stuck."""

_MASKED_FIELDS = ("first_name", "last_name", "email", "phone", "postcode", "company")
_MASK_NOTE = (
    "\n\n*Published with {count} values masked: this notebook holds customers as literals and prints them. "
    "That is one of its faults. Another: it shows groups of a single customer. All of its customers are made up.*"
)
_UNIT = re.compile(
    r"(?P<entity>&(?:amp;)*(?:#\d+;?|#[xX][0-9a-fA-F]+;?|[A-Za-z][A-Za-z0-9]+;))"
    r"|(?P<percent>(?:%[0-9a-fA-F]{2})+)"
    r"|(?P<escape>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\U[0-9a-fA-F]{8}|\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|\\['\"])"
    r"|(?P<nothing>\x1b\[[0-9;]*m|<wbr\s*/?>|</?(?:b|em|i|mark|span|strong)\b[^<>]*>)"
)
"""Ways to write characters, or nothing that a reader sees, between or instead of the letters of a value."""

_INVISIBLE = frozenset("\u00ad\u200b\u200c\u200d\u2060\ufeff")
_USERS_OWN = ("PYTHONSTARTUP", "JUPYTER_PATH", "JUPYTER_CONFIG_PATH")
_NO_SERVER = 'raise ImportError("a notebook that is published works in memory: it could drop tables of a real server")\n'


class NotebookError(Exception):
    """A notebook could not be executed. The text names notebook, cell and error, without what the cell printed."""


@dataclass(frozen=True)
class NotebookResult:
    """What was done with a notebook. `seconds` is 0 when the cached copy was good."""

    name: str
    executed: bool
    seconds: float


@dataclass(frozen=True)
class _Desk:
    """Where a notebook is executed: its working folder, and variables that its environment has besides ours."""

    root: Path
    environment: Mapping[str, str]


def notebook_personal_values() -> set[str]:
    """Return every personal value of the customers that the notebook before holds."""
    return {row[name] for row in (*NOTEBOOK_CUSTOMERS, *NOTEBOOK_UPSERT) for name in _MASKED_FIELDS if row[name]}


def publish_notebooks(
    source: Path,
    target: Path,
    cache: Path,
    inputs: Mapping[str, Sequence[Path]],
    personal: Collection[str],
    *,
    root: Path = Path(),
    environment: Mapping[str, str] | None = None,
) -> list[NotebookResult]:
    """Write an executed, masked copy of every notebook in `source` to `target`.

    `inputs` are the files a notebook reads, by its name: when neither they nor the notebook changed, the copy in `cache` is
    taken. A notebook works in `root` with `environment` added to ours. Raises NotebookError naming the cell that failed;
    then nothing of that notebook is written.
    """
    target.mkdir(parents=True, exist_ok=True)
    cache.mkdir(parents=True, exist_ok=True)
    desk = _Desk(root.resolve(), environment or {})
    return [_publish(path, target, cache, inputs.get(path.stem, ()), personal, desk) for path in sorted(source.glob("*.ipynb"))]


def _publish(
    path: Path, target: Path, cache: Path, inputs: Sequence[Path], personal: Collection[str], desk: _Desk
) -> NotebookResult:
    begin = time.perf_counter()
    cached = cache / f"{path.stem}-{_fingerprint(path, inputs, personal, desk)}.ipynb"
    text = _read(cached)
    if executed := text is None:
        text = _render(path, personal, desk)
        _write(cached, text)
        _forget_older(path.stem, cached)
    _write(target / path.name, text)
    return NotebookResult(path.stem, executed, time.perf_counter() - begin if executed else 0.0)


def _read(cached: Path) -> str | None:
    try:
        return cached.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _write(path: Path, text: str) -> None:
    """Write beside and put in place at once, so that another process sees the old text or the new one, never a part."""
    beside = path.with_name(f".{path.stem}-{uuid.uuid4().hex}.tmp")
    try:
        beside.write_text(text, encoding="utf-8", newline="\n")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _forget_older(name: str, newest: Path) -> None:
    for path in newest.parent.iterdir():
        if path != newest and re.fullmatch(re.escape(name) + r"-[0-9a-f]{16}\.ipynb", path.name):
            path.unlink(missing_ok=True)


def _fingerprint(path: Path, inputs: Sequence[Path], personal: Collection[str], desk: _Desk) -> str:
    digest = hashlib.sha256()
    for file in (path, Path(__file__), *inputs):
        digest.update(file.name.encode("utf-8") + b"\0" + file.read_bytes() + b"\0")
    digest.update(repr((sorted(personal), sorted(desk.environment.items()))).encode("utf-8"))
    digest.update(" ".join([platform.python_version(), *map(version, ("pandas", "duckdb"))]).encode())
    return digest.hexdigest()[:16]


def _render(path: Path, personal: Collection[str], desk: _Desk) -> str:
    import nbformat  # only here and below: a build that executes nothing need not load it

    notebook = mask(_execute(path, desk), personal, desk.root)
    text: str = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    if left := sum(1 for _ in _Mask(personal, desk.root).find(text)):
        raise NotebookError(f"{path.name}: {left} personal values are left after masking. Take them out of what it shows.")
    return text


def _execute(path: Path, desk: _Desk) -> Any:
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    notebook = _load(path)
    reached = [0]
    with tempfile.TemporaryDirectory(prefix="notebook-", ignore_cleanup_errors=True) as folder:
        client = NotebookClient(
            notebook,
            km=_kernel(Path(folder)),
            timeout=TIMEOUT,
            record_timing=False,
            coalesce_streams=True,  # else a value could stand half in one output and half in the next
            resources={"metadata": {"path": str(desk.root)}},
            on_cell_execute=lambda cell, cell_index: reached.append(cell_index + 1),  # noqa: ARG005 - called by name
        )
        environment = _kernel_environment(Path(folder), desk)
        try:
            client.execute(cleanup_kc=True, env=environment, stderr=subprocess.DEVNULL)
        except CellExecutionError as error:
            raise _failure(path, reached[-1], error.ename, "run it to that cell and mend it") from None
        except CellTimeoutError:
            raise _failure(path, reached[-1], f"not done after {TIMEOUT} s", "find out what it waits for") from None
        except (DeadKernelError, RuntimeError, OSError) as error:
            advice = "run it by hand; without a kernel it can't run: pip install ipykernel"
            raise _failure(path, reached[-1], f"the kernel stopped ({type(error).__name__})", advice) from None
    return notebook


def _failure(path: Path, cell: int, what: str, advice: str) -> NotebookError:
    return NotebookError(f"{path.name}, cell {cell}: {what}. Open the notebook, {advice}.")


def _load(path: Path) -> Any:
    import nbformat

    try:
        notebook: Any = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
        nbformat.validate(notebook)
    except (ValueError, TypeError, KeyError, AttributeError, nbformat.ValidationError) as error:
        raise NotebookError(f"{path.name}: no notebook ({type(error).__name__}). Open and save it in Jupyter.") from None
    return notebook


def _kernel(folder: Path) -> Any:
    """Return this interpreter's own kernel, not one of that name in the user's home; it opens no port where it need not."""
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager

    sockets = {"transport": "ipc", "ip": str(folder / "k")} if os.name == "posix" and len(str(folder)) < 80 else {}
    specs = KernelSpecManager(kernel_dirs=[])
    return AsyncKernelManager(kernel_spec_manager=specs, connection_file=str(folder / "kernel.json"), **sockets)


def _kernel_environment(folder: Path, desk: _Desk) -> dict[str, str]:
    """Return an environment in which a notebook reads no settings of the user and finds no driver of a database server."""
    blocked = folder / "blocked"
    blocked.mkdir()
    (blocked / "pyodbc.py").write_text(_NO_SERVER, encoding="utf-8", newline="\n")
    places = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    path = os.pathsep.join(filter(None, [str(blocked), os.environ.get("PYTHONPATH")]))
    ours = {name: value for name, value in os.environ.items() if name not in _USERS_OWN}
    fixed = {"PYTHONPATH": path, "PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "JUPYTER_PLATFORM_DIRS": "1"}
    return ours | {name: str(folder / name.lower()) for name in places} | fixed | dict(desk.environment)


def mask(notebook: Any, personal: Collection[str], root: Path = Path()) -> Any:
    """Return the notebook with every personal value masked in sources and outputs, and a note under its title of how many.

    Also takes out what differs between machines: paths of this one and the kernel's own metadata.
    """
    masked = _Mask(personal, root)
    for cell in notebook.cells:
        cell.metadata = {}
        for part in ("source", "outputs", "attachments"):
            if part in cell:
                cell[part] = masked.everywhere(cell[part])
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    if masked.count and notebook.cells[0].cell_type == "markdown":
        notebook.cells[0].source += _MASK_NOTE.format(count=masked.count)
    return notebook


class _Mask:
    """Masks values, however they are written, and counts what it masked; takes out this machine's paths."""

    def __init__(self, personal: Collection[str], root: Path) -> None:
        values = [value for value in personal if value.strip()]
        forms = {*values, *(unicodedata.normalize(form, value) for value in values for form in ("NFC", "NFD"))}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._values = re.compile("|".join(map(_any_blanks, longest_first)) or r"(?!)", re.IGNORECASE)
        self._places = _machine_places(root)
        self.count = 0

    def everywhere(self, node: Any) -> Any:
        """Mask all texts of a tree, names of its fields among them; the tree is changed."""
        if isinstance(node, str):
            return self.text(node)
        if isinstance(node, list):
            node[:] = [self.everywhere(part) for part in node]
        elif isinstance(node, dict):
            for key in list(node):
                node[self.text(key)] = self.everywhere(node.pop(key))
        return node

    def text(self, text: str) -> str:
        """Mask one text."""
        for pattern, name in self._places:
            text = pattern.sub(name, text)
        parts, end = [], 0
        for begin, after in self.find(text):
            parts += [text[end:begin], MASK]
            end = after
        self.count += len(parts) // 2
        return "".join([*parts, text[end:]])

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where values begin and end in a text."""
        shown, spans = _as_shown(text)
        for found in self._values.finditer(shown):
            yield spans[found.start()][0], spans[found.end() - 1][1]


def _any_blanks(value: str) -> str:
    return r"\s*".join(map(re.escape, value.split()))


def _as_shown(text: str) -> tuple[str, list[tuple[int, int]]]:
    """Return the text as a reader sees it, and for each of its characters where it is written in `text`."""
    letters: list[str] = []
    spans: list[tuple[int, int]] = []
    for begin, end, shown in _units(text):
        seen = [letter for letter in shown if letter not in _INVISIBLE]
        letters += seen
        spans += [(begin, end)] * len(seen)
    return "".join(letters), spans


def _units(text: str) -> Iterator[tuple[int, int, str]]:
    done = 0
    for unit in _UNIT.finditer(text):
        yield from ((at, at + 1, text[at]) for at in range(done, unit.start()))
        yield unit.start(), unit.end(), _shown(unit)
        done = unit.end()
    yield from ((at, at + 1, text[at]) for at in range(done, len(text)))


def _shown(unit: re.Match[str]) -> str:
    written = unit[0]
    if unit["entity"]:
        return _unescape(written)
    if unit["percent"]:
        return urllib.parse.unquote(written, errors="replace")
    if unit["escape"]:
        codes = re.findall(r"\\[Uux]([0-9a-fA-F]+)", written)
        return _joined("".join(chr(min(int(code, 16), sys.maxunicode)) for code in codes)) if codes else written[1]
    return ""


def _joined(surrogates: str) -> str:
    return surrogates.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _unescape(written: str) -> str:
    while (shown := html.unescape(written)) != written:
        written = shown
    return written


def _machine_places(root: Path) -> list[tuple[re.Pattern[str], str]]:
    """Return patterns of paths that tell about this machine or its user, the most particular first, and what stands for them."""
    python = (sysconfig.get_path("stdlib"), sys.base_prefix, sys.prefix)
    known = {**dict.fromkeys(map(Path, python), "[python]"), Path(tempfile.gettempdir()): "[temp]"}
    known = {path: name for path, name in known.items() if len(path.parts) > 2}  # /usr and /tmp are everybody's
    known |= {path: "~" for path in (Path.home(), Path.home().resolve()) if len(path.parts) > 1}
    known |= {path: "." for path in (root.absolute(), root.resolve()) if len(path.parts) > 1}
    named = sorted(known.items(), key=lambda pair: -len(str(pair[0])))
    cell = (re.compile(r"[^\s\"'<>]*ipykernel_\d+[/\\]+\d+\.py"), "[cell]")
    homes = (re.compile(r"(?<![\w.~-])(?:[A-Za-z]:)?(?:\\+|/)(?:home|Users)(?:\\+|/)[\w.-]+", re.IGNORECASE), "~")
    return [cell, *((_path_pattern(path), name) for path, name in named), homes]


def _path_pattern(path: Path) -> re.Pattern[str]:
    separated = r"(?:\\+|/)".join(map(re.escape, re.split(r"[\\/]+", str(path))))
    return re.compile(rf"(?<![\w.~-]){separated}(?![\w-])")
