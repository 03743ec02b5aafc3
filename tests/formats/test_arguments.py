"""Arguments of the wrong type: an error that names the argument, whatever it is."""

from __future__ import annotations

import ast
import fractions
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import normgraph as ng
from normgraph import formats

X = ng.Parameter("f32", [2, 3], name="x")
GAMMA = ng.Parameter("f32", [3], name="gamma")
NORM = ng.op.BatchNormTraining(X, GAMMA, GAMMA, name="norm")
FUNCTION = ng.Function(NORM.outputs[:2], [X, GAMMA], name="layer")
ROWS, ONES = np.ones((2, 3), np.float32), np.ones(3, np.float32)
TRACE = ng.trace(FUNCTION, [ROWS, ONES], [ROWS, None])
DRAWING = ng.draw(FUNCTION)


class Odd:
    """Nothing that anything here takes."""


class BytesPath:
    """A path that os.fspath takes and pathlib does not."""

    def __fspath__(self) -> bytes:
        return b"x.svg"


NUMBERS: list[Any] = [3, 1.5, True, np.float32(2), np.ones(2)]
TEXTS: list[Any] = ["x", b"x"]
OTHERS: list[Any] = [None, Odd(), [3], {"x": 3}, ROWS]

Call = Callable[[Any], object]

#: Each argument by its name in messages: what takes it, and values of types that it never has.
ARGUMENTS: list[tuple[str, Call, list[Any]]] = [
    *(
        ("function", call, [*NUMBERS, *TEXTS, *OTHERS, X])
        for call in (
            formats.json.dumps,
            lambda value: formats.json.dump(value, "x.json"),
            formats.stablehlo.dumps,
            lambda value: formats.stablehlo.dump(value, "x.mlir"),
            formats.onnx.to_model,
            lambda value: formats.onnx.save(value, "x.onnx"),
            ng.draw,
            lambda value: ng.trace(value, []),
        )
    ),
    *(
        ("path", call, [*NUMBERS, b"x", *OTHERS, BytesPath()])
        for call in (
            lambda value: formats.json.dump(FUNCTION, value),
            formats.json.load,
            lambda value: formats.stablehlo.dump(FUNCTION, value),
            lambda value: formats.onnx.save(FUNCTION, value),
            DRAWING.save,
        )
    ),
    ("text", formats.json.loads, [*NUMBERS, *OTHERS]),
    *(
        ("family", call, [*NUMBERS, b"native", *OTHERS, ["native"], np.array(["native"])])
        for call in (
            lambda value: formats.stablehlo.dumps(FUNCTION, value),
            lambda value: formats.stablehlo.dump(FUNCTION, "x.mlir", value),
            lambda value: formats.onnx.to_model(FUNCTION, value),
            lambda value: formats.onnx.save(FUNCTION, "x.onnx", value),
        )
    ),
    *(
        ("momentum", call, ["0.1", b"0.1", True, np.ones(2), Odd(), [0.1], {}, 1j, X])
        for call in (
            lambda value: formats.onnx.to_model(FUNCTION, momentum=value),
            lambda value: formats.onnx.save(FUNCTION, "x.onnx", momentum=value),
        )
    ),
    ("decompose", lambda value: ng.draw(FUNCTION, value), [3, 1.5, 0, b"f32", Odd(), [3], {}, X]),
    ("deltas", lambda value: ng.draw(FUNCTION, deltas=value), [3, True, "x", b"x", Odd(), X, {}]),
    (
        "deltas[0]",
        lambda value: ng.draw(FUNCTION, deltas=[value, X]),
        [*NUMBERS, *TEXTS, *OTHERS, NORM, NORM.output(0)],
    ),
    ("inputs", lambda value: ng.trace(FUNCTION, value), [3, 1.5, "xy", b"xy", None, Odd()]),
    ("inputs", lambda value: ng.trace(FUNCTION, {value: ROWS, "x": ROWS}), [3, None, b"gamma"]),
    (
        "deltas",
        lambda value: ng.trace(FUNCTION, [ROWS, ONES], value),
        [3, 1.5, "xy", b"xy", Odd(), {"x": 3, "y": 4}, np.float32(2)],
    ),
    (
        "backend",
        lambda value: ng.trace(FUNCTION, [ROWS, ONES], backend=value),
        [*NUMBERS, b"cpu", *OTHERS],
    ),
    ("names", TRACE.table, [3, True, "x", b"x", Odd()]),
]


@pytest.mark.parametrize(
    ("name", "call", "value"),
    [(name, call, value) for name, call, values in ARGUMENTS for value in values],
)
def test_an_argument_of_another_type_is_named(
    name: str, call: Call, value: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TypeError, match=rf"^{re.escape(name)}: expected .*, got "):
        call(value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("half", ["\ud800", "x\udfff", "\udfff\ud800.svg"])
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("path", lambda half: formats.json.dump(FUNCTION, half)),
        ("path", formats.json.load),
        ("path", lambda half: formats.stablehlo.dump(FUNCTION, half)),
        ("path", lambda half: formats.onnx.save(FUNCTION, half)),
        ("path", DRAWING.save),
        ("family", lambda half: formats.stablehlo.dumps(FUNCTION, half)),
        ("family", lambda half: formats.onnx.to_model(FUNCTION, half)),
        ("decompose", lambda half: ng.draw(FUNCTION, half)),
    ],
)
def test_half_a_character_in_an_argument_is_a_value_error(name: str, call: Call, half: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: expected "):
        call(half)


def test_what_no_file_can_be_called_is_a_value_error() -> None:
    with pytest.raises(ValueError, match=r"^path: expected a name that a file can have, got 'a\\x"):
        formats.json.load("a\0b")


@pytest.mark.parametrize("name", ["f31", "dynamic", "i32", "boolean", ""])
def test_stages_are_drawn_in_real_types(name: str) -> None:
    for function in (FUNCTION, ng.Function([X], [X])):
        with pytest.raises(ValueError, match=r"^decompose: expected .*, got "):
            ng.draw(function, name)


@pytest.mark.parametrize("value", [True, np.True_])
def test_what_says_yes_says_yes(value: Any) -> None:
    assert ng.draw(FUNCTION, value).dot == ng.draw(FUNCTION, True).dot


def test_collections_of_any_kind_will_do() -> None:
    assert ng.draw(FUNCTION, deltas=iter([X])) == ng.draw(FUNCTION, deltas={X})  # type: ignore[arg-type]
    pair = TRACE.gradient("x")
    for deltas in ((ROWS, None), iter([ROWS, None]), np.stack([ROWS, ROWS])[:1]):
        results = FUNCTION.results[: 1 if isinstance(deltas, np.ndarray) else 2]
        function = ng.Function(results, FUNCTION.parameters)
        assert (ng.trace(function, iter([ROWS, ONES]), deltas).gradient("x") == pair).all()  # type: ignore[arg-type]


@pytest.mark.parametrize("momentum", [np.float32(0.25), np.float64(0.25), fractions.Fraction(1, 4)])
def test_numbers_of_any_kind_will_do(momentum: Any) -> None:
    pytest.importorskip("onnx")
    model = formats.onnx.to_model(FUNCTION, momentum=momentum)
    assert model == formats.onnx.to_model(FUNCTION, momentum=0.25)


# ---- arrays by name ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["out", "num_threads", "self", "not an identifier", "σ"])
def test_arrays_by_any_name(name: str) -> None:
    x = ng.Parameter("f32", [2], name=name)
    y = ng.Parameter("f32", [2], name="y")
    function = ng.Function([ng.op.Subtract(x, y)], [x, y])
    ones, twos = np.float32([1, 1]), np.float32([2, 2])
    trace = ng.trace(function, {"y": twos, name: ones})
    assert trace[name].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"x": ROWS}, "no 'gamma'"),
        ({"x": ROWS, "gamma": ONES, "z": 1, "\ud800": 2}, r"an array named 'z' and .* '\\ud800'"),
        ({"out": ROWS}, "no 'x' and no 'gamma' and an array named 'out'"),
        ([ROWS], "1"),
        ([ROWS, ONES, ONES], "3"),
        ([], "0"),
    ],
)
def test_arrays_that_are_missing_or_too_many(inputs: Any, message: str) -> None:
    start = r"^inputs: expected an array for each of the parameters \(x, gamma\), got "
    with pytest.raises(TypeError, match=f"{start}{message}$"):
        ng.trace(FUNCTION, inputs)


def test_a_name_of_several_parameters_names_none() -> None:
    twins = [ng.Parameter("f32", [2], name="x") for _ in range(2)]
    function = ng.Function([ng.op.Add(*twins)], twins)
    with pytest.raises(TypeError, match=r"^inputs: .*'x', which is the name of 2 parameters"):
        ng.trace(function, {"x": np.ones(2, np.float32)})


def test_outputs_and_nodes_of_one_name_are_told_apart() -> None:
    """A parameter may be called as an output of an op is."""
    x = ng.Parameter("f32", [2, 3], name="norm.mean")
    vector = ng.Parameter("f32", [3], name="norm")
    norm = ng.op.BatchNormTraining(x, vector, vector, name="norm")
    function = ng.Function(norm.outputs, [x, vector])
    trace = ng.trace(function, [ROWS, ONES])
    assert list(trace) == [
        "norm.mean",
        "norm",
        "norm#2.normalized",
        "norm#2.mean",
        "norm#2.variance",
    ]
    x.friendly_name, vector.friendly_name = "norm.mean", "v"
    trace = ng.trace(function, [ROWS, ONES])
    assert list(trace) == ["norm.mean", "v", "norm#2.normalized", "norm#2.mean", "norm#2.variance"]
    assert trace["norm.mean"].shape == (2, 3)
    assert trace[norm.output("mean")].shape == (3,)
    assert len(trace) == 5


def test_the_largest_numbers_have_a_mean() -> None:
    x = ng.Parameter("f64", [5], name="x")
    table = ng.trace(ng.Function([x], [x]), [np.full(5, 1.5e308)]).table()
    assert table.endswith("1.5e+308 to 1.5e+308, mean 1.5e+308")


# ---- sizes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [[2**60] * 20, [2**40, 2**40, 3], [0, 2**62, 2**62]])
@pytest.mark.parametrize(
    "make",
    [
        lambda x: x,
        lambda x: ng.op.Mean(x, [0]),
        lambda x: ng.op.Sum(x, []),
        lambda x: ng.op.Broadcast(ng.Constant(1.0, "f32"), x, []),
        lambda x: ng.op.MeanBackprop(ng.Constant(1.0, "f32"), x, []),
    ],
)
def test_sizes_that_no_tensor_has_are_refused(
    make: Callable[[ng.Node], ng.Node], shape: list[int]
) -> None:
    x = ng.Parameter("f32", shape, name="x")
    function = ng.Function([make(x)], [x])
    for call in (formats.stablehlo.dumps, formats.onnx.to_model):
        message = r"^Parameter 'x': expected fewer than 2\^63 elements, got \{"
        with pytest.raises(formats.NotExpressibleError, match=message):
            call(function)


def test_a_model_has_at_most_two_gibibytes(monkeypatch: pytest.MonkeyPatch) -> None:
    constants = [ng.Constant(np.ones(100), name=name) for name in ("a", "b")]
    function = ng.Function([ng.op.Negate(constant) for constant in constants], [])
    formats.onnx.Writer("native", None).graph_of(function)
    monkeypatch.setattr(formats.onnx.writer, "MOST_BYTES", 1599)
    message = r"^constants: expected at most 1599 bytes in one model, got 1600: 'a' has 800$"
    with pytest.raises(formats.NotExpressibleError, match=message):
        formats.onnx.to_model(function)


# ---- what is not an error of the caller ----------------------------------------------------------


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_interrupts_pass_through(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupting:
        def __getattr__(self, _: str) -> Any:
            raise error

        def __fspath__(self) -> str:
            raise error

        def __iter__(self) -> Any:
            raise error

        def __dlpack__(self) -> Any:
            raise error

    interrupting: Any = Interrupting()
    text = formats.json.dumps(FUNCTION)
    calls: list[Callable[[], object]] = [
        lambda: formats.json.load(interrupting),
        lambda: formats.onnx.save(FUNCTION, interrupting),
        lambda: DRAWING.save(interrupting),
        lambda: ng.draw(FUNCTION, deltas=interrupting),
        lambda: ng.trace(FUNCTION, interrupting),
        lambda: ng.trace(FUNCTION, [ROWS, ONES], interrupting),
        lambda: TRACE.table(interrupting),
    ]
    for call in calls:
        with pytest.raises(error):
            call()

    def interrupted(*_: object, **__: object) -> Any:
        raise error

    for place, call in {
        "attributes.Dimension": lambda: formats.json.loads(text),
        "json.parse": lambda: formats.json.loads(text),
        "graph_writer.Function": lambda: formats.stablehlo.dumps(FUNCTION),
        "drawing.subprocess.run": lambda: ng.draw(FUNCTION).svg(),
        "onnx.writer.model_of": lambda: formats.onnx.to_model(FUNCTION),
    }.items():
        with monkeypatch.context() as patch:
            # Whether or not Graphviz is installed: the program is not started.
            patch.setattr("normgraph.formats.drawing.shutil.which", lambda _: "dot")
            patch.setattr(f"normgraph.formats.{place}", interrupted)
            with pytest.raises(error):
                call()


def test_no_handler_takes_what_is_not_for_it() -> None:
    """No bare `except`, and none of Exception or BaseException."""
    for path in Path(formats.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, path
                names = {name.id for name in ast.walk(node.type) if isinstance(name, ast.Name)}
                assert not names & {"Exception", "BaseException"}, path
