"""Arguments for any op of the family, by the names of its inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .real_types import Array
from .relu import packed
from .samples import Sample


def arguments_of(sample: Sample, names: Sequence[str]) -> dict[str, Array]:
    """Valid arguments of an op whose inputs have these names."""
    values = sample.backprop()._asdict()
    values["residual"] = values["normalized_delta"]
    if "mean" not in names:
        values |= sample.training()._asdict()
    values["activated_delta"] = values["normalized_delta"]
    bits = np.random.default_rng(sample.seed).random(sample.shape) < 0.5
    values["mask"] = packed(bits, sample.channel_axis)
    return {name: values[name] for name in names}
