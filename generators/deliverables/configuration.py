"""The configuration reference: every setting, where a value comes from, how environments differ, where secrets go."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import SecretStr

from etl import config
from etl.config import LoadedSettings, as_text, is_private, is_secret, setting_names, unit
from etl.errors import ConfigError
from etl.settings import PREFIX, Settings
from generators.context import Context
from generators.deliverable import Deliverable

NOT_CONFIGURABLE = (
    ("The table and column names, their types and lengths", "`etl/schema.py`", "Validation, tables, privacy record and pages are "
     "derived from them; a name that differs from one environment to the next would make each of these untrue in one of them"),
    ("Which rules are checked, and what an error does to a row", "`etl/rules.py`", "A rule that can be switched off in one place is "
     "no rule; severity and remedy are part of its meaning"),
    ("That secrets come from outside of git", "`etl/config.py`", "A file in git is read by more people than any secret is for"),
    ("That a certificate is checked", "`etl/mail.py`", "A switch to skip the check would be used for ever; name your own authority instead"),
    ("What personal data is masked", "`etl/log.py`", "Nobody should be able to turn a log into a list of customers"),
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A setting as the reference lists it."""

    name: str
    description: str
    type: str
    allowed: str
    unit: str
    default: str
    mark: str


def build(context: Context, _: Path) -> Mapping[str, object]:
    """Return the settings by section, the environments side by side, and the settings of the last run."""
    environments = {
        file.stem: config.load(file.stem, folder=context.root / "config")
        for file in sorted((context.root / "config").glob("*.toml"))
    }
    rows = list(_rows())
    return {
        "sections": {
            name: (model.annotation.__doc__, [row for row in rows if row.name.startswith(f"{name}.")])
            for name, model in Settings.model_fields.items()
        },
        "environments": list(environments),
        "differences": list(_differences(environments)),
        "secrets": [(name, variable(name)) for name in setting_names() if is_secret(name)],
        "changed": [(name, entry) for name, entry in context.run.settings.items() if entry.origin != "default"],
        "example": variable("input.batch_size"),
        "size": 1000,
        "wrong": ConfigError.exit_code,
        "prefix": PREFIX,
        "fixed": NOT_CONFIGURABLE,
    }


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + name.replace(".", "__").upper()


def _rows() -> Iterator[Row]:
    defaults = as_text(LoadedSettings("", Settings(), dict.fromkeys(setting_names(), "default")))
    for name, field in setting_names().items():
        mark = "secret" if is_secret(name) else "private" if is_private(name) else ""
        default = defaults[name]["value"]
        yield Row(name, str(field.description), _type_name(field.annotation), _allowed(field), unit(name), default, mark)


def _allowed(field: Any) -> str:
    if choices := [get_args(one) for one in (field.annotation,) if get_origin(one) is Literal]:
        return ", ".join(_CHOICES.get(choice, choice) for choice in choices[0])
    words = {Ge: "at least", Gt: "above", Le: "at most", Lt: "below"}
    limits = [
        (one, getattr(one, kind.__name__.lower())) for one in _limits(field.metadata) for kind in words if isinstance(one, kind)
    ]
    return ", ".join(f"{words[type(one)]} {value:g}" for one, value in limits)


def _limits(metadata: list[Any]) -> Iterator[Any]:
    for one in metadata:
        yield from _limits(one.metadata) if hasattr(one, "metadata") else [one]


def _type_name(annotation: Any) -> str:
    if get_origin(annotation) is tuple:
        return "list"
    if get_origin(annotation) is Literal:
        return "one of"
    kinds = [one for one in (*get_args(annotation), annotation) if one is not type(None)]  # Path | None: a path
    return next((_TYPES[kind] for kind in kinds if kind in _TYPES), "range")


_CHOICES = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar", "": "nothing"}
_TYPES: Mapping[Any, str] = {
    str: "text", bool: "yes or no", int: "whole number", float: "number", Path: "path", SecretStr: "secret",
}  # fmt: skip


def _differences(environments: Mapping[str, LoadedSettings]) -> Iterator[tuple[str, list[str]]]:
    """Yield the settings that are not the same in all environments, with the value in each."""
    shown = {name: as_text(loaded) for name, loaded in environments.items()}
    for name in setting_names():
        values = [entries[name]["value"] for entries in shown.values()]
        if len(set(values)) > 1:
            yield name, values


DELIVERABLE = Deliverable(
    "configuration",
    "Every setting with type, range, unit, default and purpose; where its value comes from; how environments differ; where secrets go.",
    "developers and whoever deploys the pipeline",
    build,
)
