"""What reading a text raises."""

from __future__ import annotations


class FormatError(ValueError):
    """A text is not in the format it should have.

    The message names the place first: `nodes[3].attributes.epsilon: expected a number, got "x"`.
    """

    __module__ = "normgraph.formats"
