"""`python -m tests.kernel.output_digest`: a digest of every bit that the kernels put out.

Run it before and after a change that must not touch the results, and compare the two outputs. Each
op is called for each pair of element types with random shapes, layouts, selections of optional
inputs and of outputs, by every implementation that runs here and with one thread and two. Those
must agree to the bit, and so must layouts of one class; where they do not, the call is printed and
the exit code is 1.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

import normgraph as ng

from .canonical_order import is_channels_last
from .comparison import bits
from .layouts import (
    Style,
    backwards,
    channels_last,
    dense,
    in_memory_order,
    misaligned,
    padded,
    sliced,
)
from .real_types import REAL_TYPES, TYPE_PAIRS, Array
from .relu import packed
from .samples import DIFFICULTIES, STANDARD, BackpropArguments, Sample

SHAPES, SEED = 12, 1
THREADS = (1, 2)

# Large enough that two threads share the work; the sums of f32's training share it from the most
# elements on. (shape, channel axis)
LARGE = (((16, 6, 33, 31), 1), ((1500, 70), 1))
LARGE_OF_F32 = (((12, 6, 75, 73), 1), ((5640, 70), 1))

STYLES = (dense, sliced, misaligned, backwards)
VECTORS = ("gamma", "beta", "mean", "variance")


class Op(NamedTuple):
    """A kernel function: what it reads besides input, gamma and beta, and what it returns."""

    name: str
    more_inputs: tuple[str, ...]
    outputs: tuple[str, ...]


STATISTICS = ("mean", "variance")
GRADIENTS = ("input_delta", "gamma_delta", "beta_delta")
OPS = (
    Op("batch_norm_training", (), ("normalized", *STATISTICS)),
    Op("batch_norm_training_relu", (), ("activated", *STATISTICS, "mask")),
    Op("batch_norm_inference", STATISTICS, ("normalized",)),
    Op("batch_norm_training_backprop", (*STATISTICS, "normalized_delta"), GRADIENTS),
    Op("batch_norm_inference_backprop", (*STATISTICS, "normalized_delta"), GRADIENTS),
    Op("batch_norm_training_relu_backprop", (*STATISTICS, "mask", "activated_delta"), GRADIENTS),
    Op("batch_norm_training_add_relu", ("residual",), ("activated", *STATISTICS, "mask")),
    Op(
        "batch_norm_training_add_relu_backprop",
        (*STATISTICS, "mask", "activated_delta"),
        (*GRADIENTS, "residual_delta"),
    ),
    Op("batch_norm_inference_relu", STATISTICS, ("activated",)),
    Op("batch_norm_inference_add_relu", (*STATISTICS, "residual"), ("activated",)),
)


def expanded(values: Array, axis: int) -> Array:
    """The first index of an axis, repeated with a stride of zero."""
    return np.broadcast_to(values.take([0], axis), values.shape)


def layouts_of(sample: Sample, random: np.random.Generator) -> Iterator[tuple[str, Style]]:
    """Arrangements in memory for arrays of the sample's shape, described."""
    rank, axis = len(sample.shape), sample.channel_axis
    yield "C-contiguous", dense
    yield "channels last", lambda values: channels_last(values, axis)
    for style in (dense, sliced, padded, backwards, misaligned):
        order = tuple(int(place) for place in random.permutation(rank))
        yield (
            f"memory order {order}, {style.__name__}",
            lambda values, order=order, style=style: in_memory_order(values, order, style),
        )
    for style in (sliced, misaligned):
        yield (
            f"channels last, {style.__name__}",
            lambda values, style=style: np.moveaxis(style(np.moveaxis(values, axis, -1)), -1, axis),
        )
    expanded_axis = int(random.integers(rank))
    yield f"stride 0 along axis {expanded_axis}", lambda values: expanded(values, expanded_axis)


def random_samples(count: int, seed: int, data_type: str, channel_type: str) -> Iterator[Sample]:
    """Samples whose shapes are spread evenly over the orders of magnitude."""
    random = np.random.default_rng([seed, *data_type.encode(), *channel_type.encode()])
    difficulties = [item for item in DIFFICULTIES if data_type in item.data_types]
    for index in range(count):
        rank = int(random.integers(2, 6))
        # Up to 2**15 elements, which are several blocks where the channels are few.
        shares = random.dirichlet(np.ones(rank)) * random.uniform(4, 15)
        shape = [round(2**share) for share in shares]
        axis = int(random.integers(-rank, rank))
        difficulty = difficulties[index % len(difficulties)]
        yield Sample(tuple(shape), data_type, channel_type, axis, difficulty, seed=index)


def large_samples(data_type: str, channel_type: str) -> Iterator[Sample]:
    for shape, axis in LARGE_OF_F32 if data_type == "f32" else LARGE:
        yield Sample(shape, data_type, channel_type, axis, STANDARD)


def arrays_of(sample: Sample, index: int) -> BackpropArguments:
    """Every other problem has sums that cancel, so that the order of summation shows."""
    return sample.cancelling() if index % 2 else sample.backprop()


class Call(NamedTuple):
    """A kernel function with its arguments, but for what must not matter."""

    op: Op
    arguments: dict[str, Array | None]
    options: dict[str, Any]
    description: str

    def run(
        self, implementation: str, num_threads: int, style: Style | None
    ) -> tuple[Array | None, ...]:
        """The outputs; into arrays of that style where one is given, into new ones if not."""
        call = getattr(ng, self.op.name)
        options = {
            **self.options,
            "implementation": implementation,
            "num_threads": num_threads,
        }
        if len(self.op.outputs) == 1:
            if style is not None:
                options["out"] = style(np.zeros_like(self.arguments["input"]))
            return (call(**self.arguments, **options),)
        if style is not None:
            # The mask has to be C-contiguous.
            options["out"] = tuple(
                array if array is None or array.dtype == np.uint8 else style(np.zeros_like(array))
                for array in call(**self.arguments, **options)
            )
        return tuple(call(**self.arguments, **options))


def calls_of(op: Op, sample: Sample, index: int, is_large: bool) -> Iterator[Call]:
    """The op in every layout; optional inputs and selected outputs change from one to the next."""
    random = np.random.default_rng([index, *sample.shape])
    problem = arrays_of(sample, index)._asdict()
    delta = problem.pop("normalized_delta")
    layouts = list(layouts_of(sample, random))
    for number, (name, arranged) in enumerate(layouts[:2] if is_large else layouts):
        # The delta lies like the input, or as the layout before has it.
        delta_name, delta_arranged = layouts[number - 1] if number % 3 == 2 else (name, arranged)
        vector_style = STYLES[number % len(STYLES)]
        arguments: dict[str, Array | None] = {
            key: vector_style(problem[key]) for key in VECTORS if key in problem
        }
        arguments["input"] = arranged(problem["input"])
        arguments["normalized_delta"] = arguments["activated_delta"] = delta_arranged(delta)
        arguments["residual"] = arguments["activated_delta"]
        arguments["mask"] = packed(random.random(sample.shape) < 0.5, sample.channel_axis)
        given = (index + number) % 4
        if given & 1:
            arguments["gamma"] = None
        if given & 2:
            arguments["beta"] = None
        options: dict[str, Any] = dict(sample.options)
        if number % 5 == 4 and len(op.outputs) > 1:
            options["outputs"] = [op.outputs[(index + number) % len(op.outputs)]]
        selected = ("input", "gamma", "beta", *op.more_inputs)
        missing = [key for key in ("gamma", "beta") if arguments[key] is None]
        yield Call(
            op,
            {key: arguments[key] for key in selected},
            options,
            f"{op.name} of {sample}, problem {index}: input {name}, delta {delta_name}, "
            f"vectors {vector_style.__name__}, without {' and '.join(missing) or 'nothing'}, "
            f"outputs {options.get('outputs', 'all')}",
        )


def added(digest: Any, arrays: Iterable[Array | None]) -> None:
    """Adds type, shape and bits of arrays; any NaN counts as any other."""
    for array in arrays:
        if array is None:
            digest.update(b"none;")
        else:
            digest.update(f"{array.dtype.name}{array.shape};".encode())
            digest.update(bits(array))


def digest_of(arrays: Iterable[Array | None]) -> str:
    digest = hashlib.sha256()
    added(digest, arrays)
    return str(digest.hexdigest())


class Report:
    """Collects digests, one for each line, and calls that gave other bits than they had to."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.differences: list[str] = []

    def add(self, name: str, digests: Sequence[str]) -> None:
        whole = hashlib.sha256("".join(digests).encode()).hexdigest()
        self.lines.append(f"{name:<48} {whole}")

    def expect(self, actual: str, expected: str, what: str) -> None:
        if actual != expected:
            self.differences.append(what)

    @property
    def total(self) -> str:
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()


def digest_of_call(call: Call, report: Report, implementations: Sequence[str], style: Style) -> str:
    """The digest of the first implementation with one thread, which all others are held to."""
    expected: str | None = None
    for name in implementations:
        for num_threads in THREADS:
            # New outputs with one thread, out= with two, so that both paths are taken.
            out_style = style if num_threads > 1 else None
            found = digest_of(call.run(name, num_threads, out_style))
            expected = expected or found
            report.expect(
                found,
                expected,
                f"{call.description}: {name} with {num_threads} threads"
                f"{', out= ' + style.__name__ if out_style else ''} differs from "
                f"{implementations[0]} with {THREADS[0]}",
            )
    assert expected is not None
    return expected


def check_layout_class(call: Call, found: str, implementation: str, report: Report) -> None:
    """Checks the bits against those of equal values in plain memory of the layout class."""
    axis = call.options["channel_axis"]
    last = is_channels_last(call.arguments["input"], axis)
    plain = {key: value if value is None else dense(value) for key, value in call.arguments.items()}
    place = -1 if last else 0
    outermost_or_innermost = dense(np.moveaxis(call.arguments["input"], axis, place))
    plain["input"] = np.moveaxis(outermost_or_innermost, place, axis)
    result = call._replace(arguments=plain).run(implementation, THREADS[0], None)
    report.expect(
        digest_of(result), found, f"{call.description}: differs from plain memory of its class"
    )


def add_kernels(report: Report, count: int, seed: int, implementations: Sequence[str]) -> None:
    """A line for each kernel function and pair of element types."""
    fastest = implementations[-1]
    for data_type, channel_type in TYPE_PAIRS:
        samples = [
            *((sample, False) for sample in random_samples(count, seed, data_type, channel_type)),
            *((sample, True) for sample in large_samples(data_type, channel_type) if count > 1),
        ]
        for op in OPS:
            digests = []
            for index, (sample, is_large) in enumerate(samples):
                for number, call in enumerate(calls_of(op, sample, index, is_large)):
                    style = STYLES[(index + number) % len(STYLES)]
                    found = digest_of_call(call, report, implementations, style)
                    if not is_large:
                        check_layout_class(call, found, fastest, report)
                    digests.append(found)
            report.add(f"{op.name} {data_type}/{channel_type}", digests)


# ---- primitives ----------------------------------------------------------------------------------


class Primitive(NamedTuple):
    """A primitive op with its attributes; `inputs` has a letter for the shape of each input."""

    op: str
    inputs: str
    attributes: dict[str, Any]


# d is data (a, c, b), m its mask, v a vector (c), l a matrix (a, c), r a matrix (c, b).
PRIMITIVES = (
    *(Primitive(op, "dd", {}) for op in ("Add", "Subtract", "Multiply", "Divide", "ReluBackprop")),
    *(Primitive(op, "d", {}) for op in ("Negate", "SquareRoot", "Relu")),
    *(Primitive("Convert", "d", {"element_type": name}) for name in REAL_TYPES),
    *(
        Primitive(op, "d", {"kept_axes": axes})
        for op in ("Sum", "Mean")
        for axes in ([], [0], [1], [-1], [0, 1], [0, 2], [0, 1, 2])
    ),
    *(Primitive(op, "vd", {"axes": [1]}) for op in ("Broadcast", "MeanBackprop")),
    Primitive("MatrixMultiply", "lr", {}),
    Primitive("MatrixMultiply", "ll", {"transpose_right": True}),
    Primitive("MatrixMultiply", "ll", {"transpose_left": True}),
    *(
        Primitive(op, inputs, {"channel_axis": axis})
        for op, inputs in (("ReluMask", "d"), ("ReluMaskSelect", "dm"))
        for axis in (1, -1)
    ),
)


# Large enough that two threads share the work.
LARGE_LENGTHS = (49, 64, 87)


def primitive_of(primitive: Primitive, data_type: str) -> ng.Function:
    parameters = [
        ng.Parameter("u8" if kind == "m" else data_type, None, name=f"{kind}{index}")
        for index, kind in enumerate(primitive.inputs)
    ]
    node = getattr(ng.op, primitive.op)(*parameters, **primitive.attributes)
    return ng.Function(node.outputs, parameters)


def arrays_of_primitive(
    primitive: Primitive, lengths: Sequence[int], data_type: str, random: np.random.Generator
) -> list[Array]:
    a, c, b = lengths
    shapes = {"d": (a, c, b), "v": (c,), "l": (a, c), "r": (c, b)}
    arrays = []
    for kind in primitive.inputs:
        if kind == "m":
            chosen = random.random((a, c, b)) < 0.5
            arrays.append(packed(chosen, primitive.attributes["channel_axis"]))
            continue
        # Over many magnitudes, so that another order of the same terms shows, with some zeros.
        exponents = random.integers(-8, 9, shapes[kind])
        values = np.ldexp(random.standard_normal(shapes[kind]), exponents)
        values[random.random(shapes[kind]) < 0.1] = 0
        arrays.append(values.astype(REAL_TYPES[data_type].dtype))
    return arrays


def add_primitives(report: Report, count: int, seed: int) -> None:
    """A line for each primitive op and element type, by both backends, on strided arrays too."""
    lengths = [(7, 37, 11), (3, 5, 1), (1, 2100, 3), LARGE_LENGTHS][: max(1, count)]
    for op in dict.fromkeys(primitive.op for primitive in PRIMITIVES):
        for data_type in REAL_TYPES:
            digests = []
            for primitive in (item for item in PRIMITIVES if item.op == op):
                function = primitive_of(primitive, data_type)
                executables = [ng.compile(function, name) for name in ("reference", "cpu")]
                for size in lengths:
                    random = np.random.default_rng([seed, *size])
                    arrays = arrays_of_primitive(primitive, size, data_type, random)
                    styles = (dense, misaligned) if size == LARGE_LENGTHS else STYLES
                    found = digests_of_primitive(executables, arrays, styles, random)
                    what = f"{primitive} of {data_type}{size}"
                    for name, digest in found.items():
                        report.expect(digest, next(iter(found.values())), f"{what}: {name} differs")
                    digests.append(next(iter(found.values())))
            report.add(f"{op} {data_type}", digests)


def digests_of_primitive(
    executables: Sequence[ng.Executable],
    arrays: Sequence[Array],
    styles: Sequence[Style],
    random: np.random.Generator,
) -> dict[str, str]:
    """Digests by backend, threads and layout."""
    found = {}
    for executable in executables:
        for num_threads in THREADS:
            for style in styles:
                placed = [
                    # A mask has to be C-contiguous.
                    array
                    if style is dense or array.dtype == np.uint8
                    else in_memory_order(array, tuple(random.permutation(array.ndim)), style)
                    for array in arrays
                ]
                results = executable(*placed, num_threads=num_threads)
                name = f"{executable.backend}, {num_threads} threads, {style.__name__}"
                found[name] = digest_of(results)
    return found


def add_running_statistics(report: Report, seed: int) -> None:
    """A line for each pair of element types of running statistics and batch."""
    for running_type, batch_type in ((a, b) for a in REAL_TYPES for b in REAL_TYPES):
        digests = []
        for length in (1, 7, 64, 1001):
            random = np.random.default_rng([seed, length])
            running, batch = (
                tuple(
                    np.abs(random.standard_normal(length)).astype(REAL_TYPES[name].dtype)
                    for _ in range(2)
                )
                for name in (running_type, batch_type)
            )
            for unbiased in (False, True):
                options: dict[str, Any] = {"n": 50, "momentum": 0.1, "unbiased": unbiased}
                expected = digest_of(ng.update_running_statistics(running, batch, **options))
                for style in (sliced, backwards, misaligned):
                    views = [tuple(map(style, pair)) for pair in (running, batch)]
                    outs = tuple(style(np.zeros_like(array)) for array in running)
                    found = digest_of(ng.update_running_statistics(*views, **options, out=outs))
                    what = f"running statistics {running_type}, {batch_type}, {length} channels"
                    report.expect(found, expected, f"{what}: {style.__name__} differs")
                digests.append(expected)
        report.add(f"update_running_statistics {running_type}/{batch_type}", digests)


# ---- the command ---------------------------------------------------------------------------------


def report_of(count: int = SHAPES, seed: int = SEED) -> Report:
    """Digests of everything, with `count` random shapes for each pair of element types."""
    # The reference first: it is what the others are held to.
    implementations = list(reversed(ng.implementations()))
    report = Report()
    add_kernels(report, count, seed, implementations)
    add_primitives(report, count, seed)
    add_running_statistics(report, seed)
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.kernel.output_digest",
        description="Print a SHA-256 of all that the kernels put out.",
    )
    parser.add_argument("--shapes", type=int, default=SHAPES, help="random shapes for each pair")
    parser.add_argument("--seed", type=int, default=SEED, help="of the random shapes and numbers")
    options = parser.parse_args(arguments)
    if options.shapes < 1:
        parser.error(f"--shapes: expected at least 1, got {options.shapes}")
    print(f"# seed {options.seed}, {options.shapes} shapes for each pair of element types")
    report = report_of(options.shapes, options.seed)
    print("\n".join(report.lines))
    print(f"{'total':<48} {report.total}")
    for difference in report.differences:
        print(f"error: {difference}", file=sys.stderr)
    if report.differences:
        print(
            f"{len(report.differences)} calls differ: implementations {ng.implementations()}, "
            f"threads {THREADS}",
            file=sys.stderr,
        )
    return 1 if report.differences else 0


if __name__ == "__main__":
    sys.exit(main())
