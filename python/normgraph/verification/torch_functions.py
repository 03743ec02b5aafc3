"""Functions of torch tensors as functions of numpy arrays, and their gradients by autograd."""

from __future__ import annotations

import contextlib
import copy
import functools
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import results
from .recognition import autograd_function_of, is_module, is_tensor, signature_of
from .values import text_of


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Have torch compute on one thread: its threads wait for each other longer than they work."""
    import torch

    count = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(count)


def lent(value: Any) -> Any:
    """Return a numpy array as a tensor in the same memory; what holds arrays, with tensors."""
    import torch

    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    if type(value) is dict:
        return {name: lent(item) for name, item in value.items()}
    return value


def read(value: Any) -> Any:
    """Return a tensor as a numpy array, without its graph; what holds tensors, with arrays."""
    if is_tensor(value):
        import torch

        value = value.detach().cpu()
        # numpy has no such type; float32 holds all of its values.
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    if isinstance(value, Mapping):
        return {name: read(item) for name, item in value.items()}
    if isinstance(value, (tuple, list)):
        items = [read(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def prepared(function: Any, copies: dict[int, Any]) -> Any:
    """Return a function whose module, if it is one or is a method of one, is a float64 copy.

    copies: those that have been made, by the identity of their modules. Raises TypeError for a
    module that cannot be copied.
    """
    if isinstance(function, functools.partial):
        inner = prepared(function.func, copies)
        return functools.partial(inner, *function.args, **function.keywords)
    owner = getattr(function, "__self__", None)
    module: Any = function if is_module(function) else owner
    if not is_module(module):
        return function
    if id(module) not in copies:
        try:
            copies[id(module)] = copy.deepcopy(module).double().cpu()
        except MemoryError:
            raise
        except Exception as error:
            raise TypeError(
                f"forward: the module {type(module).__name__} cannot be copied to be tried in "
                f"float64 ({text_of(error)}); give one that has not been called yet"
            ) from error
    replica = copies[id(module)]
    return replica if function is module else types.MethodType(function.__func__, replica)


def called(function: Any, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
    """Call a function, or the `apply` of a `torch.autograd.Function`, which takes no keywords."""
    autograd_function: Any = autograd_function_of(function)
    if autograd_function is None:
        return function(*arguments, **keywords)
    bound = signature_of(autograd_function).bind(*arguments, **keywords)
    bound.apply_defaults()
    return autograd_function.apply(*bound.args)


def forward_of(function: Any) -> Callable[..., Any]:
    """Return a forward of tensors as one of arrays; all behind y is handed on as it is."""

    def forward(*arguments: Any, **keywords: Any) -> Any:
        lent_keywords = {name: lent(value) for name, value in keywords.items()}
        result = called(function, tuple(map(lent, arguments)), lent_keywords)
        key = results.key_of_y(result)
        if key is not None and isinstance(result, Mapping):
            return {**result, key: read(result[key])}
        if isinstance(result, (tuple, list)) and result:
            return (read(result[0]), *result[1:])
        return read(result)

    return forward


def backward_of(function: Any) -> Callable[..., Any]:
    """Return a backward of tensors as one of arrays; a cache is handed on as it is."""

    def backward(*arguments: Any, **keywords: Any) -> Any:
        lent_keywords = {name: lent(value) for name, value in keywords.items()}
        return read(called(function, tuple(map(lent, arguments)), lent_keywords))

    return backward


@dataclass(frozen=True)
class Run:
    """A call of forward that autograd has recorded: y, what it was given, and what it returned.

    leaves: the tensors that y is differentiated in, by their quantities. rest: what forward
    returned behind y.
    """

    y: Any
    leaves: Mapping[str, Any]
    rest: tuple[Any, ...]


def differentiable(
    function: Any, positional: tuple[str, ...], keywords: Mapping[str, str]
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return a forward of arrays, whose cache is a `Run`, and the backward that autograd makes.

    positional, keywords: the quantities that the function is given.
    """

    def forward(*arguments: Any, **named: Any) -> Any:
        leaves: dict[str, Any] = {}

        def leaf(quantity: str, value: Any) -> Any:
            tensor = lent(value)
            if quantity in results.DIFFERENTIATED:
                tensor.requires_grad_()
                leaves[quantity] = tensor
            elif quantity == "params":
                leaves.update((name, item.requires_grad_()) for name, item in tensor.items())
            return tensor

        given = tuple(leaf(what, value) for what, value in zip(positional, arguments, strict=True))
        by_name = {name: leaf(keywords[name], value) for name, value in named.items()}
        result = called(function, given, by_name)
        shape = tuple(leaves["x"].shape)
        y, rest = results.y_and_cache(result, shape)
        return read(y), Run(y, leaves, rest)

    def backward(delta: Any, run: Run) -> dict[str, Any]:
        if not is_tensor(run.y) or not run.y.requires_grad:
            raise RuntimeError(
                "autograd finds no way from y back to x: look for no_grad, detach, .data or "
                ".numpy() in forward"
            )
        for tensor in run.leaves.values():
            tensor.grad = None
        run.y.backward(lent(delta).to(run.y.dtype), retain_graph=True)
        gradients = {name: tensor.grad for name, tensor in run.leaves.items()}
        return {name: read(value) for name, value in results.by_output(gradients).items()}

    return forward, backward
