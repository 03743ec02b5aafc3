"""An argument that is not what it should be is named, whatever was given instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import normgraph as ng

X = ng.Parameter("f32", [4, 3], name="x")
GAMMA = ng.Parameter("f32", [3], name="gamma")
NODE = ng.op.BatchNormTraining(X, GAMMA, GAMMA)
FUNCTION = ng.Function([NODE.output(0)], [X, GAMMA])
SHAPE = ng.PartialShape([1, 2])
PAIR = (np.ones(3), np.ones(3))


def rows() -> Any:
    return np.ones((4, 3), np.float32)


#: By argument: who takes it.
TAKERS: dict[str, Callable[[Any], object]] = {
    "channel_axis": lambda value: ng.batch_norm_training(rows(), None, None, channel_axis=value),
    "channel_axis of an op": lambda value: ng.op.BatchNormTraining(
        X, GAMMA, GAMMA, channel_axis=value
    ),
    "channel_axis of a mask": lambda value: ng.op.ReluMask(X, channel_axis=value),
    "num_threads": lambda value: ng.batch_norm_training(rows(), None, None, num_threads=value),
    "num_threads set": lambda value: ng.set_num_threads(value),
    "num_threads of a run": lambda value: ng.compile(FUNCTION)(
        rows(), np.ones(3, np.float32), num_threads=value
    ),
    "n": lambda value: ng.update_running_statistics(PAIR, PAIR, n=value, momentum=0.5),
    "momentum": lambda value: ng.update_running_statistics(PAIR, PAIR, n=4, momentum=value),
    "unbiased": lambda value: ng.update_running_statistics(
        PAIR, PAIR, n=4, momentum=0.5, unbiased=value
    ),
    "epsilon": lambda value: ng.batch_norm_training(rows(), None, None, epsilon=value),
    "epsilon of an op": lambda value: ng.op.BatchNormTraining(X, GAMMA, GAMMA, epsilon=value),
    "epsilon set": lambda value: setattr(NODE, "epsilon", value),
    "outputs": lambda value: ng.batch_norm_training(rows(), None, None, outputs=value),
    "outputs[0]": lambda value: ng.batch_norm_training(rows(), None, None, outputs=(value,)),
    "implementation": lambda value: ng.batch_norm_training(
        rows(), None, None, implementation=value
    ),
    "out": lambda value: ng.batch_norm_training(rows(), None, None, out=value),
    "input": lambda value: ng.batch_norm_training(value, None, None),
    "gamma": lambda value: ng.batch_norm_training(rows(), value, None),
    "running": lambda value: ng.update_running_statistics(value, PAIR, n=4, momentum=0.5),
    "name": lambda value: ng.Parameter("f32", [1], name=value),
    "name of an op": lambda value: ng.op.Negate(X, name=value),
    "name of a constant": lambda value: ng.Constant(1.0, name=value),
    "name of a function": lambda value: ng.Function([X], [X], name=value),
    "name set": lambda value: setattr(X, "friendly_name", value),
    "element_type": lambda value: ng.Parameter(value, [1]),
    "element_type of a constant": lambda value: ng.Constant(1.0, element_type=value),
    "element type": lambda value: ng.element.Type(value),
    "shape": lambda value: ng.Parameter("f32", value),
    "shape[0]": lambda value: ng.Parameter("f32", [value]),
    "dimension": lambda value: ng.Dimension(value),
    "dimension low": lambda value: ng.Dimension((value, 3)),
    "dimension high": lambda value: ng.Dimension((0, value)),
    "other": lambda value: SHAPE.merge(value),
    "axis": lambda value: SHAPE[value],
    "key": lambda value: NODE.output(value),
    "key of an input": lambda value: NODE.input(value),
    "node": lambda value: ng.Output(value, 0),
    "index": lambda value: ng.Output(NODE, value),
    "inputs": lambda value: NODE.clone_with_new_inputs(value),
    "inputs[0]": lambda value: NODE.clone_with_new_inputs([value, GAMMA, GAMMA]),
    "kept_axes": lambda value: ng.op.Sum(X, value),
    "kept_axes[0]": lambda value: ng.op.Sum(X, [value]),
    "axes[0]": lambda value: ng.op.Broadcast(GAMMA, X, [value]),
    "transpose_left": lambda value: ng.op.MatrixMultiply(X, X, transpose_left=value),
    "value": lambda value: ng.op.Negate(value),
    "results": lambda value: ng.Function(value, []),
    "results[0]": lambda value: ng.Function([value], []),
    "parameters": lambda value: ng.Function([X], value),
    "parameters[0]": lambda value: ng.Function([X], [value]),
    "function": lambda value: ng.compile(value),
    "function of gradients": lambda value: ng.gradients(value),
    "function of decompose": lambda value: ng.decompose(value),
    "function of fuse_relu": lambda value: ng.fuse_relu(value),
    "wrt": lambda value: ng.gradients(FUNCTION, wrt=value),
    "compute_type": lambda value: ng.decompose(FUNCTION, compute_type=value),
    "backend": lambda value: ng.compile(FUNCTION, backend=value),
    "data": lambda value: ng.Constant.from_bytes("f32", [1], value),
}


class Odd:
    """Looks like much, and is nothing."""

    def __index__(self) -> int:
        raise ValueError("odd index")

    def __float__(self) -> float:
        raise ValueError("odd float")

    def __repr__(self) -> str:
        raise ValueError("odd repr")


class Surrogates:
    def __repr__(self) -> str:
        return "\ud800"


class Proxy:
    """Says that it is of another class, as proxies and mocks do."""

    def __init__(self, pretended: type) -> None:
        self._pretended = pretended

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return self._pretended


VALUES: dict[str, Any] = {
    "proxy of a node": Proxy(ng.Node),
    "proxy of a parameter": Proxy(ng.Parameter),
    "proxy of an output": Proxy(ng.Output),
    "proxy of a function": Proxy(ng.Function),
    "proxy of a dimension": Proxy(ng.Dimension),
    "proxy of a shape": Proxy(ng.PartialShape),
    "proxy of a type": Proxy(ng.element.Type),
    "proxy of a number": Proxy(float),
    "proxy of a flag": Proxy(np.bool_),
    "a vector": np.array([1]),
    "two numbers": np.array([1, 2]),
    "too large": 2**70,
    "too small": -(2**70),
    "negative": -(2**40),
    "not a number": float("nan"),
    "complex": 1j,
    "text": "nonsense",
    "lone surrogate": "\ud800",
    "empty": "",
    "bytes": b"\xff",
    "object": object(),
    "odd": Odd(),
    "odd text": Surrogates(),
    "class": int,
    "module": np,
    "set": {1},
    "dict": {1: 2},
    "nested": [[[1]]],
}


#: Good values of arguments.
TAKEN = {
    "epsilon": ("too large",),
    "name": ("text",),
    "shape": ("a vector", "two numbers"),
    "other": ("two numbers",),
    "kept_axes": ("a vector",),
}


@pytest.mark.parametrize("taker", TAKERS)
def test_a_wrong_value_is_an_error_that_names_the_argument(taker: str) -> None:
    name = taker.split(" ")[0].split("[")[0]
    said = {"element": "element type", "other": "described by both", "key": " named '"}
    before = (ng.get_num_threads(), X.friendly_name, NODE.epsilon)
    for what, value in VALUES.items():
        try:
            TAKERS[taker](value)
        except (TypeError, ValueError, IndexError) as error:
            message = str(error)
            assert "incompatible" not in message, f"{what}: {message}"
            assert name in message or said.get(name, name) in message, f"{what}: {message}"
        else:
            assert what in TAKEN.get(taker.split(" ")[0], ()), f"{taker} takes {what}"
        finally:
            ng.set_num_threads(before[0])
            X.friendly_name = before[1]
            NODE.epsilon = before[2]


def test_bounds_are_read_once() -> None:
    bounds: list[Any] = []

    class Clearing:
        def __index__(self) -> int:
            bounds.clear()
            return 1

    bounds += [Clearing(), 3]
    assert str(ng.Dimension(bounds)) == "1..3"  # type: ignore[arg-type]


def test_proxies_are_equal_to_nothing() -> None:
    assert X.output(0) != Proxy(ng.Output)
    assert ng.Dimension(3) != Proxy(ng.Dimension)
    assert ng.PartialShape([3]) != Proxy(ng.PartialShape)


def test_a_memo_with_other_things_is_refused() -> None:
    with pytest.raises(TypeError, match="memo: expected a Node as the copy of x"):
        ng.op.Negate(X).__deepcopy__({id(X): 5})
    with pytest.raises(TypeError, match=r"memo\[0\]: expected a Parameter"):
        FUNCTION.__deepcopy__({id(X): NODE})


@pytest.mark.parametrize("index", [2**64, -(2**64), 7, -1])
def test_an_index_out_of_range_says_what_came(index: int) -> None:
    with pytest.raises((IndexError, ValueError), match=str(index)):
        NODE.output(index)
    with pytest.raises((IndexError, ValueError), match=str(index)):
        ng.Output(NODE, index)


def test_dlpack_devices_may_say_anything() -> None:
    class Lender:
        def __init__(self, device: object) -> None:
            self._device = device

        def __dlpack_device__(self) -> object:
            return self._device

        def __dlpack__(self, **options: object) -> object:
            return np.ones((4, 3), np.float32).__dlpack__()

    for device in [(2**70, 0), (-1, 0), ("1", 0), (1,), 1, None, (None, None), (np.array([1]), 0)]:
        with pytest.raises((TypeError, ValueError), match=r"input: .*expected"):
            ng.batch_norm_training(Lender(device), None, None)


def test_advice_where_element_types_do_not_fit() -> None:
    x = rows()
    with pytest.raises(ng.NodeValidationFailure) as raised:
        ng.batch_norm_training(x, np.ones(3), np.ones(3))
    assert "gamma.astype('float32'), beta.astype('float32')" in str(raised.value)
    assert raised.value.labels == ("C4",)
    with pytest.raises(ng.NodeValidationFailure) as raised:
        ng.batch_norm_training(x.astype(np.float16), np.ones(3), None)
    assert "gamma.astype('float32')" in str(raised.value)
    vector = np.ones(3, np.float32)
    with pytest.raises(ng.NodeValidationFailure) as raised:
        ng.batch_norm_training_backprop(x, vector, None, vector, vector, x.astype(np.float64))
    assert "normalized_delta.astype('float32')" in str(raised.value)
    with pytest.raises(ng.NodeValidationFailure) as raised:
        ng.batch_norm_training(x, np.ones(4, np.float32), None)
    assert "astype" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("float16", "f16"),
        ("bfloat16", "bf16"),
        ("float32", "f32"),
        ("float64", "f64"),
        ("int8", "i8"),
        ("uint64", "u64"),
        ("bool", "boolean"),
        (np.dtype("float32"), "f32"),
        (np.int16, "i16"),
    ],
)
def test_names_of_numpy_are_understood(given: Any, name: str) -> None:
    assert ng.Parameter(given, [1]).element_type.name == name
    assert ng.element.Type(given).name == name


@pytest.mark.parametrize("given", ["float", "float8", "complex64", "Float32", "torch.float32"])
def test_other_names_are_refused(given: str) -> None:
    with pytest.raises(ValueError, match="element_type: expected an element type"):
        ng.Parameter(given, [1])
