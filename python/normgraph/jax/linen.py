"""Flax's layer of batch normalization in normgraph's kernels; it needs the package flax."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen
from flax.linen.dtypes import canonicalize_dtype

from . import functional, masks

_upper_bounds = {"relu": None, "relu6": 6.0}


class BatchNorm(linen.BatchNorm):
    """flax.linen.BatchNorm, with an activation if wanted: None, "relu" or "relu6".

    Fields, parameters (`scale`, `bias`) and state (`mean`, `var` in `batch_stats`) are Flax's, so
    that the variables of one serve for the other. Statistics are exact whatever `use_fast_variance`
    and `force_float32_reductions` say. With `axis_name`, an axis of the mesh within shard_map, they
    are those of all shards.

    Raises ValueError for several axes, axis_index_groups, another activation, and a mask that tells
    elements, not positions.
    """

    activation: str | None = None

    @linen.compact
    def __call__(
        self, x: Any, use_running_average: bool | None = None, *, mask: Any = None
    ) -> jax.Array:
        """The normalized x, in its shape; training updates the state, initialization does not."""
        axis = self._checked_axis()
        is_evaluation = linen.merge_param(
            "use_running_average", self.use_running_average, use_running_average
        )
        x = jnp.asarray(x)
        channels = (x.shape[axis],)
        statistic_type = jnp.float32 if self.force_float32_reductions else self.param_dtype
        state = [
            self.variable("batch_stats", name, make, channels, statistic_type)
            for name, make in (("mean", jnp.zeros), ("var", jnp.ones))
        ]
        scale, bias = (
            self.param(name, make, channels, self.param_dtype) if is_used else None
            for name, make, is_used in (
                ("scale", self.scale_init, self.use_scale),
                ("bias", self.bias_init, self.use_bias),
            )
        )
        dtype = canonicalize_dtype(x, scale, bias, dtype=self.dtype)
        x = x.astype(jnp.promote_types(x.dtype, dtype))
        scale, bias = (_beside(x, vector) for vector in (scale, bias))
        options: dict[str, Any] = {"epsilon": self.epsilon, "channel_axis": axis}
        relu = "" if self.activation is None else "_relu"
        if self.activation is not None:
            options["upper_bound"] = _upper_bounds[self.activation]
        if is_evaluation:
            function = getattr(functional, f"batch_norm_inference{relu}")
            given = (_statistic_beside(x, variable.value) for variable in state)
            output: jax.Array = function(x, scale, bias, *given, **options)
            return output.astype(dtype)
        is_initializing = self.is_initializing()
        function = getattr(functional, f"batch_norm_training{relu}")
        options["axis_name"] = None if is_initializing else self.axis_name
        options["where"] = None if mask is None else masks.of_elements(mask, x, axis)
        output, *statistics = function(x, scale, bias, **options)
        if not is_initializing:
            for variable, statistic in zip(state, statistics, strict=True):
                old = self.momentum * variable.value
                variable.value = old + (1 - self.momentum) * statistic.astype(old.dtype)
        return output.astype(dtype)

    def _checked_axis(self) -> int:
        if not isinstance(self.axis, int):
            raise ValueError(f"axis: expected one axis, an integer, got {self.axis!r}")
        if self.axis_index_groups is not None:
            raise ValueError(f"axis_index_groups: expected None, got {self.axis_index_groups!r}")
        if self.activation is not None and self.activation not in _upper_bounds:
            raise ValueError(f"activation: expected None, relu or relu6, got {self.activation!r}")
        return self.axis


def _beside(x: jax.Array, vector: Any) -> Any:
    """Gamma or beta in a type that x may have beside it: its own, or float32 beside 16 bits."""
    wanted = jnp.promote_types(x.dtype, jnp.float32)
    return vector if vector is None or vector.dtype == x.dtype else vector.astype(wanted)


def _statistic_beside(x: jax.Array, vector: jax.Array) -> jax.Array:
    return vector.astype(jnp.promote_types(x.dtype, jnp.float32))
