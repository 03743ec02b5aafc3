"""Each target on random bytes, as many as take a second or two; `make fuzz` goes on from there."""

from __future__ import annotations

import random

import pytest

from .choices import Choices
from .targets import TARGETS

INPUTS = 400


@pytest.mark.parametrize("name", TARGETS)
def test_random_bytes(name: str) -> None:
    generator = random.Random(20261129)
    for index in range(INPUTS):
        data = generator.randbytes(generator.randrange(0, 200))
        try:
            TARGETS[name](data)
        except Exception as error:
            raise AssertionError(f"input {index}: {data!r}") from error


def test_choices_end_with_the_first() -> None:
    choices = Choices(b"\x07")
    assert choices.integer(0, 4) == 2
    assert choices.is_used_up
    assert choices.one_of("abc") == "a"
    assert not choices.chance(255)
    assert choices.text() == ""
