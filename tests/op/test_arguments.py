"""Arguments that are no inputs and no attributes at all: each error names the argument."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import normgraph as ng

from .signatures import BACKPROP, EVERY_OP, TRAINING, Inputs, Signature

ABSENT = ["1e-5", None, True, np.bool_(True), 1j, np.complex64(1), [1e-5], b"1", Decimal(1), {}]


def construct(signature: Signature, **changes: Any) -> Any:
    values = {name: ng.Parameter(*pair) for name, pair in Inputs(signature).pairs.items()}
    return signature.op(**{**values, **changes})


@EVERY_OP
@pytest.mark.parametrize("value", ABSENT, ids=lambda value: type(value).__name__)
def test_epsilon_is_a_real_number(signature: Signature, value: Any) -> None:
    with pytest.raises(TypeError, match=r"^epsilon: expected a real number, got"):
        construct(signature, epsilon=value)
    node = construct(signature, epsilon=0.25)
    with pytest.raises(TypeError, match=r"^epsilon: expected a real number, got"):
        node.epsilon = value
    assert node.epsilon == 0.25
    with pytest.raises(TypeError, match=r"^epsilon: "):
        signature.op.infer(**Inputs(signature).pairs, epsilon=value)


@pytest.mark.parametrize("value", [0.5, np.float16(0.5), np.float64(0.5), Fraction(1, 2)])
def test_epsilon_of_any_real_number_type(value: Any) -> None:
    assert construct(TRAINING, epsilon=value).epsilon == 0.5


def test_epsilon_of_an_integer() -> None:
    assert construct(TRAINING, epsilon=2).epsilon == 2.0
    assert construct(TRAINING, epsilon=np.int8(2)).epsilon == 2.0
    with pytest.raises(ValueError, match=r"^epsilon: expected a finite number >= 0"):
        construct(TRAINING, epsilon=10**400)


@EVERY_OP
@pytest.mark.parametrize(
    "value", [*ABSENT, 1.0, np.float32(1)], ids=lambda value: type(value).__name__
)
def test_channel_axis_is_an_integer(signature: Signature, value: Any) -> None:
    with pytest.raises(TypeError, match=r"^channel_axis: expected an integer, got"):
        construct(signature, channel_axis=value)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**30])
def test_channel_axis_beyond_64_bits(value: int) -> None:
    with pytest.raises(ValueError, match=rf"^channel_axis: expected an axis .* got {value}"):
        construct(TRAINING, channel_axis=value)


@pytest.mark.parametrize("value", [2, np.int64(2), np.uint8(2)])
def test_channel_axis_of_any_integer_type(value: Any) -> None:
    axis = construct(TRAINING, input=ng.Parameter("f32", [1, 2, 64]), channel_axis=value)
    assert axis.channel_axis == 2


def test_channel_axis_is_fixed_at_construction() -> None:
    with pytest.raises(AttributeError):
        construct(TRAINING).channel_axis = 0


@EVERY_OP
@pytest.mark.parametrize(
    "value", [None, 1.0, "x", np.zeros(3), ng.op, ng.Node], ids=lambda value: type(value).__name__
)
def test_an_input_is_a_node_or_an_output(signature: Signature, value: Any) -> None:
    for name in signature.inputs:
        with pytest.raises(TypeError, match=rf"^{name}: expected a Node or an Output, got"):
            construct(signature, **{name: value})


def test_the_first_wrong_input_is_reported() -> None:
    with pytest.raises(TypeError, match=r"^input: "):
        construct(BACKPROP, input=1, gamma=2, normalized_delta=3)


def test_a_node_with_several_outputs_is_no_input() -> None:
    node = construct(TRAINING, name="bn")
    with pytest.raises(
        ValueError,
        match=r"^mean: BatchNormTraining 'bn' has 3 outputs \(normalized, mean, variance\): "
        r"pass one of them, node.output\(index or name\)$",
    ):
        construct(BACKPROP, mean=node)
    assert construct(BACKPROP, mean=node.output("mean")).input("mean").source == node.output(1)


@EVERY_OP
def test_a_missing_or_unknown_argument_is_a_type_error(signature: Signature) -> None:
    values = {name: ng.Parameter(*pair) for name, pair in Inputs(signature).pairs.items()}
    for name in signature.inputs:
        with pytest.raises(TypeError):
            signature.op(**{key: value for key, value in values.items() if key != name})
    with pytest.raises(TypeError):
        signature.op(**values, momentum=0.9)


@pytest.mark.parametrize(("value", "error"), [(1, TypeError), (b"x", TypeError), ("", ValueError)])
def test_a_name_is_a_str_that_is_not_empty(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^name: expected a str"):
        construct(TRAINING, name=value)
