"""JSON taken at its word: each value knows its place, and whatever is wrong is told with it.

Python's json module reads more than JSON allows (NaN, duplicate keys), and hostile nesting makes it
raise RecursionError. Here all of that is a FormatError.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

from .errors import FormatError

#: Deeper than any format needs, and far from Python's own limit.
DEEPEST = 32

#: Texts of values in messages are cut to this many characters.
LONGEST_QUOTE = 40

QUOTE_OR_BRACKET = re.compile(r'["\[\]{}]')

#: A part of what stands between quotes. The expression engine remembers every repetition, at some
#: dozens of bytes, hence the bound.
PART_OF_STRING = re.compile(r'(?:[^"\\]+|\\.){1,256}', re.DOTALL)

#: No integer of 64 bits has more characters; longer ones are numbers for f64 alone.
LONGEST_INTEGER = 20


@dataclass(frozen=True)
class NoNumber:
    """A number that f64 has not: NaN, Infinity, 1e999."""

    text: str


@dataclass(frozen=True)
class RepeatedKey:
    """Stands for an object that has a key twice, until its place is known."""

    key: str


@dataclass(frozen=True)
class Value:
    """A value of a JSON text, and where it stands: '' or `nodes[3].attributes.epsilon`."""

    value: Any
    place: str = ""

    def fail(self, message: str) -> NoReturn:
        """Raise a FormatError that names the place."""
        raise FormatError(f"{self.place}: {message}" if self.place else message)

    def expect(self, what: str) -> NoReturn:
        """Raise a FormatError that says what was expected and what stands there."""
        self.fail(f"expected {what}, got {quoted(self.value)}")

    def string(self) -> str:
        """A string that UTF-8 can write. JSON can name halves of characters, which it cannot."""
        if not isinstance(self.value, str):
            self.expect("a string")
        try:
            self.value.encode()
        except UnicodeEncodeError:
            self.expect("a string of whole characters")
        return self.value

    def integer(self) -> int:
        """An integer: 1, not 1.0."""
        if type(self.value) is not int:
            self.expect("an integer")
        return self.value

    def index(self, count: int, what: str) -> int:
        """An integer from 0 to count - 1; `what` is there once for each."""
        if not count:
            self.fail(f"expected the index of {what}, but there is none")
        if not 0 <= self.integer() < count:
            self.expect(f"the index of {what} (0 to {count - 1})")
        return self.integer()

    def number(self) -> float:
        """A number of f64; NaN and the infinities are strings."""
        special = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
        if isinstance(self.value, str) and self.value in special:
            return special[self.value]
        if type(self.value) not in (int, float):
            self.expect("a number")
        return float(self.value)

    def flag(self) -> bool:
        """A boolean: true or false."""
        if not isinstance(self.value, bool):
            self.expect("true or false")
        return self.value

    def items(self) -> list[Value]:
        """The elements of an array."""
        if not isinstance(self.value, list):
            self.expect("an array")
        return [Value(item, f"{self.place}[{index}]") for index, item in enumerate(self.value)]

    def has(self, key: str) -> bool:
        """Whether it is an object with this key."""
        self.check_is_object()
        return key in self.value

    def member(self, key: str) -> Value:
        """The value of a key, which must be there."""
        if not self.has(key):
            self.fail(f'expected the key "{key}", which is missing')
        return Value(self.value[key], f"{self.place}.{key}" if self.place else key)

    def members(self, keys: Iterable[str], optional: Container[str] = ()) -> dict[str, Value]:
        """The values of an object that has exactly these keys, in the order they are asked in.

        Those that are optional may be missing.
        """
        # Not left to the look at a key: where none is expected there is no such look.
        self.check_is_object()
        expected = list(keys)
        values = {
            key: self.member(key) for key in expected if key not in optional or key in self.value
        }
        for key in self.value:
            if key not in values:
                names = ", ".join(map(quoted, expected)) or "none"
                self.fail(f"unknown key {quoted(key)} (the keys are {names})")
        return values

    def check_is_object(self) -> None:
        if isinstance(self.value, RepeatedKey):
            self.fail(f"expected each key once, got {quoted(self.value.key)} twice")
        if not isinstance(self.value, dict):
            self.expect("an object")


def quoted(value: object) -> str:
    """A value as a message shows it: JSON, cut to a length."""
    if isinstance(value, list):
        return "an array"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, RepeatedKey):
        return "an object with a key twice"
    text = value.text if isinstance(value, NoNumber) else json.dumps(value)
    return text if len(text) <= LONGEST_QUOTE else text[: LONGEST_QUOTE - 1] + "…"


def parse(text: str) -> Value:
    """The value of a JSON text. Raises FormatError with line and column for what is no JSON."""
    check_depth(text)
    try:
        value = json.loads(
            text,
            parse_int=integer_or_float,
            parse_float=finite_float,
            parse_constant=NoNumber,
            object_pairs_hook=object_of,
        )
    except json.JSONDecodeError as error:
        raise FormatError(
            f"line {error.lineno}, column {error.colno}: this is no JSON: {error.msg}"
        ) from None
    return Value(value)


def check_depth(text: str) -> None:
    """Raise FormatError for brackets too deep in each other, in one pass and constant memory."""
    depth = place = 0
    while match := QUOTE_OR_BRACKET.search(text, place):
        place = match.end()
        found = match.group()
        if found == '"':
            place = end_of_string(text, place)
            continue
        depth += 1 if found in "[{" else -1
        if depth > DEEPEST:
            line = text.count("\n", 0, place) + 1
            raise FormatError(
                f"line {line}: expected at most {DEEPEST} levels of nesting, got more"
            )


def end_of_string(text: str, start: int) -> int:
    """The index behind the quote that ends a string; the text's length if there is none."""
    while match := PART_OF_STRING.match(text, start):
        start = match.end()
    # Where no part matches, there is a quote, the end of the text, or a backslash there.
    return start + 1 if text.startswith('"', start) else len(text)


def integer_or_float(text: str) -> int | float | NoNumber:
    """Python's number for a JSON number without fraction and exponent."""
    # An int has no -0, and very long ones take long to convert.
    return finite_float(text) if text == "-0" or len(text) > LONGEST_INTEGER else int(text)


def finite_float(text: str) -> float | NoNumber:
    """Python's number for any other JSON number."""
    value = float(text)
    return value if math.isfinite(value) else NoNumber(text)


def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any] | RepeatedKey:
    """Python's dict for a JSON object, unless a key comes twice."""
    members: dict[str, Any] = {}
    for key, value in pairs:
        if key in members:
            return RepeatedKey(key)
        members[key] = value
    return members
