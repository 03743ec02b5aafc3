"""The primitive ops as nodes: what they infer and which constraints they check."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import normgraph as ng

UNARY = (ng.op.Negate, ng.op.SquareRoot, ng.op.Relu)
BINARY = (ng.op.Add, ng.op.Subtract, ng.op.Multiply, ng.op.Divide, ng.op.ReluBackprop)
REDUCTIONS = (ng.op.Sum, ng.op.Mean)
REPEATING = (ng.op.Broadcast, ng.op.MeanBackprop)


def value(element_type: Any = "f32", shape: Any = None, name: str = "x") -> ng.Parameter:
    return ng.Parameter(element_type, shape, name=name)


def inferred(node: ng.Node) -> str:
    """'f32{2,3}', the same from the node and from infer."""
    output = node.output(0)
    pairs = [(port.element_type, port.partial_shape) for port in node.inputs]
    kind: Any = type(node)
    assert kind.infer(*pairs, **node.attributes) == ((output.element_type, output.partial_shape),)
    return f"{output.element_type}{output.partial_shape}"


def violations(kind: Any, *pairs: tuple[Any, Any], **attributes: Any) -> dict[str, str]:
    """Label → text of what is violated, the same from a node and from infer."""
    with pytest.raises(ng.NodeValidationFailure) as of_infer:
        kind.infer(*pairs, **attributes)
    with pytest.raises(ng.NodeValidationFailure) as of_node:
        kind(*(value(*pair) for pair in pairs), **attributes, name="node")
    assert str(of_infer.value) == str(of_node.value).replace(" 'node'", "", 1)
    _, *lines = str(of_node.value).splitlines()
    texts = dict(line.strip().removeprefix("[").split("] ", maxsplit=1) for line in lines)
    assert of_node.value.labels == tuple(texts)
    return texts


# ---- what is inferred ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", UNARY)
def test_one_value_gives_its_own_type(kind: Any) -> None:
    assert inferred(kind(value("bf16", [None, (2, 4)]))) == "bf16{?,2..4}"
    assert inferred(kind(value("dynamic", None))) == "dynamic?"


@pytest.mark.parametrize("kind", BINARY)
def test_two_values_tell_each_other_what_they_know(kind: Any) -> None:
    left, right = value("dynamic", [2, None, (1, 4)]), value("f64", [None, 3, (3, 8)])
    assert inferred(kind(left, right)) == "f64{2,3,3..4}"
    assert inferred(kind(value("f16", None), value("f16", [5]))) == "f16{5}"


@pytest.mark.parametrize("kind", REDUCTIONS)
def test_reductions_leave_the_listed_axes(kind: Any) -> None:
    x = value("f32", [2, None, (3, 4)])
    assert inferred(kind(x)) == "f32{}"
    assert inferred(kind(x, [1])) == "f32{?}"
    assert inferred(kind(x, [0, -1])) == "f32{2,3..4}"
    assert inferred(kind(x, kept_axes=(0, 1, 2))) == "f32{2,?,3..4}"
    assert inferred(kind(value("f32", None), [1])) == "f32{?}"
    assert inferred(kind(value("f32", None), [-2, 3])) == "f32{?,?}"


@pytest.mark.parametrize("kind", REPEATING)
def test_values_are_repeated_to_a_shape(kind: Any) -> None:
    like = value("u8", [2, None, 4])
    assert inferred(kind(value("f32", [3]), like, [1])) == "f32{2,3,4}"
    assert inferred(kind(value("f32", [None]), like, [-1])) == "f32{2,?,4}"
    assert inferred(kind(value("f32", []), like)) == "f32{2,?,4}"
    assert inferred(kind(value("f32", [2, 4]), like, [0, 2])) == "f32{2,?,4}"
    assert inferred(kind(value("f32", None), like, [1])) == "f32{2,?,4}"
    assert inferred(kind(value("f32", [3]), value("f32", None), [1])) == "f32?"


def test_conversions() -> None:
    assert inferred(ng.op.Convert(value("i32", [2, None]), "f16")) == "f16{2,?}"
    assert inferred(ng.op.Convert(value("boolean", None), "f64")) == "f64?"
    assert inferred(ng.op.Convert(value("dynamic", [3]), "bf16")) == "bf16{3}"


def test_matrix_products() -> None:
    left, right = value("f32", [2, 3]), value("f32", [3, 4])
    assert inferred(ng.op.MatrixMultiply(left, right)) == "f32{2,4}"
    assert inferred(ng.op.MatrixMultiply(right, left, True, True)) == "f32{4,2}"
    assert inferred(ng.op.MatrixMultiply(left, left, transpose_right=True)) == "f32{2,2}"
    assert inferred(ng.op.MatrixMultiply(left, left, transpose_left=True)) == "f32{3,3}"
    assert inferred(ng.op.MatrixMultiply(value("f32", None), value("dynamic", [None, 4]))) == (
        "f32{?,4}"
    )


def test_masks() -> None:
    data = value("f32", [2, 3, 5, 4])
    assert inferred(ng.op.ReluMask(data)) == "u8{2,3,3}"
    assert inferred(ng.op.ReluMask(data, -1)) == "u8{30,1}"
    assert inferred(ng.op.ReluMask(data, -1, 6.0)) == "u8{30,1}"
    mask = value("u8", [2, 3, 3])
    assert inferred(ng.op.ReluMaskSelect(data, mask)) == "f32{2,3,5,4}"


def test_selections() -> None:
    data = value("f16", [2, None, (3, 8)])
    for shape in ([2, 1, 5], [1, 1, 1], [2, 7, (2, 4)], [None, None, None], None):
        assert inferred(ng.op.SelectWhere(data, value("boolean", shape))) == "f16{2,?,3..8}"
    assert inferred(ng.op.SelectWhere(value("f32", []), value("dynamic", []))) == "f32{}"
    assert inferred(ng.op.SelectWhere(value("f32", None), value("boolean", [2]))) == "f32?"


# ---- constraints ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*UNARY, *BINARY, *REDUCTIONS])
def test_p1_the_element_type_is_real(kind: Any) -> None:
    pairs = [("i32", [2])] * (2 if kind in BINARY else 1)
    name = "left" if kind in BINARY[:4] else "value"
    expected = f"the element type of {name}: expected f16, bf16, f32 or f64, got i32"
    assert violations(kind, *pairs) == {"P1": expected}


@pytest.mark.parametrize("kind", REPEATING)
def test_p1_of_what_is_repeated(kind: Any) -> None:
    name = "value" if kind is ng.op.Broadcast else "delta"
    expected = f"the element type of {name}: expected f16, bf16, f32 or f64, got boolean"
    assert violations(kind, ("boolean", []), ("f32", [2])) == {"P1": expected}


def test_p1_of_conversions_and_products() -> None:
    expected = "element_type: expected f16, bf16, f32 or f64, got i8"
    assert violations(ng.op.Convert, ("f32", [2]), element_type="i8") == {"P1": expected}
    expected = "element_type: expected f16, bf16, f32 or f64, got dynamic"
    assert violations(ng.op.Convert, ("f32", [2]), element_type="dynamic") == {"P1": expected}
    expected = "the element type of left: expected f16, bf16, f32 or f64, got u8"
    pairs = [("u8", [2, 2])] * 2
    assert violations(ng.op.MatrixMultiply, *pairs) == {"P1": expected}


@pytest.mark.parametrize("kind", [*BINARY, ng.op.MatrixMultiply])
def test_p2_the_inputs_have_one_element_type(kind: Any) -> None:
    first, second = ("value", "delta") if kind is ng.op.ReluBackprop else ("left", "right")
    texts = violations(kind, ("f32", [2, 2]), ("f64", [2, 2]))
    assert texts == {"P2": f"the element type of {second}: expected f32, as {first} has, got f64"}


@pytest.mark.parametrize("kind", BINARY)
def test_p3_the_inputs_have_one_shape(kind: Any) -> None:
    first, second = ("value", "delta") if kind is ng.op.ReluBackprop else ("left", "right")
    for shape in ([2, 1], [2, 3, 1], [3]):
        text = "{" + ",".join(map(str, shape)) + "}"
        expected = f"the shape of {second}: expected {{2,3}}, as {first} has, got {text}"
        assert violations(kind, ("f32", [2, 3]), ("f32", shape)) == {"P3": expected}


def test_all_violations_are_listed() -> None:
    assert set(violations(ng.op.Add, ("i32", [2]), ("f32", [3]))) == {"P1", "P2", "P3"}
    product = violations(ng.op.MatrixMultiply, ("f32", [2]), ("f64", [2, 3]))
    assert set(product) == {"P2", "P6"}


@pytest.mark.parametrize("axes", [[2], [-3], [1, 0], [0, 0], [-1, 1], [1, -1]])
def test_p4_axes_lie_within_the_rank_and_ascend(axes: list[int]) -> None:
    text = "{" + ",".join(map(str, axes)) + "}"
    tail = f"that ascend, within -2 to 1 for the shape {{2,3}}, got {text}"
    for kind in REDUCTIONS:
        texts = violations(kind, ("f32", [2, 3]), kept_axes=axes)
        assert texts == {"P4": f"kept_axes: expected axes of value {tail}"}
    for kind in REPEATING:
        texts = violations(kind, ("f32", [None] * len(axes)), ("f32", [2, 3]), axes=axes)
        assert texts == {"P4": f"axes: expected axes of like {tail}"}


@pytest.mark.parametrize("axes", [[1, 1], [2, 1], [-1, -2], [0, -1, 0, -2, 0, -2, -2]])
def test_p4_axes_ascend_whatever_the_rank(axes: list[int]) -> None:
    texts = violations(ng.op.Sum, ("f32", None), kept_axes=axes)
    assert texts["P4"].startswith("kept_axes: expected axes that ascend, got {") or axes[0] == 0


@pytest.mark.parametrize("kind", REPEATING)
def test_p5_what_is_repeated_fits(kind: Any) -> None:
    name = "value" if kind is ng.op.Broadcast else "delta"
    texts = violations(kind, ("f32", [4]), ("f32", [2, 3]), axes=[1])
    assert texts == {"P5": f"axis 0 of {name}: expected 3, as axis 1 of like has, got 4"}
    texts = violations(kind, ("f32", [2, 3]), ("f32", [2, 3]), axes=[1])
    assert texts == {
        "P5": f"the rank of {name}: expected 1, as there are axes, got 2, the shape {{2,3}}"
    }


def test_p6_and_p7_of_matrix_products() -> None:
    texts = violations(ng.op.MatrixMultiply, ("f32", [2, 4]), ("f32", [4]))
    assert texts == {"P6": "the rank of right: expected 2, got 1, the shape {4}"}
    texts = violations(ng.op.MatrixMultiply, ("f32", [2, 3]), ("f32", [4, 3]))
    assert texts == {"P7": "the inner lengths: expected one for both, got 3 of left and 4 of right"}
    for flags in ({"transpose_left": True}, {"transpose_right": True}):
        violations(ng.op.MatrixMultiply, ("f32", [2, 3]), ("f32", [3, 4]), **flags)


@pytest.mark.parametrize("op", ["Relu", "ReluBackprop"])
@pytest.mark.parametrize("bound", [0.0, -1.0, float("nan"), float("inf")])
def test_p8_upper_bound_is_finite_and_positive(op: str, bound: float) -> None:
    inputs = [("f16", [2])] * (1 if op == "Relu" else 2)
    expected = {
        "P8": f"upper_bound: expected a finite number > 0 when rounded to f16, got {bound:g}"
    }
    assert violations(getattr(ng.op, op), *inputs, upper_bound=bound) == expected
    unknown = [("dynamic", None)] * len(inputs)
    assert set(violations(getattr(ng.op, op), *unknown, upper_bound=bound)) == {"P8"}


@pytest.mark.parametrize("bound", [2.0**-25, 65520.0])
def test_p8_of_the_rounded_bound(bound: float) -> None:
    assert set(violations(ng.op.Relu, ("f16", [2]), upper_bound=bound)) == {"P8"}
    assert set(violations(ng.op.ReluMask, ("f16", [2, 3]), upper_bound=bound)) == {"C13"}
    for element_type in ("bf16", "f32", "f64", "dynamic"):
        node = ng.op.Relu(ng.Parameter(element_type, [2]), bound)
        assert node.attributes == {"upper_bound": bound}


def test_masks_have_the_constraints_of_the_family() -> None:
    assert set(violations(ng.op.ReluMask, ("i32", [2, 3]))) == {"C2"}
    assert set(violations(ng.op.ReluMask, ("f32", [2]))) == {"C5"}
    assert set(violations(ng.op.ReluMask, ("f32", [2, 3]), channel_axis=2)) == {"C6"}
    data, mask = ("f32", [2, 3, 4]), ("u8", [2, 3, 1])
    select = ng.op.ReluMaskSelect
    assert set(violations(select, data, ("i8", [2, 3, 1]))) == {"C11"}
    assert set(violations(select, data, ("u8", [2, 4]))) == {"C12"}
    assert set(violations(select, ("f32", [2, 0, 4]), ("u8", [2, 0, 1]))) == {"C10"}
    assert "C12" in violations(select, data, mask, channel_axis=-1)


def test_p1_of_selections() -> None:
    expected = "the element type of value: expected f16, bf16, f32 or f64, got u8"
    pairs = ("u8", [2]), ("boolean", [2])
    assert violations(ng.op.SelectWhere, *pairs) == {"P1": expected}


@pytest.mark.parametrize("of_where", ["u8", "f32", "i64"])
def test_p9_where_is_boolean(of_where: str) -> None:
    expected = f"the element type of where: expected boolean, got {of_where}"
    pairs = ("f32", [2]), (of_where, [2])
    assert violations(ng.op.SelectWhere, *pairs) == {"P9": expected}


@pytest.mark.parametrize(
    "shape", [[3], [2, 2], [2, 3, 1], [], [0, 3], [2, (4, None)], [(2, 9), (0, 0)]]
)
def test_p10_where_is_broadcast_to_value(shape: Any) -> None:
    text = str(ng.PartialShape(shape))
    expected = (
        "the shape of where: expected {2,3}, as value has, or 1 in the place of any length, got "
    )
    pairs = ("f32", [2, 3]), ("boolean", shape)
    assert violations(ng.op.SelectWhere, *pairs) == {"P10": expected + text}


def test_all_violations_of_selections_are_listed() -> None:
    pairs = ("i32", [2]), ("f32", [3])
    assert set(violations(ng.op.SelectWhere, *pairs)) == {"P1", "P9", "P10"}


# ---- as nodes ------------------------------------------------------------------------------------


def every_primitive() -> list[ng.Node]:
    x = value("f32", [None, 3])
    mask = ng.op.ReluMask(x, channel_axis=1)
    return [
        *(kind(x) for kind in UNARY),
        *(kind(x, x) for kind in BINARY),
        *(kind(x, [1]) for kind in REDUCTIONS),
        *(kind(ng.op.Sum(x, [1]), x, [1]) for kind in REPEATING),
        ng.op.Convert(x, "f16"),
        ng.op.MatrixMultiply(x, x, True, False),
        mask,
        ng.op.ReluMaskSelect(x, mask),
        ng.op.SelectWhere(x, value("boolean", [None, 1])),
    ]


def test_nodes_copy_pickle_and_show_their_attributes() -> None:
    for node in every_primitive():
        for twin in (copy.deepcopy(node), pickle.loads(pickle.dumps(node))):
            assert type(twin) is type(node)
            assert twin.attributes == node.attributes
            assert twin.friendly_name == node.friendly_name
            assert twin.output(0).partial_shape == node.output(0).partial_shape


def test_attributes_stand_in_the_text_of_a_function() -> None:
    x = value("f32", [2, 3])
    total = ng.op.Sum(x, [0, -1], name="total")
    product = ng.op.MatrixMultiply(total, x, transpose_left=True, name="product")
    text = str(ng.Function([product], [x]))
    assert "total = Sum(x) [kept_axes={0,-1}] -> (f32{2,3})" in text
    assert "[transpose_left=true, transpose_right=false] -> (f32{3,3})" in text


def test_wrong_arguments_are_named() -> None:
    x = value("f32", [2, 3])
    wrong: Any = object()
    with pytest.raises(TypeError, match="right: expected a Node or an Output, got <object"):
        ng.op.Add(x, wrong)
    with pytest.raises(TypeError, match="kept_axes: expected a sequence of axes, got 1"):
        ng.op.Sum(x, 1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"kept_axes\[1\]: expected an integer, got 'a'"):
        ng.op.Sum(x, [0, "a"])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="transpose_left: expected True or False, got 1"):
        ng.op.MatrixMultiply(x, x, 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="name: expected"):
        ng.op.Negate(x, name="")
