"""The user's functions, of whatever they are written with, as functions of numpy arrays."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from . import jax_functions, torch_functions
from .calls import Binding, bind
from .recognition import (
    autograd_function_of,
    detached,
    framework_in_annotations,
    framework_in_code,
    framework_of_type,
    is_layer,
    is_module,
    is_subclass,
    takes_context,
)

Function = Callable[..., Any]


@dataclass(frozen=True)
class Subject:
    """A forward and a backward of numpy arrays, how they are called, and what they were made of.

    roots: the callables whose state is looked for. framework: "numpy", "torch" or "jax".
    """

    forward: Function
    backward: Function
    forward_binding: Binding
    backward_binding: Binding
    roots: tuple[Function, ...]
    framework: str


def subjects(
    forward: Any,
    backward: Any,
    forward_arguments: Sequence[str] | None,
    backward_arguments: Sequence[str] | None,
    example: Any,
    with_statistics: bool,
) -> list[Subject]:
    """Return the ways in which the functions may be meant, the likeliest first.

    Raises TypeError for what is no function, or needs a backward function and has none, with a
    sentence that says what to write.
    """
    if backward is None and is_layer(forward) and not is_module(forward):
        forward, backward = forward.forward, forward.backward
    require_functions(forward, backward)
    forward_binding = bind("forward", forward, forward_arguments, with_statistics)
    frameworks = frameworks_of(forward, example)
    if backward is None:
        frameworks = [framework for framework in frameworks if framework != "numpy"]
        if not frameworks:
            raise TypeError(
                "backward: expected a function, got None; it can be left out for torch modules, "
                "classes of torch.autograd.Function and functions of torch tensors or JAX arrays "
                "alone, whose gradients are taken by autograd (give the example as a tensor or a "
                "JAX array if forward is one of these)"
            )
        return [derived(framework, forward, forward_binding) for framework in frameworks]
    backward_binding = bind("backward", backward, backward_arguments)
    bindings = (forward_binding, backward_binding)
    return [pair(framework, forward, backward, *bindings) for framework in frameworks]


def require_functions(forward: Any, backward: Any) -> None:
    """Raise TypeError for classes and arrays, and for the parts of a `torch.autograd.Function`."""
    if isinstance(forward, type) and autograd_function_of(forward) is None:
        name = forward.__name__
        if is_subclass(forward, "torch.nn.Module"):
            raise TypeError(
                f"forward: expected a module, got the class {name}: verify({name}(…), example=x)"
            )
        if hasattr(forward, "forward"):
            raise TypeError(
                f"forward: expected a function, got the class {name}; make a layer = {name}(…): "
                "verify(layer.forward, layer.backward, example)"
            )
    if backward is not None and not callable(backward) and hasattr(backward, "shape"):
        raise TypeError(
            f"backward: expected a function or None, got {type(backward).__name__}; the example "
            "is the third argument: verify(forward, None, example)"
        )
    if framework_of_type(forward) == "jax" and hasattr(forward, "init"):
        raise TypeError(
            f"forward: expected a function, got the Flax module {type(forward).__name__}; write "
            "one that applies it: lambda x, gamma, beta: layer.apply({'params': {'scale': gamma, "
            "'bias': beta}, 'batch_stats': …}, x, mutable=['batch_stats'])[0]"
        )
    if takes_context(forward):
        raise TypeError(
            "forward: it takes the ctx of a torch.autograd.Function; give the class itself, whose "
            "backward torch calls: verify(TheClass, example=x)"
        )


def frameworks_of(function: Any, example: Any) -> list[str]:
    """Return what a forward function may be written with, the likeliest first.

    A function whose code makes use of torch may do so for a part alone, and be given numpy arrays:
    only what works with them not at all, or says so in its annotations, is given tensors.
    """
    if is_torchs(function):
        return ["torch"]
    if framework_of_type(function) == "jax":
        return ["jax"]
    x = example[0] if isinstance(example, tuple) and example else example
    used = framework_in_annotations(function)
    if used is not None:
        return [used, "numpy"]
    used, given = framework_in_code(function), framework_of_type(x)
    if used == "jax" or (used is not None and used == given):
        return [used, "numpy"]
    return ["numpy", *dict.fromkeys(name for name in (used, given) if name is not None)]


def is_torchs(function: Any) -> bool:
    """Whether a function is a torch module, a method of one, or a `torch.autograd.Function`."""
    while isinstance(function, functools.partial):
        function = function.func
    owner = getattr(function, "__self__", None)
    return is_module(function) or is_module(owner) or autograd_function_of(function) is not None


def derived(framework: str, forward: Any, binding: Binding) -> Subject:
    """Return a forward function with the backward that autograd makes of it."""
    given = (binding.positional, binding.keywords)
    if framework == "torch":
        forward = torch_functions.prepared(forward, {})
        functions = torch_functions.differentiable(forward, *given)
    else:
        functions = jax_functions.differentiable(forward, *given)
    of_autograd = Binding(("delta", "cache"), {})
    return Subject(*functions, binding, of_autograd, (forward,), framework)


def pair(
    framework: str, forward: Any, backward: Any, forward_binding: Binding, backward_binding: Binding
) -> Subject:
    """Return a forward function and a backward function, each with what it is written with.

    A backward that is handed the cache of forward is written with the same.
    """
    used = framework if "cache" in backward_binding.quantities else "numpy"
    if is_torchs(backward):
        used = "torch"
    elif framework != "numpy":
        used = framework_in_annotations(backward) or framework_in_code(backward) or used
    roots = [forward, backward]
    if "torch" in (framework, used):
        copies: dict[int, Any] = {}
        roots = [torch_functions.prepared(function, copies) for function in roots]
    functions = list(roots)
    if framework == "torch":
        functions[0] = torch_functions.forward_of(roots[0])
    elif framework == "jax":
        functions[0] = jax_functions.in_64_bits(roots[0])
    if used == "torch":
        functions[1] = torch_functions.backward_of(roots[1])
    elif used == "jax":
        functions[1] = jax_functions.in_64_bits(roots[1])
    return Subject(
        functions[0], functions[1], forward_binding, backward_binding, tuple(roots), framework
    )


def small_calls(framework: str) -> contextlib.AbstractContextManager[None]:
    """Return a context in which many small calls of functions of a framework take little time."""
    return torch_functions.one_thread() if framework == "torch" else contextlib.nullcontext()


def plain_example(example: Any) -> Any:
    """Return an example whose torch tensors are without the graphs of their gradients."""
    if isinstance(example, tuple):
        return tuple(detached(value) for value in example)
    return detached(example)
