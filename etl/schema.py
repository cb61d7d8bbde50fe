"""The schema: every column declared once, read by DDL, validation, data dictionary, privacy record and masking."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Personal(StrEnum):
    """What kind of personal data a column holds; `NONE` is stated, never left out."""

    NONE = "not personal"
    IDENTIFIER = "pseudonymous identifier"
    IDENTITY = "identity"
    CONTACT = "contact"
    LOCATION = "location"
    BUSINESS = "business, personal for sole traders"
    PROFILE = "profile"
    STATUS = "adverse or commercial fact about a person"
    METADATA = "metadata of a person's record"


Purpose = Literal["service", "support priority", "regional and sector analysis", "operation and proof"]
Retention = Literal["record", "contact", "closure", "reference", "profile"]

RETENTION_WORDS: dict[Retention, str] = {
    "record": "as long as the customer record",
    "contact": "as the record, and 12 months after the relationship ends",
    "closure": "deleted when the account is closed",
    "reference": "24 months, then refreshed or deleted",
    "profile": "current value only, recomputed at each run",
}


@dataclass(frozen=True)
class Column:
    """One column of `customer_enriched`.

    `sql` maps a warehouse dialect to its type; `source` names the stage or file column the value comes from;
    `weight` is how much the column counts in quality scores (3 critical, 2 important, 1 other).
    """

    name: str
    sql: dict[str, str]
    meaning: str
    source: str
    personal: Personal = Personal.NONE
    purposes: tuple[Purpose, ...] = ("operation and proof",)
    retention: Retention = "record"
    required: bool = False
    length: int | None = None
    weight: int = 1
    masked_as: str = "never shown"
    compared: bool = True
    """Whether a change of this value makes a row count as updated (bookkeeping columns do not)."""


def _text(length: int) -> dict[str, str]:
    return _both(f"VARCHAR({length})", f"NVARCHAR({length})")


def _both(duckdb: str, sqlserver: str | None = None) -> dict[str, str]:
    """Return the types by dialect; PostgreSQL has the names that DuckDB took over."""
    return {"duckdb": duckdb, "postgresql": duckdb, "sqlserver": sqlserver or duckdb}


_SERVICE: tuple[Purpose, ...] = ("service",)
_ANALYSIS: tuple[Purpose, ...] = ("support priority", "regional and sector analysis")

COLUMNS: tuple[Column, ...] = (
    Column("customer_id", _both("INTEGER", "INT"), "Number of the customer, the key of every upsert", "input file",
           Personal.IDENTIFIER, ("service", "support priority", "operation and proof"), required=True, weight=3,
           masked_as="kept out of pages; line numbers are used instead"),
    Column("first_name", _text(50), "Given name", "input file", Personal.IDENTITY, _SERVICE, required=True,
           length=50, weight=3, masked_as="***"),
    Column("last_name", _text(50), "Family name", "input file", Personal.IDENTITY, _SERVICE, required=True,
           length=50, weight=3, masked_as="***"),
    Column("email", _text(100), "Address for contact, domain in lower case", "input file", Personal.CONTACT, _SERVICE,
           "contact", required=True, length=100, weight=3, masked_as="***@***"),
    Column("phone", _text(20), "Telephone number as the customer gave it", "input file", Personal.CONTACT, _SERVICE,
           "contact", length=20, masked_as="***"),
    Column("postcode", _text(10), "Postcode in its normal form (capitals, one blank)", "input file",
           Personal.LOCATION, ("service", "regional and sector analysis"), length=10, weight=2,
           masked_as="postcode area only"),
    Column("region", _text(50), "English region; empty outside England, where the country stands for it",
           "postcode lookup", Personal.LOCATION, _ANALYSIS, length=50, weight=2, masked_as="aggregates of k or more"),
    Column("country", _text(50), "Country of the postcode", "postcode lookup", Personal.LOCATION, _ANALYSIS,
           length=50, weight=2, masked_as="aggregates of k or more"),
    Column("district", _text(50), "District or post town of the postcode", "postcode lookup", Personal.LOCATION,
           ("regional and sector analysis",), length=50, masked_as="aggregates of k or more"),
    Column("longitude", _both("DECIMAL(10,7)"), "Degrees east, WGS 84, of the place the lookup knows",
           "postcode lookup", Personal.LOCATION, ("regional and sector analysis",), "closure"),
    Column("latitude", _both("DECIMAL(10,7)"), "Degrees north, WGS 84, of the place the lookup knows",
           "postcode lookup", Personal.LOCATION, ("regional and sector analysis",), "closure"),
    Column("geo_enriched", _both("BOOLEAN", "BIT"), "Whether the postcode lookup knew the place", "enrich",
           Personal.METADATA, weight=1, masked_as="aggregates"),
    Column("company", _text(100), "Company the customer acts for; empty for private persons", "input file",
           Personal.BUSINESS, ("service", "support priority"), length=100, weight=2),
    Column("company_size", _text(50), "Band of employees", "company lookup", Personal.BUSINESS, _ANALYSIS,
           "reference", length=50, masked_as="aggregates of k or more"),
    Column("industry", _text(50), "Industry of the company", "company lookup", Personal.BUSINESS, _ANALYSIS,
           "reference", length=50, masked_as="aggregates of k or more"),
    Column("annual_revenue", _text(50), "Band of annual revenue in pounds", "company lookup", Personal.BUSINESS,
           ("regional and sector analysis",), "reference", length=50, masked_as="aggregates of k or more"),
    Column("is_business", _both("BOOLEAN", "BIT"), "Whether a company is named", "enrich", Personal.BUSINESS,
           _ANALYSIS, weight=2, masked_as="aggregates of k or more"),
    Column("calculated_risk", _text(20), "Risk band: Low, Medium or High", "score", Personal.PROFILE,
           ("support priority",), "profile", length=20, weight=3, masked_as="aggregates of k or more"),
    Column("risk_score_numeric", _both("INTEGER", "INT"), "Sum of the points of the factors found", "score",
           Personal.PROFILE, ("support priority",), "profile", weight=2),
    Column("risk_factors", _text(500), "The factors found, in words, so that the score can be explained", "score",
           Personal.PROFILE, ("support priority",), "profile", length=500),
    Column("status", _text(20), "State of the account: active, inactive, suspended or closed", "input file",
           Personal.STATUS, ("service", "support priority"), required=True, length=20, weight=3,
           masked_as="aggregates of k or more"),
    Column("processed_date", _both("TIMESTAMP", "DATETIME2"), "Start of the run that last changed the row, UTC",
           "load", Personal.METADATA, compared=False, masked_as="per run"),
    Column("data_source", _text(50), "Where the row and its enrichment came from", "enrich", Personal.METADATA,
           length=50, masked_as="aggregates"),
    Column("enrichment_status", _text(50), "complete, place only, company only or none", "enrich",
           Personal.METADATA, length=50, masked_as="aggregates"),
    Column("created_date", _both("TIMESTAMP", "DATETIME2"), "When the row was first loaded, UTC", "load",
           Personal.METADATA, compared=False, masked_as="per run"),
    Column("modified_date", _both("TIMESTAMP", "DATETIME2"), "When a value of the row last changed, UTC", "load",
           Personal.METADATA, compared=False, masked_as="per run"),
)  # fmt: skip

TABLE = "customer_enriched"
INDEXED = ("region", "calculated_risk", "is_business", "status")
"""The columns that readers filter by; a server keeps an index on each."""
AUDIT_TABLE = "enrichment_audit"
KEY = "customer_id"

INPUT_COLUMNS: tuple[str, ...] = tuple(c.name for c in COLUMNS if c.source == "input file")
"""The columns an input file must have, in the order of the table (any order in the file will do)."""

QUARANTINE_COLUMNS = ("quarantine_run", "quarantine_line", "broken_rules", "as_it_came")
"""What a file of rejected rows has besides the input columns: where each row came from and what was wrong with it."""

STATUSES: tuple[str, ...] = ("active", "inactive", "suspended", "closed")

AUDIT_COLUMNS: dict[str, dict[str, str]] = {
    "batch_id": _both("UUID", "UNIQUEIDENTIFIER"),
    "operation_type": _text(50),
    "outcome": _text(20),
    "records_processed": _both("BIGINT"),
    "records_successful": _both("BIGINT"),
    "records_failed": _both("BIGINT"),
    "processing_start": _both("TIMESTAMP", "DATETIME2"),
    "processing_end": _both("TIMESTAMP", "DATETIME2"),
    "error_message": _text(1000),
    "pipeline_version": _text(50),
}
"""The audit row of a run, without its generated columns (`audit_id`, `duration_seconds`). It holds no personal data."""

CHECKPOINT_TABLE = "pipeline_checkpoint"
CHECKPOINT_COLUMNS: dict[str, dict[str, str]] = {
    "run_id": _text(40),
    "input_sha256": _text(64),
    "line": _both("BIGINT"),
    "saved_at": _both("TIMESTAMP", "DATETIME2"),
    "state": _both("VARCHAR", "NVARCHAR(MAX)"),
}
"""How far the load under way has come: one row while there is one. It holds counts, no personal data."""


def column(name: str) -> Column:
    """Return the column called `name`; raises KeyError when the schema has none."""
    return _BY_NAME[name]


_BY_NAME = {c.name: c for c in COLUMNS}
