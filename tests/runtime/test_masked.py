"""Masked batches in executables: the bits of the functions on arrays, and what is refused."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

import normgraph as ng

from ..kernel.comparison import assert_same_bits
from ..kernel.real_types import TYPE_PAIRS, Array
from ..kernel.samples import Sample
from .graphs import BACKENDS

# `pass` is a word of the language, which cannot stand in an import.
masked: Any = importlib.import_module("tests.pass.masked")

EVERY_OP = pytest.mark.parametrize("op", masked.OPS)
EVERY_BACKEND = pytest.mark.parametrize("backend", BACKENDS)
BIG = ((40, 3, 37), 1), ((9, 70, 5), -1)


@EVERY_BACKEND
@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
@EVERY_OP
def test_bits_are_those_of_the_function(
    op: str, data_type: str, channel_type: str, backend: str
) -> None:
    for shape, axis in (*masked.LAYOUTS, *BIG):
        sample = Sample(shape, data_type, channel_type, axis)
        for padding in (None, float("nan")):
            case = masked.make_masked_case(op, sample, padding=padding)
            names = case.function.results[0].node.output_names
            results = zip(names, case.run(backend=backend), case.by_functions(), strict=True)
            for name, actual, expected in results:
                assert_same_bits(actual, expected, f"{op} {sample} {padding}: {name}")


@EVERY_OP
def test_each_output_on_its_own(op: str) -> None:
    case = masked.make_masked_case(op, Sample((5, 3, 7)))
    for index, expected in enumerate(case.run()):
        function = ng.Function([case.function.results[index]], case.function.parameters)
        (actual,) = case.run(function)
        assert_same_bits(actual, expected, f"{op} {index}")


@pytest.mark.parametrize("length", [1, 7])
def test_a_mask_is_broadcast_and_has_any_strides(length: int) -> None:
    case = masked.make_masked_case("BatchNormTraining", Sample((5, 3, 7)))
    arrays = list(case.arguments.values())[:3]
    parameters = case.function.parameters
    parameters[3].partial_shape = [None, 1, None]
    case.function.validate_nodes_and_infer_types()
    run = ng.compile(case.function)
    where = np.ascontiguousarray(case.where[:, :, :length])
    expected: Any = ng.batch_norm_training(*arrays, where=where)
    backward = where[::-1, :, ::-1].copy()[::-1, :, ::-1]
    fortran = np.asfortranarray(where)
    repeated = np.broadcast_to(where[:1], where.shape)
    for name, array in (("plain", where), ("backward", backward), ("fortran", fortran)):
        for actual, other in zip(run(*arrays, array), expected, strict=True):
            assert_same_bits(actual, other, name)
    expected = ng.batch_norm_training(*arrays, where=repeated)
    for actual, other in zip(run(*arrays, repeated), expected, strict=True):
        assert_same_bits(actual, other, "repeated")


def test_a_mask_of_other_bytes_than_1() -> None:
    case = masked.make_masked_case("BatchNormTraining", Sample((5, 3, 7)))
    where = (case.where * np.uint8(200)).view(bool)
    arguments = [*list(case.arguments.values())[:-1], where]
    for function in (case.function, ng.decompose(case.function)):
        results = zip(ng.compile(function)(*arguments), case.run(function), strict=True)
        for actual, expected in results:
            assert_same_bits(actual, expected, str(function))


def test_a_mask_is_a_constant() -> None:
    case = masked.make_masked_case("BatchNormTrainingRelu", Sample((5, 3, 7)))
    *parameters, _ = case.function.parameters
    node = ng.op.BatchNormTrainingRelu(
        *parameters, statistics_type="f32", where=ng.Constant(case.where)
    )
    run = ng.compile(ng.Function(node.outputs, parameters))
    results = zip(run(*list(case.arguments.values())[:-1]), case.run(), strict=True)
    for actual, expected in results:
        assert_same_bits(actual, expected, "constant")


# ---- in stages -----------------------------------------------------------------------------------


@pytest.mark.parametrize("data_type", ["f32", "bf16", "f64"])
def test_the_stages_one_after_the_other_are_the_whole_op(data_type: str) -> None:
    case = masked.make_masked_case("BatchNormTraining", Sample((9, 3, 37), data_type, data_type))
    x, gamma, beta, where = case.function.parameters
    delta = ng.Parameter(data_type, [9, 3, 37], name="delta")
    mean, variance = ng.op.BatchNormStatistics(x, where=where).outputs
    applied = ng.op.BatchNormTrainingApply(x, gamma, beta, mean, variance)
    sums = ng.op.BatchNormBackpropSums(x, mean, delta, where=where).outputs
    backward = ng.op.BatchNormTrainingBackpropApply(
        x, gamma, mean, variance, delta, *sums, where=where
    )
    function = ng.Function([applied, *backward.outputs], [*case.function.parameters, delta])
    arrays = list(case.arguments.values())
    delta_array = Sample((9, 3, 37), data_type, data_type).backprop().normalized_delta
    found = ng.compile(function)(*arrays, delta_array)
    whole: Any = ng.batch_norm_training(*arrays[:3], where=case.where, statistics_type="f64")
    assert_same_bits(found[0], whole.normalized, "normalized")
    expected: Any = ng.batch_norm_training_backprop(
        *arrays[:3], whole.mean, whole.variance, delta_array, where=case.where
    )
    for name, actual, other in zip(expected._fields, found[1:], expected, strict=True):
        assert_same_bits(actual, other, name)


def test_parts_of_a_masked_batch_by_their_count() -> None:
    whole = masked.make_masked_case("BatchNormTrainingBackprop", Sample((8, 3, 5), "f64", "f64"))
    x, gamma, _, mean, variance, delta, where = whole.arguments.values()
    total = int(np.broadcast_to(where, (8, 1, 5)).sum())
    parts = [slice(0, 3), slice(3, 8)]

    def run(op: str, *arrays: Array, **attributes: Any) -> list[Array]:
        parameters = [ng.Parameter(array.dtype, array.shape) for array in arrays]
        node = getattr(ng.op, op)(*parameters[:-1], where=parameters[-1], **attributes)
        return list(ng.compile(ng.Function(node.outputs, parameters))(*arrays))

    shares = [
        run("BatchNormBackpropSums", x[part], mean, delta[part], where[part]) for part in parts
    ]
    sums = [sum(values) for values in zip(*shares, strict=True)]
    found = [
        run(
            "BatchNormTrainingBackpropApply",
            *(x[part], gamma, mean, variance, delta[part], *sums, where[part]),
            epsilon=whole.sample.epsilon,
            count=total,
        )
        for part in parts
    ]
    expected = whole.run()
    joined = np.concatenate([results[0] for results in found])
    np.testing.assert_allclose(joined, expected[0], rtol=1e-12, atol=1e-13)
    for results in found:
        np.testing.assert_allclose(results[1], expected[1], rtol=1e-12)


# ---- what is refused -----------------------------------------------------------------------------


@EVERY_BACKEND
@pytest.mark.parametrize("op", [*masked.FORWARD, "BatchNormStatistics"])
def test_a_batch_of_which_nothing_counts_is_refused(op: str, backend: str) -> None:
    case = masked.make_masked_case(op, Sample((5, 3, 7)))
    run = ng.compile(case.function, backend=backend)
    outputs = [np.full_like(array, 7) for array in case.run()]
    arguments = [*list(case.arguments.values())[:-1], np.zeros_like(case.where)]
    message = f"^{op} '.*': where: expected at least one position that counts, got none"
    with pytest.raises(ValueError, match=message):
        run(*arguments, out=tuple(outputs))
    # Nothing is written.
    assert all((array == 7).all() for array in outputs)


def test_nothing_is_written_before_a_mask_further_on_is_refused() -> None:
    x = ng.Parameter("f32", [5, 3, 7], name="x")
    where = ng.Parameter("boolean", [5, 1, 7], name="where")
    vectors = [ng.Parameter("f32", [3], name=name) for name in ("gamma", "beta")]
    norm = ng.op.BatchNormTraining(x, *vectors, where=where)
    function = ng.Function([ng.op.Negate(x), *norm.outputs], [x, *vectors, where])
    arguments = list(Sample((5, 3, 7)).training())
    outputs = [np.full((5, 3, 7), 7, "f4"), *([None] * 3)]
    run = ng.compile(function)
    with pytest.raises(ValueError, match="where: expected at least one position that counts, got"):
        run(*arguments, np.zeros((5, 1, 7), bool), out=tuple(outputs))
    assert (outputs[0] == 7).all()  # type: ignore[operator]


def test_a_backward_pass_of_which_nothing_counts_has_the_gradients_that_arrive() -> None:
    case = masked.make_masked_case("BatchNormTrainingBackprop", Sample((5, 3, 7), "f64", "f64"))
    nothing = [*list(case.arguments.values())[:-1], np.zeros_like(case.where)]
    _, gamma, _, _, variance, delta = nothing[:6]
    scale = (gamma / np.sqrt(variance + case.sample.epsilon))[:, None]
    for function in (case.function, ng.decompose(case.function)):
        input_delta, _, beta_delta = ng.compile(function)(*nothing)
        np.testing.assert_allclose(input_delta, scale * delta, rtol=1e-13)
        np.testing.assert_allclose(beta_delta, delta.sum(axis=(0, 2)), rtol=1e-12, atol=1e-13)


def test_an_empty_batch_is_refused() -> None:
    case = masked.make_masked_case("BatchNormTraining", Sample((5, 3, 7)), is_dynamic=True)
    arguments = list(case.arguments.values())
    with pytest.raises(ValueError, match="input: expected at least one element per channel"):
        ng.compile(case.function)(arguments[0][:0], *arguments[1:3], arguments[3][:0])


def test_arrays_of_another_type_or_shape_are_refused() -> None:
    case = masked.make_masked_case("BatchNormTraining", Sample((5, 3, 7)), is_dynamic=True)
    run = ng.compile(case.function)
    *arrays, where = case.arguments.values()
    with pytest.raises(ValueError, match=r"where: expected boolean\?, got f32\{5,1,7\}"):
        run(*arrays, where.astype("f4"))
    with pytest.raises(
        ng.NodeValidationFailure, match=r"\[C17\] the shape of where: .*got \{5,7\}"
    ):
        run(*arrays, where[:, 0])


# ---- traces --------------------------------------------------------------------------------------


@pytest.mark.parametrize("decompose", [False, True])
def test_traces_of_masked_functions(decompose: bool) -> None:
    case = masked.make_masked_case("BatchNormTraining", Sample((5, 3, 7), "f64", "f64"))
    function = ng.decompose(case.function) if decompose else case.function
    delta = np.random.default_rng(5).normal(size=(5, 3, 7))
    trace = ng.trace(function, list(case.arguments.values()), [delta, None, None])
    np.testing.assert_array_equal(trace["where"], case.where)
    for result, array in zip(function.results, case.run(function), strict=True):
        assert_same_bits(trace[result], array, "value")
    x, gamma, beta, where = case.arguments.values()
    _, mean, variance = ng.batch_norm_training(x, gamma, beta, where=where)
    expected: Any = ng.batch_norm_training_backprop(
        x, gamma, beta, mean, variance, delta, where=where
    )
    gradient: Array = trace.gradient("x" if "x" in trace else "input")
    np.testing.assert_allclose(gradient, expected.input_delta, rtol=1e-10, atol=1e-12)
    with pytest.raises(ValueError, match="'where' has none: expected a real element type"):
        trace.gradient("where")
    assert "where" in str(trace)
