"""Arguments for any op of the family, by the names of its inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .real_types import Array
from .relu import packed
from .samples import Sample


def sums_of(sample: Sample) -> tuple[Array, Array]:
    """The sums of a backward pass, in f64."""
    input, _, _, mean, _, delta = (array.astype(np.float64) for array in sample.backprop())
    axes = tuple(axis for axis in range(input.ndim) if axis != sample.channel_axis % input.ndim)
    centered = input - np.expand_dims(mean, axes)
    return delta.sum(axis=axes), (delta * centered).sum(axis=axes)


def arguments_of(sample: Sample, names: Sequence[str]) -> dict[str, Array]:
    """Valid arguments of an op whose inputs have these names."""
    values = sample.backprop()._asdict()
    values["residual"] = values["normalized_delta"]
    if "mean" not in names and "gamma" in names:
        values |= sample.training()._asdict()
    values["activated_delta"] = values["normalized_delta"]
    bits = np.random.default_rng(sample.seed).random(sample.shape) < 0.5
    values["mask"] = packed(bits, sample.channel_axis)
    values["beta_delta"], values["gmul_delta"] = sums_of(sample)
    return {name: values[name] for name in names}
