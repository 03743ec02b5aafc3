"""What the tests of imported selections select from, and by what."""

from __future__ import annotations

import numpy as np

from ..kernel.real_types import Array


def values(*shape: int) -> Array:
    """Numbers with a NaN and infinities among them."""
    found = np.random.default_rng(3).normal(size=shape).astype(np.float32).reshape(-1)
    found[::5] = [np.nan, np.inf, -np.inf][found.size % 3]
    return found.reshape(shape)


def booleans(*shape: int) -> Array:
    return np.random.default_rng(8).random(shape) < 0.5
