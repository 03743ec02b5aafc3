"""A batch in parts (statistics, their sum, normalization) beside one call on all of it."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from typing import Any

import ml_dtypes  # noqa: F401  (numpy knows bfloat16 by it)
import numpy as np

import normgraph as ng

from .layouts import Array, Shape, channels_last, medians, shape_of, values

TYPES = {"f32": "float32", "bf16": "bfloat16"}
LAYOUTS = {"channels first": values, "channels last": channels_last}


class Batch:
    """Data and outputs of a batch, whole and in parts of equal lengths."""

    def __init__(self, x: Array, parts: int, num_threads: int) -> None:
        length = len(x) // parts
        self.slices = [slice(first, first + length) for first in range(0, len(x), length)]
        self.x, self.delta, self.out = x, x[::-1].copy(order="K"), np.empty_like(x)
        self.threads: dict[str, Any] = {"num_threads": num_threads}
        self.mean, self.variance = ng.batch_norm_training(x, None, None)[1:]

    def forward(self) -> None:
        ng.batch_norm_training(self.x, None, None, out=self.out, **self.threads)

    def forward_in_parts(self) -> None:
        total: Any = sum(
            ng.batch_norm_statistics(self.x[part], first_sample=part.start, **self.threads)
            for part in self.slices
        )
        for part in reversed(self.slices):  # what was read last is in a cache
            ng.batch_norm_training(
                self.x[part], None, None, out=self.out[part], statistics=total, **self.threads
            )

    def backward(self) -> None:
        ng.batch_norm_training_backprop(
            self.x, None, None, self.mean, self.variance, self.delta, out=self.out, **self.threads
        )

    def backward_in_parts(self) -> None:
        total: Any = sum(
            ng.batch_norm_backprop_sums(
                self.x[part],
                self.mean,
                self.variance,
                self.delta[part],
                first_sample=part.start,
                **self.threads,
            )
            for part in self.slices
        )
        for part in reversed(self.slices):
            ng.batch_norm_training_backprop(
                self.x[part],
                None,
                None,
                self.mean,
                self.variance,
                self.delta[part],
                out=self.out[part],
                sums=total,
                **self.threads,
            )


def columns(batch: Batch, repeats: int) -> str:
    """Milliseconds of one call and the ratio of parts to it, forward and backward."""
    calls: list[Callable[[], None]] = [
        batch.forward,
        batch.forward_in_parts,
        batch.backward,
        batch.backward_in_parts,
    ]
    forward, forward_parts, backward, backward_parts = medians(list(calls), repeats)
    return (
        f"{forward * 1e3:8.3f} {forward_parts / forward:5.2f}  "
        f"{backward * 1e3:8.3f} {backward_parts / backward:5.2f}"
    )


def parse_options() -> argparse.Namespace:
    """Read the command line; what is wrong there exits with status 2."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch_parts", description=__doc__)
    parser.add_argument(
        "--shapes",
        type=shape_of,
        nargs="+",
        default=[(8, 64, 28, 28), (32, 64, 28, 28), (32, 64, 56, 56), (128, 64, 56, 56)],
        help="four lengths each, as 32x64x56x56",
    )
    parser.add_argument("--parts", type=int, default=4, help="of a batch (default: 4)")
    parser.add_argument("--repeats", type=int, default=21, help="samples per line (default: 21)")
    parser.add_argument("--threads", type=int, default=1, help="of a call (default: 1)")
    options = parser.parse_args()
    if min(options.repeats, options.threads, options.parts) < 1:
        parser.error("--repeats, --threads and --parts take numbers of at least 1")
    shapes: list[Shape] = options.shapes
    if any(shape[0] % options.parts != 0 for shape in shapes):
        parser.error("--parts takes a number that divides the first length of every shape")
    return options


def main() -> None:
    """Print the table."""
    options = parse_options()
    print(f"median milliseconds of one call, and the ratio of {options.parts} parts to it")
    print(f"{'forward':>14}  {'backward':>14}")
    for shape in options.shapes:
        for (name, element_type), (layout, make) in itertools.product(
            TYPES.items(), LAYOUTS.items()
        ):
            x = make(shape, element_type)
            cells = columns(Batch(x, options.parts, options.threads), options.repeats)
            print(f"{cells}  {'x'.join(map(str, shape))} {name} {layout}", flush=True)


if __name__ == "__main__":
    main()
