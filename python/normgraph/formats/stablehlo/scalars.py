"""Values of StableHLO all of whose elements are one number that is known without running anything.

They say what a reader must know to recognise an op: the number that is compared with, the number of
elements that a sum is divided by, and which side a condition that is constant selects. Numbers are
rounded as the program would round them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from ..._core import element
from ..attributes import ELEMENT_TYPES
from .program import Elements, Operation

#: An array of numpy without axes.
Number: TypeAlias = Any

COMPARISONS: dict[str, Callable[[Number, Number], Number]] = {
    "EQ": np.equal,
    "NE": np.not_equal,
    "GE": np.greater_equal,
    "GT": np.greater,
    "LE": np.less_equal,
    "LT": np.less,
}
ARITHMETIC: dict[str, Callable[..., Number]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "negate": np.negative,
    "divide": np.divide,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "not": np.invert,
}
#: Those that give one and the same element again.
COPIES = {"broadcast_in_dim", "dynamic_broadcast_in_dim", "reshape"}


def number_of_constant(elements: Elements, type_name: str) -> Number | None:
    """The number that all elements of a constant are."""
    if not (elements.is_splat or elements.bits.size == 1):
        return None
    return elements.bits[:1].view(dtype_of(type_name)).reshape(())


def dtype_of(type_name: str) -> Any:
    """The dtype of numpy, or of ml_dtypes, which jaxlib needs as well."""
    return np.dtype(ELEMENT_TYPES[type_name].dtype)


def folded(operation: Operation) -> Number | None:
    """The number that all elements of the only result are, None if that is not known."""
    name = operation.name.removeprefix("stablehlo.")
    type_name = operation.results[0].type.element
    known = [value.number for value in operation.operands]
    if type_name is None or not known:
        return None
    if name in COPIES:
        return known[0]
    if any(number is None for number in known):
        return None
    dtype = dtype_of(type_name)
    with np.errstate(all="ignore"):
        if name == "convert":
            return converted(known[0], dtype)
        if name == "compare" and operation.attributes.get("compare_type") != "TOTALORDER":
            compare = COMPARISONS[operation.attributes["comparison_direction"]]
            return np.asarray(compare(*known))
        if name == "divide" and not ELEMENT_TYPES[type_name].is_real:
            return None
        if name in ARITHMETIC:
            return np.asarray(ARITHMETIC[name](*known), dtype)
    return None


def converted(number: Number, dtype: Any) -> Number | None:
    """A number in another type, None where StableHLO leaves open what becomes of it."""
    if dtype == element.boolean.dtype:
        return np.asarray(number != 0)
    if number.dtype.kind in "iub" or dtype.kind not in "iu":
        return np.asarray(number.astype(dtype))
    limits = np.iinfo(dtype)
    if not limits.min <= float(number) <= limits.max:
        return None
    return np.asarray(number.astype(dtype))
