"""Decisions that are made by bytes, which a fuzzer changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


class Choices:
    """Takes bytes from the front; where they have ended, zeros."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._next = 0

    @property
    def is_used_up(self) -> bool:
        """Whether all further decisions are the first of their choices."""
        return self._next >= len(self._data)

    def bytes(self, count: int) -> bytes:
        """So many, or those that are left."""
        taken = self._data[self._next : self._next + count]
        self._next += count
        return taken

    def integer(self, low: int, high: int) -> int:
        """From low to high, both included."""
        span = high - low + 1
        size = (span.bit_length() + 7) // 8
        return low + int.from_bytes(self.bytes(size), "little") % span

    def chance(self, in_256: int) -> bool:
        """True in so many of 256 cases, if bytes are random; False where they have ended."""
        return not self.is_used_up and self.integer(0, 255) < in_256

    def one_of(self, items: Sequence[Item]) -> Item:
        """One of these; the first is the one for zeros."""
        return items[self.integer(0, len(items) - 1)]

    def text(self, longest: int = 8) -> str:
        """Any characters."""
        return self.bytes(self.integer(0, longest)).decode("utf-8", errors="replace")
