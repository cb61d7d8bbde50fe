"""Lines: cut a text file into lines and the lines into fields, losing none however broken the file is.

Each physical line is one record, so that a quotation mark which is never closed spoils its own line only. The bulk of a file
goes through Arrow; lines with quotation marks or another number of fields go one by one through Python's own reader.
"""

import codecs
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

BLOCK = 1 << 22
_BOM = b"\xef\xbb\xbf"
_TEXT = pa.large_string()
_END = "end"  # a last line of our own: if it does not come back alone, a quotation mark before it was never closed


def read_blocks(path: Path, encoding: str) -> Iterator[bytes]:
    """Yield a file as blocks of UTF-8 with `\\n` as the only line end, without byte order mark.

    Bytes that are no text in `encoding` come through as they are. Raises OSError, and UnicodeError when the encoding can't
    be that at all.
    """
    blocks = _bytes_of(path) if encoding.startswith("utf-8") else _transcoded(path, encoding)
    held = b""
    for block in blocks:
        block = held + block
        held = b"\r" if block.endswith(b"\r") else b""  # half of a \r\n, perhaps
        if b"\r" in block:
            block = block[: len(block) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if block:
            yield block
    if held:
        yield b"\n"


def _bytes_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield file.read(BLOCK).removeprefix(_BOM)
        while block := file.read(BLOCK):
            yield block


def _transcoded(path: Path, encoding: str) -> Iterator[bytes]:
    with path.open(encoding=encoding, errors="surrogateescape", newline="") as file:
        while text := file.read(BLOCK):
            yield text.encode("utf-8", "surrogateescape")


def below_header(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the blocks from the second line on."""
    for block in blocks:
        _, end, rest = block.partition(b"\n")
        if end:
            yield rest
            break
    yield from blocks


def cut_lines(blocks: Iterator[bytes], rows: int) -> Iterator[tuple[pa.LargeBinaryArray, bytes]]:
    """Yield `rows` lines at a time, without their ends, and the bytes they stand in."""
    rest = b""
    counted = 0
    pieces: list[bytes] = []
    for block in blocks:
        pieces.append(block)
        counted += block.count(b"\n")
        if counted < rows:
            continue
        rest = b"".join(pieces)
        ends = _line_ends(rest)
        cut = 0
        for last in range(rows - 1, len(ends), rows):
            yield _between(rest, cut, ends[last - rows + 1 : last + 1])
            cut = int(ends[last]) + 1
        pieces, counted = [rest[cut:]], len(ends) % rows
    rest = b"".join(pieces)
    if rest:
        rest += b"" if rest.endswith(b"\n") else b"\n"
        yield _between(rest, 0, _line_ends(rest))


def _line_ends(text: bytes) -> npt.NDArray[np.int64]:
    return np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == ord("\n"))


def _between(text: bytes, start: int, ends: npt.NDArray[np.int64]) -> tuple[pa.LargeBinaryArray, bytes]:
    chunk = text[start : int(ends[-1]) + 1]
    offsets = np.concatenate(([0], ends - start + 1)).astype(np.int64)
    lines = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(ends), [None, pa.py_buffer(offsets), pa.py_buffer(chunk)])
    return lines, chunk


@dataclass(frozen=True)
class Records:
    """Lines as text with their fields: one array per column, and marks for lines that are not as they should be."""

    text: pa.LargeStringArray
    fields: Sequence[pa.LargeStringArray]
    misshapen: npt.NDArray[np.bool_]
    undecodable: npt.NDArray[np.bool_]


def split_records(lines: pa.LargeBinaryArray, chunk: bytes, delimiter: str, width: int) -> Records:
    """Split lines into `width` fields each; what a misshapen line lacks is empty, what it has beyond is left out.

    Bytes that are no text come out as escapes such as `\\xe9`.
    """
    text, undecodable = _decoded(lines, chunk)
    plain = _is_plain(text, delimiter, width)
    if plain.all():
        fields = _split_plain(text, delimiter, width)
        return Records(_bare(text), fields, ~plain, undecodable)
    others = np.flatnonzero(~plain)
    text_bare = _bare(text)
    records = split_quoted(text_bare.take(pa.array(others)).to_pylist(), delimiter)
    misshapen = np.zeros(len(text), dtype=bool)
    misshapen[others] = [len(record) != width for record in records]
    # Each line's place in the two parts put one behind the other.
    order = np.empty(len(text), dtype=np.int64)
    order[plain] = np.arange(plain.sum())
    order[~plain] = np.arange(plain.sum(), len(text))
    fast = _split_plain(text.filter(pa.array(plain)), delimiter, width)
    slow = [pa.array([record[i] if i < len(record) else "" for record in records], _TEXT) for i in range(width)]
    fields = [pa.concat_arrays([a, b]).take(pa.array(order)) for a, b in zip(fast, slow, strict=True)]
    return Records(text_bare, fields, misshapen, undecodable)


def _decoded(lines: pa.LargeBinaryArray, chunk: bytes) -> tuple[pa.LargeStringArray, npt.NDArray[np.bool_]]:
    """Return the lines as text, undecodable bytes as escapes, and marks for the lines that had some."""
    undecodable = np.zeros(len(lines), dtype=bool)
    starts = np.frombuffer(lines.buffers()[1], dtype=np.int64)
    whole = memoryview(chunk)
    begin = 0
    while begin < len(chunk):
        try:
            codecs.utf_8_decode(whole[begin:], "strict", True)
            break
        except UnicodeDecodeError as error:  # the line is marked, and the rest read on behind it
            line = int(np.searchsorted(starts, begin + error.start, side="right")) - 1
            undecodable[line] = True
            begin = int(starts[line + 1])
    if undecodable.any():
        bad = lines.filter(pa.array(undecodable)).to_pylist()
        escaped = [line.decode("utf-8", "backslashreplace").encode() for line in bad]
        lines = pc.replace_with_mask(lines, undecodable, pa.array(escaped, pa.large_binary()))
    return lines.view(_TEXT), undecodable


def _bare(text: pa.LargeStringArray) -> pa.LargeStringArray:
    return pc.ascii_rtrim(text, characters="\n")


def _is_plain(text: pa.LargeStringArray, delimiter: str, width: int) -> npt.NDArray[np.bool_]:
    shaped = pc.equal(pc.count_substring(text, delimiter), width - 1)
    quoted = pc.match_substring(text, '"')
    return np.asarray(pc.and_not(shaped, quoted).to_numpy(zero_copy_only=False))


def _split_plain(text: pa.LargeStringArray, delimiter: str, width: int) -> list[pa.LargeStringArray]:
    """Split lines that hold no quotation mark and the right number of delimiters."""
    if not len(text):
        return [pa.array([], _TEXT)] * width
    offsets = text.buffers()[1]
    first, last = (int(np.frombuffer(offsets, dtype=np.int64)[i + text.offset]) for i in (0, len(text)))
    names = [str(i) for i in range(width)]
    table = arrow_csv.read_csv(
        pa.BufferReader(text.buffers()[2].slice(first, last - first)),
        read_options=arrow_csv.ReadOptions(column_names=names, block_size=last - first + 1, use_threads=False),
        parse_options=arrow_csv.ParseOptions(delimiter=delimiter, quote_char=False, ignore_empty_lines=False),
        convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, _TEXT), check_utf8=False),
    )
    return [column.combine_chunks() for column in table.columns]


def split_quoted(lines: list[str], delimiter: str) -> list[list[str]]:
    """Split each line by the rules of CSV; a quotation mark that is never closed gives one field, so that no line is eaten."""
    try:
        records = list(csv.reader([*lines, _END], delimiter=delimiter))
    except csv.Error:  # a field beyond the reader's limit
        records = []
    if len(records) == len(lines) + 1 and records[-1] == [_END]:
        return records[:-1]
    return [[lines[0]]] if len(lines) == 1 else [split_quoted([line], delimiter)[0] for line in lines]
