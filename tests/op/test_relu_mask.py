"""The shape of a ReLU's mask, inferred from whatever is known of the data."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import normgraph as ng
from tests.kernel.relu import packed

from .signatures import RELU, RELU_BACKPROP, Inputs


def inferred(shape: Any, channel_axis: int, channels: Any = None) -> str:
    inputs = Inputs(RELU, shapes=(shape, [channels]))
    return inputs.inferred_mask(channel_axis=channel_axis).removeprefix("u8")


@pytest.mark.parametrize("rank", [2, 3, 4])
def test_of_a_known_shape_it_is_that_of_numpys_packed_bits(rank: int) -> None:
    for shape in itertools.product([1, 2, 8, 9], repeat=rank):
        for axis in range(-rank, rank):
            expected = packed(np.zeros(shape, bool), axis).shape
            assert inferred(shape, axis) == str(ng.PartialShape(expected)), (shape, axis)


@pytest.mark.parametrize(
    ("shape", "channel_axis", "channels", "expected"),
    [
        ([None, 64, None, None], 1, None, "{?,64,?}"),
        ([None, None, 7, 7], 1, 64, "{?,64,7}"),
        ([None, None], 1, 64, "{?,8}"),
        ([None, None], -1, None, "{?,?}"),
        ([2, 3, None, 20], 3, None, "{?,3}"),
        ([(2, 3), 20, (4, 5)], 1, None, "{2..3,20,1}"),
        ([(2, 3), 20, (4, 17), (1, 2)], 1, None, "{2..3,20,1..5}"),
        ([(2, 3), (4, None), 20], 2, None, "{8..,3}"),
        ([(2, None), 3, (9, None), 2], 1, None, "{2..,3,3..}"),
        ([None, 4, (9, 20)], 2, None, "{?,2..3}"),
        # None of an axis is none of the product, however long the others may be.
        ([0, None, 20], 2, None, "{0,3}"),
        ([None, 3, (0, 0), None], 1, None, "{?,3,0}"),
        # Without a rank a negative axis tells which form it is, and so does the first one.
        (None, -1, 64, "{?,8}"),
        (None, -2, 64, "{?,64,?}"),
        (None, -5, None, "{?,?,?}"),
        (None, 0, 64, "{1,64,?}"),
        (None, 1, 64, "?"),
        (None, 7, None, "?"),
    ],
)
def test_of_what_is_partly_known(
    shape: Any, channel_axis: int, channels: Any, expected: str
) -> None:
    assert inferred(shape, channel_axis, channels) == expected


def test_products_beyond_64_bits_are_no_upper_bound() -> None:
    long = 2**40
    assert inferred([2, 3, long, long], 1) == f"{{2,3,{(2**63 - 2 + 7) // 8}..}}"
    assert inferred([long, long, 3], 2) == f"{{{2**63 - 2}..,1}}"
    assert inferred([2, 3, (1, long), (1, long)], 1) == "{2,3,1..}"


def test_intervals_hold_every_mask_of_a_shape_within_them_and_are_tight() -> None:
    low, high = (1, 7, 2), (3, 9, 5)
    shape = [(*bounds,) for bounds in zip(low, high, strict=True)]
    members = list(itertools.product(*(range(a, b + 1) for a, b in shape)))
    for axis in range(3):
        masks = [packed(np.zeros(member, bool), axis).shape for member in members]
        text = ng.PartialShape(
            [(min(lengths), max(lengths)) for lengths in zip(*masks, strict=True)]
        )
        assert inferred(shape, axis) == str(text)


def test_the_mask_of_the_forward_op_fits_the_backward_op() -> None:
    """Whatever is known: nodes in a row, before and after the shape becomes known."""
    x = ng.Parameter("bf16", None, name="x")
    gamma, beta = (ng.Parameter("f32", [12], name=name) for name in ("gamma", "beta"))
    delta = ng.Parameter("bf16", None, name="delta")
    forward = ng.op.BatchNormTrainingRelu(x, gamma, beta, channel_axis=-1)
    backward = ng.op.BatchNormTrainingReluBackprop(
        x,
        gamma,
        beta,
        *(forward.output(name) for name in ("mean", "variance", "mask")),
        delta,
        channel_axis=-1,
    )
    function = ng.Function(
        [forward.output("activated"), *backward.outputs], [x, gamma, beta, delta]
    )
    assert forward.output("mask").partial_shape == [None, 2]
    x.partial_shape = [3, 5, None]
    function.validate_nodes_and_infer_types()
    assert forward.output("mask").partial_shape == [15, 2]
    assert forward.output("mask").element_type == ng.element.Type("u8")
    assert backward.output("input_delta").partial_shape == [3, 5, 12]


def test_nothing_is_inferred_from_a_mask() -> None:
    inputs = Inputs(RELU_BACKPROP, shapes=([None, None, None], [None]), mask=("u8", [2, 64, 1]))
    assert inputs.inferred()["input_delta"] == "f32{?,?,?}"
    assert inputs.inferred()["gamma_delta"] == "f32{?}"
