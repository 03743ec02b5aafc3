"""The kernel functions on PyTorch's CPU tensors, in and out, without a copy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import normgraph as ng
from tests.kernel.comparison import assert_same_bits
from tests.kernel.real_types import REAL_TYPES, TYPE_PAIRS, Array
from tests.kernel.samples import Sample

pytestmark = pytest.mark.interop
torch = pytest.importorskip("torch")


def tensor(array: Array) -> Any:
    """A tensor with the array's memory; torch takes bfloat16 as the bits it is."""
    if array.dtype == REAL_TYPES["bf16"].dtype:
        return torch.from_numpy(array.view(np.uint16).view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def numpy_array(value: Any) -> Array:
    if value.dtype == torch.bfloat16:
        bits: Array = value.view(torch.int16).numpy()
        return bits.view(REAL_TYPES["bf16"].dtype)
    array: Array = value.numpy()
    return array


@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
def test_tensors_in(data_type: str, channel_type: str) -> None:
    sample = Sample((4, 3, 5, 2), data_type, channel_type, seed=90)
    for arguments, function in (
        (sample.training(), ng.batch_norm_training),
        (sample.backprop(), ng.batch_norm_training_backprop),
    ):
        expected = function(*arguments)
        result = function(*(None if a is None else tensor(a) for a in arguments))
        for name in expected._fields:
            assert isinstance(getattr(result, name), np.ndarray)
            assert_same_bits(getattr(result, name), getattr(expected, name), f"{sample}: {name}")
    inference = sample.inference()
    inferred = ng.batch_norm_inference(*(None if a is None else tensor(a) for a in inference))
    assert_same_bits(inferred, ng.batch_norm_inference(*inference), f"{sample}: inference")


@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
def test_tensors_out(data_type: str, channel_type: str) -> None:
    sample = Sample((4, 3, 5, 2), data_type, channel_type, seed=91)
    arguments = sample.backprop()
    expected = ng.batch_norm_training_backprop(*arguments)
    data, vector = tensor(arguments.input).dtype, tensor(arguments.mean).dtype
    out = (
        torch.full(sample.shape, 7, dtype=data),
        torch.full((3,), 8, dtype=vector),
        torch.full((3,), 9, dtype=vector),
    )
    result = ng.batch_norm_training_backprop(*arguments, out=out)
    for name, given in zip(result._fields, out, strict=True):
        assert getattr(result, name) is given
        assert_same_bits(numpy_array(given), getattr(expected, name), f"{sample}: {name}")


@pytest.mark.parametrize(("data_type", "channel_type"), TYPE_PAIRS)
def test_channels_last_and_other_strided_tensors(data_type: str, channel_type: str) -> None:
    sample = Sample((4, 3, 5, 2), data_type, channel_type, seed=92)
    arguments = sample.backprop()
    input, delta = tensor(arguments.input), tensor(arguments.normalized_delta)
    last = input.contiguous(memory_format=torch.channels_last)
    wide = torch.stack([delta, delta], dim=-1)[..., 0]
    result = ng.batch_norm_training_backprop(*arguments._replace(input=last, normalized_delta=wide))
    expected = ng.batch_norm_training_backprop(*arguments._replace(input=numpy_array(last)))
    for name in expected._fields:
        assert_same_bits(getattr(result, name), getattr(expected, name), f"{sample}: {name}")
    size = arguments.input.itemsize
    assert result.input_delta.strides == tuple(size * stride for stride in last.stride())
    expanded = delta[:1].expand(4, -1, -1, -1)
    result = ng.batch_norm_training_backprop(*arguments._replace(normalized_delta=expanded))
    expected = ng.batch_norm_training_backprop(
        *arguments._replace(normalized_delta=numpy_array(expanded.contiguous()))
    )
    for name in expected._fields:
        assert_same_bits(getattr(result, name), getattr(expected, name), f"{sample}: {name}")


def test_input_delta_may_be_the_input_tensor() -> None:
    sample = Sample((4, 3, 5), seed=93)
    arguments = sample.backprop()
    expected = ng.batch_norm_training_backprop(*arguments)
    input = tensor(arguments.input.copy())
    result = ng.batch_norm_training_backprop(*arguments._replace(input=input), out=input)
    assert result.input_delta is input
    assert_same_bits(input.numpy(), expected.input_delta, str(sample))


def test_overlap_of_tensor_and_array_is_refused() -> None:
    sample = Sample((4, 3, 5), seed=94)
    arguments = sample.backprop()
    memory = torch.zeros(70)
    memory[:60] = tensor(arguments.input).ravel()
    before = memory.clone()
    with pytest.raises(ValueError, match=r"^out\[0\] \(input_delta\): .*overlaps input"):
        ng.batch_norm_training_backprop(
            *arguments._replace(input=memory[:60].view(sample.shape)),
            out=memory.numpy()[5:65].reshape(sample.shape),
        )
    assert torch.equal(memory, before)


def test_expanded_tensor_as_out_is_refused() -> None:
    sample = Sample((4, 3, 5), seed=95)
    out = torch.zeros(1, 3, 5).expand(4, 3, 5)
    with pytest.raises(ValueError, match=r"^out\[0\] \(input_delta\): .*strides"):
        ng.batch_norm_training_backprop(*sample.backprop(), out=out)
    assert torch.count_nonzero(out) == 0


@pytest.mark.parametrize("name", ["input", "gamma", "mean", "normalized_delta"])
def test_tensors_that_do_not_lend_their_memory_are_named(name: str) -> None:
    """Tensors that require gradients, are sparse, conjugate or on another device."""
    arguments = Sample((4, 3, 5), seed=96).backprop()
    values = tensor(getattr(arguments, name))
    for refused in (
        values.clone().requires_grad_(),
        values.to_sparse(),
        values.to("meta"),
        values.to(torch.complex64),
        values.to(torch.complex64).conj(),
    ):
        with pytest.raises((TypeError, ValueError), match=f"^{name}: expected"):
            ng.batch_norm_training_backprop(*arguments._replace(**{name: refused}))


def test_integer_tensor_violates_c2() -> None:
    with pytest.raises(ng.NodeValidationFailure, match=r"\[C2\].*input.*i64"):
        ng.batch_norm_training(torch.zeros(4, 3, dtype=torch.int64), None, None)


@pytest.fixture
def flushed_denormals() -> Iterator[None]:
    if not torch.set_flush_denormal(True):
        pytest.skip("torch cannot flush denormals here")
    yield
    torch.set_flush_denormal(False)


def test_denormals_survive_a_caller_that_flushes_them(flushed_denormals: None) -> None:
    """torch.set_flush_denormal sets this thread's mode; kernels ignore it and put it back."""
    denormals = (np.arange(1, 7, dtype=np.uint32)).view(np.float32).reshape(3, 2)
    one, zero = np.ones(2, np.float32), np.zeros(2, np.float32)
    result = ng.batch_norm_inference(denormals, one, zero, zero, one, epsilon=0.0)
    assert result.view(np.uint32).tolist() == [[1, 2], [3, 4], [5, 6]]
    mean = ng.batch_norm_training(denormals[:1], None, None).mean
    assert mean.view(np.uint32).tolist() == [1, 2]
    assert (torch.tensor([1e-38]) * 0.1).item() == 0.0, "the caller's mode was not restored"


@pytest.mark.parametrize("last", [False, True], ids=["channels_first", "channels_last"])
@pytest.mark.parametrize("affine", [False, True])
def test_agrees_with_torch_in_double(last: bool, affine: bool) -> None:
    """Forward and autograd backward of torch.nn.functional.batch_norm, in f64."""
    sample = Sample((6, 3, 7, 5), "f64", "f64", seed=97)
    arguments = sample.backprop()
    assert arguments.gamma is not None
    assert arguments.beta is not None
    gamma, beta = (arguments.gamma, arguments.beta) if affine else (None, None)
    layout = torch.channels_last if last else torch.contiguous_format
    x = tensor(arguments.input).clone(memory_format=layout).requires_grad_()
    weights = [None if v is None else tensor(v).clone().requires_grad_() for v in (gamma, beta)]
    y = torch.nn.functional.batch_norm(x, None, None, *weights, training=True, eps=1e-5)
    y.backward(tensor(arguments.normalized_delta))

    forward = ng.batch_norm_training(x.detach(), gamma, beta)
    backward = ng.batch_norm_training_backprop(
        x.detach(), gamma, beta, forward.mean, forward.variance, arguments.normalized_delta
    )
    # Both sum 210 terms of magnitude up to 4 in double and do a few operations more: 2·300
    # roundings of quantities that inv, gamma (up to 2) and |x̂| (up to 4) scale to less than 100.
    allowed = 2 * 300 * 100 * 2.0**-53
    assert np.abs(forward.normalized - y.detach().numpy()).max() < allowed
    assert x.grad is not None
    assert np.abs(backward.input_delta - x.grad.numpy()).max() < allowed
    if affine:
        sums = 210 * 16 * 300 * 2.0**-53
        assert np.abs(backward.gamma_delta - weights[0].grad.numpy()).max() < sums
        assert np.abs(backward.beta_delta - weights[1].grad.numpy()).max() < sums


@pytest.mark.parametrize("lengths", [(32, 64, 4), (1, 0, 98, 1), (37, 63)])
def test_a_batch_in_parts_agrees_with_torch_in_double(lengths: tuple[int, ...]) -> None:
    """Statistics and gradients of torch's layer on all of it; parts in tensors."""
    generator = torch.Generator().manual_seed(5)
    x, delta = torch.randn((2, 100, 4, 5, 3), generator=generator, dtype=torch.float64)
    layer = torch.nn.BatchNorm2d(4, dtype=torch.float64, momentum=None)
    leaf = x.clone().requires_grad_()
    layer(leaf).backward(delta)
    gamma, beta = layer.weight.detach(), layer.bias.detach()
    parts, deltas = x.split(lengths), delta.split(lengths)

    first: Any = sum(map(ng.batch_norm_statistics, parts))
    total: Any = sum(ng.batch_norm_statistics(part, about=first) for part in parts)
    normalized = [
        ng.batch_norm_training(part, gamma, beta, statistics=total).normalized for part in parts
    ]
    mean, variance = total.mean, total.variance
    sums: Any = sum(
        ng.batch_norm_backprop_sums(part, mean, variance, part_delta)
        for part, part_delta in zip(parts, deltas, strict=True)
    )
    results = [
        ng.batch_norm_training_backprop(part, gamma, beta, mean, variance, part_delta, sums=sums)
        for part, part_delta in zip(parts, deltas, strict=True)
    ]
    np.testing.assert_allclose(total.mean, layer.running_mean, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(np.concatenate(normalized), layer(x).detach(), atol=1e-13)
    input_delta = np.concatenate([result.input_delta for result in results])
    np.testing.assert_allclose(input_delta, leaf.grad, atol=1e-12)
    np.testing.assert_allclose(results[0].gamma_delta, layer.weight.grad, rtol=1e-11)
    np.testing.assert_allclose(results[-1].beta_delta, layer.bias.grad, rtol=1e-11)


@pytest.mark.parametrize("momentum", [0.1, 0.7, None])
def test_running_statistics_are_those_of_torch(momentum: float | None) -> None:
    """After each of five batches; torch keeps plain averages where its momentum is None.

    Statistics of 24 terms about the mean, at most 10, and five averages: 50 roundings of a mean of
    at most 4, and of squares of at most 36 that the factor of 24/23 scales.
    """
    module = torch.nn.BatchNorm2d(3, momentum=momentum, dtype=torch.float64)
    running = ng.RunningStatistics(np.zeros(3), np.ones(3))
    random = np.random.default_rng(98)
    for count in range(1, 6):
        x = random.normal(1.0, 1.5, (4, 3, 3, 2))
        module(torch.from_numpy(x))
        forward = ng.batch_norm_training(x, None, None)
        running = ng.update_running_statistics(
            running,
            (forward.mean, forward.variance),
            n=4 * 3 * 2,
            momentum=1 / count if momentum is None else momentum,
        )
        allowed = 50 * 2.0**-53
        mean, variance = module.running_mean.numpy(), module.running_var.numpy()
        assert np.abs(running.mean - mean).max() < 4 * allowed, count
        assert np.abs(running.variance - variance).max() < 36 * allowed, count


def test_running_statistics_of_tensors_are_updated_in_place() -> None:
    """As torch does, also of bfloat16."""
    for dtype in (torch.float32, torch.bfloat16):
        running = (torch.zeros(3, dtype=dtype), torch.ones(3, dtype=dtype))
        batch = (torch.full((3,), 2.0), torch.full((3,), 3.0))
        result = ng.update_running_statistics(running, batch, 4, 0.5, out=running)
        assert result.mean is running[0]
        assert result.variance is running[1]
        assert running[0].tolist() == [1.0] * 3
        assert running[1].tolist() == [2.5] * 3


@pytest.mark.parametrize("affine", [False, True])
def test_frozen_statistics_agree_with_torch_in_double(affine: bool) -> None:
    """torch's backward pass in evaluation mode is that of constants, as inference's is."""
    sample = Sample((6, 3, 7, 5), "f64", "f64", seed=99)
    arguments = sample.backprop()
    gamma, beta = (arguments.gamma, arguments.beta) if affine else (None, None)
    x = tensor(arguments.input).clone().requires_grad_()
    weights = [None if v is None else tensor(v).clone().requires_grad_() for v in (gamma, beta)]
    statistics = tensor(arguments.mean), tensor(arguments.variance)
    y = torch.nn.functional.batch_norm(x, *statistics, *weights, training=False, eps=1e-5)
    y.backward(tensor(arguments.normalized_delta))
    result = ng.batch_norm_inference_backprop(*arguments._replace(gamma=gamma, beta=beta))
    assert x.grad is not None
    # Each element is a product with a coefficient of at most 4 roundings, both times.
    assert np.all(
        np.abs(result.input_delta - x.grad.numpy()) <= 10 * 2.0**-53 * np.abs(result.input_delta)
    )
    if affine:
        sums = 210 * 16 * 300 * 2.0**-53  # as in the test above
        assert np.abs(result.gamma_delta - weights[0].grad.numpy()).max() < sums
        assert np.abs(result.beta_delta - weights[1].grad.numpy()).max() < sums


@pytest.mark.parametrize("upper_bound", [None, 0.7, 6.0], ids=["relu", "bounded", "relu6"])
@pytest.mark.parametrize("last", [False, True], ids=["channels_first", "channels_last"])
def test_relu_agrees_with_torch_in_double(last: bool, upper_bound: float | None) -> None:
    """batch_norm, then relu, and autograd through both; with a mask that is a tensor."""
    sample = Sample((6, 3, 7, 5), "f64", "f64", seed=100)
    arguments = sample.backprop()
    layout = torch.channels_last if last else torch.contiguous_format
    x = tensor(arguments.input).clone(memory_format=layout).requires_grad_()
    assert arguments.gamma is not None
    assert arguments.beta is not None
    gamma, beta = (tensor(v).clone().requires_grad_() for v in arguments[1:3])
    y = torch.nn.functional.batch_norm(x, None, None, gamma, beta, training=True, eps=1e-5)
    if upper_bound is None:
        activated = torch.relu(y)
    elif upper_bound == 6:
        activated = torch.nn.functional.relu6(y)
    else:
        activated = torch.nn.functional.hardtanh(y, 0.0, upper_bound)
    activated.backward(tensor(arguments.normalized_delta))

    # None is so near to an end that both could disagree on its side.
    for end in (0, 6 if upper_bound is None else upper_bound):
        assert np.abs(y.detach().numpy() - end).min() > 1e-9
    forward = ng.batch_norm_training_relu(
        x.detach(), arguments.gamma, arguments.beta, upper_bound=upper_bound
    )
    backward = ng.batch_norm_training_relu_backprop(
        x.detach(),
        arguments.gamma,
        arguments.beta,
        forward.mean,
        forward.variance,
        torch.from_numpy(forward.mask),
        arguments.normalized_delta,
    )
    # The bounds of the test without a ReLU, which only takes terms away.
    allowed, sums = 2 * 300 * 100 * 2.0**-53, 210 * 16 * 300 * 2.0**-53
    assert np.abs(forward.activated - activated.detach().numpy()).max() < allowed
    for value, leaf, bound in zip(backward, (x, gamma, beta), (allowed, sums, sums), strict=True):
        assert leaf.grad is not None
        assert np.abs(value - leaf.grad.numpy()).max() < bound


@pytest.mark.parametrize("upper_bound", [None, 6.0], ids=["relu", "relu6"])
@pytest.mark.parametrize("last", [False, True], ids=["channels_first", "channels_last"])
def test_a_residual_agrees_with_torch_in_double(last: bool, upper_bound: float | None) -> None:
    """batch_norm, a sum, then relu, as at the end of a residual block, and autograd through all."""
    sample = Sample((6, 3, 7, 5), "f64", "f64", seed=101)
    arguments = sample.backprop()
    layout = torch.channels_last if last else torch.contiguous_format
    x = tensor(arguments.input).clone(memory_format=layout).requires_grad_()
    assert arguments.gamma is not None
    assert arguments.beta is not None
    gamma, beta = (tensor(v).clone().requires_grad_() for v in arguments[1:3])
    other = np.random.default_rng(7).standard_normal(sample.shape)
    residual = tensor(other).clone(memory_format=layout).requires_grad_()
    y = torch.nn.functional.batch_norm(x, None, None, gamma, beta, training=True, eps=1e-5)
    added = y + residual
    relu = torch.nn.functional.relu if upper_bound is None else torch.nn.functional.relu6
    activated = relu(added)
    activated.backward(tensor(arguments.normalized_delta))

    for end in (0, 6):
        assert np.abs(added.detach().numpy() - end).min() > 1e-9
    forward = ng.batch_norm_training_add_relu(
        x.detach(), arguments.gamma, arguments.beta, residual.detach(), upper_bound=upper_bound
    )
    backward = ng.batch_norm_training_add_relu_backprop(
        x.detach(),
        arguments.gamma,
        arguments.beta,
        forward.mean,
        forward.variance,
        torch.from_numpy(forward.mask),
        arguments.normalized_delta,
    )
    # As above; the gradient of the residual is selected, not computed.
    allowed, sums = 2 * 300 * 100 * 2.0**-53, 210 * 16 * 300 * 2.0**-53
    assert np.abs(forward.activated - activated.detach().numpy()).max() < allowed
    for value, leaf, bound in zip(backward, (x, gamma, beta), (allowed, sums, sums), strict=False):
        assert leaf.grad is not None
        assert np.abs(value - leaf.grad.numpy()).max() < bound
    assert residual.grad is not None
    assert np.array_equal(backward.residual_delta, residual.grad.numpy())


def test_a_tensor_that_is_not_as_memory_holds_it_is_refused() -> None:
    """DLPack says nothing of the negative bit: the elements would have the wrong sign."""
    z = torch.complex(torch.ones(4, 3), torch.ones(4, 3))
    negative = z.conj().imag
    assert negative.is_neg()
    x = ng.Parameter("f32", [4, 3], name="x")
    executable = ng.compile(ng.Function([ng.op.Negate(x)], [x]))
    for call, name in (
        (lambda: ng.batch_norm_training(negative, None, None), "input"),
        (lambda: executable(negative), "x"),
        (lambda: ng.batch_norm_training(z.real.clone(), None, None, out=negative), r"out\[0\]"),
    ):
        with pytest.raises(ValueError, match=rf"^{name}.*resolve_neg\(\)"):
            call()
    resolved = ng.batch_norm_training(negative.resolve_neg(), None, None)
    assert_same_bits(resolved.mean, np.full(3, -1, np.float32), "resolved")
    with pytest.raises((TypeError, ValueError), match=r"^input: "):
        ng.batch_norm_training(z.conj(), None, None)


def test_a_tensor_without_memory_is_refused() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        fake = torch.ones(4, 3)
    x = ng.Parameter("f32", [4, 3], name="x")
    executable = ng.compile(ng.Function([ng.op.Negate(x)], [x]))
    for lender in (fake, torch.ones(4, 3, device="meta")):
        with pytest.raises((TypeError, ValueError), match=r"^input: expected"):
            ng.batch_norm_training(lender, None, None)
        with pytest.raises((TypeError, ValueError), match=r"^x: expected"):
            executable(lender)


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        (torch.float16, "f16"),
        (torch.bfloat16, "bf16"),
        (torch.float32, "f32"),
        (torch.float64, "f64"),
        (torch.int8, "i8"),
        (torch.int64, "i64"),
        (torch.uint8, "u8"),
        (torch.bool, "boolean"),
    ],
)
def test_element_types_of_torch_are_understood(dtype: Any, name: str) -> None:
    assert ng.Parameter(dtype, [1]).element_type == ng.element.Type(name)


def test_an_element_type_of_torch_that_is_not_ours_is_refused() -> None:
    with pytest.raises(ValueError, match="element_type: expected an element type"):
        ng.Parameter(torch.complex64, [1])
