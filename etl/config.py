"""The settings: every one declared once with type, default, unit and purpose.

A value comes from, later ones winning: the defaults here, `config/<environment>.toml`, environment variables
(`HANDOVER_INPUT__BATCH_SIZE=1000`), the command line. `load` remembers which of them it was.
"""

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from etl.errors import ConfigError

CONFIG_FOLDER = Path("config")
PREFIX = "HANDOVER_"

Share = Annotated[float, Field(ge=0, le=1, json_schema_extra={"unit": "share, 0 to 1"})]
Percent = Annotated[float, Field(ge=0, le=100, json_schema_extra={"unit": "per cent"})]
Points = Annotated[int, Field(ge=0, le=100, json_schema_extra={"unit": "points"})]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InputSettings(_Section):
    """Where the customers come from."""

    path: Path = Field(Path("data/customers.csv"), description="The customer file to read")
    delimiter: Literal["auto", ",", ";", "|", "\t"] = Field(
        "auto", description="What separates fields; auto takes the one that splits the header best"
    )
    encoding: Literal["auto", "utf-8", "utf-16", "cp1252"] = Field(
        "auto", description="auto reads the byte order mark and takes UTF-8 where there is none"
    )
    batch_size: int = Field(
        50_000, ge=1, description="Rows that are validated, enriched and committed together",
        json_schema_extra={"unit": "rows"},
    )  # fmt: skip
    promised_age: float = Field(
        24, gt=0, description="How old the file may be before its data counts as late",
        json_schema_extra={"unit": "hours"},
    )  # fmt: skip


class ReferenceSettings(_Section):
    """The embedded reference data, the last link of each lookup chain."""

    postcodes: Path = Field(Path("data/reference/postcode_areas.csv"), description="Postcode areas and their places")
    companies: Path = Field(Path("data/reference/companies.csv"), description="Known companies and their bands")


class WarehouseSettings(_Section):
    """Where the customers go."""

    kind: Literal["duckdb"] = Field("duckdb", description="Kind of warehouse")
    path: Path = Field(Path("warehouse/handover.duckdb"), description="File of the embedded warehouse")


class RunSettings(_Section):
    """What a run leaves behind."""

    path: Path = Field(Path("runs"), description="Folder of the run records, logs and quarantined rows")
    interval: float = Field(
        24, gt=0, description="Time between two scheduled runs; pages older than twice this say they are stale",
        json_schema_extra={"unit": "hours"},
    )  # fmt: skip
    published: int = Field(
        30, ge=1, description="How many of the newest runs get a page of their own", json_schema_extra={"unit": "runs"}
    )


class Range(_Section):
    """An acceptable range: at or above target is green, at or above minimum amber, below it red."""

    target: Percent
    minimum: Percent

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.minimum > self.target:
            raise ValueError(f"minimum {self.minimum:g} is above target {self.target:g}")
        return self


class QualitySettings(_Section):
    """When data is good enough. The defaults are proposals that the data's owner decides."""

    rejects_warn: Share = Field(0.05, description="Share of rejected rows above which a run ends with a warning")
    rejects_stop: Share = Field(0.10, description="Share of rejected rows above which loading stops")
    completeness: Range = Field(Range(target=99.5, minimum=98), description="Range of the completeness score")
    validity: Range = Field(Range(target=99, minimum=97), description="Range of the validity score")
    uniqueness: Range = Field(Range(target=100, minimum=99.5), description="Range of the uniqueness score")
    consistency: Range = Field(Range(target=98, minimum=95), description="Range of the consistency score")
    timeliness: Range = Field(Range(target=100, minimum=50), description="Range of the timeliness score")
    accuracy: Range = Field(Range(target=95, minimum=85), description="Range of the accuracy score")


class RiskSettings(_Section):
    """The points of each risk factor and the bands their sum falls into."""

    suspended: Points = Field(60, description="Points for a suspended account")
    high_risk_region: Points = Field(15, description="Points for a place listed in high_risk_regions")
    small_business: Points = Field(15, description="Points for a company in the bands Micro or Small")
    new_business: Points = Field(15, description="Points for a company founded within new_business_years")
    high_risk_regions: tuple[str, ...] = Field(
        (), description="Regions or countries that add points. Empty: scoring people by where they live needs a reason"
    )
    new_business_years: int = Field(
        2, ge=0, description="How many years a company counts as new", json_schema_extra={"unit": "years"}
    )
    medium_from: Points = Field(15, description="Points from which the band is Medium")
    high_from: Points = Field(50, description="Points from which the band is High")


class PrivacySettings(_Section):
    """What published pages may show."""

    k: int = Field(
        10, ge=1, description="Smallest group of customers that a published figure may describe",
        json_schema_extra={"unit": "customers"},
    )  # fmt: skip


class Settings(BaseSettings):
    """All settings of a run; frozen once loaded."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix=PREFIX, env_nested_delimiter="__", nested_model_default_partial_update=True
    )

    input: InputSettings = InputSettings()  # type: ignore[call-arg]
    references: ReferenceSettings = ReferenceSettings()  # type: ignore[call-arg]
    warehouse: WarehouseSettings = WarehouseSettings()  # type: ignore[call-arg]
    runs: RunSettings = RunSettings()  # type: ignore[call-arg]
    quality: QualitySettings = QualitySettings()  # type: ignore[call-arg]
    risk: RiskSettings = RiskSettings()  # type: ignore[call-arg]
    privacy: PrivacySettings = PrivacySettings()  # type: ignore[call-arg]

    @classmethod
    def settings_customise_sources(  # type: ignore[override]
        cls, _: type[BaseSettings], init_settings: PydanticBaseSettingsSource, **__: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only `load` merges the sources, so that each value's origin is known."""
        return (init_settings,)


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
    layers = [
        (file.as_posix(), _read_toml(file, folder)),
        ("environment variable", EnvSettingsSource(Settings)()),
        ("command line", _nest(overrides or {})),
    ]
    merged: dict[str, Any] = {}
    origins = dict.fromkeys(setting_names(), "default")
    for origin, layer in layers:
        _merge(merged, layer)
        origins |= dict.fromkeys(_flatten(layer), origin)
    _refuse_unknown_variables()
    try:
        return LoadedSettings(environment, Settings(**merged), origins)
    except ValidationError as error:
        raise ConfigError(_explain(error, origins, environment)) from None


def setting_names() -> dict[str, Any]:
    """Return every setting's dotted name with its field (type, default, description, unit)."""
    return {
        f"{section}.{name}": field
        for section, model in Settings.model_fields.items()
        for name, field in model.annotation.model_fields.items()  # type: ignore[union-attr]
    }


def as_text(settings: LoadedSettings) -> dict[str, dict[str, str]]:
    """Return each setting's value and origin by dotted name, as a run record keeps them."""
    plain = settings.values.model_dump(mode="json")
    return {
        name: {"value": _plain(plain[section][key]), "origin": _origin(settings.origins, name)}
        for name in setting_names()
        for section, key in [name.split(".", 1)]
    }


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item:g}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or "(none)"
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


def _refuse_unknown_variables() -> None:
    known = {PREFIX + name.replace(".", "__").upper() for name in setting_names()}
    reserved = {f"{PREFIX}CHROMIUM"}
    for variable in sorted(os.environ):
        upper = variable.upper()
        if upper.startswith(PREFIX) and not any(upper == k or upper.startswith(k + "__") for k in known | reserved):
            raise ConfigError(f"environment variable {variable}: no such setting{_nearest(upper, known)}.")


def _nearest(name: str, known: Iterator[str] | set[str] | dict[str, Any]) -> str:
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {found[0]}?" if found else ""


def _explain(error: ValidationError, origins: Mapping[str, str], environment: str) -> str:
    lines = [f"The settings of environment {environment!r} have {error.error_count()} fault(s):"]
    for fault in error.errors(include_url=False, include_context=False):
        name = ".".join(str(part) for part in fault["loc"])
        origin = origins.get(name, "default")
        if fault["type"] == "extra_forbidden":
            lines.append(f"  {name} (from {origin}): no such setting{_nearest(name, setting_names())}")
        else:
            lines.append(f"  {name} (from {origin}): {fault['msg']}; got {str(fault['input'])[:40]!r}")
    return "\n".join([*lines, "Correct them where they came from and start again."])
