"""Configuration: merges the sources of the settings and remembers where each value came from.

A value comes from, later ones winning: the defaults in `etl.settings`, `config/<environment>.toml`, the secrets folder
(`HANDOVER_SECRETS=/run/secrets`, one file per setting such as `mail.password`), environment variables
(`HANDOVER_INPUT__BATCH_SIZE=1000`), the command line. All faults are told at once.
"""

import difflib
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic_settings import EnvSettingsSource

from etl.errors import ConfigError
from etl.settings import PREFIX, Settings

CONFIG_FOLDER = Path("config")
SECRETS_VARIABLE = f"{PREFIX}SECRETS"
RESERVED = frozenset({SECRETS_VARIABLE, f"{PREFIX}CHROMIUM", f"{PREFIX}POSTGRESQL_URL", f"{PREFIX}SQLSERVER_URL"})
"""Variables with our prefix that are no settings: the secrets folder, and what the tests are pointed at."""


@dataclass(frozen=True)
class LoadedSettings:
    """Settings with the environment they are for and the origin of each value by dotted name."""

    environment: str
    values: Settings
    origins: Mapping[str, str]


def load(
    environment: str = "default", overrides: Mapping[str, str] | None = None, folder: Path = CONFIG_FOLDER
) -> LoadedSettings:
    """Merge all sources into settings.

    `overrides` are dotted names with values from the command line. Raises ConfigError naming every fault at once,
    each with the source it came from.
    """
    file = folder / f"{environment}.toml"
    written = _read_toml(file, folder)
    layers = [
        (file.as_posix(), written),
        ("secrets folder", _read_secrets()),
        ("environment variable", EnvSettingsSource(Settings)()),
        ("command line", _nest(overrides or {})),
    ]
    merged: dict[str, Any] = {}
    origins = dict.fromkeys(setting_names(), "default")
    for origin, layer in layers:
        _merge(merged, layer)
        origins |= dict.fromkeys(_flatten(layer), origin)
    faults = [*_unknown_variables(), *_secrets_in_file(written, file)]
    try:
        settings = Settings(**merged)
    except ValidationError as error:
        faults += _explain(error, origins)
    if faults:
        count = f"{len(faults)} fault" + "s" * (len(faults) > 1)
        listed = "\n".join(f"  {fault}" for fault in faults)
        raise ConfigError(
            f"The settings of environment {environment!r} have {count}:\n{listed}\n"
            "Correct them where they came from and start again."
        )
    return LoadedSettings(environment, settings, origins)


def with_input(settings: LoadedSettings, path: Path) -> LoadedSettings:
    """Return the same settings with another customer file."""
    values = settings.values.model_copy(update={"input": settings.values.input.model_copy(update={"path": path})})
    return LoadedSettings(settings.environment, values, {**settings.origins, "input.path": "command line"})


def missing_files(settings: LoadedSettings) -> Iterator[str]:
    """Yield, for each setting that names a file a run reads, what is missing and where its name comes from."""
    values = settings.values
    read = {
        "input.path": values.input.path, "references.postcodes": values.references.postcodes,
        "references.companies": values.references.companies, "mail.ca_file": values.mail.ca_file,
    }  # fmt: skip
    for name, path in read.items():
        if path is not None and not path.is_file():
            yield f"{name} (from {_origin(settings.origins, name)}): {path.as_posix()}: there is no such file"


def setting_names() -> dict[str, Any]:
    """Return every setting's dotted name with its field (type, default, description, unit)."""
    return {
        f"{section}.{name}": field
        for section, model in Settings.model_fields.items()
        for name, field in model.annotation.model_fields.items()  # type: ignore[union-attr]
    }


def is_secret(name: str) -> bool:
    """Tell whether the setting called `name` is a secret."""
    return setting_names()[name].annotation is SecretStr


def is_private(name: str) -> bool:
    """Tell whether the value of the setting called `name` is kept out of records and pages."""
    return bool((setting_names()[name].json_schema_extra or {}).get("private"))


def unit(name: str) -> str:
    """Return the unit of the setting called `name`, empty when it has none."""
    return _unit(setting_names()[name])


def as_text(settings: LoadedSettings, private: bool = False) -> dict[str, dict[str, str]]:
    """Return each setting's value and origin by dotted name, as a run record keeps them.

    A secret is only said to be set or not. Private values are written out when `private` is true, for the terminal of
    whoever holds the settings anyway.
    """
    plain = settings.values.model_dump(mode="json")
    return {
        name: {"value": _shown(name, plain[section][key], private), "origin": _origin(settings.origins, name)}
        for name in setting_names()
        for section, key in [name.split(".", 1)]
    }


def _shown(name: str, value: object, private: bool) -> str:
    if is_secret(name) or (is_private(name) and not private):
        return "(set)" if value else "(not set)"
    return _plain(value)


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item:g}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or "(none)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value in ("", None):
        return "(none)"
    return f"{value:g}" if isinstance(value, float) else str(value).replace("\\", "/")


def _origin(origins: Mapping[str, str], name: str) -> str:
    inside = [origin for key, origin in origins.items() if key.startswith(name + ".")]
    return inside[-1] if inside else origins[name]


def _read_toml(file: Path, folder: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(sorted(p.stem for p in folder.glob("*.toml"))) or "none"
        raise ConfigError(
            f"{file.as_posix()}: there is no such environment; found in {folder.as_posix()}/: {known}. "
            "Name one of these with --environment or add the file."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file.as_posix()}: not readable as TOML: {error}. Correct the file.") from None


def _nest(flat: Mapping[str, str]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *sections, key = name.split(".")
        here = nested
        for section in sections:
            here = here.setdefault(section, {})
        here[key] = value
    return nested


def _flatten(layer: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in layer.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def _merge(into: dict[str, Any], layer: Mapping[str, Any]) -> None:
    for key, value in layer.items():
        if isinstance(value, Mapping):
            inner = into.setdefault(key, {})
            _merge(inner, value) if isinstance(inner, dict) else into.update({key: value})
        else:
            into[key] = value


def _read_secrets() -> dict[str, Any]:
    """Read the files of the secrets folder that are named like a secret setting; others in it are left alone."""
    name = os.environ.get(SECRETS_VARIABLE)
    if not name:
        return {}
    folder = Path(name)
    if not folder.is_dir():
        raise ConfigError(f"environment variable {SECRETS_VARIABLE}: there is no such folder. Create it or unset the variable.")
    secrets = filter(is_secret, setting_names())
    return _nest({s: (folder / s).read_text(encoding="utf-8").strip() for s in secrets if (folder / s).is_file()})


def _secrets_in_file(written: Mapping[str, Any], file: Path) -> Iterator[str]:
    known = setting_names()
    for name in _flatten(written):
        if name in known and is_secret(name):
            variable = PREFIX + name.replace(".", "__").upper()
            yield f"{name} (from {file.as_posix()}): a secret must not stand in a file; set {variable} or use the secrets folder"


def _unknown_variables() -> Iterator[str]:
    known = {PREFIX + name.replace(".", "__").upper() for name in setting_names()}
    for variable in sorted(os.environ):
        upper = variable.upper()
        if upper.startswith(PREFIX) and not any(upper == k or upper.startswith(k + "__") for k in known | RESERVED):
            yield f"environment variable {variable}: no such setting{_nearest(upper, known)}"


def _nearest(name: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {found[0]}?" if found else ""


def _explain(error: ValidationError, origins: Mapping[str, str]) -> Iterator[str]:
    known = setting_names()
    for fault in error.errors(include_url=False, include_context=False):
        name = ".".join(str(part) for part in fault["loc"])
        setting = _setting_of(name)
        origin = origins.get(name) or origins.get(setting or "", "default")
        if fault["type"] == "extra_forbidden":
            yield f"{name} (from {origin}): no such setting{_nearest(name, known)}"
        else:
            unit = _unit(known.get(name))
            # Of a whole section nothing is quoted: its secrets are in it.
            given = f"; got {str(fault['input'])[:40]!r}" if setting and not is_secret(setting) else ""
            yield f"{name} (from {origin}): {fault['msg']}{given}{f', unit: {unit}' if unit else ''}"


def _setting_of(name: str) -> str | None:
    """Return the setting that a place in the settings belongs to: `mail.receivers` for `mail.receivers.0`."""
    return next((setting for setting in setting_names() if name == setting or name.startswith(f"{setting}.")), None)


def _unit(field: Any) -> str:
    extras = [getattr(one, "json_schema_extra", None) for one in (field, *getattr(field, "metadata", ()))]
    return next((extra["unit"] for extra in extras if extra and "unit" in extra), "")
