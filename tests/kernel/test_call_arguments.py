"""Arguments by position and by name, as every Python function takes them, and what comes back."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import normgraph as ng
from tests.op.signatures import ALL

from .arguments import arguments_of
from .comparison import assert_same_bits
from .samples import Sample

SAMPLE = Sample((4, 3, 5), seed=97)
INPUTS: dict[str, dict[str, Any]] = {
    signature.function.__name__: arguments_of(SAMPLE, signature.inputs) for signature in ALL
}
SEVERAL_OUTPUTS = [signature.function.__name__ for signature in ALL if len(signature.outputs) > 1]
EVERY_FUNCTION = pytest.mark.parametrize("function", INPUTS)


def options_of(function: str) -> dict[str, Any]:
    """A value for each parameter behind the inputs, in their order; none is the default, but for
    lengths, which where excludes.
    """
    options: dict[str, Any] = {"epsilon": 0.5, "channel_axis": -2}
    op = next(signature.op for signature in ALL if signature.function.__name__ == function)
    values = {"statistics_type": "f64", "upper_bound": 0.5}
    optional = {name: values[name] for name in op.optional_attributes}
    options |= optional
    options["out"] = np.empty(SAMPLE.shape, np.float32)
    if function in SEVERAL_OUTPUTS:
        result = getattr(ng, function)(**INPUTS[function], **optional)
        options |= {"out": tuple(map(np.empty_like, result)), "outputs": result._fields}
    options |= {"num_threads": 1, "implementation": ng.implementations()[-1]}
    reduction = reduction_of(function)
    if reduction:
        reduction |= {"where": np.arange(SAMPLE.shape[-1]) % 2 == 0, "lengths": None}
    return {**options, **reduction}


def reduction_of(function: str) -> dict[str, Any]:
    """That of a batch of which the inputs are a part, where the function takes one."""
    inputs = INPUTS[function]
    x = inputs["input"]
    if function.startswith("batch_norm_training") and not function.endswith("backprop"):
        part = ng.batch_norm_statistics(x, channel_axis=-2)
        return {"statistics": part + ng.batch_norm_statistics(x + 1, channel_axis=-2)}
    if not function.startswith("batch_norm_training"):
        return {}
    mean, variance = inputs["mean"], inputs["variance"]
    sums = ng.batch_norm_backprop_sums(x, mean, variance, x, channel_axis=-2)
    return {"sums": sums + sums}


def bits(result: Any) -> list[bytes]:
    return [array.tobytes() for array in (result if isinstance(result, tuple) else [result])]


@EVERY_FUNCTION
def test_arguments_by_position_and_by_name_are_the_same(function: str) -> None:
    call, inputs, options = getattr(ng, function), INPUTS[function], options_of(function)
    arguments = {**inputs, **options}
    assert list(inspect.signature(call).parameters) == list(arguments)
    without_out = {name: value for name, value in arguments.items() if name != "out"}
    expected = bits(call(**without_out))
    assert expected != bits(call(**inputs))  # the options are read
    for positional in range(len(arguments) + 1):
        by_position = list(arguments.values())[:positional]
        by_name = dict(reversed(list(arguments.items())[positional:]))
        assert bits(call(*by_position, **by_name)) == expected, f"{positional} by position"


@EVERY_FUNCTION
def test_names_need_not_be_interned(function: str) -> None:
    call, inputs = getattr(ng, function), INPUTS[function]
    names = {"".join(list(name)): value for name, value in inputs.items()}
    assert not any(ours is theirs for ours, theirs in zip(names, inputs, strict=True))
    assert bits(call(**names)) == bits(call(**inputs))


@EVERY_FUNCTION
def test_defaults_are_those_of_the_signature(function: str) -> None:
    call, inputs = getattr(ng, function), INPUTS[function]
    parameters = inspect.signature(call).parameters.values()
    defaults = {
        parameter.name: parameter.default
        for parameter in parameters
        if parameter.default is not parameter.empty
    }
    assert defaults["epsilon"] == 1e-5
    assert defaults["channel_axis"] == 1
    assert {parameter.name for parameter in parameters} == {*inputs, *defaults}
    assert bits(call(**inputs, **defaults)) == bits(call(**inputs))


@EVERY_FUNCTION
def test_a_call_that_does_not_fit_is_told_the_signature(function: str) -> None:
    call, inputs = getattr(ng, function), INPUTS[function]
    values = list(inputs.values())
    too_many = len(inspect.signature(call).parameters) + 1
    cases: dict[str, Callable[[], object]] = {
        "no 'input'": lambda: call(),
        "no 'beta'": lambda: call(*values[:2], **dict(list(inputs.items())[3:])),
        "no 'gamma'": lambda: call(values[0], beta=None),
        "'input' twice": lambda: call(*values, input=values[0]),
        "an argument named 'eps'": lambda: call(*values, eps=1e-5),
        f"{too_many} positional arguments": lambda: call(*[None] * too_many),
    }
    for came, refused in cases.items():
        with pytest.raises(TypeError) as raised:
            refused()
        expected = f"{function}{inspect.signature(call)}"
        assert str(raised.value) == f"{function}(): expected {expected}, got {came}"


@EVERY_FUNCTION
def test_functions_are_those_of_the_module(function: str) -> None:
    call = getattr(ng, function)
    assert (call.__name__, call.__module__) == (function, "normgraph._core")
    assert pickle.loads(pickle.dumps(call)) is call
    assert copy.deepcopy(call) is call
    assert inspect.getdoc(call).splitlines()[0].endswith(".")
    assert "Parameters\n----------" in call.__doc__


@pytest.mark.parametrize("function", SEVERAL_OUTPUTS)
def test_results_are_named_tuples_like_any_other(function: str) -> None:
    result = getattr(ng, function)(**INPUTS[function])
    other = type(result)(*result)
    assert isinstance(result, tuple)
    assert result._asdict().keys() == other._asdict().keys() == set(result._fields)
    assert all(ours is theirs for ours, theirs in zip(result, other, strict=True))
    for copied in (copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert type(copied) is type(result)
        for array, original in zip(copied, result, strict=True):
            assert_same_bits(array, original, str(SAMPLE))
    with pytest.raises(TypeError, match="unhashable"):
        hash(result)  # arrays are not hashable
    with pytest.raises(AttributeError):
        result.another = None
