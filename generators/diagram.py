"""Diagrams: described with the `diagrams` library, laid out and drawn by the Graphviz libraries that pygraphviz carries.

No `dot` program is needed; one on the PATH is used where pygraphviz can't be imported.
"""

import base64
import re
import shutil
import subprocess
from html import escape
from pathlib import Path

import diagrams


class DiagramError(Exception):
    """A diagram can't be drawn: neither pygraphviz nor a `dot` program is there."""


class Drawing(diagrams.Diagram):  # type: ignore[misc]
    """A diagram that is only described; `draw` makes pictures of its source."""

    def __exit__(self, *_: object) -> None:
        """Leave the description without drawing: the library would call the `dot` program."""
        diagrams.setdiagram(None)

    @property
    def source(self) -> str:
        """The description in Graphviz' language."""
        return str(self.dot.source)


def draw(source: str, *forms: str) -> list[bytes]:
    """Lay out a source once and draw it in each form (`svg`, `png`, `pdf`); raises DiagramError when nothing here can."""
    try:
        import pygraphviz
    except ImportError:
        return [_draw_with_program(source, form) for form in forms]
    graph = pygraphviz.AGraph(string=source)
    graph.layout(prog="dot")
    return [bytes(graph.draw(format=form)) for form in forms]


def _draw_with_program(source: str, form: str) -> bytes:
    dot = shutil.which("dot")
    if dot is None:
        raise DiagramError("the diagram can't be drawn: install pygraphviz (pip) or Graphviz' dot program.")
    return subprocess.run([dot, f"-T{form}"], input=source.encode("utf-8"), capture_output=True, check=True).stdout


def write_pictures(source: str, folder: Path, name: str, title: str, description: str) -> None:
    """Write `name`.svg and `name`.png; the SVG holds its icons and carries title and description for those who can't see it."""
    drawn, picture = draw(source, "svg", "png")
    svg = with_alternative(center_labels(embed_images(drawn.decode("utf-8"))), title, description)
    (folder / f"{name}.svg").write_text(svg, encoding="utf-8", newline="\n")
    (folder / f"{name}.png").write_bytes(picture)


def embed_images(svg: str) -> str:
    """Put the icons that an SVG names by path into it, so that it is one file and names no path of this machine."""

    def embed(found: re.Match[str]) -> str:
        data = base64.b64encode(Path(found[2]).read_bytes()).decode("ascii")
        return f'{found[1]}="data:image/png;base64,{data}"'

    return re.sub(r'((?:xlink:)?href)="([^"#:]+\.png|[A-Za-z]:[^"]+\.png)"', embed, svg)


def center_labels(svg: str) -> str:
    """Centre labels of several sizes in their box: Graphviz places them for its own font, a browser draws them in another."""

    def center(node: re.Match[str]) -> str:
        path = re.search(r'<path [^>]*d="([^"]+)"', node[0])
        if path is None or 'text-anchor="start"' not in node[0]:
            return node[0]
        across = [float(x) for x in re.findall(r"(-?[\d.]+),-?[\d.]+", path[1])]
        middle = (min(across) + max(across)) / 2
        return re.sub(r'text-anchor="start" x="[^"]+"', f'text-anchor="middle" x="{middle:.2f}"', node[0])

    return re.sub(r'<g id="[^"]+" class="node">.*?</g>', center, svg, flags=re.DOTALL)


def with_alternative(svg: str, title: str, description: str) -> str:
    """Name an SVG for those who can't see it, and take out what the drawing program wrote of itself."""
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = svg.replace("<svg ", '<svg role="img" aria-labelledby="title description" ', 1)
    head = f'<title id="title">{escape(title)}</title>\n<desc id="description">{escape(description)}</desc>\n'
    return re.sub(r"(<svg [^>]*>\s*)", lambda found: found[1] + head, svg, count=1)
