"""Makes customer files of made-up people, with the faults that real files have. The same seed gives the same bytes.

    python -m generators.sample --rows 100000 --out big.csv

Nobody in it exists: rare names are put together at random, e-mail domains are reserved (`.example`, RFC 2606), and so are
the telephone numbers (Ofcom keeps them free for drama).
"""

import argparse
import csv
import random
import sys
import unicodedata
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from etl.console import say
from etl.schema import INPUT_COLUMNS
from generators.sample_names import FIRST_NAMES, LAST_NAMES, NOTEBOOK_CUSTOMERS, NOTEBOOK_UPSERT, UNKNOWN_COMPANIES

T = TypeVar("T")
Row = dict[str, str]


class Dice:
    """Random choices made of `random()` alone, the only method whose numbers Python promises to keep for a seed."""

    def __init__(self, seed: int) -> None:
        """Start the sequence that belongs to `seed`."""
        self._random = random.Random(seed).random

    def chance(self, share: float) -> bool:
        """Return True in `share` of all calls."""
        return self._random() < share

    def fraction(self) -> float:
        """Return a number from 0 up to but not including 1."""
        return self._random()

    def below(self, number: int) -> int:
        """Return a whole number from 0 up to but not including `number`."""
        return int(self._random() * number)

    def one_of(self, choices: Sequence[T]) -> T:
        """Return one of the choices, each as likely as the others."""
        return choices[self.below(len(choices))]

    def weighted(self, choices: "Weighted[T]") -> T:
        """Return one of the choices, each as likely as its weight says."""
        return choices.at(self._random())


class Weighted(Generic[T]):
    """Choices with weights, whatever the weights add up to."""

    def __init__(self, *choices: tuple[T, float]) -> None:
        """Take pairs of a choice and its weight."""
        total = sum(weight for _, weight in choices)
        self._values = [value for value, _ in choices]
        self._ends = [end / total for end in accumulate(weight for _, weight in choices)][:-1]

    def at(self, fraction: float) -> T:
        """Return the choice that lies at `fraction` of the way from the first to the last."""
        return self._values[bisect_right(self._ends, fraction)]


SEED = 20261123
ROWS = 5_000
COMPANIES = Path("data/reference/companies.csv")
FIRST_ID = 2001
LONGEST_NAME = 50
REMEMBERED = 500
"""How many rows back a repeated id may lie: a bounded window keeps the memory flat."""
LATE_FROM = 0.8
"""Where in the file faults begin that come late, such as a column that a supplier added while exporting."""

BUSINESSES, KNOWN_COMPANY, OWN_DOMAIN, NO_PHONE = 0.4, 0.88, 0.97, 0.08
MAIL_PROVIDERS = ("postbox.example", "letterfly.example", "inkmail.example", "homepost.example")
STATUSES = Weighted(("active", 85), ("inactive", 8), ("suspended", 3), ("closed", 4))
PHONES = ("07700 900{:03d}", "020 7946 0{:03d}", "0113 496 0{:03d}", "0121 496 0{:03d}", "0161 496 0{:03d}", "029 2018 0{:03d}",
          "0191 498 0{:03d}", "01632 960{:03d}")  # fmt: skip
PHONE_FORMS = Weighted[Callable[[str], str]](
    (lambda number: number, 8),
    (lambda number: number.replace(" ", ""), 5),
    (lambda number: "+44 " + number[1:], 4),
    (lambda number: "+44 (0)" + number[1:], 1),
    (lambda number: "({}) {}".format(*number.split(" ", 1)), 1),
    (lambda number: number.replace(" ", "-"), 1),
)
DISTRICTS = Weighted[tuple[str, Sequence[object]]](
    (("SW", range(1, 21)), 6), (("SW1", "AEHPVWXY"), 1), (("W1", "BCDFGHJKSTUW"), 2), (("EC1", "AMNRVY"), 1),
    (("SE", range(1, 29)), 4), (("E", range(1, 19)), 4), (("N", range(1, 23)), 4), (("CR", range(2, 9)), 1),
    (("BN", range(5, 19)), 2), (("CT", range(1, 22)), 2), (("OX", range(1, 8)), 2), (("RG", range(4, 11)), 2),
    (("SO", range(14, 25)), 2), (("BS", range(1, 12)), 4), (("EX", range(1, 25)), 3), (("GL", range(1, 21)), 2),
    (("PL", range(1, 36)), 2), (("TR", range(1, 28)), 1), (("CB", range(1, 12)), 2), (("IP", range(1, 34)), 2),
    (("NR", range(1, 36)), 3), (("B", range(1, 22)), 7), (("CV", range(1, 14)), 2), (("ST", range(1, 22)), 2),
    (("WV", range(1, 17)), 2), (("DE", range(1, 8)), 2), (("LE", range(1, 20)), 3), (("LN", range(1, 14)), 2),
    (("NG", range(1, 26)), 3), (("BD", range(1, 25)), 2), (("HU", range(1, 21)), 2), (("LS", range(1, 30)), 5),
    (("S", range(1, 15)), 4), (("YO", range(10, 20)), 1), (("CA", range(1, 29)), 1), (("L", range(1, 41)), 5),
    (("M", range(1, 10)), 5), (("PR", range(1, 10)), 2), (("DH", range(1, 10)), 1), (("NE", range(1, 14)), 4),
    (("SR", range(1, 9)), 1), (("CF", (3, 5, 10, 11, 14, 15, 23, 24)), 4), (("LL", range(11, 50)), 1),
    (("NP", range(10, 14)), 1), (("SA", range(1, 21)), 2), (("AB", range(10, 17)), 2), (("DD", range(1, 12)), 1),
    (("EH", range(1, 18)), 4), (("G", range(1, 6)), 4), (("HS", range(1, 10)), 1), (("IV", range(1, 29)), 1),
    (("KW", range(5, 18)), 1), (("KY", range(1, 17)), 1), (("ZE", range(1, 4)), 1), (("BT", range(1, 50)), 5),
    (("GY", range(1, 11)), 1), (("IM", range(1, 10)), 1), (("JE", range(2, 5)), 1),
)  # fmt: skip
"""Outward codes in use, with weights that follow the population roughly; the inward part is made up."""
INWARD = "ABDEFGHJLNPQRSTUWXYZ"

Spoil = Callable[[Row, Dice, Sequence[Row]], bytes]
"""Makes a faulty line of a good row; the third argument holds good rows that stood earlier in the file."""


@dataclass(frozen=True)
class Fault:
    """A fault that is planted in a share of the rows. `rejected` says whether the pipeline must refuse such a row."""

    name: str
    share: float
    rejected: bool
    spoil: Spoil
    late: bool = False
    """Whether it is found only in the last part of the file; `share` is still that of all rows."""


class Line(NamedTuple):
    """A line of the file and the fault in it, if any."""

    content: bytes
    fault: Fault | None = None


@dataclass(frozen=True)
class SampleSummary:
    """What a written sample holds: rows without the header, bytes, and how many rows have each fault."""

    rows: int
    bytes: int
    faults: Mapping[str, int]

    @property
    def rejected(self) -> int:
        """How many rows the pipeline must refuse."""
        return sum(self.faults[fault.name] for fault in FAULTS if fault.rejected)


def _set(name: str, *choices: str) -> Spoil:
    return lambda row, dice, _: _line(row | {name: dice.one_of(choices)})


def _change(names: Sequence[str], change: Callable[[str], str]) -> Spoil:
    return lambda row, _dice, _earlier: _line(row | {name: change(row[name]) for name in names})


def _replace(old: bytes, new: bytes) -> Spoil:
    """Spoil the written line at the first `old`, where no field is quoted yet."""
    return lambda row, _dice, _earlier: _line(row).replace(old, new, 1)


def _lose_last_field(row: Row, _dice: Dice, _earlier: Sequence[Row]) -> bytes:
    return _line(row).rpartition(b",")[0] + b"\n"


def _add_field(row: Row, dice: Dice, _: Sequence[Row]) -> bytes:
    return _line(row).rstrip(b"\n") + dice.one_of((b",web\n", b",\n"))


def _repeat(row: Row, dice: Dice, earlier: Sequence[Row]) -> bytes:
    return _line(dice.one_of(earlier) if earlier else row)


def _repeat_id(row: Row, dice: Dice, earlier: Sequence[Row]) -> bytes:
    return _line(row | {"customer_id": dice.one_of(earlier)["customer_id"]} if earlier else row)


def _lengthen(name: str) -> str:
    while len(name) <= LONGEST_NAME:
        name += f"-{name}"
    return name


def _decompose(row: Row, dice: Dice, _: Sequence[Row]) -> bytes:
    """Give the row a name with accents, each written as a letter and a mark of its own."""
    return _line(row | {"last_name": unicodedata.normalize("NFD", dice.one_of(ACCENTED))})


def _put_in(name: str, *characters: str) -> Spoil:
    return lambda row, dice, _: _line(row | {name: row[name][:2] + dice.one_of(characters) + row[name][2:]})


ACCENTED = tuple(name for name in LAST_NAMES if unicodedata.normalize("NFD", name) != name)
NAMES = ("first_name", "last_name")
FAULTS: tuple[Fault, ...] = (
    Fault("e-mail without @", 0.003, True, _change(["email"], lambda text: text.replace("@", "(at)"))),
    Fault("e-mail with a blank", 0.002, True, _change(["email"], lambda text: text.replace("@", " @"))),
    Fault("e-mail without domain", 0.002, True, _change(["email"], lambda text: text.split("@")[0] + "@")),
    Fault("e-mail with dots in a row", 0.002, True, _change(["email"], lambda text: text.replace(".", "..", 1))),
    Fault("e-mail missing", 0.002, True, _set("email", "", "N/A", "none")),
    Fault("postcode that is none", 0.005, True, _set("postcode", "UNKNOWN1", "12345", "EH1 OZZ", "M1", "ABC 123")),
    Fault("first name missing", 0.003, True, _set("first_name", "", "N/A", "-", "   ")),
    Fault("last name missing", 0.003, True, _set("last_name", "", "n/a", "--")),
    Fault("name without letters", 0.001, True, _set("last_name", "12345", "???", "0")),
    Fault("name too long", 0.001, True, _change(["last_name"], _lengthen)),
    Fault("id that is no number", 0.003, True, _set("customer_id", "", "C-17", "-5", "12.5", "0")),
    Fault("id of an earlier row", 0.002, True, _repeat_id),
    Fault("row that stood before", 0.002, True, _repeat),
    Fault("status nobody knows", 0.003, True, _set("status", "pending?", "aktiv", "X")),
    Fault("control character", 0.001, True, _put_in("first_name", "\x07", "\u200b", "\u202e", "\ufeff")),
    Fault("formula", 0.001, True, _set("company", '=HYPERLINK("http://x.example")', "@SUM(1+1)")),
    Fault("quotation mark never closed", 0.001, True, _replace(b",", b',"')),
    Fault("field missing", 0.001, True, _lose_last_field),
    Fault("field too many", 0.002, True, _add_field, late=True),
    Fault("byte that is no text", 0.0005, True, _replace(b",", b",\xe9")),
    Fault("name in capitals", 0.008, False, _change(NAMES, str.upper)),
    Fault("name in small letters", 0.006, False, _change(NAMES, str.lower)),
    Fault("e-mail in capitals", 0.006, False, _change(["email"], str.upper)),
    Fault("postcode in small letters", 0.006, False, _change(["postcode"], str.lower)),
    Fault("postcode without blank", 0.006, False, _change(["postcode"], lambda text: text.replace(" ", ""))),
    Fault("postcode with more blanks", 0.002, False, _change(["postcode"], lambda text: text.replace(" ", "   "))),
    Fault("blanks around", 0.006, False, _change([*NAMES, "postcode"], lambda text: f"  {text} ")),
    Fault("letters in parts", 0.004, False, _decompose),
    Fault("status in capitals", 0.004, False, _change(["status"], str.upper)),
    Fault("quotation mark inside", 0.002, False, _replace(b",", b',o"')),
    Fault("quotation marks in company", 0.002, False, _set("company", 'The "Blue Lantern" Rooms', 'Rookby "&" Tarn, Smiths')),
    Fault("area that does not exist", 0.003, False, _set("postcode", "YX1 2AB", "UX9 9XX", "JX3 1AA")),
    Fault("special postcode", 0.002, False, _set("postcode", "GIR 0AA", "BFPO 57", "BFPO 801")),
    Fault("postcode missing", 0.002, False, _set("postcode", "", "N/A")),
    Fault("telephone number that is none", 0.003, False, _set("phone", "ask", "12", "0")),
)  # fmt: skip


def lines(rows: int, seed: int = SEED, companies: Path = COMPANIES) -> Iterator[Line]:
    """Yield the lines of a customer file, header first, `rows` lines below it, as UTF-8 with a line feed each.

    The first eight customers are those of the notebook. Raises OSError when `companies` can't be read.
    """
    dice = Dice(seed)
    firms = _read_companies(companies)
    yield Line(_line(dict(zip(INPUT_COLUMNS, INPUT_COLUMNS, strict=True))))
    known = (*NOTEBOOK_CUSTOMERS, *NOTEBOOK_UPSERT[2:])[:rows]
    yield from (Line(_line(row)) for row in known)
    earlier: deque[Row] = deque(known, REMEMBERED)
    for number in range(rows - len(known)):
        row = _customer(FIRST_ID + number, dice, firms)
        fault = _draw_fault(dice, late=number >= LATE_FROM * rows)
        yield Line(fault.spoil(row, dice, earlier) if fault else _line(row), fault)
        if not fault:
            earlier.append(row)


def customers(rows: int, seed: int = SEED, companies: Path = COMPANIES) -> Iterator[bytes]:
    """Yield what `lines` does, without saying which fault is in a line."""
    return (line.content for line in lines(rows, seed, companies))


def write_sample(path: Path, rows: int = ROWS, seed: int = SEED, companies: Path = COMPANIES) -> SampleSummary:
    """Write a customer file and return what it holds; memory stays flat however many rows it has. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    size, faults = 0, Counter[str]()
    with path.open("wb") as file:
        for line in lines(rows, seed, companies):
            size += file.write(line.content)
            if line.fault:
                faults[line.fault.name] += 1
    return SampleSummary(rows, size, {fault.name: faults[fault.name] for fault in FAULTS})


def _draw_fault(dice: Dice, late: bool) -> Fault | None:
    number = bisect_right(_fault_borders(late), dice.fraction())
    return FAULTS[number] if number < len(FAULTS) else None


@cache
def _fault_borders(late: bool) -> list[float]:
    late_share = 1 / (1 - LATE_FROM) if late else 0
    return list(accumulate(fault.share * (late_share if fault.late else 1) for fault in FAULTS))


class _Echo:
    def write(self, text: str) -> str:
        """Hand the text back: the csv writer returns it to its caller."""
        return text


_WRITER = csv.writer(_Echo(), lineterminator="\n")


def _line(row: Row) -> bytes:
    text: str = _WRITER.writerow(row[name] for name in INPUT_COLUMNS)
    return text.encode("utf-8")


def _customer(number: int, dice: Dice, firms: Sequence[tuple[str, str]]) -> Row:
    first, last = dice.one_of(FIRST_NAMES), dice.one_of(LAST_NAMES)
    company, domain = "", dice.one_of(MAIL_PROVIDERS)
    if dice.chance(BUSINESSES):
        known = dice.chance(KNOWN_COMPANY)
        name, own = dice.one_of(firms)
        company = name if known else dice.one_of(UNKNOWN_COMPANIES)
        domain = own if known and dice.chance(OWN_DOMAIN) else domain
    return {
        "customer_id": str(number),
        "first_name": first,
        "last_name": last,
        "email": f"{_plain(first)}.{_plain(last)}{number}@{domain}",
        "phone": _phone(dice),
        "postcode": _postcode(dice),
        "company": company,
        "status": dice.weighted(STATUSES),
    }


_SPELT_OUT = str.maketrans({"ł": "l", "ø": "o", "þ": "th", "ı": "i", "đ": "d"})


@cache
def _plain(name: str) -> str:
    """Return the plain letters of a name in lower case, for an address; `c` where it has none."""
    spelt = unicodedata.normalize("NFKD", name.lower().translate(_SPELT_OUT)).encode("ascii", "ignore").decode()
    return "".join(filter(str.isalnum, spelt)) or "c"


def _phone(dice: Dice) -> str:
    if dice.chance(NO_PHONE):
        return ""
    number = dice.one_of(PHONES).format(dice.below(1000))
    return dice.weighted(PHONE_FORMS)(number)


def _postcode(dice: Dice) -> str:
    area, districts = dice.weighted(DISTRICTS)
    return f"{area}{dice.one_of(districts)} {dice.below(10)}{dice.one_of(INWARD)}{dice.one_of(INWARD)}"


def _read_companies(path: Path) -> list[tuple[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["company"], row["email_domain"]) for row in csv.DictReader(file)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a sample file and say what is in it; return 1 when a file can't be read or written."""
    parser = argparse.ArgumentParser(prog="python -m generators.sample", description="Make a customer file of made-up people.")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"customers in the file (default: {ROWS})")
    parser.add_argument("--seed", type=int, default=SEED, help=f"the same seed gives the same file (default: {SEED})")
    parser.add_argument("--out", type=Path, default=Path("data/customers.csv"), help="the file to write (default: %(default)s)")
    options = parser.parse_args(arguments)
    if options.rows < 0:
        parser.error("--rows: a number of rows can't be negative")
    try:
        summary = write_sample(options.out, options.rows, options.seed)
    except OSError as error:
        say(f"{error.filename}: {error.strerror}. Run it in the project's folder; --out names a file to write.", sys.stderr)
        return 1
    say(f"{options.out}: {summary.rows:,} made-up customers, {summary.bytes:,} bytes, seed {options.seed}; planted faults:")
    for fault in FAULTS:
        say(f"  {summary.faults[fault.name]:>8,}  {fault.name}{' (rejected)' if fault.rejected else ''}")
    say(f"  {summary.rejected:>8,}  rows can't be loaded")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
