"""Bounded YAML: plain values with their lines, and nothing else. No tags, no anchors, no merge keys, no surprises.

A file is looked through as a stream of events first, which can't be blown up; only what passes is built into values.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 32_000_000
MAX_DEPTH = 20
MAX_NUMBER = 100

YamlPath = tuple[str | int, ...]

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONSTRUCTOR: Any = yaml.constructor.SafeConstructor()
_TEXT = "tag:yaml.org,2002:str"
_MERGE = "tag:yaml.org,2002:merge"
_UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What YAML allows in no place, however it is quoted."""


class YamlError(Exception):
    """A file is no YAML that we read. The text names file, line and what to do."""


@dataclass(frozen=True)
class YamlDocument:
    """A document's plain value, and the line (from 1) of each of its parts by path."""

    value: Any
    lines: dict[YamlPath, int] = field(repr=False)

    def line(self, path: YamlPath) -> int:
        """Return the line of a part, or of the nearest part around it that is there."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_yaml(path: Path) -> YamlDocument:
    """Read a file; raises YamlError naming file and line when it is not one plain UTF-8 document."""
    return parse_yaml(_text_of(path), path.name)


def parse_yaml(text: str, name: str) -> YamlDocument:
    """Parse a text; `name` stands in errors. Raises YamlError."""
    if found := _UNREADABLE.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise YamlError(f"{name}, line {line}: a control character (U+{ord(found[0]):04X}) stands there. Remove it.")
    try:
        _look_through(text, name)
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        raise YamlError(_explain(error, text, name)) from None
    except yaml.YAMLError as error:
        raise YamlError(f"{name}: {str(error).splitlines()[0].rstrip('.')}. Save the file as UTF-8 text.") from None
    if node is None:
        raise YamlError(f"{name}: the file holds nothing. Restore it from git, or write it anew.")
    lines: dict[YamlPath, int] = {}
    return YamlDocument(_build(node, (), lines, name), lines)


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise YamlError(f"{path}: can't be read ({error.strerror}). Name a file that is there.") from None
    if len(raw) > MAX_BYTES:
        raise YamlError(f"{path.name}: larger than the {MAX_BYTES:,} bytes that are read. Split the file.")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise YamlError(f"{path.name}, line 1: byte 0 is not UTF-8; the file looks like UTF-16. Save it as UTF-8.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # Counted from the file's beginning: the codec leaves a byte order mark out of its own count.
        at = error.start + (len(raw) - len(error.object))
        line = raw.count(b"\n", 0, at) + 1
        raise YamlError(f"{path.name}, line {line}: byte {at} is not UTF-8. Save the file as UTF-8.") from None


def _look_through(text: str, name: str) -> None:
    """Refuse what could blow up or run something, before any value is built."""
    depth, documents = 0, 0
    event: Any
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.DocumentStartEvent):
            documents += 1
        if fault := _refusal(event, depth, documents):
            raise YamlError(f"{name}, line {event.start_mark.line + 1}: {fault}")


def _refusal(event: Any, depth: int, documents: int) -> str | None:
    if depth > MAX_DEPTH:
        return f"nested deeper than {MAX_DEPTH} levels. Check the brackets and the indentation."
    if documents > 1:
        return "a second document starts here. Remove the line ---."
    if getattr(event, "anchor", None):
        return "anchors and aliases (& and *) are not read. Write the value out."
    if getattr(event, "tag", None):
        return f"tags such as {event.tag[:40]!r} are not read. Remove the tag."
    return None


def _build(node: Any, path: YamlPath, lines: dict[YamlPath, int], name: str) -> Any:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        return {key: _build(value, (*path, key), lines, name) for key, value in _pairs(node, name)}
    if isinstance(node, yaml.SequenceNode):
        return [_build(value, (*path, index), lines, name) for index, value in enumerate(node.value)]
    return _scalar(node, name)


def _pairs(node: yaml.MappingNode, name: str) -> Iterator[tuple[str, Any]]:
    seen: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise YamlError(f"{name}, line {line}: a list or mapping can't be a key. Write a plain word before the colon.")
        if key.tag == _MERGE:
            raise YamlError(f"{name}, line {line}: merge keys (<<) are not read. Write the values out.")
        if key.value in seen:
            before = seen[key.value]
            raise YamlError(f"{name}, line {line}: {key.value[:40]!r} stands twice, first in line {before}. Keep one of them.")
        seen[key.value] = line
        yield key.value, value


def _scalar(node: Any, name: str) -> Any:
    construct = None if node.tag == _TEXT else _CONSTRUCTOR.yaml_constructors.get(node.tag)
    if construct is None:
        return node.value
    try:
        # Without a limit, a number in groups of sixty (1:30:00:...) of some megabytes would take hours.
        if len(node.value) > MAX_NUMBER:
            raise ValueError
        return construct(_CONSTRUCTOR, node)
    except (yaml.YAMLError, ValueError, OverflowError):
        where = f"{name}, line {node.start_mark.line + 1}"
        raise YamlError(f"{where}: {node.value[:40]!r} is no value that can be read. Put it in quotes.") from None


def _explain(error: yaml.MarkedYAMLError, text: str, name: str) -> str:
    mark: Any = error.problem_mark or error.context_mark
    problem = (error.problem or "not readable as YAML").rstrip(".")
    if mark is None:
        return f"{name}: {problem}. Correct the file."
    line = next(iter(text.splitlines()[mark.line : mark.line + 1]), "")
    hint = "Indent with blanks, not with tabs." if "\t" in line[: mark.column + 1] else "Correct the line."
    return f"{name}, line {mark.line + 1}: {problem}. {hint}"
