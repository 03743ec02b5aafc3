"""A step of training, compiled from a graph, beside the same step written in numpy.

The network is that of the tests: hidden layers of a matrix product, batch norm and a ReLU, the
mean square of the error as its loss; a step gives the loss and the gradients of all weights.
"""

from __future__ import annotations

import argparse
import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import normgraph as ng
from tests.runtime.network import build, numpy_step, training_step

WIDTHS = ((64, 48, 32, 10), (256, 256, 256, 10))
BATCHES = (64, 1024, 8192)
MEBIBYTE = 2.0**20


class Step(NamedTuple):
    """Both ways to compute one step, and the memory that the compiled one keeps for itself."""

    compiled: Callable[[], Any]
    by_numpy: Callable[[], Any]
    executable: ng.Executable


def make_step(widths: tuple[int, ...], batch: int, threads: int) -> Step:
    """Return a step on random data; f32."""
    network, weights = build(widths)
    executable = ng.compile(training_step(network))
    random = np.random.default_rng(5)
    images = random.standard_normal((batch, widths[0])).astype(np.float32)
    classes = np.eye(widths[-1], dtype=np.float32)[random.integers(0, widths[-1], batch)]
    one = np.ones((), np.float32)
    return Step(
        lambda: executable(images, classes, *weights, one, num_threads=threads),
        lambda: numpy_step(images, classes, weights),
        executable,
    )


def medians(step: Step, repeats: int) -> tuple[float, float]:
    """Return the median seconds of both, interleaved; the first round warms up."""
    samples: list[list[float]] = [[], []]
    for _ in range(repeats + 1):
        for call, times in zip((step.compiled, step.by_numpy), samples, strict=True):
            begin = time.perf_counter()
            call()
            times.append(time.perf_counter() - begin)
    compiled, by_numpy = (statistics.median(times[1:]) for times in samples)
    return compiled, by_numpy


def peak(call: Callable[[], Any]) -> int:
    """Return the largest number of bytes that numpy's arrays had during a call."""
    tracemalloc.start()
    call()
    _, bytes_at_most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return bytes_at_most


def row(widths: tuple[int, ...], batch: int, repeats: int, threads: int) -> str:
    """Return a line of the table."""
    step = make_step(widths, batch, threads)
    compiled, by_numpy = medians(step, repeats)
    # The results are numpy's arrays; what lies between the ops is not.
    memory = (peak(step.compiled) + (step.executable.peak_bytes or 0)) / MEBIBYTE
    numpy_memory = peak(step.by_numpy) / MEBIBYTE
    network = "-".join(map(str, widths))
    return (
        f"{network:<16} {batch:>6} {compiled * 1e3:>10.2f} {by_numpy * 1e3:>9.2f} "
        f"{compiled / by_numpy:>6.2f} {memory:>10.2f} {numpy_memory:>9.2f} "
        f"{memory / numpy_memory:>6.2f}"
    )


def parse_options() -> argparse.Namespace:
    """Read the command line; what is wrong there exits with status 2."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training_step", description=__doc__)
    parser.add_argument(
        "--batches", type=int, nargs="+", default=BATCHES, help="rows of a batch (64 1024 8192)"
    )
    parser.add_argument("--repeats", type=int, default=15, help="samples per line (default: 15)")
    parser.add_argument("--threads", type=int, default=1, help="for normgraph (default: 1)")
    options = parser.parse_args()
    if min([*options.batches, options.repeats, options.threads]) < 1:
        parser.error("--batches, --repeats and --threads take numbers of at least 1")
    return options


def main() -> None:
    """Print the table."""
    options = parse_options()
    print(f"{'':<23} {'milliseconds':>20} {'':>6} {'MiB at the peak':>20}")
    titles = f"{'compiled':>10} {'numpy':>9} {'ratio':>6}"
    print(f"{'network, f32':<16} {'batch':>6} {titles} {titles}")
    for widths in WIDTHS:
        for batch in options.batches:
            print(row(widths, batch, options.repeats, options.threads), flush=True)


if __name__ == "__main__":
    main()
