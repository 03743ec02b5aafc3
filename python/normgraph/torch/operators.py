"""The functions on arrays as operators of torch, `torch.ops.normgraph`.

Their kernels are registered by the compiled part, on the stable C interface of libtorch 2.11 and
newer: they run on torch's own threads, and large outputs come from normgraph's pool of memory.
Where that cannot be, functions of Python do the same, slower, and a warning says so once.

The operators have no derivatives: normgraph.torch.functional has.
"""

from __future__ import annotations

import functools
import math
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import torch

import normgraph
from normgraph import _core

_namespace = "normgraph"
_library = torch.library.Library(_namespace, "DEF")  # unregisters all of it when it ends
_of_torch = torch.library.Library("aten", "IMPL")


#: The operators take tensors in any order in memory: torch.compile, which computes convolutions
#: with the channels last, need not bring them back to that of the model.
TAGS = (torch.Tag.pt2_compliant_tag, torch.Tag.flexible_layout)


class Operator(NamedTuple):
    """One operator, and what its outputs are: pairs of a name and a kind."""

    name: str
    schema: str
    outputs: tuple[tuple[str, str], ...]


def _innermost_channels(input: torch.Tensor, channel_axis: int) -> bool:
    """Whether the kernels see the channel axis as the last one, though it is not.

    That is where it is innermost in memory, as in the memory format channels_last.
    """
    axis = channel_axis % input.dim()
    stride = input.stride(axis)
    if axis == input.dim() - 1 or input.shape[axis] < 2 or stride == 0:
        return False
    return all(
        other == axis or length == 1 or input.stride(other) == 0 or stride < input.stride(other)
        for other, length in enumerate(input.shape)
    )


def _packed_shape(
    shape: torch.Size, channel_axis: int, has_innermost_channels: bool
) -> tuple[int, ...]:
    """The axes of a mask's bytes: eight elements side by side in each, of a channel or a position.

    channel_axis is counted from the front.
    """
    channels = shape[channel_axis]
    outer, inner = math.prod(shape[:channel_axis]), math.prod(shape[channel_axis + 1 :])
    if has_innermost_channels:
        return (outer * inner, (channels + 7) // 8)
    return (outer, channels, (inner + 7) // 8)


def _mask_size(shape: torch.Size, channel_axis: int) -> Any:
    """The bytes of a mask, which has one axis: as many as either packing needs, and one more.

    The last one is 1 where the channels are innermost, else 0. So the shape follows from the data's
    shape alone, and the data may come back in another order of their memory, as they do where
    torch.compile chooses it.
    """
    axis = channel_axis % len(shape)
    by_positions = math.prod(_packed_shape(shape, axis, True))
    if axis == len(shape) - 1:
        return by_positions + 1
    return torch.sym_max(by_positions, math.prod(_packed_shape(shape, axis, False))) + 1


def _bits(
    mask: torch.Tensor, shape: torch.Size, channel_axis: int, has_innermost_channels: bool
) -> torch.Tensor:
    """The mask as normgraph's functions have it."""
    packed = _packed_shape(shape, channel_axis, has_innermost_channels)
    return mask[: math.prod(packed)].view(packed)


def _new_output(operator: Operator, index: int, arguments: dict[str, Any]) -> torch.Tensor:
    """The output of this index, not set, in the layout that the kernels give it."""
    _, kind = operator.outputs[index]
    input, channel_axis = arguments["input"], arguments["channel_axis"]
    shape: tuple[int, ...] = (input.shape[channel_axis],)
    dtype = input.dtype
    if kind == "mask":
        shape, dtype = (_mask_size(input.shape, channel_axis),), torch.uint8
    elif kind == "affine" and arguments["gamma"] is not None:
        dtype = arguments["gamma"].dtype
    elif kind == "statistic":
        dtype = torch.float64
    elif kind == "affine" and dtype in (torch.float16, torch.bfloat16):
        dtype = torch.float32
    if not arguments.get("outputs", 1) >> index & 1:
        return input.new_empty((0,), dtype=dtype)
    return torch.empty_like(input) if kind == "data" else input.new_empty(shape, dtype=dtype)


def _new_outputs(operator: Operator, arguments: dict[str, Any]) -> list[torch.Tensor]:
    return [_new_output(operator, index, arguments) for index in range(len(operator.outputs))]


def _results(outputs: list[torch.Tensor]) -> Any:
    return outputs[0] if len(outputs) == 1 else tuple(outputs)


def new_results(operator: Operator, arguments: dict[str, Any]) -> Any:
    """The results of the operator as tracing knows them: shapes, types and strides."""
    return _results(_new_outputs(operator, arguments))


def _arguments(operator: Operator, values: tuple[Any, ...]) -> dict[str, Any]:
    names = [argument.name for argument in _overload(operator.name)._schema.arguments]
    return dict(zip(names, values, strict=True))


def _overload(name: str) -> Any:
    return getattr(torch.ops.normgraph, name).default


def _fake(operator: Operator, *values: Any) -> Any:
    return new_results(operator, _arguments(operator, values))


_data_inputs = ("input", "residual", "normalized_delta", "activated_delta")


def _kind_of_input(name: str) -> str:
    """As of an output, see Operator."""
    if name in _data_inputs:
        return "data"
    return "mask" if name == "mask" else "other"


def _run(operator: Operator, *values: Any) -> Any:
    return compute(operator, _arguments(operator, values))


def compute(operator: Operator, arguments: dict[str, Any]) -> Any:
    """The operator, without the compiled part's kernel for torch.

    arguments are by name those of the operator, and others that normgraph's function takes.
    """
    # DLPack lends no tensor that requires a gradient, as one in an autograd function may.
    arguments = {
        name: value.detach() if isinstance(value, torch.Tensor) else value
        for name, value in arguments.items()
    }
    outputs = _new_outputs(operator, arguments)
    wanted = arguments.pop("outputs", 1)
    shape = arguments["input"].shape
    axis = arguments["channel_axis"] % len(shape)
    is_last = axis == len(shape) - 1
    mask = arguments.get("mask")
    has_innermost_channels = is_last or (
        _innermost_channels(arguments["input"], axis) if mask is None else bool(mask[-1])
    )
    is_moved = has_innermost_channels and not is_last

    def seen(kind: str, tensor: Any) -> Any:
        if kind == "mask":
            return _bits(tensor, shape, axis, has_innermost_channels)
        return tensor.movedim(axis, -1) if is_moved and kind == "data" else tensor

    arguments = {name: seen(_kind_of_input(name), value) for name, value in arguments.items()}
    arguments["channel_axis"] = -1 if is_moved else axis
    out = {}
    for index, ((name, kind), output) in enumerate(zip(operator.outputs, outputs, strict=True)):
        if wanted >> index & 1:
            out[name] = seen(kind, output)
            if kind == "mask":
                output.zero_()
                output[-1] = has_innermost_channels
    if len(outputs) > 1:
        arguments["outputs"] = list(out)
    if ("mean", "statistic") in operator.outputs:
        arguments["statistics_type"] = "f64"
    if out:
        places = tuple(out.get(name) for name, _ in operator.outputs)
        arguments["out"] = places if len(outputs) > 1 else places[0]
        getattr(normgraph, operator.name)(**arguments, num_threads=torch.get_num_threads())
    return _results(outputs)


def update_running_statistics(
    running_mean: torch.Tensor,
    running_variance: torch.Tensor,
    mean: torch.Tensor,
    variance: torch.Tensor,
    momentum: float,
    count: int,
) -> None:
    """The operator, without the compiled part's kernel for torch."""
    running, batch = (running_mean, running_variance), (mean.detach(), variance.detach())
    normgraph.update_running_statistics(running, batch, count, momentum, out=running)


def _calls_of_each(
    name: str, info: Any, in_dims: tuple[int | None, ...], values: tuple[Any, ...]
) -> list[Any]:
    """What the operator returns for each of those that vmap runs through."""
    return [
        _overload(name)(
            *(
                value if axis is None else value.select(axis, index)
                for value, axis in zip(values, in_dims, strict=True)
            )
        )
        for index in range(info.batch_size)
    ]


#: The arguments and results of aten::miopen_batch_norm_backward.
TRAINING_BACKPROP = (
    "(Tensor input, Tensor grad_output, Tensor weight, Tensor? running_mean, Tensor? running_var, "
    "Tensor? save_mean, Tensor? save_var, float epsilon) -> (Tensor, Tensor, Tensor)"
)


def _run_each(name: str, info: Any, in_dims: tuple[int | None, ...], *values: Any) -> Any:
    """The operator under vmap."""
    results = _calls_of_each(name, info, in_dims, values)
    if isinstance(results[0], torch.Tensor):
        return torch.stack(results), 0
    stacked = tuple(torch.stack(outputs) for outputs in zip(*results, strict=True))
    return stacked, (0,) * len(stacked)


def _update_running_statistics_of_each(
    info: Any, in_dims: tuple[int | None, ...], *values: Any
) -> tuple[None, None]:
    """The update under vmap."""
    for value, axis in zip(values[:2], in_dims, strict=False):
        if axis is None:
            raise ValueError(
                "running statistics: expected a vector for each of those that vmap runs through, "
                f"got one of shape {tuple(value.shape)} for all"
            )
    _calls_of_each("update_running_statistics", info, in_dims, values)
    return None, None


def _register_kernels(operators: list[Operator]) -> bool:
    """Whether the kernels are those of the compiled part."""
    libraries = sorted((Path(torch.__file__).parent / "lib").glob("*torch_cpu.*"))
    try:
        if not libraries:
            raise RuntimeError("libtorch: expected it in the folder of the package torch")
        _core.register_torch_kernels(str(libraries[0]))
    except RuntimeError as error:
        warnings.warn(
            f"normgraph.torch runs its kernels from Python, which is slower: {error}",
            RuntimeWarning,
            stacklevel=2,
        )
        for operator in operators:
            _library.impl(operator.name, functools.partial(_run, operator), "CPU")
        _library.impl("update_running_statistics", update_running_statistics, "CPU")
        return False
    # The kernel looks for derivatives where a graph is wanted: torch's own would be wrong from the
    # third order on. A tensor that is undefined, as running statistics may be, has AutogradOther.
    for key in ("AutogradCPU", "AutogradOther"):
        _of_torch.impl("miopen_batch_norm_backward", torch.library.fallthrough_kernel, key)
    return True


def _register() -> bool:
    operators = [Operator(*facts) for facts in _core.torch_operators()]
    for operator in operators:
        _library.define(operator.schema, tags=TAGS)
        fake = functools.partial(_fake, operator)
        torch.library.register_fake(f"{_namespace}::{operator.name}", fake, lib=_library)
        each = functools.partial(_run_each, operator.name)
        torch.library.register_vmap(f"{_namespace}::{operator.name}", each, lib=_library)
    _library.define(_core.torch_running_statistics(), tags=TAGS)
    torch.library.register_fake(
        f"{_namespace}::update_running_statistics", lambda *_: None, lib=_library
    )
    torch.library.register_vmap(
        f"{_namespace}::update_running_statistics",
        _update_running_statistics_of_each,
        lib=_library,
    )
    return _register_kernels(operators)


def define(schema: str, function: Any) -> None:
    """Register an operator that is made of others, and has their derivatives."""
    _library.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    _library.impl(schema.partition("(")[0], function, "CompositeImplicitAutograd")


#: Whether the operators run in the compiled part, on torch's own threads.
is_fast: bool = _register()
