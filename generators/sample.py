"""Makes customer files of made-up people, with the faults that real files have. The same seed gives the same bytes.

    python -m generators.sample --rows 100000 --out big.csv

Nobody in it exists: rare names are put together at random, e-mail domains are reserved (`.example`, RFC 2606), and so are
the telephone numbers (Ofcom keeps them free for drama).
"""

import argparse
import csv
import io
import random
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from etl.console import say
from etl.schema import INPUT_COLUMNS
from generators.sample_names import FIRST_NAMES, LAST_NAMES, NOTEBOOK_CUSTOMERS, NOTEBOOK_UPSERT, UNKNOWN_COMPANIES

SEED = 20261123
ROWS = 5_000
COMPANIES = Path("data/reference/companies.csv")
FIRST_ID = 2001
REMEMBERED = 500
"""How many rows back a repeated id may lie: a bounded window keeps the memory flat."""

MAIL_PROVIDERS = ("postbox.example", "letterfly.example", "inkmail.example", "homepost.example")
STATUSES = (("active", 85), ("inactive", 8), ("suspended", 3), ("closed", 4))
PHONES = ("07700 900{:03d}", "020 7946 0{:03d}", "0113 496 0{:03d}", "0121 496 0{:03d}", "0161 496 0{:03d}", "029 2018 0{:03d}",
          "0191 498 0{:03d}", "01632 960{:03d}")  # fmt: skip
AREAS = (("SW", 9), ("B", 8), ("M", 8), ("LS", 6), ("G", 6), ("E", 6), ("N", 6), ("BS", 5), ("NE", 5), ("CF", 5), ("EH", 4), ("L", 5),
         ("NG", 4), ("S", 4), ("BT", 4), ("EX", 3), ("NR", 3), ("RG", 3), ("YO", 2), ("AB", 2), ("SA", 2), ("PL", 2), ("CB", 2),
         ("TR", 1), ("IV", 1), ("LL", 1), ("KW", 1), ("IM", 1), ("JE", 1))  # fmt: skip
INWARD = "ABDEFGHJLNPQRSTUWXYZ"

Row = dict[str, str]


@dataclass(frozen=True)
class Fault:
    """A fault that is planted in a share of the rows. `plant` changes a row; `line` changes its written line instead."""

    name: str
    share: float
    rejected: bool
    plant: Callable[[Row, random.Random], None] | None = None
    line: Callable[[bytes], bytes] | None = None


def _set(name: str, *choices: str) -> Callable[[Row, random.Random], None]:
    def plant(row: Row, rng: random.Random) -> None:
        row[name] = choices[rng.randrange(len(choices))]

    return plant


def _change(names: Sequence[str], change: Callable[[str], str]) -> Callable[[Row, random.Random], None]:
    def plant(row: Row, _: random.Random) -> None:
        row.update({name: change(row[name]) for name in names})

    return plant


NAMES = ("first_name", "last_name")
FAULTS: tuple[Fault, ...] = (
    Fault("e-mail without @", 0.004, True, _change(["email"], lambda text: text.replace("@", "(at)"))),
    Fault("e-mail with a blank", 0.003, True, _change(["email"], lambda text: text.replace("@", " @"))),
    Fault("e-mail without domain", 0.003, True, _change(["email"], lambda text: text.split("@")[0] + "@")),
    Fault("postcode that is none", 0.005, True, _set("postcode", "UNKNOWN1", "12345", "EH1 OZZ", "M1", "ABC 123")),
    Fault("first name missing", 0.003, True, _set("first_name", "", "N/A", "-", "   ")),
    Fault("last name missing", 0.003, True, _set("last_name", "", "n/a", "--")),
    Fault("id that is no number", 0.003, True, _set("customer_id", "", "C-17", "-5", "12.5", "0")),
    Fault("status nobody knows", 0.003, True, _set("status", "pending?", "aktiv", "X")),
    Fault("name too long", 0.001, True, _change(["last_name"], lambda text: "-".join([text] * 9))),
    Fault("control character", 0.001, True, _change(["first_name"], lambda text: text[:2] + "\x07" + text[2:])),
    Fault("formula", 0.001, True, _set("company", '=HYPERLINK("http://x.example")', "@SUM(1+1)")),
    Fault("quotation mark never closed", 0.001, True, line=lambda line: line.replace(b",", b',"', 1)),
    Fault("field missing", 0.001, True, line=lambda line: line.rpartition(b",")[0]),
    Fault("byte that is no text", 0.0005, True, line=lambda line: line.replace(b",", b",\xe9", 1)),
    Fault("name in capitals", 0.012, False, _change(NAMES, str.upper)),
    Fault("name in small letters", 0.008, False, _change(NAMES, str.lower)),
    Fault("e-mail in capitals", 0.008, False, _change(["email"], str.upper)),
    Fault("postcode in small letters", 0.008, False, _change(["postcode"], str.lower)),
    Fault("postcode without blank", 0.008, False, _change(["postcode"], lambda text: text.replace(" ", ""))),
    Fault("blanks around", 0.006, False, _change([*NAMES, "postcode"], lambda text: f"  {text} ")),
    Fault("letters in parts", 0.004, False, _change(NAMES, lambda text: unicodedata.normalize("NFD", text))),
    Fault("status in capitals", 0.004, False, _change(["status"], str.upper)),
    Fault("quotation mark inside", 0.002, False, line=lambda line: line.replace(b",", b',o"', 1)),
    Fault("area that does not exist", 0.003, False, _set("postcode", "YX1 2AB", "UX9 9XX", "JX3 1AA")),
    Fault("special postcode", 0.002, False, _set("postcode", "GIR 0AA", "BFPO 57", "BFPO 801")),
    Fault("telephone number that is none", 0.003, False, _set("phone", "ask", "12", "0")),
)  # fmt: skip
REPEATED = 0.004
LATE_COLUMN = 0.002
LATE_FROM = 0.8


def customers(rows: int, seed: int = SEED, companies: Path = COMPANIES) -> Iterator[bytes]:
    """Yield the lines of a customer file, header first, `rows` lines below it, as UTF-8 with a line feed each."""
    rng = random.Random(seed)
    firms = _read_companies(companies)
    yield _line(dict(zip(INPUT_COLUMNS, INPUT_COLUMNS, strict=True)))
    known = [*NOTEBOOK_CUSTOMERS, *(row for row in NOTEBOOK_UPSERT if row["customer_id"] not in ("1001", "1002"))][:rows]
    yield from map(_line, known)
    recent: list[Row] = []
    for number in range(rows - len(known)):
        row = _customer(FIRST_ID + number, rng, firms)
        recent = [*recent[-REMEMBERED:], row]
        yield _spoil(row, recent, rng, late=number > LATE_FROM * rows)


def write_sample(path: Path, rows: int = ROWS, seed: int = SEED, companies: Path = COMPANIES) -> int:
    """Write a customer file and return its size in bytes; memory stays flat however many rows it has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        return sum(file.write(line) for line in customers(rows, seed, companies))


def _spoil(row: Row, recent: Sequence[Row], rng: random.Random, late: bool) -> bytes:
    """Return the row's line, with a fault planted in it when its turn has come."""
    drawn = rng.random()
    if drawn < REPEATED:
        return _line(row | {"customer_id": recent[rng.randrange(len(recent))]["customer_id"]})
    drawn -= REPEATED
    if late and drawn < LATE_COLUMN / (1 - LATE_FROM):
        return _line(row).rstrip(b"\n") + b",web\n"
    for fault in FAULTS:
        drawn -= fault.share
        if drawn < 0 and fault.plant:
            fault.plant(row, rng)
            return _line(row)
        if drawn < 0 and fault.line:
            return fault.line(_line(row).rstrip(b"\n")) + b"\n"
    return _line(row)


def _line(row: Row) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(row[name] for name in INPUT_COLUMNS)
    return text.getvalue().encode("utf-8")


def _customer(number: int, rng: random.Random, firms: Sequence[tuple[str, str]]) -> Row:
    first, last = FIRST_NAMES[rng.randrange(len(FIRST_NAMES))], LAST_NAMES[rng.randrange(len(LAST_NAMES))]
    company, domain = "", MAIL_PROVIDERS[rng.randrange(len(MAIL_PROVIDERS))]
    if rng.random() < 0.4:
        known = rng.random() < 0.88
        name, own = firms[rng.randrange(len(firms))]
        company = name if known else UNKNOWN_COMPANIES[rng.randrange(len(UNKNOWN_COMPANIES))]
        domain = own if known and rng.random() < 0.97 else domain
    return {
        "customer_id": str(number),
        "first_name": first,
        "last_name": last,
        "email": f"{_ascii(first)}.{_ascii(last)}{number}@{domain}",
        "phone": _phone(rng),
        "postcode": _postcode(rng),
        "company": company,
        "status": _weighted(STATUSES, rng),
    }


def _ascii(name: str) -> str:
    """Return the plain letters of a name in lower case, for an address; `c` where it has none."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return "".join(filter(str.isalnum, plain)).lower() or "c"


def _phone(rng: random.Random) -> str:
    if rng.random() < 0.08:
        return ""
    number = PHONES[rng.randrange(len(PHONES))].format(rng.randrange(1000))
    form = rng.randrange(5)
    if form == 0:
        return "+44 " + number[1:]
    return number.replace(" ", "") if form == 1 else number


def _postcode(rng: random.Random) -> str:
    inward = f"{rng.randrange(10)}{INWARD[rng.randrange(len(INWARD))]}{INWARD[rng.randrange(len(INWARD))]}"
    return f"{_weighted(AREAS, rng)}{rng.randrange(1, 10)} {inward}"


def _weighted(choices: Sequence[tuple[str, int]], rng: random.Random) -> str:
    drawn = rng.randrange(sum(weight for _, weight in choices))
    for value, weight in choices:
        drawn -= weight
        if drawn < 0:
            return value
    raise AssertionError("weights do not add up")


def _read_companies(path: Path) -> list[tuple[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["company"], row["email_domain"]) for row in csv.DictReader(file)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a sample file and say what is in it."""
    parser = argparse.ArgumentParser(prog="python -m generators.sample", description="Make a customer file of made-up people.")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", type=Path, default=Path("data/customers.csv"))
    options = parser.parse_args(arguments)
    if options.rows < 0:
        parser.error("--rows: a number of rows can't be negative")
    size = write_sample(options.out, options.rows, options.seed)
    rejected = sum(fault.share for fault in FAULTS if fault.rejected) + REPEATED + LATE_COLUMN
    say(f"{options.out}: {options.rows:,} made-up customers, {size:,} bytes; about {rejected:.1%} of the rows can't be loaded")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
