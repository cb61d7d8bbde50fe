"""Extract loses no line, however broken the file is."""

import codecs
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.errors import InputError
from etl.extract import CsvSource
from etl.schema import INPUT_COLUMNS
from etl.settings import InputSettings
from tests.customers import customer, write_customers

HEADER = ",".join(INPUT_COLUMNS)


def read(path: Path, rows: int = 1000, **settings: object) -> pd.DataFrame:
    source = CsvSource(path, InputSettings(**settings))  # type: ignore[arg-type]
    return pd.concat(list(source.batches(rows)) or [pd.DataFrame()], ignore_index=True)


def write_lines(path: Path, *lines: str) -> Path:
    path.write_bytes("\n".join([HEADER, *lines]).encode("utf-8"))
    return path


def test_fields_come_as_the_text_they_are(tmp_path: Path) -> None:
    path = write_customers(tmp_path / "c.csv", [customer(1, phone="0012", first_name="NA", company="null")])
    row = read(path).iloc[0]
    assert (row["phone"], row["first_name"], row["company"]) == ("0012", "NA", "null")


@pytest.mark.parametrize("delimiter", [",", ";", "|", "\t"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    path = write_customers(tmp_path / "c.csv", [customer(7)], delimiter)
    assert read(path).iloc[0]["customer_id"] == "7"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_byte_order_mark_tells_the_encoding(tmp_path: Path, encoding: str) -> None:
    path = write_customers(tmp_path / "c.csv", [customer(1, first_name="Zoëlle 𠮷")], encoding=encoding)
    assert read(path).iloc[0]["first_name"] == "Zoëlle 𠮷"


def test_columns_may_stand_in_any_order_and_others_are_told(tmp_path: Path) -> None:
    shuffled = dict(reversed(customer(3).items())) | {"Loyalty Card": "x"}
    path = write_customers(tmp_path / "c.csv", [shuffled])
    assert read(path).iloc[0]["customer_id"] == "3"
    assert CsvSource(path, InputSettings()).facts.unknown_columns == ("loyalty card",)


def test_an_unclosed_quotation_mark_eats_no_other_line(tmp_path: Path) -> None:
    good = ",".join(customer(2).values())
    path = write_lines(tmp_path / "c.csv", '1,"Wren,Hollis,a@b.example,,M1 1AF,,active', good, '3,"Wren')
    batch = read(path)
    assert list(batch["_misshapen"]) == [True, False, True]
    assert batch.iloc[1]["customer_id"] == "2"


def test_a_line_with_other_fields_than_the_header_is_marked_and_kept_as_it_came(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "c.csv", "1,a,b", ",".join([*customer(2).values(), "late"]))
    batch = read(path)
    assert list(batch["_misshapen"]) == [True, True]
    assert list(batch["_line"]) == [2, 3]
    assert batch.iloc[0]["_raw"] == "1,a,b"


def test_bytes_that_are_no_text_are_marked_and_shown_as_escapes(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_bytes(HEADER.encode() + b"\n1,Zo\xeb,b,a@b.example,,M1 1AF,,active\n2,Zo\xc3\xab,b,a@b.example,,,,active\n")
    batch = read(path)
    assert list(batch["_undecodable"]) == [True, False]
    assert "Zo\\xeb" in batch.iloc[0]["_raw"]
    assert batch.iloc[1]["first_name"] == "Zoë"


def test_repeated_ids_are_marked_across_batches_whatever_their_spelling(tmp_path: Path) -> None:
    path = write_customers(tmp_path / "c.csv", [customer(1), customer(2), customer(1), {**customer(), "customer_id": " 0002"}])
    assert list(read(path, rows=1)["_repeated"]) == [False, False, True, True]


def test_blank_lines_are_no_customers_but_count_as_lines(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "c.csv", "", ",".join(customer(5).values()), "   ")
    assert list(read(path)["_line"]) == [3]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_is_understood(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "c.csv"
    path.write_bytes(ending.join([HEADER, ",".join(customer(1).values()), ",".join(customer(2).values())]).encode())
    assert list(read(path)["customer_id"]) == ["1", "2"]


def test_a_missing_column_names_file_line_column_and_what_was_found(tmp_path: Path) -> None:
    rows = [{("post_code" if name == "postcode" else name): value for name, value in customer().items()}]
    with pytest.raises(InputError, match=r"c\.csv, line 1: column 'postcode' is missing; found: .*post_code"):
        CsvSource(write_customers(tmp_path / "c.csv", rows), InputSettings())


def test_a_file_without_header_does_not_quote_its_first_customer(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text(",".join(customer(1).values()) + "\n", encoding="utf-8")
    with pytest.raises(
        InputError, match=r"column 'customer_id' is missing.*found: 8 other\(s\) unlike any agreed column"
    ) as caught:
        CsvSource(path, InputSettings())
    assert not any(value.lower() in str(caught.value).lower() for value in customer().values() if len(value) > 1)


def test_a_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text(HEADER + ",email\n", encoding="utf-8")
    with pytest.raises(InputError, match="'email' stands twice"):
        CsvSource(path, InputSettings())


@pytest.mark.parametrize("content", [b"", b"\n", codecs.BOM_UTF8])
def test_an_empty_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match="the file is empty"):
        CsvSource(path, InputSettings())


def test_half_a_utf16_character_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_bytes(codecs.BOM_UTF16_LE + (HEADER + "\n1").encode("utf-16-le") + b"\x00")
    with pytest.raises(InputError, match=r"c\.csv: not readable as utf-16"):
        read(path)


def test_a_missing_file_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Place the file there or name another with --input"):
        CsvSource(tmp_path / "none.csv", InputSettings())


def test_a_field_beyond_the_csv_readers_limit_loses_nothing(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "c.csv", "1," + "x" * 200_000, ",".join(customer(2).values()))
    batch = read(path)
    assert list(batch["_misshapen"]) == [True, False]
    assert len(batch.iloc[0]["_raw"]) > 200_000


LINES = st.lists(st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), min_size=1).filter(str.strip))


@given(lines=LINES, rows=st.integers(1, 5))
def test_every_line_comes_out_once_as_it_came(tmp_path_factory: pytest.TempPathFactory, lines: list[str], rows: int) -> None:
    path = write_lines(tmp_path_factory.mktemp("lines") / "c.csv", *lines)
    batch = read(path, rows)
    assert (list(batch["_raw"]) if len(batch) else []) == lines


@given(garbage=st.binary(max_size=300))
def test_any_bytes_below_the_header_are_read_without_an_error(tmp_path_factory: pytest.TempPathFactory, garbage: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "c.csv"
    path.write_bytes(HEADER.encode() + b"\n" + garbage)
    read(path, 2)
