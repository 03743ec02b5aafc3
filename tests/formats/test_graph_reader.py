"""Views of values whose axes stand elsewhere, and the ops that are made of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import normgraph as ng
from normgraph.formats import NotImportableError
from normgraph.formats.graph_reader import (
    Builder,
    Comparison,
    Refusal,
    Refusals,
    View,
    view_of,
)

f32, f64 = ng.element.f32, ng.element.f64


def parameters(*shapes: Any, element_type: Any = f32) -> tuple[Builder, list[View]]:
    builder = Builder()
    return builder, [
        builder.parameter(f"p{index}", element_type, shape) for index, shape in enumerate(shapes)
    ]


def ones(builder: Builder, *shape: int) -> View:
    array = np.arange(np.prod(shape), dtype=np.float32)
    return builder.constant(f32, shape, array.tobytes(), "c")


def run(builder: Builder, result: View, *values: Any) -> Any:
    """The result for these values of the parameters that it reads."""
    output = builder.whole(result)
    nodes = ng.Function([output], [value.output.node for value, _ in values])  # type: ignore[misc]
    return ng.compile(nodes)(*[array for _, array in values])[0]


def test_axes_of_length_1_come_and_go() -> None:
    builder, (x,) = parameters([None, 3])
    view = builder.unsqueezed(x, [0, -1])
    assert (view.axes, str(view.shape)) == ((1, 2), "{1,?,3,1}")
    assert builder.squeezed(view, [0, 3]) == x
    with pytest.raises(Refusal, match=r"axis 1 of \{1,\?,3,1\}: expected length 1 to remove"):
        builder.squeezed(view, [1])


def test_a_transposition_is_kept_as_the_order_of_axes() -> None:
    builder, (x,) = parameters([2, 3, 4])
    view = builder.transposed(x, (2, 0, 1))
    assert (view.axes, str(view.shape)) == ((1, 2, 0), "{4,2,3}")
    assert builder.transposed(view, (1, 2, 0)) == x
    with pytest.raises(Refusal, match="no op that transposes"):
        builder.whole(view)
    with pytest.raises(Refusal, match="expected an order of 3 axes"):
        builder.transposed(x, (0, 1))


def test_constants_are_transposed_and_repeated() -> None:
    builder = Builder()
    c = ones(builder, 2, 3)
    moved = builder.whole(builder.transposed(c, (1, 0))).node
    assert isinstance(moved, ng.Constant)
    np.testing.assert_array_equal(moved.array(), np.arange(6).reshape(2, 3).T)
    assert moved.friendly_name == "c"
    long = builder.repeated(builder.unsqueezed(c, [0]), [ng.Dimension(n) for n in (2, 2, 3)])
    found = builder.whole(long).node
    assert isinstance(found, ng.Constant)
    np.testing.assert_array_equal(
        found.array(), np.broadcast_to(np.arange(6).reshape(2, 3), (2, 2, 3))
    )


def test_what_is_transposed_alike_needs_no_transposition() -> None:
    builder, (x, y) = parameters([2, 3], [2, 3])
    turned = [builder.transposed(value, (1, 0)) for value in (x, y)]
    total = builder.element_wise("Add", *turned)
    assert total.axes == (1, 0)
    assert builder.transposed(total, (1, 0)).output.node.type_name == "Add"
    builder, (x, y) = parameters([3, 3], [3, 3])
    with pytest.raises(Refusal, match="no op that transposes"):
        builder.element_wise("Add", builder.transposed(x, (1, 0)), y)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ([2, 3], [3], "{2,3}"),
        ([2, 1], [1, 3], "{2,3}"),
        ([None, 3], [1, 3], "{?,3}"),
        ([], [2], "{2}"),
    ],
)
def test_values_are_repeated_to_one_shape(left: Any, right: Any, expected: str) -> None:
    builder, (x, y) = parameters(left, right)
    total = builder.element_wise("Add", x, y)
    assert str(total.shape) == expected
    a, b = (np.arange(1, 1 + np.prod([n or 2 for n in s]), dtype=np.float32) for s in (left, right))
    a, b = a.reshape([n or 2 for n in left]), b.reshape([n or 2 for n in right])
    np.testing.assert_array_equal(run(builder, total, (x, a), (y, b)), a + b)


def test_lengths_that_do_not_agree() -> None:
    builder, (x, y) = parameters([2, 3], [4])
    with pytest.raises(Refusal, match="axis 1: expected equal lengths, or 1, got 3 and 4"):
        builder.element_wise("Add", x, y)
    _, (x, y) = parameters([None, 1], [1, 3])
    with pytest.raises(Refusal, match=r"another value of the shape \{\?,3\}"):
        builder.element_wise("Add", x, y)


def test_a_reduction_that_keeps_its_axes() -> None:
    builder, (x,) = parameters([2, 3])
    mean = builder.reduced("Mean", x, [-1], keeps=True)
    assert (str(mean.shape), str(mean.output.partial_shape)) == ("{2,1}", "{2}")
    centered = builder.element_wise("Subtract", x, mean)
    rows = np.float32([[1, 2, 3], [4, 5, 9]])
    np.testing.assert_array_equal(run(builder, centered, (x, rows)), [[-1, 0, 1], [-2, -1, 3]])


def test_a_sum_along_a_repeated_axis_has_each_element() -> None:
    builder, (x, y) = parameters([3], [2, 3])
    total = builder.reduced("Sum", builder.repeated(x, y.lengths), [0], keeps=False)
    row = np.float32([1, 2, 4])
    twice = run(builder, total, (x, row), (y, np.zeros((2, 3), np.float32)))
    np.testing.assert_array_equal(twice, [2, 4, 8])


@pytest.mark.parametrize("op", ["Sum", "Mean"])
def test_what_is_rounded_once_is_the_op_in_its_type(op: str) -> None:
    builder, (x,) = parameters([2, 3])
    wide = builder.reduced(op, builder.convert(x, f64), [0], keeps=False)
    assert builder.convert(wide, f32).output.node.type_name == op
    # A sum of squares is not a sum of what has been widened.
    square = builder.element_wise("Multiply", *[builder.convert(x, f64)] * 2)
    total = builder.reduced(op, square, [0], keeps=False)
    assert builder.convert(total, f32).output.node.type_name == "Convert"


def test_ops_on_16_bits() -> None:
    bf16 = ng.element.bf16
    builder, (x,) = parameters([2, 3], element_type=bf16)
    wide = builder.convert(x, f32)
    assert builder.convert(builder.element_wise("Add", wide, wide), bf16).type == bf16
    twice = builder.element_wise("Add", builder.element_wise("Add", wide, wide), wide)
    # The first sum is not rounded.
    assert builder.convert(twice, bf16).output.node.type_name == "Convert"
    assert builder.convert(wide, bf16) == x
    assert builder.convert(builder.convert(x, f64), f32).output.node.type_name == "Convert"


def test_a_sum_over_the_number_of_its_elements_is_a_mean() -> None:
    builder, (x,) = parameters([2, 3], element_type=f64)
    total = builder.reduced("Sum", x, [0], keeps=False)
    for count, expected in ((2.0, "Mean"), (3.0, "Divide")):
        quotient = builder.element_wise("Divide", total, builder.scalar(count, f64))
        assert quotient.output.node.type_name == expected


def test_a_sum_with_plus_zero_is_the_sum_along_no_axis() -> None:
    builder, (x,) = parameters([3], element_type=f64)
    # It makes +0 of -0, as a sum does that begins with +0; a sum with -0 changes nothing.
    for zero, expected in ((0.0, "Sum"), (-0.0, "Add")):
        total = builder.element_wise("Add", x, builder.scalar(zero, f64))
        assert total.output.node.type_name == expected


def test_the_gradient_of_a_mean_is_a_quotient_that_is_repeated() -> None:
    builder, (delta, x) = parameters([3], [2, 3], element_type=f64)
    for count, expected in ((2.0, "MeanBackprop"), (3.0, "Broadcast")):
        share = builder.element_wise("Divide", delta, builder.scalar(count, f64))
        repeated = builder.repeated(share, x.lengths)
        assert builder.settled(repeated).output.node.type_name == expected


def test_relus_are_found_step_by_step() -> None:
    builder, (x, delta) = parameters([4], [4])
    relu = builder.selected(Comparison(x, False, 0.0), 0.0, x)
    assert relu.output.node.type_name == "Relu"
    bounded = builder.selected(Comparison(x, True, 6.0), 6.0, relu)
    assert bounded.output.node.attributes == {"upper_bound": 6.0}
    gradient = builder.selected(Comparison(x, False, 0.0), 0.0, delta)
    assert gradient.output.node.type_name == "ReluBackprop"
    bounded = builder.selected(Comparison(x, True, 6.0), 0.0, gradient)
    assert bounded.output.node.attributes == {"upper_bound": 6.0}
    for condition, number, other in (
        (Comparison(x, False, 1.0), 0.0, x),
        (Comparison(x, False, 0.0), 1.0, x),
        (Comparison(x, True, 6.0), 5.0, relu),
        (Comparison(x, True, 6.0), 6.0, x),
        (Comparison(x, True, 0.1), 0.1, relu),  # which f32 has not
        (Comparison(delta, True, 6.0), 6.0, relu),
    ):
        with pytest.raises(Refusal, match="expected a ReLU"):
            builder.selected(condition, number, other)


def test_products_of_transposed_matrices() -> None:
    builder, (x, y) = parameters([4, 2], [3, 4])
    turned = [builder.transposed(value, (1, 0)) for value in (x, y)]
    node = builder.product(*turned).output.node
    assert node.attributes == {"transpose_left": True, "transpose_right": True}
    with pytest.raises(Refusal, match="expected two matrices"):
        builder.product(x, builder.unsqueezed(y, [0]))
    with pytest.raises(Refusal, match=r"\[P7\]|\[P6\]"):
        builder.product(x, y)


def test_where_a_length_is_from() -> None:
    builder, (x, y) = parameters([None, None], [None, None])
    node = builder.product(builder.transposed(x, (1, 0)), y).output
    assert builder.origins_of(node) == ((x.output, 1), (y.output, 1))
    total = builder.reduced("Sum", view_of(node), [0], keeps=False).output
    assert builder.origins_of(total) == ((y.output, 1),)


def test_constants_that_would_be_too_large() -> None:
    builder = Builder()
    shape = [ng.Dimension(2**20), ng.Dimension(2**20)]
    with pytest.raises(Refusal, match="expected at most 67108864 bytes more"):
        builder.whole(builder.repeated(builder.scalar(1.0, f32), shape))
    with pytest.raises(Refusal, match=r"expected more bytes than there can be, .* got 4"):
        builder.constant(f32, [2**40, 2**40], b"1234")
    with pytest.raises(Refusal, match="expected lengths from 0 to"):
        builder.constant(f32, [2**63, 0], b"")
    with pytest.raises(Refusal, match="expected at most 64 axes, got 65"):
        builder.unsqueezed(builder.scalar(1.0, f32), range(65))


def test_refusals_are_one_error() -> None:
    refusals = Refusals()
    for place in ("a", "b"):
        with refusals.at(place):
            raise Refusal("expected more")
    with pytest.raises(NotImportableError) as caught:
        refusals.check()
    assert caught.value.refusals == ("a: expected more", "b: expected more")
