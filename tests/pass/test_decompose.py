"""An op and its decomposition are the same."""

from __future__ import annotations

import numpy as np
import pytest

import normgraph as ng

from ..kernel.real_types import TYPE_PAIRS
from ..kernel.samples import DIFFICULTIES, Sample
from ..runtime import running_error
from .family import OPS, STAGE_OPS, WITHOUT_EPSILON, Case, expected, make_case

PLAIN_OPS = (*OPS[:4], *STAGE_OPS)
SHAPES = (((5, 3), 1), ((4, 3, 2, 5), 1), ((3, 2, 3, 4), -1), ((3, 7, 6), 0))


def decomposed(case: Case, compute_type: str | None) -> ng.Function:
    function = ng.decompose(case.function, compute_type)
    assert all(not isinstance(node, ng.op.BatchNormNode) for node in function.nodes)
    return function


@pytest.mark.parametrize("is_dynamic", [False, True])
@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS[:-1])
@pytest.mark.parametrize("op", PLAIN_OPS)
def test_in_f64_it_is_as_accurate_as_the_op(
    op: str, data_type: str, channel_type: str, is_dynamic: bool
) -> None:
    for shape, axis in SHAPES:
        for difficulty in DIFFICULTIES:
            if data_type not in difficulty.data_types:
                continue
            sample = Sample(shape, data_type, channel_type, axis, difficulty)
            case = make_case(op, sample, is_dynamic)
            actual = case.run(decomposed(case, "f64"))
            for array, bounded in zip(actual, expected(case), strict=True):
                bounded.check(array, f"{op} {sample}")


@pytest.mark.parametrize("compute_type", [None, "f64"])
@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
@pytest.mark.parametrize("op", [*OPS, *STAGE_OPS])
def test_it_keeps_the_bound_of_its_stages(
    op: str, data_type: str, channel_type: str, compute_type: str | None
) -> None:
    for shape, axis in SHAPES:
        case = make_case(op, Sample(shape, data_type, channel_type, axis))
        function = decomposed(case, compute_type)
        values = running_error.evaluate(function, list(case.arguments.values()))
        for index, array in enumerate(case.run(function)):
            what = f"{op} {case.sample}, result {index}"
            if array.dtype == np.uint8:
                continue  # bits of what the first result is checked for
            running_error.check(array, values[index], what)
            # The op itself is off by less, but for sums of 16 bits beside stages that are in f64.
            if compute_type is None and op not in WITHOUT_EPSILON:
                running_error.check(case.fused()[index], values[index], what + " of the op")


@pytest.mark.parametrize("op", OPS[4:])
def test_masks_of_relus_are_made_and_used_alike(op: str) -> None:
    for shape, axis in SHAPES:
        case = make_case(op, Sample(shape, "f32", "f32", axis))
        for array, fused in zip(case.run(decomposed(case, "f64")), case.fused(), strict=True):
            if array.dtype == np.uint8:
                assert np.array_equal(array, fused)
            else:
                np.testing.assert_allclose(array, fused, rtol=1e-5, atol=1e-6)


def test_the_stages_are_named_after_their_symbols() -> None:
    stages = {
        "BatchNormTraining": "mean centered square variance epsilon invsqrt gmul normed",
        "BatchNormInference": "centered epsilon invsqrt gmul normed",
        "BatchNormTrainingBackprop": "centered epsilon invsqrt gmul beta_delta gmul_delta "
        "gamma_delta centered_delta mean_delta invsqrt_delta variance_delta square_delta "
        "input_delta",
        "BatchNormInferenceBackprop": "centered epsilon invsqrt gmul beta_delta gmul_delta "
        "gamma_delta centered_delta",
        "BatchNormTrainingRelu": "mean centered square variance epsilon invsqrt gmul normed "
        "activated mask",
        "BatchNormTrainingAddRelu": "mean centered square variance epsilon invsqrt gmul normed "
        "added activated mask",
        "BatchNormInferenceRelu": "centered epsilon invsqrt gmul normed activated",
        "BatchNormInferenceAddRelu": "centered epsilon invsqrt gmul normed added activated",
        "BatchNormTrainingAddReluBackprop": "residual_delta beta_delta gmul_delta gamma_delta "
        "centered_delta input_delta",
        "BatchNormTrainingReluBackprop": "centered epsilon invsqrt gmul normed_delta beta_delta "
        "gmul_delta gamma_delta centered_delta mean_delta invsqrt_delta variance_delta "
        "square_delta input_delta",
        "BatchNormStatistics": "mean centered square variance",
        "BatchNormTrainingApply": "centered epsilon invsqrt gmul normed",
        "BatchNormBackpropSums": "centered beta_delta gmul_delta",
        "BatchNormTrainingBackpropApply": "centered epsilon invsqrt gmul gamma_delta "
        "centered_delta mean_delta invsqrt_delta variance_delta square_delta input_delta",
    }
    for op, names in stages.items():
        function = decomposed(make_case(op, Sample((4, 3))), None)
        found = {node.friendly_name for node in function.nodes}
        assert set(names.split()) <= found, op


def test_parameters_and_what_is_primitive_stay_the_same() -> None:
    x, y = (ng.Parameter("f32", [None, 3], name=name) for name in "xy")
    vectors = [ng.Parameter("f32", [3], name=name) for name in ("gamma", "beta")]
    product = ng.op.Multiply(x, y, name="product")
    node = ng.op.BatchNormTraining(product, *vectors)
    activated = ng.op.Relu(node.output(0), name="activated")
    function = ng.Function([activated], [x, y, *vectors], name="layer")
    result = ng.decompose(function)
    assert result.parameters == function.parameters
    assert result.friendly_name == "layer"
    assert product in result.nodes
    assert result.results[0].node.friendly_name == "activated"
    assert result.results[0].partial_shape == activated.output(0).partial_shape
    unchanged = ng.Function([product], [x, y])
    assert ng.decompose(unchanged).nodes == unchanged.nodes


def test_an_unknown_element_type_is_refused_by_name() -> None:
    x = ng.Parameter("dynamic", [None, 3], name="x")
    vectors = [ng.Parameter("dynamic", [3], name=name) for name in ("gamma", "beta")]
    node = ng.op.BatchNormTraining(x, *vectors, name="layer")
    with pytest.raises(ValueError, match=r"'layer'.*element type of its data.*got dynamic"):
        ng.decompose(ng.Function(node.outputs, [x, *vectors]))


def test_a_compute_type_that_is_not_real_is_refused() -> None:
    function = make_case("BatchNormTraining", Sample((4, 3))).function
    with pytest.raises(ValueError, match="compute_type: expected f16, bf16, f32 or f64, got i32"):
        ng.decompose(function, "i32")
