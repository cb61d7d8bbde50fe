"""The YAML reader gives plain values with their lines, and a clear error for everything else."""

import contextlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from generators import safe_yaml
from generators.safe_yaml import MAX_BYTES, MAX_DEPTH, YamlError, parse_yaml, read_yaml


@pytest.fixture(params=["libyaml", "python"])
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both parsers: where libyaml is missing, Python's own must refuse the same."""
    if request.param == "python":
        monkeypatch.setattr(safe_yaml, "_Loader", yaml.SafeLoader)
    elif not hasattr(yaml, "CSafeLoader"):
        pytest.skip("this PyYAML was built without libyaml")


def test_values_are_plain_and_know_their_lines() -> None:
    document = parse_yaml("a: 1\nb:\n  - x\n  - {c: yes, d: 2.5, e: ~}\n", "f.yaml")
    assert document.value == {"a": 1, "b": ["x", {"c": True, "d": 2.5, "e": None}]}
    assert [document.line(path) for path in [(), ("a",), ("b",), ("b", 0), ("b", 1, "d")]] == [1, 1, 3, 3, 4]


def test_the_line_of_what_is_missing_is_that_of_what_is_around_it() -> None:
    document = parse_yaml("a: 1\nb:\n  - x\n  - c: 1\n", "f.yaml")
    assert document.line(("b", 1, "missing", "deeper")) == 4
    assert document.line(("nowhere",)) == 1


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "'a' stands twice, first in line 1"),
        ("x:\n  - {a: 1, a: 2}\n", 2, "'a' stands twice"),
        ("a: &x [1]\nb: *x\n", 1, "anchors and aliases"),
        ("a: 1\nb: *x\n", 2, "anchors and aliases"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n", 1, "anchors and aliases"),
        ("a: 1\nb: !!python/object/apply:os.system [ls]\n", 2, "tags such as"),
        ("a: !!binary aGVsbG8=\n", 1, "tags such as"),
        ("a: !!set {x}\n", 1, "tags such as"),
        ("a: !mine x\n", 1, "tags such as"),
        ("a: !<tag:yaml.org,2002:int> 3\n", 1, "tags such as"),
        ("%TAG ! tag:example.org,2000:\n---\na: !b c\n", 3, "tags such as"),
        ("a: 1\n<<: {b: 2}\n", 2, "merge keys"),
        ("a: 1\n<<: [{b: 2}]\n", 2, "merge keys"),
        ("a: 1\n---\nb: 2\n", 2, "a second document"),
        ("a: 1\n...\n---\nb: 2\n", 3, "a second document"),
        ("? [a, b]\n: c\n", 1, "can't be a key"),
        ("a:\n\tb: 1\n", 2, "Indent with blanks, not with tabs"),
        ("a:\n  b: 1\n\tc: 1\n", 3, "Indent with blanks, not with tabs"),
        ("a: [1, 2\nb: 3\n", 2, "Correct the line"),
        ("a: 'open\n", 2, "Correct the line"),
        ("a: 1\nb: x\0y\n", 2, "control character (U+0000)"),
        ("a: 1\n\nb: \x07\n", 3, "control character (U+0007)"),
        ("a: \x1b[31mred\n", 1, "control character (U+001B)"),
        ("a: 2026-02-30\n", 1, "no value that can be read"),
        ("a: 0b_\n", 1, "no value that can be read"),
        (f"a: {'9' * 5000}\n", 1, "no value that can be read"),
        (f"a: {'1' + ':00' * 300_000}\n", 1, "no value that can be read"),
        ("[" * 100_000, 1, "nested deeper"),
        ("{a: " * 100_000, 1, "nested deeper"),
        ("- " * 100_000, 1, "nested deeper"),
        ("\n".join(" " * depth + "a:" for depth in range(300)), MAX_DEPTH + 1, "nested deeper"),
    ],
    ids=lambda value: None if isinstance(value, int) else str(value)[:24].encode("unicode_escape").decode(),
)
def test_everything_else_is_refused_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(YamlError) as caught:
        parse_yaml(text, "f.yaml")
    assert str(caught.value).startswith(f"f.yaml, line {line}: ")
    assert words in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize("text", ["", "\n\n", "# only\n# comments\n", "   "])
def test_a_file_that_holds_nothing_is_refused(text: str) -> None:
    with pytest.raises(YamlError, match=r"f\.yaml: the file holds nothing"):
        parse_yaml(text, "f.yaml")


def test_a_quoted_merge_sign_is_a_key_like_any_other() -> None:
    assert parse_yaml('"<<": 1\n', "f.yaml").value == {"<<": 1}


def test_the_deepest_that_is_read_is_read() -> None:
    value = parse_yaml("[" * MAX_DEPTH + "]" * MAX_DEPTH, "f.yaml").value
    for _ in range(MAX_DEPTH - 1):
        (value,) = value
    assert value == []


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"a: 1\nb: \xff\n", "line 2: byte 8 is not UTF-8"),
        (b"\xef\xbb\xbfa: 1\nb: \xff\n", "line 2: byte 11 is not UTF-8"),
        ("a: caf\xe9\n".encode("latin-1"), "line 1: byte 6 is not UTF-8"),
        ("a: 1\n".encode("utf-16"), "looks like UTF-16"),
        (b"\xfe\xff" + "a: 1\n".encode("utf-16-be"), "looks like UTF-16"),
        ("a: 1\n".encode("utf-16-le"), r"control character (U+0000)"),
    ],
)
def test_other_encodings_are_refused(tmp_path: Path, raw: bytes, words: str) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(raw)
    with pytest.raises(YamlError) as caught:
        read_yaml(path)
    assert str(caught.value).startswith("f.yaml, line ")
    assert words in str(caught.value)


@pytest.mark.parametrize("raw", [b"\xef\xbb\xbfa: 1\nb: [x]\n", b"a: 1\r\nb: [x]\r\n", b"---\na: 1\nb: [x]\n...\n"])
def test_byte_order_mark_line_ends_and_document_marks_change_nothing(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(raw)
    assert read_yaml(path).value == {"a": 1, "b": ["x"]}


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.yaml", tmp_path):
        with pytest.raises(YamlError) as caught:
            read_yaml(path)
        assert str(path) in str(caught.value)
        assert "can't be read" in str(caught.value)


def test_a_file_over_the_limit_is_refused_before_it_is_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    monkeypatch.setattr(safe_yaml, "parse_yaml", lambda *_: pytest.fail("it was parsed"))
    with pytest.raises(YamlError, match=r"f\.yaml: larger than the 32,000,000 bytes"):
        read_yaml(path)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=15,
)


@given(PLAIN)
def test_what_a_writer_writes_comes_back(value: Any) -> None:
    assert parse_yaml(yaml.dump(value, Dumper=yaml.SafeDumper), "f.yaml").value == value


@given(
    st.binary(max_size=200)
    | st.text(max_size=200).map(str.encode)
    | st.text("0123456789abexoTZ:._+- ~<=&*!%@`|>{}[],?#'\"\n\t", max_size=40).map(str.encode)
)
def test_no_bytes_raise_anything_else(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_bytes(raw)
    with contextlib.suppress(YamlError):
        assert read_yaml(path).lines[()] >= 1
