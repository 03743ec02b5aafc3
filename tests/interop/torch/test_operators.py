"""The operators of torch: their registration, what tracing knows of them, threads and memory."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import Any

import pytest

import normgraph as ng

pytestmark = pytest.mark.interop
torch = pytest.importorskip("torch")

from normgraph.torch import functional, operators  # noqa: E402
from tests.interop.torch.samples import CHANNELS, DTYPE_PAIRS, layer, outcome  # noqa: E402

OPERATORS = torch.ops.normgraph
LAYOUTS = {
    "first": lambda x: x,
    "last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "transposed": lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
    "sliced": lambda x: torch.cat([x, x], dim=3)[..., : x.shape[3]],
    "sliced last": lambda x: torch.cat([x, x], dim=1).contiguous(memory_format=torch.channels_last)[
        :, : x.shape[1]
    ],
    "expanded": lambda x: x[:, :, :1].expand(-1, -1, x.shape[2], -1),
    "windows": lambda x: x.reshape(-1).as_strided((4, CHANNELS, 5, 3), (60, 1, 1, 12)),
    "one pixel": lambda x: x[:, :, :1, :1],
    "one channel": lambda x: x[:, :1],
    "one sample last": lambda x: x[:1].contiguous(memory_format=torch.channels_last),
}


@pytest.fixture(autouse=True)
def fused_at_every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors of few elements have ReLU of their own else, as they are faster so."""
    monkeypatch.setattr(functional, "_fewest_fused", 0)


def calls(dtypes: tuple[Any, Any], layout: Any) -> list[tuple[Any, tuple[Any, ...]]]:
    """Each operator with arguments; a mask and statistics come from the forward operators."""
    given = layer(*dtypes)
    input, residual, delta = (layout(t) for t in (given.input, given.residual, given.delta))
    weight, bias = (vector[: input.shape[1]] for vector in (given.weight, given.bias))
    mean, variance = (torch.zeros_like(weight), torch.ones_like(weight))
    forward = (input, weight, bias)
    masked = OPERATORS.batch_norm_training_add_relu(*forward, residual, 1e-5, 1, None, 15)
    backward = (*forward, *masked[1:3])
    found = [
        (OPERATORS.batch_norm_inference, (*forward, mean, variance, 1e-5, 1)),
        (OPERATORS.batch_norm_inference_relu, (*forward, mean, variance, 1e-5, 1, 0.5)),
        (
            OPERATORS.batch_norm_inference_add_relu,
            (*forward, mean, variance, residual, 1e-5, 1, None),
        ),
        (
            OPERATORS.update_running_statistics,
            (mean.clone(), variance.clone(), *masked[1:3], 0.1, 60),
        ),
    ]
    for outputs in (7, 5, 2):
        found += [
            (OPERATORS.batch_norm_training, (*forward, 1e-5, 1, outputs)),
            (OPERATORS.batch_norm_training_relu, (*forward, 1e-5, 1, 0.5, outputs | 8)),
            (
                OPERATORS.batch_norm_training_add_relu,
                (*forward, residual, 1e-5, 1, None, outputs | 8),
            ),
            (OPERATORS.batch_norm_training_backprop, (*backward, delta, 1e-5, 1, outputs)),
            (OPERATORS.batch_norm_inference_backprop, (*backward, delta, 1e-5, 1, outputs)),
            (
                OPERATORS.batch_norm_training_relu_backprop,
                (*backward, masked[3], delta, 1e-5, 1, outputs),
            ),
            (
                OPERATORS.batch_norm_training_add_relu_backprop,
                (*backward, masked[3], delta, 1e-5, 1, outputs | 8),
            ),
        ]
    return found


def as_tuple(results: Any) -> tuple[Any, ...]:
    if results is None:
        return ()
    return results if isinstance(results, tuple) else (results,)


def test_every_function_on_arrays_is_an_operator() -> None:
    names = {
        name
        for name in ng.__all__
        if name.startswith("batch_norm_") and callable(getattr(ng, name))
    }
    without_operator = {"batch_norm_statistics", "batch_norm_backprop_sums"}
    called = {call.default.name() for call, _ in calls(DTYPE_PAIRS[0], LAYOUTS["first"])}
    assert {f"normgraph::{name}" for name in names - without_operator} <= called


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtypes", DTYPE_PAIRS, ids=str)
def test_tracing_knows_shapes_types_and_strides(dtypes: tuple[Any, Any], layout: str) -> None:
    for operator, arguments in calls(dtypes, LAYOUTS[layout]):
        real = as_tuple(operator(*arguments))
        with torch._subclasses.FakeTensorMode() as mode:
            fake_arguments = [
                mode.from_tensor(a) if isinstance(a, torch.Tensor) else a for a in arguments
            ]
            fake = as_tuple(operator(*fake_arguments))
        for index, (left, right) in enumerate(zip(real, fake, strict=True)):
            what = f"{operator} {index}"
            assert left.shape == right.shape, what
            assert left.dtype == right.dtype, what
            assert left.stride() == right.stride(), what


@pytest.mark.parametrize("layout", ["first", "last"])
def test_opcheck(layout: str) -> None:
    for operator, arguments in calls(DTYPE_PAIRS[-1], LAYOUTS[layout]):
        torch.library.opcheck(operator.default, arguments)


def masks_of_both_orders() -> tuple[Any, Any, tuple[Any, ...]]:
    """Masks of equal data in two orders of memory, and what a backward pass takes beside them."""
    given = layer(torch.float64, torch.float64)
    data = (given.input, given.residual, given.delta)
    forward = OPERATORS.batch_norm_training_add_relu
    vectors = (given.weight, given.bias)
    masks = []
    for order in ("first", "last"):
        input, residual, _ = (LAYOUTS[order](t) for t in data)
        _, *statistics, mask = forward(input, *vectors, residual, 1e-5, 1, None, 15)
        masks.append(mask)
    return (*masks, (given.input, *vectors, *statistics, given.delta))


@pytest.mark.parametrize("is_fast", [True, False])
@pytest.mark.parametrize("order_of_mask", [0, 1])
@pytest.mark.parametrize("order_of_data", ["first", "last", "transposed"])
def test_data_may_come_back_in_another_order_of_memory(
    order_of_data: str, order_of_mask: int, is_fast: bool
) -> None:
    *masks, (input, weight, bias, mean, variance, delta) = masks_of_both_orders()
    assert masks[0].shape == masks[1].shape
    assert not torch.equal(*masks)
    backprop = OPERATORS.batch_norm_training_add_relu_backprop
    expected = backprop(input, weight, bias, mean, variance, masks[0], delta, 1e-5, 1, 15)
    input, delta = (LAYOUTS[order_of_data](t) for t in (input, delta))
    values = (input, weight, bias, mean, variance, masks[order_of_mask], delta, 1e-5, 1, 15)
    if is_fast:
        found = backprop(*values)
    else:
        operator = next(
            operators.Operator(*facts)
            for facts in ng._core.torch_operators()
            if facts[0] == "batch_norm_training_add_relu_backprop"
        )
        found = operators._run(operator, *values)
    for left, right in zip(found, expected, strict=True):
        assert torch.allclose(left, right, rtol=1e-13, atol=1e-13)
    assert torch.equal(found[3], expected[3])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_masks_are_packed_alike_without_the_fast_path(layout: str) -> None:
    given = layer(torch.float32, torch.float32)
    input = LAYOUTS[layout](given.input)
    vectors = (vector[: input.shape[1]] for vector in (given.weight, given.bias))
    values = (input, *vectors, 1e-5, 1, None, 15)
    operator = next(
        operators.Operator(*facts)
        for facts in ng._core.torch_operators()
        if facts[0] == "batch_norm_training_relu"
    )
    fast = OPERATORS.batch_norm_training_relu(*values)[3]
    assert torch.equal(fast, operators._run(operator, *values)[3])


@pytest.mark.parametrize("fault", ["shorter", "longer", "strided", "float32", "packing", "2-d"])
def test_a_mask_that_no_forward_pass_returned_is_refused(fault: str) -> None:
    mask, _, (*before, delta) = masks_of_both_orders()
    faults = {
        "shorter": lambda: mask[:-1],
        "longer": lambda: torch.cat([mask, mask[-1:]]),
        "strided": lambda: torch.stack([mask, mask], dim=1)[:, 0],
        "float32": lambda: mask.float(),
        "packing": lambda: torch.cat([mask[:-1], mask.new_tensor([2])]),
        "2-d": lambda: mask[None],
    }
    backprop = OPERATORS.batch_norm_training_relu_backprop
    with pytest.raises((RuntimeError, ValueError), match="mask: expected"):
        backprop(*before, faults[fault](), delta, 1e-5, 1, 7)


def test_the_fast_path_is_there() -> None:
    assert operators.is_fast


def run_python(program: str, **environment: str) -> str:
    """What a program prints in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        check=True,
        text=True,
        capture_output=True,
        timeout=300,
        env=None,
    ).stdout


def test_without_the_fast_path_a_warning_says_so_once_and_bits_are_the_same() -> None:
    printed = run_python(
        """
        import hashlib, warnings, torch
        from normgraph import _core
        def refuse(path):
            raise RuntimeError("libtorch: expected version 2.11 or newer")
        _core.register_torch_kernels = refuse
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            from normgraph.torch import functional, operators
        print(operators.is_fast, len(caught), caught[0].category.__name__, "2.11" in str(caught[0]))
        from tests.interop.torch.test_operators import digest
        print(digest())
        """
    ).split()
    assert printed[:4] == ["False", "1", "RuntimeWarning", "True"]
    assert printed[4] == digest()


def digest() -> str:
    """Of all outputs of all operators, for some types and layouts."""
    import hashlib

    hashed = hashlib.sha256()
    for dtypes in DTYPE_PAIRS:
        for layout in LAYOUTS.values():
            for operator, arguments in calls(dtypes, layout):
                for result in as_tuple(operator(*arguments)):
                    hashed.update(
                        result.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
                    )
                    hashed.update(str((result.shape, result.stride())).encode())
    return hashed.hexdigest()


def test_errors_name_the_argument_and_free_what_they_took() -> None:
    given = layer()
    with pytest.raises(ValueError, match="gamma: expected a tensor of float16"):
        OPERATORS.batch_norm_training(given.input, given.weight.int(), given.bias, 1e-5, 1, 7)
    with pytest.raises(ValueError, match=r"C\d+"):
        OPERATORS.batch_norm_training(given.input, given.weight[:2], None, 1e-5, 1, 7)
    with pytest.raises(ValueError, match="channel_axis"):
        OPERATORS.batch_norm_training(given.input, None, None, 1e-5, 4, 7)
    with pytest.raises(ValueError, match="epsilon"):
        OPERATORS.batch_norm_training(given.input, None, None, -1.0, 1, 7)
    with pytest.raises(ValueError, match="at least one element"):
        OPERATORS.batch_norm_training(given.input[:0], None, None, 1e-5, 1, 7)
    with pytest.raises(RuntimeError, match="training: expected True"):
        torch.miopen_batch_norm(given.input, given.weight, None, None, None, False, 0.1, 1e-5)
    large = torch.zeros(1 << 22)
    before = ng.memory()["in_use"]
    for _ in range(50):
        with pytest.raises(ValueError, match="C5"):
            OPERATORS.batch_norm_training(large, None, None, 1e-5, 1, 7)
    assert ng.memory()["in_use"] == before


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtypes", DTYPE_PAIRS[:2] + DTYPE_PAIRS[4:5], ids=str)
def test_bits_do_not_depend_on_threads(dtypes: tuple[Any, Any], memory_format: Any) -> None:
    given = layer(*dtypes, shape=(16, 24, 40, 40), memory_format=memory_format)
    forms = (
        (functional.batch_norm, False),
        (functional.batch_norm_relu, False),
        (functional.batch_norm_add_relu, True),
    )
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            results.append(
                [outcome(function, given, residual, training=True) for function, residual in forms]
            )
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        for left, right in zip(results[0], other, strict=True):
            assert torch.equal(left.output, right.output)
            assert torch.equal(left.running_var, right.running_var)
            for name, gradient in left.gradients.items():
                assert torch.equal(gradient, right.gradients[name])


def test_kernels_run_on_torchs_threads() -> None:
    """Whose number is set, and none of which are normgraph's own."""
    printed = run_python(
        """
        import os, torch
        from normgraph.torch import functional
        torch.set_num_threads(3)
        x = torch.randn(64, 64, 56, 56)
        torch.nn.functional.relu(x)
        before = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 0
        functional.batch_norm(x, None, None, training=True)
        after = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 0
        print(after - before)
        """
    )
    assert printed.strip() == "0"


def test_large_outputs_come_from_the_pool_and_go_back() -> None:
    x = torch.randn(8, 64, 64, 64)
    ng.release_memory()
    in_use = ng.memory()["in_use"]
    y = functional.batch_norm(x, None, None, training=True)
    size = y.numel() * 4
    if ng.memory()["limit"] == 0:
        pytest.skip("there is no pool on this system")
    assert ng.memory()["in_use"] >= in_use + size
    view = y[3:, :2].numpy()
    expected = view.copy()
    address = y.data_ptr()
    del y
    assert ng.memory()["in_use"] >= in_use + size
    other = functional.batch_norm(x + 1, None, None, training=True)
    assert other.data_ptr() != address
    assert (view == expected).all()
    del view, other
    assert ng.memory()["in_use"] == in_use
    again = functional.batch_norm(x, None, None, training=True)
    assert again.numel() * 4 <= ng.memory()["in_use"]


@pytest.mark.skipif(sys.platform != "linux", reason="what it asks for is glibc's")
def test_freed_memory_is_kept() -> None:
    printed = run_python(
        """
        import resource, torch
        from normgraph.torch import keep_freed_memory

        def faults():
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            for _ in range(10):
                torch.ones(1 << 24)
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

        given_back = faults()
        is_kept = keep_freed_memory()
        faults()
        print(is_kept, given_back, faults())
        """
    ).split()
    if printed[0] == "False":
        pytest.skip("another C library")
    assert int(printed[1]) > 1000  # else the test shows nothing
    assert int(printed[2]) < int(printed[1]) / 100


def test_a_loop_does_not_grow() -> None:
    import resource

    x = torch.randn(8, CHANNELS, 64, 64, requires_grad=True)
    for index in range(300):
        functional.batch_norm_relu(x, None, None, training=True).sum().backward()
        if index == 20:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 16 * 1024  # kilobytes


def test_importing_normgraph_loads_no_torch() -> None:
    printed = run_python("import sys, normgraph; print('torch' in sys.modules)")
    assert printed.strip() == "False"
