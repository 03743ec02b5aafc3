"""An ONNX model as a function: run by onnxruntime or, without it, by onnx's reference evaluator."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from normgraph.check.accuracy import Format
from normgraph.verification.values import text_of

from .calls import known_quantity
from .cases import FORMATS, Case
from .frameworks import MissingFrameworkError
from .threads import ThreadControl

#: The inputs of BatchNormalization, and names that exporters give.
OF_OPERATOR = ("x", "gamma", "beta", "mean", "variance")
NAMES = {"b": "beta", "input_mean": "mean", "input_var": "variance", "s": "gamma"}

RUNTIMES = ("onnxruntime", "onnx.reference")

#: Numbers of onnx's element types.
FORMAT_OF_ONNX = {1: FORMATS["f32"], 10: FORMATS["f16"], 11: FORMATS["f64"], 16: FORMATS["bf16"]}

Run = Callable[[Mapping[str, npt.NDArray[Any]]], list[Any]]


class ModelError(ValueError):
    """The model cannot be tried; the message says why."""


class OnnxFunction:
    """A model with one output or more, of which the first is y, or input_delta.

    Constants that stand for gamma, beta, mean or variance become inputs. role, arguments, outputs,
    epsilon: as `conformance` has them.
    """

    framework = "numpy"

    def __init__(self, model: Any, runtime: str | None = None) -> None:
        onnx = require_onnx()
        if isinstance(model, (str, Path)):
            try:
                model = onnx.load(str(model))
            except OSError as error:
                raise ModelError(f"{model}: cannot be read: {error.strerror}") from error
            except Exception as error:
                raise ModelError(f"{model}: is no ONNX model: {text_of(error)}") from error
        self.model = onnx.ModelProto.FromString(model.SerializeToString())
        self.inputs = self._inputs(onnx)
        self.arguments = tuple(self.inputs)
        is_training = any(
            attribute.name == "training_mode" and attribute.i
            for node in self._normalizations()
            for attribute in node.attribute
        )
        given = {"mean", "variance"} & {*self.arguments}
        self.role = "backward" if "delta" in self.inputs else "inference" if given else "training"
        if is_training:
            # The operator's running mean and variance are read there, and no output depends on it.
            self.role = "training"
        names = [output.name for output in self.model.graph.output]
        first = "input_delta" if self.role == "backward" else "normalized"
        self.outputs = (first, *names[1:])
        self.epsilon = self._epsilon()
        self.runtime = chosen_runtime(runtime)
        self.run = runner(self.model, self.runtime)
        self.thread_control = (
            ThreadControl(self.with_threads)
            if self.runtime == "onnxruntime"
            else ThreadControl(reason="onnx.reference has no number of threads to set")
        )

    def _normalizations(self) -> list[Any]:
        return [node for node in self.model.graph.node if node.op_type == "BatchNormalization"]

    def _epsilon(self) -> float:
        for node in self._normalizations():
            for attribute in node.attribute:
                if attribute.name == "epsilon":
                    return float(attribute.f)
        return float(np.float32(1e-5))

    def _inputs(self, onnx: Any) -> dict[str, Any]:
        """Return the inputs by what they stand for; raise ModelError for one that is not known."""
        graph = self.model.graph
        nodes = self._normalizations()
        operands = nodes[0].input if len(nodes) == 1 else ()
        stands_for = dict(zip(operands, OF_OPERATOR, strict=False))
        listed = {value.name for value in graph.input}
        for constant in list(graph.initializer):
            if constant.name in stands_for:
                if constant.name not in listed:
                    shape = [None] * len(constant.dims)
                    made = onnx.helper.make_tensor_value_info
                    graph.input.append(made(constant.name, constant.data_type, shape))
                graph.initializer.remove(constant)
        constants = {constant.name for constant in graph.initializer}
        found = {}
        for value in graph.input:
            if value.name in constants:
                continue
            quantity = (
                stands_for.get(value.name)
                or NAMES.get(value.name.lower())
                or known_quantity(value.name)
            )
            if quantity is None or quantity in found:
                raise ModelError(
                    f"model: expected inputs that stand for x, gamma, beta, mean, variance or "
                    f"delta, got {', '.join(v.name for v in graph.input)}"
                )
            found[quantity] = value
        if "x" not in found:
            raise ModelError("model: expected an input x, got none")
        return found

    def format_of(self, quantity: str) -> Format | None:
        """Return the type of an input, None if it is none of floating-point numbers."""
        return FORMAT_OF_ONNX.get(self.inputs[quantity].type.tensor_type.elem_type)

    def reason_to_leave_out(self, case: Case) -> str | None:
        """Tell why a case does not fit the model's types and shapes, None if it does."""
        for quantity in self.inputs:
            values = case.inputs.get(quantity)
            if values is None:
                # An operator in training mode has inputs that it does not use.
                values = case.inputs["gamma"]
            wanted, came = self.format_of(quantity), case.format_of(quantity)
            if wanted is not came:
                name = "another type" if wanted is None else wanted.name
                return f"the model's {quantity} is {name}"
            dims = self.inputs[quantity].type.tensor_type.shape.dim
            has_shape = self.inputs[quantity].type.tensor_type.HasField("shape")
            fits = len(dims) == values.ndim and all(
                not dim.HasField("dim_value") or dim.dim_value == length
                for dim, length in zip(dims, values.shape, strict=False)
            )
            if has_shape and not fits:
                return f"the model's {quantity} has another shape"
        return None

    @contextlib.contextmanager
    def with_threads(self, count: int) -> Iterator[None]:
        """Let onnxruntime work with a number of threads."""
        before = self.run
        self.run = runner(self.model, self.runtime, count)
        try:
            yield
        finally:
            self.run = before

    def __call__(self, *arrays: npt.NDArray[Any]) -> tuple[Any, ...]:
        given = zip(self.inputs.values(), arrays, strict=True)
        return tuple(self.run({value.name: np.ascontiguousarray(array) for value, array in given}))


def require_onnx() -> Any:
    """Import onnx; raise MissingFrameworkError that names the extra."""
    try:
        import onnx
    except ImportError as error:
        raise MissingFrameworkError(
            "a model needs onnx, which cannot be imported here; the extra 'onnx' brings it: "
            "python -m pip install 'normgraph[onnx]'"
        ) from error
    return onnx


def chosen_runtime(runtime: str | None) -> str:
    """Return what runs models: what is asked for, or else onnxruntime if it is there.

    Raises MissingFrameworkError for onnxruntime that is asked for and is not there.
    """
    if runtime == "onnx.reference":
        return runtime
    try:
        importlib.import_module("onnxruntime")
    except ImportError as error:
        if runtime is None:
            return "onnx.reference"
        raise MissingFrameworkError(
            "runtime 'onnxruntime' cannot be imported here: python -m pip install onnxruntime"
        ) from error
    return "onnxruntime"


def runner(model: Any, runtime: str, threads: int = 0) -> Run:
    """Return what runs a model; threads: of onnxruntime within an operator, 0 for its default."""
    if runtime == "onnx.reference":
        from onnx.reference import ReferenceEvaluator

        evaluator = ReferenceEvaluator(model)
        return lambda arrays: list(evaluator.run(None, dict(arrays)))
    onnxruntime = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    # Nothing is rewritten: what is tried is the operator.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    providers = ["CPUExecutionProvider"]
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=providers
        )
    except Exception as error:
        raise ModelError(f"model: onnxruntime refuses it: {text_of(error)}") from error
    return lambda arrays: list(session.run(None, dict(arrays)))
