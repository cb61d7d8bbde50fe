"""Transform: what happens to a batch between the file and the warehouse, as pure functions.

`transform` has no side effect and keeps no state, so the same function runs in a local loop and on a cluster.
Frames carry the input columns plus working columns with a leading underscore, which `load` leaves behind.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from etl.references import FAILED, UNKNOWN, References
from etl.rules import Rule, Severity, rules_of
from etl.schema import INPUT_COLUMNS
from etl.services import CACHE, LIVE
from etl.settings import RiskSettings

STAND_INS = frozenset({"", "-", "--", "n/a", "na", "none", "null", "nil", "?", "unknown"})
"""What suppliers write where they have nothing, in lower case; read as empty."""

_BLANK = pa.scalar(" ", pa.large_string())
_STAND_INS = pa.array(sorted(STAND_INS), pa.large_string())
STANDARD_PROFILE = "standard profile"
INDIVIDUAL = "Individual"
Marks = npt.NDArray[np.bool_]
Observe = Callable[[str], AbstractContextManager[object]]


class Tally(NamedTuple):
    """How many rows a rule was about and how many broke it."""

    applicable: int = 0
    violations: int = 0

    def plus(self, other: "Tally") -> "Tally":
        """Return the sum of both."""
        return Tally(self.applicable + other.applicable, self.violations + other.violations)


class Transformed(NamedTuple):
    """A batch after all stages: rows to load, rows for quarantine (with `_rules`), and what was counted."""

    accepted: pd.DataFrame
    rejected: pd.DataFrame
    tallies: Mapping[str, Tally]
    sources: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Knowledge:
    """What `transform` needs besides the batch; the same for all batches of a run."""

    references: References
    risk: RiskSettings
    as_of: date


def transform(batch: pd.DataFrame, knowledge: Knowledge, observe: Observe = nullcontext) -> Transformed:
    """Validate, enrich and score a batch as `etl.extract` yields it.

    `observe` is entered with the name of each stage, so that a caller can time it.
    """
    with observe("validate"):
        accepted, rejected, tallies = validate(normalise(batch))
    with observe("enrich"):
        enriched, sources = enrich(accepted, knowledge.references)
        tallies |= {rule.id: _tally(rule, enriched)[0] for rule in rules_of("enrich")}
    with observe("score"):
        scored = score(enriched, knowledge.risk, knowledge.as_of)
    return Transformed(scored, rejected, tallies, sources)


def normalise(batch: pd.DataFrame) -> pd.DataFrame:
    """Bring each field into its normal form without changing what it says: blanks, letter case, Unicode form NFC."""
    fields = {name: _normal_text(pa.array(batch[name])) for name in INPUT_COLUMNS}
    fields["email"] = pc.utf8_lower(fields["email"])
    fields["status"] = pc.utf8_lower(fields["status"])
    fields["postcode"] = _normal_postcode(fields["postcode"])
    texts = pa.table(fields).to_pandas(types_mapper={pa.large_string(): batch["_raw"].dtype}.get)
    return batch.assign(**{name: texts[name].set_axis(batch.index) for name in INPUT_COLUMNS})


def _normal_text(text: pa.LargeStringArray) -> pa.LargeStringArray:
    if pc.all(pc.string_is_ascii(text)).as_py():
        text = pc.ascii_trim_whitespace(text)
    else:
        text = pc.utf8_trim_whitespace(pc.utf8_normalize(text, form="NFC"))
    if pc.any(pc.starts_with(text, "'")).as_py():  # a spreadsheet's sign for "this is text", as our own exports have it
        guarded = pc.match_substring_regex(text, "^'[=@+-]")
        text = pc.if_else(guarded, pc.utf8_slice_codeunits(text, 1), text)
    if pc.any(pc.match_substring(text, "  ")).as_py():
        text = pc.replace_substring_regex(text, " {2,}", " ")
    nothing = pc.is_in(pc.ascii_lower(text), value_set=_STAND_INS)
    return pc.if_else(nothing, "", text) if pc.any(nothing).as_py() else text


def _normal_postcode(text: pa.LargeStringArray) -> pa.LargeStringArray:
    squeezed = pc.replace_substring(pc.ascii_upper(text), " ", "")
    parted = pc.binary_join_element_wise(pc.utf8_slice_codeunits(squeezed, 0, -3), pc.utf8_slice_codeunits(squeezed, -3), _BLANK)
    normal = pc.if_else(pc.greater(pc.utf8_length(squeezed), 3), parted, squeezed)
    forces = pc.match_substring_regex(squeezed, r"^BFPO\d+$")  # parted after the letters, not before the last three
    return pc.if_else(forces, pc.replace_substring(squeezed, "BFPO", "BFPO "), normal) if pc.any(forces).as_py() else normal


def validate(batch: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Tally]]:
    """Check every rule on every row; return the rows without errors, those with (`_rules` names all), and the tallies."""
    errors = {}
    tallies = {}
    whole = ~(batch["_misshapen"] | batch["_undecodable"]).to_numpy()
    for rule in rules_of("validate"):
        # Fields of a line that does not split as it should mean nothing; only the rules about the line speak.
        tallies[rule.id], broken = _tally(rule, batch, None if rule.column == "row" else whole)
        if rule.severity is Severity.ERROR:
            errors[rule.id] = broken
    marks = np.column_stack(list(errors.values()))
    bad = marks.any(axis=1)
    accepted, rejected = batch.take(np.flatnonzero(~bad)), batch.take(np.flatnonzero(bad))
    names = np.array(list(errors), dtype=object)
    reasons = pd.Series([list(names[row]) for row in marks[bad]], index=rejected.index, dtype="object")
    return accepted, rejected.assign(_rules=reasons), tallies


def _tally(rule: Rule, batch: pd.DataFrame, only: Marks | None = None) -> tuple[Tally, Marks]:
    broken = rule.breaks(batch).to_numpy(dtype=bool)
    applies = rule.applies(batch).to_numpy(dtype=bool) if rule.applies else np.ones(len(batch), dtype=bool)
    if only is not None:
        applies = applies & only
    broken = applies & broken
    return Tally(int(applies.sum()), int(broken.sum())), broken


def enrich(batch: pd.DataFrame, references: References) -> tuple[pd.DataFrame, dict[str, dict[str, int]]]:
    """Add place and company to each row; return the rows and how many came from which source."""
    place = references.postcodes.look_up(batch["postcode"])
    company = references.companies.look_up(batch["company"].str.lower())
    known_place, known_company = _known(place), _known(company)
    is_business = batch["company"] != ""
    enriched = batch.assign(
        **{name: place[name].fillna("") for name in ("region", "country", "district")},
        **{name: company[name].fillna("") for name in ("company_size", "industry", "annual_revenue")},
        longitude=place["longitude"],
        latitude=place["latitude"],
        geo_enriched=known_place,
        is_business=is_business,
        data_source=_data_source(place["source"], company["source"]),
        enrichment_status=_enrichment_status(known_place, known_company, is_business),
        _founded=company["founded"],
        _place_failed=place["failed"],
        _place_judged=place["source"] != FAILED,
        _place_asked=references.postcodes.is_live,
        _company_found=known_company,
        _company_failed=company["failed"],
        _company_judged=company["source"] != FAILED,
        _company_asked=references.companies.is_live,
        _company_domain=company["email_domain"].fillna(""),
        _email_domain=_domain(batch["email"]),
    )
    enriched.loc[~is_business, "company_size"] = INDIVIDUAL
    return enriched, {"postcodes": _counts(place["source"]), "companies": _counts(company["source"])}


def _domain(email: pd.Series) -> pd.Series:
    return pd.Series(pc.replace_substring_regex(pa.array(email), "^.*@", ""), index=email.index, dtype=email.dtype)


def _known(found: pd.DataFrame) -> pd.Series:
    return found["source"].notna() & ~found["source"].isin([UNKNOWN, FAILED])


def _counts(source: pd.Series) -> dict[str, int]:
    return {str(name): int(count) for name, count in source.value_counts().sort_index().items()}


def _data_source(place: pd.Series, company: pd.Series) -> pd.Series:
    """Say where a row and its enrichment came from, such as `csv, postcode: reference`.

    What the cache answers came from the live service, so the same answer never looks like a change of the row.
    """
    (place_codes, place_words), (company_codes, company_words) = _worded("postcode", place), _worded("company", company)
    words = np.array([f"csv{one}{other}" for one in place_words for other in company_words], dtype=object)
    codes = place_codes * len(company_words) + company_codes
    return pd.Series(pd.array(words, dtype="str").take(codes), index=place.index)


def _worded(label: str, source: pd.Series) -> tuple[npt.NDArray[np.intp], list[str]]:
    """Return a number for the source of each row, and what each number says."""
    codes, names = pd.factorize(source, use_na_sentinel=False)
    return codes, ["" if pd.isna(name) else f", {label}: {LIVE if name == CACHE else name}" for name in names]


def _enrichment_status(place: pd.Series, company: pd.Series, is_business: pd.Series) -> pd.Series:
    """`complete` when all that could be found was: the place and, for a business, the company."""
    full = place & (company | ~is_business)
    codes = np.select([full.to_numpy(), place.to_numpy(), company.to_numpy()], [3, 2, 1], 0)
    return pd.Series(pd.array(["none", "company only", "place only", "complete"], dtype="str").take(codes), index=place.index)


def score(batch: pd.DataFrame, risk: RiskSettings, as_of: date) -> pd.DataFrame:
    """Add the points of each risk factor found, their sum, its band and the factors in words.

    The sum of points is capped at 100. `as_of` is the day on which the age of a company is reckoned.
    """
    factors = risk_factors(risk, as_of)
    # Rows with the same factors have the same score: one number says which, one table what it comes to.
    found = np.zeros(len(batch), dtype="int64")
    for place, factor in enumerate(factors):
        found |= factor.found(batch).to_numpy(dtype="int64") << place
    sets = [[factor for place, factor in enumerate(factors) if which >> place & 1] for which in range(2 ** len(factors))]
    points = np.array([min(sum(factor.points for factor in one), 100) for one in sets], dtype="int64")
    words = ["; ".join(factor.title for factor in one) or STANDARD_PROFILE for one in sets]
    bands = ["High" if sum_ >= risk.high_from else "Medium" if sum_ >= risk.medium_from else "Low" for sum_ in points]
    return batch.assign(
        risk_score_numeric=points[found],
        calculated_risk=pd.array(bands, dtype="str").take(found),
        risk_factors=pd.array(words, dtype="str").take(found),
    )


@dataclass(frozen=True)
class RiskFactor:
    """One reason for risk points. `found` marks the rows of an enriched batch that it is true of."""

    title: str
    points: int
    found: Callable[[pd.DataFrame], pd.Series]
    reason: str


def risk_factors(risk: RiskSettings, as_of: date) -> tuple[RiskFactor, ...]:
    """Return the table of risk factors for these settings."""
    first_new_year = as_of.year - risk.new_business_years
    regions = [name.lower() for name in risk.high_risk_regions]
    return (
        RiskFactor(
            "account suspended", risk.suspended, lambda batch: batch["status"] == "suspended",
            "A suspended account has a dispute or a debt that support must know of"),
        RiskFactor(
            "high-risk region", risk.high_risk_region,
            lambda batch: batch["region"].str.lower().isin(regions) | batch["country"].str.lower().isin(regions),
            "Only regions that the settings list; none by default, for a place says little about a person"),
        RiskFactor(
            "small business", risk.small_business,
            lambda batch: batch["company_size"].str.startswith(("Micro", "Small")),
            "A small company has fewer people to fall back on when service fails"),
        RiskFactor(
            "new business", risk.new_business, lambda batch: (batch["_founded"] >= first_new_year).fillna(False),
            "A company's first years need closer support"),
    )  # fmt: skip
