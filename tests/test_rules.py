"""Each rule finds what it is for and leaves the rest alone."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.rules import PLAIN_EMAIL, PLAIN_PHONE, POSTCODE, RULES, Dimension, Severity, bad_email, bad_phone, rule
from etl.schema import COLUMNS, INPUT_COLUMNS
from etl.transform import normalise, validate
from tests.batches import batch_of
from tests.customers import customer


def broken_rules(**changes: str) -> list[str]:
    """Return the ids of all rules that a customer with these changes breaks, warnings too."""
    _, _, tallies = validate(
        normalise(batch_of([customer(**changes)] if "customer_id" not in changes else [customer() | changes]))
    )
    return [rule_id for rule_id, tally in tallies.items() if tally.violations]


def test_a_good_customer_breaks_no_rule() -> None:
    assert broken_rules() == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"customer_id": ""}, "customer_id.required"),
        ({"customer_id": "0"}, "customer_id.number"),
        ({"customer_id": "-3"}, "customer_id.number"),
        ({"customer_id": "1.5"}, "customer_id.number"),
        ({"customer_id": "2147483648"}, "customer_id.number"),
        ({"customer_id": "٣"}, "customer_id.number"),
        ({"first_name": "  "}, "first_name.required"),
        ({"last_name": "N/A"}, "last_name.required"),
        ({"first_name": "12345"}, "first_name.letters"),
        ({"last_name": "x" * 51}, "last_name.length"),
        ({"first_name": "Wr\x08en"}, "row.control_characters"),
        ({"first_name": "Wr\u200ben"}, "row.control_characters"),
        ({"company": "=HYPERLINK(1)"}, "row.formula"),
        ({"last_name": "@SUM(1)"}, "row.formula"),
        ({"company": "x" * 101}, "company.length"),
        ({"phone": "1" * 21}, "phone.length"),
        ({"phone": "12 34"}, "phone.form"),
        ({"phone": "call me"}, "phone.form"),
        ({"email": ""}, "email.required"),
        ({"email": "a" * 90 + "@hollisk.example"}, "email.length"),
        ({"postcode": ""}, "postcode.required"),
        ({"status": ""}, "status.required"),
        ({"status": "maybe"}, "status.known"),
    ],
)
def test_a_fault_breaks_its_rule(changes: dict[str, str], expected: str) -> None:
    assert expected in broken_rules(**changes)


@pytest.mark.parametrize("name", ["x" * 50, "Ng", "D’Arcy-Lloyd", "O'Hollisk", "李小龙", "𠮷田", "Åsa", "von der Wrenna"])
def test_real_names_pass(name: str) -> None:
    assert broken_rules(first_name=name, last_name=name) == []


GOOD_POSTCODES = """
M1 1AF|B33 8TH|CR2 6XH|DN55 1PT|W1A 0AX|EC1A 1BB|SW1A 2AA|GIR 0AA|BFPO 1|BFPO 1234|GY1 1AA|JE2 3AB|IM1 1AG|ZE1 0AA|BT1 5GS|
BX1 1LT|N1C 4AG|E1W 1BQ|SE1P 5LX|NW1W 9AB|L1 8JQ|AB10 1XG|KW15 1AA|HS1 2DB|G58 1SB|SA99 1BN|m1 1af|M11AF|  m1   1af |bfpo 57
""".replace("\n", "").split("|")  # fmt: skip
BAD_POSTCODES = """
M1|1AF|M1 AAF|M1 1A|M1 1AFF|Q1 1AA|V1 1AA|X1 1AA|AI1 1AA|AZ1 1AA|M1 1CA|M1 1IA|M1 1KA|M1 1MA|M1 1OA|M1 1VA|MI IAF|EH1 OZZ|12345|
SW1A1A|SW1AA 1AA|M1-1AF|M1 1ÄF|GIR 0AB|BFPO|BFPO 12345|W1L 0AXX|ABC1 1AA|M 1AF|M123 1AF|٣١ 1AA
""".replace("\n", "").split("|")  # fmt: skip


@pytest.mark.parametrize("postcode", GOOD_POSTCODES)
def test_postcodes_of_every_form_pass(postcode: str) -> None:
    assert "postcode.form" not in broken_rules(postcode=postcode)


@pytest.mark.parametrize("postcode", BAD_POSTCODES)
def test_what_only_looks_like_a_postcode_is_found(postcode: str) -> None:
    assert "postcode.form" in broken_rules(postcode=postcode)


GOOD_EMAILS = [
    "a@b.example", "a.b@c.example", "a+b@c.example", "a_b@c.example", "a-b@c-d.example", "1@2.example", "o'neil@c.example",
    "a@b.co.uk", "A@B.EXAMPLE", "zoë@c.example", "a@bücher.example", "a@xn--bcher-kva.example", "a{b}@c.example",
    "x" * 64 + "@c.example", "a@b.c.d.e.example", "a&b@c.example", "müller@straße.example",
]  # fmt: skip
BAD_EMAILS = [
    "a", "@", "a@", "@b.example", "a@b", "a@@b.example", "a b@c.example", "a@b .example", "a@.example", "a@b..example",
    ".a@b.example", "a.@b.example", "a..b@c.example", "a@-b.example", "a@b-.example", "a(at)b.example", "a@b,example",
    "a@b.example;c@d.example", "<a@b.example>", '"a b"@c.example', "a@[127.0.0.1]", "x" * 65 + "@c.example", "a\u00a0b@c.example",
    "a@b_c.example", "mailto:a@b.example", "a@b.example.", "a@1.2.3.4", "a@localhost", "a\\b@c.example", "a@b!.example", "a@b.test1",
]  # fmt: skip


@pytest.mark.parametrize("email", GOOD_EMAILS)
def test_email_addresses_of_every_form_pass(email: str) -> None:
    assert "email.form" not in broken_rules(email=email)


@pytest.mark.parametrize("email", BAD_EMAILS)
def test_what_only_looks_like_an_email_address_is_found(email: str) -> None:
    assert "email.form" in broken_rules(email=email)


@given(st.from_regex(PLAIN_EMAIL, fullmatch=True))
def test_the_short_cut_for_plain_addresses_accepts_nothing_the_library_refuses(email: str) -> None:
    assert not bad_email(email)


@given(st.from_regex(PLAIN_PHONE, fullmatch=True).filter(str.isascii))
def test_the_short_cut_for_plain_numbers_accepts_nothing_the_library_refuses(phone: str) -> None:
    assert not bad_phone(phone)


OVERSEAS = ["FIQQ 1ZZ", "ASCN1ZZ", "sthl 1zz", "GX11 1AA", "GY1 1AA", "JE2 3AB", "IM1 1AG", "BFPO 57", "GIR 0AA"]


@pytest.mark.parametrize("postcode", OVERSEAS)
def test_places_outside_the_united_kingdom_are_a_warning_and_no_error(postcode: str) -> None:
    assert [name for name in broken_rules(postcode=postcode) if name.startswith("postcode")] == ["postcode.special"]


def test_a_row_names_all_rules_it_breaks_not_the_first() -> None:
    _, rejected, _ = validate(normalise(batch_of([customer(first_name="", email="x", postcode="?", status="gone")])))
    expected = {"first_name.required", "email.form", "status.known"}
    assert expected <= set(rejected.iloc[0]["_rules"])


def test_warnings_alone_reject_no_row() -> None:
    accepted, rejected, tallies = validate(normalise(batch_of([customer(postcode="", phone="12")])))
    assert (len(accepted), len(rejected)) == (1, 0)
    assert tallies["phone.form"].violations == 1


def test_fields_of_a_broken_line_are_not_judged() -> None:
    batch = batch_of([customer(email="x")], misshapen=[True])
    _, rejected, tallies = validate(normalise(batch))
    assert rejected.iloc[0]["_rules"] == ["row.shape"]
    assert tallies["email.form"].applicable == 0


def test_every_rule_tells_what_it_means_and_how_to_put_it_right() -> None:
    for one in RULES:
        assert re.fullmatch(r"[a-z_]+\.[a-z_]+", one.id)
        assert len(one.meaning) > 20, one.id
        assert len(one.remedy) > 20, one.id
        assert one.good != one.bad, one.id


def test_every_rule_breaks_on_its_own_bad_example() -> None:
    literal = [one for one in RULES if one.stage == "validate" and one.column != "row" and " " not in one.bad.strip("(")]
    assert len(literal) >= 8
    for one in literal:
        bad = "" if one.bad == "(empty)" else one.bad
        assert one.id in broken_rules(**{one.column: bad}), one.id
        assert one.id not in broken_rules(**{one.column: one.good}), one.id


def test_rules_and_columns_know_each_other() -> None:
    names = {column.name for column in COLUMNS}
    assert {one.column for one in RULES} <= names | {"row"}
    assert set(INPUT_COLUMNS) <= {one.column for one in RULES}
    assert {one.dimension for one in RULES} == set(Dimension) - {Dimension.TIMELINESS}, "timeliness is judged on the file"
    assert all(rule(one.id) is one for one in RULES)


def test_only_errors_of_the_validate_stage_reject() -> None:
    assert all(one.severity is Severity.WARNING for one in RULES if one.stage == "enrich")


@given(st.from_regex(POSTCODE, fullmatch=True))
def test_normalising_a_good_postcode_changes_nothing(postcode: str) -> None:
    postcode = postcode.strip("\n")
    assert normalise(batch_of([customer(postcode=postcode.lower().replace(" ", ""))])).iloc[0]["postcode"] == postcode
