"""What is no model, or has what normgraph has not, is an error that says all of it at once."""

from __future__ import annotations

import pickle
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import normgraph as ng
from normgraph.formats import FormatError, NotImportableError
from normgraph.formats.onnx import load, loads, to_model
from normgraph.formats.onnx.operators import OPERATORS
from normgraph.formats.onnx.statement import NEWEST_OPSET

pytestmark = pytest.mark.interop
onnx = pytest.importorskip("onnx")

helper, TensorProto = onnx.helper, onnx.TensorProto


def model_of(
    *nodes: Any,
    inputs: dict[str, Any] | None = None,
    outputs: tuple[str, ...] = ("y",),
    initializers: tuple[Any, ...] = (),
    opset: int = 17,
) -> Any:
    """A model that nobody has checked."""
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in (inputs or {"x": ["N", 3]}).items()
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        list(initializers),
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def node(op: str, inputs: str = "x", output: str = "y", **attributes: Any) -> Any:
    return helper.make_node(op, inputs.split(), output.split(), **attributes)


def refusals(model: Any) -> tuple[str, ...]:
    with pytest.raises(NotImportableError) as caught:
        loads(model)
    assert str(caught.value) == "\n".join(caught.value.refusals)
    return caught.value.refusals


def test_all_at_once() -> None:
    model = model_of(
        node("Conv", "x w", "c", name="conv1"),
        node("Relu", "c", "r", name="relu1"),
        node("Gemm", "r w", "g", name="fc", alpha=2.0, beat=1.0),
        node("MaxPool", "g", "p", name="pool", kernel_shape=[2, 2]),
        node("FusedGemm", "p w", "f", domain="com.microsoft"),
        node("Cast", "x", "i", to=TensorProto.INT32),
        node("Add", "f i", "y"),
        inputs={"x": [2, 3], "w": [3, 3]},
    )
    assert refusals(model) == (
        "Conv 'conv1': normgraph has no such operator",
        "Gemm 'fc': attribute 'beat': expected one of opset 17 (alpha, beta, transA, transB)",
        "MaxPool 'pool': normgraph has no such operator",
        "com.microsoft.FusedGemm of 'f': normgraph has no such operator",
        "Cast of 'i': attribute 'to': expected a real element type, got i32",
    )


def test_the_error_keeps_its_lines() -> None:
    error = NotImportableError(["a: b", "c: d"])
    again = pickle.loads(pickle.dumps(error))
    assert (again.refusals, str(again)) == (("a: b", "c: d"), "a: b\nc: d")


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([node("Clip", "x low")], "Clip of 'y': min: expected 0, as a ReLU has, got 1.0"),
        ([node("Pow", "x low")], "Pow of 'y': exponent: expected 2, got 1.0"),
        ([node("Add", "x long")], "Add of 'y': axis 1: expected equal lengths, or 1, got 3 and 2"),
        ([node("Flatten", axis=2)], r"Flatten of 'y': .*axes of length 1 only, got \{\?,3\}"),
        ([node("Transpose", perm=[0, 0])], "Transpose of 'y': expected different axes"),
        ([node("Transpose")], "output 'y': .*normgraph has no op that transposes"),
        ([node("ReduceSum", "x axes")], "ReduceSum of 'y': expected an axis from -2 to 1, got 5"),
        ([node("Gemm", "x x x x")], "Gemm of 'y': inputs: expected 2 to 3, got 4"),
        ([node("Relu", "x", "y z"), node("Add", "y z", "s")], "Relu of 'y': outputs: .* at most 1"),
        ([node("Relu", alpha=1)], r"Relu of 'y': attribute 'alpha': .* \(none\)"),
        ([node("Flatten", axis=1.5)], "Flatten of 'y': attribute 'axis': expected an integer"),
        ([node("GreaterOrEqual", "x low")], "output 'y': expected a tensor of numbers"),
        ([node("Shape")], "output 'y': expected a tensor of numbers"),
        ([node("Dropout", "x low yes")], "Dropout of 'y': training_mode: expected false"),
        ([node("Add", "x w8")], "initializer 'w8': element type: expected one of .*FLOAT8E4M3FN"),
        ([node("Add", "x whole")], r"Add of 'y': \[P1\].*i64"),
        (
            [
                node("LessOrEqual", "x low", "c"),
                node("Where", "c low x"),
            ],
            "Where of 'y': expected a ReLU, 0 where a value is at most 0, got 1.0 .* at most 1.0",
        ),
    ],
)
def test_what_is_refused(nodes: list[Any], expected: str) -> None:
    initializers = (
        helper.make_tensor("low", TensorProto.FLOAT, [], [1.0]),
        helper.make_tensor("long", TensorProto.FLOAT, [2], [1.0, 2]),
        helper.make_tensor("axes", TensorProto.INT64, [1], [5]),
        helper.make_tensor("whole", TensorProto.INT64, [3], [1, 2, 3]),
        helper.make_tensor("yes", TensorProto.BOOL, [], [1]),
        helper.make_tensor("w8", TensorProto.FLOAT8E4M3FN, [1], [1.0]),
    )
    outputs = (nodes[-1].output[0],)
    (refusal,) = refusals(model_of(*nodes, outputs=outputs, initializers=initializers))
    assert re.match(expected, refusal), refusal


@pytest.mark.parametrize(
    ("type_", "shape", "said"),
    [
        (TensorProto.FLOAT, ["N", 4], r"f32\[None, 4\]"),
        (TensorProto.DOUBLE, ["N", 3], r"f64\[None, 3\]"),
    ],
)
def test_an_output_of_another_type_or_shape(type_: int, shape: list[Any], said: str) -> None:
    model = model_of(node("Neg"))
    assert loads(model)
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", type_, shape))
    with pytest.raises(FormatError, match=rf"output 'y': expected {said}, as the model says"):
        loads(model)


@pytest.mark.parametrize("opset", [0, 5, 29, 2**40])
def test_opsets_that_are_not_known(opset: int) -> None:
    assert refusals(model_of(node("Relu"), opset=opset)) == (
        f"opset_import: expected opset 6 to 28, got {opset}",
    )


def test_every_operator_of_the_newest_opset_is_known() -> None:
    """A version that is newer than those that are read may mean something else."""
    schemas = onnx.defs.get_all_schemas()
    newest = {schema.name: schema.since_version for schema in schemas if schema.domain == ""}
    assert set(OPERATORS) <= set(newest)
    assert max(newest[op] for op in OPERATORS) <= NEWEST_OPSET
    assert newest["BatchNormalization"] == 15


def test_values_that_are_no_tensors() -> None:
    model = model_of(node("Relu"))
    model.graph.input[0].type.sequence_type.elem_type.tensor_type.elem_type = 1
    assert refusals(model)[0] == "input 'x': expected a tensor, got sequence_type"


def test_a_rank_that_is_not_known() -> None:
    model = model_of(node("Relu"), inputs={"x": None})
    assert refusals(model) == ("input 'x': expected a known rank, got a tensor of any",)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda graph: graph.output.pop(), "graph: expected outputs, got none"),
        (lambda graph: graph.input.append(graph.input[0]), "inputs: .* got 'x' twice"),
        (lambda graph: graph.node.append(graph.node[0]), "outputs of nodes: .* got 'y' twice"),
        (lambda graph: graph.node[0].output.insert(0, "x"), "outputs of nodes: .* got 'x'"),
        (lambda graph: graph.node[0].input.__setitem__(0, "y"), "Relu of 'y': .* got 'y'"),
        (lambda graph: graph.node[0].input.__setitem__(0, "n"), "Relu of 'y': .* got 'n'"),
        (lambda graph: setattr(graph.output[0], "name", "q"), "output 'q': .* got 'q'"),
        (
            lambda graph: graph.input[0].type.tensor_type.shape.dim.add(dim_value=-1),
            "'x': expected lengths >= 0",
        ),
        (
            lambda graph: setattr(graph.output[0].type.tensor_type, "elem_type", 11),
            "output 'y': expected f64.*got f32",
        ),
    ],
)
def test_what_is_no_model(change: Any, expected: str) -> None:
    model = model_of(node("Relu"))
    change(model.graph)
    with pytest.raises(FormatError, match=expected):
        loads(model)


@pytest.mark.parametrize("data", [b"\x01", b"\xff" * 40, b"PK\x03\x04", b'{"format": 1}'])
def test_other_bytes(data: bytes) -> None:
    with pytest.raises(FormatError, match="model: expected a model of ONNX, got other bytes"):
        loads(data)


def test_no_bytes_and_no_opset() -> None:
    with pytest.raises(FormatError, match="opset_import: expected one version"):
        loads(b"")


@pytest.mark.parametrize("model", [None, "model.onnx", 3, [b""]])
def test_arguments_of_other_types(model: Any) -> None:
    with pytest.raises(TypeError, match=r"model: expected bytes or an onnx\.ModelProto, got"):
        loads(model)


def test_names_in_another_encoding() -> None:
    data = model_of(node("Relu", name="abcdef")).SerializeToString()
    with pytest.raises(FormatError, match="expected names in UTF-8"):
        loads(data.replace(b"abcdef", b"\xff\xfe\xfd\xfc\xfb\xfa"))


# ---- tensors -------------------------------------------------------------------------------------


def weights(**fields: Any) -> Any:
    tensor = helper.make_tensor("w", TensorProto.FLOAT, [2], b"\0" * 8, raw=True)
    for name, value in fields.items():
        if name == "dims":
            del tensor.dims[:]
            tensor.dims.extend(value)
        else:
            setattr(tensor, name, value)
    return tensor


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (weights(dims=[3]), "expected 12 bytes .* got 8"),
        (weights(dims=[2**40, 2**40, 2**40]), "expected more bytes than there can be"),
        (weights(dims=[2**31]), f"expected {2**33} bytes"),
        (weights(dims=[-2]), "expected lengths >= 0"),
        (weights(raw_data=b"\0" * 7), "expected 8 bytes .* got 7"),
        (weights(raw_data=b""), "expected 8 bytes .* got 0"),
        (weights(raw_data=b"\0" * 12), "expected 8 bytes .* got 12"),
        (weights(data_type=TensorProto.BOOL, raw_data=b"\1\2"), "expected booleans 0 and 1"),
        (
            helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2]),
            None,
        ),
    ],
)
def test_data_that_are_not_those_of_the_shape(tensor: Any, expected: str | None) -> None:
    model = model_of(node("Add", "x w"), inputs={"x": [2]}, initializers=(tensor,))
    if expected is None:
        assert loads(model).results
        return
    with pytest.raises(FormatError, match=f"tensor 'w': {expected}"):
        loads(model)


def test_data_in_two_fields_and_out_of_range() -> None:
    tensor = weights()
    tensor.float_data.extend([1.0, 2.0])
    with pytest.raises(FormatError, match="tensor 'w': expected data in one field"):
        loads(model_of(node("Add", "x w"), initializers=(tensor,)))
    short = helper.make_tensor("w", TensorProto.FLOAT16, [1], [1.0])
    short.ClearField("raw_data")
    del short.int32_data[:]
    short.int32_data.append(2**16)
    with pytest.raises(FormatError, match="expected elements from 0 to 65535"):
        loads(model_of(node("Add", "x w"), initializers=(short,)))


@pytest.mark.parametrize(
    "location", ["../secret", "/etc/passwd", "", ".", "a/../../secret", "link"]
)
def test_external_data_elsewhere(location: str, tmp_path: Path) -> None:
    """No path leads out of the model's folder, by a link either."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(b"\0" * 8)
    (folder / "link").symlink_to(tmp_path / "secret")
    tensor = weights(raw_data=b"", data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    path = folder / "model.onnx"
    path.write_bytes(model_of(node("Add", "x w"), initializers=(tensor,)).SerializeToString())
    with pytest.raises(NotImportableError, match="initializer 'w': external data: expected a file"):
        load(path)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ({"offset": "4"}, "expected 8 bytes from byte 4"),
        ({"length": "4"}, "expected 8 bytes of data .* got 4"),
        ({"offset": "-1"}, "expected a number of bytes, got offset"),
        ({"offset": "9" * 5000}, "expected a number of bytes, got offset"),
    ],
)
def test_external_data_that_are_not_there(
    entries: dict[str, str], expected: str, tmp_path: Path
) -> None:
    (tmp_path / "data").write_bytes(b"\0" * 8)
    tensor = weights(raw_data=b"", data_location=TensorProto.EXTERNAL)
    for key, value in {"location": "data", **entries}.items():
        tensor.external_data.add(key=key, value=value)
    path = tmp_path / "model.onnx"
    path.write_bytes(model_of(node("Add", "x w"), initializers=(tensor,)).SerializeToString())
    with pytest.raises(FormatError, match=expected):
        load(path)


# ---- hostile models ------------------------------------------------------------------------------


def test_deep_graphs() -> None:
    """Nothing is recursive, and time is in proportion to the number of nodes."""
    count = 20_000
    nodes = [node("Relu" if i % 2 else "Neg", f"v{i}", f"v{i + 1}") for i in range(count)]
    model = model_of(*nodes, inputs={"v0": [2]}, outputs=(f"v{count}",))
    assert len(loads(model).nodes) == count + 1


def test_transposes_one_after_the_other() -> None:
    count = 20_001
    nodes = [node("Transpose", f"v{i}", f"v{i + 1}", perm=[1, 0]) for i in range(count)]
    model = model_of(*nodes, node("MatMul", f"x v{count}"), inputs={"x": [3, 2], "v0": [3, 2]})
    (product,) = (item for item in loads(model).nodes if item.type_name == "MatrixMultiply")
    assert product.attributes["transpose_right"]


def test_constants_are_not_made_larger_without_end() -> None:
    """A number that is repeated is made only where it has to be, and not beyond a limit."""
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [2**20, 2**20])
    one = helper.make_tensor("one", TensorProto.FLOAT, [], [1.0])
    model = model_of(node("Expand", "one shape"), inputs={"x": [2]}, initializers=(shape, one))
    (refusal,) = refusals(model)
    assert refusal.startswith("output 'y': expected at most 67108")
    nodes = [node("Expand", f"one s{i}", f"y{i}") for i in range(80)]
    shapes = [
        helper.make_tensor(f"s{i}", TensorProto.INT64, [2], [2**18 + i, 1]) for i in range(80)
    ]
    outputs = tuple(f"y{i}" for i in range(80))
    model = model_of(*nodes, inputs={"x": [2]}, outputs=outputs, initializers=(one, *shapes))
    assert 0 < len(refusals(model)) < 80


def test_lengths_that_grow_without_end() -> None:
    nodes = [node("Shape", "x", "v0")]
    nodes += [node("Mul", f"v{i} v{i}", f"v{i + 1}") for i in range(5000)]
    nodes.append(node("Expand", "x v5000"))
    (refusal,) = refusals(model_of(*nodes, inputs={"x": [3, 3]}))
    assert refusal == "Mul of 'v6': expected lengths whose product is less than 2^63"


@pytest.mark.parametrize("index", [0, 1])
def test_a_sum_over_other_lengths_is_no_mean(index: int) -> None:
    """Of lengths that are not known, the number of the elements that are summed."""
    model = model_of(
        node("Cast", "x", "wide", to=TensorProto.DOUBLE),
        node("ReduceSum", "wide zero", "total", keepdims=0),
        node("Shape", "x", "lengths"),
        node("Gather", "lengths index", "length"),
        node("Cast", "length", "count", to=TensorProto.DOUBLE),
        node("Div", "total count", "mean"),
        node("Cast", "mean", "y", to=TensorProto.FLOAT),
        inputs={"x": ["N", "C"]},
        initializers=(
            helper.make_tensor("zero", TensorProto.INT64, [1], [0]),
            helper.make_tensor("index", TensorProto.INT64, [], [index]),
        ),
    )
    if index == 0:
        assert "Mean" in [item.type_name for item in loads(model).nodes]
    else:
        assert refusals(model) == (
            "output 'y': expected a tensor of numbers, got a condition or lengths",
        )


@pytest.mark.parametrize("is_right", [True, False])
def test_a_quotient_by_other_lengths_is_no_gradient_of_a_mean(is_right: bool) -> None:
    delta, like = (
        ng.Parameter("f32", [None] * rank, name=name) for rank, name in ((1, "d"), (2, "x"))
    )
    model = to_model(ng.Function([ng.op.MeanBackprop(delta, like, [1])], [delta, like]))
    (gather,) = (item for item in model.graph.node if item.op_type == "Gather")
    (index,) = (item for item in model.graph.initializer if item.name == gather.input[1])
    assert index.raw_data == np.int64(0).tobytes()
    if is_right:
        assert "MeanBackprop" in [item.type_name for item in loads(model).nodes]
        return
    other = onnx.numpy_helper.from_array(np.array([1], np.int64), "other")
    model.graph.initializer.append(other)
    gather.input[1] = "other"
    (refusal,) = refusals(model)
    assert re.match("Expand .*: expected the quotient by as many elements", refusal)


@pytest.mark.parametrize("part", range(4))
def test_damaged_models_are_functions_or_errors(part: int) -> None:
    """1000 each, always the same ones; onnx_mutations.py can make more."""
    from .onnx_mutations import damaged, outcome, seeds

    models = seeds()
    assert [outcome(model) for model in models].count("function") > len(models) / 2
    found: Counter[str] = Counter()
    for index in range(1000 * part, 1000 * (part + 1)):
        try:
            found[outcome(damaged(index, models))] += 1
        except Exception as error:
            raise AssertionError(f"model {index}") from error
    assert set(found) == {"function", "FormatError", "NotImportableError"}


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "model.onnx")
    with pytest.raises(TypeError, match="path: expected a string"):
        load(3)  # type: ignore[arg-type]


def test_a_model_of_nothing_but_its_inputs() -> None:
    model = model_of(inputs={"x": ["N", 3]}, outputs=("x", "x"))
    function = loads(model)
    x = np.float32([[1, 2, 3]])
    assert [result.tolist() for result in ng.compile(function)(x)] == [x.tolist()] * 2
