"""The phases of the training ops on their own, on data in a cache: what they take per element."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import normgraph as ng

from .batch_parts import TYPES
from .layouts import Array, channels_last, values

#: Long rows, those of 49 elements, and columns; 128 to 512 KiB, which is what L2 has.
ARRAYS: dict[str, Callable[[str], Array]] = {
    "rows of 4096": lambda dtype: values((2, 8, 4096), dtype),
    "rows of 49": lambda dtype: values((16, 80, 49), dtype),
    "columns, 64 channels": lambda dtype: channels_last((16, 64, 64), dtype),
}


class Phases:
    """Calls that make one phase each, and write into the same outputs again and again."""

    def __init__(self, x: Array) -> None:
        self._x, self._delta, self._out = x, x[::-1].copy(order="K"), np.empty_like(x)
        self._statistics = ng.batch_norm_statistics(x, first_sample=0)
        self._vectors = (None, None, *ng.batch_norm_training(x, None, None)[1:])
        self._sums = ng.batch_norm_backprop_sums(x, *self._vectors[2:], self._delta, first_sample=0)

    def reduce_forward(self) -> Any:
        """The mean and the variance."""
        return ng.batch_norm_training(
            self._x, None, None, outputs=("mean", "variance"), num_threads=1
        )

    def apply_forward(self) -> Any:
        """Normalization."""
        return ng.batch_norm_training(
            self._x,
            None,
            None,
            out=self._out,
            outputs=("normalized",),
            statistics=self._statistics,
            num_threads=1,
        )

    def reduce_backward(self) -> Any:
        """The gradients of gamma and beta."""
        return ng.batch_norm_training_backprop(
            self._x,
            *self._vectors,
            self._delta,
            outputs=("gamma_delta", "beta_delta"),
            num_threads=1,
        )

    def apply_backward(self) -> Any:
        """The gradient of the input."""
        return ng.batch_norm_training_backprop(
            self._x,
            *self._vectors,
            self._delta,
            out=self._out,
            outputs=("input_delta",),
            sums=self._sums,
            num_threads=1,
        )


NAMES = ("reduce_forward", "apply_forward", "reduce_backward", "apply_backward")


def seconds(call: Callable[[], Any], calls: int, repeats: int) -> float:
    """Of one call: the best of so many times."""
    best = float("inf")
    for _ in range(repeats):
        begin = time.perf_counter()
        for _ in range(calls):
            call()
        best = min(best, (time.perf_counter() - begin) / calls)
    return best


def row(name: str, dtype: str, calls: int, repeats: int) -> str:
    """Nanoseconds per element of each phase, less what a call takes whatever it computes."""
    array = ARRAYS[name](dtype)
    whole, small = Phases(array), Phases(values((2, 8, 1), dtype))
    cells = []
    for phase in NAMES:
        overhead = seconds(getattr(small, phase), calls, repeats)
        taken = seconds(getattr(whole, phase), calls, repeats) - overhead
        cells.append(f"{1e9 * taken / array.size:14.3f}")
    return " ".join(cells)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.phases", description=__doc__)
    parser.add_argument("--calls", type=int, default=50, help="in one sample (default: 50)")
    parser.add_argument("--repeats", type=int, default=40, help="samples (default: 40)")
    options = parser.parse_args()
    print(f"nanoseconds per element, {ng.implementations()[0]}, one thread")
    print(" ".join(f"{name.replace('_', ', '):>14}" for name in NAMES))
    for element_type, dtype in TYPES.items():
        for name in ARRAYS:
            print(row(name, dtype, options.calls, options.repeats), f" {element_type} {name}")


if __name__ == "__main__":
    main()
