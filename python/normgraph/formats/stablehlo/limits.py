"""What jaxlib's parser ends the process for, found before it is given to the parser.

These are strings that are no UTF-8, of which the parser cannot make strings of Python, and nesting
that is too deep for its stack.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from ..errors import FormatError

#: The first bytes of MLIR's bytecode, in which portable artifacts are.
BYTECODE = b"ML\xefR"

#: Brackets inside each other. Programs have a dozen; a thousand are still safe on a stack of 8 MiB.
MOST_NESTED = 256

STRING_OR_COMMENT = re.compile(rb'"(?:[^"\\\n]|\\.)*"|//[^\n]*')
STRING = re.compile(rb'"((?:[^"\\\n]|\\.)*)"')
ESCAPE = re.compile(rb"\\([0-9A-Fa-f]{2})")

#: What a byte adds to the nesting.
STEPS = np.zeros(256, np.int8)
STEPS[list(b"([{<")] = 1
STEPS[list(b")]}>")] = -1


def check_limits(data: bytes) -> None:
    """Raise FormatError for a text or an artifact that the parser must not be given."""
    if data.startswith(BYTECODE):
        for string in strings_of_bytecode(data):
            check_strings(string, "an artifact")
    else:
        check_strings(data, "a text")
        check_nesting(data)


def check_strings(data: bytes, what: str) -> None:
    """Raise FormatError unless data and the strings that it quotes are UTF-8."""
    try:
        data.decode()
        for quoted in STRING.finditer(data) if b"\\" in data else ():
            unescaped(quoted[1]).decode()
    except UnicodeDecodeError as error:
        raise FormatError(f"expected {what} of StableHLO in UTF-8: {error}") from None


def unescaped(text: bytes) -> bytes:
    """A quoted string with bytes for their two digits in hexadecimal."""
    return ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode()), text)


def check_nesting(data: bytes) -> None:
    """Raise FormatError for brackets that are too deep, whether they are closed or not."""
    bare = STRING_OR_COMMENT.sub(b"", data).replace(b"->", b"")
    depth = np.cumsum(STEPS[np.frombuffer(bare, np.uint8)], dtype=np.int64)
    if depth.size == 0:
        return
    lowest = np.minimum.accumulate(np.minimum(depth, 0))
    deepest = int((depth - lowest).max())
    if deepest > MOST_NESTED:
        raise FormatError(
            f"expected at most {MOST_NESTED} brackets inside each other, got {deepest}"
        )


# ---- bytecode --------------------------------------------------------------------------------


class Truncated(Exception):
    """The bytes end too early, of which the parser itself says more."""


def strings_of_bytecode(data: bytes) -> Iterator[bytes]:
    """The strings that everything in MLIR's bytecode refers to."""
    try:
        reader = BytecodeReader(data, len(BYTECODE))
        reader.number()
        reader.until_zero()
        while reader.place < len(data):
            kind = reader.take(1)[0]
            length = reader.number()
            if kind & 0x80:
                alignment = reader.number()
                reader.place += -reader.place % max(alignment, 1)
            section = reader.take(length)
            if kind & 0x7F == 0:
                yield from strings_of_section(section)
    except Truncated:
        return


def strings_of_section(section: bytes) -> Iterator[bytes]:
    """The lengths of strings, the last one's first, stand before all strings."""
    reader = BytecodeReader(section, 0)
    count = reader.number()
    if count > len(section):
        raise Truncated
    lengths = [reader.number() for _ in range(count)]
    for length in reversed(lengths):
        yield reader.take(length).removesuffix(b"\0")


class BytecodeReader:
    """Takes the elements of MLIR's bytecode one by one. Raises Truncated."""

    def __init__(self, data: bytes, place: int) -> None:
        self.data = data
        self.place = place

    def take(self, count: int) -> bytes:
        taken = self.data[self.place : self.place + count]
        if len(taken) < count:
            raise Truncated
        self.place += count
        return taken

    def number(self) -> int:
        """A number whose first byte tells, by its lowest bits, how many bytes follow."""
        first = self.take(1)[0]
        if first == 0:
            return int.from_bytes(self.take(8), "little")
        following = (first & -first).bit_length() - 1
        whole = first | int.from_bytes(self.take(following), "little") << 8
        return whole >> (following + 1)

    def until_zero(self) -> bytes:
        end = self.data.find(b"\0", self.place)
        if end < 0:
            raise Truncated
        return self.take(end + 1 - self.place)
