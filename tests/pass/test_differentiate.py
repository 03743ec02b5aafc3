"""Gradients of functions: against the fused backward ops and finite differences."""

from __future__ import annotations

from collections.abc import Sequence

import ml_dtypes
import numpy as np
import pytest

import normgraph as ng

from ..kernel.real_types import Array
from ..kernel.samples import Sample
from .family import OPS, STAGE_OPS, make_case


def random_deltas(results: Sequence[Array], seed: int) -> list[Array]:
    random = np.random.default_rng(seed)
    return [random.standard_normal(result.shape).astype(result.dtype) for result in results]


def check_by_differences(function: ng.Function, arguments: list[Array], seed: int = 5) -> None:
    """Directional derivatives of Σ delta·result, in several random directions, all f64.

    Central differences with two steps; their extrapolation leaves an error of the order of step⁴,
    and the rounding of the function divided by the step: 1e-8 of the derivative's terms is ample.
    """
    run = ng.compile(function)
    deltas = random_deltas(run(*arguments), seed)
    gradients = ng.compile(ng.gradients(function))(*arguments, *deltas)
    random = np.random.default_rng(seed + 1)

    def loss(step: float, directions: list[Array]) -> float:
        moved = [a + step * d for a, d in zip(arguments, directions, strict=True)]
        return sum(float(np.sum(d * r)) for d, r in zip(deltas, run(*moved), strict=True))

    for which in [*range(len(arguments)), None]:  # one argument alone, and all at once
        directions = [
            random.standard_normal(a.shape) if which in (None, index) else np.zeros_like(a)
            for index, a in enumerate(arguments)
        ]
        slopes = [
            (loss(step, directions) - loss(-step, directions)) / (2 * step) for step in (2e-3, 1e-3)
        ]
        expected = (4 * slopes[1] - slopes[0]) / 3
        terms = [g * d for g, d in zip(gradients, directions, strict=True)]
        actual = sum(float(np.sum(t)) for t in terms)
        size = sum(float(np.sum(np.abs(t))) for t in terms) + abs(expected)
        assert abs(actual - expected) <= 1e-8 * size, f"argument {which}"


def smooth_case(op: str) -> tuple[ng.Function, list[Array]]:
    """An op of f64 on arguments where nothing bends sharply: the variance is not small."""
    case = make_case(op, Sample((3, 2, 4), "f64", "f64", seed=4))
    arguments = dict(case.arguments)
    if "variance" in arguments:
        arguments["variance"] = arguments["variance"] + 0.5
    return case.function, list(arguments.values())


@pytest.mark.parametrize("op", [*OPS[:4], *STAGE_OPS])
def test_every_gradient_of_an_op_is_its_derivative(op: str) -> None:
    """Gradients include those that arrive at mean and variance."""
    check_by_differences(*smooth_case(op))


@pytest.mark.parametrize("op", [*OPS[:4], *STAGE_OPS])
def test_gradients_of_gradients_are_derivatives(op: str) -> None:
    function, arguments = smooth_case(op)
    first = ng.gradients(function)
    deltas = random_deltas(ng.compile(function)(*arguments), seed=9)
    check_by_differences(first, [*arguments, *deltas])


def test_third_derivatives() -> None:
    function, arguments = smooth_case("BatchNormTraining")
    second = ng.gradients(ng.gradients(function, function.parameters[:1]))
    deltas = random_deltas(ng.compile(function)(*arguments), seed=9)
    more = random_deltas([arguments[0]], seed=10)
    check_by_differences(second, [*arguments, *deltas, *more])


@pytest.mark.parametrize("data_type", ["f16", "bf16", "f32", "f64"])
@pytest.mark.parametrize("is_dynamic", [False, True])
def test_the_gradient_of_the_decomposition_is_the_fused_one(
    data_type: str, is_dynamic: bool
) -> None:
    channel_type = "f64" if data_type == "f64" else "f32"
    for shape, axis in (((5, 3), 1), ((4, 3, 2, 5), 1), ((3, 2, 3, 4), -1)):
        sample = Sample(shape, data_type, channel_type, axis)
        case = make_case("BatchNormTraining", sample, is_dynamic)
        normalized = ng.Function(case.function.results[:1], case.function.parameters)
        stages = ng.gradients(ng.decompose(normalized))
        assert not any(isinstance(node, ng.op.BatchNormNode) for node in stages.nodes)
        fused = ng.gradients(normalized)
        assert any(isinstance(n, ng.op.BatchNormTrainingBackprop) for n in fused.nodes)
        arguments = list(case.arguments.values())
        deltas = random_deltas(case.fused()[:1], seed=3)
        by_stages = ng.compile(stages)(*arguments, *deltas)
        by_op = ng.compile(fused)(*arguments, *deltas)
        unit = {"f16": 2.0**-11, "bf16": 2.0**-8, "f32": 2.0**-24, "f64": 2.0**-53}
        for stage, op, name in zip(by_stages, by_op, ("input", "gamma", "beta"), strict=True):
            # The fused op starts from statistics rounded to f32 (or f64), the stages do not.
            u = max(unit[data_type], 2.0**-24) if data_type != "f64" else unit["f64"]
            scale = np.abs(op.astype(np.float64)).max()
            error = np.abs(stage.astype(np.float64) - op.astype(np.float64)).max()
            assert error <= 200 * u * scale, f"{name} {sample}"


def test_ops_with_relu_follow_the_plain_ones() -> None:
    """BatchNormTrainingRelu's gradients are those of BatchNormTraining and Relu."""
    sample = Sample((4, 3, 5), "f64", "f64", seed=2)
    fused = make_case("BatchNormTrainingRelu", sample).function
    plain = make_case("BatchNormTraining", sample).function
    activated = ng.op.Relu(plain.results[0])
    results = [[fused.results[0], *fused.results[1:3]], [activated, *plain.results[1:]]]
    functions = [
        ng.Function(outputs, function.parameters)
        for outputs, function in zip(results, (fused, plain), strict=True)
    ]
    arguments = list(sample.training())
    deltas = random_deltas(ng.compile(functions[1])(*arguments), seed=6)
    values = [ng.compile(ng.gradients(f))(*arguments, *deltas) for f in functions]
    for left, right in zip(*values, strict=True):
        assert np.array_equal(left, right)
    twice = [ng.gradients(ng.gradients(f)) for f in functions]
    more = random_deltas(values[0], seed=7)
    for left, right in zip(
        *(ng.compile(f)(*arguments, *deltas, *more) for f in twice), strict=True
    ):
        np.testing.assert_allclose(left, right, rtol=1e-9, atol=1e-12)


def test_primitives_by_differences() -> None:
    x, y = (ng.Parameter("f64", [3, 4], name=name) for name in "xy")
    v = ng.Parameter("f64", [4], name="v")
    spread = ng.op.Broadcast(v, x, axes=[1])
    quotient = ng.op.Divide(ng.op.Subtract(ng.op.Multiply(x, y), spread), ng.op.Add(y, y))
    root = ng.op.SquareRoot(ng.op.Add(ng.op.Multiply(quotient, quotient), y))
    product = ng.op.MatrixMultiply(root, ng.op.Negate(x), transpose_right=True)
    results = [
        ng.op.Sum(product, kept_axes=[0]),
        ng.op.Mean(root, kept_axes=[-1]),
        ng.op.MeanBackprop(v, root, axes=[1]),
        ng.op.Convert(ng.op.Sum(quotient), "f64"),
    ]
    random = np.random.default_rng(3)
    arguments = [
        random.standard_normal((3, 4)),
        random.uniform(1, 2, (3, 4)),
        random.standard_normal(4),
    ]
    function = ng.Function(results, [x, y, v])
    check_by_differences(function, arguments)
    # The second derivative: the gradients are a function of the same kind.
    deltas = random_deltas(ng.compile(function)(*arguments), seed=5)
    check_by_differences(ng.gradients(function), [*arguments, *deltas])


@pytest.mark.parametrize("transpose_left", [False, True])
@pytest.mark.parametrize("transpose_right", [False, True])
def test_matrix_products_by_differences(transpose_left: bool, transpose_right: bool) -> None:
    shapes = [(5, 2) if transpose_left else (2, 5), (3, 5) if transpose_right else (5, 3)]
    left, right = (ng.Parameter("f64", shape) for shape in shapes)
    product = ng.op.MatrixMultiply(left, right, transpose_left, transpose_right)
    random = np.random.default_rng(1)
    arguments = [random.standard_normal(shape) for shape in shapes]
    check_by_differences(ng.Function([product], [left, right]), arguments)


def test_relu_lets_pass_what_is_positive() -> None:
    x = ng.Parameter("f32", [5], name="x")
    function = ng.gradients(ng.Function([ng.op.Relu(x)], [x]))
    values = np.array([-1, -0.0, 0, 2, np.nan], np.float32)
    (gradient,) = ng.compile(function)(values, np.full(5, 3, np.float32))
    assert gradient.tolist() == [0, 0, 0, 3, 3]


def test_relu_with_an_upper_bound_lets_pass_what_is_below_it() -> None:
    x = ng.Parameter("f32", [7], name="x")
    function = ng.gradients(ng.Function([ng.op.Relu(x, 6.0)], [x]))
    values = np.array([-1, -0.0, 0, 2, 6, 7, np.nan], np.float32)
    (gradient,) = ng.compile(function)(values, np.full(7, 3, np.float32))
    assert gradient.tolist() == [0, 0, 0, 3, 0, 0, 3]


@pytest.mark.parametrize("is_fused", [False, True])
def test_a_network_with_relu6_by_differences(is_fused: bool) -> None:
    """Far from its ends, where it bends, and beyond both."""
    x = ng.Parameter("f64", [6, 3, 2], name="x")
    vectors = [ng.Parameter("f64", [3], name=name) for name in ("gamma", "beta")]
    if is_fused:
        norm = ng.op.BatchNormTrainingRelu(x, *vectors, upper_bound=0.8)
        activated = norm.output(0)
    else:
        norm = ng.op.BatchNormTraining(x, *vectors)
        activated = ng.op.Relu(norm.output(0), 0.8)
    function = ng.Function([ng.op.Multiply(activated, x), *norm.outputs[1:3]], [x, *vectors])
    random = np.random.default_rng(8)
    arguments = [random.standard_normal((6, 3, 2)), random.uniform(1, 2, 3), np.full(3, 0.4)]
    values = ng.batch_norm_training(*arguments).normalized
    assert np.abs(values).min() > 0.01
    assert np.abs(values - 0.8).min() > 0.01
    for beyond in (values < 0, values > 0.8, (values > 0) & (values < 0.8)):
        assert beyond.sum() > 3
    check_by_differences(function, arguments)


@pytest.mark.parametrize("upper_bound", [None, 0.8])
def test_a_residual_by_differences(upper_bound: float | None) -> None:
    x, r = (ng.Parameter("f64", [6, 3, 2], name=name) for name in "xr")
    vectors = [ng.Parameter("f64", [3], name=name) for name in ("gamma", "beta")]
    norm = ng.op.BatchNormTrainingAddRelu(x, *vectors, r, upper_bound=upper_bound)
    product = ng.op.Multiply(norm.output(0), ng.op.Add(x, r))
    function = ng.Function([product, *norm.outputs[1:3]], [x, *vectors, r])
    random = np.random.default_rng(9)
    arguments = [
        random.standard_normal((6, 3, 2)),
        random.uniform(1, 2, 3),
        np.full(3, 0.4),
        random.standard_normal((6, 3, 2)),
    ]
    values = ng.batch_norm_training(*arguments[:3]).normalized + arguments[3]
    for end in (0, upper_bound or 0):
        assert np.abs(values - end).min() > 0.01
    check_by_differences(function, arguments)
    deltas = random_deltas(ng.compile(function)(*arguments), seed=5)
    check_by_differences(ng.gradients(function), [*arguments, *deltas])


@pytest.mark.parametrize("upper_bound", [None, 0.8])
@pytest.mark.parametrize("adds", [False, True])
def test_an_activated_inference_by_differences(adds: bool, upper_bound: float | None) -> None:
    x, r = (ng.Parameter("f64", [6, 3, 2], name=name) for name in "xr")
    vectors = [ng.Parameter("f64", [3]) for _ in range(4)]
    if adds:
        norm = ng.op.BatchNormInferenceAddRelu(x, *vectors, r, upper_bound=upper_bound)
    else:
        norm = ng.op.BatchNormInferenceRelu(x, *vectors, upper_bound=upper_bound)
    product = ng.op.Multiply(norm, ng.op.Add(x, r))
    function = ng.Function([product], [x, *vectors, r])
    random = np.random.default_rng(10)
    arguments = [
        random.standard_normal((6, 3, 2)),
        random.uniform(1, 2, 3),
        np.full(3, 0.4),
        random.standard_normal(3),
        random.uniform(1, 2, 3),
        random.standard_normal((6, 3, 2)),
    ]
    values = ng.batch_norm_inference(*arguments[:5]) + (arguments[5] if adds else 0)
    for end in (0, upper_bound or 0):
        assert np.abs(values - end).min() > 0.005
    check_by_differences(function, arguments)
    deltas = random_deltas(ng.compile(function)(*arguments), seed=6)
    check_by_differences(ng.gradients(function), [*arguments, *deltas])


# ---- what is a function of what ------------------------------------------------------------------


def test_parameters_results_and_their_names() -> None:
    x = ng.Parameter("f32", [None, 3], name="x")
    gamma, beta = (ng.Parameter("f32", [3], name=name) for name in ("gamma", "beta"))
    node = ng.op.BatchNormTraining(x, gamma, beta)
    total = ng.op.Sum(node.output(0), name="total")
    function = ng.Function([total, node.output("mean")], [x, gamma, beta])
    gradients = ng.gradients(function)
    names = [parameter.friendly_name for parameter in gradients.parameters]
    assert names == ["x", "gamma", "beta", "total_delta", "mean_delta"]
    assert gradients.parameters[:3] == function.parameters
    assert [str(p.output(0).partial_shape) for p in gradients.parameters[3:]] == ["{}", "{3}"]
    assert [str(r.partial_shape) for r in gradients.results] == ["{?,3}", "{3}", "{3}"]
    chosen = ng.gradients(function, [beta, x])
    assert chosen.parameters[:3] == function.parameters
    assert [str(r.partial_shape) for r in chosen.results] == ["{3}", "{?,3}"]


def names_of(function: ng.Function) -> tuple[list[str], list[str]]:
    """Those of the parameters, and of the nodes that make the results."""
    parameters = [parameter.friendly_name for parameter in function.parameters]
    return parameters, [result.node.friendly_name for result in function.results]


def test_deltas_of_results_that_are_called_alike_have_distinct_names() -> None:
    x = ng.Parameter("f32", [4, 3], name="x")
    vectors = [ng.Parameter("f32", [3], name=name) for name in ("gamma", "normalized_delta#2")]
    results = [ng.op.BatchNormTraining(x, *vectors).output(0) for _ in range(3)]
    gradients = ng.gradients(ng.Function([*results, results[0]], [x, *vectors]))
    assert names_of(gradients)[0] == [
        "x",
        "gamma",
        "normalized_delta#2",
        "normalized_delta",
        "normalized_delta#3",
        "normalized_delta#4",
        "normalized_delta#5",
    ]


def test_a_delta_leaves_the_name_of_a_parameter() -> None:
    x, other = (ng.Parameter("f32", [3], name=name) for name in ("x", "total_delta"))
    function = ng.Function([ng.op.Multiply(x, other, name="total")], [x, other])
    first = ng.gradients(function)
    assert names_of(first)[0] == ["x", "total_delta", "total_delta#2"]
    assert names_of(ng.gradients(function))[0] == names_of(first)[0]
    # The gradients are named by the ops that make them, whose names are generated.
    second = ng.gradients(first)
    assert len(set(names_of(second)[0])) == len(second.parameters)


def test_gradients_that_are_deltas_are_called_as_those() -> None:
    x, y = (ng.Parameter("f32", [3], name=name) for name in "xy")
    gradients = ng.gradients(ng.Function([ng.op.Add(x, y, name="total")], [x, y]))
    assert names_of(gradients) == (["x", "y", "total_delta"], ["total_delta", "total_delta"])
    assert gradients.results == [gradients.parameters[2].output(0)] * 2


def test_gradients_add_up_over_all_paths() -> None:
    x = ng.Parameter("f64", [3], name="x")
    square = ng.op.Multiply(x, x)
    function = ng.Function([square, x, ng.op.Add(square, x), square], [x])
    value = np.array([1.0, 2.0, 3.0])
    deltas = [np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), np.ones(3), np.full(3, 10.0)]
    (gradient,) = ng.compile(ng.gradients(function))(value, *deltas)
    expected = 2 * value * (deltas[0] + deltas[2] + deltas[3]) + deltas[1] + deltas[2]
    assert np.array_equal(gradient, expected)


def test_what_no_result_depends_on_has_the_gradient_zero() -> None:
    x = ng.Parameter("f32", [None, 3], name="x")
    unused = ng.Parameter("bf16", [None], name="unused")
    function = ng.gradients(ng.Function([ng.op.Negate(x)], [x, unused]))
    delta = np.ones((2, 3), np.float32)
    values = np.ones(4, ml_dtypes.bfloat16)
    minus, zero = ng.compile(function)(delta, values, delta)
    assert np.array_equal(minus, -delta)
    assert zero.dtype == values.dtype
    assert zero.astype(float).tolist() == [0, 0, 0, 0]


def test_one_value_in_two_places() -> None:
    """The input of a backward op as its delta: both gradients count, each once."""
    x = ng.Parameter("f64", [4, 2], name="x")
    vectors = [ng.Parameter("f64", [2], name=n) for n in ("gamma", "beta", "mean", "variance")]
    node = ng.op.BatchNormTrainingBackprop(x, *vectors, x)
    random = np.random.default_rng(8)
    arguments = [
        random.standard_normal((4, 2)),
        *(random.uniform(0.5, 1.5, 2) for _ in range(4)),
    ]
    check_by_differences(ng.Function(node.outputs, [x, *vectors]), arguments)


# ---- what is refused -----------------------------------------------------------------------------


def mask_function() -> ng.Function:
    x = ng.Parameter("f32", [2, 3], name="x")
    vectors = [ng.Parameter("f32", [3], name=name) for name in ("gamma", "beta")]
    node = ng.op.BatchNormTrainingRelu(x, *vectors, name="layer")
    return ng.Function(node.outputs, [x, *vectors])


def test_masks_have_no_derivative() -> None:
    with pytest.raises(ValueError, match=r"result 'mask' has no derivative.*got u8"):
        ng.gradients(mask_function())


def test_integers_have_no_derivative() -> None:
    labels = ng.Parameter("i32", [4], name="labels")
    weights = ng.Parameter("f32", [4], name="weights")
    converted = ng.op.Convert(labels, "f32", name="converted")
    function = ng.Function([ng.op.Multiply(converted, weights)], [labels, weights])
    with pytest.raises(ValueError, match=r"parameter 'labels' has no derivative.*got i32"):
        ng.gradients(function)
    # With respect to what is real there is one.
    gradients = ng.gradients(function, [weights])
    arguments = [np.arange(4, dtype=np.int32), *np.ones((2, 4), np.float32)]
    assert ng.compile(gradients)(*arguments)[0].tolist() == [0, 1, 2, 3]


def test_a_path_through_bits_is_refused_by_name() -> None:
    x = ng.Parameter("f32", [2, 3], name="x")
    mask = ng.op.ReluMask(x)
    number = ng.op.Convert(mask, "f32", name="number")
    with pytest.raises(ValueError, match=r"Convert 'number' has no derivative.*got u8"):
        ng.gradients(ng.Function([number], [x]))


def test_what_does_not_depend_on_the_parameters_needs_no_derivative() -> None:
    x, other = (ng.Parameter("f32", [2, 3], name=name) for name in ("x", "other"))
    number = ng.op.Convert(ng.op.ReluMask(other), "f32")
    gradients = ng.gradients(ng.Function([ng.op.Negate(x), number], [x, other]), [x])
    deltas = [np.ones(shape, np.float32) for shape in ((2, 3), (2, 1))]
    found = ng.compile(gradients)(*np.ones((2, 2, 3), np.float32), *deltas)
    assert np.array_equal(found[0], -deltas[0])


def test_wrong_parameters_are_named() -> None:
    function = mask_function()
    function = ng.Function(function.results[:1], function.parameters)
    x = function.parameters[0]
    stranger = ng.Parameter("f32", [2], name="stranger")
    with pytest.raises(ValueError, match=r"wrt: expected parameters of .*got 'stranger'"):
        ng.gradients(function, [stranger])
    with pytest.raises(ValueError, match="wrt: expected each parameter once, got 'x' twice"):
        ng.gradients(function, [x, x])
    with pytest.raises(ValueError, match="wrt: expected at least one parameter, got none"):
        ng.gradients(function, [])
    with pytest.raises(TypeError, match=r"wrt\[0\]: expected a Parameter, got 'x'"):
        ng.gradients(function, ["x"])  # type: ignore[list-item]


def test_zero_of_an_unknown_type_is_refused() -> None:
    x = ng.Parameter("f32", [3], name="x")
    unused = ng.Parameter("dynamic", [3], name="unused")
    with pytest.raises(ValueError, match=r"depends on the parameter 'unused'.*got dynamic"):
        ng.gradients(ng.Function([ng.op.Negate(x)], [x, unused]))
