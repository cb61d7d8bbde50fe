"""Signatures: who accepted which page, when, and what the page said then. `facts/signoffs.yaml` holds them.

A signature covers what a page says, not its figures: those change with every run.
"""

import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from etl.repository import digest
from generators.facts import FactsError
from generators.safe_yaml import YamlError, read_yaml

HEADER = "# Who accepted which page. Written by: python -m generators.evidence sign\n"
_CHANGING = re.compile(
    r"<data [^>]*>.*?</data>|<time [^>]*>.*?</time>|<svg.*?</svg>|<p class=\"provenance\">.*?</p>|`?\b\d{8}T\d{6}Z-[0-9a-f]{6}\b`?"
    r"|^---\n.*?^---\n|^```.*?^```|\d[\d,.:]*",
    re.DOTALL | re.MULTILINE,
)


class Signature(BaseModel):
    """What a person said of a page. `seen` is the fingerprint of what it said; refused means the person did not accept it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    page: str = Field(min_length=1, description="Slug of the deliverable")
    role: str = Field(min_length=1, description="The role that the criterion asks for")
    who: str = Field(min_length=1, description="Who signed, as the organisation wants it to be named on a page")
    on: date = Field(description="The day")
    seen: str = Field(pattern="^[0-9a-f]{16}$", description="Fingerprint of the page as it was signed")
    accepted: bool = Field(True, description="false when the person refused")
    note: str | None = Field(None, description="What the person wants to be known")


_SIGNATURES: TypeAdapter[list[Signature]] = TypeAdapter(list[Signature])


def read_signatures(path: Path) -> list[Signature]:
    """Return all signatures, oldest first; none when there is no file. Raises FactsError naming the file and the entry."""
    if not path.is_file():
        return []
    try:
        document = read_yaml(path)
        return _SIGNATURES.validate_python(document.value or [])
    except YamlError as error:
        raise FactsError(str(error)) from None
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        line = document.line(tuple(fault["loc"]))
        where = ".".join(str(part) for part in fault["loc"])
        raise FactsError(f"{path.name}, line {line}: {where}: {fault['msg']}. Correct the entry, or sign anew.") from None


def write_signatures(path: Path, signatures: Sequence[Signature]) -> None:
    """Write all signatures."""
    data = [one.model_dump(mode="json", exclude_none=True) for one in signatures]
    path.write_text(HEADER + yaml.safe_dump(data, sort_keys=False, allow_unicode=True), encoding="utf-8", newline="\n")


def fingerprint(page: str) -> str:
    """Return the hash of what a page says: its words, without figures, times, pictures and listings."""
    return digest(" ".join(_CHANGING.sub(" ", page).split()).encode())
