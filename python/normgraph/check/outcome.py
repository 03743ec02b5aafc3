"""A check: a subject, and a function that returns a figure or raises an objection."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class MismatchError(Exception):
    """The check does not hold; the message says what was expected and what came."""


class UnavailableError(Exception):
    """The check cannot be made here; the message says why."""


class Check(NamedTuple):
    """One line of the report; `measure` returns its figure or raises one of the errors above."""

    subject: str
    measure: Callable[[], str]


def require_equal(what: str, actual: object, expected: object) -> None:
    """Raise MismatchError unless both are equal."""
    if actual != expected:
        raise MismatchError(f"{what}: expected {expected}, got {actual}")
