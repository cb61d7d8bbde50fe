"""The rules: each one declared once with its dimension, severity, meaning and remedy.

A check is a pure function of a batch that marks the rows which break the rule. Rules of the stage `validate` look at
the input; those of `enrich` look at what the lookups found; the one of `load` is judged by the warehouse. An error sends the row to quarantine, a warning is counted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import pandas as pd
import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc
from email_validator import EmailNotValidError, validate_email

from etl.schema import COLUMNS, INPUT_COLUMNS, STATUSES, column

Mask = pd.Series  # of bool, one per row of the batch
Check = Callable[[pd.DataFrame], Mask]


class Dimension(StrEnum):
    """The six dimensions of data quality that DAMA UK names."""

    COMPLETENESS = "completeness"
    VALIDITY = "validity"
    UNIQUENESS = "uniqueness"
    CONSISTENCY = "consistency"
    TIMELINESS = "timeliness"
    ACCURACY = "accuracy"


class Severity(StrEnum):
    """What breaking a rule does to the row."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Rule:
    """A validation rule. `breaks` marks rows that break it, `applies` the rows it is about (default: all)."""

    id: str
    column: str
    dimension: Dimension
    severity: Severity
    meaning: str
    remedy: str
    good: str
    bad: str
    breaks: Check
    applies: Check | None = None
    stage: Literal["validate", "enrich", "load"] = "validate"

    @property
    def weight(self) -> int:
        """How much the rule counts in its dimension's score: the weight of its column, 3 for the row as a whole."""
        return 3 if self.column == "row" else column(self.column).weight


_TERRITORIES = "ASCN|BBND|BIQQ|FIQQ|PCRN|SIQQ|STHL|TDCU|TKCA"
POSTCODE = (
    rf"^(?:GIR 0AA|BFPO [0-9]{{1,4}}|(?:{_TERRITORIES}) 1ZZ|GX11 1AA|"
    r"(?:[A-PR-UWYZ][0-9][0-9A-HJKPSTUW]?|[A-PR-UWYZ][A-HK-Y][0-9][0-9ABEHMNPRVWXY]?) [0-9][ABD-HJLNP-UW-Z]{2})$"
)
"""The forms of UK postcodes (letters that may stand where: Royal Mail's Programmers' Guide to PAF), plus GIR 0AA, BFPO and the
single codes of the overseas territories."""

_SPECIAL = rf"^(?:GIR 0AA|BFPO|(?:GY|JE|IM)\d|GX11|(?:{_TERRITORIES}) )"
# Values of these plain forms are valid beyond doubt (a property test asks the libraries, which are far slower and judge
# all others): addresses under the most common domains, British numbers of nine or ten digits.
_LOCAL = r"(?:[a-z0-9]{1,30}(?:[._+-][a-z0-9]{1,30})?|[a-z0-9]{1,15}(?:[._+-][a-z0-9]{1,15}){2,3})"
PLAIN_EMAIL = rf"^{_LOCAL}@(?:[a-z0-9]{{1,40}}(?:-[a-z0-9]{{1,20}})?\.){{1,3}}(?:com|org|net|uk|example)$"
PLAIN_PHONE = r"^(?:[(]?0|[+]44[ -]?(?:[(]0[)][ -]?)?)[1-9](?:[ )-]{0,2}[0-9]){8,9}$"
_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x{9f}\x{200b}-\x{200f}\x{202a}-\x{202e}\x{2060}\x{feff}\x{fffd}]"
_FORMULA = r"^[=@+\-\t\r]"
_LETTER = r"\p{L}"
REFUSED = "load.refused"
"""The rule that only the warehouse can judge."""
_MOST = 2**31 - 1  # INT of every warehouse


def found(text: pd.Series, pattern: str) -> Mask:
    """Mark the values in which `pattern` (in the syntax of RE2) is found."""
    matched = pc.match_substring_regex(pa.array(text), pattern)
    return pd.Series(matched.to_numpy(zero_copy_only=False), index=text.index, dtype=bool)


def _judged(name: str, plain: str, judge: Callable[[str], bool]) -> Check:
    """Mark the rows whose `name` is not of the plain form and found wrong by `judge`, asked once for each distinct value."""

    def check(batch: pd.DataFrame) -> Mask:
        doubtful = batch[name][~found(batch[name], plain)]
        verdicts = {value: judge(value) for value in doubtful.unique()}
        return doubtful.map(verdicts).astype(bool).reindex(batch.index, fill_value=False)

    return check


def _filled(name: str) -> Check:
    return lambda batch: batch[name] != ""


def _blank(name: str) -> Check:
    return lambda batch: batch[name] == ""


def bad_email(value: str) -> bool:
    """Tell whether a text is no e-mail address by its form."""
    if value.count("@") != 1 or " " in value or ".." in value:
        return True  # what the library, far slower, would say of quoted forms too
    # The library refuses names reserved for examples, which is just what samples and tests hold.
    judged = value.removesuffix(".example") + ".org" if value.endswith(".example") else value
    try:
        validate_email(judged, check_deliverability=False, strict=True)
    except EmailNotValidError:
        return True
    return False


def bad_phone(value: str) -> bool:
    """Tell whether a text can't be a telephone number, read as a British one when it has no country code."""
    try:
        number = phonenumbers.parse(value, "GB")
    except phonenumbers.NumberParseException:
        return True
    return phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE


def id_numbers(text: pd.Series) -> pd.Series:
    """Return customer numbers written as text as int64, 0 for what is no number between 1 and the largest the key holds."""
    trimmed = pc.utf8_trim_whitespace(pa.array(text))
    digits = pc.match_substring_regex(trimmed, r"^0*[0-9]{1,10}$")
    numbers = pc.cast(pc.if_else(digits, pc.utf8_slice_codeunits(trimmed, -10), "0"), pa.int64())
    return pd.Series(pc.if_else(pc.less_equal(numbers, _MOST), numbers, 0).to_numpy(), index=text.index, dtype="int64")


def _control_characters(batch: pd.DataFrame) -> Mask:
    """Look into each field, but only of lines in which there is such a character at all: one look instead of eight."""
    suspects = batch[found(batch["_raw"], _CONTROL)]
    marks = pd.Series(False, index=suspects.index)
    for name in INPUT_COLUMNS:
        marks |= found(suspects[name], _CONTROL)
    return marks.reindex(batch.index, fill_value=False)


def starts_formula(text: str) -> bool:
    """Tell whether a spreadsheet would take a cell for a formula."""
    return text.startswith(("=", "@", "+", "-", "\t", "\r"))


def _formulas(batch: pd.DataFrame) -> Mask:
    return found(batch["first_name"], _FORMULA) | found(batch["last_name"], _FORMULA) | found(batch["company"], _FORMULA)


def _required(name: str, severity: Severity, good: str) -> Rule:
    return Rule(
        f"{name}.required", name, Dimension.COMPLETENESS, severity,
        f"{column(name).meaning} is missing; blanks and stand-ins such as N/A count as missing",
        f"Ask the supplier for the missing {name.replace('_', ' ')}, fill it in and submit the row again",
        good, "(empty)", _blank(name),
    )  # fmt: skip


def _length(name: str, limit: int) -> Rule:
    return Rule(
        f"{name}.length", name, Dimension.VALIDITY, Severity.ERROR,
        f"Longer than the {limit} characters the warehouse holds",
        "Look whether two fields ran together; otherwise shorten it with the customer's consent",
        f"up to {limit} characters", f"{limit + 1} characters or more",
        lambda batch: batch[name].str.len() > limit, _filled(name),
    )  # fmt: skip


def _not_a_name(name: str) -> Rule:
    return Rule(
        f"{name}.letters", name, Dimension.VALIDITY, Severity.ERROR, "A name without a single letter is no name",
        "Look whether columns were shifted in the file; correct the name at its source",
        "Wren", "4711",
        lambda batch: ~found(batch[name], _LETTER), _filled(name),
    )  # fmt: skip


RULES: tuple[Rule, ...] = (
    Rule("row.shape", "row", Dimension.VALIDITY, Severity.ERROR,
         "The line has more or fewer fields than the header, or a quotation mark that is never closed",
         "Open the file at the line; remove the stray separator or quotation mark, or quote the field",
         "eight fields below eight headings", "nine fields below eight headings", lambda batch: batch["_misshapen"]),
    Rule("row.encoding", "row", Dimension.VALIDITY, Severity.ERROR,
         "The line holds bytes that are no text in the file's encoding",
         "Have the supplier export the file as UTF-8, or set input.encoding to what it is",
         "text in UTF-8", "a byte of another code page", lambda batch: batch["_undecodable"]),
    Rule("row.control_characters", "row", Dimension.VALIDITY, Severity.ERROR,
         "A field holds an invisible control character or a replacement character",
         "Remove the character at the source; it comes from copying out of other programs",
         "visible characters only", "a name with a backspace in it", _control_characters),
    Rule("row.formula", "row", Dimension.VALIDITY, Severity.ERROR,
         "A name or company starts like a spreadsheet formula and could run when someone opens an export",
         "Confirm the true name with the supplier; report it as a possible attack if it repeats",
         "Wren & Daughters", "=1+1", _formulas),
    _required("customer_id", Severity.ERROR, "4711"),
    Rule("customer_id.number", "customer_id", Dimension.VALIDITY, Severity.ERROR,
         f"Not a whole number between 1 and {_MOST}", "Correct the number at the source; it is the key of every update",
         "4711", "C-4711", lambda batch: batch["_number"] == 0, _filled("customer_id")),
    Rule("customer_id.unique", "customer_id", Dimension.UNIQUENESS, Severity.ERROR,
         "The same number stood earlier in the file; the first row with it is the one that is used",
         "Decide which row is right; give the other its own number or drop it",
         "each number once", "a number for the second time", lambda batch: batch["_repeated"], _filled("customer_id")),
    _required("first_name", Severity.ERROR, "Wren"),
    _required("last_name", Severity.ERROR, "Hollis"),
    _not_a_name("first_name"),
    _not_a_name("last_name"),
    _required("email", Severity.ERROR, "wren@hollis.example"),
    Rule("email.form", "email", Dimension.VALIDITY, Severity.ERROR, "Not the form of an e-mail address (RFC 5322)",
         "Ask the customer; do not guess the missing part", "wren@hollis.example", "wren(at)hollis",
         _judged("email", PLAIN_EMAIL, bad_email), _filled("email")),
    Rule("phone.form", "phone", Dimension.VALIDITY, Severity.WARNING,
         "Not a possible telephone number, read as a UK one when it has no country code",
         "Ask the customer at the next contact", "020 7946 0000", "12 34",
         _judged("phone", PLAIN_PHONE, bad_phone), _filled("phone")),
    _required("postcode", Severity.WARNING, "ZE1 0ZZ"),
    Rule("postcode.form", "postcode", Dimension.VALIDITY, Severity.ERROR, "Not the form of a UK postcode",
         "Look for O against 0 and I against 1; otherwise ask the customer", "ZE1 0ZZ", "ZE1 OZZ",
         lambda batch: ~found(batch["postcode"], POSTCODE), _filled("postcode")),
    Rule("postcode.special", "postcode", Dimension.ACCURACY, Severity.WARNING,
         "A postcode without a place in the United Kingdom: Girobank, the forces' post office, a Crown dependency or a territory",
         "Nothing to correct; the row has no English region and may have no place", "ZE1 0ZZ", "BFPO 9999",
         lambda batch: found(batch["postcode"], _SPECIAL), _filled("postcode")),
    _required("status", Severity.ERROR, "active"),
    Rule("status.known", "status", Dimension.VALIDITY, Severity.ERROR, f"Not one of: {', '.join(STATUSES)}",
         "Map the supplier's word to one of ours, or have it corrected at the source", "active", "maybe",
         lambda batch: ~batch["status"].isin(STATUSES), _filled("status")),
    *(_length(name, limit) for name in INPUT_COLUMNS if (limit := column(name).length) and name not in ("status", "postcode")),
    Rule("postcode.known", "postcode", Dimension.ACCURACY, Severity.WARNING,
         "Well formed, but no lookup knows the place", "Check the postcode with the customer; refresh the reference data",
         "a postcode in a known area", "a postcode in an area that does not exist",
         lambda batch: ~batch["geo_enriched"], lambda batch: (batch["postcode"] != "") & batch["_place_judged"], "enrich"),
    Rule("postcode.asked", "postcode", Dimension.COMPLETENESS, Severity.WARNING,
         "The postcode service failed; the place is that of the postcode's area, or missing",
         "Look at the service; the next run asks again", "a service that answers", "a service that is down",
         lambda batch: batch["_place_failed"], lambda batch: (batch["postcode"] != "") & batch["_place_asked"], "enrich"),
    Rule("region.present", "region", Dimension.COMPLETENESS, Severity.WARNING,
         "The place is in England and has no region (elsewhere the country stands for it)",
         "Complete the reference data", "England, South West", "England, (empty)", _blank("region"),
         lambda batch: batch["country"] == "England", "enrich"),
    Rule("company.known", "company", Dimension.ACCURACY, Severity.WARNING, "No lookup knows the company",
         "Check the spelling; add the company to the reference data", "a company of the reference data",
         "a company nobody listed", lambda batch: ~batch["_company_found"],
         lambda batch: batch["is_business"] & batch["_company_judged"], "enrich"),
    Rule("company.asked", "company", Dimension.COMPLETENESS, Severity.WARNING,
         "The company register failed; what is known of the company is the embedded reference's, or nothing",
         "Look at the service; the next run asks again", "a service that answers", "a service that is down",
         lambda batch: batch["_company_failed"], lambda batch: batch["is_business"] & batch["_company_asked"], "enrich"),
    Rule("company.email_domain", "company", Dimension.CONSISTENCY, Severity.WARNING,
         "The e-mail's domain is not the one the company is known by",
         "Check that the contact works for the company; private addresses are allowed", "name@company.example",
         "name@elsewhere.example", lambda batch: batch["_email_domain"] != batch["_company_domain"],
         lambda batch: batch["_company_domain"] != "", "enrich"),
    Rule(REFUSED, "row", Dimension.VALIDITY, Severity.ERROR,
         "The warehouse refused the row, though it broke no other rule",
         "Ask the warehouse's owner which constraint the table has beyond the schema, and add it as a rule",
         "a row that obeys the table's constraints", "a row that a constraint of the table forbids",
         lambda batch: batch["_refused"], stage="load"),
)  # fmt: skip


def rules_of(stage: str) -> tuple[Rule, ...]:
    """Return the rules that the stage called `stage` checks, in their declared order."""
    return tuple(rule for rule in RULES if rule.stage == stage)


def rule(rule_id: str) -> Rule:
    """Return the rule with this id; raises KeyError when none has it."""
    return _BY_ID[rule_id]


_BY_ID = {one.id: one for one in RULES}
assert len(_BY_ID) == len(RULES)
assert {c.name for c in COLUMNS} >= {one.column for one in RULES} - {"row"}
