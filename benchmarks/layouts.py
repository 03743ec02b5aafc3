"""Arrays of every kind of layout, each beside contiguous ones of the same layout class."""

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
Shape = tuple[int, ...]
Make = Callable[[Shape, str], Array]
Op = Callable[..., Any]


def values(shape: Shape, element_type: str) -> Array:
    """Random data, the same in every run."""
    return np.random.default_rng(0).uniform(0.5, 1.5, shape).astype(element_type)


def channels_last(shape: Shape, element_type: str) -> Array:
    """Channels next to each other in memory; axis 1 all the same."""
    count, channels, *spatial = shape
    return np.moveaxis(values((count, *spatial, channels), element_type), -1, 1)


def every_second_column(shape: Shape, element_type: str) -> Array:
    """Half of an array of twice the width."""
    return values((*shape[:-1], 2 * shape[-1]), element_type)[..., ::2]


def transposed_image(shape: Shape, element_type: str) -> Array:
    """Columns of the image next to each other."""
    return np.swapaxes(values((*shape[:-2], shape[-1], shape[-2]), element_type), -1, -2)


def reversed_columns(shape: Shape, element_type: str) -> Array:
    """Negative strides."""
    return values(shape, element_type)[..., ::-1]


def cropped(shape: Shape, element_type: str, make: Make = values) -> Array:
    """The middle of an image with a border of one pixel."""
    larger = (*shape[:2], *(length + 2 for length in shape[2:]))
    return make(larger, element_type)[..., 1:-1, 1:-1]


def cropped_channels_last(shape: Shape, element_type: str) -> Array:
    """The same, channels next to each other."""
    return cropped(shape, element_type, channels_last)


def some_channels(shape: Shape, element_type: str) -> Array:
    """Half of the channels, which are next to each other."""
    count, channels, *spatial = shape
    return channels_last((count, 2 * channels, *spatial), element_type)[:, :channels]


def expanded(shape: Shape, element_type: str) -> Array:
    """One number for each channel of each image: what the mean over pixels sends back."""
    return np.broadcast_to(values((*shape[:2], *(1 for _ in shape[2:])), element_type), shape)


class Layout(NamedTuple):
    """How input and normalized_delta lie in memory; contiguous: what they are compared with."""

    label: str
    input: Make
    delta: Make
    contiguous: Make


LAYOUTS = (
    Layout("channels last input, channels first delta", channels_last, values, channels_last),
    Layout("channels first input, channels last delta", values, channels_last, values),
    Layout("expanded delta", values, expanded, values),
    Layout("expanded delta, channels last input", channels_last, expanded, channels_last),
    Layout("every second column", every_second_column, every_second_column, values),
    Layout("height and width swapped", transposed_image, transposed_image, values),
    Layout("columns reversed", reversed_columns, reversed_columns, values),
    Layout("cropped", cropped, cropped, values),
    Layout("cropped, channels last", cropped_channels_last, cropped_channels_last, channels_last),
    Layout("half of the channels, last", some_channels, some_channels, channels_last),
)


class Arguments(NamedTuple):
    """One set of arrays for both ops."""

    input: Array
    delta: Array
    gamma: Array
    beta: Array
    mean: Array
    variance: Array


def backward(arrays: Arguments, num_threads: int, out: Any = None) -> Any:
    """BatchNormTrainingBackprop."""
    return ng.batch_norm_training_backprop(
        arrays.input,
        arrays.gamma,
        arrays.beta,
        arrays.mean,
        arrays.variance,
        arrays.delta,
        epsilon=1e-5,
        num_threads=num_threads,
        out=out,
    )


def forward(arrays: Arguments, num_threads: int, out: Any = None) -> Any:
    """BatchNormTraining."""
    return ng.batch_norm_training(
        arrays.input,
        arrays.gamma,
        arrays.beta,
        epsilon=1e-5,
        num_threads=num_threads,
        out=out,
    )


def arguments(shape: Shape, element_type: str, make_input: Make, make_delta: Make) -> Arguments:
    """Arrays of these layouts."""
    channel = np.ones(shape[1], np.float32)
    return Arguments(
        make_input(shape, element_type), make_delta(shape, element_type), *4 * (channel,)
    )


def medians(calls: list[Callable[[], object]], repeats: int) -> list[float]:
    """The median seconds of each, interleaved; the first round warms up."""
    rounds = []
    for _ in range(repeats + 1):
        samples = []
        for call in calls:
            begin = time.perf_counter()
            call()
            samples.append(time.perf_counter() - begin)
        rounds.append(samples)
    return [statistics.median(of_call) for of_call in zip(*rounds[1:], strict=True)]


def repeated(op: Op, arrays: Arguments, num_threads: int) -> Callable[[], object]:
    """The call, always into the same outputs."""
    out = op(arrays, num_threads)
    return lambda: op(arrays, num_threads, out)


def columns(layout: Layout, shape: Shape, element_type: str, options: argparse.Namespace) -> str:
    """Both ops' milliseconds and ratios."""
    arrays = arguments(shape, element_type, layout.input, layout.delta)
    contiguous = arguments(shape, element_type, layout.contiguous, layout.contiguous)
    cells = []
    for op in (backward, forward):
        calls = [repeated(op, each, options.threads) for each in (arrays, contiguous)]
        seconds, seconds_of_contiguous = medians(calls, options.repeats)
        cells.append(f"{seconds * 1e3:9.3f} {seconds / seconds_of_contiguous:5.2f}")
    return "  ".join(cells)


def rows(options: argparse.Namespace) -> Iterator[str]:
    """A line for each shape, type and layout."""
    for shape in options.shapes:
        for element_type in options.types:
            yield f"{'x'.join(map(str, shape))}, {np.dtype(element_type)}"
            for layout in LAYOUTS:
                yield f"  {columns(layout, shape, element_type, options)}  {layout.label}"


def shape_of(text: str) -> Shape:
    """(32, 64, 56, 56) for 32x64x56x56."""
    shape = tuple(int(length) for length in text.split("x"))
    if len(shape) != 4 or min(shape) < 1:
        raise ValueError(text)
    return shape


def parse_options() -> argparse.Namespace:
    """Read the command line; what is wrong there exits with status 2."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.layouts", description=__doc__)
    parser.add_argument(
        "--shapes",
        type=shape_of,
        nargs="+",
        default=[(32, 64, 56, 56), (32, 256, 28, 28), (32, 512, 14, 14)],
        help="four lengths each, as 32x64x56x56",
    )
    parser.add_argument("--types", nargs="+", default=["f4", "f2"], choices=["f8", "f4", "f2"])
    parser.add_argument("--repeats", type=int, default=7, help="samples per line (default: 7)")
    parser.add_argument("--threads", type=int, default=1, help="of a call (default: 1)")
    options = parser.parse_args()
    if min(options.repeats, options.threads) < 1:
        parser.error("--repeats and --threads take numbers of at least 1")
    return options


def main() -> None:
    """Print the table."""
    options = parse_options()
    print("median milliseconds of a call, and the ratio to contiguous arrays of the same class")
    print(f"  {'backward':>15}  {'forward':>15}")
    for row in rows(options):
        print(row, flush=True)


if __name__ == "__main__":
    main()
