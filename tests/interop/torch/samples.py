"""Tensors that the tests of normgraph.torch share, and the definition in double."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
#: Of data and of weight and bias.
DTYPE_PAIRS = (
    *((dtype, dtype) for dtype in DTYPES),
    (torch.bfloat16, torch.float32),
    (torch.float16, torch.float32),
)
CHANNELS = 6


class Layer(NamedTuple):
    """What a layer is called with."""

    input: torch.Tensor
    residual: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor
    running_mean: torch.Tensor
    running_var: torch.Tensor
    delta: torch.Tensor


def layer(
    dtype: torch.dtype = torch.float32,
    vector_dtype: torch.dtype | None = None,
    shape: tuple[int, ...] = (4, CHANNELS, 5, 3),
    memory_format: torch.memory_format = torch.contiguous_format,
    seed: int = 0,
) -> Layer:
    """Random tensors of these types; mean and deviation differ between channels."""
    generator = torch.Generator().manual_seed(seed)
    channels = shape[1]
    vector_dtype = vector_dtype or dtype

    def data(scale: float = 1.0) -> torch.Tensor:
        values = torch.randn(shape, generator=generator, dtype=torch.float64) * scale
        return values.to(dtype).contiguous(memory_format=memory_format)

    def vector(offset: float) -> torch.Tensor:
        values = torch.randn(channels, generator=generator, dtype=torch.float64) / 4 + offset
        return values.to(vector_dtype)

    input = data(2.0) + torch.arange(channels).reshape(1, -1, *[1] * (len(shape) - 2)).to(dtype)
    return Layer(
        input.to(dtype).contiguous(memory_format=memory_format),
        data(),
        vector(1.5),
        vector(0.25),
        vector(0.0),
        vector(2.0),
        data(),
    )


class Outcome(NamedTuple):
    """The output of a layer, its running statistics, and gradients by name."""

    output: torch.Tensor
    running_mean: torch.Tensor
    running_var: torch.Tensor
    gradients: dict[str, torch.Tensor]


def outcome(function: Any, layer: Layer, residual: bool = False, **options: Any) -> Outcome:
    """What `function`, batch_norm or one of its forms, makes of a layer and of a gradient."""
    leaves = {
        name: getattr(layer, name).clone(memory_format=torch.preserve_format).requires_grad_()
        for name in ("input", "weight", "bias", *(["residual"] if residual else []))
    }
    running = (layer.running_mean.clone(), layer.running_var.clone())
    data = [leaves["input"], *([leaves["residual"]] if residual else [])]
    output = function(*data, *running, leaves["weight"], leaves["bias"], **options)
    gradients = torch.autograd.grad(output, list(leaves.values()), layer.delta.to(output.dtype))
    return Outcome(output.detach(), *running, dict(zip(leaves, gradients, strict=True)))


def in_double(layer: Layer) -> Layer:
    return Layer(*(tensor.double() for tensor in layer))


def assert_close(actual: torch.Tensor, exact: torch.Tensor, steps: float, what: str) -> None:
    """Within so many steps of the type, of the largest element's size."""
    size = float(exact.abs().max()) or 1.0
    tolerance = steps * torch.finfo(actual.dtype).eps * size
    error = float((actual.double() - exact.double()).abs().max())
    assert error <= tolerance, f"{what}: {error} > {tolerance}"
    assert actual.shape == exact.shape, what
