"""Diagrams are drawn without a `dot` program, as single files that tell what they show."""

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from generators import diagram

SOURCE = 'digraph { a [label="A & B"]; a -> b [style=dashed] }'


def test_it_draws_without_a_dot_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    svg, png = diagram.draw(SOURCE, "svg", "png")
    assert svg.startswith(b"<?xml")
    assert png.startswith(b"\x89PNG")


def test_without_either_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(diagram.DiagramError, match=r"install pygraphviz \(pip\) or Graphviz"):
        diagram.draw(SOURCE, "svg")


def test_an_svg_is_one_file_with_a_title_and_a_description(tmp_path: Path) -> None:
    icon = tmp_path / "icon.png"
    icon.write_bytes(diagram.draw("digraph { x }", "png")[0])
    source = f'digraph {{ a [image="{icon.as_posix()}", label="", shape=none] }}'
    diagram.write_pictures(source, tmp_path, "out", "The title", "What it shows & means")
    text = (tmp_path / "out.svg").read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    assert [root[0].text, root[1].text] == ["The title", "What it shows & means"]
    assert "data:image/png;base64," in text
    assert str(tmp_path) not in text


def test_the_same_source_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        diagram.write_pictures(SOURCE, tmp_path, name, "t", "d")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
