"""Errors of reading a text and of writing for other programs."""

from __future__ import annotations


class FormatError(ValueError):
    """A text is not in the format it should have.

    The message names the place first: `nodes[3].attributes.epsilon: expected a number, got "x"`.
    """

    __module__ = "normgraph.formats"


class NotExpressibleError(ValueError):
    """A function has something that the format of another program cannot say.

    The message names each node, what it has, and what would be expected.
    """

    __module__ = "normgraph.formats"
