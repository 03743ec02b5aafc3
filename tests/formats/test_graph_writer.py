"""Properties that StableHLO and ONNX share, since one writer of graphs writes both."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings

import normgraph as ng
from normgraph.formats import NotExpressibleError, onnx, stablehlo
from normgraph.formats.graph_writer import GraphWriter, method_name
from tests.op.signatures import INPUTS

from .functions import ELEMENT_TYPES, functions
from .layers import constant_layers, layer

ONES = b"\0\0\x80?" * 3


class Format(NamedTuple):
    """A format: what writes, and what the tests read of what is written."""

    writer: type[GraphWriter]
    type_names: Mapping[str, str]
    write: Callable[..., Any]
    #: The names of values, in the order in which they are made.
    names: Callable[[Any], list[str]]
    #: The names of constants that hold three ones.
    constants: Callable[[Any], list[str]]
    #: Whether a shape must be static, not only its rank.
    is_static: bool


def graph_of(function: ng.Function, family: onnx.Family = "native") -> onnx.Graph:
    return onnx.Writer(family, None).graph_of(function)


def names_of_graph(graph: onnx.Graph) -> list[str]:
    names = [item.name for item in [*graph.inputs, *graph.initializers]]
    return names + [name for statement in graph.statements for name in statement.outputs]


def constants_of_graph(graph: onnx.Graph) -> list[str]:
    return [item.name for item in graph.initializers if item.data == ONES]


def names_of_text(text: str) -> list[str]:
    return re.findall(r"^ +%(\S+) =", text, flags=re.MULTILINE)


def constants_of_text(text: str) -> list[str]:
    pattern = rf"%(\S+) = stablehlo\.constant dense<\"0x{ONES.hex().upper()}\"> : tensor<3xf32>"
    return re.findall(pattern, text)


FORMATS = {
    "onnx": Format(
        onnx.Writer, onnx.protobuf.TYPE_NAMES, graph_of, names_of_graph, constants_of_graph, False
    ),
    "stablehlo": Format(
        stablehlo.writer.Writer,
        stablehlo.writer.TYPE_NAMES,
        stablehlo.dumps,
        names_of_text,
        constants_of_text,
        True,
    ),
}


@pytest.fixture(params=FORMATS)
def format_(request: pytest.FixtureRequest) -> Format:
    return FORMATS[request.param]


def test_every_op_and_element_type_has_a_form(format_: Format) -> None:
    assert {element_type.name for element_type in ELEMENT_TYPES} == set(format_.type_names)
    writer = format_.writer
    assert set(writer.ELEMENT_WISE) < set(INPUTS)
    for name in ("Parameter", "Constant", *INPUTS):
        is_walked = name.startswith("BatchNorm") or name in ("Parameter", "Constant")
        has_method = callable(getattr(writer, method_name(name), None))
        assert [is_walked, has_method, name in writer.ELEMENT_WISE].count(True) == 1, name


@pytest.mark.parametrize("epsilon", [1e300, 1e-60])
def test_an_epsilon_that_f32_has_not_is_written_as_stages(format_: Format, epsilon: float) -> None:
    function = layer(epsilon=epsilon)
    assert format_.write(function, "native") == format_.write(function, "stages")


@pytest.mark.parametrize("family", ["native", "stages"])
@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["conv1.weight", "_b-$"], ["conv1.weight", "_b-$"]),
        (["w", "w", "w_1", "w"], ["w", "w_1", "w_1_1", "w_2"]),
        # A stage has a constant of this name, which is no one's choice.
        (["v", "epsilon", "value", "constant"], ["v", "epsilon", "value", "constant"]),
        # This is taken by what is shown outside.
        (["x"], ["x_1"]),
    ],
)
def test_constants_keep_their_names(
    format_: Format, family: str, names: list[str], expected: list[str]
) -> None:
    assert format_.constants(format_.write(constant_layers(*names), family)) == expected


@pytest.mark.parametrize("write", [onnx.to_model, stablehlo.dumps])
def test_another_family_is_refused(write: Any) -> None:
    with pytest.raises(ValueError, match=r'^family: expected "\w+" or "\w+", got \'fast\'$'):
        write(layer(), family="fast")


def test_element_types_must_be_known(format_: Format) -> None:
    x = ng.Parameter("dynamic", [2], name="x")
    message = "Parameter 'x': expected a known element type of output, got dynamic"
    with pytest.raises(NotExpressibleError, match=message):
        format_.write(ng.Function([x], [x]))


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=100)
@given(function=functions())
def test_a_function_is_written_or_refused(name: str, function: ng.Function) -> None:
    format_ = FORMATS[name]
    try:
        names = format_.names(format_.write(function))
    except NotExpressibleError as error:
        refusal = str(error)
    else:
        assert len(names) == len(set(names))
        return
    assert "fewer than 2^63 elements" in refusal or any(
        output.element_type.is_dynamic
        or output.partial_shape.rank.is_dynamic
        or (format_.is_static and output.partial_shape.is_dynamic)
        for node in function.nodes
        for output in node.outputs
    )
