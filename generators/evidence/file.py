"""The judge of `file`: it is there, whatever reads its kind can read it, and it fits its schema where one is named."""

import ast
import csv
import json
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import nbformat

from etl.repository import digest
from generators.evidence.exhibits import REFRESH_RUN, Exhibits
from generators.judging import ProofVerdict, State
from generators.proofs import FileProof
from generators.safe_yaml import YamlError, parse_yaml
from generators.schemas import SCHEMAS

RUN = "{run}"
XML_SCHEMA = ".xsd"


def judge(proof: FileProof, exhibits: Exhibits) -> ProofVerdict:
    """Read the file, or each that the pattern names."""
    paths = find(proof.path, exhibits)
    if not paths:
        return ProofVerdict("file", proof.what, "missing", "no such file", remedy=REFRESH_RUN if RUN in proof.path else None)
    state, why = _look_at(paths, proof.fits, exhibits.context.root)
    if state == "proved" and RUN in proof.path and exhibits.run_stale:
        state, why = "stale", exhibits.run_stale
    content = b"".join(path.read_bytes() for path in paths)
    remedy = REFRESH_RUN if state == "stale" else None
    return ProofVerdict("file", proof.what, state, why, None, exhibits.context.now, digest(content), remedy)


def find(pattern: str, exhibits: Exhibits) -> list[Path]:
    """Return the files that a path or pattern names, in their order; {run} is the folder of the newest run that loaded."""
    root = exhibits.context.root
    if RUN in pattern:
        if exhibits.run is None:
            return []
        root = root / exhibits.context.settings.values.runs.path / exhibits.run.run_id
        pattern = pattern.removeprefix(RUN).lstrip("/")
    return sorted(path for path in root.glob(pattern) if path.is_file())


def _look_at(paths: list[Path], fits: str | None, root: Path) -> tuple[State, str]:
    documents = 0
    for path in paths:
        try:
            values = READERS.get(path.suffix, _read_text)(path.read_text(encoding="utf-8"))
            documents += len(values)
            if fits:
                (_validate_xml if fits.endswith(XML_SCHEMA) else _validate)(values, fits, root)
        except (ValueError, SyntaxError, YamlError, csv.Error, nbformat.ValidationError) as error:
            return "failing", f"{path.name}: {_first_line(error)}"
    if fits:
        return "proved", f"{documents} {'entry fits' if documents == 1 else 'entries fit'} the schema {fits}"
    return "proved", "can be read" if len(paths) == 1 else f"{len(paths)} files, all can be read"


def _validate(values: Iterable[Any], fits: str, _: Path) -> None:
    import jsonschema  # takes long to load, and few proofs ask for it

    validator = jsonschema.Draft202012Validator(SCHEMAS[fits](), format_checker=jsonschema.FormatChecker())
    for number, value in enumerate(values, 1):
        if fault := next(validator.iter_errors(value), None):  # its text would quote the value
            where = "/".join(map(str, fault.absolute_path)) or "as a whole"
            raise ValueError(f"entry {number}: {where} breaks {fault.validator!r} of the schema {fits}")


def _validate_xml(values: Iterable[Any], fits: str, root: Path) -> None:
    import xmlschema

    try:
        schema = xmlschema.XMLSchema(str(root / fits), allow="local")
        fault = next((fault for value in values for fault in schema.iter_errors(value)), None)
    except (OSError, xmlschema.XMLSchemaException) as error:
        raise ValueError(f"the schema {fits} can't be used ({type(error).__name__})") from None
    if fault:  # its text would quote the value
        raise ValueError(f"{fault.path or 'the root'} does not fit the schema {fits}")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _read_text(text: str) -> list[Any]:
    if not text.strip():
        raise ValueError("it is empty")
    return [text]


def _read_xml(text: str) -> list[Any]:
    try:
        return [ElementTree.fromstring(text)]
    except ElementTree.ParseError as error:
        raise ValueError(str(error)) from None


def _read_csv(text: str) -> list[Any]:
    rows = list(csv.reader(_read_text(text)[0].splitlines(), strict=True))
    widths = {len(row) for row in rows}
    if len(widths) != 1:
        raise ValueError(f"its rows have {' and '.join(map(str, sorted(widths)))} fields")
    return rows


def _read_notebook(text: str) -> list[Any]:
    notebook = json.loads(text)
    try:
        nbformat.validate(notebook)
    except (TypeError, KeyError, AttributeError):  # it looks into cells before it has looked at them
        raise ValueError("it is no notebook") from None
    return [notebook]


READERS: dict[str, Callable[[str], list[Any]]] = {
    ".json": lambda text: [json.loads(text)],
    ".jsonl": lambda text: [json.loads(line) for line in _read_text(text)[0].splitlines()],
    ".yaml": lambda text: [parse_yaml(text, "it").value],
    ".yml": lambda text: [parse_yaml(text, "it").value],
    ".toml": lambda text: [tomllib.loads(text)],
    ".xml": _read_xml,
    ".svg": _read_xml,
    ".csv": _read_csv,
    ".ipynb": _read_notebook,
    ".py": lambda text: [ast.parse(_read_text(text)[0])],
}
"""What reads each kind of file; any other kind must be text that is not empty."""
