"""Python's operators on nodes and outputs, and unpacking."""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import normgraph as ng
from normgraph import op

Binary = Callable[[Any, Any], Any]
OPERATORS: dict[str, tuple[Binary, type[ng.Node]]] = {
    "+": (operator.add, op.Add),
    "-": (operator.sub, op.Subtract),
    "*": (operator.mul, op.Multiply),
    "/": (operator.truediv, op.Divide),
}
EVERY_OPERATOR = pytest.mark.parametrize("symbol", OPERATORS)

VALUES = np.array([1.5, -2.0, 0.25], np.float32)


def parameter(name: str, element_type: str = "f32", shape: Any = (3,)) -> ng.Parameter:
    return ng.Parameter(element_type, shape, name=name)


def run(value: ng.Output, x: ng.Parameter, array: Any = VALUES) -> Any:
    return ng.compile(ng.Function([value], [x]))(array)[0]


@EVERY_OPERATOR
def test_an_operator_makes_its_op(symbol: str) -> None:
    apply, node_class = OPERATORS[symbol]
    x, y = parameter("x"), parameter("y")
    for left in (x, x.output(0)):
        for right in (y, y.output(0)):
            result = apply(left, right)
            assert isinstance(result, ng.Output)
            assert type(result.node) is node_class
            assert [port.source for port in result.node.inputs] == [x.output(0), y.output(0)]


@EVERY_OPERATOR
@pytest.mark.parametrize(
    "number", [2, -0.5, np.float32(3), np.float64(0.1), np.int64(4), np.uint8(7)]
)
def test_a_number_is_a_constant_like_the_other_operand(symbol: str, number: Any) -> None:
    apply, node_class = OPERATORS[symbol]
    x = parameter("x")
    for result, expected in (
        (apply(x, number), apply(VALUES, np.float32(number))),
        (apply(number, x), apply(np.float32(number), VALUES)),
        (apply(x.output(0), number), apply(VALUES, np.float32(number))),
    ):
        assert type(result.node) is node_class
        assert (result.element_type, result.partial_shape) == (ng.element.f32, ng.PartialShape([3]))
        assert np.array_equal(run(result, x), expected)


def test_unary_minus() -> None:
    x = parameter("x")
    assert type((-x).node) is op.Negate
    assert np.array_equal(run(-x.output(0), x), -VALUES)


@pytest.mark.parametrize("name", ["f16", "bf16", "f32", "f64"])
def test_a_number_has_the_element_type_of_the_other_operand(name: str) -> None:
    if name == "bf16":
        pytest.importorskip("ml_dtypes")
    x = parameter("x", name, [None, None])
    (constant,) = (
        node for node in ng.Function([x * 0.1], [x]).nodes if isinstance(node, ng.Constant)
    )
    assert constant.element_type.name == name
    assert constant.shape == ()
    assert constant.array() == np.array(0.1).astype(constant.element_type.dtype)


def test_numbers_of_ml_dtypes() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = parameter("x")
    for result in (x * ml_dtypes.bfloat16(3), ml_dtypes.bfloat16(3) * x):
        assert np.array_equal(run(result, x), VALUES * 3)


@EVERY_OPERATOR
@pytest.mark.parametrize(
    ("other", "came"),
    [
        (True, "True of type bool"),
        (np.True_, r".*of type bool"),
        (np.longdouble(1), ".*of type longdouble"),
        (np.complex64(1), ".*of type complex64"),
        (np.ones(3), "an ndarray; make it a Constant"),
        (np.array(1.0), "an ndarray; make it a Constant"),
    ],
    ids=str,
)
def test_what_is_no_number_is_refused(symbol: str, other: Any, came: str) -> None:
    apply, _ = OPERATORS[symbol]
    symbol = f"\\{symbol}"
    expected = f"operand of {symbol}: expected a Node, an Output or a real number, got {came}"
    with pytest.raises(TypeError, match="^the right " + expected):
        apply(parameter("x"), other)
    with pytest.raises(TypeError, match="^the left " + expected):
        apply(other, parameter("x"))


@pytest.mark.parametrize("other", ["1", None, 1j, Fraction(1, 2), object()])
def test_what_nobody_knows_is_refused_by_python(other: Any) -> None:
    with pytest.raises(TypeError, match="unsupported operand"):
        parameter("x") + other
    with pytest.raises(TypeError, match=r"unsupported operand|can only concatenate"):
        other + parameter("x")


def test_another_class_may_know_what_to_do() -> None:
    class Other:
        def __radd__(self, left: object) -> str:
            return "mine"

    assert parameter("x") + Other() == "mine"


def test_numbers_that_the_type_cannot_hold_are_refused() -> None:
    x = parameter("x", "f16")
    with pytest.raises(ValueError, match=r"^the right operand of \*: .*f16 can hold, got 70000$"):
        x * 70000
    with pytest.raises(ValueError, match=r"^the left operand of /: .*a double can hold"):
        10**400 / x
    assert np.isposinf(run(x * np.inf, x, np.ones(3, np.float16))).all()
    for name, shape in (("dynamic", [3]), ("i32", [3])):
        with pytest.raises(ValueError, match=r"expected f16, bf16, f32 or f64, got " + name):
            parameter("x", name, shape) + 1


def test_nothing_else_is_converted_or_repeated() -> None:
    x = parameter("x")
    with pytest.raises(ng.NodeValidationFailure, match="P3"):
        x + parameter("y", shape=[1])
    with pytest.raises(ng.NodeValidationFailure, match="P2"):
        x + parameter("y", "f64")


# ---- unpacking -----------------------------------------------------------------------------------


def norm() -> ng.Node:
    x, gamma = parameter("x", shape=[None, 3]), parameter("gamma")
    return op.BatchNormTraining(x, gamma, gamma, name="norm")


def test_a_node_unpacks_into_its_outputs() -> None:
    node = norm()
    normalized, mean, variance = node
    assert [normalized, mean, variance] == node.outputs
    assert len(node) == 3
    assert node[1] == node["mean"] == mean
    (only,) = (-parameter("x")).node
    assert only.name == "result"


def test_a_key_is_that_of_an_output() -> None:
    node = norm()
    with pytest.raises(ValueError, match="has no output named 'median'"):
        node["median"]
    for index in (3, -1):
        with pytest.raises(IndexError):
            node[index]
    with pytest.raises(TypeError, match="key: expected the name or the index"):
        node[1.0]  # type: ignore[index]


def test_a_node_with_several_outputs_has_no_operators() -> None:
    with pytest.raises(
        ValueError, match=r"^the left operand of \+: BatchNormTraining 'norm' has 3"
    ):
        norm() + 1
    with pytest.raises(ValueError, match=r"^the operand of -: BatchNormTraining 'norm' has 3"):
        -norm()


def test_a_node_is_no_list_of_values() -> None:
    x = parameter("x")
    with pytest.raises(TypeError, match="results: expected a sequence of nodes and outputs"):
        ng.Function(x, [x])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="parameters: expected a sequence of parameters"):
        ng.Function([x], x)  # type: ignore[arg-type]
