"""Bounded YAML: plain values with their lines, and nothing else. No tags, no anchors, no merge keys, no surprises.

A file is looked through as a stream of events first, which can't be blown up; only what passes is built into values.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 32_000_000
MAX_DEPTH = 20

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_CONSTRUCTOR: Any = yaml.constructor.SafeConstructor()


class YamlError(Exception):
    """A file is no YAML that we read. The text names file, line and what to do."""


@dataclass(frozen=True)
class YamlDocument:
    """A document's plain value, and the line (from 1) of each of its parts by path."""

    value: Any
    lines: dict[tuple[str | int, ...], int] = field(repr=False)

    def line(self, path: tuple[str | int, ...]) -> int:
        """Return the line of a part, or of the nearest part around it that is there."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_yaml(path: Path) -> YamlDocument:
    """Read a file; raises YamlError naming file and line when it is not one plain UTF-8 document."""
    return parse_yaml(_text_of(path), path.name)


def parse_yaml(text: str, name: str) -> YamlDocument:
    """Parse a text; `name` stands in errors. Raises YamlError."""
    try:
        _look_through(text, name)
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        raise YamlError(_explain(error, name)) from None
    except yaml.YAMLError as error:
        raise YamlError(f"{name}: {_first_line(error)}. Remove the character and save the file as UTF-8.") from None
    if node is None:
        raise YamlError(f"{name}: the file holds nothing. Restore it from git, or import the documents again.")
    lines: dict[tuple[str | int, ...], int] = {}
    return YamlDocument(_build(node, (), lines, name), lines)


def _text_of(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise YamlError(f"{path.name}: {size:,} bytes, more than the {MAX_BYTES:,} that are read. Split the file.")
        raw = path.read_bytes()
    except OSError as error:
        raise YamlError(f"{path}: can't be read ({error.strerror}). Name a file that is there.") from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise YamlError(f"{path.name}, line {line}: byte {error.start} is not UTF-8. Save the file as UTF-8.") from None


def _look_through(text: str, name: str) -> None:
    """Refuse what could blow up or run something, before any value is built."""
    depth, documents = 0, 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.DocumentStartEvent):
            documents += 1
        if depth > MAX_DEPTH:
            raise YamlError(f"{name}, line {line}: nested deeper than {MAX_DEPTH} levels. Check the brackets.")
        if documents > 1:
            raise YamlError(f"{name}, line {line}: a second document starts here. Remove the line ---.")
        if getattr(event, "anchor", None):
            raise YamlError(f"{name}, line {line}: anchors and aliases (& and *) are not read. Write the value out.")
        if getattr(event, "tag", None):
            raise YamlError(f"{name}, line {line}: tags such as {str(event.tag)[:40]!r} are not read. Remove the tag.")


def _build(node: yaml.Node, path: tuple[str | int, ...], lines: dict[tuple[str | int, ...], int], name: str) -> Any:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        return {key: _build(value, (*path, key), lines, name) for key, value in _pairs(node, name)}
    if isinstance(node, yaml.SequenceNode):
        return [_build(value, (*path, index), lines, name) for index, value in enumerate(node.value)]
    return _scalar(node, name)


def _pairs(node: yaml.MappingNode, name: str) -> Iterator[tuple[str, yaml.Node]]:
    seen: set[str] = set()
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise YamlError(f"{name}, line {line}: a key must be a plain word.")
        if key.value in seen:
            raise YamlError(f"{name}, line {line}: {key.value[:40]!r} stands twice. Keep one of them.")
        seen.add(key.value)
        yield key.value, value


def _scalar(node: yaml.Node, name: str) -> Any:
    construct = _CONSTRUCTOR.yaml_constructors.get(node.tag)
    try:
        return construct(_CONSTRUCTOR, node) if construct else node.value
    except (yaml.YAMLError, ValueError, OverflowError):
        line = node.start_mark.line + 1
        raise YamlError(f"{name}, line {line}: {str(node.value)[:40]!r} is no value that can be read. Put it in quotes.") from None


def _explain(error: yaml.MarkedYAMLError, name: str) -> str:
    mark = error.problem_mark or error.context_mark
    where = f"{name}, line {mark.line + 1}" if mark else name
    problem = (error.problem or "not readable as YAML").rstrip(".")
    hint = "Indent with blanks, not tabs." if "\\t" in problem or "'\t'" in problem or "tab" in problem else "Correct the line."
    return f"{where}: {problem}. {hint}"


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".")
