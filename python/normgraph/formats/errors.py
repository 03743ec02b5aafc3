"""Errors of reading a text and of writing for other programs."""

from __future__ import annotations

from collections.abc import Iterable


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


class NotImportableError(ValueError):
    """A graph of another program has something that normgraph has no op for.

    The message has a line for each place, with what is there and what would be expected; `refusals`
    has the lines one by one.
    """

    __module__ = "normgraph.formats"

    def __init__(self, refusals: Iterable[str]) -> None:
        self.refusals = tuple(refusals)
        super().__init__("\n".join(self.refusals))

    def __reduce__(self) -> tuple[type[NotImportableError], tuple[tuple[str, ...]]]:
        return NotImportableError, (self.refusals,)
