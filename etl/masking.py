"""Masking: takes out of a text what looks like a person, a secret or a forged line, before anything writes it down.

Names can't be told from other words, so no event has a field for free text of a row; this is the second fence. A placeholder says
what stood there: `[e-mail]`, `[postcode]`, `[number]`, `[secret]`, `[connection]`.
"""

import base64
import re
import unicodedata
from collections.abc import Collection
from urllib.parse import quote, quote_plus

from pydantic import BaseModel, SecretStr

LONGEST = 4_000
"""Characters; a longer text is not looked through but left out."""
FEWEST_DIGITS = 9
"""Digits in a row, whatever stands between them, from which a number may be somebody's."""
FEWEST_CHARACTERS = 4
"""Characters of a secret that is also found within a word."""

_KEPT = r"(?P<kept>\d{8}T\d{6}Z-[0-9a-f]{6}(?![0-9a-f])|\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(?!\d))"
"""Ids of runs and ISO times, which hold as many digits as a telephone number."""
_GAP = r"[\s\u00a0\u2007\u202f().\-/\u00ad\u200b-\u200f\u2010-\u2015\u2060\ufeff]"
_EMAIL = re.compile(r"[^\s@＠﹫]*\s{0,3}(?:[@＠﹫]|[(\[]at[)\]])\s{0,3}[^\s@＠﹫]*", re.IGNORECASE)
_POSTCODE = re.compile(
    rf"{_KEPT}|(?<![a-z0-9])(?:[a-z]{{1,2}}\d[a-z\d]?{_GAP}*\d[a-z]{{2}}|gir{_GAP}*0aa|bfpo{_GAP}*\d{{1,4}})(?![a-z0-9])",
    re.IGNORECASE | re.ASCII,
)
_NUMBER = re.compile(rf"{_KEPT}|\d(?:{_GAP}{{0,4}}\d){{{FEWEST_DIGITS - 1},}}")
_PARTS = r"driver|server|data source|addr|address|host|hostaddr|dsn|database|initial catalog|dbname|uid|user id|user|username"
_KEYS = r"pwd|password|passwd|secret|token|api_?key|account_?key|shared_?access_?key|access_?token|client_?secret"
_CONNECTION = re.compile(
    rf"(?:jdbc:)?\b(?:postgres(?:ql)?|mssql|sqlserver|mysql|mariadb|oracle|snowflake|redis|amqps?|mongodb|odbc)[\w+]*:(?://)?\S+"
    rf"|\b(?:{_PARTS})\s*=\s*(?:\{{[^}}]*\}}|[^;]*);.*"
    rf"|\b(?:{_KEYS})(?:\s*=|[\"']\s*:)\s*(?:\"[^\"]*\"|'[^']*'|\{{[^}}]*\}}|[^\s;,&]+)",
    re.IGNORECASE | re.DOTALL,
)


def mask(text: str, secrets: Collection[str] = ()) -> str:
    """Return a text without e-mail addresses, telephone numbers, UK postcodes, connection strings and `secrets`.

    Characters that end a line, move the cursor or can't be seen come out escaped, so that a value can't forge a line of a log.
    """
    if len(text) > LONGEST:
        return f"[text of {len(text)} characters]"
    for secret in sorted(secrets, key=len, reverse=True):
        text = _without(secret, text)
    text = _CONNECTION.sub("[connection]", text)
    text = _EMAIL.sub("[e-mail]", text)
    text = _POSTCODE.sub(lambda found: found["kept"] or "[postcode]", text)
    text = _NUMBER.sub(lambda found: found["kept"] or "[number]", text)
    return escape(text)


def _without(secret: str, text: str) -> str:
    """Replace a secret; one of a few characters only where it stands alone, or nothing readable would be left."""
    if len(secret) >= FEWEST_CHARACTERS:
        return text.replace(secret, "[secret]")
    return re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "[secret]", text)


def escape(text: str) -> str:
    r"""Return a text with its control, format and separator characters written as `\x0a` or `\u202e`; a blank stays a blank."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_spelt(sign) if unicodedata.category(sign) in _UNSEEN else sign for sign in text)


def secret_values(settings: BaseModel) -> frozenset[str]:
    """Return the value of every secret in force, and the forms in which it crosses a wire: in an address and in base64."""
    found: set[str] = set()
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            found |= secret_values(value)
        elif isinstance(value, SecretStr) and (plain := value.get_secret_value()):
            found |= {plain, quote(plain, safe=""), quote_plus(plain), repr(plain)[1:-1]}
            found |= {base64.b64encode(form.encode()).decode().rstrip("=") for form in (plain, f"{plain}:")}
    return frozenset(found)


_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def _spelt(sign: str) -> str:
    code = ord(sign)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
