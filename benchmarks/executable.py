"""Chains of element-wise ops, compiled, beside the same by numpy; and what a call costs."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import normgraph as ng

Array = npt.NDArray[Any]


class Case(NamedTuple):
    """A function of some arrays, as a graph and as numpy computes it."""

    label: str
    function: ng.Function
    by_numpy: Callable[..., Array]
    argument_count: int


def parameters(names: str) -> list[ng.Parameter]:
    """Parameters of f32 and any shape, named by the words of `names`."""
    return [ng.Parameter("f32", None, name=name) for name in names.split()]


def cases() -> Iterator[Case]:
    """One op, and chains of five with one and with four arguments."""
    x, y = parameters("x y")
    yield Case("x + y", ng.Function([ng.op.Add(x, y)], [x, y]), np.add, 2)

    x = parameters("x")[0]
    value: Any = ng.op.SquareRoot(ng.op.Relu(ng.op.Subtract(ng.op.Multiply(x, x), x)))
    yield Case(
        "sqrt(max(x*x - x, 0)) + x",
        ng.Function([ng.op.Add(value, x)], [x]),
        lambda x: np.sqrt(np.maximum(x * x - x, 0)) + x,
        1,
    )

    x, a, b, c = parameters("x a b c")
    value = ng.op.Relu(ng.op.Add(ng.op.Multiply(x, a), b))
    yield Case(
        "(max(x*a + b, 0) - c) * x",
        ng.Function([ng.op.Multiply(ng.op.Subtract(value, c), x)], [x, a, b, c]),
        lambda x, a, b, c: (np.maximum(x * a + b, 0) - c) * x,
        4,
    )


def seconds(call: Callable[[], Any], calls: int) -> float:
    """The time of one call, over so many."""
    begin = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - begin) / calls


def medians(calls: list[Callable[[], Any]], size: int, repeats: int) -> list[float]:
    """The median time of each, interleaved; the first round warms up."""
    count = max(1, 200_000 // (size + 2000))
    samples = [[seconds(call, count) for call in calls] for _ in range(repeats + 1)][1:]
    return [statistics.median(of_call) for of_call in zip(*samples, strict=True)]


def rows(sizes: list[int], repeats: int, threads: int) -> Iterator[str]:
    """A line of the table for each case and size."""
    for case in cases():
        executable = ng.compile(case.function)
        for size in sizes:
            random = np.random.default_rng(0)
            arrays = [
                random.uniform(0.5, 1.5, size).astype(np.float32)
                for _ in range(case.argument_count)
            ]
            out = np.empty_like(arrays[0])
            calls: list[Callable[[], Any]] = [
                lambda case=case, arrays=arrays: case.by_numpy(*arrays),  # type: ignore[misc]
                lambda run=executable, arrays=arrays: run(  # type: ignore[misc]
                    *arrays, num_threads=threads
                ),
                lambda run=executable, arrays=arrays, out=out: run(  # type: ignore[misc]
                    *arrays, out=out, num_threads=threads
                ),
            ]
            if not np.array_equal(calls[0](), calls[1]()[0]):
                raise AssertionError(case.label)
            by_numpy, new, given = medians(calls, size, repeats)
            yield (
                f"{size:>9}  {by_numpy * 1e6:>10.2f}  {new * 1e6:>10.2f} {new / by_numpy:>6.2f}"
                f"  {given * 1e6:>10.2f} {given / by_numpy:>6.2f}  {case.label}"
            )


def parse_options() -> argparse.Namespace:
    """Read the command line; what is wrong there exits with status 2."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        default=[10, 1000, 10_000, 100_000, 1_000_000, 10_000_000],
        help="elements per array",
    )
    parser.add_argument("--repeats", type=int, default=15, help="samples per line (default: 15)")
    parser.add_argument("--threads", type=int, default=1, help="for normgraph (default: 1)")
    options = parser.parse_args()
    if min([*options.sizes, options.repeats, options.threads]) < 1:
        parser.error("--sizes, --repeats and --threads take numbers of at least 1")
    return options


def main() -> None:
    """Print the table."""
    options = parse_options()
    print("median microseconds of a call, and the ratio to numpy's; f32")
    print(f"{'elements':>9}  {'numpy':>10}  {'new result':>17}  {'out=':>17}")
    for row in rows(options.sizes, options.repeats, options.threads):
        print(row, flush=True)


if __name__ == "__main__":
    main()
