"""Random functions, of every op, and what makes two of them equal."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

import normgraph as ng

ELEMENT_TYPES = [
    element_type
    for element_type in vars(ng.element).values()
    if isinstance(element_type, ng.element.Type) and element_type.is_static
]
REAL_TYPES = ["f16", "bf16", "f32", "f64"]

#: Whatever Python can put into UTF-8, with what needs escapes well represented.
NAMES = st.text(
    st.one_of(
        st.sampled_from("\"'\\<>&\n\t\0{}|[]%$;\u2028γσ𝛿"), st.characters(exclude_categories=["Cs"])
    ),
    min_size=1,
    max_size=8,
)
LENGTHS = st.one_of(st.integers(0, 5), st.integers(0, 2**63 - 2))
DIMENSIONS = st.one_of(
    st.none(),
    LENGTHS,
    st.tuples(LENGTHS, LENGTHS).map(lambda ends: (min(ends), max(ends))),
    LENGTHS.map(lambda low: (low, None)),
)
SHAPES = st.one_of(st.none(), st.lists(DIMENSIONS, max_size=4))
EPSILONS = st.floats(0, allow_infinity=False)

UNARY = ["Negate", "SquareRoot"]
BINARY = ["Add", "Subtract", "Multiply", "Divide"]
#: Upper bounds of ReLUs, of any type.
BOUNDS = st.none() | st.floats(2**-14, 60000)
FAMILY = {
    "BatchNormTraining": 2,
    "BatchNormInference": 4,
    "BatchNormTrainingBackprop": 4,
    "BatchNormInferenceBackprop": 4,
    "BatchNormTrainingRelu": 2,
    "BatchNormTrainingAddRelu": 2,
    "BatchNormInferenceRelu": 4,
    "BatchNormInferenceAddRelu": 4,
    "BatchNormStatistics": 0,
    "BatchNormTrainingApply": 4,
    "BatchNormBackpropSums": 1,
    "BatchNormTrainingBackpropApply": 3,
}


@st.composite
def constants(draw: st.DrawFn) -> ng.Constant:
    """Any bits: NaN with its payload, infinities, -0 and denormals are among them."""
    element_type = draw(st.sampled_from(ELEMENT_TYPES))
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    count = element_type.size
    for length in shape:
        count *= length
    if element_type == ng.element.boolean:
        data = bytes(draw(st.lists(st.integers(0, 1), min_size=count, max_size=count)))
    else:
        data = draw(st.binary(min_size=count, max_size=count))
    return ng.Constant.from_bytes(element_type, shape, data, draw(st.none() | NAMES))


@st.composite
def functions(draw: st.DrawFn) -> ng.Function:
    """A function of up to a dozen ops, which share what they read."""
    data_type = draw(st.sampled_from([*REAL_TYPES, "dynamic"]))
    shape: Any = draw(st.sampled_from([[None, 3], [(2, None), 3, (1, 4)], [2, 3, 4], None]))
    data = [ng.Parameter(data_type, shape, draw(st.none() | NAMES)) for _ in range(2)]
    vectors = [ng.Parameter(data_type, [draw(st.sampled_from([None, 3]))]) for _ in range(4)]
    parameters = [*data, *vectors]
    values = [parameter.output(0) for parameter in parameters]
    where = ng.Parameter("boolean", None if shape is None else [None] * len(shape))
    parameters.append(where)
    parameters += [
        ng.Parameter(draw(st.sampled_from(ELEMENT_TYPES)), draw(SHAPES), draw(NAMES))
        for _ in range(draw(st.integers(0, 2)))
    ]
    results = []
    for _ in range(draw(st.integers(0, 12))):
        node = draw(nodes(values, draw(st.sampled_from(data)), vectors, where))
        if node is not None:
            results.append(draw(st.sampled_from(node.outputs)))
            node.friendly_name = draw(st.none() | NAMES)
            values += node.outputs
    values += [constant.output(0) for constant in draw(st.lists(constants(), max_size=2))]
    results += draw(st.lists(st.sampled_from(values), min_size=1, max_size=2))
    return ng.Function(results, draw(st.permutations(parameters)), draw(st.none() | NAMES))


@st.composite
def nodes(
    draw: st.DrawFn,
    values: Sequence[ng.Output],
    data: ng.Node,
    vectors: Sequence[ng.Node],
    where: ng.Node,
) -> ng.Node | None:
    """A node that reads some of the values, None if they are nothing for it."""
    value, other = draw(st.sampled_from(values)), draw(st.sampled_from(values))
    kinds = ["unary", "binary", "reduction", "repeating", "Convert", "MatrixMultiply", "family"]
    kind = draw(st.sampled_from([*kinds, "relu", "mask", "SelectWhere"]))
    try:
        if kind == "unary":
            return construct(draw(st.sampled_from(UNARY)), value)
        if kind == "binary":
            return construct(draw(st.sampled_from(BINARY)), value, value)
        if kind == "reduction":
            axes = draw(st.sampled_from([(), (0,), (1,), (-1,), (0, 1)]))
            return construct(draw(st.sampled_from(["Sum", "Mean"])), value, axes)
        if kind == "repeating":
            name = draw(st.sampled_from(["Broadcast", "MeanBackprop"]))
            return construct(name, draw(st.sampled_from(vectors)), data, [1])
        if kind == "Convert":
            return construct(kind, value, draw(st.sampled_from(REAL_TYPES)))
        if kind == "MatrixMultiply":
            return construct(kind, value, other, draw(st.booleans()), draw(st.booleans()))
        if kind == "relu":
            name = draw(st.sampled_from(["Relu", "ReluBackprop"]))
            return construct(name, *[value] * (1 if name == "Relu" else 2), draw(BOUNDS))
        if kind == "SelectWhere":
            return construct(kind, value, where)
        if kind == "mask":
            mask = ng.op.ReluMask(value, draw(st.sampled_from([1, -1])), draw(BOUNDS))
            return construct("ReluMaskSelect", value, mask, mask.channel_axis)
        name = draw(st.sampled_from(list(FAMILY)))
        inputs = [
            data,
            *vectors[: FAMILY[name]],
            *([data] if "Backprop" in name or "Add" in name else []),
            *([ng.op.Convert(vectors[0], "f64")] * 2 if "BackpropApply" in name else []),
        ]
        types = st.sampled_from([None, *REAL_TYPES])
        counts = st.none() | st.integers(0, 2**63 - 1)
        attributes = {"statistics_type": types, "upper_bound": BOUNDS, "count": counts}
        epsilon = [draw(EPSILONS)] if "epsilon" in getattr(ng.op, name).attribute_kinds else []
        optional = getattr(ng.op, name).optional_attributes
        drawn = {attribute: draw(attributes[attribute]) for attribute in optional}
        if getattr(ng.op, name).optional_inputs and draw(st.booleans()):
            drawn["where"] = where
        return construct(name, *inputs, *epsilon, **drawn)
    except ng.NodeValidationFailure:
        return None


def construct(name: str, *arguments: Any, **named: Any) -> ng.Node:
    node: ng.Node = getattr(ng.op, name)(*arguments, **named)
    return node


def facts(function: ng.Function) -> list[Any]:
    """All that a function is, in plain values that are equal to the bit or not."""
    ids = {node: index for index, node in enumerate(function.nodes)}

    def reference(output: ng.Output) -> tuple[int, int]:
        return ids[output.node], output.index

    def bits(attribute: Any) -> Any:
        return struct.pack("<d", attribute) if isinstance(attribute, float) else attribute

    described = [
        (
            type(node),
            node.friendly_name,
            [reference(value.source) for value in node.inputs],
            {name: bits(attribute) for name, attribute in node.attributes.items()},
            [(value.element_type, value.partial_shape) for value in node.outputs],
        )
        for node in ids
    ]
    ends = [ids[parameter] for parameter in function.parameters]
    return [function.friendly_name, described, ends, [*map(reference, function.results)]]
