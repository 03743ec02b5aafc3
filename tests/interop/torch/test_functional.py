"""normgraph.torch.functional beside torch's own functions, in double, and the kernels' bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import normgraph as ng

pytestmark = pytest.mark.interop
torch = pytest.importorskip("torch")

import torch.nn.functional as torch_functional  # noqa: E402

from normgraph.torch import functional  # noqa: E402
from tests.interop.torch.samples import (  # noqa: E402
    CHANNELS,
    DTYPE_PAIRS,
    DTYPES,
    Layer,
    Outcome,
    assert_close,
    in_double,
    layer,
    outcome,
)

FORMATS = (torch.contiguous_format, torch.channels_last)
#: Each is 1 if computed at once in the type: a product and a sum, each rounded, at most.
STEPS = 4.0


@pytest.fixture(autouse=True)
def fused_at_every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors of few elements have ReLU of their own else, as they are faster so."""
    monkeypatch.setattr(functional, "_fewest_fused", 0)


def torch_relu(tensor: Any, upper_bound: float | None) -> Any:
    if upper_bound is None:
        return torch.relu(tensor)
    return torch_functional.hardtanh(tensor, 0.0, upper_bound)


def torch_batch_norm_relu(*arguments: Any, upper_bound: float | None = None, **options: Any) -> Any:
    return torch_relu(torch_functional.batch_norm(*arguments, **options), upper_bound)


def torch_batch_norm_add_relu(
    input: Any, residual: Any, *arguments: Any, upper_bound: float | None = None, **options: Any
) -> Any:
    normalized = torch_functional.batch_norm(input, *arguments, **options)
    return torch_relu(normalized + residual, upper_bound)


FORMS: list[tuple[Callable[..., Any], Callable[..., Any], dict[str, Any]]] = [
    (functional.batch_norm, torch_functional.batch_norm, {}),
    (functional.batch_norm_relu, torch_batch_norm_relu, {}),
    (functional.batch_norm_relu, torch_batch_norm_relu, {"upper_bound": 1.0}),
    (functional.batch_norm_add_relu, torch_batch_norm_add_relu, {}),
    (functional.batch_norm_add_relu, torch_batch_norm_add_relu, {"upper_bound": 1.5}),
]
FORM_NAMES = ["plain", "relu", "relu1", "add_relu", "add_relu1.5"]


def outcomes(
    form: tuple[Callable[..., Any], Callable[..., Any], dict[str, Any]],
    given: Layer,
    **options: Any,
) -> tuple[Outcome, Outcome]:
    """Ours, and torch's in double.

    No gradient arrives at elements that rounding may move over a corner of ReLU.
    """
    ours, theirs, bound = form
    has_residual = ours is functional.batch_norm_add_relu
    exact = in_double(given)
    running = (exact.running_mean.clone(), exact.running_var.clone())
    sums = torch_functional.batch_norm(exact.input, *running, exact.weight, exact.bias, **options)
    sums += exact.residual if has_residual else 0.0
    width = STEPS * torch.finfo(given.input.dtype).eps * float(sums.abs().max())
    is_safe = (sums.abs() > width) & ((sums - bound.get("upper_bound", 1e9)).abs() > width)
    given = given._replace(delta=torch.where(is_safe, given.delta, 0.0).to(given.delta.dtype))
    return (
        outcome(ours, given, has_residual, **bound, **options),
        outcome(theirs, in_double(given), has_residual, **bound, **options),
    )


def assert_same_outcome(ours: Outcome, exact: Outcome, input: Any) -> None:
    # Beside float64 that which is taken for exact is no better.
    steps = 4 * STEPS if input.dtype is torch.float64 else STEPS
    assert_close(ours.output, exact.output, steps, "output")
    assert ours.output.dtype is input.dtype
    assert ours.output.stride() == input.stride()
    assert_close(ours.running_mean, exact.running_mean, steps, "running_mean")
    assert_close(ours.running_var, exact.running_var, steps, "running_var")
    for name, gradient in ours.gradients.items():
        assert_close(gradient, exact.gradients[name], 4 * steps, name)


@pytest.mark.parametrize("form", FORMS, ids=FORM_NAMES)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("memory_format", FORMATS, ids=["first", "last"])
@pytest.mark.parametrize("dtypes", DTYPE_PAIRS, ids=str)
def test_equals_torch_in_double(
    dtypes: tuple[Any, Any], memory_format: Any, training: bool, form: Any
) -> None:
    given = layer(*dtypes, memory_format=memory_format)
    ours, exact = outcomes(form, given, training=training)
    assert_same_outcome(ours, exact, given.input)


@pytest.mark.parametrize("form", FORMS[:1] + FORMS[1:4:2], ids=["plain", "relu", "add_relu"])
@pytest.mark.parametrize("shape", [(30, CHANNELS), (4, CHANNELS, 9), (3, CHANNELS, 2, 4, 3)])
def test_every_rank(shape: tuple[int, ...], form: Any) -> None:
    given = layer(shape=shape)
    ours, exact = outcomes(form, given, training=True)
    assert_same_outcome(ours, exact, given.input)


@pytest.mark.parametrize("memory_format", FORMATS, ids=["first", "last"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_bits_are_the_kernels(dtype: Any, memory_format: Any) -> None:
    given = layer(dtype, memory_format=memory_format)
    ours = outcome(functional.batch_norm, given, training=True)
    output = torch.empty_like(given.input)
    statistics = [torch.empty(CHANNELS, dtype=torch.float64) for _ in range(2)]
    ng.batch_norm_training(
        given.input, given.weight, given.bias, statistics_type="f64", out=(output, *statistics)
    )
    assert torch.equal(ours.output, output)
    gradients = [torch.empty_like(given.input), *(torch.empty_like(given.weight) for _ in range(2))]
    ng.batch_norm_training_backprop(
        given.input, given.weight, given.bias, *statistics, given.delta, out=tuple(gradients)
    )
    for name, expected in zip(("input", "weight", "bias"), gradients, strict=True):
        # The deviation is kept as its inverse: a step of double more.
        steps = 4 if dtype is torch.float64 else 0
        assert_close(ours.gradients[name], expected, steps, name)


def test_a_residual_that_is_broadcast_or_of_another_type() -> None:
    given = layer()
    for residual in (given.residual[:1, :, :1], given.residual.double()):
        ours = functional.batch_norm_add_relu(
            given.input, residual, None, None, given.weight, given.bias, True
        )
        expected = torch.relu(
            torch_functional.batch_norm(given.input, None, None, given.weight, given.bias, True)
            + residual
        )
        assert ours.dtype is expected.dtype
        assert torch.allclose(ours, expected, atol=1e-5)


@pytest.mark.parametrize("upper_bound", [None, 1.0])
@pytest.mark.parametrize("dtypes", DTYPE_PAIRS, ids=str)
def test_few_elements_have_the_same_bits(
    dtypes: tuple[Any, Any], upper_bound: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = layer(*dtypes)
    results = []
    for fewest in (0, 1000):
        monkeypatch.setattr(functional, "_fewest_fused", fewest)
        results.append(
            outcome(functional.batch_norm_relu, given, training=True, upper_bound=upper_bound)
        )
    fused, split = results
    assert torch.equal(fused.output, split.output)
    for name, gradient in fused.gradients.items():
        # The deviation is kept as its inverse: a step of double more.
        steps = 4 if dtypes[0] is torch.float64 else 0
        assert_close(gradient, split.gradients[name], steps, name)


@pytest.mark.parametrize("affine", ["weight", "bias", "neither"])
@pytest.mark.parametrize("training", [True, False])
def test_without_weight_or_bias(affine: str, training: bool) -> None:
    given = layer()
    weight = given.weight if affine == "weight" else None
    bias = given.bias if affine == "bias" else None
    results = []
    for function in (functional.batch_norm, torch_functional.batch_norm):
        input = given.input.clone().requires_grad_()
        running = (given.running_mean.clone(), given.running_var.clone())
        output = function(input, *running, weight, bias, training)
        results.append((output, *torch.autograd.grad(output, input, given.delta), *running))
    for ours, theirs in zip(*results, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("subset", range(1, 8))
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("form", FORMS[:1] + FORMS[1:4:2], ids=["plain", "relu", "add_relu"])
def test_subsets_of_what_requires_a_gradient(form: Any, training: bool, subset: int) -> None:
    ours, theirs, _ = form
    given = layer()
    results = []
    for function in (ours, theirs):
        leaves = [
            tensor.clone().requires_grad_(bool(subset >> index & 1))
            for index, tensor in enumerate((given.input, given.weight, given.bias))
        ]
        extra = [given.residual] if ours is functional.batch_norm_add_relu else []
        running = (given.running_mean.clone(), given.running_var.clone())
        output = function(leaves[0], *extra, *running, *leaves[1:], training=training)
        output.backward(given.delta)
        results.append([leaf.grad for leaf in leaves])
    for ours_, theirs_ in zip(*results, strict=True):
        assert (ours_ is None) == (theirs_ is None)
        assert ours_ is None or torch.allclose(ours_, theirs_, atol=1e-4)


def test_only_the_residual_requires_a_gradient() -> None:
    given = layer()
    residual = given.residual.clone().requires_grad_()
    arguments = (None, None, given.weight, given.bias, True)
    functional.batch_norm_add_relu(given.input, residual, *arguments).backward(given.delta)
    output = torch_functional.batch_norm(given.input, *arguments) + given.residual
    assert torch.equal(residual.grad, torch.where(output > 0, given.delta, 0.0))


@pytest.mark.parametrize("form", FORMS[:1] + FORMS[1:4:2], ids=["plain", "relu", "add_relu"])
def test_strided_inputs_and_expanded_deltas(form: Any) -> None:
    ours, theirs, _ = form
    padded = torch.zeros(4, 8, 7, 9)
    padded[:, 1:7, 1:6, 3:6] = layer().input
    given = layer()
    results = []
    for function in (ours, theirs):
        extra = [given.residual] if ours is functional.batch_norm_add_relu else []
        for view in (
            padded[:, 1:7, 1:6, 3:6],
            given.input.transpose(2, 3),
            given.input[:, :, ::2],
            given.input[:1].expand(4, -1, -1, -1) + torch.zeros(4, 1, 1, 1),
        ):
            input = view.detach().requires_grad_()
            extras = [tensor.reshape(-1)[: input.numel()].reshape(input.shape) for tensor in extra]
            output = function(input, *extras, None, None, given.weight, given.bias, training=True)
            output.sum().backward()  # of an expanded 1
            results.append((output, input.grad))
    half = len(results) // 2
    for mine, his in zip(results[:half], results[half:], strict=True):
        assert torch.allclose(mine[0], his[0], atol=1e-5)
        assert torch.allclose(mine[1], his[1], atol=1e-4)


def test_operations_in_place_after_the_layer() -> None:
    given = layer()
    for function in (functional.batch_norm, functional.batch_norm_relu):
        input = given.input.clone().requires_grad_()
        output = function(input, None, None, given.weight, given.bias, True)
        output.mul_(2.0).relu_()
        output.backward(given.delta)
        input_ = given.input.clone().requires_grad_()
        expected = torch.relu(
            2.0 * torch_functional.batch_norm(input_, None, None, given.weight, given.bias, True)
        )
        expected.backward(given.delta)
        assert torch.allclose(output, expected, atol=1e-5)
        assert torch.allclose(input.grad, input_.grad, atol=1e-4)


def test_what_the_kernels_do_not_take_is_torchs() -> None:
    given = layer()
    meta = functional.batch_norm(given.input.to("meta"), None, None, training=True)
    assert meta.device.type == "meta"
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        functional.batch_norm(given.input[:1, :, :1, :1], None, None, training=True)
    with pytest.raises(RuntimeError, match="running_mean"):
        functional.batch_norm(given.input, None, None, training=False)
    with pytest.raises(RuntimeError):
        functional.batch_norm(given.input.long(), None, None, training=True)
    for wrong in (given.weight[:3], given.weight.reshape(2, 3)):
        with pytest.raises((RuntimeError, ValueError), match=r"C\d+. .*gamma"):
            functional.batch_norm(given.input, None, None, wrong, given.bias, True)
    with pytest.raises(RuntimeError, match="running_mean"):
        functional.batch_norm(
            given.input, given.running_mean[:3], given.running_var[:3], training=True
        )


def test_vectors_that_torch_refuses_are_refused() -> None:
    """Operators with a meta tensor would compute nothing, and no statistics have a gradient."""
    given = layer()
    running = (given.running_mean, given.running_var)
    meta = tuple(tensor.to("meta") for tensor in running)
    for training in (True, False):
        with pytest.raises(RuntimeError, match="meta"):
            functional.batch_norm(given.input, *meta, given.weight, given.bias, training)
        with pytest.raises(RuntimeError, match="meta"):
            functional.batch_norm(given.input, *running, given.weight.to("meta"), None, training)
        with pytest.raises(RuntimeError, match="not differentiable"):
            functional.batch_norm(
                given.input, running[0].clone().requires_grad_(), running[1], None, None, training
            )


def test_types_that_do_not_fit_have_torchs_errors() -> None:
    given = layer()
    with pytest.raises(RuntimeError):
        functional.batch_norm(
            given.input, None, None, given.weight.double(), given.bias.double(), True
        )


class Logged(torch.Tensor):
    """A tensor with functions of its own."""

    calls: list[Any] = []  # noqa: RUF012  (of the class, on purpose)

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        cls.calls.append(function)
        return super().__torch_function__(function, types, args, kwargs or {})


def test_subclasses_see_torchs_functions() -> None:
    given = layer()
    functional.batch_norm(given.input.as_subclass(Logged), None, None, training=True)
    assert torch_functional.batch_norm in Logged.calls


def test_running_statistics_are_written_in_place_or_left() -> None:
    given = layer()
    for momentum in (0.0, 0.25, 1.0):
        running = (given.running_mean.clone(), given.running_var.clone())
        addresses = [tensor.data_ptr() for tensor in running]
        functional.batch_norm(given.input, *running, None, None, True, momentum)
        rows = given.input.double().transpose(0, 1).reshape(CHANNELS, -1)
        for tensor, before, batch in zip(
            running,
            (given.running_mean, given.running_var),
            (rows.mean(1), rows.var(1)),
            strict=True,
        ):
            expected = (1 - momentum) * before.double() + momentum * batch
            assert torch.allclose(tensor.double(), expected, rtol=1e-6)
        assert addresses == [tensor.data_ptr() for tensor in running]
    functional.batch_norm(given.input, *running, None, None, False)
    assert torch.equal(running[0].double(), running[0].double())


def test_a_nan_stays_in_its_channel() -> None:
    given = layer()
    input = given.input.clone()
    input[1, 2, 0, 0] = float("nan")
    ours = outcome(functional.batch_norm, given._replace(input=input), training=True)
    is_nan = ours.output.isnan().all(dim=(0, 2, 3))
    assert is_nan.tolist() == [False, False, True, False, False, False]
    assert ours.gradients["input"].isnan().any(dim=0).any(-1).any(-1).tolist() == is_nan.tolist()


@pytest.mark.parametrize("first", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("with_gradient", [True, False])
@pytest.mark.parametrize("form", FORMS[:1] + FORMS[1:4:2], ids=["plain", "relu", "add_relu"])
def test_a_batch_between_a_forward_pass_and_its_backward_pass(
    form: Any, with_gradient: bool, first: bool
) -> None:
    """As where a discriminator sees two batches: it updates the statistics, and nothing else."""
    ours, _, _ = form
    given = in_double(layer())
    extra = [given.residual] if ours is functional.batch_norm_add_relu else []
    gradients = []
    for updates in (False, True):
        input = given.input.clone().requires_grad_()
        weight = given.weight.clone().requires_grad_()
        running = (given.running_mean.clone(), given.running_var.clone())
        output = functional.batch_norm(input, *running, weight, given.bias, first)
        if updates:
            with torch.set_grad_enabled(with_gradient):
                ours(3.0 * given.input, *extra, *running, given.weight, None, training=True)
            assert not torch.equal(running[0], given.running_mean)
        output.backward(given.delta)
        gradients.append((input.grad, weight.grad))
    for found, expected in zip(*gradients, strict=True):
        assert torch.equal(found, expected)
