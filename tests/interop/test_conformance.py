"""The conformance kit on functions of torch and JAX, and on ONNX models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import normgraph as ng
from normgraph.conform import MissingFrameworkError, ModelError
from normgraph.conform.frameworks import framework_of

pytestmark = pytest.mark.interop

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
onnx = pytest.importorskip("onnx")
jnp = jax.numpy


def conformance(function: Any, *arguments: Any, **options: Any) -> ng.Conformance:
    return ng.conformance(function, *arguments, **{"order": False, "skip": ["huge"], **options})


# ---- torch ---------------------------------------------------------------------------------------


def torch_forward(x: Any, gamma: Any, beta: Any, eps: float) -> Any:
    return torch.ops.aten.native_batch_norm(x, gamma, beta, None, None, True, 0.1, eps)[:2]


def torch_backward(x: Any, gamma: Any, mean: Any, variance: Any, delta: Any, eps: float) -> Any:
    return torch.ops.aten.native_batch_norm_backward(
        *(delta, x, gamma, None, None, mean, torch.rsqrt(variance + eps)),
        *(True, eps, [True, True, True]),
    )


def torch_unbiased(x: Any, gamma: Any, beta: Any, eps: float) -> Any:
    axes = [axis for axis in range(x.dim()) if axis != 1]
    shape = [1, -1] + [1] * (x.dim() - 2)
    mean, var = x.mean(axes, keepdim=True), x.var(axes, keepdim=True)
    return (x - mean) * (var + eps).rsqrt() * gamma.reshape(shape) + beta.reshape(shape)


def test_torch_conforms_where_it_does_not_raise_or_overflow() -> None:
    result = conformance(torch_forward, outputs=["normalized", "mean"])
    assert result, str(result)
    assert {one.case.split("-")[1] for one in result.results} == {"f64", "f32", "bf16", "f16"}
    # native_batch_norm_backward ends the process on an empty batch.
    result = conformance(torch_backward, skip=["no_elements"])
    assert result, str(result)


def test_torch_overflows_in_float() -> None:
    result = conformance(torch_forward, skip=[], dtypes=["f32"])
    assert result.mistakes == ("overflow",)


def test_a_mistake_in_torch_is_named() -> None:
    result = conformance(torch_unbiased, dtypes=["f64", "f32"], skip=["huge", "count_1"])
    assert result.mistakes == ("unbiased_variance",)


def test_torch_inference_with_named_arguments() -> None:
    names = ["x", "mean", "variance", "gamma", "beta"]
    result = conformance(torch.nn.functional.batch_norm, "inference", arguments=names)
    assert result, str(result)


def test_autograd_is_judged_at_the_statistics_of_the_batch() -> None:
    def gradients(x: Any, gamma: Any, beta: Any, delta: Any, eps: float) -> Any:
        leaves = [one.detach().requires_grad_() for one in (x, gamma, beta)]
        y = torch.nn.functional.batch_norm(leaves[0], None, None, *leaves[1:], True, 0.1, eps)
        return torch.autograd.grad(y, leaves, delta)

    result = conformance(gradients, skip=["no_elements", "count_1", "no_epsilon", "huge"])
    assert result, str(result)


def test_the_order_of_torch_depends_on_threads() -> None:
    order = ng.summation_order(torch.sum, 256)
    assert order.kind == "lanes"
    assert order.depends_on_threads is True
    assert "split over threads" in str(order)
    before = torch.get_num_threads()
    result = ng.conformance(torch_backward, dtypes=["f32"], skip=["no_elements", "huge"])
    assert torch.get_num_threads() == before
    (order,) = result.order.values()
    assert (order.accumulator, order.depends_on_threads) == ("f32", True)


# ---- JAX -----------------------------------------------------------------------------------------


def jax_forward(x: Any, gamma: Any, beta: Any, eps: float, channel_axis: int) -> Any:
    axes = tuple(axis for axis in range(x.ndim) if axis != channel_axis)
    shape = [-1 if axis == channel_axis else 1 for axis in range(x.ndim)]
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    mean = wide.mean(axes, keepdims=True)
    var = jnp.square(wide - mean).mean(axes, keepdims=True)
    y = (wide - mean) * (gamma.reshape(shape) / jnp.sqrt(var + eps)) + beta.reshape(shape)
    return y.astype(x.dtype)


def jax_unshifted(x: Any, gamma: Any, beta: Any, eps: float, channel_axis: int) -> Any:
    axes = tuple(axis for axis in range(x.ndim) if axis != channel_axis)
    shape = [-1 if axis == channel_axis else 1 for axis in range(x.ndim)]
    mean = x.mean(axes, keepdims=True)
    var = jnp.maximum(jnp.square(x).mean(axes, keepdims=True) - jnp.square(mean), 0)
    return (x - mean) / jnp.sqrt(var + eps) * gamma.reshape(shape) + beta.reshape(shape)


def test_jax_conforms() -> None:
    result = conformance(jax_forward, dtypes=["f64", "f32", "bf16"])
    assert result, str(result)
    assert not jax.config.jax_enable_x64


def test_a_mistake_in_jax_is_named() -> None:
    result = conformance(jax_unshifted, dtypes=["f64", "f32"])
    assert result.mistakes == ("unshifted_variance",)


def test_jax_sums_in_blocks_of_32() -> None:
    order = ng.summation_order(jnp.sum, 256)
    assert order.words == "blocks of 32 (sequential), sequential"
    assert order.accumulator == "f32"


def test_the_framework_is_told_by_the_code() -> None:
    assert framework_of(torch_forward) == framework_of(torch.sum) == "torch"
    assert framework_of(torch.nn.ReLU()) == "torch"
    assert framework_of(jax_forward) == framework_of(jax.jit(jax_forward)) == "jax"
    assert framework_of(jnp.sum) == "jax"
    assert framework_of(np.sum) == "numpy"


# ---- ONNX ----------------------------------------------------------------------------------------


def model(training: bool, element_type: int = 1, epsilon: float = 1e-3, **constants: Any) -> Any:
    make = onnx.helper
    names = ("X", "scale", "B", "mean_in", "var_in")
    outputs = ["Y", "rm", "rv"] if training else ["Y"]
    node = make.make_node(
        "BatchNormalization", names, outputs, epsilon=epsilon, training_mode=int(training)
    )
    shapes = {"X": None}
    inputs = [
        make.make_tensor_value_info(name, element_type, shapes.get(name, ["C"]))
        for name in names
        if name not in constants
    ]
    graph = make.make_graph(
        [node], "g", inputs, [make.make_tensor_value_info(o, element_type, None) for o in outputs],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )  # fmt: skip
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 15)], ir_version=8)


@pytest.mark.parametrize("runtime", ["onnxruntime", "onnx.reference"])
@pytest.mark.parametrize("training", [False, True])
def test_models_conform(training: bool, runtime: str) -> None:
    pytest.importorskip("onnxruntime")
    result = conformance(model(training), runtime=runtime)
    assert result, str(result)
    assert result.role == ("training" if training else "inference")
    assert {one.case.split("-")[1] for one in result.results} == {"f32"}


def test_constants_become_inputs(tmp_path: Path) -> None:
    ones = np.ones(4, np.float32)
    onnx.save(model(False, scale=ones, B=ones, mean_in=ones, var_in=ones), tmp_path / "m.onnx")
    result = conformance(tmp_path / "m.onnx")
    assert result, str(result)
    assert len(result.results) > 10


def written_out(forgotten: str) -> Any:
    """Inference of matrices in primitive operators, one of which may be left out."""
    make = onnx.helper
    nodes = [
        ("Sub", ["x", "mean"], "centered"),
        ("Add", ["variance", "eps"], "shifted"),
        ("Sqrt", ["shifted"], "deviation"),
        ("Div", ["centered", "deviation"], "x_hat"),
        ("Mul", ["x_hat", "gamma"], "scaled"),
        ("Add", ["scaled", "beta"], "y"),
    ]
    made = [
        make.make_node("Identity" if output == forgotten else kind, inputs[:1], [output])
        if output == forgotten
        else make.make_node(kind, inputs, [output])
        for kind, inputs, output in nodes
    ]
    names = ("x", "gamma", "beta", "mean", "variance")
    inputs = [
        make.make_tensor_value_info(name, 1, ["N", "C"] if name == "x" else ["C"]) for name in names
    ]
    eps = onnx.numpy_helper.from_array(np.float32(1e-5), "eps")
    graph = make.make_graph(made, "g", inputs, [make.make_tensor_value_info("y", 1, None)], [eps])
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 15)], ir_version=8)


@pytest.mark.parametrize(
    ("forgotten", "mistake"),
    [
        ("", None),
        ("deviation", "variance_not_rooted"),
        ("shifted", "epsilon_missing"),
        ("centered", "not_centered"),
        ("scaled", "gamma_missing"),
        ("y", "beta_missing"),
    ],
)
def test_mistakes_in_models_are_named(forgotten: str, mistake: str | None) -> None:
    result = conformance(written_out(forgotten))
    assert result.mistakes == (() if mistake is None else (mistake,)), str(result)


def test_models_that_cannot_be_tried_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read: No such file"):
        ng.conformance(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"text\.onnx: is no ONNX model"):
        ng.conformance(tmp_path / "text.onnx")
    make = onnx.helper
    value = make.make_tensor_value_info
    graph = make.make_graph(
        [make.make_node("Relu", ["input1"], ["y"])], "g",
        [value("input1", 1, None)], [value("y", 1, None)],
    )  # fmt: skip
    other = make.make_model(graph, opset_imports=[make.make_opsetid("", 15)], ir_version=8)
    with pytest.raises(ModelError, match=r"expected inputs that stand for x, gamma.*got input1"):
        ng.conformance(other)
    with pytest.raises(ValueError, match=r"runtime: expected one of onnxruntime, onnx\.reference"):
        ng.conformance(model(False), runtime="tflite")
    assert issubclass(MissingFrameworkError, ImportError)


# ---- threads -------------------------------------------------------------------------------------


def sums_model() -> Any:
    """A backward function of which beta_delta alone is right."""
    make = onnx.helper
    value = make.make_tensor_value_info
    graph = make.make_graph(
        [
            make.make_node("Identity", ["delta"], ["input_delta"]),
            make.make_node("ReduceSum", ["delta", "axes"], ["beta_delta"], keepdims=0),
        ],
        "g",
        [value(name, 1, ["N", "C"]) for name in ("x", "delta")],
        [value("input_delta", 1, None), value("beta_delta", 1, None)],
        [onnx.numpy_helper.from_array(np.array([0]), "axes")],
    )  # fmt: skip
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 15)], ir_version=8)


def test_onnxruntime_is_tried_with_one_and_two_threads() -> None:
    pytest.importorskip("onnxruntime")
    (order,) = ng.conformance(sums_model(), runtime="onnxruntime").order.values()
    assert order.depends_on_threads is not None, order.threads_unknown


def test_threads_that_cannot_be_set_are_told() -> None:
    result = ng.conformance(sums_model(), runtime="onnx.reference")
    assert "onnx.reference has no number of threads to set" in " ".join(str(result).split())
    order = ng.summation_order(jnp.sum, 64)
    assert order.depends_on_threads is None
    assert order.threads_unknown == "the threads of JAX cannot be changed within a process"


def test_torch_on_other_numbers_of_summands_is_not_looked_at() -> None:
    order = ng.summation_order(lambda x: torch.sum(x.reshape(8, 8)), 64)
    assert order.depends_on_threads is None
    assert order.threads_unknown.startswith("it raises with 200704 summands (RuntimeError")


# ---- what strangers write ------------------------------------------------------------------------


def test_classes_and_layers_that_keep_their_weights_are_refused() -> None:
    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, gamma: Any, beta: Any) -> Any:
            centered = x - x.mean(0)
            return centered / torch.sqrt(x.var(0, unbiased=False) + 1e-5) * gamma + beta

    with pytest.raises(TypeError, match="got the class Function; give its apply"):
        conformance(Function)
    names = ["x", "gamma", "beta"]
    assert conformance(Function.apply, arguments=names, framework="torch", dtypes=["f64"])
    with pytest.raises(TypeError, match=r"expected one that is given gamma and beta, got one of"):
        conformance(torch.nn.BatchNorm1d(4))


def test_static_arguments_of_jit_are_given() -> None:
    jitted = jax.jit(jax_forward, static_argnames=("eps", "channel_axis"))
    assert conformance(jitted, dtypes=["f32"])


def test_a_dropout_is_told_from_wrong_arithmetic() -> None:
    def dropping(x: Any, gamma: Any, beta: Any, eps: float) -> Any:
        return torch.nn.functional.dropout(torch_forward(x, gamma, beta, eps)[0])

    options: dict[str, Any] = {"dtypes": ["f64"], "skip": ["huge", "count_1", "constant"]}
    assert conformance(dropping, **options).mistakes[0] == "not_repeatable"
