"""A picture in DOT, the language of Graphviz.

Labels are HTML-like: unlike strings, they interpret no backslashes, and everything a name can hold
has an escape.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .names import printable
from .picture import Arrow, Box, Group, Picture

__all__ = ["dot_of"]


class Colors(NamedTuple):
    """Colours of a box: dark text on a light ground, legible on white and on black paper."""

    fill: str
    line: str
    text: str


FORWARD = Colors("#cfe3ff", "#3f7cc4", "#10243f")
ADJOINT = Colors("#ffdcb3", "#c8741a", "#3d2000")
CONSTANT = Colors("#e9e9e4", "#8b8b83", "#2b2b28")

#: The colour of text on the paper itself: as far from white as from black.
PAPER_TEXT = "#7b8088"
FRAME, FRAME_FILL = "#7b8088", "#7b80881c"

FONT = "Helvetica,Arial,sans-serif"
SMALL = 9

HEAD = f"""\
  graph [rankdir=TB, bgcolor=transparent, nodesep=0.3, ranksep=0.4, fontname="{FONT}",
         fontcolor="{PAPER_TEXT}", fontsize=11, labeljust=l];
  node [fontname="{FONT}", fontsize=12, margin="0.12,0.06", height=0.3, style="rounded,filled"];
  edge [fontname="{FONT}", fontsize={SMALL}, fontcolor="{PAPER_TEXT}", color="{PAPER_TEXT}",
        arrowsize=0.7];
"""


def dot_of(picture: Picture) -> str:
    """Write a picture in DOT. The same picture gives the same text."""
    lines = [statement(box) for box in picture.boxes]
    for group in picture.groups:
        lines += frame(group)
    lines += [arrow_statement(arrow) for arrow in picture.arrows]
    body = HEAD + "".join(f"  {line}\n" for line in lines)
    # The SVG file has it as its id: so one can tell whether a file is of this text.
    digest = hashlib.sha256(body.encode()).hexdigest()[:16]
    name = escaped(printable(picture.name), backslashes=1)
    return f'digraph "{name}" {{\n  id="normgraph_{digest}";\n{body}}}\n'


def escaped(text: str, backslashes: int = 2) -> str:
    r"""Text as Graphviz reads it in labels and quoted strings.

    Graphviz replaces backslashes after HTML's escapes (\N is the name of a node): once in a label,
    twice in a tooltip, and in no name of a graph. It needs each twice, four times and once.
    """
    # Graphviz 2.43 takes a label of closing brackets alone for the end of a section of XML, and a
    # graph's name that begins with a percent sign for one that it has made itself.
    marked = html.escape(text).replace("]", "&#93;").replace("%", "&#37;")
    return marked.replace("\\", "&#92;" * backslashes)


def colors_of(box: Box) -> Colors:
    if box.kind == "constant":
        return CONSTANT
    return ADJOINT if box.is_adjoint else FORWARD


def statement(box: Box) -> str:
    colors = colors_of(box)
    attributes = {"color": f'"{colors.line}"', "fillcolor": f'"{colors.fill}"'}
    attributes["fontcolor"] = f'"{colors.text}"'
    if box.inputs or box.outputs:
        attributes |= {"shape": "plain", "style": '""', "label": table(box, colors)}
    else:
        attributes |= SHAPES[box.kind]
        attributes["label"] = f"<{'<br/>'.join(rows(box))}>"
    title = box.title or ", ".join(box.lines)
    attributes["tooltip"] = f'"{escaped(printable(title, longest=200), backslashes=4)}"'
    return f"{box.key} [{', '.join(f'{name}={value}' for name, value in attributes.items())}];"


SHAPES = {
    "parameter": {"shape": "oval"},
    "constant": {"shape": "box", "style": '"filled,dashed"', "fontsize": "10"},
    "op": {"shape": "box"},
    "small": {"shape": "box", "fontsize": str(SMALL), "margin": '"0.06,0.02"', "height": "0.2"},
    "result": {"shape": "oval", "peripheries": "2", "style": "filled"},
}


def rows(box: Box) -> Iterator[str]:
    """The lines of a box: the title in bold, the others smaller."""
    if box.title:
        text = escaped(printable(box.title))
        # A single line is a name, or all that there is to say.
        yield f"<b>{text}</b>" if box.kind != "constant" else text
    for line in box.lines:
        text = escaped(printable(line, longest=80))
        yield f'<font point-size="{SMALL + 1}">{text}</font>' if box.title else text


def table(box: Box, colors: Colors) -> str:
    """A box with places for arrows: inputs above, outputs below."""
    parts = [f"<tr><td>{'<br/>'.join(rows(box))}</td></tr>"]
    if box.inputs:
        parts = [places(box.inputs, "i"), "<hr/>", *parts]
    if box.outputs:
        parts += ["<hr/>", places(box.outputs, "o")]
    return (
        f'<<table border="1" cellborder="0" cellspacing="0" cellpadding="4" style="rounded" '
        f'color="{colors.line}" bgcolor="{colors.fill}">{"".join(parts)}</table>>'
    )


def places(names: Iterable[str], prefix: str) -> str:
    cells = "<vr/>".join(
        f'<td port="{prefix}{index}"><font point-size="{SMALL}">{escaped(name)}</font></td>'
        for index, name in enumerate(names)
    )
    return (
        '<tr><td cellpadding="0"><table border="0" cellborder="0" cellspacing="0" '
        f'cellpadding="3"><tr>{cells}</tr></table></td></tr>'
    )


def frame(group: Group) -> list[str]:
    title = escaped(printable(group.title, longest=100))
    return [
        f"subgraph cluster_{group.key} {{",
        f'  label=<{title}>; style="rounded,filled"; color="{FRAME}"; fillcolor="{FRAME_FILL}";',
        *(f"  {statement(box)}" for box in group.boxes),
        "}",
    ]


def arrow_statement(arrow: Arrow) -> str:
    source = (
        f"{arrow.source.key}:{arrow.source.place}:s" if arrow.source.place else arrow.source.key
    )
    target = f"{arrow.target}:{arrow.place}:n" if arrow.place else arrow.target
    return f"{source} -> {target} [label=<&#160;{escaped(arrow.source.type_text)}&#160;>];"
