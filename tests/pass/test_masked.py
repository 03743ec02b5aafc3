"""Masked batches in graphs: decomposed, differentiated, fused, and with wide statistics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import normgraph as ng

from ..kernel.comparison import assert_same_bits
from ..kernel.real_types import TYPE_PAIRS, Array
from ..kernel.samples import Sample
from ..runtime import running_error
from .masked import FORWARD, LAYOUTS, OPS, SMOOTH_OPS, MaskedCase, make_masked_case, mask_of
from .test_differentiate import check_by_differences, random_deltas

EVERY_OP = pytest.mark.parametrize("op", OPS)
F64 = Sample((3, 2, 4), "f64", "f64", seed=4)


def decomposed(case: MaskedCase, compute_type: str | None = "f64") -> ng.Function:
    function = ng.decompose(case.function, compute_type)
    assert all(not isinstance(node, ng.op.BatchNormNode) for node in function.nodes)
    return function


# ---- what it is made of --------------------------------------------------------------------------


@pytest.mark.parametrize("compute_type", [None, "f64"])
@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
@EVERY_OP
def test_stages_keep_their_bound(
    op: str, data_type: str, channel_type: str, compute_type: str | None
) -> None:
    for shape, axis in LAYOUTS:
        case = make_masked_case(op, Sample(shape, data_type, channel_type, axis))
        function = decomposed(case, compute_type)
        values = running_error.evaluate(function, list(case.arguments.values()))
        for index, array in enumerate(case.run(function)):
            if array.dtype != np.uint8:
                running_error.check(array, values[index], f"{op} {case.sample}, result {index}")


def check_near(actual: Array, expected: Array, what: str) -> None:
    """Stages in f64 beside a kernel whose sums are doubles: of f64, they differ by roundings."""
    if expected.dtype == np.uint8:
        assert_same_bits(actual, expected, what)
        return
    assert actual.dtype == expected.dtype, what
    unit = max(float(np.finfo(np.float64).eps), 0.0)
    scale = float(np.max(np.abs(expected), initial=1.0))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=200 * unit * scale, err_msg=what)


@pytest.mark.parametrize("is_dynamic", [False, True])
@EVERY_OP
def test_stages_and_op_are_the_same(op: str, is_dynamic: bool) -> None:
    for shape, axis in LAYOUTS:
        sample = Sample(shape, "f64", "f64", axis)
        for where in (None, mask_of(sample)[:1], np.ones((1,) * len(shape), bool)):
            case = make_masked_case(op, sample, where, is_dynamic=is_dynamic)
            of_stages, of_op = case.run(decomposed(case)), case.run()
            for index, (stage, expected) in enumerate(zip(of_stages, of_op, strict=True)):
                check_near(stage, expected, f"{op} {sample}, result {index}")


@EVERY_OP
def test_a_mask_that_is_true_everywhere_is_none(op: str) -> None:
    case = make_masked_case(op, F64, np.ones((3, 1, 4), bool))
    *parameters, _ = case.function.parameters
    node: Any = case.function.results[0].node
    inputs = [value.source for value in node.inputs][:-1]
    plain = getattr(ng.op, op)(*inputs, **node.attributes)
    arguments = list(case.arguments.values())[:-1]
    expected = ng.compile(ng.Function(plain.outputs, parameters))(*arguments)
    for array, other in zip(case.run(), expected, strict=True):
        assert_same_bits(array, other, op)


@pytest.mark.parametrize("padding", [np.nan, np.inf, -1e30])
@EVERY_OP
def test_what_lies_in_the_padding_changes_nothing_else(op: str, padding: float) -> None:
    """To the bit, in the stages as in the op."""
    for shape, axis in LAYOUTS:
        sample = Sample(shape, "f64", "f64", axis)
        clean, dirty = (make_masked_case(op, sample, padding=value) for value in (0.0, padding))
        for function in (clean.function, decomposed(clean)):
            results = zip(clean.run(function), dirty.run(function), strict=True)
            for index, (expected, actual) in enumerate(results):
                if actual.dtype == np.uint8:
                    continue  # bits of what is normalized, of all positions
                if op in FORWARD and index == 0:
                    expected, actual = expected[clean.counts], actual[clean.counts]
                assert_same_bits(actual, expected, f"{op} {sample} {padding} {index}")


def test_the_count_is_the_number_of_positions() -> None:
    case = make_masked_case("BatchNormTraining", Sample((5, 3, 7)))
    function = decomposed(case)
    count = next(node for node in function.nodes if node.friendly_name == "count")
    (found,) = case.run(ng.Function([count], function.parameters))
    assert found.tolist() == [np.broadcast_to(case.where, (5, 1, 7)).sum()] * 3


def test_stages_without_a_mask_are_what_they_were() -> None:
    """A node without where has no node more in its decomposition."""
    sample = Sample((4, 3))
    for op, count in (("BatchNormTraining", 26), ("BatchNormTrainingBackprop", 45)):
        masked = make_masked_case(op, sample)
        node: Any = masked.function.results[0].node
        plain = getattr(ng.op, op)(*[value.source for value in node.inputs][:-1])
        stages = ng.decompose(ng.Function(plain.outputs, masked.function.parameters[:-1]))
        kinds = [n.type_name for n in stages.nodes]
        assert "SelectWhere" not in kinds
        assert len(kinds) == count, (op, len(kinds))


# ---- derivatives ---------------------------------------------------------------------------------


def real_function(case: MaskedCase) -> tuple[ng.Function, list[Array]]:
    """With the mask as a constant, so that all parameters are real."""
    *arguments, where = case.arguments.values()
    *parameters, last = case.function.parameters
    constant = ng.Constant(where, name="where")
    values: dict[ng.Output, ng.Output] = {last.output(0): constant.output(0)}
    node: Any = case.function.results[0].node
    sources = [values.get(value.source, value.source) for value in node.inputs]
    copy = node.clone_with_new_inputs(sources)
    return ng.Function(copy.outputs, parameters), arguments


def smooth(op: str, padded: bool = False) -> MaskedCase:
    case = make_masked_case(op, F64, padding=0.5 if padded else None)
    if "variance" in case.arguments:
        case.arguments["variance"] = case.arguments["variance"] + 0.5
    assert 2 < np.broadcast_to(case.where, (3, 1, 4)).sum() < 12
    return case


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("op", SMOOTH_OPS)
def test_every_gradient_of_an_op_is_its_derivative(op: str, padded: bool) -> None:
    """Those that arrive at mean and variance included; where padded, no gradient arrives there."""
    check_by_differences(*real_function(smooth(op, padded)))


@pytest.mark.parametrize("op", SMOOTH_OPS)
def test_gradients_of_gradients_are_derivatives(op: str) -> None:
    function, arguments = real_function(smooth(op))
    deltas = random_deltas(ng.compile(function)(*arguments), seed=9)
    check_by_differences(ng.gradients(function), [*arguments, *deltas])


def test_third_derivatives() -> None:
    function, arguments = real_function(smooth("BatchNormTraining"))
    second = ng.gradients(ng.gradients(function, function.parameters[:1]))
    deltas = random_deltas(ng.compile(function)(*arguments), seed=9)
    more = random_deltas([arguments[0]], seed=10)
    check_by_differences(second, [*arguments, *deltas, *more])


@pytest.mark.parametrize("op", ["BatchNormTraining", "BatchNormTrainingBackprop"])
def test_derivatives_of_the_stages(op: str) -> None:
    function, arguments = real_function(smooth(op))
    check_by_differences(ng.decompose(function), arguments)


def second_derivatives(
    rows: Sequence[Array], gamma: Array, cotangents: Sequence[Array], counts: Array, epsilon: float
) -> list[Array]:
    """By x, gamma and delta of Σ G·input_delta + Σ g·gamma_delta + Σ b·beta_delta, in longdouble.

    rows are x, delta and G as (positions, channels). Let m be 1 where a position counts and else 0,
    M(u) = Σ m·u/n and s = 1/√(variance + ε). The derivative of x̂ = (x − M(x))·s in a direction u is
    s·Q(u), Q(u) = u − M(u) − x̂·M(x̂·u); its transpose is s·R, R(v) = v − m·(Σv + x̂·Σ(x̂·v))/n. So
    input_delta = gamma·s·R(delta), and the sum gamma·s·ΣQ(G)·delta + g·Σx̂·delta + b·Σdelta. x is in
    x̂ and in s, whose derivative is −s²·m·x̂/n.
    """
    x, delta, outer = (array.astype(np.longdouble) for array in rows)
    _, g, b = cotangents
    m = counts[:, None]
    n = counts.sum()

    def mean(value: Array) -> Array:
        return (m * value).sum(axis=0) / n

    centered = x - mean(x)
    s = 1 / np.sqrt(mean(centered**2) + epsilon)
    normed = centered * s
    moved = outer - mean(outer) - normed * mean(normed * outer)
    product = (moved * delta).sum(axis=0)
    by_normed = g * delta - gamma * s * (
        mean(normed * outer) * delta + m * outer * (normed * delta).sum(axis=0) / n
    )
    reached = (
        by_normed - m * (by_normed.sum(axis=0) + normed * (normed * by_normed).sum(axis=0)) / n
    )
    by_x = s * reached - gamma * s**2 * product * m * normed / n
    return [by_x, s * product, gamma * s * moved + g * normed + b]


@pytest.mark.parametrize("is_padded", [False, True])
@pytest.mark.parametrize(("shape", "axis"), [((9, 4), 1), ((3, 5, 4), -1), ((6, 2, 7), 1)])
def test_second_derivatives_are_those_of_the_definition(
    shape: tuple[int, ...], axis: int, is_padded: bool
) -> None:
    """Where is_padded, no gradient arrives where a position does not count."""
    sample = Sample(shape, "f64", "f64", axis, seed=6)
    function, arguments = real_function(make_masked_case("BatchNormTraining", sample))
    counts = np.broadcast_to(mask_of(sample), shape)
    x, gamma, beta = arguments
    first = ng.gradients(ng.Function(function.results[:1], function.parameters))
    (delta,) = random_deltas([x], seed=3)
    if is_padded:
        delta = np.where(counts, delta, 0)
    cotangents = random_deltas([x, gamma, beta], seed=8)
    found = ng.compile(ng.gradients(first))(x, gamma, beta, delta, *cotangents)

    def rows(array: Array) -> Array:
        return np.moveaxis(array, axis, -1).reshape(-1, len(gamma))

    exact = second_derivatives(
        [rows(array) for array in (x, delta, cotangents[0])],
        gamma,
        cotangents,
        rows(counts)[:, 0],
        sample.epsilon,
    )
    for actual, expected in zip((rows(found[0]), found[1], rows(found[3])), exact, strict=True):
        scale = float(np.abs(expected).max())
        np.testing.assert_allclose(actual, expected.astype(float), rtol=0, atol=1e-12 * scale)
    assert not found[2].any()


@pytest.mark.parametrize("upper_bound", [None, 0.8])
@pytest.mark.parametrize("adds", [False, True])
def test_ops_with_relu_by_differences(adds: bool, upper_bound: float | None) -> None:
    x, r = (ng.Parameter("f64", [6, 3, 2], name=name) for name in "xr")
    vectors = [ng.Parameter("f64", [3], name=name) for name in ("gamma", "beta")]
    mask = np.random.default_rng(14).random((6, 1, 2)) < 0.6
    where = ng.Constant(mask)
    if adds:
        norm: Any = ng.op.BatchNormTrainingAddRelu(
            x, *vectors, r, upper_bound=upper_bound, where=where
        )
    else:
        norm = ng.op.BatchNormTrainingRelu(x, *vectors, upper_bound=upper_bound, where=where)
    product = ng.op.Multiply(norm.output(0), ng.op.Add(x, r))
    function = ng.Function([product, *norm.outputs[1:3]], [x, *vectors, r])
    random = np.random.default_rng(33)
    arguments = [
        random.standard_normal((6, 3, 2)),
        random.uniform(1, 2, 3),
        np.full(3, 0.4),
        random.standard_normal((6, 3, 2)),
    ]
    values: Array = ng.batch_norm_training(*arguments[:3], where=mask).normalized
    values = values + (arguments[3] if adds else 0)
    for end in (0, upper_bound or 0):
        assert np.abs(values - end).min() > 0.05
    check_by_differences(function, arguments)
    deltas = random_deltas(ng.compile(function)(*arguments), seed=5)
    check_by_differences(ng.gradients(function), [*arguments, *deltas])


def test_the_gradient_of_a_masked_op_is_the_masked_op() -> None:
    for op in FORWARD:
        case = make_masked_case(op, F64)
        *parameters, where = case.function.parameters
        real = ng.Function(case.function.results[:1], case.function.parameters)
        gradients = ng.gradients(real, parameters)
        (backward,) = (n for n in gradients.nodes if n.type_name == f"{op}Backprop")
        assert backward.input("where").source == where.output(0)
        (delta,) = random_deltas(case.run()[:1], seed=3)
        found = ng.compile(gradients)(*case.arguments.values(), delta)
        *results, bits = case.run()
        mask = [bits] if op != "BatchNormTraining" else []
        statistics = results[1:] if mask else [results[1], bits]
        expected = {
            "BatchNormTraining": ng.batch_norm_training_backprop,
            "BatchNormTrainingRelu": ng.batch_norm_training_relu_backprop,
            "BatchNormTrainingAddRelu": ng.batch_norm_training_add_relu_backprop,
        }[op](*list(case.arguments.values())[:3], *statistics, *mask, delta, where=case.where)
        for name, array, other in zip(expected._fields, found, expected, strict=True):
            assert_same_bits(array, other, f"{op}: {name}")


def test_a_mask_has_no_derivative() -> None:
    case = make_masked_case("BatchNormTraining", F64)
    with pytest.raises(ValueError, match=r"'where' has no derivative.*got boolean"):
        ng.gradients(case.function)
    ng.gradients(case.function, case.function.parameters[:-1])


@pytest.mark.parametrize("padding", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("op", ["BatchNormTraining", "BatchNormTrainingBackprop"])
def test_nan_in_the_padding_stays_out_of_derivatives(op: str, padding: float) -> None:
    """First and second ones, where neither a gradient nor the gradient's gradient arrives."""
    found = []
    for value in (0.25, padding):
        case = make_masked_case(op, F64, padding=value)
        function, arguments = real_function(case)
        first = ng.Function(function.results[:1], function.parameters)
        if op == "BatchNormTraining":
            first = ng.gradients(first)
            delta = random_deltas(arguments[:1], seed=3)[0]
            arguments = [*arguments, np.where(case.counts, delta, 0)]
        second = ng.gradients(first)
        deltas = random_deltas(ng.compile(first)(*arguments), seed=8)
        deltas[0] = np.where(case.counts, deltas[0], 0)
        results = ng.compile(second)(*arguments, *deltas)
        found.append(
            [
                np.where(case.counts, array, 0) if array.shape == case.sample.shape else array
                for array in results
            ]
        )
    for index, (expected, actual) in enumerate(zip(*found, strict=True)):
        assert np.isfinite(actual).all(), index
        np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)


def test_a_gradient_where_nothing_counts_is_a_term_of_the_sums() -> None:
    """And NaN there, beside a gradient that is not 0, is seen."""
    case = make_masked_case("BatchNormTrainingBackprop", F64)
    place = tuple(np.argwhere(~case.counts)[0])
    case.arguments["input"][place] = np.nan
    for function in (case.function, decomposed(case)):
        input_delta, gamma_delta, beta_delta = case.run(function)
        assert np.isnan(gamma_delta).tolist() == [channel == place[1] for channel in range(2)]
        assert np.isfinite(beta_delta).all()
        assert np.isfinite(input_delta[:, 1 - place[1]]).all()


# ---- passes --------------------------------------------------------------------------------------


def step(adds: bool, upper_bound: float | None, data_type: str = "f32") -> ng.Function:
    """A masked layer with a ReLU, and its gradients."""
    x, r = (ng.Parameter(data_type, [None, None, None], name=name) for name in "xr")
    vectors = [ng.Parameter("f32", [None], name=name) for name in ("gamma", "beta")]
    where = ng.Parameter("boolean", [None, 1, None], name="where")
    norm = ng.op.BatchNormTraining(x, *vectors, name="norm", where=where)
    added = ng.op.Add(norm.output(0), r) if adds else norm.output(0)
    relu = ng.op.Relu(added, upper_bound, name="relu")
    parameters = [r, x, *vectors, where]
    forward = ng.Function([relu, *norm.outputs[1:]], parameters)
    backward = ng.gradients(forward, [x, *vectors, *([r] if adds else [])])
    return ng.Function([*forward.results, *backward.results], backward.parameters)


@pytest.mark.parametrize("upper_bound", [None, 0.7])
@pytest.mark.parametrize("adds", [False, True])
def test_fusing_keeps_the_mask_and_the_bits(adds: bool, upper_bound: float | None) -> None:
    function = step(adds, upper_bound)
    fused = ng.fuse_relu(function)
    stem = "BatchNormTrainingAddRelu" if adds else "BatchNormTrainingRelu"
    kinds = {node.type_name for node in fused.nodes}
    assert {stem, f"{stem}Backprop"} <= kinds
    assert not {"BatchNormTraining", "BatchNormTrainingBackprop", "Relu", "ReluBackprop"} & kinds
    where = function.parameters[4].output(0)
    for node in fused.nodes:
        if isinstance(node, ng.op.BatchNormNode):
            assert node.input("where").source == where, node
    sample = Sample((5, 6, 7))
    x, gamma, beta = sample.training()
    residual, delta = random_deltas([x, x], seed=4)
    vectors = random_deltas([gamma, gamma], seed=5)
    arguments = [residual, x, gamma, beta, mask_of(sample), delta, *vectors]
    # The reference runs functions as they are.
    plain, together = (ng.compile(f, backend="reference")(*arguments) for f in (function, fused))
    for index, (left, right) in enumerate(zip(together, plain, strict=True)):
        assert_same_bits(left, right, f"result {index}")


def test_a_backward_op_with_another_mask_stays() -> None:
    x = ng.Parameter("f32", [None, None, None], name="x")
    gamma, beta = (ng.Parameter("f32", [None], name=name) for name in ("gamma", "beta"))
    masks = [ng.Parameter("boolean", [None, 1, None], name=f"where{i}") for i in range(2)]
    delta = ng.Parameter("f32", [None, None, None], name="delta")
    for forward in (None, masks[0]):
        norm = ng.op.BatchNormTraining(x, gamma, beta, where=forward)
        relu = ng.op.Relu(norm.output(0))
        for backward in (None, *masks):
            node = ng.op.BatchNormTrainingBackprop(
                x,
                gamma,
                beta,
                norm.output("mean"),
                norm.output("variance"),
                ng.op.ReluBackprop(relu, delta),
                where=backward,
            )
            function = ng.Function([relu, *node.outputs], [x, gamma, beta, delta, *masks])
            kinds = {n.type_name for n in ng.fuse_relu(function).nodes}
            assert ("BatchNormTrainingReluBackprop" in kinds) == (forward is backward)


@pytest.mark.parametrize("op", FORWARD)
@pytest.mark.parametrize("data_type", ["f16", "bf16"])
def test_wide_statistics_keep_the_mask(op: str, data_type: str) -> None:
    case = make_masked_case(op, Sample((5, 3, 7), data_type, data_type))
    *parameters, where = case.function.parameters
    first = ng.Function(case.function.results[:1], case.function.parameters)
    wide = ng.widen_statistics(ng.gradients(first, parameters))
    family = [node for node in wide.nodes if isinstance(node, ng.op.BatchNormNode)]
    assert [node.type_name for node in family] == [op, f"{op}Backprop"]
    for node in family:
        assert node.input("where").source == where.output(0)
        assert ng.element.f32 in {value.source.element_type for value in node.inputs} or (
            node.attributes["statistics_type"] == ng.element.f32
        )


def test_nodes_that_differ_in_their_mask_are_not_merged() -> None:
    case = make_masked_case("BatchNormTraining", Sample((5, 3, 7)))
    parameters = case.function.parameters
    other = ng.Parameter("boolean", [5, 1, 7], name="other")
    nodes = [
        ng.op.BatchNormTraining(*parameters[:3], where=where)
        for where in (None, parameters[3], other)
    ]
    function = ng.Function([node.output("mean") for node in nodes], [*parameters, other])
    found = ng.compile(function)(*case.arguments.values(), ~case.where)
    for index, mean in enumerate(found):
        where = (None, case.where, ~case.where)[index]
        arrays = list(case.arguments.values())[:3]
        assert_same_bits(mean, ng.batch_norm_training(*arrays, where=where).mean, f"{index}")
