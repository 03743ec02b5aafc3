"""Models of ONNX, checked and run by onnxruntime, or by ONNX' own evaluator."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np
import pytest

from ..kernel.real_types import REAL_TYPES, Array

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
reference = pytest.importorskip("onnx.reference")

#: The type that onnxruntime and numpy know under different names.
BF16 = np.dtype(REAL_TYPES["bf16"].dtype)


def run(model: Any, arguments: list[Array]) -> list[Array]:
    """The results of a checked model by onnxruntime."""
    onnx.checker.check_model(model, full_check=True)
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    binding = session.io_binding()
    for value, array in zip(model.graph.input, arguments, strict=True):
        binding.bind_ortvalue_input(value.name, lent(array, value.type.tensor_type.elem_type))
    for value in model.graph.output:
        binding.bind_output(value.name)
    session.run_with_iobinding(binding)
    return [
        received(value, result.type.tensor_type.elem_type)
        for value, result in zip(binding.get_outputs(), model.graph.output, strict=True)
    ]


def run_reference(model: Any, arguments: list[Array]) -> list[Array]:
    """The results of a checked model by ONNX' own evaluator."""
    onnx.checker.check_model(model, full_check=True)
    names = [value.name for value in model.graph.input]
    evaluator = reference.ReferenceEvaluator(model)
    with np.errstate(divide="ignore"):
        results: list[Array] = evaluator.run(None, dict(zip(names, arguments, strict=True)))
    return results


def lent(array: Array, element_type: int) -> Any:
    array = np.ascontiguousarray(array).reshape(array.shape)
    if array.dtype == BF16:
        return runtime.OrtValue.ortvalue_from_numpy_with_onnx_type(
            array.view(np.uint16), element_type
        )
    return runtime.OrtValue.ortvalue_from_numpy(array)


def received(value: Any, element_type: int) -> Array:
    if element_type == onnx.TensorProto.BFLOAT16:
        # No way of handing it out knows this type; but its memory is there.
        count = math.prod(value.shape())
        data = ctypes.string_at(value.data_ptr(), 2 * count) if count else b""
        return np.frombuffer(data, BF16).reshape(value.shape())
    array: Array = value.numpy()
    return array
