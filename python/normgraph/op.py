"""The op classes: nodes that check their inputs and infer what they put out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _core

if TYPE_CHECKING:
    from ._core.op import *  # noqa: F403

__all__ = ["BatchNormNode"]  # noqa: F405
__all__ += _core.op.__all__

globals().update({name: getattr(_core.op, name) for name in __all__})
