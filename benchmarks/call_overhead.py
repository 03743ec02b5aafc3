"""The cost of a call from Python, on arrays so small that the kernel hardly counts."""

from __future__ import annotations

import argparse
import inspect
import statistics
import timeit
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

import normgraph as ng


class Measurement(NamedTuple):
    """A statement as a user writes it, and the names in it."""

    label: str
    statement: str
    names: dict[str, Any]

    def median_nanoseconds(self, calls: int, repeats: int) -> float:
        """The median time of one call, over so many samples of so many calls."""
        samples = timeit.repeat(self.statement, globals=self.names, number=calls, repeat=repeats)
        return statistics.median(samples) / calls * 1e9


def floors(shape: tuple[int, ...]) -> Iterator[Measurement]:
    """Lower bounds of any call: calling at all, and making what it returns."""
    yield Measurement("empty call: len(vector)", "len(vector)", {"vector": np.empty(shape[1])})
    yield Measurement(
        "three new arrays: numpy.empty",
        "empty(shape), empty(channels), empty(channels)",
        {"empty": np.empty, "shape": shape, "channels": shape[1]},
    )


def mask_of(shape: tuple[int, ...]) -> Any:
    """A ReLU's mask that lets nothing pass, for channels along axis 1."""
    inner = int(np.prod(shape[2:]))
    packed = (shape[1] if len(shape) == 2 else inner) + 7
    lengths = (shape[0],) if len(shape) == 2 else shape[:2]
    return np.zeros((*lengths, packed // 8), np.uint8)


def required_arguments(function: Any, shape: tuple[int, ...]) -> dict[str, Any]:
    """An array for each required parameter, the same in every run; f32, but for the mask."""
    generator = np.random.default_rng(0)
    arguments = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.default is parameter.empty:
            if name == "mask":
                arguments[name] = mask_of(shape)
                continue
            is_data = name in ("input", "residual") or name.endswith("ed_delta")
            size = shape if is_data else shape[1]
            arguments[name] = generator.uniform(0.5, 1.5, size).astype(np.float32)
    return arguments


def calls_of_kernels(shape: tuple[int, ...], implementation: str | None) -> Iterator[Measurement]:
    """Every function of the family, with new outputs and, where it takes them, given ones."""
    choice = "" if implementation is None else f", implementation={implementation!r}"
    for name in (name for name in ng.__all__ if name.startswith("batch_norm_")):
        function = getattr(ng, name)
        arguments = required_arguments(function, shape)
        names = {**arguments, name: function, "out": function(**arguments)}
        inputs = ", ".join(arguments)
        yield Measurement(name, f"{name}({inputs}{choice})", names)
        if "out" in inspect.signature(function).parameters:
            yield Measurement(f"{name}, out=", f"{name}({inputs}, out=out{choice})", names)


def parse_shape(text: str) -> tuple[int, ...]:
    """Return (2, 3, 4, 4) for 2x3x4x4."""
    shape = tuple(int(length) for length in text.split("x"))
    if len(shape) < 2 or min(shape) < 1:
        raise ValueError(text)
    return shape


def parse_count(text: str) -> int:
    """Return a number of at least 1."""
    count = int(text)
    if count < 1:
        raise ValueError(text)
    return count


def parse_options() -> argparse.Namespace:
    """Read the command line; what is wrong there exits with status 2."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--shape",
        type=parse_shape,
        default=(2, 3, 4, 4),
        help="N, C and spatial lengths with x between (default: 2x3x4x4)",
    )
    parser.add_argument(
        "--implementation",
        choices=ng.implementations(),
        help="which kernels run (default: those that a call takes by itself)",
    )
    parser.add_argument(
        "--calls", type=parse_count, default=1000, help="calls per sample (default: 1000)"
    )
    parser.add_argument(
        "--repeats", type=parse_count, default=200, help="samples per line (default: 200)"
    )
    return parser.parse_args()


def main() -> None:
    """Print the table."""
    options = parse_options()
    print(f"{'median ns':>10}  call, {'x'.join(map(str, options.shape))} f32")
    for measurement in (
        *floors(options.shape),
        *calls_of_kernels(options.shape, options.implementation),
    ):
        nanoseconds = measurement.median_nanoseconds(options.calls, options.repeats)
        print(f"{nanoseconds:10.0f}  {measurement.label}", flush=True)


if __name__ == "__main__":
    main()
