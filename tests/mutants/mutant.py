"""A mutant, and how it is found in its file."""

from __future__ import annotations

import re
from dataclasses import dataclass

CPP_TESTS = "C++"
"""Stands in place of pytest's arguments for the GoogleTests."""


class OutOfDateError(Exception):
    """The list of mutants does not describe the sources any more."""


@dataclass(frozen=True)
class Mutant:
    """One change of one file: `original`, which stands there once, becomes `replacement`."""

    name: str
    drops: str
    original: str
    replacement: str


@dataclass(frozen=True)
class Group:
    """Mutants of one file, and the tests that are expected to notice them, which run first.

    `first` are pytest's arguments, separated by spaces, or CPP_TESTS. With `is_alone` no others are
    run: of a file of Python, from which nothing is compiled, and that the others do not import.
    """

    path: str
    first: str
    mutants: tuple[Mutant, ...]
    is_alone: bool = False


def mutated(mutant: Mutant, path: str, text: str) -> str:
    """The file's text with the change. Raises OutOfDateError unless the original is there once.

    Texts are compared token by token, so that the original may be broken into other lines.
    """
    tokens = re.findall(r"\w+|[^\w\s]", mutant.original)
    pattern = r"\s*".join(
        rf"\b{token}\b" if token[0].isalnum() else re.escape(token) for token in tokens
    )
    found = re.findall(pattern, text)
    if len(found) != 1:
        raise OutOfDateError(
            f"mutant {mutant.name}: expected its original once in {path}, found it "
            f"{len(found)} times: {mutant.original}"
        )
    return re.sub(pattern, lambda _: mutant.replacement, text)
