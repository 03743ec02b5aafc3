"""draw(function): a picture of a function, through Graphviz."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np

from .._core import Function, Parameter, element
from .arguments import check_is_function, parameters_of, path_of, refuse
from .dot import dot_of
from .names import printable
from .picture import picture_of
from .text_widths import with_text_widths

__all__ = ["Drawing", "GraphvizError", "draw"]

#: The endings that Drawing.save knows, beside .dot.
RENDERED = (".pdf", ".png", ".svg")

ADVICE = (
    "install Graphviz (apt-get install graphviz, brew install graphviz, conda install graphviz, "
    "or see https://graphviz.org/download)"
)


class GraphvizError(RuntimeError):
    """Graphviz, whose program `dot` makes pictures out of text, is missing or has failed."""


@dataclass(frozen=True, repr=False)
class Drawing:
    """A picture of a function, as text in Graphviz' language DOT; `dot` makes an image of it.

    In a notebook it shows itself: as an image, or as the function's text where Graphviz is not
    installed.
    """

    dot: str
    text: str
    name: str = ""

    def svg(self) -> str:
        """The image as SVG. Raises GraphvizError if Graphviz is not installed."""
        image, end, layout = run_dot(self.dot, "svg", "json").decode().partition("</svg>\n")
        # The part before is for files, and names the version of Graphviz.
        return with_text_widths(image[image.index("<svg") :] + end, layout)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the drawing to a file: .svg, .png or .pdf, or .dot for the text.

        Raises ValueError for another ending, OSError as open does, and GraphvizError if Graphviz is
        needed and not installed.
        """
        target = path_of(path)
        ending = target.suffix.lower()
        if ending == ".dot":
            content = self.dot.encode()
        elif ending == ".svg":
            content = self.svg().encode()
        elif ending in RENDERED:
            content = run_dot(self.dot, ending[1:])
        else:
            known = ", ".join((".dot", *RENDERED))
            raise ValueError(
                f"path: expected a name that ends in one of {known}, got {str(target)!r}"
            )
        target.write_bytes(content)

    def __str__(self) -> str:
        return self.dot

    def __repr__(self) -> str:
        return f"<Drawing of '{printable(self.name)}'>"

    def _repr_svg_(self) -> str | None:
        """For notebooks; None where there is no image."""
        return self.svg() if shutil.which("dot") else None

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """For notebooks, which show the best of these that they can."""
        image = self._repr_svg_()
        if image is None:
            return {"text/plain": f"{self.text}\n\n(To see a picture, {ADVICE}.)"}
        return {"image/svg+xml": image, "text/plain": self.text}


def run_dot(text: str, *formats: str) -> bytes:
    """What Graphviz makes of a text in DOT: the formats, one after the other."""
    program = shutil.which("dot")
    if program is None:
        raise GraphvizError(f"the program 'dot' is not on the PATH: {ADVICE}")
    dpi = 144 if "png" in formats else 72
    command = [program, *(f"-T{name}" for name in formats), f"-Gdpi={dpi}"]
    done = subprocess.run(command, input=text.encode(), capture_output=True, check=False)
    if done.returncode != 0:
        message = done.stderr.decode(errors="replace").strip()
        raise GraphvizError(f"the program 'dot' has failed: {message}")
    return done.stdout


def draw(
    function: Function,
    decompose: bool | str | element.Type | np.dtype[Any] | type[np.generic] | None = False,
    deltas: Sequence[Parameter] | None = None,
) -> Drawing:
    """A drawing of a function: a box for each node, an arrow for each value with type and shape.

    decompose draws each op of the batch-normalization family as a frame that holds its stages,
    named after their symbols; a step without a name is part of the formula of the stage that reads
    it. True: the stages compute in the type of the channel vectors; an element type such as "f64":
    in this one; False or None: ops are boxes.

    Blue is what the function computes forward, orange what depends on a gradient that arrives: on
    the parameters in deltas, or else on those whose name ends in _delta, as gradients() names them,
    and on inputs of such a name. Ovals are parameters, ovals with two lines are results, dashed
    boxes are constants; a scalar is shown once for each use, with its value. What Broadcast reads
    of `like`, a shape, is not shown.

    Raises TypeError for arguments of another type; ValueError for deltas that are not parameters of
    the function, for a type that is not real, and, naming the node, if an op cannot be decomposed
    since an element type is not known.
    """
    check_is_function(function)
    marked = None if deltas is None else parameters_of("deltas", deltas)
    picture = picture_of(function, stages_type(decompose), marked)
    return Drawing(dot_of(picture), str(function), function.friendly_name)


def stages_type(decompose: object) -> bool | element.Type:
    """Reads the argument decompose: whether stages are drawn, or in which type."""
    expected = "True, False or a real element type"
    if decompose is None or isinstance(decompose, (bool, np.bool_)):
        return bool(decompose)
    try:
        found = element.Type(decompose)  # type: ignore[arg-type]
    except TypeError:
        refuse("decompose", expected, decompose)
    except ValueError:
        found = element.dynamic
    if not found.is_real:
        raise ValueError(f"decompose: expected {expected}, got {decompose!r}")
    return found
