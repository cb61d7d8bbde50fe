"""Masks take out what looks like a person, a secret or a forged line, wherever it stands."""

import base64
import unicodedata
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from etl import config
from etl.masking import LONGEST, escape, mask, secret_values

EMAILS = st.one_of(
    st.emails(),
    st.builds("{}.{}@{}.example".format, *[st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=9)] * 3),
    st.sampled_from(
        ["wrenna(at)hollisk.example", "wrenna @hollisk.example", "wrenna@", "WRENNA@HOLLISK.EXAMPLE", "zoë@hollisk.example"]
    ),
)
PHONES = st.builds(
    lambda form, digits: form.format(*digits),
    st.sampled_from(["020 7946 0{}{}{}", "+44 20 7946 0{}{}{}", "+44 (0)20 7946 0{}{}{}", "(020) 7946 0{}{}{}", "02079460{}{}{}",
                     "020-7946-0{}{}{}", "07700 900{}{}{}", "0044 7700 900{}{}{}", "020.7946.0{}{}{}", "01632 960{}{}{}", "7946 0{}{}{} 22",
                     "020\u00a07946\u00a00{}{}{}", "020\u200b7946 0{}{}{}", "020\n7946\n0{}{}{}"]),
    st.tuples(*[st.integers(0, 9)] * 3),
)  # fmt: skip
POSTCODES = st.builds(
    lambda outward, gap, number, letters, change: change(f"{outward}{gap}{number}{letters}"),
    st.sampled_from(["M1", "B33", "SW1A", "EC1A", "CR2", "DN55", "W1T", "GY1", "YX1"]), st.sampled_from(["", " ", "  ", "\u00a0"]),
    st.integers(0, 9), st.sampled_from(["AA", "ZE", "BB", "OZ"]), st.sampled_from([str, str.lower]),
) | st.sampled_from(["GIR 0AA", "BFPO 801", "gir0aa"])  # fmt: skip
AROUND = st.text(max_size=60) | st.sampled_from(["", "line 17: ", "2026-11-23 10:25:02 ", "20261123T102542Z-a1b2c3 ", "12", "x="])


@given(before=AROUND, planted=EMAILS | PHONES, after=AROUND)
def test_no_address_or_number_comes_through_whatever_stands_around_it(before: str, planted: str, after: str) -> None:
    assert planted not in mask(before + planted + after)
    assert escape(planted) not in mask(before + planted + after)


@given(before=AROUND, planted=POSTCODES, after=AROUND)
def test_no_postcode_comes_through_that_stands_alone(before: str, planted: str, after: str) -> None:
    left = before[:-1] + "," if before[-1:].isalnum() else before
    right = "," + after if after[:1].isalnum() else after
    assert planted not in mask(left + planted + right)


@given(st.text())
def test_no_text_ends_a_line_or_moves_a_cursor(text: str) -> None:
    assert not any(unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp") for sign in mask(text))


@pytest.mark.parametrize("text", [
    "run 20261123T102542Z-ab12cd resumed", "2026-11-23T10:25:02.123456Z", "2026-11-23 10:25", "customers_20261123.csv",
    "180 of 5000 rows were rejected (3.6%; quality.rejects_stop is 10.0%)", "customers.csv, line 17: column 'postcode' is missing",
    "etl/transform.py:1288", "DuckDB 2.0.1", "mail.password (from config/default.toml): a secret must not stand in a file",
    "Zoë läuft",
])  # fmt: skip
def test_what_operators_need_stays_readable(text: str) -> None:
    assert mask(text) == text


@pytest.mark.parametrize("text", [
    "Driver={ODBC Driver 18 for SQL Server};Server=db.internal;UID=loader;PWD=h unter2;", "postgresql://loader:hunter2@db/x",
    "host=db user=loader password=hunter2", "could not connect: password = 'hunter2'", '{"token": "hunter2"}', "PWD=hunter2",
    "postgresql://db/x?password=hunter2", "server=db;database=x;trusted_connection=yes;hunter2", "AccountKey=hunter2==",
])  # fmt: skip
def test_a_connection_string_does_not_come_through(text: str) -> None:
    assert "unter2" not in mask(text)


def test_a_secret_in_force_is_masked_in_every_form_it_travels_in() -> None:
    secret = "p4ss w/rd+ü"
    settings = config.load(overrides={"mail.password": secret, "services.companies_key": "k3y-of-register"}).values
    found = secret_values(settings)
    forms = [
        secret,
        quote(secret, safe=""),
        base64.b64encode(secret.encode()).decode(),
        base64.b64encode(b"k3y-of-register:").decode(),
    ]
    for form in forms:
        assert form.rstrip("=") not in mask(f"refused: {form}.", found)
    assert secret_values(config.load().values) == frozenset()


def test_a_secret_of_a_few_letters_leaves_other_words_alone() -> None:
    settings = config.load(overrides={"mail.password": "ab"}).values
    assert mask("ab about ab.", secret_values(settings)) == "[secret] about [secret]."


def test_every_secret_of_the_settings_is_looked_for() -> None:
    names = [name for name in config.setting_names() if config.is_secret(name)]
    assert names
    for name in names:
        values = config.load(overrides={name: "s3cret-of-this-one"}).values
        section, key = name.split(".")
        assert isinstance(getattr(getattr(values, section), key), SecretStr)
        assert "s3cret-of-this-one" in secret_values(values)


def test_a_text_too_long_to_look_through_is_left_out() -> None:
    assert mask("x" * (LONGEST + 1)) == f"[text of {LONGEST + 1} characters]"
