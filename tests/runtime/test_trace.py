"""Traces: every value of a run to the bit, and every gradient against what it is by hand."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import normgraph as ng
from tests.ir.graphs import two_layers

Array = npt.NDArray[Any]
EVERY_BACKEND = pytest.mark.parametrize("backend", ["cpu", "reference"])
EPSILON = 1e-5


def layer(element_type: str = "f32") -> ng.Function:
    x = ng.Parameter(element_type, [None, 3], name="x")
    gamma, beta = (ng.Parameter(element_type, [3], name=name) for name in ("gamma", "beta"))
    norm = ng.op.BatchNormTraining(x, gamma, beta, EPSILON, name="norm")
    return ng.Function([ng.op.Relu(norm.output(0), name="y")], [x, gamma, beta], name="layer")


def arrays(dtype: str = "f4", rows: int = 18) -> tuple[list[Array], Array]:
    """Inputs of a layer, and a delta."""
    generator = np.random.default_rng(7)
    inputs = [generator.normal(1, 1, size=shape).astype(dtype) for shape in ((rows, 3), 3, 3)]
    return inputs, generator.normal(size=(rows, 3)).astype(dtype)


def same_bits(left: Array, right: Array) -> bool:
    return (
        left.dtype == right.dtype
        and left.shape == right.shape
        and left.tobytes() == right.tobytes()
    )


# ---- values --------------------------------------------------------------------------------------


@EVERY_BACKEND
def test_values_are_those_of_the_compiled_function(backend: str) -> None:
    inputs, _ = arrays()
    inputs[0][3] = -0.0
    function = layer()
    trace = ng.trace(function, inputs, backend=backend)
    expected = ["x", "gamma", "beta", "norm.normalized", "norm.mean", "norm.variance", "y"]
    assert list(trace) == expected
    assert len(trace) == 7
    assert same_bits(trace["y"], ng.compile(function)(*inputs)[0])
    for name, array in zip(("x", "gamma", "beta"), inputs, strict=True):
        assert same_bits(trace[name], array)
    x, gamma, beta = inputs
    result = ng.batch_norm_training(x, gamma, beta, EPSILON)
    assert same_bits(trace["norm.normalized"], result.normalized)
    assert same_bits(trace["norm.mean"], result.mean)
    assert same_bits(trace["norm.variance"], result.variance)


def test_inputs_are_given_by_name_as_well() -> None:
    (x, gamma, beta), _ = arrays()
    trace = ng.trace(layer(), {"beta": beta, "x": x, "gamma": gamma})
    assert same_bits(trace["y"], ng.trace(layer(), [x, gamma, beta])["y"])


def test_stages_have_the_names_of_their_symbols() -> None:
    inputs, _ = arrays()
    trace = ng.trace(ng.decompose(layer()), inputs)
    x = inputs[0].astype(np.float64)
    np.testing.assert_allclose(trace["centered"], x - x.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(trace["variance"], x.var(axis=0), rtol=1e-12)
    np.testing.assert_allclose(trace["invsqrt"], 1 / np.sqrt(x.var(axis=0) + EPSILON), rtol=1e-12)


# ---- gradients -----------------------------------------------------------------------------------


@EVERY_BACKEND
@pytest.mark.parametrize("compute_type", [None, "f64", "fused"])
def test_gradients_of_parameters_are_those_of_gradients(
    backend: str, compute_type: str | None
) -> None:
    inputs, delta = arrays()
    function = layer()
    if compute_type != "fused":
        function = ng.decompose(function, compute_type)
    trace = ng.trace(function, inputs, [delta], backend)
    expected = ng.compile(ng.gradients(function), "reference")(*inputs, delta)
    for parameter, gradient in zip(function.parameters, expected, strict=True):
        assert same_bits(trace.gradient(parameter), gradient)
    assert same_bits(trace["y"], ng.compile(function, "reference")(*inputs)[0])
    assert same_bits(trace.gradient("y"), delta)


def of_narrow_statistics() -> tuple[ng.Function, list[Array], Array]:
    """The mean of f16 data goes on as the f32 that it is made in, not as the f16 of the output."""
    x = ng.Parameter("f16", [None, 3], name="x")
    gamma, beta = (ng.Parameter("f16", [3], name=name) for name in ("gamma", "beta"))
    norm = ng.op.BatchNormTraining(x, gamma, beta)
    statistics = (norm.output("mean"), norm.output("variance"))
    inference = ng.op.BatchNormInference(x, gamma, beta, *statistics)
    generator = np.random.default_rng(8)
    data = (1000.3 + generator.normal(size=(64, 3))).astype("f2")
    ones = np.ones(3, "f2")
    function = ng.Function([inference], [x, gamma, beta])
    return function, [data, ones, ones], np.ones((64, 3), "f2")


def of_a_repeated_vector() -> tuple[ng.Function, list[Array], Array]:
    """A Broadcast that nothing has written out has the layout class of channels last."""
    x = ng.Parameter("f64", [4, 3, 7], name="x")
    b = ng.Parameter("f64", [3], name="b")
    norm = ng.op.BatchNormTraining(ng.op.Broadcast(b, x, [1]), b, b)
    generator = np.random.default_rng(9)
    inputs = [generator.normal(size=(4, 3, 7)), generator.normal(size=3)]
    function = ng.Function([norm.output("normalized")], [x, b])
    return function, inputs, generator.normal(size=(4, 3, 7))


@EVERY_BACKEND
@pytest.mark.parametrize("make", [of_narrow_statistics, of_a_repeated_vector])
def test_gradients_of_parameters_are_those_of_gradients_where_a_pass_widens_values(
    make: Any, backend: str
) -> None:
    function, inputs, delta = make()
    trace = ng.trace(function, inputs, [delta], backend)
    expected = ng.compile(ng.gradients(function), backend)(*inputs, delta)
    for parameter, gradient in zip(function.parameters, expected, strict=True):
        assert same_bits(trace.gradient(parameter), gradient), parameter.friendly_name


def test_a_result_may_stand_twice() -> None:
    x = ng.Parameter("f32", [2], name="x")
    values = np.ones(2, "f4")
    trace = ng.trace(ng.Function([x, x], [x]), [values], [values, 2 * values])
    assert trace.gradient("x").tolist() == [3.0, 3.0]


@EVERY_BACKEND
def test_gradients_of_the_stages_are_the_steps_of_the_backward_pass(backend: str) -> None:
    inputs, delta = arrays("f8")
    function = ng.decompose(layer("f64"))
    trace = ng.trace(function, inputs, [delta], backend)
    x, gamma, beta = inputs
    n = len(x)
    centered = x - x.mean(axis=0)
    inverse = 1 / np.sqrt(x.var(axis=0) + EPSILON)
    normed_delta = np.where(centered * inverse * gamma + beta > 0, delta, 0)
    gmul_delta = (normed_delta * centered).sum(axis=0)
    invsqrt_delta = gmul_delta * gamma
    variance_delta = -0.5 * invsqrt_delta * inverse**3
    centered_delta = normed_delta * gamma * inverse + 2 * centered * variance_delta / n
    by_hand = {
        "normed": normed_delta,
        "beta": normed_delta.sum(axis=0),
        "gmul": gmul_delta,
        "gamma": gmul_delta * inverse,
        "invsqrt": invsqrt_delta,
        "variance": variance_delta,
        "epsilon": variance_delta,
        "square": np.broadcast_to(variance_delta / n, x.shape),
        "centered": centered_delta,
        "mean": -centered_delta.sum(axis=0),
        "x": centered_delta - centered_delta.sum(axis=0) / n,
    }
    for name, gradient in by_hand.items():
        np.testing.assert_allclose(trace.gradient(name), gradient, rtol=1e-9, atol=1e-12)


def test_gradients_of_statistics_count_what_reads_them() -> None:
    inputs, _ = arrays("f8")
    norm = layer("f64").results[0].node.inputs[0].source.node
    function = ng.Function(
        [norm.output("variance"), norm.output("mean")],
        [value.source.node for value in norm.inputs],  # type: ignore[misc]
    )
    deltas = [np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.0, -1.0])]
    trace = ng.trace(function, inputs, deltas)
    assert same_bits(trace.gradient("norm.variance"), deltas[0])
    assert same_bits(trace.gradient("norm.mean"), deltas[1])
    assert not trace.gradient("norm.normalized").any()
    x = inputs[0]
    expected = (2 * (x - x.mean(axis=0)) * deltas[0] + deltas[1]) / len(x)
    np.testing.assert_allclose(trace.gradient("x"), expected, rtol=1e-12, atol=1e-15)


def test_a_value_read_twice_gets_the_sum() -> None:
    x = ng.Parameter("f64", [2], name="x")
    square = ng.op.Multiply(x, x, name="square")
    function = ng.Function([ng.op.Add(square, x, name="sum"), square], [x])
    trace = ng.trace(
        function, [np.array([3.0, -1.0])], [np.array([1.0, 1.0]), np.array([10.0, 0.0])]
    )
    assert trace.gradient("sum").tolist() == [1, 1]
    assert trace.gradient("square").tolist() == [11, 1]
    assert trace.gradient("x").tolist() == [67, -1]


def test_what_no_result_depends_on_has_the_gradient_0() -> None:
    inputs, delta = arrays()
    trace = ng.trace(layer(), inputs, [delta])
    assert trace.gradient("norm.mean").tolist() == [0, 0, 0]
    trace = ng.trace(layer(), inputs, [None])
    assert not any(trace.gradient(name).any() for name in trace)


@pytest.mark.parametrize("value", [-0.0, np.inf, -np.inf, np.nan, 5e-324])
def test_moves_change_no_bit(value: float) -> None:
    x = ng.Parameter("f64", [1], name="x")
    function = ng.Function([ng.op.Divide(x, ng.op.Negate(x), name="y")], [x])
    trace = ng.trace(function, [np.array([value])], [np.array([-0.0])])
    expected = ng.compile(ng.gradients(function))(np.array([value]), np.array([-0.0]))[0]
    np.testing.assert_array_equal(trace.gradient("x"), expected)
    assert np.signbit(trace.gradient("y")) == [True]


def test_types_and_shapes_that_are_dynamic_are_those_of_the_run() -> None:
    x = ng.Parameter("f32", None, name="x")
    scale = ng.Parameter("f32", [None], name="scale")
    norm = ng.op.BatchNormTraining(x, scale, scale, name="norm")
    inputs, delta = arrays()
    trace = ng.trace(ng.Function([norm.output(0)], [x, scale]), inputs[:2], [delta])
    assert trace.gradient("x").shape == (18, 3)
    np.testing.assert_allclose(trace.gradient("x").sum(axis=0), 0, atol=1e-5)


def test_half_precision() -> None:
    inputs, delta = arrays("f2")
    function = layer("f16")
    trace = ng.trace(function, inputs, [delta])
    expected = ng.compile(ng.gradients(function))(*inputs, delta)
    assert same_bits(trace.gradient("x"), expected[0])


def test_bfloat16() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    inputs, delta = arrays()
    narrow = [inputs[0].astype(ml_dtypes.bfloat16), *inputs[1:]]
    x = ng.Parameter("bf16", [None, 3], name="x")
    gamma, beta = (ng.Parameter("f32", [3], name=name) for name in ("gamma", "beta"))
    norm = ng.op.BatchNormTraining(x, gamma, beta)
    function = ng.Function([norm.output(0)], [x, gamma, beta])
    trace = ng.trace(function, narrow, [delta.astype(ml_dtypes.bfloat16)])
    assert trace.gradient("x").dtype == ml_dtypes.bfloat16
    expected = ng.compile(ng.gradients(function))(*narrow, delta.astype(ml_dtypes.bfloat16))
    for name, gradient in zip(("x", "gamma", "beta"), expected, strict=True):
        assert same_bits(trace.gradient(name), gradient)
    assert "bf16{18,3}" in str(trace)


def test_values_that_are_no_real_numbers_have_no_gradient() -> None:
    x = ng.Parameter("f32", [4, 3], name="x")
    gamma, beta = (ng.Parameter("f32", [3], name=name) for name in ("gamma", "beta"))
    node = ng.op.BatchNormTrainingRelu(x, gamma, beta, name="norm")
    function = ng.Function([node.output("activated"), node.output("mask")], [x, gamma, beta])
    inputs, delta = arrays(rows=4)
    trace = ng.trace(function, inputs, [delta, None])
    assert trace["norm.mask"].dtype == np.uint8
    with pytest.raises(ValueError, match=r"gradient: 'norm.mask' has none: .* real .*, got u8"):
        trace.gradient("norm.mask")
    assert re.search(r"norm\.mask .* -$", str(trace), re.MULTILINE)
    with pytest.raises(ValueError, match="mask"):
        ng.trace(function, inputs, [delta, trace["norm.mask"]])


# ---- names ---------------------------------------------------------------------------------------


def test_outputs_and_nodes_are_names_too() -> None:
    function = layer()
    inputs, delta = arrays()
    trace = ng.trace(function, inputs, [delta])
    y = function.results[0]
    assert trace[y] is trace["y"] is trace[y.node]
    assert trace.gradient(y) is trace.gradient("y")
    assert y in trace
    assert "z" not in trace
    assert 3 not in trace  # type: ignore[comparison-overlap]


@pytest.mark.parametrize("name", ["norm", "z", ng.Parameter("f32", [1], name="z")])
def test_an_unknown_name_is_told_with_the_known_ones(name: Any) -> None:
    trace = ng.trace(layer(), arrays()[0])
    with pytest.raises(
        KeyError, match=r"expected one of x, gamma, beta, norm.normalized, norm.mean"
    ):
        trace[name]


def test_a_name_that_is_taken_gets_a_number() -> None:
    a, b = ng.Parameter("f32", [1], name="a"), ng.Parameter("f32", [1], name="a")
    function = ng.Function([ng.op.Add(a, b, name="a#2")], [a, b])
    trace = ng.trace(function, [np.ones(1, "f4"), np.zeros(1, "f4")])
    assert list(trace) == ["a", "a#2", "a#2#2"]
    assert [float(array[0]) for array in trace.values()] == [1, 0, 1]


def test_names_are_those_of_the_printed_function() -> None:
    function = ng.decompose(ng.gradients(two_layers()), None)
    x = np.random.default_rng(1).normal(size=(8, 64)).astype("f4")
    vector = np.ones(64, "f4")
    inputs = [x if len(p.partial_shape) == 2 else vector for p in function.parameters]
    printed = [line.split(" = ")[0].strip() for line in str(function).splitlines()[1:-1]]
    assert list(ng.trace(function, inputs)) == printed


# ---- what is wrong -------------------------------------------------------------------------------


def test_a_trace_without_deltas_has_no_gradients() -> None:
    trace = ng.trace(layer(), arrays()[0])
    with pytest.raises(ValueError, match="gradient: this trace was made without deltas"):
        trace.gradient("x")


@pytest.mark.parametrize("count", [0, 2])
def test_there_is_a_delta_for_each_result(count: int) -> None:
    inputs, delta = arrays()
    with pytest.raises(
        ValueError, match=f"deltas: expected one for each of the 1 results, got {count}"
    ):
        ng.trace(layer(), inputs, [delta] * count)


def test_arguments_that_do_not_fit_are_named() -> None:
    inputs, delta = arrays()
    with pytest.raises(TypeError, match="beta"):
        ng.trace(layer(), inputs[:2])
    with pytest.raises(ValueError, match="x: expected"):
        ng.trace(layer(), [inputs[0].astype("f8"), *inputs[1:]])
    with pytest.raises(ValueError, match="y_delta"):
        ng.trace(layer(), inputs, [delta[:2]])
    with pytest.raises(TypeError, match="function: expected a Function, got list"):
        ng.trace([], inputs)  # type: ignore[arg-type]


# ---- the table -----------------------------------------------------------------------------------


def test_the_table() -> None:
    x = ng.Parameter("f32", [None], name="x")
    half = ng.op.Broadcast(ng.Constant(0.5, "f32"), x)
    function = ng.Function([ng.op.Multiply(x, half, name="y\n")], [x])
    values = np.array([1, 2, 3, 4, np.nan, -np.inf], "f4")
    trace = ng.trace(function, [values[:2]], [values[:2]])
    assert str(trace) == (
        "name  op         type    value   gradient\n"
        "x     Parameter  f32{2}  1, 2    0.5, 1\n"
        "y\\n   Multiply   f32{2}  0.5, 1  1, 2"
    )
    assert str(ng.trace(function, [values])) == (
        "name  op         type    value\n"
        "x     Parameter  f32{6}  1 to 4, mean 2.5, 2 not finite\n"
        "y\\n   Multiply   f32{6}  0.5 to 2, mean 1.25, 2 not finite"
    )
    assert "nothing" in str(ng.trace(function, [values[:0]]))
    assert repr(trace) == "<Trace of 4 values and gradients>"
    assert repr(ng.trace(function, [values])) == "<Trace of 4 values>"
    assert trace != ng.trace(function, [values])
    assert {trace: 1}[trace] == 1


def test_the_table_of_some_values() -> None:
    inputs, delta = arrays()
    function = ng.decompose(layer())
    trace = ng.trace(function, inputs, [delta])
    table = trace.table(["invsqrt", "centered", function.results[0], function.parameters[1]])
    names = [line.split()[0] for line in table.splitlines()]
    assert names == ["name", "gamma", "centered", "invsqrt", "y"]
    assert trace.table([]).split() == ["name", "op", "type", "value", "gradient"]
    with pytest.raises(KeyError, match="expected one of x, gamma"):
        trace.table(["z"])
