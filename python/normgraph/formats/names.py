"""Names and texts as pictures and tables show them."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import numpy.typing as npt

from .._core import Constant, Node, Output, element

#: Names and values are cut to this many characters.
LONGEST_TEXT = 40

#: Constants of more elements are not written out.
MOST_ELEMENTS = 4


class UniqueNames:
    """Gives names that nothing else has, with a number behind those that are taken: `x`, `x_1`.

    A number that is taken stays taken, so that each search goes on where the last one for the same
    name has ended: n names take time in proportion to n.
    """

    def __init__(self, separator: str, first: int) -> None:
        self.separator = separator
        self.first = first
        self.taken: set[str] = set()
        self.numbers: dict[str, int] = {}

    def new(self, wish: str) -> str:
        """The name that is wished for, or with the lowest number that makes it a new one."""
        name, number = wish, self.numbers.get(wish, self.first)
        while name in self.taken:
            name = f"{wish}{self.separator}{number}"
            number += 1
            self.numbers[wish] = number
        self.taken.add(name)
        return name


def chosen_name(node: Node) -> str | None:
    """The friendly name, None where it has been generated ("Add_7")."""
    name = node.friendly_name
    return None if re.fullmatch(rf"{node.type_name}_\d+", name) else name


def output_name(output: Output) -> str:
    """An output as a graph prints it: `norm.mean`, or `y` for the only output of a node."""
    name = output.node.friendly_name
    return f"{name}.{output.name}" if len(output.node.outputs) > 1 else name


def tensor_type(output: Output) -> str:
    """The element type and the shape: `f32{?,64}`."""
    return f"{output.element_type}{output.partial_shape}"


def attributes_text(node: Node) -> str:
    """Attributes in a line, without flags that are not set: `epsilon=1e-05, channel_axis=1`."""
    texts = []
    for name, value in node.attributes.items():
        if value is False:
            continue
        value = f"{{{','.join(map(str, value))}}}" if isinstance(value, tuple) else value
        texts.append(f"{name}={value}")
    return ", ".join(texts)


def constant_text(constant: Constant) -> str:
    """The elements of a small constant, the number of a larger one's."""
    count = number_of_elements(constant)
    if not 1 <= count <= MOST_ELEMENTS:
        return f"{count} values"
    return ", ".join(map(number_text, elements_of(constant).reshape(-1).tolist()))


def number_of_elements(constant: Constant) -> int:
    """1 for a scalar; the shape may have more axes than an array can."""
    return math.prod(constant.shape)


def elements_of(constant: Constant) -> npt.NDArray[Any]:
    """The elements as numpy knows them: bf16, which numpy alone does not, as float32."""
    if constant.element_type != element.bf16:
        return constant.array()
    bits = np.frombuffer(constant.attributes["data"], np.uint16).astype(np.uint32) << 16
    return bits.view(np.float32)


def number_text(value: float | bool) -> str:
    """The shortest text of a number: 1 for 1.0, and a true minus sign."""
    text = f"{value:.9g}" if isinstance(value, float) else str(value)
    return f"−{text[1:]}" if text.startswith("-") else text


def in_one_line(text: str) -> str:
    r"""The text with `\n` for a line's end, and the like for all that does not show."""
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )


def printable(text: str, longest: int = LONGEST_TEXT) -> str:
    """The text in one line, cut to a length."""
    shown = in_one_line(text)
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"
