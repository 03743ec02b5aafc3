"""State that the functions keep beside their arguments and results.

The methods of a layer share an object: gamma and beta may be its attributes, backward may leave
their gradients there, and forward its running statistics. A gamma that is 1, as layers start with,
would hide that backward leaves it out, so it is set where that is possible, and put back at the
end. Looked at are the object that a method belongs to, or that is called itself, what a function
takes from its closure or its module, and dicts and parameters (`data` or `value`, and `grad`) in
these.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from normgraph.definition import Float64Array

from .recognition import detached, is_module, is_tensor
from .values import UnreadableError, real_array, to_float64

#: Spellings, in small letters and without underscores. Only the first of each is certain to be
#: meant; the others are checked by what y does.
VECTORS = {"gamma": ("gamma", "weight", "scale"), "beta": ("beta", "bias", "shift")}
RUNNING_VARIANCE = ("runningvar", "runningvariance", "movingvar", "movingvariance", "runvar")
RUNNING_MEAN = ("runningmean", "movingmean", "runmean")
GRADIENTS = {
    f"{vector}_delta": tuple(
        spelling.format(name)
        for name in names
        for spelling in ("d{}", "grad{}", "{}grad", "delta{}", "{}delta", "{}gradient", "g{}")
    )
    for vector, names in VECTORS.items()
}

#: Names that mean these gradients in the result of backward alone: a layer's own may be others.
RESULTS = {"gamma_delta": ("dw",), "beta_delta": ("db",)}

INPUT_GRADIENTS = (
    "dx", "inputdelta", "gradx", "xgrad", "gradinput", "inputgrad", "dinput", "deltax", "dinputs",
    "gradinputs", "dlx", "dldx", "gx", "din", "grad", "x", "input",
)  # fmt: skip

PLAIN = (str, bytes, int, float, complex, np.generic, np.ndarray, list, tuple, set, frozenset)
CODE = (types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType, type)


def plain(name: str) -> str:
    """Return a name without what spellings differ in."""
    return name.replace("_", "").lower()


@dataclass(frozen=True)
class Place:
    """An attribute of an object, or an item of a dict."""

    container: Any
    name: str

    def value(self) -> Any:
        """Return what is there, None if nothing is."""
        try:
            if isinstance(self.container, dict):
                return self.container.get(self.name)
            return getattr(self.container, self.name, None)
        except MemoryError:
            raise
        except Exception:  # of a property
            return None

    def array(self) -> npt.NDArray[Any] | None:
        """Return what is there as an array, which shares its memory if it is one."""
        value = self.value()
        if value is None:
            return None
        try:
            return real_array(detached(value))
        except UnreadableError:
            return None

    def put(self, value: Any) -> bool:
        """Put something there; whether that was possible."""
        try:
            if isinstance(self.container, dict):
                self.container[self.name] = value
            else:
                setattr(self.container, self.name, value)
        except MemoryError:
            raise
        except Exception:
            return False
        return True

    def write(self, vector: Float64Array) -> bool:
        """Write a vector of shape (C,) in the shape of what is there; whether that was possible.

        In its memory if there are floats in an array, so that all who refer to it see them.
        """
        array = self.array()
        if array is None or array.size not in (1, vector.size):
            return False
        if array.size < vector.size:
            vector = vector[:1]
        is_shared = not isinstance(self.value(), (int, float, np.generic))
        if is_shared and array.dtype.kind == "f" and array.flags.writeable:
            array[...] = vector.reshape(array.shape)
            now = self.array()
            if now is not None and np.array_equal(now, array):  # a property may return a copy
                return True
        return self.put(vector.reshape(array.shape).copy() if array.ndim else float(vector[0]))


def places(containers: Iterable[Any], spellings: tuple[str, ...]) -> list[Place]:
    """Return where these names are, the better spellings first."""
    found = [
        (spellings.index(plain(name)), Place(container, name))
        for container in containers
        for name in names_in(container)
        if plain(name) in spellings
    ]
    return [place for _, place in sorted(found, key=lambda pair: pair[0])]


def names_in(container: Any) -> list[str]:
    """Return the names of an object's attributes, slots and properties, or of a dict's items.

    An array may also be an attribute of its class.
    """
    if isinstance(container, dict):
        return [name for name in container if isinstance(name, str)]
    names = dict.fromkeys(attributes_of(container))
    of_class = (types.MemberDescriptorType, property, np.ndarray)
    for base in getattr(type(container), "__mro__", ()):
        names |= {name: None for name, value in vars(base).items() if isinstance(value, of_class)}
    return [name for name in names if isinstance(name, str)]


def attributes_of(container: Any) -> Mapping[str, Any]:
    """Return what an object holds; no property is read, which might do anything."""
    try:
        own = object.__getattribute__(container, "__dict__")
    except AttributeError:
        return {}
    return own if isinstance(own, Mapping) else {}


class Surroundings(dict[str, Any]):
    """The variables of its closure and its module that a function's code names, as they are now."""

    def __init__(self, function: types.FunctionType) -> None:
        super().__init__()
        code = function.__code__
        self.module = function.__globals__
        self.cells = dict(zip(code.co_freevars, function.__closure__ or (), strict=True))
        self.names = dict.fromkeys((*code.co_names, *code.co_freevars))

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def get(self, name: str, default: Any = None) -> Any:
        if name not in self.cells:
            return self.module.get(name, default)
        try:
            return self.cells[name].cell_contents
        except ValueError:  # no value yet
            return default

    def __setitem__(self, name: str, value: Any) -> None:
        if name in self.cells:
            self.cells[name].cell_contents = value
        else:
            self.module[name] = value


def roots_of(function: Any) -> Iterator[Any]:
    """Yield the object that a function is a method of, or what it takes from around it."""
    while isinstance(function, functools.partial):
        function = function.func
    owner = getattr(function, "__self__", None)
    module: Any = function if is_module(function) else owner
    if is_module(module):
        yield from module.modules()
    elif owner is not None and not isinstance(owner, types.ModuleType):
        yield owner
    elif not isinstance(function, CODE):
        yield function
    elif isinstance(function, types.FunctionType):
        around = Surroundings(function)
        yield around
        for value in map(around.get, around):
            if value is not None and not isinstance(value, (*PLAIN, *CODE)):
                yield value


@dataclass
class Kept:
    """The state that the functions keep, and what has been set of it.

    vectors: where gamma and beta are set. constants: what they are where they cannot be set.
    without_effect: those that do not change y. settings: the `bn_param` that forward was called
    with, given: the running statistics. saved: what to put back.
    """

    roots: list[Any] = field(default_factory=list)
    vectors: dict[str, list[Place]] = field(default_factory=dict)
    constants: dict[str, Float64Array] = field(default_factory=dict)
    without_effect: list[str] = field(default_factory=list)
    scalars: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)
    saved: dict[tuple[int, str], tuple[Place, Any, npt.NDArray[Any]]] = field(default_factory=dict)

    @staticmethod
    def of(*callables: Callable[..., Any]) -> Kept:
        """Return what functions keep."""
        found = {id(one): one for function in callables for one in roots_of(function)}
        return Kept(list(found.values()))

    @property
    def containers(self) -> list[Any]:
        """The objects, and the dicts in their attributes, which may be others after each call."""
        found = {id(root): root for root in self.roots}
        for root in self.roots:
            for value in () if isinstance(root, dict) else tuple(attributes_of(root).values()):
                if isinstance(value, dict):
                    found[id(value)] = value
        return list(found.values())

    def find(self, vector: str) -> list[Place]:
        """Return where gamma or beta is; the array in a parameter object."""
        result = []
        for place in places(self.containers, VECTORS[vector]):
            value = place.value()
            if place.array() is None or not isinstance(value, PLAIN):
                inner = [Place(value, name) for name in ("data", "value")]
                result += [p for p in inner if p.array() is not None] or [place]
            else:
                result.append(place)
        return [place for place in result if place.array() is not None]

    def save(self, place: Place) -> None:
        """Remember what to put back."""
        key = (id(place.container), place.name)
        if key not in self.saved:
            array = place.array()
            content = np.empty(0) if array is None else array.copy()
            self.saved[key] = (place, place.value(), content)

    def write(self, vector: str, values: Float64Array) -> Float64Array | None:
        """Set gamma or beta, and return it as it is now; None if it does not fit."""
        for place in self.vectors[vector]:
            self.save(place)
            if not place.write(values):
                return None
        return self.read(vector, len(values))

    def read(self, vector: str, channels: int) -> Float64Array | None:
        """Return gamma or beta as it is now, of shape (C,)."""
        array = self.vectors[vector][0].array()
        if array is None or array.size not in (1, channels):
            return None
        return to_float64(np.broadcast_to(array.reshape(-1), (channels,)))

    def is_exact(self, vector: str, channels: int) -> bool:
        """Whether each element of gamma or beta can be moved by a small step."""
        arrays = [place.array() for place in self.vectors.get(vector, ())]
        return bool(arrays) and all(
            array is not None and array.dtype == np.float64 and array.size == channels
            for array in arrays
        )

    def restore(self) -> None:
        """Put everything back."""
        for place, value, content in reversed(self.saved.values()):
            if place.value() is not value:
                place.put(value)
            array = place.array()
            if array is not None and array.flags.writeable and array.shape == content.shape:
                array[...] = content
        self.saved.clear()

    def prepare(self, vector: str, values: Float64Array) -> Float64Array | None:
        """Set gamma or beta if it is kept, and return what it is; None if it has another shape."""
        if vector in self.vectors:
            return self.write(vector, values)
        if vector in self.constants:
            constant = self.constants[vector]
            return constant if constant.shape == values.shape else None
        return np.full_like(values, 1.0 if vector == "gamma" else 0.0)

    # ---- gradients -------------------------------------------------------------------------------

    def gradient_places(self, output: str) -> list[Place]:
        """Return where the gradient of gamma or beta may be left."""
        vector = output.removesuffix("_delta")
        found = places(self.containers, GRADIENTS[output])
        for container in self.containers:
            if not isinstance(container, dict):
                continue
            found += [Place(c, n) for c, n in items_of_gradients(container, self, vector)]
        parameters = [place.value() for place in places(self.containers, VECTORS[vector])]
        found += [
            Place(value, "grad") for value in parameters if not isinstance(value, (*PLAIN, dict))
        ]
        return found

    def clear_gradients(self, outputs: Iterable[str]) -> None:
        """Set gradients to zero, so that those that are added up start there."""
        for output in outputs:
            for place in self.gradient_places(output):
                array = place.array()
                if array is None and place.name == "grad" and is_tensor(place.container):
                    self.save(place)
                elif array is not None and array.dtype.kind == "f" and array.flags.writeable:
                    self.save(place)
                    if isinstance(place.value(), (int, float, np.generic)):
                        place.put(0.0)
                    else:
                        array[...] = 0

    def gradient(self, output: str, channels: int) -> npt.NDArray[Any] | None:
        """Return the gradient that backward has left, None if it has left none."""
        for place in self.gradient_places(output):
            array = place.array()
            if array is not None and array.size == channels and array.any():
                copy: npt.NDArray[Any] = array.copy()
                return copy
        return None

    # ---- running statistics ----------------------------------------------------------------------

    def running_places(self) -> dict[str, Place]:
        """Return where running statistics are, by their names: in a layer, settings, arguments."""
        found: dict[str, Place] = {}
        for place in places(
            [*self.containers, self.settings, self.given], RUNNING_MEAN + RUNNING_VARIANCE
        ):
            if place.array() is not None:
                found.setdefault(place.name, place)
        return found

    def save_running_statistics(self) -> None:
        """Remember those of a layer, which forward updates with each call."""
        for place in self.running_places().values():
            self.save(place)

    def running_statistics(self) -> dict[str, npt.NDArray[Any]]:
        """Return them by the names of their places."""
        arrays = {name: place.array() for name, place in self.running_places().items()}
        return {name: array for name, array in arrays.items() if array is not None}


def items_of_gradients(
    container: dict[Any, Any], kept: Kept, vector: str
) -> list[tuple[dict[Any, Any], str]]:
    """Return gamma's or beta's item of a dict that an attribute like `grads` refers to."""
    named = {id(place.value()) for place in places(kept.containers, ("grads", "grad", "gradients"))}
    if id(container) not in named:
        return []
    return [(container, name) for name in names_in(container) if plain(name) in VECTORS[vector]]


def gradients_by_name(returned: dict[Any, Any]) -> dict[str, Any]:
    """Return the gradients in a dict, by the names of the outputs."""
    spellings: dict[str, tuple[str, ...]] = {"input_delta": INPUT_GRADIENTS}
    spellings |= {
        output: (*names, *RESULTS[output], *VECTORS[output.removesuffix("_delta")])
        for output, names in GRADIENTS.items()
    }
    found = {}
    for output, names in spellings.items():
        for place in places([returned], names)[:1]:
            found[output] = place.value()
    return found
