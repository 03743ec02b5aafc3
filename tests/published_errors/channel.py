"""One channel of data, the forward pass in stages, and what finite differences say of each stage.

Every name is that of the stage in the op's definition: mean, centered, square, variance, invsqrt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Value = Any  # a float or an Array of shape (n,)
Stages = dict[str, Callable[[SimpleNamespace], Value]]

#: Central differences with step h are off by h²/6 times the third derivative, and by rounding, a
#: few times 2⁻⁵³·|function|/h. The sharpest function here is (variance + epsilon)^(-1/2) at 0.06,
#: whose third derivative is 15/4 · 0.06⁻² = 1042 times the first; functions are below 1e2 times
#: their gradient: 1e-10/6 · 1042 + 4 · 1.1e-16 · 1e2/1e-5 < 3e-8, relative.
STEP = 1e-5
TOLERANCE = 1e-7


@dataclass(frozen=True)
class Channel:
    """The arguments of the forward pass, and the gradient that arrives at its output.

    `variance_divisor` is n for the biased variance, n - 1 for the unbiased one.
    """

    input: Array
    gamma: float
    beta: float
    epsilon: float
    normalized_delta: Array
    variance_divisor: int

    @property
    def n(self) -> int:
        return len(self.input)


def sample_channel(unbiased: bool = False) -> Channel:
    """Seven elements of standard deviation 0.24, and epsilon 0.001 (the default of Keras).

    So leaving epsilon out shows. normalized_delta is random: for a constant one input_delta is 0
    and hides nearly every mistake.
    """
    n = 7
    generator = np.random.default_rng(2016)
    return Channel(
        input=2.0 + 0.3 * generator.normal(size=n),
        gamma=1.5,
        beta=-0.25,
        epsilon=1e-3,
        normalized_delta=generator.normal(size=n),
        variance_divisor=n - 1 if unbiased else n,
    )


#: Up to here all the pages agree.
STATISTICS: Stages = {
    "mean": lambda s: s.input.sum() / s.n,
    "centered": lambda s: s.input - s.mean,
    "square": lambda s: s.centered**2,
    "variance": lambda s: s.square.sum() / s.variance_divisor,
    "sqrtvar": lambda s: np.sqrt(s.variance + s.epsilon),
    "invsqrt": lambda s: 1 / s.sqrtvar,
}

#: nGraph multiplies gamma into the scale …
WITH_GMUL: Stages = STATISTICS | {
    "gmul": lambda s: s.gamma * s.invsqrt,
    "normed": lambda s: s.centered * s.gmul + s.beta,
}

#: … all others first normalize, then scale.
WITH_XHAT: Stages = STATISTICS | {
    "xhat": lambda s: s.centered * s.invsqrt,
    "gammax": lambda s: s.gamma * s.xhat,
    "normed": lambda s: s.gammax + s.beta,
}


def forward(stages: Stages, channel: Channel, **replaced: Value) -> SimpleNamespace:
    """The channel and all stages; a replaced one is not computed, and what follows uses it."""
    values = SimpleNamespace(**(vars(channel) | {"n": channel.n} | replaced))
    for name, stage in stages.items():
        if name not in replaced:
            setattr(values, name, stage(values))
    return values


def loss(stages: Stages, channel: Channel, **replaced: Value) -> float:
    """A loss whose gradient at `normed` is normalized_delta."""
    return float((channel.normalized_delta * forward(stages, channel, **replaced).normed).sum())


def finite_differences(function: Callable[[Value], Value], at: Value) -> Value:
    """The derivative of `function` by each element of `at`, by central differences."""
    if np.ndim(at) == 0:
        return (function(at + STEP) - function(at - STEP)) / (2 * STEP)
    steps = STEP * np.eye(len(at))
    return np.array([(function(at + step) - function(at - step)) / (2 * STEP) for step in steps])


def gradient(
    stages: Stages, channel: Channel, name: str, hold: tuple[str, ...] = (), **replaced: Value
) -> Value:
    """d loss / d `name` by finite differences, where the stages in `hold` keep their values.

    `name` is a stage or a field of the channel. `replaced` values stand in for their stages.
    """
    values = vars(forward(stages, channel, **replaced))
    held = {held_name: values[held_name] for held_name in hold} | replaced
    return finite_differences(
        lambda value: loss(stages, channel, **(held | {name: value})), values[name]
    )


def relative_error(value: Value, truth: Value) -> float:
    """The largest difference, in units of the largest element of `truth`."""
    return float(np.max(np.abs(value - truth)) / np.max(np.abs(truth)))
