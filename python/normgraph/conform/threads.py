"""How many threads a function works with, where that can be told."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import normgraph as ng
from normgraph.verification.values import described

from .frameworks import require

#: Takes a number of threads. Returns a context manager within which the function works with them,
#: or sets them and returns anything else.
SetThreads = Callable[[int], object]


@dataclass(frozen=True)
class ThreadControl:
    """What sets the number of threads; None with the reason why nothing can."""

    set_threads: SetThreads | None = None
    reason: str = ""

    def limited_to(self, count: int) -> AbstractContextManager[object]:
        """Return a context in which so many threads work, if they can be told so."""
        made = None if self.set_threads is None else self.set_threads(count)
        return made if isinstance(made, AbstractContextManager) else contextlib.nullcontext()


def thread_control(
    function: object, framework: str, given: SetThreads | None = None
) -> ThreadControl:
    """Return what sets the threads of a function: what is given, its own, or its framework's.

    Raises TypeError for a given one that cannot be called.
    """
    if given is not None:
        if not callable(given):
            raise TypeError(f"threads: expected a function of a number, got {described(given)}")
        return ThreadControl(given)
    own = getattr(function, "thread_control", None)
    if isinstance(own, ThreadControl):
        return own
    if framework == "torch":
        return ThreadControl(torch_threads)
    if framework == "jax":
        return ThreadControl(reason="the threads of JAX cannot be changed within a process")
    return numpy_threads()


@contextlib.contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch work with a number of threads."""
    torch = require("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def numpy_threads() -> ThreadControl:
    """Return what sets the threads of the pools that threadpoolctl finds, and of normgraph."""
    try:
        threadpoolctl = importlib.import_module("threadpoolctl")
    except ImportError:
        return ThreadControl(
            reason="threadpoolctl, which sets the threads of numpy's BLAS, is not installed"
        )
    if not threadpoolctl.threadpool_info():
        return ThreadControl(reason="threadpoolctl finds no pool of threads")
    return ThreadControl(lambda count: pools_of(threadpoolctl, count))


@contextlib.contextmanager
def pools_of(threadpoolctl: Any, count: int) -> Iterator[None]:
    """Let all pools of threads that are known have a number of threads."""
    before = ng.get_num_threads()
    ng.set_num_threads(count)
    try:
        with threadpoolctl.threadpool_limits(limits=count):
            yield
    finally:
        ng.set_num_threads(before)
