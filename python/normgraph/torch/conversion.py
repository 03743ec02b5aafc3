"""convert() and revert(): a model's batch norms become ours, and torch's again.

Both change nothing but the classes of modules: a batch norm's becomes ours, and that of a module
whose forward pass is fused becomes a subclass of its own with other methods. Parameters, buffers,
hooks, flags, names and references from outside stay what they are, copies are right by themselves,
and what was done is read off the model.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from torch.fx import GraphModule
from torch.nn import Module

from . import fusion, rewriting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ModuleType = TypeVar("_ModuleType", bound=Module)

_TORCHS = {ours: torchs for torchs, ours in fusion.BATCH_NORMS.items()}
_is_converted = "_normgraph_is_converted"


def convert(model: _ModuleType, fuse: bool = True) -> _ModuleType:
    """Give the batch norms of a model to normgraph's kernels, in place.

    Every torch.nn.BatchNorm1d, 2d and 3d of the model becomes one of normgraph.torch. It stays the
    same object with the same parameters, buffers, hooks and attributes; the model's state_dict
    stays as it is. report() tells what was done, and revert() undoes it.

    Parameters
    ----------
    model : a module, which may be a batch norm itself, in training or evaluation mode
    fuse : whether batch norms take on the ReLU that is applied to their output, and a residual that
        is added before it

    Returns
    -------
    `model`. To convert a converted model changes nothing. Raises TypeError if it is no module.
    """
    check_model(model)
    for module in model.modules():
        if type(module) in fusion.BATCH_NORMS and not _has_own_forward(module):
            module.__class__ = fusion.BATCH_NORMS[type(module)]
            setattr(module, _is_converted, True)
    if fuse:
        for module in model.modules():
            _fuse(module)
    return model


def revert(model: _ModuleType) -> _ModuleType:
    """Undo convert(), in place.

    Layers that were made as normgraph.torch's stay such.

    Returns
    -------
    `model`. Raises TypeError if it is no module, and ValueError, with nothing changed, if a
    converted module has got yet another class since, as a parametrization gives it.
    """
    check_model(model)
    originals: list[tuple[Module, type[Module]]] = []
    for name, module in model.named_modules():
        if not (isinstance(module, Fused) or _is_converted in module.__dict__):
            continue
        plan = vars(type(module)).get("_normgraph_plan")
        original = _TORCHS.get(type(module)) if plan is None else plan.original
        if original is None:
            raise ValueError(
                f"model: {name or 'it'} has become a {type(module).__name__} since it was "
                "converted: undo that first"
            )
        originals.append((module, original))
    for module, original in originals:
        module.__dict__.pop(_is_converted, None)
        module.__class__ = original
    return model


def check_model(model: Any) -> None:
    """Raise TypeError unless the argument `model` is a module."""
    if not isinstance(model, Module):
        raise TypeError(f"model: expected a torch.nn.Module, got {type(model).__name__}")


def _has_own_forward(module: Any) -> bool:
    return "forward" in module.__dict__


@dataclass(frozen=True, eq=False)
class Plan:
    """How the methods of a class are fused, where the instance's modules have these roles."""

    original: type[Module]
    roles: rewriting.Roles
    sites: tuple[rewriting.Site, ...]
    methods: dict[str, Callable[..., Any]]


class Fused:
    """Mark of the classes whose methods are fused."""

    _normgraph_plan: Plan

    def __init_subclass__(cls) -> None:
        """Do not call the original's, which may keep a list of the classes that a user wrote."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle as the original class and the roles: the methods are made anew from them."""
        plan = self._normgraph_plan
        reduced: Any = super().__reduce_ex__(protocol)
        make, arguments, *rest = reduced
        originals = [plan.original if a is type(self) else a for a in arguments]
        return _restore, (plan.roles, make, *originals), *rest


def _restore(roles: rewriting.Roles, make: Callable[..., Any], *arguments: Any) -> Any:
    module = make(*arguments)
    try:
        original = original_class(module)
        plan = _plan(original, _methods_of(original), roles)
        module.__class__ = _fused_class(plan)
    except rewriting.NotRewritableError:
        pass  # Nothing but the fusion is lost where the source is not to be had.
    return module


def original_class(module: Any) -> Any:
    """The class that the module has when it is not fused."""
    return module._normgraph_plan.original if isinstance(module, Fused) else type(module)


def plan_for(module: Any) -> Plan:
    """How the module is to be fused. Raises NotRewritableError where it cannot be."""
    original = original_class(module)
    if isinstance(module, GraphModule):
        raise rewriting.NotRewritableError("the code of a torch.fx.GraphModule is the graph's")
    if _has_own_forward(module):
        raise rewriting.NotRewritableError("forward() is an attribute of the object")
    methods = _methods_of(original)
    return _plan(original, methods, _roles_of(module, methods))


def _fuse(module: Any) -> None:
    """Fuse it, or once more where its modules have changed."""
    if isinstance(module, Fused) and "_normgraph_plan" not in vars(type(module)):
        return  # It has got yet another class since.
    if not any(child.__class__ in _TORCHS for child in module.modules() if child is not module):
        return
    try:
        module.__class__ = _fused_class(plan_for(module))
    except rewriting.NotRewritableError:
        return  # report() tells why.


def _roles_of(module: Any, methods: tuple[rewriting.Method, ...]) -> rewriting.Roles:
    places: dict[str, set[str]] = {name: set() for name in rewriting.Roles.__dataclass_fields__}
    absent = {name for name, value in vars(module).items() if value is None}
    for method in methods:
        places["children"] |= method.own_names & (module._modules.keys() | absent)
        for text, place in method.called_places.items():
            called = rewriting.resolve(place, module)
            if called is None:
                continue
            batch_norm = last_batch_norm(called)
            if batch_norm is not None:
                is_longer = fusion.is_sequential(called) and len(called) > 1
                places["sequentials" if is_longer else "batch_norms"].add(text)
                before = list(called._modules.values())[:-1] if is_longer else []
                if _is_shared(batch_norm, module) or (
                    is_longer and not fusion.any_returns_new(before)
                ):
                    places["hasty"].add(text)
            elif fusion.kind_of_activation(called) is not None:
                places["activations"].add(text)
            if fusion.returns_new(called):
                places["new"].add(text)
            elif fusion.passes_on(called):
                places["passing"].add(text)
    return rewriting.Roles(**{name: frozenset(texts) for name, texts in places.items()})


def _is_shared(batch_norm: Module, owner: Module) -> bool:
    """Whether several of the owner's submodules are or hold the batch norm."""
    children = [child for child in owner._modules.values() if child is not None]
    return sum(batch_norm in child.modules() for child in children) > 1


def last_batch_norm(module: Any) -> Any:
    """The layer of ours that the module is, or is a Sequential that ends in it; else None."""
    if fusion.is_sequential(module) and len(module):
        module = module[-1]
    return module if module.__class__ in _TORCHS else None


def activation_pairs(sequential: Any) -> Iterator[tuple[Module, Module]]:
    """The batch norms of ours in a Sequential with the activations that they take on."""
    for batch_norm, following in itertools.pairwise(sequential._modules.values()):
        if fusion.is_batch_norm(batch_norm) and fusion.activation_of(following) is not None:
            yield batch_norm, following


def _methods_of(original: type[Module]) -> tuple[rewriting.Method, ...]:
    """The methods that a call of the module runs, as far as `self` calls them."""
    if fusion.runs_in_sequence(original):
        return ()
    methods: list[rewriting.Method] = []
    names = ["forward"]
    for name in names:
        function = getattr(original, name, None)
        try:
            methods.append(rewriting.read_method(function))
        except rewriting.NotRewritableError as reason:
            if name != "forward":
                continue  # a submodule, or what is as good as one
            text = f"{original.__name__}.forward() {reason}"
            raise rewriting.NotRewritableError(text) from None
        names += sorted(methods[-1].own_names - set(names))
    return tuple(methods)


@functools.lru_cache(maxsize=1024)
def _plan(
    original: type[Module], methods: tuple[rewriting.Method, ...], roles: rewriting.Roles
) -> Plan:
    if fusion.runs_in_sequence(original):
        return Plan(original, roles, (), {"forward": fusion.sequential_forward})
    functions, sites = {}, []
    for method in methods:
        function, found = rewriting.rewrite(method, roles, original)
        if found:
            functions[method.function.__name__] = function
            sites += found
    return Plan(original, roles, tuple(sites), functions)


@functools.lru_cache(maxsize=1024)
def _fused_class(plan: Plan) -> type[Module]:
    original = plan.original
    if not plan.methods:
        return original
    attributes = {
        **plan.methods,
        "__module__": original.__module__,
        "__qualname__": original.__qualname__,
        "__doc__": original.__doc__,
        "_normgraph_plan": plan,
    }
    try:
        metaclass: Any = type(original)
        fused: type[Module] = metaclass(original.__name__, (Fused, original), attributes)
    except Exception as error:  # A metaclass may refuse it as it likes.
        text = f"{original.__name__} has no subclass that could be made: {error}"
        raise rewriting.NotRewritableError(text) from None
    return fused
