"""implementation= names the kernels that compute; whatever it names, the bits are the same."""

from __future__ import annotations

import os
from typing import Any

import pytest

import normgraph as ng
from tests.op.signatures import ALL
from tests.programs import run

from .arguments import arguments_of
from .comparison import assert_same_bits
from .samples import Sample

SAMPLE = Sample((4, 3, 50), seed=96)
CALLS: dict[str, Any] = {
    signature.function.__name__: tuple(arguments_of(SAMPLE, signature.inputs).values())
    for signature in ALL
}
EVERY_FUNCTION = pytest.mark.parametrize("function", CALLS)


@EVERY_FUNCTION
@pytest.mark.parametrize("name", [*ng.implementations(), None])
def test_every_implementation_gives_the_same_bits(function: str, name: str | None) -> None:
    call, arguments = getattr(ng, function), CALLS[function]
    expected, result = call(*arguments), call(*arguments, implementation=name)
    if function == "batch_norm_inference":
        expected, result = (expected,), (result,)
    for array, bits in zip(result, expected, strict=True):
        assert_same_bits(array, bits, f"{SAMPLE}: {name}")


@EVERY_FUNCTION
@pytest.mark.parametrize("name", ["", "REFERENCE", "reference ", "avx1024", "\ud800", "a\0b"])
def test_a_name_of_none_is_a_value_error_that_lists_those_that_run(
    function: str, name: str
) -> None:
    with pytest.raises(ValueError, match=r"^implementation: expected") as raised:
        getattr(ng, function)(*CALLS[function], implementation=name)
    assert ", ".join(ng.implementations()) in str(raised.value)


@EVERY_FUNCTION
@pytest.mark.parametrize("name", [1, b"reference", ["reference"], True], ids=repr)
def test_what_is_no_text_is_a_type_error(function: str, name: object) -> None:
    with pytest.raises(TypeError, match=r"^implementation: expected a str or None, got ") as raised:
        getattr(ng, function)(*CALLS[function], implementation=name)
    assert repr(name) in str(raised.value)


def test_it_counts_more_than_the_environment() -> None:
    """The implementation that NORMGRAPH_ISA names is not even looked up."""
    program = (
        "import normgraph as ng, numpy as np\n"
        "x = np.ones((2, 3), np.float32)\n"
        "print(ng.batch_norm_training(x, None, None, implementation='reference').mean)\n"
        "ng.batch_norm_training(x, None, None)\n"
    )
    result = run(program, NORMGRAPH_ISA="no-such")
    assert result.stdout == "[1. 1. 1.]\n"
    assert "ValueError: environment variable NORMGRAPH_ISA" in result.stderr


def test_a_variable_that_is_no_text_is_told_as_bytes() -> None:
    result = run("import normgraph as ng; ng.config()", NORMGRAPH_ISA=os.fsdecode(b"\xff\x01sse2"))
    assert "ValueError: environment variable NORMGRAPH_ISA: " in result.stderr
    assert r"got '\xff\x01sse2'" in result.stderr
