"""A Function as JSON, and the same Function back.

The text holds the nodes in the function's order, a line for each, every one of which refers only to
nodes before it:

    {
      "format": "normgraph",
      "version": 1,
      "name": "layer",
      "nodes": [
        {"id": 0, "op": "Parameter", "name": "x", "inputs": {}, "attributes": {…}},
        {"id": 1, "op": "Relu", "name": "y", "inputs": {"value": [0, "output"]}, "attributes": {}}
      ],
      "results": [[1, "result"]]
    }

An input and a result is a pair: the id of a node and the name of one of its outputs. The parameters
of the function are its Parameter nodes, in this order.
"""

from __future__ import annotations

import json
from os import PathLike
from typing import Any

from .. import _core
from .._core import Constant, Function, Node, NodeValidationFailure, Output, Parameter
from .arguments import check_is_function, path_of
from .attributes import Kind, attributes_from_json, attributes_to_json
from .errors import FormatError
from .strict_json import Value, parse

__all__ = ["FormatError", "dump", "dumps", "load", "loads"]

FORMAT = "normgraph"
VERSION = 1

#: The nodes without inputs, which are no ops, and the kinds of their attributes.
SOURCES: dict[str, dict[str, Kind]] = {
    "Parameter": {"element_type": "element type", "shape": "shape"},
    "Constant": {"element_type": "element type", "shape": "shape", "data": "bytes"},
}
#: The op classes by name.
OPS: dict[str, Any] = {name: getattr(_core.op, name) for name in _core.op.__all__}


def dump(function: Function, path: str | PathLike[str]) -> None:
    """Write a function to a file, in UTF-8. See dumps; raises OSError as open does."""
    target = path_of(path)
    target.write_bytes(dumps(function).encode())


def load(path: str | PathLike[str]) -> Function:
    """Read a function from a file. See loads; raises OSError as open does."""
    return loads(path_of(path).read_bytes())


def dumps(function: Function) -> str:
    """A function as JSON text.

    What loads makes of it is equal to the bit: structure and sharing, names, the declared types and
    shapes of parameters with their intervals, attributes, and the elements of constants, which are
    written as base64 of their bytes in little-endian order. Raises FormatError for a node whose
    shape or axes are more than 64.
    """
    check_is_function(function)
    ids = {node: index for index, node in enumerate(function.nodes)}
    nodes = ",\n".join(f"    {one_line(node_to_json(node, ids))}" for node in ids)
    results = [reference_to_json(result, ids) for result in function.results]
    return (
        "{\n"
        f'  "format": {one_line(FORMAT)},\n'
        f'  "version": {VERSION},\n'
        f'  "name": {one_line(function.friendly_name)},\n'
        f'  "nodes": [\n{nodes}\n  ],\n'
        f'  "results": {one_line(results)}\n'
        "}\n"
    )


def one_line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def node_to_json(node: Node, ids: dict[Node, int]) -> dict[str, Any]:
    inputs = {value.name: reference_to_json(value.source, ids) for value in node.inputs}
    return {
        "id": ids[node],
        "op": node.type_name,
        "name": node.friendly_name,
        "inputs": inputs,
        "attributes": attributes_to_json(node),
    }


def reference_to_json(output: Output, ids: dict[Node, int]) -> list[int | str]:
    return [ids[output.node], output.name]


def loads(text: str | bytes) -> Function:
    """The function that dumps has written, from a str or from UTF-8.

    Every node is constructed, and so checked, anew. Raises FormatError, a ValueError that names the
    place, for a text that is not in the format (`nodes[3].inputs.gamma[0]: …`), and
    NodeValidationFailure, with the node's place and all violated constraints, for a graph that is
    not valid. No size that the text claims is believed before the data are there.
    """
    whole = parse(decoded(text))
    check_version(whole)
    members = whole.members(["format", "version", "name", "nodes", "results"])
    nodes: list[Node] = []
    for item in members["nodes"].items():
        nodes.append(node_from_json(item, nodes))
    results = [reference_from_json(item, nodes) for item in members["results"].items()]
    if not results:
        members["results"].fail("expected at least one, got none")
    parameters = [node for node in nodes if isinstance(node, Parameter)]
    function = Function(results, parameters, name=name_from_json(members["name"]))
    check_all_are_used(members["nodes"], nodes, function)
    return function


def decoded(text: str | bytes) -> str:
    if isinstance(text, str):
        return text
    if not isinstance(text, (bytes, bytearray)):
        raise TypeError(f"text: expected str or bytes, got {type(text).__name__}")
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise FormatError(f"byte {error.start}: expected UTF-8, got another byte") from None


def check_version(whole: Value) -> None:
    """Before all else: another version may have other keys."""
    name, version = whole.member("format"), whole.member("version")
    if name.string() != FORMAT:
        name.expect(f'"{FORMAT}"')
    if version.integer() != VERSION:
        version.expect(f"{VERSION}, the version that this normgraph reads")


def name_from_json(value: Value) -> str:
    if not value.string():
        value.fail("expected a name, got an empty string")
    return value.string()


def node_from_json(value: Value, before: list[Node]) -> Node:
    members = value.members(["id", "op", "name", "inputs", "attributes"])
    if members["id"].integer() != len(before):
        members["id"].expect(f"{len(before)}, its place in the array")
    op = members["op"].string()
    if op not in SOURCES and op not in OPS:
        members["op"].expect("an op of this version")
    kinds = SOURCES.get(op) or OPS[op].attribute_kinds
    optional = () if op in SOURCES else OPS[op].optional_attributes
    name = name_from_json(members["name"])
    required = () if op in SOURCES else OPS[op].input_names
    optional_inputs = () if op in SOURCES else OPS[op].optional_inputs
    inputs = members["inputs"].members((*required, *optional_inputs), optional_inputs)
    sources = {name: reference_from_json(source, before) for name, source in inputs.items()}
    attributes = attributes_from_json(members["attributes"].members(kinds, optional), kinds)
    by_name = {name: sources.pop(name) for name in optional_inputs if name in sources}
    return construct(value, op, list(sources.values()), {**attributes, **by_name}, name)


def construct(
    value: Value, op: str, sources: list[Output], keywords: dict[str, Any], name: str
) -> Node:
    constructors: dict[str, Any] = {"Parameter": Parameter, "Constant": Constant.from_bytes}
    constructor = constructors.get(op) or OPS[op]
    try:
        node: Node = constructor(*sources, **keywords, name=name)
    except NodeValidationFailure as failure:
        located = NodeValidationFailure(f"{value.place}: {failure}")
        located.labels = failure.labels
        raise located from None
    except (ValueError, TypeError, OverflowError) as error:
        value.fail(str(error))
    return node


def reference_from_json(value: Value, nodes: list[Node]) -> Output:
    """The output of a node that is there already: so there are no cycles."""
    pair = value.items()
    if len(pair) != 2:
        value.fail(f"expected [id, name of an output], got an array of length {len(pair)}")
    node = nodes[pair[0].index(len(nodes), "a node before this one")]
    name = pair[1].string()
    outputs = {output.name: output for output in node.outputs}
    if name not in outputs:
        pair[1].expect(f"an output of {node.type_name} ({', '.join(outputs)})")
    return outputs[name]


def check_all_are_used(value: Value, nodes: list[Node], function: Function) -> None:
    """A node that no result needs would be dropped without a word."""
    used = set(function.nodes)
    for item, node in zip(value.items(), nodes, strict=True):
        if node not in used:
            item.fail(f"expected a node that a result depends on, got {node.type_name}")
