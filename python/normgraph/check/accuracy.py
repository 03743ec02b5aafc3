"""Checks of the kernels' numbers: against the float64 definition, and against finite differences.

The bounds, with u the unit roundoff of the arithmetic (2**-24; 2**-53 for f64 data):
- channel outputs: 1 ulp of their type + the error of a sum, times the sum of its |terms|;
- element-wise outputs: backward 9 u, forward 5 u of the largest of the terms that are added, and
  what the error of a sum does to them; backward with frozen statistics, which adds nothing, 3 u;
  16-bit outputs half an ulp more, for their storage;
- The ops with a ReLU, and their gradients: none, they are made of the other ops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

import normgraph as ng
from normgraph import definition
from normgraph.check.outcome import Check, MismatchError, UnavailableError
from normgraph.definition import Float64Array

EPSILON = 1e-5
VECTORS = ("gamma", "beta", "mean", "variance")

#: Samples longer than the 2048 elements of a channel that one block of the canonical order sums at
#: most, and odd everywhere.
SHAPES = {"channels first": ((2, 17, 71, 63), 1), "channels last": ((2, 71, 63, 17), -1)}

#: Error of a sum in double, relative to the sum of its |terms|: at most 64 adds in sequence, then
#: trees of fewer than 64 levels, and a few roundings in each term: 140 roundoffs.
DOUBLE_SUM_ERROR = 140 * 2.0**-53
#: Promised bound for sums over f32 data.
PROMISED_SUM_ERROR = 1e-12
#: The same over f16 and bf16 data, which are added in chains of 16 in float.
CHAIN_ERROR = 18 * 2.0**-24


@dataclass(frozen=True)
class Format:
    """A floating-point type: bits of the significand, and log2 of its smallest positive number."""

    name: str
    significand_bits: int
    least_exponent: int

    def dtype(self) -> np.dtype[Any]:
        """Return the numpy dtype; UnavailableError if that takes ml_dtypes and it is missing."""
        if self.name != "bf16":
            return np.dtype(self.name.replace("f", "float"))
        try:
            import ml_dtypes
        except ImportError as error:
            raise UnavailableError(
                "numpy has bf16 arrays only with the package ml_dtypes"
            ) from error
        bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return bfloat16

    def ulp(self, value: Float64Array) -> Float64Array:
        """Return the distance of neighbours in this format around each value."""
        exponent = np.frexp(value)[1] - self.significand_bits
        distance: Float64Array = np.ldexp(1.0, np.maximum(exponent, self.least_exponent))
        return distance


F16, BF16, F32, F64 = (
    Format("f16", 11, -24),
    Format("bf16", 8, -133),
    Format("f32", 24, -149),
    Format("f64", 53, -1074),
)
TYPE_PAIRS = ((F64, F64), (F32, F32), (F16, F16), (F16, F32), (BF16, BF16), (BF16, F32))


def checks() -> Iterator[Check]:
    """Yield one check per op and pair of types, each in both layouts; then finite differences."""
    for data, vector in TYPE_PAIRS:
        types = data.name if data is vector else f"{data.name} with {vector.name} vectors"
        for name, measure in (
            ("forward", forward),
            ("inference", inference),
            ("backward", backward),
            ("frozen backward", frozen_backward),
        ):
            yield Check(f"{name}, {types}", partial(in_both_layouts, measure, data, vector))
        yield Check(f"with ReLU, {types}", partial(relu_in_both_layouts, data, vector))
    yield Check("backward against finite differences, f64", finite_differences)


@dataclass(frozen=True)
class Case:
    """Random arrays of one pair of types in one layout."""

    data: Format
    vector: Format
    channel_axis: int
    input: npt.NDArray[Any]
    normalized_delta: npt.NDArray[Any]
    gamma: npt.NDArray[Any]
    beta: npt.NDArray[Any]
    mean: npt.NDArray[Any]
    variance: npt.NDArray[Any]

    def call(self, function: Callable[..., Any], *names: str) -> Any:
        """Call a kernel function with these arrays."""
        arrays = [getattr(self, name) for name in names]
        return function(*arrays, epsilon=EPSILON, channel_axis=self.channel_axis)

    def wide(self, *names: str) -> list[Float64Array]:
        """Return channel vectors in float64."""
        return [getattr(self, name).astype(np.float64) for name in names]

    def element_bound(self, units: int, largest_term: Float64Array) -> Float64Array:
        """Return `units` roundoffs of the largest term, of float arithmetic or, for f64, double.

        The definition is made in double as well, so that beside f64 its own error counts as much.
        """
        return units * (2 * 2.0**-53 if self.data is F64 else 2.0**-24) * largest_term

    @property
    def sum_error(self) -> float:
        """The allowed error of a sum, relative to the sum of its |terms|."""
        if self.data is F64:
            return DOUBLE_SUM_ERROR
        return PROMISED_SUM_ERROR if self.data is F32 else CHAIN_ERROR

    def channel_bound(self, expected: Float64Array, absolute_terms: Float64Array) -> Float64Array:
        """Return the bound of a channel output, a sum whose |terms| have the given sum."""
        return self.vector.ulp(expected) + self.sum_error * absolute_terms

    def storage_error(self, expected: Float64Array) -> Float64Array | float:
        """Return the rounding of a float result to 16 bits; a wider one is stored as it is."""
        return self.data.ulp(expected) / 2 if self.data in (F16, BF16) else 0.0


def make_case(data: Format, vector: Format, shape: tuple[int, ...], channel_axis: int) -> Case:
    """Draw data three deviations from zero; statistics are rounded as the forward kernel does."""
    generator = np.random.default_rng(20)
    channels = shape[channel_axis]

    def random(scale: float, offset: float, size: tuple[int, ...], to: Format) -> npt.NDArray[Any]:
        return (generator.normal(size=size) * scale + offset).astype(to.dtype())

    x = random(0.5, 1.5, shape, data)
    x64 = definition.rows(x, channel_axis)
    return Case(
        data,
        vector,
        channel_axis,
        input=x,
        normalized_delta=random(1.0, 0.25, shape, data),
        gamma=random(0.5, 1.0, (channels,), vector),
        beta=random(0.5, 0.0, (channels,), vector),
        mean=x64.mean(axis=0).astype(vector.dtype()),
        variance=x64.var(axis=0).astype(vector.dtype()),
    )


class Measured:
    """Outputs held against their expected values; keeps the worst of them for the report."""

    def __init__(self) -> None:
        self.worst_share = -1.0
        self.text = ""

    def add(
        self, name: str, actual: Float64Array, expected: Float64Array, bound: Float64Array
    ) -> None:
        """Compare one output; the worst element uses the largest share of its own bound."""
        error = np.abs(actual - expected)
        share = np.where(error == 0, 0.0, error / bound)
        worst = np.unravel_index(np.argmax(np.where(np.isnan(share), np.inf, share)), share.shape)
        if not share[worst] <= self.worst_share:
            self.worst_share = float(share[worst])
            self.text = f"{name}: largest error {error[worst]:.1e}, bound {bound[worst]:.1e}"


def in_both_layouts(measure: Callable[[Case, Measured], None], data: Format, vector: Format) -> str:
    """`measure(case, measured)` in each layout; MismatchError if an output exceeds its bound."""
    measured = Measured()
    for layout, (shape, channel_axis) in SHAPES.items():
        measure(make_case(data, vector, shape, channel_axis), measured)
        if not measured.worst_share <= 1.0:
            raise MismatchError(f"{layout}, {measured.text}")
    return measured.text


def forward(case: Case, measured: Measured) -> None:
    """Measure BatchNormTraining."""
    result = case.call(ng.batch_norm_training, "input", "gamma", "beta")
    x = definition.rows(case.input, case.channel_axis)
    gamma, beta = case.wide("gamma", "beta")
    normalized, mean, variance = definition.training(x, gamma, beta, EPSILON)
    # The terms that are added: the shifts of blocks, which are elements of theirs, and the
    # differences from them; a variance has the error of three sums of squares.
    farthest = np.abs(x - mean).max(axis=0)
    mean_terms = np.abs(x).mean(axis=0) + np.abs(x - mean).mean(axis=0) + farthest
    variance_terms = 3 * (variance + farthest**2)
    inverse = definition.inverse_deviation(variance, EPSILON)
    # d normalized = gamma*inverse * d mean, and |normalized - beta|/2 * d variance / variance.
    from_sums = case.sum_error * (
        np.abs(gamma) * inverse * mean_terms + np.abs(normalized - beta) * variance_terms / variance
    )
    measured.add(
        "normalized",
        definition.rows(result.normalized, case.channel_axis),
        normalized,
        forward_bound(case, normalized, beta) + from_sums,
    )
    measured.add("mean", result.mean.astype(np.float64), mean, case.channel_bound(mean, mean_terms))
    measured.add(
        "variance",
        result.variance.astype(np.float64),
        variance,
        case.channel_bound(variance, variance_terms),
    )


def inference(case: Case, measured: Measured) -> None:
    """Measure BatchNormInference."""
    result = case.call(ng.batch_norm_inference, "input", *VECTORS)
    x = definition.rows(case.input, case.channel_axis)
    gamma, beta, mean, variance = case.wide(*VECTORS)
    normalized = definition.inference(x, gamma, beta, mean, variance, EPSILON)
    measured.add(
        "normalized",
        definition.rows(result, case.channel_axis),
        normalized,
        forward_bound(case, normalized, beta),
    )


def forward_bound(case: Case, normalized: Float64Array, beta: Float64Array) -> Float64Array:
    """Return the bound of normalized, given exact statistics: 5 u of the larger of two terms."""
    largest = np.maximum(np.abs(normalized - beta), np.abs(beta))
    return case.element_bound(5, largest) + case.storage_error(normalized)


@dataclass(frozen=True)
class BackwardTerms:
    """Terms that both backward passes are measured with, in float64, of shape (n, C) and (C)."""

    x: Float64Array
    gamma: Float64Array
    mean: Float64Array
    variance: Float64Array
    delta: Float64Array

    @property
    def inverse(self) -> Float64Array:
        """1/sqrt(variance + epsilon)."""
        return definition.inverse_deviation(self.variance, EPSILON)

    @property
    def scale(self) -> Float64Array:
        """The magnitude of what each delta is multiplied by."""
        return np.abs(self.gamma) * self.inverse

    @property
    def standardized(self) -> Float64Array:
        """The input in deviations from the mean."""
        return (self.x - self.mean) * self.inverse

    @property
    def beta_sum(self) -> Float64Array:
        """The sum of the |terms| of beta_delta."""
        return np.asarray(np.abs(self.delta).sum(axis=0))

    @property
    def gamma_sum(self) -> Float64Array:
        """The sum of the |terms| of gamma_delta."""
        return np.asarray(np.abs(self.delta * self.standardized).sum(axis=0))


def backward_terms(case: Case) -> BackwardTerms:
    """Return the case's arrays in float64."""
    x, delta = (definition.rows(a, case.channel_axis) for a in (case.input, case.normalized_delta))
    gamma, mean, variance = case.wide("gamma", "mean", "variance")
    return BackwardTerms(x, gamma, mean, variance, delta)


def backward(case: Case, measured: Measured) -> None:
    """Measure BatchNormTrainingBackprop."""
    result = case.call(ng.batch_norm_training_backprop, "input", *VECTORS, "normalized_delta")
    one = backward_terms(case)
    expected = definition.training_backprop(
        one.x, one.gamma, one.mean, one.variance, one.delta, EPSILON
    )
    input_delta, gamma_delta, beta_delta = expected
    n = len(one.x)
    largest = one.scale * np.maximum.reduce(
        [
            np.abs(one.delta),
            np.broadcast_to(np.abs(beta_delta) / n, one.delta.shape),
            np.abs(one.standardized * gamma_delta) / n,
        ]
    )
    sums = one.beta_sum + np.abs(one.standardized) * one.gamma_sum
    from_sums = case.sum_error * one.scale * sums / n
    element_bound = case.element_bound(9, largest) + from_sums + case.storage_error(input_delta)
    add_gradients(case, measured, one, result, expected, element_bound)


def frozen_backward(case: Case, measured: Measured) -> None:
    """Measure BatchNormInferenceBackprop."""
    result = case.call(ng.batch_norm_inference_backprop, "input", *VECTORS, "normalized_delta")
    one = backward_terms(case)
    expected = definition.inference_backprop(
        one.x, one.gamma, one.mean, one.variance, one.delta, EPSILON
    )
    element_bound = case.element_bound(3, np.abs(expected[0])) + case.storage_error(expected[0])
    add_gradients(case, measured, one, result, expected, element_bound)


def add_gradients(
    case: Case,
    measured: Measured,
    one: BackwardTerms,
    result: Any,
    expected: tuple[Float64Array, Float64Array, Float64Array],
    element_bound: Float64Array,
) -> None:
    """Compare the three gradients; the bound of input_delta is given."""
    input_delta, gamma_delta, beta_delta = expected
    measured.add(
        "input_delta",
        definition.rows(result.input_delta, case.channel_axis),
        input_delta,
        element_bound,
    )
    for name, channel_values, terms in (
        ("gamma_delta", gamma_delta, one.gamma_sum),
        ("beta_delta", beta_delta, one.beta_sum),
    ):
        actual = getattr(result, name).astype(np.float64)
        measured.add(name, actual, channel_values, case.channel_bound(channel_values, terms))


def relu_in_both_layouts(data: Format, vector: Format) -> str:
    """Compare the ops with a ReLU with those without and numpy's ReLU, to the bit."""
    for layout, (shape, channel_axis) in SHAPES.items():
        case = make_case(data, vector, shape, channel_axis)
        for name, actual, expected in relu_outputs(case):
            if actual.tobytes() != expected.tobytes():
                raise MismatchError(f"{layout}, {name}: not that of the ops without ReLU")
    return "the bits of the ops without ReLU"


def relu_outputs(
    case: Case,
) -> Iterator[tuple[str, npt.NDArray[Any], npt.NDArray[Any]]]:
    """Yield (name, actual, expected) for each output of BatchNormTrainingRelu and its gradients."""
    options: dict[str, Any] = {"epsilon": EPSILON, "channel_axis": case.channel_axis}
    inputs = (case.input, case.gamma, case.beta)
    forward_result = ng.batch_norm_training_relu(*inputs, **options)
    plain = ng.batch_norm_training(*inputs, **options)
    zero = case.input.dtype.type(0)
    activated = np.where(plain.normalized > zero, plain.normalized, zero)
    bits = definition.packed_bits(activated != zero, case.channel_axis)
    expected = (activated, plain.mean, plain.variance, bits)
    yield from zip(forward_result._fields, forward_result, expected, strict=True)

    vectors = (case.gamma, case.beta, plain.mean, plain.variance)
    backward_result = ng.batch_norm_training_relu_backprop(
        case.input, *vectors, bits, case.normalized_delta, **options
    )
    passed = np.where(activated != zero, case.normalized_delta, zero)
    plain_gradients = ng.batch_norm_training_backprop(case.input, *vectors, passed, **options)
    yield from zip(backward_result._fields, backward_result, plain_gradients, strict=True)


def finite_differences() -> str:
    """Compare the backward kernel with central differences of the forward kernel, random delta.

    The loss is sum(delta * normalized). Step: relative_step standard deviations. With n elements in
    a channel, D the largest |delta| and s = |gamma|/sqrt(variance + epsilon):
    - truncation: the third derivative of standardized data in an element, counted in standard
      deviations, is at most 24/n**1.5 of each |standardized| (which sum to at most n) and 12/n of
      each of the elements' own shifts (which sum to at most 2): the difference is off by at most
      relative_step**2/6 * s*D * 48/sqrt(n);
    - rounding: the forward kernel's bound on each element, weighted with |delta|, over the step;
      and the rounding of the loss itself.
    """
    n, channels, relative_step = 24, 5, 1e-4
    generator = np.random.default_rng(21)
    x = generator.normal(size=(n, channels)) + 1.0
    delta = generator.normal(size=(n, channels))
    gamma, beta = generator.normal(size=channels) + 1.5, generator.normal(size=channels)

    def normalize(x: Float64Array, gamma: Float64Array, beta: Float64Array) -> Any:
        return ng.batch_norm_training(x, gamma, beta, epsilon=EPSILON).normalized

    forward_result = ng.batch_norm_training(x, gamma, beta, epsilon=EPSILON)
    result = ng.batch_norm_training_backprop(
        x, gamma, beta, forward_result.mean, forward_result.variance, delta, epsilon=EPSILON
    )
    deviation = x.std(axis=0)
    step = relative_step * float(deviation.min())
    scale = float(np.max(np.abs(gamma) / deviation))
    truncation = relative_step**2 / 6 * scale * float(np.abs(delta).max()) * 48 / np.sqrt(n)
    # Largest |x| <= 4; the sum error reaches an element through mean and variance: see `forward`.
    element_error = DOUBLE_SUM_ERROR * (
        scale * 2 * float(np.abs(x).max()) + float(np.abs(beta).max())
    )
    rounding = float(np.abs(delta).sum(axis=0).max()) * element_error / step
    measured = Measured()
    gradients = definition.gradients_by_differences(normalize, x, gamma, beta, delta, step)
    for name, actual, expected in zip(result._fields, result, gradients, strict=True):
        measured.add(name, actual, expected, np.full(expected.shape, truncation + rounding))
    if not measured.worst_share <= 1.0:
        raise MismatchError(measured.text)
    return measured.text
