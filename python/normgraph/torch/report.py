"""report(): which batch norms of a model are ours, what they took on, and what was left and why."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import nn

from . import conversion, fusion, rewriting

if TYPE_CHECKING:
    from collections.abc import Iterator

_unfused = "the model was not converted with fuse=True"
_OURS = tuple(fusion.BATCH_NORMS.values())
_CONTAINERS = (nn.ModuleList, nn.ModuleDict)


@dataclass(frozen=True)
class Report:
    """The batch norms of a model, by their names in it.

    Attributes
    ----------
    swapped : the layers that normgraph's kernels run
    fused : of these, the ones that take on an activation, and which: "self.relu", "F.relu", the
        name of a module in a Sequential; "residual + …" where a sum is taken on as well
    left : the layers that are still torch's, and those that take on nothing, and why
    """

    swapped: list[str] = field(default_factory=list)
    fused: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        total = len(set(self.swapped) | set(self.left))
        norms = "batch norm" if total == 1 else "batch norms"
        head = f"{total} {norms}: {len(self.swapped)} swapped, {len(self.fused)} of them fused"
        width = max(map(len, (*self.fused, *self.left)), default=0)
        swapped = set(self.swapped)
        rows = [f"fused    {name:{width}}  {what}" for name, what in self.fused.items()]
        for name, why in self.left.items():
            rows.append(f"{'swapped' if name in swapped else 'left':7}  {name:{width}}  {why}")
        return "\n".join([head, *rows])


def report(model: nn.Module) -> Report:
    """Tell which batch norms of a model are normgraph's, and what each of them takes on.

    It reads the model as it is at this moment, so that of a copy, or of one that has got hooks, it
    is as true. Raises TypeError if `model` is no module.
    """
    conversion.check_model(model)
    names = {module: name for name, module in model.named_modules()}
    result = Report()
    for module, name in names.items():
        if _is_ours(module):
            result.swapped.append(name)
        elif isinstance(module, nn.modules.batchnorm._BatchNorm):
            result.left[name] = _why_not_swapped(module)
    fused: dict[nn.Module, str] = {}
    for module in names:
        for batch_norm, what in _fusions(module, names):
            fused.setdefault(batch_norm, what)
    callers = (owner for owner in names if not isinstance(owner, _CONTAINERS))
    owners = {child: owner for owner in callers for child in _called_children(owner)}
    for module, name in names.items():
        if not _is_ours(module):
            continue
        if module in fused:
            result.fused[name] = fused[module]
        elif module.activation is None:
            result.left[name] = _why_not_fused(module, owners.get(module), names)
        else:
            result.fused[name] = f"{module.activation}, its own"
    return result


def _is_ours(module: Any) -> bool:
    return isinstance(module, _OURS)


def _why_not_swapped(module: nn.Module) -> str:
    kind = type(module)
    if kind not in fusion.BATCH_NORMS:
        hint = ""
        if isinstance(module, nn.modules.lazy.LazyModuleMixin):
            hint = ", which becomes one at its first call"
        return f"is a {kind.__name__}{hint}, not exactly one of torch.nn.BatchNorm1d, 2d, 3d"
    if "forward" in module.__dict__:
        return "forward() is an attribute of the object"
    return "is not converted"


def _fusions(module: Any, names: dict[nn.Module, str]) -> Iterator[tuple[nn.Module, str]]:
    """The batch norms that take on an activation when this module is called, and what."""
    if not isinstance(module, conversion.Fused):
        return
    if fusion.is_sequential(module):
        for batch_norm, activation in conversion.activation_pairs(module):
            yield batch_norm, names[activation]
        return
    plan = module._normgraph_plan
    for site in plan.sites:
        batch_norm = conversion.last_batch_norm(_place(site.batch_norm, module))
        activation = None
        if site.activation in plan.roles.activations:
            activation = _place(site.activation, module)
            if fusion.activation_of(activation) is None:
                continue
        if fusion.is_batch_norm(batch_norm):
            yield batch_norm, "residual + " * site.has_residual + site.activation


def _place(text: str, module: Any) -> Any:
    return rewriting.resolve(rewriting.parse_place(text), module)


def _called_children(module: nn.Module) -> Iterator[nn.Module]:
    """The modules that a module holds itself or in its lists and dictionaries."""
    for child in module.children():
        yield child
        if isinstance(child, _CONTAINERS):
            yield from _called_children(child)


def _why_not_fused(batch_norm: nn.Module, owner: Any, names: dict[nn.Module, str]) -> str:
    if fusion.has_hooks(batch_norm):
        return "has hooks"
    if owner is None:
        return "no module of the model calls it"
    try:
        plan = conversion.plan_for(owner)
    except rewriting.NotRewritableError as reason:
        return str(reason)
    if fusion.is_sequential(owner):
        return _why_not_fused_in_sequential(batch_norm, owner, names)
    for site in plan.sites:
        if conversion.last_batch_norm(_place(site.batch_norm, owner)) is batch_norm:
            is_hooked = isinstance(owner, conversion.Fused)
            return f"{site.activation} has hooks" if is_hooked else _unfused
    return f"no ReLU directly follows it in {plan.original.__name__}.forward()"


def _why_not_fused_in_sequential(
    batch_norm: nn.Module, sequential: nn.Sequential, names: dict[nn.Module, str]
) -> str:
    following = dict(itertools.pairwise(sequential.children())).get(batch_norm)
    if following is None:
        return "nothing follows it in its Sequential"
    if fusion.kind_of_activation(following) is None:
        return f"{type(following).__name__} {names[following]} follows it"
    return f"{names[following]} has hooks" if fusion.has_hooks(following) else _unfused
