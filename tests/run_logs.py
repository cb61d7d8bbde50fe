"""Reads logs for tests, and judges every line by the published schema."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

from etl.events import FLAG, json_schema
from etl.log import log_parts


@cache
def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json_schema(), format_checker=jsonschema.FormatChecker())


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's log; every one of them must be as the schema says, and as the catalogue has it."""
    lines = [json.loads(text) for part in log_parts(folder) for text in part.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        validator().validate(line)
        assert FLAG not in line, line
    return lines


def only_run(runs: Path) -> Path:
    """Return the folder of the one run there is."""
    (folder,) = [path for path in runs.iterdir() if path.is_dir()]
    return folder
