"""JSON: round trips to the bit, and every fault of a text named with its place."""

from __future__ import annotations

import base64
import json
import math
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import normgraph as ng
from normgraph.formats.attributes import ELEMENT_TYPES, in_little_endian
from normgraph.formats.json import FormatError, dump, dumps, load, loads
from tests.ir.graphs import chain, two_layers

from .functions import constants, facts, functions

Change = Callable[[dict[str, Any]], Any]


def layer() -> ng.Function:
    """Nodes: 0 x, 1 gamma, 2 beta, 3 norm."""
    x = ng.Parameter("f32", [None, 3, (2, 8)], name="x")
    gamma = ng.Parameter("f32", [3], name="gamma")
    beta = ng.Constant([0.0, -0.0, 1.5], "f32", name="beta")
    norm = ng.op.BatchNormTraining(x, gamma, beta, name="norm")
    return ng.Function(norm.outputs, [x, gamma], name="layer")


def masked_layer() -> ng.Function:
    """Nodes: 0 x, 1 gamma, 2 beta, 3 where, 4 norm."""
    x = ng.Parameter("f32", [None, 3, (2, 8)], name="x")
    gamma, beta = (ng.Parameter("f32", [3], name=name) for name in ("gamma", "beta"))
    where = ng.Parameter("boolean", [None, 1, None], name="where")
    norm = ng.op.BatchNormTraining(x, gamma, beta, name="norm", where=where)
    return ng.Function(norm.outputs[:1], [x, gamma, beta, where], name="masked")


# ---- round trips ---------------------------------------------------------------------------------


def reaches_to_itself(function: ng.Function) -> None:
    text = dumps(function)
    again = loads(text)
    assert facts(again) == facts(function)
    assert dumps(again) == text
    assert loads(text.encode()).friendly_name == function.friendly_name
    json.loads(text, parse_constant=pytest.fail)


@given(functions())
def test_a_function_returns_to_the_bit(function: ng.Function) -> None:
    reaches_to_itself(function)


@given(constants())
def test_a_constant_returns_to_the_bit(constant: ng.Constant) -> None:
    reaches_to_itself(ng.Function([constant], []))


@given(st.floats(0, allow_infinity=False))
def test_epsilon_returns_to_the_bit(epsilon: float) -> None:
    function = layer()
    function.nodes[-1].epsilon = epsilon  # type: ignore[attr-defined]
    again = loads(dumps(function)).nodes[-1].attributes["epsilon"]
    assert struct.pack("<d", again) == struct.pack("<d", epsilon)


def test_an_input_that_may_be_left_out_is_written_where_it_is_there() -> None:
    function = masked_layer()
    line = dumps(function).splitlines()[9]
    assert '"beta": [2, "output"], "where": [3, "output"]}' in line
    gradients = ng.gradients(function, function.parameters[:3])
    for of_masks in (function, gradients, ng.decompose(function), ng.decompose(gradients)):
        reaches_to_itself(of_masks)
    # Its place in the text does not matter.
    text = dumps(function)
    moved = text.replace('"inputs": {"input"', '"inputs": {"where": [3, "output"], "input"')
    moved = moved.replace(', "where": [3, "output"]}', "}")
    assert moved != text
    assert dumps(loads(moved)) == text
    left_out = loads(text.replace(', "where": [3, "output"]}', "}")).results[0].node
    assert [value.name for value in left_out.inputs] == ["input", "gamma", "beta"]
    with pytest.raises(FormatError, match=r"nodes\[4\].inputs.where: expected an array, got null"):
        loads(text.replace('"where": [3, "output"]', '"where": null'))


@pytest.mark.parametrize("function", [two_layers(), layer(), ng.gradients(layer())])
def test_functions_with_shared_nodes(function: ng.Function) -> None:
    reaches_to_itself(function)


@pytest.mark.parametrize("compute_type", ["f64", None])
def test_stages_of_gradients(compute_type: str | None) -> None:
    reaches_to_itself(ng.decompose(ng.gradients(layer()), compute_type))


def test_negative_zero_and_special_values_keep_their_bits() -> None:
    values = np.array([0x7FC00001, 0xFFC12345, 0x7F800000, 0x80000000, 1], np.uint32)
    constant = ng.Constant.from_bytes("f32", [5], values.tobytes())
    data = loads(dumps(ng.Function([constant], []))).nodes[0].attributes["data"]
    assert data == values.tobytes()


def test_a_declaration_returns_as_it_is_declared() -> None:
    function = layer()
    function.parameters[0].partial_shape = [8, 3, 4]
    assert loads(dumps(function)).parameters[0].partial_shape == [8, 3, 4]


def test_a_chain_of_any_depth() -> None:
    function = chain(5_000)
    assert str(loads(dumps(function))) == str(function)


def test_files(tmp_path: Path) -> None:
    function = layer()
    function.friendly_name = "σ-layer"
    dump(function, tmp_path / "layer.json")
    dump(function, str(tmp_path / "layer.json"))
    assert facts(load(tmp_path / "layer.json")) == facts(function)
    assert "σ-layer" in (tmp_path / "layer.json").read_text("utf-8")


def test_the_text_is_a_line_for_each_node() -> None:
    lines = dumps(layer()).splitlines()
    assert lines[5] == (
        '    {"id": 0, "op": "Parameter", "name": "x", "inputs": {}, '
        '"attributes": {"element_type": "f32", "shape": [null, 3, [2, 8]]}},'
    )
    assert lines[8] == (
        '    {"id": 3, "op": "BatchNormTraining", "name": "norm", "inputs": '
        '{"input": [0, "output"], "gamma": [1, "output"], "beta": [2, "output"]}, '
        '"attributes": {"epsilon": 1e-05, "channel_axis": 1}}'
    )


def test_the_type_of_statistics_is_written_where_it_is_given() -> None:
    x, gamma = ng.Parameter("bf16", [4, 3], name="x"), ng.Parameter("bf16", [3], name="gamma")
    for asked in (None, "bf16", "f32"):
        norm = ng.op.BatchNormTraining(x, gamma, gamma, statistics_type=asked)
        text = dumps(ng.Function(norm.outputs, [x, gamma]))
        written = '"epsilon": 1e-05, "channel_axis": 1' + (
            f', "statistics_type": "{asked}"}}' if asked else "}"
        )
        assert written in text
        again = loads(text).results[1].node
        assert again.attributes == norm.attributes
        assert again.output("mean").element_type == norm.output("mean").element_type


def test_upper_bounds_are_written_where_there_are_some() -> None:
    x, gamma = ng.Parameter("f32", [4, 3], name="x"), ng.Parameter("f32", [3], name="gamma")
    for bound in (None, 6.0, 0.1):
        norm = ng.op.BatchNormTrainingRelu(x, gamma, gamma, upper_bound=bound)
        nodes = [ng.op.Relu(x, bound), ng.op.ReluMask(x, 1, bound), norm.output("mask")]
        text = dumps(ng.Function(nodes, [x, gamma]))
        assert text.count(f'"upper_bound": {bound}') == (3 if bound else 0)
        assert [result.node.attributes.get("upper_bound") for result in loads(text).results] == [
            bound
        ] * 3


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_big_endian_elements_are_written_in_little_endian(size: int) -> None:
    data = bytes(range(2 * size))
    swapped = data[:size][::-1] + data[size:][::-1]
    assert in_little_endian(data, size, "big") == swapped
    assert in_little_endian(data, size, "little") == data


@pytest.mark.parametrize("call", [dumps, lambda _: loads(3)])  # type: ignore[arg-type]
def test_what_is_no_function_or_text_is_a_type_error(call: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match="expected"):
        call("x")


def test_there_are_at_most_64_axes() -> None:
    x = ng.Parameter("f32", [1] * 64)
    reaches_to_itself(ng.Function([ng.op.Sum(x, range(64))], [x]))
    for node in [ng.Parameter("f32", [1] * 65), ng.Constant.from_bytes("u8", [0] * 65, b"")]:
        node.friendly_name = "x"
        with pytest.raises(FormatError, match="shape of 'x': expected at most 64 axes, got 65"):
            dumps(ng.Function([node], [node] if isinstance(node, ng.Parameter) else []))
    dynamic = ng.Parameter("f32", None)
    with pytest.raises(FormatError, match="kept_axes of 'y': expected at most 64 axes, got 65"):
        dumps(ng.Function([ng.op.Sum(dynamic, range(65), name="y")], [dynamic]))


def test_every_element_type_is_known() -> None:
    assert all(ng.element.Type(name) == value for name, value in ELEMENT_TYPES.items())
    assert len(ELEMENT_TYPES) == 14


# ---- texts that are not in the format ------------------------------------------------------------


def changed(change: Change) -> str:
    document = json.loads(dumps(layer()))
    change(document)
    return json.dumps(document)


def put(*path: Any) -> Change:
    """A change that puts the last argument where the others lead."""

    def change(document: dict[str, Any]) -> None:
        place: Any = document
        for key in path[:-2]:
            place = place[key]
        place[path[-2]] = path[-1]

    return change


def drop(*path: Any) -> Change:
    """A change that drops what is at the end of the path."""

    def change(document: dict[str, Any]) -> None:
        place: Any = document
        for key in path[:-1]:
            place = place[key]
        del place[path[-1]]

    return change


NORM = ("nodes", 3)
X = ("nodes", 0, "attributes", "shape")
DATA = ("nodes", 2, "attributes", "data")
BETA = ("nodes", 2, "attributes", "shape")
FAULTS: list[tuple[Change, str]] = [
    (drop("format"), 'expected the key "format", which is missing'),
    (put("format", "onnx"), 'format: expected "normgraph", got "onnx"'),
    (put("version", 2), "version: expected 1, the version that this normgraph reads, got 2"),
    (put("version", 1.0), "version: expected an integer, got 1.0"),
    (put("version", True), "version: expected an integer, got true"),
    (put("extra", 1), 'unknown key "extra" (the keys are "format", "version", "name", "nodes", '),
    (put("name", ""), "name: expected a name, got an empty string"),
    (put("name", 3), "name: expected a string, got 3"),
    (put("name", "\ud800"), "name: expected a string of whole characters, got "),
    (put("nodes", {}), "nodes: expected an array, got an object"),
    (put("nodes", []), "results[0][0]: expected the index of a node before this one, but there is"),
    (put("nodes", 3, []), "nodes[3]: expected an object, got an array"),
    (drop("nodes", 1), "nodes[1].id: expected 1, its place in the array, got 2"),
    (put(*NORM, "op", "Softmax"), 'nodes[3].op: expected an op of this version, got "Softmax"'),
    (put(*NORM, "op", "BatchNormNode"), "nodes[3].op: expected an op"),
    (put(*NORM, "op", "Relu"), 'nodes[3].inputs: expected the key "value", which is missing'),
    (drop(*NORM, "inputs", "beta"), 'nodes[3].inputs: expected the key "beta", which is missing'),
    (put(*NORM, "inputs", "mean", [0, "output"]), 'nodes[3].inputs: unknown key "mean"'),
    (put(*NORM, "inputs", "beta", [3, "mean"]), "nodes[3].inputs.beta[0]: expected the index of a"),
    (
        put(*NORM, "inputs", "beta", [-1, "output"]),
        "nodes[3].inputs.beta[0]: expected the index of",
    ),
    (put(*NORM, "inputs", "beta", [2**70, "output"]), "nodes[3].inputs.beta[0]: expected an integ"),
    (put(*NORM, "inputs", "beta", [2]), "nodes[3].inputs.beta: expected [id, name of an output], "),
    (put(*NORM, "inputs", "beta", [2, "mean"]), "beta[1]: expected an output of Constant (output)"),
    (put("nodes", 0, "inputs", "value", [0, "output"]), 'nodes[0].inputs: unknown key "value" (th'),
    (
        put(*NORM, "attributes", "statistics_type", None),
        "nodes[3].attributes.statistics_type: expected a string, got null",
    ),
    (
        put(*NORM, "attributes", "statistics_type", "float"),
        "nodes[3].attributes.statistics_type: expected an element type (",
    ),
    (put(*NORM, "attributes", "epsilon", "x"), "nodes[3].attributes.epsilon: expected a number, g"),
    (
        put(*NORM, "attributes", "epsilon", False),
        "attributes.epsilon: expected a number, got false",
    ),
    (drop(*NORM, "attributes", "epsilon"), 'nodes[3].attributes: expected the key "epsilon", whic'),
    (put(*NORM, "attributes", "momentum", 1), 'nodes[3].attributes: unknown key "momentum"'),
    (
        put(*NORM, "attributes", "channel_axis", 1.5),
        "attributes.channel_axis: expected an integer,",
    ),
    (
        put("nodes", 0, "attributes", "element_type", "float"),
        "element_type: expected an element ty",
    ),
    (put(*X, "?"), 'nodes[0].attributes.shape: expected an array, got "?"'),
    (put(*X, [-1]), "nodes[0].attributes.shape[0]: "),
    (put(*X, [3, 2**64 - 1]), "nodes[0].attributes.shape[1]: "),
    (put(*X, ["?"]), 'nodes[0].attributes.shape[0]: expected a length, null or [low, high], got "'),
    (
        put(*X, [[1]]),
        "nodes[0].attributes.shape[0]: expected [low, high], got an array of length 1",
    ),
    (put(*X, [[3, 2]]), "nodes[0].attributes.shape[0]: "),
    (put(*X, [[None, 2]]), "nodes[0].attributes.shape[0][0]: expected an integer, got null"),
    (put(*X, [1] * 65), "nodes[0].attributes.shape: expected at most 64 axes, got 65"),
    (put(*BETA, [1] * 65), "nodes[2].attributes.shape: expected at most 64 axes, got 65"),
    (put(*BETA, None), "nodes[2].attributes.shape: expected an array of lengths, got null"),
    (put(*BETA, [None]), "nodes[2].attributes.shape[0]: expected an integer, got null"),
    (put(*BETA, [2**60]), "nodes[2].attributes.data: expected 4611686018427387904 bytes in base64"),
    (put(*BETA, [2**60] * 9), "nodes[2].attributes.data: expected more bytes than a file can hold"),
    (put(*DATA, "AAAAAA=="), "expected 12 bytes in base64, as f32{3} has, got"),
    (put(*DATA, "A?AAAAAAAAAAAAAA"), "nodes[2].attributes.data: expected base64, got"),
    (put(*DATA, "éAAAAAAAAAAAAAAA"), "nodes[2].attributes.data: expected base64, got"),
    (put("nodes", 2, "attributes", "element_type", "dynamic"), "expected elements of a known type"),
    (put("results", []), "results: expected at least one, got none"),
    (
        put("results", [[4, "mean"]]),
        "results[0][0]: expected the index of a node before this one (",
    ),
    (
        put("results", [[0, "output"]]),
        "nodes[2]: expected a node that a result depends on, got Cons",
    ),
]


@pytest.mark.parametrize(("change", "message"), FAULTS, ids=[message for _, message in FAULTS])
def test_a_fault_is_named_with_its_place(change: Change, message: str) -> None:
    with pytest.raises(FormatError) as error:
        loads(changed(change))
    assert message in str(error.value)


def test_padding_hides_no_bits() -> None:
    constant = ng.Constant([1], "u8")
    text = dumps(ng.Function([constant], []))
    assert '"AQ=="' in text
    with pytest.raises(FormatError, match=r"data: expected base64 in its canonical form"):
        loads(text.replace("AQ==", "AR=="))


def test_booleans_are_0_or_1() -> None:
    text = dumps(ng.Function([ng.Constant([True])], []))
    two = base64.b64encode(b"\2").decode()
    with pytest.raises(FormatError, match=r"^nodes\[0\]: .*booleans of 0 or 1"):
        loads(text.replace("AQ==", two))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1e-05", "NaN", "nodes[3].attributes.epsilon: expected a number, got NaN"),
        ("1e-05", "-Infinity", "nodes[3].attributes.epsilon: expected a number, got -Infinity"),
        ("1e-05", "1e999", "nodes[3].attributes.epsilon: expected a number, got 1e999"),
        ("1e-05", "9" * 5000, "nodes[3].attributes.epsilon: expected a number, got 999999"),
        ('"id": 3', '"id": 3, "id": 3', 'nodes[3]: expected each key once, got "id" twice'),
        ('"id": 3', '"id": {"a": 1, "a": 2}', "nodes[3].id: expected an integer, got an object wi"),
        ('"id": 3', '"id": -0', "nodes[3].id: expected an integer, got -0.0"),
        ('"results": ', '"results": ' + "[" * 100_000, "line 11: expected at most 32 levels"),
        ('"results": ', '"results": ' + '{"a":' * 100_000, "line 11: expected at most 32 levels"),
        ('"layer",', '"layer"', "line 5, column 3: this is no JSON"),
        ('"layer"', '"lay\ner"', "line 4, column 15: this is no JSON"),
        ("{", "\ufeff{", "line 1, column 1: this is no JSON"),
    ],
)
def test_a_fault_of_the_text_is_named(old: str, new: str, message: str) -> None:
    with pytest.raises(FormatError) as error:
        loads(dumps(layer()).replace(old, new, 1))
    assert message in str(error.value)


@pytest.mark.parametrize("text", ["", "null", "3", "[]", '"x"', "{}", b"\xff\xfe", b"", "]" * 100])
def test_what_is_far_from_the_format(text: str | bytes) -> None:
    with pytest.raises(FormatError):
        loads(text)


def test_bytes_that_are_not_utf_8() -> None:
    with pytest.raises(FormatError, match=r"^byte 3: expected UTF-8"):
        loads(b'{"a\xff')


def test_strings_of_quotes_take_no_longer_than_their_length() -> None:
    with pytest.raises(FormatError, match="no JSON"):
        loads('"' + '\\"' * 500_000)


def test_numbers_are_read_as_other_writers_write_them() -> None:
    text = dumps(layer())
    for written, value in [("1", 1.0), ("1E-5", 1e-5), ("1" + "0" * 30, 1e30), ("-0", -0.0)]:
        epsilon = loads(text.replace("1e-05", written)).nodes[3].attributes["epsilon"]
        assert math.copysign(epsilon, 1) == value
        assert math.copysign(1, epsilon) == math.copysign(1, value)


@pytest.mark.parametrize(
    ("change", "labels"),
    [
        (put(*NORM, "attributes", "epsilon", -1), ("C1",)),
        (put(*NORM, "attributes", "epsilon", "NaN"), ("C1",)),
        (put(*NORM, "attributes", "epsilon", "Infinity"), ("C1",)),
        (put("nodes", 0, "attributes", "element_type", "i32"), ("C2",)),
        (put(*X, [8]), ("C5",)),
        (put(*NORM, "attributes", "channel_axis", -(2**40)), ("C6",)),
    ],
)
def test_an_invalid_node_is_named_with_its_place(change: Change, labels: tuple[str, ...]) -> None:
    with pytest.raises(ng.NodeValidationFailure, match=r"^nodes\[3\]: BatchNormTraining") as error:
        loads(changed(change))
    assert error.value.labels == labels


# ---- random damage -------------------------------------------------------------------------------

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4)
    | st.sampled_from(["f32", "dynamic", "output", "Constant", "Sum", "Convert", "AAAA"]),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=3), values),
    max_leaves=5,
)

PLACE = r"^([a-z]+(\[|\.|:)|byte \d+:|line \d+|unknown key|expected)"


def loads_or_tells(text: str | bytes) -> None:
    try:
        function = loads(text)
    except (FormatError, ng.NodeValidationFailure) as error:
        if not re.match(PLACE, str(error)):
            raise AssertionError("no place is named") from error
    else:
        reaches_to_itself(function)


@given(functions(), st.data())
def test_a_changed_value_loads_or_is_told(function: ng.Function, data: st.DataObject) -> None:
    document = json.loads(dumps(function))
    place: Any = document
    while True:
        key = data.draw(
            st.sampled_from(list(place) if isinstance(place, dict) else range(len(place)))
        )
        inner = place[key]
        if not isinstance(inner, (dict, list)) or not inner or data.draw(st.integers(0, 3)) == 0:
            break
        place = inner
    action = data.draw(st.sampled_from(["replace", "replace", "delete", "repeat"]))
    if action == "replace":
        place[key] = data.draw(JSON_VALUES)
    elif action == "delete":
        del place[key]
    elif isinstance(place, list):
        place.append(inner)
    else:
        place[key + "_"] = inner
    loads_or_tells(json.dumps(document))


@given(functions(), st.data())
def test_changed_bytes_load_or_are_told(function: ng.Function, data: st.DataObject) -> None:
    text = bytearray(dumps(function).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 4)))
        text[start:end] = data.draw(
            st.binary(max_size=4) | st.sampled_from([b'"', b"1", b"[", b","])
        )
    loads_or_tells(bytes(text))


@given(st.text() | st.binary())
def test_any_text_is_told(text: str | bytes) -> None:
    with pytest.raises(FormatError):
        loads(text)
