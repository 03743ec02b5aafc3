"""Masked batches beside the same calls without a mask: padding at the ends, and scattered gaps."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from typing import Any

import ml_dtypes  # noqa: F401  (numpy knows bfloat16 by it)
import numpy as np

import normgraph as ng

from .batch_parts import LAYOUTS, TYPES
from .layouts import Array, Shape, medians

#: The share of the positions that do not count.
PADDING = 0.25


def padding_of(samples: int, length: int) -> Array:
    """(samples, length): sequences of half the length to all of it."""
    lengths = np.linspace((1 - 2 * PADDING) * length, length, samples).astype(int)
    where: Array = np.arange(length) < lengths[:, None]
    return where


def gaps_of(samples: int, length: int) -> Array:
    """(samples, length): as many positions, anywhere."""
    where: Array = np.random.default_rng(0).random((samples, length)) >= PADDING
    return where


MASKS: dict[str, Callable[[int, int], Array]] = {"padding": padding_of, "gaps": gaps_of}


class Calls:
    """Calls on sequences (samples, channels, length), whose padding has no gradient."""

    def __init__(self, x: Array, where: Array, num_threads: int) -> None:
        self._x, self._out = x, np.empty_like(x)
        delta = x[::-1].copy(order="K")
        np.moveaxis(delta, 1, -1)[~where] = 0
        self._vectors = (None, None, *ng.batch_norm_training(x, None, None)[1:])
        self._delta, self._where = delta, where
        self._options: dict[str, Any] = {"out": self._out, "num_threads": num_threads}

    def forward(self, where: Array | None) -> None:
        ng.batch_norm_training(self._x, None, None, where=where, **self._options)

    def backward(self, where: Array | None) -> None:
        ng.batch_norm_training_backprop(
            self._x, *self._vectors, self._delta, where=where, **self._options
        )

    def columns(self, repeats: int) -> str:
        """Milliseconds without a mask and the ratio with one to it, forward and backward."""
        calls: list[Callable[[], object]] = [
            lambda: self.forward(None),
            lambda: self.forward(self._where),
            lambda: self.backward(None),
            lambda: self.backward(self._where),
        ]
        forward, masked_forward, backward, masked_backward = medians(calls, repeats)
        return (
            f"{forward * 1e3:8.3f} {masked_forward / forward:5.2f}  "
            f"{backward * 1e3:8.3f} {masked_backward / backward:5.2f}"
        )


def shape_of(text: str) -> Shape:
    """Samples, channels and length, as in 64x256x500."""
    shape = tuple(int(length) if length.isdecimal() else 0 for length in text.split("x"))
    if len(shape) != 3 or min(shape) < 1:
        raise argparse.ArgumentTypeError(f"expected three lengths as 64x256x500, got {text!r}")
    return shape


def parse_options() -> argparse.Namespace:
    """Read the command line; what is wrong there exits with status 2."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.masked_batches", description=__doc__
    )
    parser.add_argument(
        "--shapes",
        type=shape_of,
        nargs="+",
        default=[(64, 256, 500), (32, 80, 100), (16, 3, 10000)],
        help="samples, channels and length each, as 64x256x500",
    )
    parser.add_argument("--repeats", type=int, default=15, help="samples per line (default: 15)")
    parser.add_argument("--threads", type=int, default=1, help="of a call (default: 1)")
    options = parser.parse_args()
    if min(options.repeats, options.threads) < 1:
        parser.error("--repeats and --threads take numbers of at least 1")
    return options


def main() -> None:
    """Print the table."""
    options = parse_options()
    print(f"median milliseconds without a mask, and the ratio of one of {PADDING:.0%} to it")
    print(f"{'forward':>14}  {'backward':>14}")
    for shape in options.shapes:
        for (name, element_type), (layout, make), (mask, where_of) in itertools.product(
            TYPES.items(), LAYOUTS.items(), MASKS.items()
        ):
            calls = Calls(make(shape, element_type), where_of(shape[0], shape[2]), options.threads)
            cells = calls.columns(options.repeats)
            print(f"{cells}  {'x'.join(map(str, shape))} {name} {layout}, {mask}", flush=True)


if __name__ == "__main__":
    main()
