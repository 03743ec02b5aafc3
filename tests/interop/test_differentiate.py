"""Gradients of functions beside PyTorch's, second derivatives included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import normgraph as ng
from tests.kernel.real_types import Array

pytestmark = pytest.mark.interop
torch = pytest.importorskip("torch")

EPSILON = 1e-3


def torch_forward(x: Any, gamma: Any, beta: Any) -> list[Any]:
    """(normalized, mean, variance) in operations that PyTorch differentiates by itself."""
    axes = [0, 2]
    mean = x.mean(dim=axes)
    variance = x.var(dim=axes, unbiased=False)
    normalized = torch.nn.functional.batch_norm(
        x, None, None, gamma, beta, training=True, eps=EPSILON
    )
    return [normalized, mean, variance]


def make_function(which: list[int]) -> ng.Function:
    x = ng.Parameter("f64", [None, 3, None], name="x")
    vectors = [ng.Parameter("f64", [3], name=name) for name in ("gamma", "beta")]
    node = ng.op.BatchNormTraining(x, *vectors, epsilon=EPSILON)
    return ng.Function([node.output(index) for index in which], [x, *vectors])


def make_arguments() -> list[Array]:
    random = np.random.default_rng(12)
    x = random.standard_normal((4, 3, 5)) * 1.5 + 0.5
    return [x, random.uniform(0.5, 2, 3), random.standard_normal(3)]


def tensors(arrays: list[Array]) -> list[Any]:
    return [torch.from_numpy(array).requires_grad_() for array in arrays]


@pytest.mark.parametrize("which", [[0], [1], [2], [0, 1, 2]])
def test_gradients_and_their_gradients(which: list[int]) -> None:
    """Gradients that arrive at mean and variance, too."""
    random = np.random.default_rng(13)
    arguments = make_arguments()
    function = make_function(which)
    results = ng.compile(function)(*arguments)
    deltas = [random.standard_normal(result.shape) for result in results]
    more = [random.standard_normal(array.shape) for array in arguments]
    first = ng.gradients(function)
    second = ng.gradients(first)

    inputs = tensors([*arguments, *deltas])
    outputs = [torch_forward(*inputs[:3])[index] for index in which]
    expected = torch.autograd.grad(
        outputs, inputs[:3], inputs[3:], create_graph=True, allow_unused=True
    )
    actual = ng.compile(first)(*arguments, *deltas)
    compare(actual, expected)

    pairs = [(e, torch.from_numpy(m)) for e, m in zip(expected, more, strict=True) if e is not None]
    twice = torch.autograd.grad(
        [e for e, _ in pairs], inputs, [m for _, m in pairs], allow_unused=True
    )
    compare(ng.compile(second)(*arguments, *deltas, *more), twice)


def compare(actual: tuple[Array, ...], expected: tuple[Any, ...]) -> None:
    """PyTorch gives None where we give zeros."""
    for index, (array, tensor) in enumerate(zip(actual, expected, strict=True)):
        wanted = np.zeros_like(array) if tensor is None else tensor.detach().numpy()
        np.testing.assert_allclose(array, wanted, rtol=1e-10, atol=1e-11, err_msg=f"{index}")
