"""Derivatives of every order, and what torch does with functions: compile, export, transform."""

from __future__ import annotations

import gc
import itertools
from typing import Any

import pytest

pytestmark = pytest.mark.interop
torch = pytest.importorskip("torch")

import torch.nn.functional as torch_functional  # noqa: E402
from torch.autograd import forward_ad  # noqa: E402
from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402

from normgraph.torch import functional  # noqa: E402
from tests.interop.torch.samples import layer, outcome  # noqa: E402

FORMS = ["plain", "relu", "add_relu"]


@pytest.fixture(autouse=True)
def fused_at_every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors of few elements have ReLU of their own else, as they are faster so."""
    monkeypatch.setattr(functional, "_fewest_fused", 0)


def call(form: str, input: Any, weight: Any, bias: Any, residual: Any, **options: Any) -> Any:
    running = (options.pop("running_mean", None), options.pop("running_var", None))
    if form == "plain":
        return functional.batch_norm(input, *running, weight, bias, **options)
    if form == "relu":
        return functional.batch_norm_relu(input, *running, weight, bias, **options)
    return functional.batch_norm_add_relu(input, residual, *running, weight, bias, **options)


def torch_call(form: str, input: Any, weight: Any, bias: Any, residual: Any, **options: Any) -> Any:
    running = (options.pop("running_mean", None), options.pop("running_var", None))
    output = torch_functional.batch_norm(input, *running, weight, bias, **options)
    output = output + residual if form == "add_relu" else output
    return output if form == "plain" else torch.relu(output)


def leaves(dtype: Any, shape: tuple[int, ...] = (3, 2, 2, 2), seed: int = 3) -> list[Any]:
    given = layer(dtype, shape=shape, seed=seed)
    return [
        tensor.clone().requires_grad_()
        for tensor in (given.input, given.weight, given.bias, given.residual)
    ]


def statistics(training: bool) -> dict[str, Any]:
    if training:
        return {"training": True}
    vectors = layer(torch.float64, shape=(3, 2, 2, 2))
    return {"running_mean": vectors.running_mean, "running_var": vectors.running_var.abs()}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_first_and_second_derivatives(form: str, training: bool) -> None:
    options = statistics(training)

    def function(*tensors: Any) -> Any:
        return call(form, *tensors, **options)

    tensors = leaves(torch.float64)
    assert torch.autograd.gradcheck(function, tensors)
    assert torch.autograd.gradgradcheck(function, tensors)


def definition(form: str, input: Any, weight: Any, bias: Any, residual: Any, training: bool) -> Any:
    """The layer of four axes in training, in torch's operations."""
    assert training
    centered = input - input.mean((0, 2, 3), keepdim=True)
    deviation = (centered.square().mean((0, 2, 3), keepdim=True) + 1e-5).sqrt()
    output = centered / deviation * weight.reshape(1, -1, 1, 1) + bias.reshape(1, -1, 1, 1)
    output = output + residual if form == "add_relu" else output
    return output if form == "plain" else torch.relu(output)


# torch's own layer is no measure here: its second derivatives take the statistics for constants.
@pytest.mark.parametrize("form", FORMS)
def test_third_derivatives(form: str) -> None:
    results = []
    for function in (call, definition):
        tensors = leaves(torch.float64)
        value = function(form, *tensors, training=True).pow(3).sum()
        for _ in range(3):
            gradients = torch.autograd.grad(value, tensors[:3], create_graph=True)
            value = sum(gradient.pow(2).sum() for gradient in gradients)
        results.append(gradients)
    for ours, exact in zip(*results, strict=True):
        assert torch.allclose(ours, exact, rtol=1e-9)


@pytest.mark.parametrize("weight_and_bias", list(itertools.product([True, False], repeat=2)))
def test_second_derivatives_without_weight_or_bias(weight_and_bias: tuple[bool, bool]) -> None:
    input, weight, bias, _ = leaves(torch.float64)

    def function(*tensors: Any) -> Any:
        rest = iter(tensors[1:])
        chosen = [next(rest) if is_there else None for is_there in weight_and_bias]
        return functional.batch_norm(tensors[0], None, None, *chosen, training=True)

    chosen = [t for t, is_there in zip((weight, bias), weight_and_bias, strict=True) if is_there]
    assert torch.autograd.gradgradcheck(function, [input, *chosen])


@pytest.mark.parametrize("form", FORMS)
def test_create_graph_does_not_change_the_bits(form: str) -> None:
    gradients = []
    for create_graph in (False, True):
        tensors = leaves(torch.float32, (4, 6, 5, 3))
        output = call(form, *tensors, training=True)
        used = tensors if form == "add_relu" else tensors[:3]
        gradients.append(
            torch.autograd.grad(output, used, layer().delta, create_graph=create_graph)
        )
    for left, right in zip(*gradients, strict=True):
        assert torch.equal(left, right)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("dynamic", [False, True])
def test_compiled(form: str, dtype: Any, dynamic: bool) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(call, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        results = []
        for function in (call, compiled):
            given = layer(dtype, torch.float32, memory_format=memory_format)
            tensors = [
                t.clone().requires_grad_()
                for t in (given.input, given.weight, given.bias, given.residual)
            ]
            running = (given.running_mean.clone(), given.running_var.clone())
            output = function(
                form, *tensors, training=True, running_mean=running[0], running_var=running[1]
            )
            output.backward(given.delta)
            results.append([output, *running, *(t.grad for t in tensors)])
        for eager, traced in zip(*results, strict=True):
            assert (eager is None) == (traced is None)
            if eager is not None:
                assert eager.stride() == traced.stride()
                assert torch.equal(eager, traced)


def test_compiled_by_inductor() -> None:
    torch._dynamo.reset()

    def step(input: Any, weight: Any, bias: Any, residual: Any) -> Any:
        output = call("add_relu", input * 2, weight, bias, residual, training=True)
        return (output + 1).sum()

    results = []
    for function in (step, torch.compile(step, fullgraph=True)):
        tensors = leaves(torch.float32, (4, 6, 5, 3))
        function(*tensors).backward()
        results.append([tensor.grad for tensor in tensors])
    for eager, traced in zip(*results, strict=True):
        assert torch.allclose(eager, traced, atol=1e-5)


class Net(torch.nn.Module):
    def forward(self, *tensors: Any) -> Any:
        return call("relu", *tensors, training=True)


def test_exported() -> None:
    tensors = tuple(tensor.detach() for tensor in leaves(torch.float32))
    program = torch.export.export(Net(), tensors)
    assert torch.equal(program.module()(*tensors), Net()(*tensors))


@pytest.mark.filterwarnings("error:There is a performance drop")
@pytest.mark.parametrize("training", [True, False])
def test_transforms_of_functions(training: bool) -> None:
    tensors = [tensor.detach() for tensor in leaves(torch.float64)]
    options = statistics(training)

    def loss(function: Any, *arguments: Any) -> Any:
        return function("plain", *arguments, **options).pow(2).sum()

    for index in range(3):
        ours = torch.func.grad(lambda *a: loss(call, *a), argnums=index)(*tensors)
        theirs = torch.func.grad(lambda *a: loss(torch_call, *a), argnums=index)(*tensors)
        assert torch.allclose(ours, theirs)
    batched = torch.stack([tensors[0], tensors[0] * 2 + 1, tensors[0].square()])
    for form in FORMS:
        ours = torch.func.vmap(lambda x, form=form: call(form, x, *tensors[1:], **options))(batched)
        expected = torch.stack([torch_call(form, x, *tensors[1:], **options) for x in batched])
        assert torch.allclose(ours, expected)


@pytest.mark.parametrize("form", FORMS)
def test_a_batch_of_gradients(form: str) -> None:
    """vmap over a backward pass."""
    tensors = leaves(torch.float64)
    output = call(form, *tensors, training=True)
    used = tensors if form == "add_relu" else tensors[:3]
    deltas = torch.stack([torch.ones_like(output), output.detach().square()])
    batched = torch.autograd.grad(output, used, deltas, retain_graph=True, is_grads_batched=True)
    single = [torch.autograd.grad(output, used, delta, retain_graph=True) for delta in deltas]
    for found, expected in zip(batched, zip(*single, strict=True), strict=True):
        assert torch.equal(found, torch.stack(expected))


def test_vmap_updates_the_running_statistics_of_each() -> None:
    """As an ensemble of models has them, each its own."""
    input, weight, bias, _ = (tensor.detach() for tensor in leaves(torch.float64))
    weights = torch.stack([weight, 2 * weight])
    results = []
    for function in (functional.batch_norm, torch_functional.batch_norm):
        running = (torch.zeros(2, 2).double(), torch.ones(2, 2).double())
        output = torch.func.vmap(lambda w, m, v, f=function: f(w[0] * input, m, v, w, bias, True))(
            weights, *running
        )
        results.append((output, *running))
    for ours, theirs in zip(*results, strict=True):
        assert torch.allclose(ours, theirs)
    with pytest.raises(ValueError, match=r"^running statistics: expected a vector for each"):
        torch.func.vmap(
            lambda w: functional.batch_norm(
                w[0] * input, torch.zeros(2).double(), torch.ones(2).double(), w, bias, True
            )
        )(weights)


def test_forward_derivatives_are_torchs() -> None:
    input, weight, bias, _ = (tensor.detach() for tensor in leaves(torch.float64))
    tangents = []
    for function in (functional.batch_norm, torch_functional.batch_norm):
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(input, input.square())
            output = function(dual, None, None, weight, bias, True)
            tangents.append(forward_ad.unpack_dual(output).tangent)
    assert torch.equal(*tangents)


@pytest.mark.parametrize("form", FORMS)
def test_under_autocast(form: str) -> None:
    given = layer(torch.bfloat16, torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        residual = form == "add_relu"
        function = {
            "plain": functional.batch_norm,
            "relu": functional.batch_norm_relu,
            "add_relu": functional.batch_norm_add_relu,
        }[form]
        result = outcome(function, given, residual, training=True)
    assert result.output.dtype is torch.bfloat16
    assert result.gradients["input"].dtype is torch.bfloat16
    assert result.gradients["weight"].dtype is torch.float32


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients(form: str, mode: Any) -> None:
    tensors = leaves(torch.float32)
    expected = call(form, *tensors, training=True)
    with mode():
        running = (torch.zeros(2), torch.ones(2))
        output = call(
            form, *tensors, training=True, running_mean=running[0], running_var=running[1]
        )
    assert not output.requires_grad
    assert torch.equal(output, expected)
    assert not torch.equal(running[0], torch.zeros(2))


def test_deterministic_algorithms() -> None:
    torch.use_deterministic_algorithms(True)
    try:
        tensors = leaves(torch.float32)
        call("relu", *tensors, training=True).sum().backward()
    finally:
        torch.use_deterministic_algorithms(False)


def tensor_count() -> int:
    return sum(type(value) is torch.Tensor for value in gc.get_objects())


def test_what_autograd_keeps_ends_with_the_graph() -> None:
    tensors = leaves(torch.float32)
    count = tensor_count()
    for form in FORMS * 3:
        call(form, *tensors, training=True).sum().backward()
    gc.collect()
    assert tensor_count() <= count + len(tensors)  # their gradients


def test_a_tensor_changed_in_place_is_noticed() -> None:
    for form in FORMS:
        input, *rest = leaves(torch.float32)
        changed = input * 1
        output = call(form, changed, *rest, training=True)
        changed.add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            output.sum().backward()


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("form", FORMS)
def test_hooks_of_saved_tensors_may_change_their_order_in_memory(
    form: str, memory_format: Any
) -> None:
    gradients = []
    for change in (lambda tensor: tensor, lambda tensor: tensor.clone(memory_format=memory_format)):
        given = layer(torch.float64, memory_format=torch.channels_last)
        if memory_format is torch.channels_last:
            given = layer(torch.float64)
        tensors = [t.clone().requires_grad_() for t in given[:4]]
        input, residual, weight, bias = tensors

        def unpack(tensor: Any, change: Any = change) -> Any:
            return change(tensor) if tensor.dim() == 4 else tensor

        with torch.autograd.graph.saved_tensors_hooks(torch.Tensor.detach, unpack):
            output = call(form, input, weight, bias, residual, training=True)
        output.backward(given.delta)
        gradients.append([t.grad for t in (input, weight, bias)])
    for found, expected in zip(*gradients, strict=True):
        assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_views_that_are_negated(form: str, create_graph: bool) -> None:
    """The imaginary part of a conjugate has the bits of the number itself, without its sign."""
    generator = torch.Generator().manual_seed(2)
    numbers = torch.randn(3, 2, 2, 2, generator=generator, dtype=torch.complex128)
    gradients = []
    for input in (numbers.conj().imag, numbers.conj().imag.clone()):
        tensors = leaves(torch.float64)
        tensors[0] = input.detach().requires_grad_()
        output = call(form, *tensors, training=True)
        delta = numbers.conj().imag
        assert delta.is_neg()
        gradients.append(torch.autograd.grad(output, tensors[:3], delta, create_graph=create_graph))
    for found, expected in zip(*gradients, strict=True):
        assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_a_backward_pass_is_traced(form: str) -> None:
    """The graph is that of any input, not of the one that it was traced with."""

    def gradients(*tensors: Any) -> Any:
        used = [tensor.detach().requires_grad_() for tensor in tensors]
        output = call(form, *used, training=True).square().sum()
        return torch.autograd.grad(output, used[:3])

    traced = make_fx(gradients)(*leaves(torch.float64, seed=3))
    others = leaves(torch.float64, seed=4)
    for found, expected in zip(traced(*others), gradients(*others), strict=True):
        assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)
