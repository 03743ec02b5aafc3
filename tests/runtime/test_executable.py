"""Compiling and calling: arguments by position and name, shapes, results, `out`, errors."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

import normgraph as ng

from ..kernel.comparison import assert_same_bits
from .graphs import BACKENDS, Array, chain, normals, numpy_chain, parameters, results_of

EVERY_BACKEND = pytest.mark.parametrize("backend", BACKENDS)
SHAPE = (30, 7)


def two_results() -> ng.Function:
    """(x + y, x - y)."""
    x, y = parameters("x y", [None, 7])
    return ng.Function([ng.op.Add(x, y, name="sum"), ng.op.Subtract(x, y)], [x, y], name="two")


def arrays(count: int = 2, shape: tuple[int, ...] = SHAPE) -> list[Array]:
    return [normals(shape, seed) for seed in range(count)]


@EVERY_BACKEND
def test_arguments_by_position_and_by_name(backend: str) -> None:
    executable = ng.compile(two_results(), backend)
    x, y = arrays()
    for result in (executable(x, y), executable(x, y=y), executable(y=y, x=x)):
        assert isinstance(result, tuple)
        assert_same_bits(result[0], x + y, "sum")
        assert_same_bits(result[1], x - y, "difference")


def test_what_it_tells_of_itself() -> None:
    function = two_results()
    executable = ng.compile(function)
    assert executable.parameters == ("x", "y")
    assert executable.backend == "cpu"
    assert executable.function is function
    assert ng.compile(function, backend="reference").backend == "reference"
    for part in ("two", "cpu", "x, y", "sum"):
        assert part in repr(executable)


def test_a_single_result_is_a_tuple_as_well() -> None:
    result = ng.compile(chain(3))(*arrays())
    assert isinstance(result, tuple)
    assert len(result) == 1


@pytest.mark.parametrize(
    ("given", "named", "text"),
    [
        (1, {}, "got no 'y'"),
        (0, {}, "got no 'x' and no 'y'"),
        (3, {}, "got 3 positional arguments"),
        (2, {"x": 0}, "got 'x' twice"),
        (2, {"z": 0}, "got an argument named 'z'"),
    ],
)
def test_arguments_that_do_not_match_the_parameters(
    given: int, named: dict[str, Any], text: str
) -> None:
    executable = ng.compile(two_results())
    with pytest.raises(TypeError, match=text) as error:
        executable(*arrays(given), **{name: arrays()[0] for name in named})
    assert "(x, y)" in str(error.value)


def test_parameters_of_one_name_are_given_by_position() -> None:
    inputs = parameters("x x", [None])
    executable = ng.compile(ng.Function([ng.op.Subtract(*inputs)], inputs))
    assert executable(np.ones(2, "f4"), np.zeros(2, "f4"))[0].tolist() == [1, 1]
    with pytest.raises(TypeError, match="'x', which is the name of several parameters"):
        executable(np.ones(2, "f4"), x=np.zeros(2, "f4"))


def test_every_argument_that_does_not_fit_is_listed_by_name() -> None:
    executable = ng.compile(two_results())
    with pytest.raises(ValueError, match="x: expected") as error:
        executable(np.zeros((3, 32), "f4"), np.zeros((3, 7), "f8"))
    assert str(error.value).splitlines() == [
        "x: expected f32{?,7}, got f32{3,32}",
        "y: expected f32{?,7}, got f64{3,7}",
    ]
    with pytest.raises(ValueError, match=r"y: expected f32\{\?,7\}, got f32\{3,7,1\}"):
        executable(np.zeros((3, 7), "f4"), np.zeros((3, 7, 1), "f4"))


def test_arguments_that_do_not_fit_each_other_name_the_node() -> None:
    executable = ng.compile(two_results())
    with pytest.raises(ng.NodeValidationFailure, match="Add 'sum' is not valid"):
        executable(*[np.zeros((rows, 7), "f4") for rows in (2, 3)])


@pytest.mark.parametrize("bad", [None, [1.0], "text", 3, object()])
def test_what_is_no_array_is_refused_by_name(bad: Any) -> None:
    with pytest.raises(TypeError, match="y: expected an array"):
        ng.compile(two_results())(arrays()[0], bad)


def test_other_arrays_than_numpys_are_taken() -> None:
    x, y = arrays()
    result = ng.compile(two_results())(memoryview(x), memoryview(y))
    assert_same_bits(result[0], x + y, "sum")


@pytest.mark.parametrize(
    ("function", "backend", "error", "text"),
    [
        (None, "cpu", TypeError, "function: expected a Function, got None"),
        (two_results(), "gpu", ValueError, "backend: expected 'cpu' or 'reference', got 'gpu'"),
        (two_results(), 3, TypeError, "backend: expected 'cpu' or 'reference', got 3"),
    ],
)
def test_what_cannot_be_compiled(
    function: Any, backend: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        ng.compile(function, backend)


def test_the_number_of_threads_is_checked() -> None:
    with pytest.raises(ValueError, match="num_threads"):
        ng.compile(two_results())(*arrays(), num_threads=0)


@EVERY_BACKEND
def test_one_executable_runs_on_many_shapes(backend: str) -> None:
    executable = ng.compile(chain(7), backend)
    for repetition in range(2):
        for size in range(40):  # more shapes than are remembered
            x, y = arrays(2, (size, 3))
            assert_same_bits(executable(x, y)[0], numpy_chain(7, x, y), f"{size} {repetition}")
    for shape in ((), (0, 5), (2, 0), (1,), (2, 3, 4, 5, 6)):
        x, y = arrays(2, shape)
        assert_same_bits(executable(x, y)[0], numpy_chain(7, x, y), str(shape))


STRIDED = {
    "transposed": lambda array: np.ascontiguousarray(array.T).T,
    "reversed": lambda array: np.ascontiguousarray(array[::-1, ::-1])[::-1, ::-1],
    "every other": lambda array: np.repeat(array, 2, axis=1)[:, ::2],
    "unaligned": lambda array: (
        np.frombuffer(b"\0" + array.tobytes(), np.uint8, offset=1)
        .view(array.dtype)
        .reshape(array.shape)
    ),
}


@EVERY_BACKEND
@pytest.mark.parametrize("strides", STRIDED)
def test_arguments_and_outs_in_any_strides(strides: str, backend: str) -> None:
    x, y = arrays(2, (130, 67))
    executable = ng.compile(chain(6), backend)
    view = STRIDED[strides](x)
    assert np.array_equal(view, x)
    assert_same_bits(executable(view, y)[0], numpy_chain(6, x, y), "argument")
    out = np.array(STRIDED[strides](np.zeros_like(x)))
    (result,) = executable(view, view, out=out)
    assert result is out
    assert_same_bits(out, numpy_chain(6, x, x), "out")


@EVERY_BACKEND
def test_a_broadcast_argument(backend: str) -> None:
    row, y = normals(67, 0), normals((130, 67), 1)
    x = np.broadcast_to(row, y.shape)
    assert_same_bits(ng.compile(chain(6), backend)(x, y)[0], numpy_chain(6, x, y), backend)


@EVERY_BACKEND
def test_out_is_written_and_returned(backend: str) -> None:
    executable = ng.compile(two_results(), backend)
    x, y = arrays()
    out = np.empty_like(x)
    for position in range(2):
        out[:] = 9
        result = executable(x, y, out=(None, out) if position else (out, None))
        assert result[position] is out
        assert_same_bits(result[0], x + y, "sum")
        assert_same_bits(result[1], x - y, "difference")


def bad_outs() -> dict[str, tuple[Any, type[Exception], str]]:
    x, _ = arrays()
    read_only = np.zeros(SHAPE, np.float32)
    read_only.flags.writeable = False
    shared = np.zeros((31, 7), np.float32)
    return {
        "too few": ((x,), ValueError, "a tuple of 1"),
        "a list": ([None, None], TypeError, "out: expected a tuple of 2"),
        "one array for two": (np.zeros(SHAPE, "f4"), TypeError, "out: expected a tuple of 2"),
        "type": (
            (np.zeros(SHAPE), None),
            ValueError,
            r"out\[0\] \(sum\): expected an array of f32",
        ),
        "shape": ((None, np.zeros((7, 30), "f4")), ValueError, r"out\[1\] \(Subtract_"),
        "read only": (
            (read_only, None),
            ValueError,
            r"out\[0\] \(sum\): expected a writable array",
        ),
        "no array": ((None, 3), TypeError, r"out\[1\] \(Subtract_\d+\): expected an array"),
        "overlaps itself": (
            (np.broadcast_to(np.zeros(7, "f4"), SHAPE), None),
            ValueError,
            "expected a writable",
        ),
        "overlaps the other": ((shared[:30], shared[1:]), ValueError, r"overlaps out\[0\] \(sum\)"),
    }


@pytest.mark.parametrize("case", bad_outs())
def test_an_out_that_does_not_fit(case: str) -> None:
    out, error, text = bad_outs()[case]
    x, y = arrays()
    with pytest.raises(error, match=text):
        ng.compile(two_results())(x, y, out=out)


def test_an_out_must_not_overlap_an_argument() -> None:
    x, y = arrays()
    before = x.copy()
    with pytest.raises(ValueError, match=r"out\[1\] .* overlaps x"):
        ng.compile(two_results())(x, y, out=(None, x))
    with pytest.raises(ValueError, match=r"out\[0\] .* overlaps y"):
        ng.compile(two_results())(x, y, out=(y[:], None))
    assert np.array_equal(x, before)


@EVERY_BACKEND
def test_results_that_are_parameters_constants_or_repeated(backend: str) -> None:
    x, mask = ng.Parameter("f32", [None], name="x"), ng.Parameter("u8", [None], name="mask")
    constant = ng.Constant([[1, 2], [3, 4]], "i32")
    total = ng.op.Add(x, x)
    results = [x, constant, total, total, ng.op.Convert(x, "f32"), mask, x]
    array, bytes_ = normals(5, 0), np.arange(9, dtype=np.uint8)
    found = results_of(results, [x, mask], array, bytes_[::2], backend=backend)
    expected = [array, np.array([[1, 2], [3, 4]], "i4"), array + array, array + array, array]
    for index, (left, right) in enumerate(zip(found, [*expected, bytes_[::2], array], strict=True)):
        assert left.dtype == right.dtype, index
        assert np.array_equal(left, right), index
        assert not np.shares_memory(left, array), index
    assert not np.shares_memory(found[2], found[3])


def test_a_function_without_parameters() -> None:
    constant = ng.Constant([1.0, -2.0], "f32")
    assert ng.compile(ng.Function([ng.op.Negate(constant)], []))()[0].tolist() == [-1, 2]


@EVERY_BACKEND
def test_what_is_compiled_does_not_change(backend: str) -> None:
    x = ng.Parameter("f32", [None, 2], name="x")
    vectors = [ng.Constant([1.0, 1.0], "f32") for _ in range(2)]
    node = ng.op.BatchNormTraining(x, *vectors, epsilon=0.5)
    function = ng.Function([node.output(0)], [x])
    executable = ng.compile(function, backend)
    array = normals((6, 2), 0)
    (before,) = executable(array)
    node.epsilon = 2.0
    x.element_type = "f64"
    assert_same_bits(executable(array)[0], before, "the same shape")
    (longer,) = executable(np.concatenate([array, array]))
    assert_same_bits(longer[:6], before, "another shape")


def test_an_executable_outlives_its_function() -> None:
    executable = ng.compile(chain(2))
    gc.collect()
    x, y = arrays()
    assert_same_bits(executable(x, y)[0], numpy_chain(2, x, y), "chain")


@EVERY_BACKEND
def test_values_that_only_lend_their_shape_are_not_computed(backend: str) -> None:
    """`like` of a Broadcast would be refused here if it were run: a batch norm of nothing."""
    x = ng.Parameter("f32", [None, 2], name="x")
    vectors = [ng.Constant([1.0, 1.0], "f32") for _ in range(2)]
    like = ng.op.BatchNormTraining(x, *vectors).output(0)
    repeated = ng.op.Broadcast(vectors[0], like, [1])
    assert results_of([repeated], [x], np.zeros((0, 2), "f4"), backend=backend)[0].shape == (0, 2)
    with pytest.raises(ValueError, match=r"BatchNormTraining '.*': input: expected at least one"):
        results_of([like], [x], np.zeros((0, 2), "f4"), backend=backend)


@EVERY_BACKEND
def test_the_family_runs_in_a_graph(backend: str) -> None:
    x, d = parameters("x d", [None, 6, None])
    gamma, beta = parameters("gamma beta", [6])
    forward = ng.op.BatchNormTrainingRelu(x, gamma, beta)
    backward = ng.op.BatchNormTrainingReluBackprop(
        x,
        gamma,
        beta,
        forward.output("mean"),
        forward.output("variance"),
        forward.output("mask"),
        d,
    )
    inputs = [x, d, gamma, beta]
    given = [normals((9, 6, 33), 0), normals((9, 6, 33), 1), normals(6, 2), normals(6, 3)]
    expected = ng.batch_norm_training_relu(given[0], *given[2:])
    gradients = ng.batch_norm_training_relu_backprop(
        given[0], *given[2:], expected.mean, expected.variance, expected.mask, given[1]
    )
    results = [*forward.outputs, *backward.outputs]
    found = results_of(results, inputs, *given, backend=backend)
    for left, right in zip(found, [*expected, *gradients], strict=True):
        assert_same_bits(left, right, backend)
    alone = results_of([backward.output("gamma_delta")], inputs, *given, backend=backend)
    assert_same_bits(alone[0], gradients.gamma_delta, "one output")


def test_masks_have_no_strides() -> None:
    x, mask = ng.Parameter("f32", [None, 8], name="x"), ng.Parameter("u8", None, name="bits")
    function = ng.Function([ng.op.ReluMaskSelect(x, mask), ng.op.ReluMask(x)], [x, mask])
    executable = ng.compile(function)
    array, bits = normals((6, 8), 0), np.full((12, 1), 0xFF, np.uint8)
    with pytest.raises(ValueError, match="bits: expected an array in C order without gaps"):
        executable(array, bits[::2])
    with pytest.raises(
        ValueError, match=r"out\[1\] \(ReluMask_\d+\): expected an array in C order"
    ):
        executable(array, bits[:6], out=(None, np.zeros((12, 1), np.uint8)[::2]))
    assert_same_bits(executable(array, bits[:6])[0], array, "all bits set")


@EVERY_BACKEND
def test_the_strides_of_out_do_not_change_bits(backend: str) -> None:
    """A result that a batch norm reads: its order of summation depends on strides."""
    x = ng.Parameter("f64", [None, 5, None], name="x")
    vectors = [ng.Constant([1.0] * 5, "f64") for _ in range(2)]
    doubled = ng.op.Add(x, x)
    node = ng.op.BatchNormTraining(doubled, *vectors)
    executable = ng.compile(ng.Function([doubled, node.output("mean")], [x]), backend)
    array = normals((40, 5, 77), 0, np.float64)
    expected = executable(array)
    in_other_order = np.ascontiguousarray(array.transpose(0, 2, 1)).transpose(0, 2, 1)
    other_mean = ng.batch_norm_training(in_other_order * 2, *[np.ones(5)] * 2).mean
    assert not np.array_equal(expected[1], other_mean)  # or this would show nothing
    out = np.zeros((40, 77, 5)).transpose(0, 2, 1)
    found = executable(array, out=(out, None))
    for left, right in zip(found, expected, strict=True):
        assert_same_bits(left, right, "out")


@EVERY_BACKEND
def test_every_value_of_a_chain_is_a_result_in_other_strides(backend: str) -> None:
    """Blocks of values that are copied at the end must not be overwritten before."""
    x, y = parameters("x y")
    values: list[Any] = [ng.op.Add(x, y)]
    for _ in range(5):
        values.append(ng.op.Multiply(ng.op.Negate(values[-1]), y))
    executable = ng.compile(ng.Function(values, [x, y]), backend)
    arrays_given = arrays(2, (9000,))
    expected = executable(*arrays_given)
    outs = tuple(np.zeros(18000, np.float32)[::2] for _ in values)
    for left, right in zip(executable(*arrays_given, out=outs), expected, strict=True):
        assert_same_bits(left, right, "strided out")


def test_views_that_have_too_many_elements_are_refused() -> None:
    x = ng.Parameter("f32", None, name="x")
    executable = ng.compile(ng.Function([ng.op.Sum(x, [])], [x]))
    huge = np.broadcast_to(np.float32(1), (2**40, 2**20))
    with pytest.raises(ValueError, match="expected fewer than 2\\^56 elements"):
        executable(huge)


def test_memory_that_does_not_exist_is_an_error() -> None:
    x = ng.Parameter("f32", None, name="x")
    executable = ng.compile(ng.Function([ng.op.Negate(x)], [x]))
    with pytest.raises(MemoryError):
        executable(np.broadcast_to(np.float32(1), (2**50,)))
