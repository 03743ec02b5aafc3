"""Masked batches: `where=` and `lengths=` of the functions and layers of normgraph.torch.

The definition is torch's batch norm over the positions that count, compressed to (n, C).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.interop
torch = pytest.importorskip("torch")

import torch.nn.functional as torch_functional  # noqa: E402

import normgraph.torch as ngt  # noqa: E402
from normgraph.torch import functional  # noqa: E402
from tests.interop.torch.samples import (  # noqa: E402
    CHANNELS,
    DTYPE_PAIRS,
    assert_close,
    in_double,
    layer,
    outcome,
)

OPERATORS = torch.ops.normgraph
SHAPE = (4, CHANNELS, 5, 3)
LENGTHS = (0, 5, 2, 3)
SHAPES = (SHAPE, (4, CHANNELS, 5), (9, CHANNELS), (4, CHANNELS, 5, 3, 2))
MEMORY_FORMATS = (torch.contiguous_format, torch.channels_last)
FORMS = (functional.batch_norm, functional.batch_norm_relu, functional.batch_norm_add_relu)


def scattered(shape: tuple[int, ...], seed: int = 1) -> Any:
    """A mask of the positions of an input of this shape."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand((shape[0], *shape[2:]), generator=generator) < 0.6


def of_lengths(shape: tuple[int, ...] = SHAPE) -> Any:
    """The mask that LENGTHS mean."""
    where = torch.arange(shape[2]) < torch.tensor(LENGTHS)[:, None]
    rest = shape[3:]
    return where.reshape(*where.shape, *[1] * len(rest)).expand(*where.shape, *rest)


def compressed(tensor: Any, where: Any) -> Any:
    """(n, C): the positions that count."""
    return tensor.movedim(1, -1)[where]


def everywhere(where: Any) -> Any:
    return where.unsqueeze(1)


def by_torch(where: Any, is_relu: bool = False) -> Any:
    """A batch norm by torch's own: statistics of what is compressed, and all normalized."""

    def function(
        input: Any,
        *others: Any,
        training: bool = False,
        momentum: float = 0.1,
        upper_bound: float | None = None,
    ) -> Any:
        *residual, running_mean, running_var, weight, bias = others
        counted = compressed(input, where)
        torch_functional.batch_norm(
            counted.detach(), running_mean, running_var, None, None, training, momentum
        )
        mean, variance = counted.mean(0), counted.var(0, correction=0)
        shape = (1, -1, *[1] * (input.dim() - 2))
        scale = weight / (variance + 1e-5).sqrt()
        result = (input - mean.reshape(shape)) * scale.reshape(shape) + bias.reshape(shape)
        if residual:
            result = result + residual[0]
        if not is_relu:
            return result
        return result.relu() if upper_bound is None else result.clamp(0, upper_bound)

    return function


def sum_of_products(input: torch.Tensor, delta: torch.Tensor) -> torch.Tensor:
    """The gradient of weight, of f64 data (n, C), rounded once."""
    x, d = (tensor.numpy().astype(np.longdouble) for tensor in (input, delta))
    x_hat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)
    return torch.from_numpy((d * x_hat).sum(axis=0).astype(np.float64))


# ---- values and gradients -----------------------------------------------------------------------


@pytest.mark.parametrize("memory_format", MEMORY_FORMATS)
@pytest.mark.parametrize("dtypes", DTYPE_PAIRS, ids=str)
def test_what_counts_is_torchs_batch_norm_of_it(
    dtypes: tuple[Any, Any], memory_format: Any
) -> None:
    given = layer(*dtypes, memory_format=memory_format)
    for name, where in (("scattered", scattered(SHAPE)), ("lengths", of_lengths())):
        mask = {"where": where} if name == "scattered" else {"lengths": torch.tensor(LENGTHS)}
        padded = given._replace(delta=torch.where(everywhere(where), given.delta, 0))
        actual = outcome(functional.batch_norm, padded, training=True, **mask)
        exact = in_double(padded)
        leaves = [
            tensor.clone().requires_grad_()
            for tensor in (compressed(exact.input, where), exact.weight, exact.bias)
        ]
        running = (exact.running_mean.clone(), exact.running_var.clone())
        output = torch_functional.batch_norm(leaves[0], *running, *leaves[1:], training=True)
        delta = compressed(exact.delta, where)
        of_input, _, of_bias = torch.autograd.grad(output, leaves, delta)
        # torch's own sum of products is rounded more often than ours may be off in f64.
        gradients = (of_input, sum_of_products(leaves[0].detach(), delta), of_bias)
        assert_close(compressed(actual.output, where), output.detach(), 2, f"{name}: output")
        # In f64, what is compared with is rounded as well.
        assert_close(actual.running_mean, running[0], 4, f"{name}: running_mean")
        assert_close(actual.running_var, running[1], 4, f"{name}: running_var")
        for index, leaf in enumerate(("input", "weight", "bias")):
            gradient = actual.gradients[leaf]
            if leaf == "input":
                assert not gradient[~everywhere(where).expand_as(gradient)].any(), name
                assert gradient.stride() == given.input.stride(), name
                gradient = compressed(gradient, where)
            assert_close(gradient, gradients[index], 4, f"{name}: gradient of {leaf}")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
@pytest.mark.parametrize("upper_bound", [None, 0.75])
def test_gradients_of_all_positions(
    shape: tuple[int, ...], form: Any, upper_bound: float | None
) -> None:
    given = layer(torch.float64, shape=shape)
    where = scattered(shape)
    is_relu = form is not functional.batch_norm
    options = {"upper_bound": upper_bound} if is_relu else {}
    arguments = (given, form is functional.batch_norm_add_relu)
    actual = outcome(form, *arguments, training=True, where=where, **options)
    expected = outcome(by_torch(where, is_relu), *arguments, training=True, **options)
    assert_close(actual.output, expected.output, 8, "output")
    assert_close(actual.running_var, expected.running_var, 8, "running_var")
    for name, gradient in expected.gradients.items():
        assert_close(actual.gradients[name], gradient, 64, f"gradient of {name}")


@pytest.mark.parametrize("mask", ["where", "lengths"])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
@pytest.mark.parametrize("has_vectors", [True, False])
def test_first_and_second_derivatives(form: Any, mask: str, has_vectors: bool) -> None:
    shape = (4, 2, 5)
    given = layer(torch.float64, shape=shape, seed=3)
    masks = {"where": scattered(shape), "lengths": torch.tensor(LENGTHS)}
    names = ["input", *(["residual"] if form is functional.batch_norm_add_relu else [])]
    leaves = [
        getattr(given, name).requires_grad_()
        for name in [*names, *(["weight", "bias"] if has_vectors else [])]
    ]

    def function(*tensors: Any) -> Any:
        data, vectors = tensors[: len(names)], tensors[len(names) :]
        return form(*data, None, None, *vectors, training=True, **{mask: masks[mask]})

    assert torch.autograd.gradcheck(function, leaves)
    assert torch.autograd.gradgradcheck(function, leaves)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_gradients_that_are_differentiated_are_those_that_are_not(form: Any) -> None:
    given, where = layer(torch.float64), scattered(SHAPE)
    has_residual = form is functional.batch_norm_add_relu
    data = [given.input, *([given.residual] if has_residual else [])]
    leaves = [tensor.requires_grad_() for tensor in (*data, given.weight, given.bias)]
    output = form(*data, None, None, given.weight, given.bias, training=True, where=where)
    found = [
        torch.autograd.grad(output, leaves, given.delta, retain_graph=True, create_graph=create)
        for create in (False, True)
    ]
    for left, right in zip(*found, strict=True):
        assert torch.equal(left, right)


def test_the_gradient_of_one_cotangent_alone() -> None:
    given = layer(torch.float64, shape=(4, 2, 5))
    where = scattered((4, 2, 5))
    x, weight = given.input.requires_grad_(), given.weight.requires_grad_()
    for wanted in (x, weight):

        def first(function: Any, wanted: Any = wanted) -> Any:
            y = function(x, None, None, weight, given.bias, training=True)
            (gradient,) = torch.autograd.grad(y.square().sum(), wanted, create_graph=True)
            return torch.autograd.grad(gradient.square().sum(), (x, weight))

        actual = first(lambda *a, **o: functional.batch_norm(*a, where=where, **o))
        expected = first(lambda *a, **o: by_torch(where)(*a, **o))
        for left, right in zip(actual, expected, strict=True):
            assert_close(left, right, 256, "second gradient")


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
@pytest.mark.parametrize("dtypes", DTYPE_PAIRS, ids=str)
@pytest.mark.parametrize("memory_format", MEMORY_FORMATS)
def test_a_mask_that_is_true_everywhere_changes_no_bit_of_statistics_and_outputs(
    form: Any, dtypes: tuple[Any, Any], memory_format: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(functional, "_fewest_fused", 0)
    given = layer(*dtypes, memory_format=memory_format)
    has_residual = form is functional.batch_norm_add_relu
    expected = outcome(form, given, has_residual, training=True)
    for mask in (
        {"where": torch.tensor(True)},
        {"where": torch.ones(4, 1, 5, 3, dtype=torch.bool)},
        {"lengths": torch.full((4,), 5)},
    ):
        actual = outcome(form, given, has_residual, training=True, **mask)
        for name in ("output", "running_mean", "running_var"):
            assert torch.equal(getattr(actual, name), getattr(expected, name)), name
        assert actual.output.stride() == expected.output.stride()
        for name, gradient in expected.gradients.items():
            assert_close(actual.gradients[name], gradient, 1, name)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
@pytest.mark.parametrize("padding", [float("nan"), float("inf"), 1e30])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_what_lies_in_the_padding_changes_nothing(form: Any, padding: float, dtype: Any) -> None:
    given = layer(dtype)
    where = of_lengths()
    clean = given._replace(
        input=torch.where(everywhere(where), given.input, 0),
        delta=torch.where(everywhere(where), given.delta, 0),
    )
    dirty = clean._replace(input=torch.where(everywhere(where), given.input, padding).to(dtype))
    has_residual = form is functional.batch_norm_add_relu
    expected = outcome(form, clean, has_residual, training=True, where=where)
    actual = outcome(form, dirty, has_residual, training=True, where=where)
    for name in ("running_mean", "running_var"):
        assert torch.equal(getattr(actual, name), getattr(expected, name)), name
    assert torch.equal(compressed(actual.output, where), compressed(expected.output, where))
    for name, gradient in expected.gradients.items():
        assert torch.equal(actual.gradients[name], gradient), name


def test_nan_in_the_padding_stays_out_of_second_derivatives() -> None:
    given = layer(torch.float64)
    where = of_lengths()

    def second(padding: float) -> Any:
        x = torch.where(everywhere(where), given.input, padding).requires_grad_()
        weight = given.weight.clone().requires_grad_()
        y = functional.batch_norm(x, None, None, weight, given.bias, True, where=where)
        (gradient,) = torch.autograd.grad(compressed(y, where).pow(3).sum(), x, create_graph=True)
        return torch.autograd.grad(compressed(gradient, where).square().sum(), (x, weight))

    for left, right in zip(second(float("nan")), second(0.0), strict=True):
        assert torch.equal(left, right)


# ---- how a mask is given ------------------------------------------------------------------------


@pytest.mark.parametrize("memory_format", MEMORY_FORMATS)
def test_forms_of_a_mask(memory_format: Any) -> None:
    given = layer(memory_format=memory_format)

    def found(**mask: Any) -> Any:
        return outcome(functional.batch_norm, given, training=True, **mask)

    where = of_lengths()
    expected = found(where=where)
    stored = torch.zeros(4, 10, 3, dtype=torch.bool)
    stored[:, ::2] = where
    for mask in (
        {"where": where[:, None]},
        {"where": where[..., :1]},
        {"where": where[:, None, :, :1]},
        {"where": stored[:, ::2]},
        {"where": where.transpose(1, 2).contiguous().transpose(1, 2)},
        *({"lengths": torch.tensor(LENGTHS, dtype=dtype)} for dtype in (torch.uint8, torch.int32)),
        {"lengths": torch.tensor(LENGTHS).repeat_interleave(2)[::2]},
    ):
        actual = found(**mask)
        assert torch.equal(actual.output, expected.output)
        assert torch.equal(actual.running_var, expected.running_var)
        for name, gradient in expected.gradients.items():
            assert torch.equal(actual.gradients[name], gradient), name
    row = where[1, :, 0]
    assert torch.equal(
        found(where=row[:, None]).running_mean,
        found(where=row[None, :, None].expand(4, 5, 3)).running_mean,
    )


X = torch.zeros(4, 3, 5)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("mask", "error", "message"),
    [
        ({"where": torch.ones(4, 5)}, ValueError, "where: expected a boolean.* torch.float32"),
        ({"where": torch.ones(4, 5, dtype=torch.uint8)}, ValueError, "where: .*where != 0"),
        ({"where": torch.ones(4, 6) > 0}, ValueError, r"where: .*\(4, 5\).*got \(4, 6\)"),
        ({"where": torch.ones(4, 3, 5) > 0}, ValueError, r"where: .*got \(4, 3, 5\)"),
        ({"where": torch.ones(1, 4, 1, 5) > 0}, ValueError, r"where: .*got \(1, 4, 1, 5\)"),
        ({"where": [[True]]}, TypeError, "where: expected a tensor, got list"),
        ({"where": (torch.ones(4, 5) > 0).to_sparse()}, ValueError, "where: .*strided"),
        ({"where": torch.ones(4, 5, dtype=bool, device="meta")}, ValueError, "where: .*meta"),
        ({"lengths": torch.ones(4)}, ValueError, "lengths: expected a vector of int.*float32"),
        ({"lengths": torch.ones(4, dtype=bool)}, ValueError, "lengths: .*integers.*bool"),
        ({"lengths": torch.ones(3).int()}, ValueError, r"lengths: .*4 samples.*\(3,\)"),
        ({"lengths": torch.ones(4, 1).int()}, ValueError, r"lengths: .*\(4, 1\)"),
        ({"lengths": [1, 2, 3, 4]}, TypeError, "lengths: expected a tensor, got list"),
        (
            {"lengths": torch.ones(4).int(), "where": torch.ones(4, 5) > 0},
            ValueError,
            "lengths: expected None beside where",
        ),
    ],
)
def test_errors_name_the_argument(
    mask: dict[str, Any], error: type[Exception], message: str, training: bool
) -> None:
    running = (torch.zeros(3), torch.ones(3))
    for function, data in ((FORMS[0], (X,)), (FORMS[1], (X,)), (FORMS[2], (X, X))):
        with pytest.raises(error, match=message):
            function(*data, *running, training=training, **mask)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ({"where": torch.zeros(4, 5) > 0}, "where: expected at least one position"),
        ({"lengths": torch.zeros(4).int()}, "lengths: expected at least one position"),
        ({"lengths": torch.tensor([0, 1, 0, 0])}, "lengths: expected more than one.* got 1"),
        ({"where": torch.arange(20).reshape(4, 5) == 7}, "where: expected more than one.* got 1"),
        ({"lengths": torch.full((4,), 6)}, "lengths: .*0 to 5, got 6 for sample 0"),
        ({"lengths": torch.tensor([1, 1, -2, 1])}, "lengths: .*got -2 for sample 2"),
    ],
)
def test_what_the_numbers_of_a_mask_are_is_checked_in_training(
    mask: dict[str, Any], message: str
) -> None:
    for function, data in ((FORMS[0], (X,)), (FORMS[1], (X,)), (FORMS[2], (X, X))):
        running = (torch.zeros(3), torch.ones(3))
        with pytest.raises(ValueError, match=message):
            function(*data, *running, training=True, **mask)
        assert not running[0].any()
        function(*data, *running, training=False, **mask)


def test_inputs_that_are_not_taken() -> None:
    where = torch.tensor(True)

    def call(input: Any, *vectors: Any, **mask: Any) -> Any:
        return functional.batch_norm(
            input, None, None, *vectors, training=True, **(mask or {"where": where})
        )

    with pytest.raises(ValueError, match=r"where: expected more than one.* got 0"):
        call(X[:0])
    with pytest.raises(ValueError, match=r"where: expected more than one.* got 1"):
        call(X[:1, :, 0])
    with pytest.raises(ValueError, match="input: expected at least 2 dimensions, got 1"):
        call(X[0, 0])
    with pytest.raises(ValueError, match="lengths: expected None, since input has no axis"):
        call(X[:, :, 0], lengths=torch.ones(4).int())
    with pytest.raises(NotImplementedError, match=r"where: .*got torch.int32"):
        call(X.int())
    with pytest.raises(NotImplementedError, match=r"where: .*meta"):
        call(X.to("meta"))
    with pytest.raises(NotImplementedError, match=r"where: .*torch.float64 \(3,\)"):
        call(X, torch.ones(3).double())
    with pytest.raises(ValueError, match="gamma"):
        call(X, torch.ones(2))
    with (
        torch.autograd.forward_ad.dual_level(),
        pytest.raises(NotImplementedError, match="derivatives forward"),
    ):
        call(X)


def test_vmap_is_refused_and_grad_is_not() -> None:
    given = layer(torch.float64)
    where = scattered(SHAPE)

    def loss(input: Any, function: Any = functional.batch_norm) -> Any:
        return function(input, None, None, training=True, where=where).pow(3).sum()

    for form in FORMS[:2]:
        with pytest.raises(NotImplementedError, match=r"vmap: .*without a mask"):
            torch.vmap(lambda x, form=form: loss(x, form))(given.input[None])
        x = given.input.clone().requires_grad_()
        (expected,) = torch.autograd.grad(loss(x, form), x)
        assert torch.equal(
            torch.func.grad(lambda x, form=form: loss(x, form))(given.input), expected
        )
    for operator, arguments in calls(DTYPE_PAIRS[0], torch.contiguous_format)[:7]:
        with pytest.raises(NotImplementedError, match=r"vmap: .*without a mask"):
            torch.vmap(lambda x, o=operator, a=arguments: o(x, *a[1:]))(arguments[0][None])


# ---- layers -------------------------------------------------------------------------------------


def test_layers() -> None:
    for shape, kind in zip(
        ((9, CHANNELS), (4, CHANNELS, 5), SHAPE, (4, CHANNELS, 5, 3, 2)),
        (ngt.BatchNorm1d, ngt.BatchNorm1d, ngt.BatchNorm2d, ngt.BatchNorm3d),
        strict=True,
    ):
        given, where = layer(shape=shape), scattered(shape)
        batch_norm, plain = kind(CHANNELS), torch.nn.BatchNorm1d(CHANNELS)
        output = batch_norm(given.input, where=where)
        expected = plain(compressed(given.input, where))
        assert_close(compressed(output, where).detach(), expected.detach(), 4, str(shape))
        for name in ("running_mean", "running_var"):
            assert_close(getattr(batch_norm, name), getattr(plain, name), 2, name)
        assert batch_norm.num_batches_tracked == 1


def test_in_eval_mode_a_mask_changes_nothing() -> None:
    given = layer()
    where = scattered(SHAPE)
    for activation in (None, "relu"):
        batch_norm = ngt.BatchNorm2d(CHANNELS, activation=activation)
        batch_norm(given.input, where=where)
        state = {name: value.clone() for name, value in batch_norm.state_dict().items()}
        batch_norm.eval()
        expected = batch_norm(given.input)
        assert torch.equal(batch_norm(given.input, where=where), expected)
        assert torch.equal(batch_norm(given.input, lengths=torch.tensor(LENGTHS)), expected)
        assert torch.equal(batch_norm(given.input, lengths=torch.zeros(4).int()), expected)
        for name, value in batch_norm.state_dict().items():
            assert torch.equal(value, state[name]), name


def test_a_layer_without_running_statistics_reads_the_mask_in_eval_mode() -> None:
    given, where = layer(), scattered(SHAPE)
    batch_norm = ngt.BatchNorm2d(CHANNELS, track_running_stats=False)
    expected = batch_norm(given.input, where=where)
    assert torch.equal(batch_norm.eval()(given.input, where=where), expected)
    assert not torch.equal(batch_norm(given.input), expected)


def test_layers_with_an_activation() -> None:
    given, where = layer(), scattered(SHAPE)
    batch_norm = ngt.BatchNorm2d(CHANNELS, activation="relu6")
    for residual in (None, given.residual, given.residual[:, :1], given.residual.double()):
        actual = batch_norm(given.input, residual, where=where)
        plain = functional.batch_norm(given.input, None, None, training=True, where=where)
        expected = (plain if residual is None else plain + residual).clamp(0, 6)
        assert actual.dtype is expected.dtype
        assert_close(actual.detach(), expected, 4 if actual.dtype is torch.float32 else 1e10, "")


def test_momentum_none_is_the_average_of_all_batches() -> None:
    batch_norm = ngt.BatchNorm2d(CHANNELS, momentum=None)
    plain = torch.nn.BatchNorm1d(CHANNELS, momentum=None)
    for seed in range(3):
        given, where = layer(seed=seed), scattered(SHAPE, seed)
        batch_norm(given.input, where=where)
        plain(compressed(given.input, where))
    assert_close(batch_norm.running_var, plain.running_var, 2, "running_var")


def test_a_checkpoint_counts_a_batch_once() -> None:
    from torch.utils.checkpoint import checkpoint

    given, where = layer(), scattered(SHAPE)
    batch_norm, other = ngt.BatchNorm2d(CHANNELS), ngt.BatchNorm2d(CHANNELS)
    x = given.input.clone().requires_grad_()
    checkpoint(lambda x: batch_norm(x, where=where), x, use_reentrant=False).sum().backward()
    other(given.input, where=where)
    assert torch.equal(batch_norm.running_var, other.running_var)


def test_autocast() -> None:
    given = layer()
    lengths = torch.tensor(LENGTHS)
    network = torch.nn.Conv2d(CHANNELS, CHANNELS, 1)
    batch_norm = ngt.BatchNorm2d(CHANNELS, activation="relu")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = network(given.input)
        output = batch_norm(features, lengths=lengths)
    assert features.dtype is output.dtype is torch.bfloat16
    assert batch_norm.running_var.dtype is torch.float32
    exact = compressed(features.detach().double(), of_lengths())
    expected = torch_functional.batch_norm(exact, None, None, training=True).relu()
    assert_close(compressed(output.detach(), of_lengths()), expected, 1, "output")
    output.sum().backward()
    assert batch_norm.weight.grad is not None
    assert batch_norm.weight.grad.dtype is torch.float32


def test_a_mask_that_is_changed_before_the_backward_pass_is_refused() -> None:
    given = layer()
    lengths = torch.tensor(LENGTHS)
    x = given.input.requires_grad_()
    output = functional.batch_norm(x, None, None, training=True, lengths=lengths)
    lengths += 0
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()


# ---- operators ----------------------------------------------------------------------------------


def calls(dtypes: tuple[Any, Any], memory_format: Any) -> list[tuple[Any, tuple[Any, ...]]]:
    """Each operator with arguments; bits and statistics come from the forward operators."""
    given = layer(*dtypes, memory_format=memory_format)
    forward = (given.input, given.weight, given.bias)
    found = []
    for mask in ((scattered(SHAPE), None), (None, torch.tensor(LENGTHS))):
        relu = OPERATORS.masked_batch_norm_training_add_relu(
            *forward, given.residual, 1e-5, 1, None, 15, *mask
        )
        backward = (*forward, *relu[1:3])
        count = torch.tensor(12)
        running = (given.running_mean.clone(), given.running_var.clone())
        found.append(
            (OPERATORS.masked_update_running_statistics, (*running, *relu[1:3], 0.1, count))
        )
        for outputs in (7, 5, 2):
            plain, all_of_four = (1e-5, 1, outputs, *mask), outputs | 8
            found += [
                (OPERATORS.masked_batch_norm_training, (*forward, *plain)),
                (
                    OPERATORS.masked_batch_norm_training_relu,
                    (*forward, 1e-5, 1, 0.5, all_of_four, *mask),
                ),
                (
                    OPERATORS.masked_batch_norm_training_add_relu,
                    (*forward, given.residual, 1e-5, 1, None, all_of_four, *mask),
                ),
                (OPERATORS.masked_batch_norm_training_backprop, (*backward, given.delta, *plain)),
                (
                    OPERATORS.masked_batch_norm_training_relu_backprop,
                    (*backward, relu[3], given.delta, *plain),
                ),
                (
                    OPERATORS.masked_batch_norm_training_add_relu_backprop,
                    (*backward, relu[3], given.delta, 1e-5, 1, all_of_four, *mask),
                ),
            ]
    return found


@pytest.mark.parametrize("memory_format", MEMORY_FORMATS)
def test_opcheck(memory_format: Any) -> None:
    for operator, arguments in calls(DTYPE_PAIRS[-1], memory_format):
        torch.library.opcheck(operator.default, arguments)


@pytest.mark.parametrize("memory_format", MEMORY_FORMATS)
@pytest.mark.parametrize("dtypes", DTYPE_PAIRS, ids=str)
def test_tracing_knows_shapes_types_and_strides(
    dtypes: tuple[Any, Any], memory_format: Any
) -> None:
    for operator, arguments in calls(dtypes, memory_format):
        real = operator(*arguments) or ()
        with torch._subclasses.FakeTensorMode() as mode:
            fake = (
                operator(
                    *(mode.from_tensor(a) if isinstance(a, torch.Tensor) else a for a in arguments)
                )
                or ()
            )
        for left, right in zip(real, fake, strict=True):
            assert (left.shape, left.dtype) == (right.shape, right.dtype), operator
            assert left.stride() == right.stride(), operator


@pytest.mark.parametrize("mask", ["where", "lengths"])
@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.parametrize("memory_format", MEMORY_FORMATS)
def test_compiled_without_a_break(mask: str, activation: str | None, memory_format: Any) -> None:
    given = layer(memory_format=memory_format)
    masks = {"where": scattered(SHAPE), "lengths": torch.tensor(LENGTHS)}

    def run(compile: bool) -> Any:
        batch_norm = ngt.BatchNorm2d(CHANNELS, activation=activation)
        residual = given.residual if activation else None

        def function(x: Any, mask_: Any) -> Any:
            return batch_norm(x * 1, residual, **{mask: mask_})

        if compile:
            function = torch.compile(function, fullgraph=True, backend="aot_eager")
        x = given.input.clone(memory_format=torch.preserve_format).requires_grad_()
        output = function(x, masks[mask])
        output.backward(given.delta)
        parameters = [parameter.grad for parameter in batch_norm.parameters()]
        return output.detach(), x.grad, *parameters, *batch_norm.buffers()

    for left, right in zip(run(compile=True), run(compile=False), strict=True):
        assert torch.equal(left, right)
        assert left.stride() == right.stride()


def test_other_lengths_need_no_other_graph_and_are_checked_when_it_runs() -> None:
    compiled = torch.compile(
        lambda x, lengths: functional.batch_norm(x, None, None, training=True, lengths=lengths),
        fullgraph=True,
        backend="aot_eager",
    )
    given = layer()
    with torch._dynamo.config.patch(error_on_recompile=True):
        for lengths in (LENGTHS, (5, 5, 5, 5), (1, 0, 1, 2)):
            expected = functional.batch_norm(
                given.input, None, None, training=True, lengths=torch.tensor(lengths)
            )
            assert torch.equal(compiled(given.input, torch.tensor(lengths)), expected)
        with pytest.raises(ValueError, match=r"lengths: .*got 6 for sample 1"):
            compiled(given.input, torch.tensor((5, 6, 0, 0)))


def test_exported() -> None:
    given = layer(shape=(4, CHANNELS, 5))
    lengths = torch.tensor(LENGTHS)
    batch_norm, other = ngt.BatchNorm1d(CHANNELS), ngt.BatchNorm1d(CHANNELS)
    options = {"lengths": lengths}
    exported = torch.export.export(batch_norm, (given.input,), options).module()
    assert torch.equal(exported(given.input, **options), other(given.input, **options))
    for name, value in exported.named_buffers():
        assert torch.equal(value, other.get_buffer(name)), name


def test_views_that_are_negated() -> None:
    given = layer(shape=(4, CHANNELS, 5))
    options = {"training": True, "lengths": torch.tensor(LENGTHS)}
    negated = torch.complex(given.residual, given.input).conj().imag
    assert negated.is_neg()
    expected = functional.batch_norm(-given.input, None, None, **options)
    assert torch.equal(functional.batch_norm(negated, None, None, **options), expected)


def test_a_hook_of_saved_tensors_may_change_their_order_in_memory() -> None:
    given = layer(memory_format=torch.channels_last)

    def gradient() -> Any:
        x = given.input.clone(memory_format=torch.preserve_format).requires_grad_()
        output = functional.batch_norm_relu(x, None, None, training=True, where=scattered(SHAPE))
        return torch.autograd.grad(output, x, given.delta)[0]

    expected = gradient()
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor.contiguous(), lambda t: t):
        assert torch.equal(gradient(), expected)
