"""The stages and stores: what each stage reads, writes, decides and does on failure, declared once.

The pipeline times and records these stages by name; diagram, runbook and privacy record are derived from them.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Store:
    """A place where data rests or comes from."""

    id: str
    title: str
    kind: Literal["file", "reference", "service", "cache", "database", "log", "record", "pages"]
    holds: str
    personal: bool
    outside: bool
    retention: str
    period: str = ""
    """Setting with the days after which `python -m etl prune` deletes it; `retention` then says from when they count."""


@dataclass(frozen=True)
class Decision:
    """A question a stage asks of its data. `no` is the store or end state where the data goes otherwise."""

    id: str
    question: str
    no: str
    no_label: str


@dataclass(frozen=True)
class Stage:
    """One step of the pipeline."""

    name: str
    title: str
    does: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    decision: Decision | None
    on_failure: str
    failures: tuple[str, ...]


STORES: tuple[Store, ...] = (
    Store("customers", "Customer file", "file", "customers as the supplier sends them", True, True,
          "until the load succeeded, then 7 days"),
    Store("postcode_areas", "Postcode reference", "reference", "places by postcode area", False, False, "kept with the code"),
    Store("companies", "Company reference", "reference", "size, industry and revenue bands of companies", False, False,
          "kept with the code"),
    Store("services", "Live services", "service",
          "places by postcode and companies by name, where the settings name a service; it learns distinct postcodes and names", True,
          True, "with their operator, as agreed"),
    Store("answers", "Answer cache", "cache", "postcodes and company names with what the services answered, no customer", True, False,
          "30 days, deleted by the next run"),
    Store("warehouse", "Customer table", "database", "one row per customer, enriched and scored", True, False,
          "as the customer relationship, by column"),
    Store("audit", "Audit table", "database", "one row per run: when, how many, with what outcome", False, False, "6 years"),
    Store("quarantine", "Quarantine", "file", "rejected rows as they came, with the rules they break", True, False,
          "from the start of the run", "runs.keep_quarantine"),
    Store("record", "Run record", "record", "counts, seconds, scores and settings of a run", False, False, "from the start of the run", "runs.keep"),
    Store("log", "Run log", "log", "events of a run: counts and names of stages", False, False, "from the start of the run", "logging.keep"),
    Store("audit_log", "Audit log", "log", "what was done to the data: loads, exports, deletions, as counts", False, False,
          "from the event", "logging.keep_audit"),
    Store("site", "Published pages", "pages", "aggregates of run records", False, False, "until the next publication"),
)  # fmt: skip

STOPPED = "stopped"
"""The end state of a run that may not go on; the audit row and the record are written all the same."""

STAGES: tuple[Stage, ...] = (
    Stage("extract", "Extract", "reads the file in batches of text and checks its header",
          ("customers",), (), Decision("header", "Header as agreed?", STOPPED, "columns missing"),
          "Stops before the first row; nothing is loaded", ("input-unusable",)),
    Stage("validate", "Validate", "brings fields into normal form and checks every rule on every row",
          (), ("quarantine",), Decision("row_valid", "Row free of errors?", "quarantine", "rejected"),
          "A row with an error goes to quarantine with all its reasons; above the limit the run stops",
          ("too-many-rejects", "finished-with-warnings")),
    Stage("enrich", "Enrich", "adds the place by postcode and the bands by company",
          ("answers", "services", "postcode_areas", "companies"), ("answers", "services"),
          Decision("known", "Known to a lookup?", "score", "unknown: loaded without"),
          "What no lookup knows stays empty and is counted as a warning; for a service that fails the reference stands in",
          ("reference-unusable", "service-down", "service-slow", "service-nonsense", "cache-damaged")),
    Stage("score", "Score", "adds risk points with the reasons for each",
          (), (), None, "A pure calculation; a fault in it stops the run", ("unexpected-error", "wrong-figures")),
    Stage("load", "Load", "upserts the batch by customer_id and commits it with its checkpoint",
          (), ("warehouse", "quarantine"), Decision("accepted", "Batch accepted?", STOPPED, "rolled back"),
          "A row the warehouse refuses goes to quarantine; what fails for a moment is tried again; otherwise the batch is rolled "
          "back, the run stops, and the next one goes on behind the last committed batch",
          ("warehouse-unavailable", "schema-drift", "two-runs-at-once", "run-killed", "disk-full")),
    Stage("record", "Record", "writes the audit row, the run record and the log, whatever happened",
          (), ("audit", "record", "log", "audit_log"), None,
          "A record that can't be written is reported on the terminal with the run's outcome", ("disk-full",)),
)  # fmt: skip


def store(store_id: str) -> Store:
    """Return the store with this id; raises KeyError when there is none."""
    return {one.id: one for one in STORES}[store_id]
