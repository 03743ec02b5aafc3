"""The golden cases: easy and hard data, drawn the same on every machine.

A case's arrays are doubles that its types hold exactly, so that bf16 needs no package.
"""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from normgraph import definition
from normgraph.check.accuracy import BF16, F16, F32, F64, Format
from normgraph.definition import Float64Array

from .exact import quantized

#: The kinds of functions, in the order of tables.
ROLES = ("training", "inference", "backward", "inference_backward")
FORMATS = {one.name: one for one in (F64, F32, BF16, F16)}
EPSILON = 1e-5


@dataclass(frozen=True)
class Layout:
    """Where the channels are; lengths of the axes, different ones where that is possible."""

    name: str
    shape: tuple[int, ...]
    channel_axis: int

    def with_lengths(self, others: int | None, channels: int | None = None) -> Layout:
        """Return the layout with other lengths: of the axes beside the channels', and of it."""
        shape = [length if others is None else others for length in self.shape]
        shape[self.channel_axis] = self.shape[self.channel_axis] if channels is None else channels
        return Layout(self.name, tuple(shape), self.channel_axis)


NC = Layout("nc", (31, 4), 1)
NCL = Layout("ncl", (5, 4, 7), 1)
NCHW = Layout("nchw", (3, 4, 2, 5), 1)
NHWC = Layout("nhwc", (3, 2, 5, 4), 3)
LAYOUTS = (NC, NCHW, NHWC)
#: The same for sums that are longer than 16 bits can count.
LONG = {
    "bf16": {"nc": (320, 2), "nchw": (2, 2, 8, 20), "nhwc": (2, 8, 20, 2)},
    "f16": {"nc": (3000, 1), "nchw": (2, 1, 30, 50), "nhwc": (2, 30, 50, 1)},
}


@dataclass(frozen=True)
class Difficulty:
    """How hard the numbers are. offset: the mean's size in deviations, by type.

    formats: the types that it is made for. roles: the functions that it is for.
    """

    name: str
    words: str
    offset: Mapping[str, float] | float = 1.5
    deviation: Mapping[str, float] | float = 1.0
    epsilon: float = EPSILON
    delta_offset: float = 0.25
    delta_deviation: Mapping[str, float] | float = 1.0
    formats: tuple[str, ...] = tuple(FORMATS)
    roles: tuple[str, ...] = ROLES
    activations: tuple[str, ...] = ("none",)
    layouts: tuple[Layout, ...] = LAYOUTS

    def of(self, value: Mapping[str, float] | float, data: Format) -> float:
        """Return a number that may differ from type to type."""
        return value[data.name] if isinstance(value, Mapping) else value


BACKWARD = ("backward", "inference_backward")
BATCH = ("training", "backward")
WITH_RELU = ("training", "inference", "backward")

#: A gamma so many times as large takes elements beyond the bound of a ReLU6.
BEYOND_6 = 4.0

#: The channel in which a ReLU is given zeros.
ZERO_CHANNEL = 1

#: Numbers whose squares are beyond f32 together (f32), or beyond f16 (f16).
HUGE = {"f32": 1e19, "bf16": 1e17, "f16": 1e4}
#: Numbers whose variance is far below any epsilon, which is 0 here.
TINY = {"f64": 1e-150, "f32": 1e-15, "bf16": 1e-15, "f16": 1e-3}
SHIFT = {"f64": 1e8, "f32": 1e4, "bf16": 64.0, "f16": 128.0}

DIFFICULTIES = (
    Difficulty("easy", "means of one or two deviations", layouts=(NC, NCL, NCHW, NHWC)),
    Difficulty("epsilon", "an epsilon as large as the variance", epsilon=1.0),
    Difficulty("shift", "means far from zero, in deviations", offset=SHIFT),
    Difficulty("outlier", "the first element of a channel is far from all others", roles=BATCH),
    Difficulty("constant", "channels of one value each", offset=3.3, deviation=0.0),
    Difficulty(
        "tiny_variance",
        "a variance far below epsilon",
        offset=0.0,
        deviation={"f64": 1e-9, "f32": 1e-6, "bf16": 1e-6, "f16": 1e-3},
        roles=BATCH,
    ),
    Difficulty("no_epsilon", "tiny numbers, and an epsilon of 0", 1.5, TINY, 0.0),
    Difficulty(
        "huge", "squares beyond a narrow type", 1.5, HUGE, formats=("f32", "bf16", "f16"),
        roles=BATCH,
    ),
    Difficulty("zero_gamma", "a gamma of 0 in a channel"),
    Difficulty("nan", "a NaN in one channel"),
    Difficulty("infinity", "an infinity in one channel", roles=("inference", *BATCH)),
    Difficulty(
        "delta_one", "gradients near 1, of which little is left", delta_offset=1.0,
        delta_deviation={"f64": 1e-9, "f32": 1e-4, "bf16": 0.03, "f16": 0.01}, roles=("backward",),
    ),
    Difficulty("count_1", "one element in each channel"),
    Difficulty("one_channel", "a single channel", roles=BATCH),
    Difficulty("no_elements", "no element in any channel", roles=("inference", *BACKWARD)),
    Difficulty(
        "long", "more summands than 16 bits can count", 4.0, 0.25, delta_offset=1.0,
        delta_deviation=0.25, formats=("bf16", "f16"), roles=BATCH,
    ),
    Difficulty("where", "positions that do not count, with numbers there", roles=BATCH),
    Difficulty("where_nan", "positions that do not count, with NaN there", roles=BATCH),
    Difficulty("relu", "before a ReLU", activations=("relu",), roles=WITH_RELU),
    Difficulty("relu_zero", "exact zeros before a ReLU, in one channel", activations=("relu",),
               roles=("backward",)),
    Difficulty("relu6", "before a ReLU with the upper bound 6", activations=("relu6",),
               roles=WITH_RELU),
    Difficulty("add_relu", "before the sum with a residual and a ReLU",
               activations=("add_relu",), roles=WITH_RELU),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Case:
    """One set of inputs for one kind of function.

    inputs: doubles that their types hold exactly; x, gamma, beta; mean and variance, but for the
    role training; delta, for backward roles; residual, before a ReLU that it is added to. where:
    which positions count, in the shape of x with 1 for the channel axis, or None for all.
    """

    role: str
    data: Format
    vector: Format
    layout: Layout
    difficulty: Difficulty
    activation: str
    inputs: Mapping[str, Float64Array]
    where: npt.NDArray[np.bool_] | None = None

    @property
    def name(self) -> str:
        """`training-f32-nchw-shift`."""
        return "-".join((self.role, self.data.name, self.layout.name, self.difficulty.name))

    @property
    def epsilon(self) -> float:
        return self.difficulty.epsilon

    @property
    def channel_axis(self) -> int:
        return self.layout.channel_axis

    @property
    def channels(self) -> int:
        return self.layout.shape[self.channel_axis]

    @property
    def is_backward(self) -> bool:
        return self.role in BACKWARD

    @property
    def upper_bound(self) -> float | None:
        return 6.0 if self.activation == "relu6" else None

    def format_of(self, name: str) -> Format:
        """Return the type of an input or an output."""
        elementwise = ("x", "delta", "residual", "normalized", "input_delta", "residual_delta")
        return self.data if name in elementwise else self.vector

    def rows(self, name: str) -> Float64Array:
        """Return an input of x's shape as (n, C)."""
        moved = np.moveaxis(self.inputs[name], self.channel_axis, -1)
        return moved.reshape(math.prod(moved.shape[:-1]), self.channels)

    @cached_property
    def counted(self) -> npt.NDArray[np.bool_]:
        """(n,): which positions count."""
        spatial = [s for axis, s in enumerate(self.layout.shape) if axis != self.channel_axis]
        if self.where is None:
            return np.ones(math.prod(spatial), bool)
        return np.asarray(self.where.reshape(spatial).ravel(), bool)

    def array(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """(n, C) -> the shape of x."""
        moved = [s for axis, s in enumerate(self.layout.shape) if axis != self.channel_axis]
        return np.moveaxis(rows.reshape(*moved, self.channels), -1, self.channel_axis)


@functools.lru_cache(maxsize=16)
def cases(role: str, epsilon: float = EPSILON) -> tuple[Case, ...]:
    """Return the cases of a role, the widest type and the easiest data first.

    epsilon: that of all cases that are about something else.
    """
    return tuple(drawn(role, epsilon))


def drawn(role: str, epsilon: float) -> Iterator[Case]:
    """Yield the cases of a role."""
    for data in FORMATS.values():
        for difficulty in DIFFICULTIES:
            if role not in difficulty.roles or data.name not in difficulty.formats:
                continue
            is_usual = difficulty.epsilon == EPSILON
            chosen = replace(difficulty, epsilon=epsilon) if is_usual else difficulty
            for activation in difficulty.activations:
                for layout in difficulty.layouts:
                    yield draw(role, data, layout, chosen, activation)


def draw(role: str, data: Format, layout: Layout, difficulty: Difficulty, activation: str) -> Case:
    """Return a case; its numbers come from its name, so that they are the same everywhere."""
    layout = shaped(layout, difficulty.name, data)
    vector = F32 if data in (F16, BF16) else data
    source = random.Random(f"{data.name} {layout.name} {difficulty.name}")
    channels = layout.shape[layout.channel_axis]
    where = positions(difficulty.name, layout)
    case = Case(role, data, vector, layout, difficulty, activation, {}, where)

    offset = difficulty.of(difficulty.offset, data)
    deviation = difficulty.of(difficulty.deviation, data)
    n = len(case.counted)
    means = signed(source, channels) * offset * (deviation or 1.0)
    x = quantized(means + deviation * noise(source, n, channels), data)
    gamma, beta = signed(source, channels) * 1.5, noise(source, 1, channels)[0]
    spread = difficulty.of(difficulty.delta_deviation, data)
    delta = difficulty.delta_offset + spread * noise(source, n, channels)
    residual = noise(source, n, channels)
    make_special(difficulty.name, data, x, gamma)
    if difficulty.name == "relu_zero":
        gamma[ZERO_CHANNEL] = beta[ZERO_CHANNEL] = 0.0
    mean, variance = statistics(x[case.counted], role)
    if difficulty.name == "where_nan":
        x[~case.counted] = np.nan
        delta[~case.counted] = 0.0
    rows = {"x": x, "gamma": gamma, "beta": beta}
    if role != "training":
        rows |= {"mean": mean, "variance": variance}
    if role in BACKWARD:
        rows["delta"] = delta
    if activation == "add_relu":
        rows["residual"] = residual
    inputs = {
        name: quantized(case.array(value) if value.ndim == 2 else value, case.format_of(name))
        for name, value in rows.items()
    }
    return replace(case, inputs=inputs)


def shaped(layout: Layout, difficulty: str, data: Format) -> Layout:
    """Return the layout with the lengths that a difficulty has."""
    if difficulty == "count_1":
        return layout.with_lengths(1)
    if difficulty == "no_elements":
        return layout.with_lengths(0)
    if difficulty == "one_channel":
        return layout.with_lengths(None, channels=1)
    if difficulty == "long":
        return Layout(layout.name, LONG[data.name][layout.name], layout.channel_axis)
    return layout


def make_special(difficulty: str, data: Format, x: Float64Array, gamma: Float64Array) -> None:
    """Put in what is special about a difficulty."""
    if difficulty == "outlier":
        x[0] = 3e4 if data is F16 else quantized(1e6, data)
    elif difficulty == "nan":
        x[2, 1] = np.nan
    elif difficulty == "infinity":
        x[2, 1] = np.inf
    elif difficulty == "zero_gamma":
        gamma[1] = 0.0
    elif difficulty == "relu6":
        gamma *= BEYOND_6


def positions(difficulty: str, layout: Layout) -> npt.NDArray[np.bool_] | None:
    """Return which positions count, None for all; two of three do where some do not."""
    if not difficulty.startswith("where"):
        return None
    shape = [1 if i == layout.channel_axis else s for i, s in enumerate(layout.shape)]
    return np.asarray(np.arange(math.prod(shape)) % 3 != 1).reshape(shape)


def statistics(counted: Float64Array, role: str) -> tuple[Float64Array, Float64Array]:
    """Return the mean and variance to give: the batch's, but for inference those of others.

    Of a channel that is not finite, inference is given finite ones.
    """
    is_inference = role in ("inference", "inference_backward")
    if is_inference:
        counted = np.where(np.isfinite(counted), counted, 0.0)
    if not len(counted):
        return np.zeros(counted.shape[1]), np.ones(counted.shape[1])
    with np.errstate(invalid="ignore"):
        mean = definition.channel_sums(counted) / len(counted)
        variance = definition.channel_sums((counted - mean) ** 2) / len(counted)
    return (mean + 0.125 * np.sqrt(variance), 1.5 * variance) if is_inference else (mean, variance)


def noise(source: random.Random, n: int, channels: int) -> Float64Array:
    """Return (n, C) numbers of deviation 1, nearly normal: each from four uniform ones."""
    flat = [sum(source.random() for _ in range(4)) - 2.0 for _ in range(n * channels)]
    return np.array(flat, np.float64).reshape(n, channels) * math.sqrt(3.0)


def signed(source: random.Random, channels: int) -> Float64Array:
    """Return numbers from 0.75 to 1.25, every other one negative."""
    size = [0.75 + 0.5 * source.random() for _ in range(channels)]
    return np.array(size, np.float64) * np.where(np.arange(channels) % 2, -1.0, 1.0)
