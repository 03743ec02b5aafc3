"""Texts of StableHLO, checked by the real dialect and run by XLA on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ..kernel.real_types import Array

jax = pytest.importorskip("jax")
backend = pytest.importorskip("jax.extend.backend")
mlir = pytest.importorskip("jax._src.interpreters.mlir")
ir = pytest.importorskip("jaxlib.mlir.ir")
_jax = pytest.importorskip("jaxlib._jax")


def parsed(text: str) -> Any:
    """The module, parsed and verified."""
    with mlir.make_ir_context():
        module = ir.Module.parse(text)
        assert module.operation.verify()
        return module


def run(text: str, arguments: list[Array]) -> list[Array]:
    """The results of @main."""
    client = backend.get_backend("cpu")
    devices = client.devices()[:1]
    options = _jax.CompileOptions()
    # Else XLA drops pairs of conversions to 16 bits and back, each of which is a rounding.
    options.env_option_overrides = [("xla_allow_excess_precision", False)]
    program = client.compile_and_load(parsed(text), _jax.DeviceList(tuple(devices)), options)
    with jax.enable_x64(True):
        buffers = [jax.device_put(array, devices[0]) for array in arguments]
        shards = program.execute_sharded(buffers).disassemble_into_single_device_arrays()
        return [np.asarray(shard[0]) for shard in shards]
