"""New outputs beside the same call with out=: what it costs to have memory for them."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from .layouts import Op, Shape, arguments, backward, forward, medians, repeated, shape_of, values


def times(call: Callable[[], object], count: int) -> Callable[[], None]:
    """So many calls, whose results end at once."""

    def calls() -> None:
        for _ in range(count):
            call()

    return calls


def columns(op: Op, shape: Shape, options: argparse.Namespace) -> str:
    """The microseconds of a call with out=, and the ratio of new outputs to them; f32."""
    arrays = arguments(shape, "f4", values, values)
    count = max(1, 100_000 // arrays.input.size)
    calls = [repeated(op, arrays, options.threads), lambda: op(arrays, options.threads)]
    given, new = medians([times(call, count) for call in calls], options.repeats)
    return f"{given / count * 1e6:10.2f} {new / given:5.2f}"


def parse_options() -> argparse.Namespace:
    """Read the command line; what is wrong there exits with status 2."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.new_outputs", description=__doc__)
    parser.add_argument(
        "--shapes",
        type=shape_of,
        nargs="+",
        default=[(2, 3, 4, 4), (32, 64, 28, 28), (64, 64, 56, 56), (128, 64, 56, 56)],
        help="four lengths each, as 32x64x56x56",
    )
    parser.add_argument("--repeats", type=int, default=21, help="samples per line (default: 21)")
    parser.add_argument("--threads", type=int, default=1, help="of a call (default: 1)")
    options = parser.parse_args()
    if min(options.repeats, options.threads) < 1:
        parser.error("--repeats and --threads take numbers of at least 1")
    return options


def main() -> None:
    """Print the table."""
    options = parse_options()
    print("median microseconds of a call with out=, and the ratio of new outputs to it; f32")
    print(f"{'backward':>16}  {'forward':>16}")
    for shape in options.shapes:
        cells = [columns(op, shape, options) for op in (backward, forward)]
        print("  ".join([*cells, "x".join(map(str, shape))]), flush=True)


if __name__ == "__main__":
    main()
