"""Models of ONNX become functions that compute what its own data, reference and runtime do.

How near is said where it is compared: by the tolerance of ONNX' data, or by a few roundings in the
type of the data, which onnxruntime and the reference compute BatchNormalization in.
"""

from __future__ import annotations

import functools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import normgraph as ng
from normgraph.formats import NotImportableError
from normgraph.formats.onnx import load, loads, to_model
from normgraph.formats.onnx.statement import NEWEST_OPSET

from ..kernel.real_types import REAL_TYPES, Array
from .ort import run, run_reference

pytestmark = pytest.mark.interop
onnx = pytest.importorskip("onnx")
backend = pytest.importorskip("onnx.backend.test.case.node")

helper, TensorProto = onnx.helper, onnx.TensorProto
NEWEST = min(onnx.defs.onnx_opset_version(), NEWEST_OPSET)
NUMBERS = {"f16": "FLOAT16", "bf16": "BFLOAT16", "f32": "FLOAT", "f64": "DOUBLE"}

#: How many of ONNX' own node tests are read, at least, by operator.
READ = {
    "Add": 2,
    "BatchNormalization": 4,
    "Cast": 9,
    "CastLike": 8,
    "Clip": 2,
    "Constant": 1,
    "Div": 3,
    "Dropout": 3,
    "Expand": 2,
    "Gemm": 11,
    "GlobalAveragePool": 2,
    "Identity": 1,
    "MatMul": 2,
    "Mean": 3,
    "Mul": 3,
    "Neg": 2,
    "Pow": 1,
    "Reciprocal": 2,
    "ReduceL2": 8,
    "ReduceMean": 8,
    "ReduceSum": 10,
    "ReduceSumSquare": 8,
    "Relu": 1,
    "Reshape": 2,
    "Sqrt": 2,
    "Squeeze": 2,
    "Sub": 3,
    "Sum": 3,
    "Transpose": 1,
    "Unsqueeze": 5,
}


def number_of(element_type: str) -> int:
    return int(getattr(TensorProto, NUMBERS[element_type]))


def model_of(
    nodes: list[Any],
    inputs: dict[str, tuple[str, Any]],
    outputs: dict[str, str],
    constants: dict[str, Array] | None = None,
    opset: int = 17,
) -> Any:
    """A checked model; outputs have types, and whatever shape they get."""
    arrays = (constants or {}).items()
    graph = helper.make_graph(
        nodes,
        "graph",
        [
            helper.make_tensor_value_info(name, number_of(kind), shape)
            for name, (kind, shape) in inputs.items()
        ],
        [
            helper.make_tensor_value_info(name, number_of(kind), None)
            for name, kind in outputs.items()
        ],
        [onnx.numpy_helper.from_array(array, name) for name, array in arrays],
    )
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8 if opset < 20 else 10)
    model = onnx.shape_inference.infer_shapes(model)
    onnx.checker.check_model(model)
    return model


# ---- ONNX' own data ------------------------------------------------------------------------------


@functools.cache
def node_tests() -> dict[str, Any]:
    """ONNX' tests of single operators, by name."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        cases = backend.collect_testcases(None)
    return {case.name: case for case in cases}


def array_of(value: Any) -> Any:
    return onnx.numpy_helper.to_array(value) if isinstance(value, TensorProto) else value


def is_frozen(array: Any) -> bool:
    """Whether an input is a number or a list of axes, which are constants where models are read."""
    return isinstance(array, np.ndarray) and (array.dtype == np.int64 or array.size == 1)


def frozen(model: Any, arrays: list[Any]) -> tuple[Any, list[Any]]:
    """The model with the numbers and axes of its test as initializers, and what is left."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    left = []
    for index, (value, array) in enumerate(zip(model.graph.input, arrays, strict=True)):
        if index and is_frozen(array):
            changed.graph.initializer.append(onnx.numpy_helper.from_array(array, value.name))
        else:
            left.append(array)
    return changed, left


def check_case(case: Any) -> bool:
    """Compare with the expected outputs; False where the model is not read."""
    for inputs, outputs in case.data_sets:
        model, arguments = frozen(case.model, [array_of(value) for value in inputs])
        try:
            function = loads(model)
        except NotImportableError:
            return False
        results = ng.compile(function)(*arguments)
        for actual, expected in zip(results, map(array_of, outputs), strict=True):
            assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape), case.name
            np.testing.assert_allclose(
                actual.astype(np.float64),
                expected.astype(np.float64),
                rtol=case.rtol,
                atol=case.atol,
                err_msg=case.name,
            )
    return True


def test_all_batch_norms_of_the_node_tests_are_read() -> None:
    cases = [case for name, case in node_tests().items() if name.startswith("test_batchnorm_")]
    assert len(cases) >= 4
    assert all(map(check_case, cases))


def test_node_tests_are_read_and_right_or_refused() -> None:
    counts: dict[str, int] = dict.fromkeys(READ, 0)
    for case in node_tests().values():
        op = case.model.graph.node[0].op_type
        if len(case.model.graph.node) == 1 and op in counts:
            counts[op] += check_case(case)
    assert {op: count for op, count in counts.items() if count < READ[op]} == {}


def converted(kind: str, name: str) -> list[Any]:
    """Models with data that lie beside the package's tests."""
    folder = Path(backend.__file__).parents[2] / "data" / kind
    return [
        pytest.param(path, id=path.parent.name)
        for path in sorted(folder.glob(f"{name}/model.onnx"))
    ]


@pytest.mark.parametrize(
    "path",
    [
        *converted("pytorch-converted", "test_BatchNorm*_eval"),
        *converted("pytorch-converted", "test_Linear*"),
        *converted("pytorch-operator", "test_operator_reduced_*"),
        *converted("pytorch-operator", "test_operator_sqrt"),
    ],
)
def test_models_converted_from_torch(path: Path) -> None:
    function = load(path)
    data = path.parent / "test_data_set_0"

    def tensors(kind: str) -> list[Array]:
        files = sorted(data.glob(f"{kind}_*.pb"))
        return [
            onnx.numpy_helper.to_array(TensorProto.FromString(file.read_bytes())) for file in files
        ]

    results = ng.compile(function)(*tensors("input"))
    for actual, expected in zip(results, tensors("output"), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


# ---- BatchNormalization in every opset -----------------------------------------------------------


def batch_norm(
    opset: int, element_type: str = "f32", shape: Any = ("N", 3, 4), **attributes: Any
) -> Any:
    """BatchNormalization, with running statistics if it trains."""
    outputs = ["y", "new_mean", "new_var"] if attributes.get("training_mode") else ["y"]
    names = ["scale", "bias", "mean", "var"]
    node = helper.make_node("BatchNormalization", ["x", *names], outputs, **attributes)
    inputs = {"x": (element_type, shape), **{name: (element_type, [3]) for name in names}}
    return model_of([node], inputs, dict.fromkeys(outputs, element_type), opset=opset)


def arguments_of(element_type: str, shape: tuple[int, ...] = (5, 3, 4), seed: int = 1) -> list[Any]:
    random = np.random.default_rng(seed)
    vectors = [random.uniform(0.5, 2, 3) for _ in range(4)]
    arrays = [random.standard_normal(shape) * 2 + 1, *vectors]
    return [array.astype(REAL_TYPES[element_type].dtype) for array in arrays]


def check_near(results: Any, expected: Any, element_type: str, what: str = "") -> None:
    """Within 60 roundings in the type, which sums of 20 terms stay below by far."""
    unit = float(REAL_TYPES[element_type].unit_roundoff)
    for actual, wanted in zip(results, expected, strict=True):
        assert (actual.dtype, actual.shape) == (wanted.dtype, wanted.shape), what
        np.testing.assert_allclose(
            actual.astype(np.float64),
            wanted.astype(np.float64),
            rtol=60 * unit,
            atol=60 * unit,
            err_msg=what,
        )


@pytest.mark.parametrize(
    ("element_type", "epsilon"), [("f32", None), ("f32", 1e-3), ("f64", 2.0**-10)]
)
@pytest.mark.parametrize("opset", range(7, NEWEST + 1))
def test_inference_of_every_opset(opset: int, element_type: str, epsilon: float | None) -> None:
    attributes = {} if epsilon is None else {"epsilon": epsilon}
    model = batch_norm(opset, element_type, **attributes)
    function = loads(model)
    (node,) = (node for node in function.nodes if node.type_name == "BatchNormInference")
    assert node.attributes["epsilon"] == (1e-5 if epsilon is None else epsilon)
    arguments = arguments_of(element_type)
    results = ng.compile(function)(*arguments)
    # The reference takes those before opset 14 for training.
    if opset >= 14:
        check_near(results, run_reference(model, arguments), element_type)
    # Newer ones than those that were out when this onnxruntime was made it refuses.
    if opset <= 22:
        check_near(results, run(model, arguments), element_type)


@pytest.mark.parametrize("momentum", [None, 0.0, 0.25, 1.0])
@pytest.mark.parametrize("element_type", ["f32", "f64"])
@pytest.mark.parametrize("opset", range(14, NEWEST + 1))
def test_training_of_every_opset(opset: int, element_type: str, momentum: float | None) -> None:
    """ONNX' momentum is the weight of the old statistics, and its variance is the biased one."""
    attributes = {} if momentum is None else {"momentum": momentum}
    attributes |= {"epsilon": 2.0**-17} if element_type == "f64" else {}
    model = batch_norm(opset, element_type, training_mode=1, **attributes)
    function = loads(model)
    arguments = arguments_of(element_type)
    results = ng.compile(function)(*arguments)
    check_near(results, run_reference(model, arguments), element_type)
    if opset <= 22:
        check_near(results, run(model, arguments), element_type)
    weight = float(np.float32(0.9)) if momentum is None else momentum
    batch = arguments[0].astype(np.float64)
    mean, variance = batch.mean((0, 2)), batch.var((0, 2))
    expected = [
        (weight * old + (1 - weight) * new).astype(arguments[0].dtype)
        for old, new in zip(arguments[3:], (mean, variance), strict=True)
    ]
    check_near(results[1:], expected, element_type)


@pytest.mark.parametrize("shape", [(5, 3), (5, 3, 4), (2, 3, 2, 2), (2, 3, 2, 2, 2)])
def test_every_rank(shape: tuple[int, ...]) -> None:
    model = batch_norm(15, shape=shape)
    arguments = arguments_of("f32", shape)
    check_near(ng.compile(loads(model))(*arguments), run(model, arguments), "f32")


@pytest.mark.parametrize("training", [0, 1])
@pytest.mark.parametrize(
    ("data", "scale", "statistics"),
    [("f16", "f16", "f32"), ("f16", "f32", "f32"), ("bf16", "bf16", "f32"), ("f32", "f16", "f32")],
)
def test_types_of_their_own_since_opset_15(
    data: str, scale: str, statistics: str, training: int
) -> None:
    names = ["scale", "bias", "mean", "var"]
    outputs = ["y", "m", "v"] if training else ["y"]
    node = helper.make_node(
        "BatchNormalization", ["x", *names], outputs, training_mode=training, momentum=0.5
    )
    kinds = dict(zip(names, (scale, scale, statistics, statistics), strict=True))
    inputs = {"x": (data, [5, 3, 4]), **{name: (kind, [3]) for name, kind in kinds.items()}}
    results = dict(zip(outputs, (data, statistics, statistics), strict=False))
    function = loads(model_of([node], inputs, results, opset=15))
    arguments = [
        array.astype(REAL_TYPES[kind].dtype)
        for array, kind in zip(arguments_of("f64"), (data, *kinds.values()), strict=True)
    ]
    found = ng.compile(function)(*arguments)
    wide = [array.astype(np.float64) for array in arguments]
    model = batch_norm(15, "f64", training_mode=training, momentum=0.5)
    for actual, expected, kind in zip(
        found, run_reference(model, wide), results.values(), strict=True
    ):
        rounded = expected.astype(REAL_TYPES[kind].dtype)
        check_near([actual], [rounded], "f32" if kind == "f32" else data)


def test_spatial_of_opset_7() -> None:
    """Each feature of a matrix is a channel, spatial or not; else normgraph has no such op."""
    model = batch_norm(7, shape=[5, 3], spatial=0)
    arguments = arguments_of("f32", (5, 3))
    expected = run(batch_norm(9, shape=[5, 3]), arguments)
    check_near(ng.compile(loads(model))(*arguments), expected, "f32")
    with pytest.raises(NotImportableError, match=r"attribute 'spatial': expected 1 .* got 0"):
        loads(batch_norm(7, spatial=0))
    assert loads(batch_norm(8, spatial=1)).results


@pytest.mark.parametrize("opset", [7, 9, 13])
def test_training_before_opset_14_is_refused_by_name(opset: int) -> None:
    names = ["scale", "bias", "mean", "var"]
    outputs = ["y", "m", "v", "sm", "sv"]
    node = helper.make_node("BatchNormalization", ["x", *names], outputs, name="norm")
    inputs = {"x": ("f32", [5, 3, 4]), **{name: ("f32", [3]) for name in names}}
    model = model_of([node], inputs, {"y": "f32"}, opset=opset)
    with pytest.raises(NotImportableError, match=r"^BatchNormalization 'norm': outputs: .*saved_"):
        loads(model)


# ---- broadcasting, reductions, matrices ----------------------------------------------------------


SHAPES: tuple[tuple[Any, Any], ...] = (
    ((2, 3, 4), (3, 4)),
    ((2, 3, 4), (4,)),
    ((2, 3, 4), ()),
    ((), (2, 3)),
    ((2, 3, 4), (1, 3, 1)),
    ((2, 3, 4), (2, 1, 4)),
    ((2, 1, 4), (1, 3, 1)),
    ((1, 4), (3, 1)),
    ((1, 1), (1, 1)),
    ((0, 3), (1, 3)),
)


@pytest.mark.parametrize("is_constant", [False, True])
@pytest.mark.parametrize(("left", "right"), [*SHAPES, *((b, a) for a, b in SHAPES)])
@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div"])
def test_multidirectional_broadcasting(op: str, left: Any, right: Any, is_constant: bool) -> None:
    random = np.random.default_rng(4)
    a, b = (random.uniform(1, 2, shape).astype(np.float32) for shape in (left, right))
    inputs = {"a": ("f32", left), "b": ("f32", right)}
    constants = {"b": b} if is_constant else {}
    if is_constant:
        del inputs["b"]
    nodes = [helper.make_node(op, ["a", "b"], ["y"])]
    model = model_of(nodes, inputs, {"y": "f32"}, constants)
    arguments = [a] if is_constant else [a, b]
    (result,) = ng.compile(loads(model))(*arguments)
    numpy_op = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide}[op]
    np.testing.assert_array_equal(result, numpy_op(a, b))


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axes", [None, [1], [-1], [0, 2], [0, 1, 2]])
@pytest.mark.parametrize("opset", [11, 13, 18])
@pytest.mark.parametrize("op", ["ReduceSum", "ReduceMean", "ReduceSumSquare", "ReduceL2"])
def test_reductions_and_what_is_repeated_along_them(
    op: str, opset: int, axes: list[int] | None, keepdims: int
) -> None:
    """Axes are an attribute, and an input from opset 13 (ReduceSum) or 18 on."""
    is_input = opset >= (13 if op == "ReduceSum" else 18)
    given: dict[str, Any] = {} if axes is None or is_input else {"axes": axes}
    constants = {"axes": np.array(axes, np.int64)} if axes and is_input else {}
    nodes = [helper.make_node(op, ["x", *constants], ["r"], keepdims=keepdims, **given)]
    if keepdims:
        nodes.append(helper.make_node("Sub", ["x", "r"], ["y"]))
    name = "y" if keepdims else "r"
    model = model_of(nodes, {"x": ("f32", ["N", 3, 4])}, {name: "f32"}, constants, opset)
    x = np.random.default_rng(5).standard_normal((2, 3, 4)).astype(np.float32)
    check_near(ng.compile(loads(model))(x), run(model, [x]), "f32")


def test_reductions_keep_axes_unless_they_are_told_otherwise() -> None:
    nodes = [helper.make_node("ReduceMean", ["x"], ["y"], axes=[1])]
    model = model_of(nodes, {"x": ("f32", [2, 3])}, {"y": "f32"}, opset=13)
    assert str(loads(model).results[0].partial_shape) == "{2,1}"


@pytest.mark.parametrize("flags", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("addend", [None, (), (1,), (5,), (3, 1), (3, 5)])
def test_gemm(flags: tuple[int, int], addend: tuple[int, ...] | None) -> None:
    left, right = ((4, 3) if flags[0] else (3, 4)), ((5, 4) if flags[1] else (4, 5))
    random = np.random.default_rng(6)
    shapes = [left, right] if addend is None else [left, right, addend]
    arguments = [random.standard_normal(shape).astype(np.float32) for shape in shapes]
    node = helper.make_node(
        "Gemm", ["a", "b", "c"][: len(shapes)], ["y"], transA=flags[0], transB=flags[1], alpha=0.5,
        beta=-2.0,
    )  # fmt: skip
    inputs = {name: ("f32", shape) for name, shape in zip("abc", shapes, strict=False)}
    model = model_of([node], inputs, {"y": "f32"})
    check_near(ng.compile(loads(model))(*arguments), run(model, arguments), "f32")


def test_transposed_matrices_are_flags_of_the_product() -> None:
    nodes = [
        helper.make_node("Transpose", ["b"], ["t"]),
        helper.make_node("MatMul", ["a", "t"], ["y"]),
    ]
    model = model_of(nodes, {"a": ("f32", ["N", 4]), "b": ("f32", [5, 4])}, {"y": "f32"})
    (product,) = (node for node in loads(model).nodes if node.type_name == "MatrixMultiply")
    assert product.attributes == {"transpose_left": False, "transpose_right": True}


@pytest.mark.parametrize(("low", "high"), [(0.0, None), (0.0, 6.0), (None, None)])
@pytest.mark.parametrize("opset", [9, 13])
def test_clip_is_a_relu(opset: int, low: float | None, high: float | None) -> None:
    given = {name: value for name, value in (("min", low), ("max", high)) if value is not None}
    constants = {name: np.array(value, np.float32) for name, value in given.items()}
    attributes: dict[str, Any] = given if opset < 11 else {}
    names = [] if opset < 11 else ["min" if low is not None else "", "max" if high else ""]
    nodes = [helper.make_node("Clip", ["x", *names], ["y"], **attributes)]
    model = model_of(
        nodes, {"x": ("f32", [7])}, {"y": "f32"}, {} if opset < 11 else constants, opset
    )
    x = np.float32([-8, -1, -0.0, 0.5, 6, 7, 9])
    (result,) = ng.compile(loads(model))(x)
    np.testing.assert_array_equal(result, run(model, [x])[0])


def test_lengths_that_a_model_computes() -> None:
    """As exporters flatten what a pooling leaves, of a batch whose size is not known."""
    numbers = {"zero": 0, "one": 1, "minus": -1}
    constants: dict[str, Array] = {
        name: np.array([number], np.int64) for name, number in numbers.items()
    }
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["p"]),
        helper.make_node("Shape", ["p"], ["s"]),
        helper.make_node("Slice", ["s", "zero", "one"], ["n"]),
        helper.make_node("Concat", ["n", "minus"], ["both"], axis=0),
        helper.make_node("Reshape", ["p", "both"], ["f"]),
        helper.make_node("Add", ["f", "b"], ["y"]),
    ]
    constants["b"] = np.float32([1, 2, 3])
    model = model_of(nodes, {"x": ("f32", ["N", 3, 2, 2])}, {"y": "f32"}, constants)
    x = np.random.default_rng(7).standard_normal((2, 3, 2, 2)).astype(np.float32)
    check_near(ng.compile(loads(model))(x), run(model, [x]), "f32")


# ---- constants and shapes ------------------------------------------------------------------------


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("element_type", [*REAL_TYPES, "i8", "u16", "i64", "u64", "boolean"])
def test_initializers_keep_bits_and_names(element_type: str, raw: bool) -> None:
    type_ = getattr(ng.element, element_type)
    numbers = np.array([0, 1, 1]) if element_type == "boolean" else np.array([0, 1, 100])
    if element_type == "bf16":
        dtype: Any = REAL_TYPES["bf16"].dtype
    else:
        dtype = type_.dtype
    data = numbers.astype(dtype).tobytes()
    kinds = {**NUMBERS, "i8": "INT8", "u16": "UINT16", "i64": "INT64", "u64": "UINT64"}
    number = getattr(TensorProto, kinds.get(element_type, "BOOL"))
    values = data if raw else numbers.tolist()
    tensor = helper.make_tensor("fc.weight", number, [3], values, raw=raw)
    other = TensorProto.DOUBLE if element_type == "f32" else TensorProto.FLOAT
    cast = helper.make_node("Cast", ["fc.weight"], ["y"], to=other)
    result = helper.make_tensor_value_info("y", other, [3])
    function = loads(helper.make_model(helper.make_graph([cast], "g", [], [result], [tensor])))
    constant = function.nodes[0]
    assert isinstance(constant, ng.Constant)
    assert (constant.friendly_name, constant.element_type) == ("fc.weight", type_)
    assert constant.attributes["data"] == data
    (written,) = to_model(function).graph.initializer
    assert (written.name, written.raw_data) == ("fc.weight", data)


def test_initializers_that_are_inputs_too_are_constants() -> None:
    node = helper.make_node("Add", ["x", "b"], ["y"])
    inputs = {"x": ("f32", [2]), "b": ("f32", [2])}
    function = loads(model_of([node], inputs, {"y": "f32"}, {"b": np.float32([1, 2])}))
    assert [parameter.friendly_name for parameter in function.parameters] == ["x"]


def test_shapes_that_are_partial_or_symbolic() -> None:
    node = helper.make_node("Add", ["x", "y"], ["z"])
    model = model_of(
        [node], {"x": ("f32", ["N", None, 3]), "y": ("f32", ["N", 2, 3])}, {"z": "f32"}
    )
    function = loads(model)
    assert [str(value.output(0).partial_shape) for value in function.parameters] == [
        "{?,?,3}",
        "{?,2,3}",
    ]
    assert str(function.results[0].partial_shape) == "{?,2,3}"


def test_names_are_those_of_the_model() -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["h"], name="/act/Relu"),
        helper.make_node("Sqrt", ["h"], ["root"]),
        helper.make_node("Neg", ["root"], ["out"], name="/neg/Neg"),
    ]
    function = loads(model_of(nodes, {"x": ("f32", [2])}, {"out": "f32"}))
    names = [node.friendly_name for node in function.nodes]
    assert names == ["x", "/act/Relu", "root", "out"]
    assert function.friendly_name == "graph"


def test_external_data_lie_beside_the_model(tmp_path: Path) -> None:
    weights = np.arange(600, dtype=np.float32).reshape(2, 300)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    model = model_of(nodes, {"x": ("f32", [1, 2])}, {"y": "f32"}, {"w": weights})
    path = tmp_path / "model.onnx"
    onnx.save_model(model, path, save_as_external_data=True, location="w.bin", size_threshold=0)
    assert (tmp_path / "w.bin").exists()
    x = np.float32([[1, 2]])
    np.testing.assert_array_equal(ng.compile(load(path))(x)[0], x @ weights)
    with pytest.raises(NotImportableError, match="initializer 'w': external data"):
        loads(path.read_bytes())
    with path.open("rb") as file, pytest.raises(NotImportableError, match="external data"):
        load(file)


def test_a_file_that_is_open(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(batch_norm(15).SerializeToString())
    with path.open("rb") as file:
        assert str(load(file)) == str(load(path)) == str(loads(path.read_bytes()))
    with path.open("r", encoding="latin-1") as file, pytest.raises(TypeError, match="read bytes"):
        load(file)  # type: ignore[arg-type]
