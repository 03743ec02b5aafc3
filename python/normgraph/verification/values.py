"""Values of any kind, read as numbers or refused with what they are."""

from __future__ import annotations

import math
import numbers
import operator
from typing import Any

import numpy as np
import numpy.typing as npt

from normgraph.definition import Float64Array

#: Characters of a repr or of another library's message that an error quotes.
QUOTED = 200


class UnreadableError(TypeError):
    """A value that is no array of real numbers; the message says what it is."""


def real_array(value: Any) -> npt.NDArray[Any]:
    """Return a value as an array of real numbers, in its own type.

    Raises UnreadableError for anything else: what numpy cannot read, complex numbers, objects, and
    masked arrays, whose mask `numpy.asarray` would drop.
    """
    name = type(value).__name__
    if isinstance(value, np.ma.MaskedArray):
        raise UnreadableError(f"{name}, whose mask would be ignored")
    try:
        array = np.asarray(value)
    except MemoryError:
        raise
    except Exception as error:
        is_sequence = isinstance(value, (list, tuple))
        reason = "" if is_sequence else f" ({type(error).__name__}: {text_of(error)})"
        raise UnreadableError(f"{name}{reason}") from error
    # ml_dtypes registers bfloat16 under the kind of structures.
    if array.dtype.kind in "fiu" or array.dtype.name == "bfloat16":
        return array
    raise UnreadableError(f"{name} of {array.dtype}" if array.ndim else name)


def shape_or_kind(value: Any) -> str:
    """Say in a few words what came."""
    try:
        return f"an array of shape {real_array(value).shape}"
    except UnreadableError as error:
        return str(error)


def text_of(error: BaseException) -> str:
    """Return an exception's message, shortened, on one line."""
    try:
        text = " ".join(str(error).split())
    except Exception:
        return "(its message cannot be read)"
    return text if len(text) <= QUOTED else text[: QUOTED - 1] + "…"


def described(value: Any) -> str:
    """`1.5 of type float`, as errors say what came."""
    try:
        text = repr(value)
    except Exception:
        text = "an object"
    text = " ".join(text.split())
    text = text if len(text) <= QUOTED else text[: QUOTED - 1] + "…"
    return f"{text} of type {type(value).__name__}"


def float_of(name: str, value: Any) -> float:
    """Return an argument that is a real number; raise TypeError or ValueError naming it."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name}: expected a real number, got {described(value)}")
    try:
        return float(value)
    except OverflowError:
        return math.inf


def integer_of(name: str, value: Any) -> int:
    """Return an argument that is an integer; raise TypeError naming it."""
    if not isinstance(value, (bool, np.bool_)):
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise TypeError(f"{name}: expected an integer, got {described(value)}")


def bool_of(name: str, value: Any) -> bool:
    """Return an argument that is True or False; raise TypeError naming it."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise TypeError(f"{name}: expected True or False, got {described(value)}")


def is_finite(array: npt.NDArray[Any]) -> bool:
    """Whether all elements are finite; one temporary value for each element at most."""
    return array.dtype.kind in "iu" or bool(np.isfinite(array).all())


#: So few elements are compared sooner as bytes than by numpy's functions.
SMALL = 1000


def same_bits(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> bool:
    """Whether two arrays have the same shape, type and bits."""
    if (one.shape, one.dtype) != (other.shape, other.dtype):
        return False
    if one.dtype == np.float64 and one.size > SMALL:
        bits, others = (np.ascontiguousarray(array).view(np.uint64) for array in (one, other))
        return bool(np.array_equal(bits, others))
    if one.dtype.kind == "f" and one.dtype.itemsize > 8:  # whose bytes have gaps
        return bool(np.array_equal(one, other, equal_nan=True))
    return one.tobytes() == other.tobytes()


def smallest_normal(dtype: np.dtype[Any]) -> float:
    """Return the smallest normal number of the type that arithmetic of `dtype` is done in.

    Half the distance of two numbers below it is unit_roundoff times this.
    """
    if dtype.name == "bfloat16":
        return 2.0**-126
    return float(np.finfo(dtype if dtype.kind == "f" else np.float64).smallest_normal)


def unit_roundoff(array: npt.NDArray[Any]) -> float:
    """Return the relative error of one rounding to the array's type; integers count as float64."""
    if array.dtype.name == "bfloat16":
        return 2.0**-8
    dtype = array.dtype if array.dtype.kind == "f" else np.dtype(np.float64)
    return max(float(np.finfo(dtype).eps) / 2, 2.0**-53)


def to_float64(array: npt.NDArray[Any]) -> Float64Array:
    """Copy to float64; what is too large for it becomes infinite."""
    with np.errstate(over="ignore"):
        return array.astype(np.float64)
