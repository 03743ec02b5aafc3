"""Arrays in any order of their axes beside C order; fused ReLUs beside what they replace."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import normgraph as ng

from .layouts import Shape, medians, values

Array = npt.NDArray[Any]
Call = Callable[[Any], Any]


class Case(NamedTuple):
    """A shape, its channel axis, and its axes from the outermost in memory to the innermost."""

    shape: Shape
    channel_axis: int
    outermost_first: tuple[int, ...]

    def array(self, element_type: str = "f32") -> Array:
        """An array that lies so."""
        lengths = tuple(self.shape[axis] for axis in self.outermost_first)
        array = values(lengths, "f4").astype(ng.element.Type(element_type).dtype, copy=False)
        return np.transpose(array, np.argsort(self.outermost_first))

    def label(self) -> str:
        """`32x32x3x2000, channel axis 2, in memory 3 2 1 0`."""
        order = " ".join(map(str, self.outermost_first))
        shape = "x".join(map(str, self.shape))
        return f"{shape}, channel axis {self.channel_axis}, in memory {order}"


ORDERS = (
    Case((32, 32, 3, 2000), 2, (3, 2, 1, 0)),
    Case((2000, 3, 32, 32), 1, (3, 2, 1, 0)),
    Case((32, 64, 28, 28), 1, (3, 2, 1, 0)),
    Case((32, 64, 28, 28), 1, (1, 2, 0, 3)),
    Case((28, 28, 64, 32), 2, (3, 2, 1, 0)),
    Case((100, 100, 100), 1, (2, 1, 0)),
    Case((4, 5, 6, 7, 8, 5, 4, 6), 3, (7, 6, 5, 4, 3, 2, 1, 0)),
    Case((4, 5, 6, 7, 8, 5, 4, 6), 3, (7, 2, 5, 0, 3, 6, 1, 4)),
)
FUSED = (
    Case((1000000, 2), 1, (0, 1)),
    Case((200000, 7), 1, (0, 1)),
    Case((150000, 12), 1, (0, 1)),
    Case((60000, 17), 1, (0, 1)),
    Case((1000000, 2), 1, (1, 0)),
    Case((500, 1000), 1, (1, 0)),
    Case((32, 64, 28, 28), 1, (0, 1, 2, 3)),
    Case((32, 64, 28, 28), 1, (0, 2, 3, 1)),
    Case((64, 128, 7, 7), 1, (0, 1, 2, 3)),
    Case((16, 3, 112, 112), 1, (0, 1, 2, 3)),
    Case((32, 32, 3, 2000), 2, (3, 2, 1, 0)),
)
FUSED_TYPES = ("f32", "bf16")


class Calls:
    """The ops on arrays of one layout; new outputs lie as the input does."""

    def __init__(self, array: Array, channel_axis: int, num_threads: int) -> None:
        self._array = array
        self._delta = array.copy(order="K")
        self._vector = np.ones(array.shape[channel_axis], np.float32)
        self._options: dict[str, Any] = {
            "epsilon": 1e-5,
            "channel_axis": channel_axis,
            "num_threads": num_threads,
        }

    def forward(self, out: Any = None) -> Any:
        """BatchNormTraining."""
        vectors = (self._vector, self._vector)
        return ng.batch_norm_training(self._array, *vectors, out=out, **self._options)

    def inference(self, out: Any = None) -> Any:
        """BatchNormInference."""
        vectors = 4 * (self._vector,)
        return ng.batch_norm_inference(self._array, *vectors, out=out, **self._options)

    def activated_inference(self, out: Any = None) -> Any:
        """BatchNormInferenceRelu."""
        vectors = 4 * (self._vector,)
        return ng.batch_norm_inference_relu(self._array, *vectors, out=out, **self._options)

    def added_inference(self, out: Any = None) -> Any:
        """BatchNormInferenceAddRelu."""
        arguments = (self._array, *4 * (self._vector,), self._delta)
        return ng.batch_norm_inference_add_relu(*arguments, out=out, **self._options)

    def backward(self, out: Any = None) -> Any:
        """BatchNormTrainingBackprop."""
        arguments = (self._array, *4 * (self._vector,), self._delta)
        return ng.batch_norm_training_backprop(*arguments, out=out, **self._options)

    def inference_backward(self, out: Any = None) -> Any:
        """BatchNormInferenceBackprop."""
        arguments = (self._array, *4 * (self._vector,), self._delta)
        return ng.batch_norm_inference_backprop(*arguments, out=out, **self._options)

    def fused_forward(self, out: Any = None) -> Any:
        """BatchNormTrainingRelu."""
        vectors = (self._vector, self._vector)
        return ng.batch_norm_training_relu(self._array, *vectors, out=out, **self._options)

    def added_forward(self, out: Any = None) -> Any:
        """BatchNormTrainingAddRelu."""
        vectors = (self._vector, self._vector)
        arguments = (self._array, *vectors, self._delta)
        return ng.batch_norm_training_add_relu(*arguments, out=out, **self._options)

    def added_backward(self) -> Call:
        """BatchNormTrainingAddReluBackprop with the mask of the forward call."""
        mask = self.added_forward().mask
        arguments = (self._array, *4 * (self._vector,), mask, self._delta)
        return lambda out: ng.batch_norm_training_add_relu_backprop(
            *arguments, out=out, **self._options
        )

    def fused_backward(self) -> Call:
        """BatchNormTrainingReluBackprop with the mask of the forward call."""
        mask = self.fused_forward().mask
        arguments = (self._array, *4 * (self._vector,), mask, self._delta)
        return lambda out: ng.batch_norm_training_relu_backprop(
            *arguments, out=out, **self._options
        )


class Relus:
    """ReLU and its gradient as calls of their own, which read and write whole arrays."""

    def __init__(self, array: Array, num_threads: int) -> None:
        value, delta = (ng.Parameter(array.dtype, array.shape) for _ in range(2))
        self._forward = ng.compile(ng.Function([ng.op.Relu(value)], [value]))
        self._backward = ng.compile(ng.Function([ng.op.ReluBackprop(value, delta)], [value, delta]))
        self._value = array
        self._out = array.copy(order="K")
        self._options: dict[str, Any] = {"num_threads": num_threads}

    def forward(self) -> None:
        """Of the normalized values."""
        self._forward(self._value, out=self._out, **self._options)

    def backward(self) -> None:
        """Of a gradient."""
        self._backward(self._value, self._value, out=self._out, **self._options)


def fused_cell(fused: Call, plain: Call, relu: Callable[[], None], repeats: int) -> str:
    """Milliseconds of the fused call, and its ratios to the plain one, without and with a ReLU."""
    outputs = fused(None), plain(None), plain(None)

    def unfused() -> None:
        plain(outputs[2])
        relu()

    calls = [lambda: fused(outputs[0]), lambda: plain(outputs[1]), unfused]
    seconds, seconds_plain, seconds_unfused = medians(calls, repeats)
    ratios = f"{seconds / seconds_plain:5.2f} {seconds / seconds_unfused:5.2f}"
    return f"{seconds * 1e3:9.3f} {ratios}"


def cell(measured: Call, beside: Call, repeats: int) -> str:
    """Milliseconds of the first call, and their ratio to the other's; both into kept outputs."""
    outputs = measured(None), beside(None)
    calls = [lambda: measured(outputs[0]), lambda: beside(outputs[1])]
    seconds, seconds_beside = medians(calls, repeats)
    return f"{seconds * 1e3:9.3f} {seconds / seconds_beside:5.2f}"


def rows(options: argparse.Namespace) -> Iterator[str]:
    """A line for each case, under a heading for each kind."""
    yield "any axis order beside C order: backward, forward, inference, its backward"
    for case in ORDERS:
        array = case.array()
        some = Calls(array, case.channel_axis, options.threads)
        in_c_order = Calls(np.ascontiguousarray(array), case.channel_axis, options.threads)
        pairs = (
            (some.backward, in_c_order.backward),
            (some.forward, in_c_order.forward),
            (some.inference, in_c_order.inference),
            (some.inference_backward, in_c_order.inference_backward),
        )
        cells = "  ".join(cell(*pair, options.repeats) for pair in pairs)
        yield f"  {cells}  {case.label()}"
    yield "fused ReLU beside the plain op, and beside the plain op and a ReLU: backward, forward"
    for element_type in FUSED_TYPES:
        for case in FUSED:
            array = case.array(element_type)
            calls = Calls(array, case.channel_axis, options.threads)
            relus = Relus(array, options.threads)
            cells = "  ".join(
                fused_cell(*three, options.repeats)
                for three in (
                    (calls.fused_backward(), calls.backward, relus.backward),
                    (calls.fused_forward, calls.forward, relus.forward),
                )
            )
            yield f"  {cells}  {element_type} {case.label()}"
    yield "with a residual beside the fused ReLU: backward, forward, inference"
    for element_type in FUSED_TYPES:
        for case in FUSED:
            calls = Calls(case.array(element_type), case.channel_axis, options.threads)
            both = (
                (calls.added_backward(), calls.fused_backward()),
                (calls.added_forward, calls.fused_forward),
                (calls.added_inference, calls.activated_inference),
            )
            cells = "  ".join(cell(*pair, options.repeats) for pair in both)
            yield f"  {cells}  {element_type} {case.label()}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.axis_orders", description=__doc__)
    parser.add_argument("--repeats", type=int, default=7, help="samples per cell (default: 7)")
    parser.add_argument("--threads", type=int, default=1, help="of a call (default: 1)")
    options = parser.parse_args()
    if min(options.repeats, options.threads) < 1:
        parser.error("--repeats and --threads take numbers of at least 1")
    print(
        "median milliseconds of a call, and the ratio to the call beside it; f32 unless it says so"
    )
    for row in rows(options):
        print(row, flush=True)


if __name__ == "__main__":
    main()
