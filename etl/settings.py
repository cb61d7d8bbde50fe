"""The settings: every one declared once with type, default, unit, range and purpose.

Two levels, section and name. A field marked `private` names a person or an internal place; records and pages say only
whether it is set. Secrets are `SecretStr`: they come from the environment or the secrets folder, never from a file in git.
"""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX = "HANDOVER_"

Share = Annotated[float, Field(ge=0, le=1, json_schema_extra={"unit": "share, 0 to 1"})]
Percent = Annotated[float, Field(ge=0, le=100, json_schema_extra={"unit": "per cent"})]
_SECONDS: dict[str, Any] = {"unit": "seconds"}
_PRIVATE: dict[str, Any] = {"private": True}
_DAYS: dict[str, Any] = {"unit": "days"}
_ADDRESS = r"^(https?://[^\s/@]+(/[^\s@]*)?)?$"  # no name and password in it: addresses are recorded
_MAIL_ADDRESS = re.compile(r"[^@\s,;<>()\"\x00-\x1f\x7f]+@[^@\s,;<>()\"\x00-\x1f\x7f]+")
Points = Annotated[int, Field(ge=0, le=100, json_schema_extra={"unit": "points"})]


def _listed(value: object) -> object:
    """Take `one, two` for a list, as a command line or a variable gives it; JSON is taken too."""
    if not isinstance(value, str):
        return value
    return json.loads(value) if value.lstrip().startswith("[") else [part.strip() for part in value.split(",") if part.strip()]


def _addressed(value: str) -> str:
    if not _MAIL_ADDRESS.fullmatch(value):
        raise ValueError("this is no mail address; write it as name@example.org")
    return value


MailAddress = Annotated[str, AfterValidator(_addressed)]
MailAddresses = Annotated[tuple[MailAddress, ...], NoDecode, BeforeValidator(_listed)]


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
        25_000, ge=1, description="Rows that are validated, enriched and committed together",
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


class ServiceSettings(_Section):
    """Live services for what the embedded reference does not know; both are off until they have an address."""

    postcodes_url: str = Field(
        "", pattern=_ADDRESS, description="Base address of a service with the postcodes.io interface; empty switches it off"
    )
    companies_url: str = Field(
        "", pattern=_ADDRESS, description="Base address of a company register (search by name); empty switches it off"
    )
    companies_key: SecretStr = Field(SecretStr(""), description="Key of the company register, sent by HTTP basic")
    connect_timeout: float = Field(3, gt=0, le=60, description="Longest wait for a connection", json_schema_extra=_SECONDS)
    read_timeout: float = Field(10, gt=0, le=300, description="Longest wait for an answer", json_schema_extra=_SECONDS)
    attempts: int = Field(
        4, ge=1, le=10, description="How often a call is tried when a retry is worth it", json_schema_extra={"unit": "attempts"}
    )
    longest_pause: float = Field(
        20,
        gt=0,
        description="Longest pause between two attempts, also when the service asks for more",
        json_schema_extra=_SECONDS,
    )
    withdrawn: int = Field(
        1000,
        ge=0,
        description="How many postcodes unknown to the service a run asks about one by one, to tell withdrawn ones",
        json_schema_extra={"unit": "postcodes"},
    )
    concurrency: int = Field(4, ge=1, le=32, description="Calls under way at once", json_schema_extra={"unit": "calls"})
    breaker_failures: int = Field(
        5, ge=1, description="Failed calls in a row after which the service is left alone", json_schema_extra={"unit": "calls"}
    )
    breaker_pause: float = Field(
        30, gt=0, description="How long it is left alone before one trial call", json_schema_extra=_SECONDS
    )
    cache_path: Path = Field(Path("warehouse/services.sqlite"), description="File of the cached answers")
    cache_age: float = Field(
        720, ge=0, description="How old a cached answer may be; 0 keeps none", json_schema_extra={"unit": "hours"}
    )


class WarehouseSettings(_Section):
    """Where the customers go."""

    kind: Literal["duckdb", "postgresql", "sqlserver"] = Field("duckdb", description="Kind of warehouse")
    path: Path = Field(Path("warehouse/handover.duckdb"), description="File of the embedded warehouse")
    memory: int = Field(
        128, ge=64, description="Memory the embedded warehouse may use for itself", json_schema_extra={"unit": "megabytes"}
    )
    attempts: int = Field(
        5, ge=1, le=20, description="How often a batch is tried after a lock, a deadlock or a lost connection",
        json_schema_extra={"unit": "attempts"},
    )  # fmt: skip
    host: str = Field("", description="Name of the server; not for duckdb")
    port: int = Field(
        0, ge=0, le=65535, description="Port of the server; 0 takes the usual one", json_schema_extra={"unit": "port number"}
    )
    database: str = Field("customer_warehouse", description="Database on the server")
    sign_in: Literal["integrated", "password", "entra"] = Field(
        "integrated", description="As whom: the account the pipeline runs under, user and password, or Entra ID (SQL Server only)"
    )
    user: str = Field("", description="Name to sign in with", json_schema_extra=_PRIVATE)
    password: SecretStr = Field(SecretStr(""), description="Password to sign in with")
    driver: str = Field(
        "auto", description="ODBC driver of SQL Server, by name or path; auto takes 18, 17, then the one that pip brought"
    )
    encryption: Literal["verified", "trusting", "none"] = Field(
        "verified", description="Encrypt and check the certificate; encrypt and trust any; or do neither"
    )
    connect_timeout: float = Field(
        10, gt=0, le=120, description="Longest wait for a connection and the sign-in", json_schema_extra=_SECONDS
    )
    query_timeout: float = Field(300, gt=0, description="Longest wait for one statement", json_schema_extra=_SECONDS)
    lock_timeout: float = Field(
        5, ge=0, description="How long a run waits for another one on the same target", json_schema_extra=_SECONDS
    )


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
    keep: float = Field(730, gt=0, description="How long run records are kept", json_schema_extra=_DAYS)
    keep_quarantine: float = Field(30, gt=0, description="How long quarantined rows are kept", json_schema_extra=_DAYS)


class LoggingSettings(_Section):
    """What is logged, and for how long."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is logged")
    rotate_at: float = Field(
        10, gt=0, description="Size at which a run's log file is rotated", json_schema_extra={"unit": "megabytes"}
    )
    rotate_keep: int = Field(
        5, ge=1, description="Rotated files kept besides the one in use", json_schema_extra={"unit": "files"}
    )
    keep: float = Field(90, gt=0, description="How long logs are kept", json_schema_extra=_DAYS)
    keep_audit: float = Field(365, gt=0, description="How long lines of the audit log are kept", json_schema_extra=_DAYS)


class PerformanceSettings(_Section):
    """When a run is slow, against the baseline of its environment."""

    baseline_runs: int = Field(
        10, ge=5, description="How many of the newest comparable runs a baseline is made of", json_schema_extra={"unit": "runs"}
    )
    slower_factor: float = Field(
        1.5, gt=1, description="How many times the baseline a run may take", json_schema_extra={"unit": "times"}
    )
    slower_seconds: float = Field(
        60, ge=0, description="Least excess over the baseline that counts as slow", json_schema_extra=_SECONDS
    )


class AlertSettings(_Section):
    """Which findings send an alert; each is judged after a run and at a crash."""

    failed: bool = Field(True, description="Alert when a run fails")
    rejects: Share = Field(0.02, description="Share of rejected rows above which an alert is sent")
    quality: Percent = Field(97, description="Overall quality below which an alert is sent")
    slow: bool = Field(True, description="Alert when a run is slower than its baseline allows")
    service_success: Share = Field(0.98, description="Share of successful service calls below which an alert is sent")
    input_age: float = Field(
        48, gt=0, description="Age of the input above which an alert is sent", json_schema_extra={"unit": "hours"}
    )
    quiet: float = Field(
        12, ge=0, description="Time in which the same cause is not sent again", json_schema_extra={"unit": "hours"}
    )
    runbook_url: str = Field(
        "", pattern=_ADDRESS, description="Address of the published runbook, for links; empty names the section only"
    )


class MailSettings(_Section):
    """The mail server that carries alerts; off until it has a host."""

    host: str = Field("", description="Name of the mail server; empty sends no mail")
    port: int = Field(587, ge=1, le=65535, description="Port of the mail server", json_schema_extra={"unit": "port number"})
    security: Literal["starttls", "tls", "none"] = Field("starttls", description="How the connection is protected")
    ca_file: Path | None = Field(None, description="Certificate authority of the mail server; empty trusts the system's")
    user: str = Field("", description="Name to sign in with; empty does not sign in", json_schema_extra=_PRIVATE)
    password: SecretStr = Field(SecretStr(""), description="Password to sign in with")
    sender: Literal[""] | MailAddress = Field("", description="Address that alerts come from", json_schema_extra=_PRIVATE)
    receivers: MailAddresses = Field(
        (), description="Addresses that alerts go to, with commas between", json_schema_extra=_PRIVATE
    )
    timeout: float = Field(
        10, gt=0, le=120, description="Longest wait for one answer of the mail server", json_schema_extra=_SECONDS
    )

    @model_validator(mode="after")
    def _no_password_in_the_clear(self) -> Self:
        if self.user and self.security == "none":
            raise ValueError("security is none, so signing in would send the password in the clear; choose starttls or tls")
        return self


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
    services: ServiceSettings = ServiceSettings()  # type: ignore[call-arg]
    runs: RunSettings = RunSettings()  # type: ignore[call-arg]
    logging: LoggingSettings = LoggingSettings()  # type: ignore[call-arg]
    performance: PerformanceSettings = PerformanceSettings()  # type: ignore[call-arg]
    alerts: AlertSettings = AlertSettings()  # type: ignore[call-arg]
    mail: MailSettings = MailSettings()  # type: ignore[call-arg]
    quality: QualitySettings = QualitySettings()  # type: ignore[call-arg]
    risk: RiskSettings = RiskSettings()  # type: ignore[call-arg]
    privacy: PrivacySettings = PrivacySettings()  # type: ignore[call-arg]

    @classmethod
    def settings_customise_sources(  # type: ignore[override]
        cls, _: type[BaseSettings], init_settings: PydanticBaseSettingsSource, **__: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only `load` merges the sources, so that each value's origin is known."""
        return (init_settings,)
