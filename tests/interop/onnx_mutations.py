"""Models of ONNX that have been damaged: every one is a function or an error, and nothing else.

`python -m tests.interop.onnx_mutations 100000` damages so many, and prints what became of them.
"""

from __future__ import annotations

import importlib
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import onnx

import normgraph as ng
from normgraph.formats import FormatError, NotImportableError
from normgraph.formats.onnx import loads, to_model

from ..kernel.samples import Sample
from .agreement import PRIMITIVES, make_dynamic, network

# `pass` is a word of the language, which cannot stand in an import.
family: Any = importlib.import_module("tests.pass.family")
masked: Any = importlib.import_module("tests.pass.masked")

helper = onnx.helper
HUGE = (2**31, 2**40, 2**62, 2**63 - 1)
NUMBERS = (-(2**63), -(2**31), -2, -1, 0, 1, 2, 3, 5, 64, 65, *HUGE)
OPS = (
    *(
        "Add",
        "Mul",
        "Div",
        "Cast",
        "Clip",
        "Concat",
        "Expand",
        "Flatten",
        "Gather",
        "Gemm",
        "Shape",
    ),
    *("MatMul", "ReduceSum", "ReduceMean", "ReduceProd", "Reshape", "Slice", "Squeeze", "Where"),
    *("Transpose", "Unsqueeze", "BatchNormalization", "Identity", "Relu", "Sum", "If", "Conv"),
    *("ConstantOfShape", "Constant", "GreaterOrEqual", "LessOrEqual", "Dropout", "Pow", "Not"),
)


def seeds() -> list[bytes]:
    """Valid models, of all that is read."""
    functions = [primitive.function("bf16") for primitive in PRIMITIVES[::4]]
    functions += [family.make_case(op, Sample((4, 3, 5))).function for op in family.OPS]
    functions += [masked.make_masked_case(op, Sample((4, 3, 5))).function for op in masked.OPS[:2]]
    functions.append(network(rows=None)[0])
    models = [to_model(function) for function in functions]
    models += [to_model(function, family="stages") for function in functions[-4:]]
    for function in functions[-6:]:
        make_dynamic(function)
        models.append(to_model(function))
    models += [to_model(network(rows=3)[0], momentum=0.25), shapes(), layers(7), layers(15)]
    models.append(selections())
    return [model.SerializeToString() for model in models]


def layers(opset: int) -> Any:
    """Two matrix products with a normalization between, data in typed fields."""
    tensor, node = helper.make_tensor, helper.make_node
    vectors = [tensor(name, onnx.TensorProto.FLOAT, [3], [1.0, 2, 3]) for name in "sbmv"]
    weights = tensor("w", onnx.TensorProto.FLOAT, [3, 2], list(range(6)))
    statistics = ["rm", "rv"] if opset > 13 else []
    nodes = [
        node("Gemm", ["x", "w", "s"], ["h"], transB=1, name="/fc/Gemm"),
        node(
            "BatchNormalization",
            ["h", "s", "b", "m", "v"],
            ["n", *statistics],
            momentum=0.5,
            **({"training_mode": 1} if statistics else {}),
        ),
        node("Relu", ["n"], ["r"]),
        node("MatMul", ["r", "w"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "layers",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 2])],
        [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
            for name in ["y", *statistics]
        ],
        [*vectors, weights],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def shapes() -> Any:
    """Lengths that are computed, and axes of length 1."""
    tensor, node = helper.make_tensor, helper.make_node
    numbers = {"zero": [0], "one": [1], "minus": [-1], "last": [2]}
    constants = [
        tensor(name, onnx.TensorProto.INT64, [1], value) for name, value in numbers.items()
    ]
    nodes = [
        node("GlobalAveragePool", ["x"], ["p"]),
        node("Flatten", ["p"], ["f"]),
        node("Shape", ["f"], ["shape"]),
        node("Slice", ["shape", "zero", "one", "zero"], ["rows"]),
        node("Concat", ["rows", "minus"], ["both"], axis=0),
        node("Reshape", ["f", "both"], ["again"]),
        node("ReduceMean", ["again"], ["mean"], axes=[1], keepdims=1),
        node("Sub", ["again", "mean"], ["centered"]),
        node("Unsqueeze", ["centered", "last"], ["long"]),
        node("Squeeze", ["long", "last"], ["short"]),
        node("Clip", ["short", "low", "high"], ["clipped"]),
        node("Cast", ["clipped"], ["y"], to=onnx.TensorProto.DOUBLE),
    ]
    graph = helper.make_graph(
        nodes,
        "shapes",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 3, 4, 4])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.DOUBLE, ["N", 3])],
        [
            *constants,
            tensor("low", onnx.TensorProto.FLOAT, [], [0.0]),
            tensor("high", onnx.TensorProto.FLOAT, [], [6.0]),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def selections() -> Any:
    """Booleans that are negated, repeated, transposed and read as numbers."""
    tensor, node = helper.make_tensor, helper.make_node
    float_, boolean = onnx.TensorProto.FLOAT, onnx.TensorProto.BOOL
    nodes = [
        node("Unsqueeze", ["c", "last"], ["u"]),
        node("Not", ["u"], ["n"]),
        node("Expand", ["n", "shape"], ["e"]),
        node("Where", ["e", "x", "zero"], ["a"]),
        node("Where", ["k", "zero", "a"], ["b"]),
        node("Cast", ["n"], ["f"], to=float_),
        node("Mul", ["b", "f"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "selections",
        [
            helper.make_tensor_value_info("x", float_, ["N", 3, 2]),
            helper.make_tensor_value_info("c", boolean, ["N", 3]),
        ],
        [helper.make_tensor_value_info("y", float_, None)],
        [
            tensor("last", onnx.TensorProto.INT64, [1], [2]),
            tensor("shape", onnx.TensorProto.INT64, [3], [1, 3, 2]),
            tensor("zero", float_, [], [0.0]),
            tensor("k", boolean, [3, 1], [True, False, True]),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


# ---- damage --------------------------------------------------------------------------------------


def damaged_bytes(data: bytes, rng: random.Random) -> bytes:
    """A few bytes changed, put in, or taken out."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 6))):
        place = rng.randrange(len(changed) + 1)
        length = rng.choice((1, 1, 1, 2, 8, 64))
        kind = rng.randrange(4)
        if kind == 0:
            changed[place : place + length] = rng.randbytes(length)
        elif kind == 1:
            changed[place:place] = rng.randbytes(length)
        elif kind == 2:
            del changed[place : place + length]
        else:
            source = rng.randrange(len(changed) + 1)
            changed[place:place] = changed[source : source + length]
    return bytes(changed)


def damaged_model(data: bytes, rng: random.Random) -> bytes:
    """A few changes of what a model says."""
    model = onnx.load_model_from_string(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        rng.choice(CHANGES)(model, rng)
    return bytes(model.SerializeToString())


def names_of(graph: Any) -> list[str]:
    values = [*graph.input, *graph.output, *graph.initializer]
    return [*(value.name for value in values), *(n for node in graph.node for n in node.output), ""]


def change_op(model: Any, rng: random.Random) -> None:
    if model.graph.node:
        rng.choice(model.graph.node).op_type = rng.choice(OPS)


def change_nodes(model: Any, rng: random.Random) -> None:
    nodes = list(model.graph.node)
    if not nodes:
        return
    kind, place = rng.randrange(4), rng.randrange(len(nodes))
    if kind == 0:
        del nodes[place]
    elif kind == 1:
        nodes.insert(rng.randrange(len(nodes) + 1), nodes[place])
    elif kind == 2:
        nodes.insert(rng.randrange(len(nodes)), nodes.pop(place))
    else:
        nodes.reverse()
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)


def change_names(model: Any, rng: random.Random) -> None:
    graph = model.graph
    if not graph.node:
        return
    node = rng.choice(graph.node)
    field = node.input if rng.randrange(3) else node.output
    name = rng.choice(names_of(graph))
    kind = rng.randrange(3)
    if kind == 0 or not field:
        field.append(name)
    elif kind == 1:
        field[rng.randrange(len(field))] = name
    else:
        del field[rng.randrange(len(field))]


def change_attribute(model: Any, rng: random.Random) -> None:
    nodes = [node for node in model.graph.node if node.attribute]
    if not nodes:
        return
    node = rng.choice(nodes)
    attribute = rng.choice(node.attribute)
    kind = rng.randrange(6)
    if kind == 0:
        attribute.i = rng.choice(NUMBERS)
    elif kind == 1:
        attribute.f = rng.choice((0.0, -1.0, float("nan"), float("inf"), 1e-45, 3e38))
    elif kind == 2:
        attribute.type = rng.choice(list(onnx.AttributeProto.AttributeType.values()))
    elif kind == 3:
        attribute.name = rng.choice(("axis", "axes", "epsilon", "to", "perm", "value", "x"))
    elif kind == 4:
        attribute.ints.extend(rng.choices(NUMBERS, k=rng.choice((1, 2, 70))))
    else:
        node.attribute.append(attribute)


def change_initializer(model: Any, rng: random.Random) -> None:
    if not model.graph.initializer:
        return
    tensor = rng.choice(model.graph.initializer)
    kind = rng.randrange(7)
    if kind == 0:
        tensor.dims.append(rng.choice(NUMBERS))
    elif kind == 1 and tensor.dims:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(NUMBERS)
    elif kind == 2:
        tensor.data_type = rng.choice(onnx.TensorProto.DataType.values())
    elif kind == 3:
        tensor.raw_data = tensor.raw_data[: rng.randrange(len(tensor.raw_data) + 1)]
    elif kind == 4:
        tensor.raw_data = rng.randbytes(len(tensor.raw_data))
    elif kind == 5:
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=rng.choice(("../x", "/etc/passwd", "x")))
    else:
        tensor.int64_data.extend(rng.choices(NUMBERS, k=3))


def change_values(model: Any, rng: random.Random) -> None:
    values = [*model.graph.input, *model.graph.output]
    if not values:
        return
    tensor = rng.choice(values).type.tensor_type
    kind = rng.randrange(4)
    if kind == 0:
        tensor.elem_type = rng.choice(onnx.TensorProto.DataType.values())
    elif kind == 1:
        tensor.shape.dim.add(dim_value=rng.choice(NUMBERS))
    elif kind == 2 and tensor.shape.dim:
        tensor.shape.dim[0].dim_value = rng.choice(NUMBERS)
    elif tensor.shape.dim:
        rng.choice(tensor.shape.dim).dim_param = rng.choice(("N", "x", ""))


def change_opset(model: Any, rng: random.Random) -> None:
    if rng.randrange(3):
        model.opset_import[0].version = rng.choice((0, 6, 7, 9, 11, 12, 13, 14, 15, 18, 28, 29))
    else:
        model.opset_import.add(domain=rng.choice(("", "ai.onnx", "com.microsoft")), version=13)


CHANGES: tuple[Callable[[Any, random.Random], None], ...] = (
    change_op,
    change_nodes,
    change_names,
    change_names,
    change_attribute,
    change_initializer,
    change_values,
    change_opset,
)


def outcome(data: bytes) -> str:
    """What becomes of a model: "function", or the name of its error; all else is raised."""
    try:
        function = loads(data)
    except (FormatError, NotImportableError) as error:
        return type(error).__name__
    assert isinstance(function, ng.Function)
    function.validate_nodes_and_infer_types()
    return "function"


def damaged(index: int, models: list[bytes]) -> bytes:
    """The model of this number: always the same one."""
    rng = random.Random(index)
    damage = damaged_bytes if rng.randrange(3) == 0 else damaged_model
    return damage(rng.choice(models), rng)


def main() -> None:
    """Damage as many models as the first argument says."""
    models, found = seeds(), Counter[str]()
    slowest, started = (0.0, -1), time.perf_counter()
    for index in range(int(sys.argv[1])):
        data = damaged(index, models)
        before = time.perf_counter()
        try:
            found[outcome(data)] += 1
        except Exception as error:
            found[f"{type(error).__name__} at {index}: {error!s:.200}"] += 1
        slowest = max(slowest, (time.perf_counter() - before, index))
    print(dict(found))
    print(f"slowest: {slowest[0]:.3f} s, number {slowest[1]}")
    print(f"all: {time.perf_counter() - started:.0f} s")
    print(f"peak: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")


if __name__ == "__main__":
    main()
