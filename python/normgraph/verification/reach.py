"""Search for the gamma and beta that the functions keep, by setting them and looking at y."""

from __future__ import annotations

import numpy as np

from normgraph.definition import Float64Array

from .calls import Functions, UnusableError
from .cases import Case, Model, Terms
from .diagnosis import error_of
from .kept import VECTORS, Place, plain
from .recognition import is_instance
from .values import same_bits


def reach(functions: Functions, case: Case, model: Model) -> None:
    """Find the gamma and beta that forward is not given but keeps; they are set from then on."""
    kept = functions.kept
    wanted = [v for v in VECTORS if not functions.forward_binding.takes(v)]
    if not wanted or kept.vectors or kept.constants:
        return
    try:
        functions.call_forward(case)  # a layer may make them in its first call
    except UnusableError:
        return  # which is told when the case is tried
    for vector in wanted:
        found = kept.find(vector)
        certain = [place for place in found if plain(place.name) == VECTORS[vector][0]]
        inner = [place for place in found if place.name in ("data", "value")]
        for places in (certain, inner, found):
            if places and try_places(functions, case, model, vector, places):
                break


def y_of(functions: Functions, case: Case) -> Float64Array:
    """Return y alone."""
    return functions.call_forward(case)[0].y


def try_places(
    functions: Functions, case: Case, model: Model, vector: str, places: list[Place]
) -> bool:
    """Set what is in these places; whether it is gamma, or beta.

    If it cannot be set, or each call of forward sets it anew, it is a constant.
    """
    kept, channels = functions.kept, len(case.gamma)
    is_certain = plain(places[0].name) == VECTORS[vector][0] or is_only_parameter(places)
    kept.vectors[vector] = places
    original = kept.read(vector, channels)
    first = places[0].array()
    if original is None or first is None:
        del kept.vectors[vector]
        return False
    target = 1.25 * original + np.linspace(0.25, 0.5, channels)
    before = after = case.x
    try:
        before = y_of(functions, case.with_vector(vector, original))
        written = kept.write(vector, target)
        after = y_of(functions, case.with_vector(vector, target))
        stays = written is not None and same_bits(written, np.asarray(kept.read(vector, channels)))
        is_set = stays and not np.array_equal(np.asarray(written), original)
    except UnusableError:
        is_set = False
    moves = is_set and not same_bits(before, after)
    if moves and (is_certain or agrees(functions, case, model, after)):
        if first.size < channels:
            kept.scalars.append(vector)
        return True
    del kept.vectors[vector]
    kept.restore()
    if not is_certain:
        return False
    if is_set:
        kept.without_effect.append(vector)
    else:
        kept.constants[vector] = original
    return True


def is_only_parameter(places: list[Place]) -> bool:
    """Whether this is the one weight, or bias, of a torch module."""
    return len(places) == 1 and is_instance(places[0].container, "torch.nn.Parameter")


def agrees(functions: Functions, case: Case, model: Model, y: Float64Array) -> bool:
    """Whether y is what it should be of the gamma and beta that are set."""
    for vector, default in (("gamma", 1.0), ("beta", 0.0)):
        if functions.forward_binding.takes(vector):
            continue
        value = None
        if vector in functions.kept.vectors:
            value = functions.kept.read(vector, len(case.gamma))
        case = case.with_vector(
            vector, np.full_like(case.gamma, default) if value is None else value
        )
    terms = Terms(case, model)
    error = error_of(case, y, terms.expected("normalized"), terms.magnitude("normalized"))
    return error <= terms.rounding(2.0**-24)
