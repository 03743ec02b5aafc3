"""What the classes say of themselves: names, kinds, signatures, and documentation."""

from __future__ import annotations

import inspect
import pickle
from typing import Any

import pytest

import normgraph as ng

from .signatures import (
    ALL,
    ATTRIBUTES,
    INPUTS,
    MASKED,
    OPTIONAL_ATTRIBUTES,
    OPTIONAL_INPUTS,
    STAGES,
)

EVERY_OP = pytest.mark.parametrize("op", INPUTS)
FUNCTIONS = {
    "compile": ("function", "backend"),
    "gradients": ("function", "wrt"),
    "decompose": ("function", "compute_type"),
    "fuse_relu": ("function",),
    "widen_statistics": ("function",),
    "implementations": (),
    "config": (),
    "memory": (),
    "release_memory": (),
    "get_num_threads": (),
    "set_num_threads": ("num_threads",),
}


def test_every_op_stands_in_the_table() -> None:
    assert set(ng.op.__all__) == {"BatchNormNode", *INPUTS}


@EVERY_OP
def test_a_class_tells_its_signature(op: str) -> None:
    op_class: Any = getattr(ng.op, op)
    assert op_class.input_names == INPUTS[op]
    assert op_class.attribute_kinds == ATTRIBUTES[op]
    optional_inputs = OPTIONAL_INPUTS.get(op, ())
    assert op_class.optional_inputs == optional_inputs
    expected = [*INPUTS[op], *ATTRIBUTES[op]]
    signatures = [inspect.signature(call).parameters for call in (op_class, op_class.infer)]
    assert list(signatures[0]) == [*expected, "name", *optional_inputs]
    assert list(signatures[1]) == [*expected, *optional_inputs]
    inputs = [ng.Parameter("dynamic", None) for _ in INPUTS[op]]
    node = op_class(*inputs, **({"element_type": "f32"} if op == "Convert" else {}))
    assert tuple(value.name for value in node.inputs) == INPUTS[op]
    assert tuple(value.name for value in node.outputs) == op_class.output_names
    is_given = [name for name in ATTRIBUTES[op] if name not in op_class.optional_attributes]
    assert list(node.attributes) == is_given
    optional = tuple(name for name in ATTRIBUTES[op] if name in OPTIONAL_ATTRIBUTES)
    assert op_class.optional_attributes == optional
    assert all(getattr(node, name) is None for name in optional)


@pytest.mark.parametrize(
    "signature", [*ALL, *STAGES], ids=lambda signature: str(signature.op.__name__)
)
def test_outputs_are_those_of_the_table(signature: Any) -> None:
    assert signature.op.output_names == signature.outputs


def test_defaults_are_those_of_the_call() -> None:
    parameters = inspect.signature(ng.op.BatchNormTraining).parameters
    assert parameters["epsilon"].default == 1e-5
    assert parameters["channel_axis"].default == 1
    assert parameters["name"].default is None
    assert parameters["input"].default is inspect.Parameter.empty
    assert inspect.signature(ng.op.Sum).parameters["kept_axes"].default == ()
    assert inspect.signature(ng.op.MatrixMultiply).parameters["transpose_left"].default is False
    assert inspect.signature(ng.compile).parameters["backend"].default == "cpu"
    assert inspect.signature(ng.decompose).parameters["compute_type"].default == "f64"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_have_signatures(name: str) -> None:
    function = getattr(ng, name)
    assert tuple(inspect.signature(function).parameters) == FUNCTIONS[name]
    assert pickle.loads(pickle.dumps(function)) is function


X = ng.Parameter("f32", [None, 3], name="x")
SIGNATURE = r"Multiply\(left, right, name=None\)"


@pytest.mark.parametrize(
    ("positional", "named", "came"),
    [
        ((X,), {}, "no 'right'"),
        ((), {}, "no 'left'"),
        ((X, X, "y", 4), {}, "4 positional arguments"),
        ((X, X), {"axis": 1}, "an argument named 'axis'"),
        ((X, X), {"left": X}, "'left' twice"),
    ],
)
def test_a_call_that_does_not_fit(positional: Any, named: Any, came: str) -> None:
    with pytest.raises(TypeError, match=rf"^Multiply\(\): expected {SIGNATURE}, got {came}$"):
        ng.op.Multiply(*positional, **named)


def test_infer_and_functions_say_the_same_of_such_calls() -> None:
    with pytest.raises(
        TypeError, match=r"^infer\(\): expected infer\(left, right\), got no 'right'"
    ):
        ng.op.Multiply.infer(("f32", [2]))
    with pytest.raises(
        TypeError, match=r"^gradients\(\): expected gradients\(function, wrt=None\)"
    ):
        ng.gradients()  # type: ignore[call-arg]


@EVERY_OP
def test_documentation_names_what_there_is(op: str) -> None:
    doc = inspect.getdoc(getattr(ng.op, op)) or ""
    assert "\n    " in doc.partition("every violated constraint:\n")[2]
    for name in ATTRIBUTES[op]:
        assert f"\n{name} : " in doc
    assert "{" not in doc.replace("{outer, ", "")


@pytest.mark.parametrize(
    "signature", [*ALL, *STAGES], ids=lambda signature: str(signature.op.__name__)
)
def test_documentation_of_the_family(signature: Any) -> None:
    doc = inspect.getdoc(signature.op) or ""
    sections = {
        line
        for line, below in zip(doc.splitlines(), doc.splitlines()[1:], strict=False)
        if set(below) == {"-"}
    }
    assert sections == {"Inputs", "Attributes", "Outputs"}
    listed = [
        name
        for line in doc.splitlines()
        if " : " in line
        for name in line.partition(" : ")[0].split(", ")
    ]
    attributes = ATTRIBUTES[signature.op.__name__]
    inputs = [*signature.inputs, *OPTIONAL_INPUTS.get(signature.name, ())]
    assert listed == [*inputs, *attributes, *signature.outputs]
    labels = {line.split()[0] for line in doc.splitlines() if line.startswith("    C")}
    expected = {"C2", "C5", "C6", "C10"}
    if "epsilon" in attributes:
        expected |= {"C1"}
    if signature.vectors:
        expected |= {"C4", "C8", "C9"}
    if len(signature.data) > 1:
        expected |= {"C3", "C7"}
    if "mask" in signature.inputs:
        expected |= {"C11", "C12"}
    if "upper_bound" in attributes:
        expected |= {"C13"}
    if signature.sums:
        expected |= {"C14", "C15"}
    if signature in MASKED:
        expected |= {"C16", "C17"}
    assert labels == expected
