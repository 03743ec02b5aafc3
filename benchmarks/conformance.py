"""Batch normalization of several libraries through the conformance kit, for the docs.

`python -m benchmarks.conformance` tries them, and writes docs/conformance/table.md. What is not
installed is left out.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import normgraph as ng
from benchmarks.peers.case_data import EPSILON
from benchmarks.peers.tables import markdown
from normgraph.conform.report import ulps_text

OUTPUT = Path(__file__).parents[1] / "docs" / "conformance" / "table.md"

FORWARD = ("normalized", "mean", "variance")


@dataclass(frozen=True)
class Subject:
    """A row of the table; options: of `ng.conformance`. remark: what its call does not show."""

    library: str
    what: str
    function: Any
    options: dict[str, Any] = field(default_factory=dict)
    remark: str = ""


def of_normgraph() -> Iterator[Subject]:
    """The kernels of this package."""
    version = f"normgraph {ng.__version__}"
    for role in ("training", "inference"):
        yield Subject(version, role, getattr(ng, f"batch_norm_{role}"))
    yield Subject(version, "backward", ng.batch_norm_training_backprop)


def of_numpy() -> Iterator[Subject]:
    """The definition, in two passes, and with the mean of squares; in the type of the data."""
    version = f"numpy {np.__version__}"

    def spread(x: Any, channel_axis: int, *vectors: Any) -> Any:
        shape = [-1 if axis == channel_axis else 1 for axis in range(x.ndim)]
        return (vector.reshape(shape) for vector in vectors)

    def axes(x: Any, channel_axis: int) -> tuple[int, ...]:
        return tuple(axis for axis in range(x.ndim) if axis != channel_axis)

    def two_passes(x: Any, gamma: Any, beta: Any, eps: float, channel_axis: int) -> Any:
        mean, var = x.mean(axes(x, channel_axis)), x.var(axes(x, channel_axis))
        m, v, g, b = spread(x, channel_axis, mean, var, gamma, beta)
        return (x - m) / np.sqrt(v + eps) * g + b, mean, var

    def mean_square(x: Any, gamma: Any, beta: Any, eps: float, channel_axis: int) -> Any:
        mean = x.mean(axes(x, channel_axis))
        var = np.maximum(np.square(x).mean(axes(x, channel_axis)) - np.square(mean), 0)
        m, v, g, b = spread(x, channel_axis, mean, var, gamma, beta)
        return (x - m) / np.sqrt(v + eps) * g + b, mean, var

    wide = {"outputs": FORWARD, "dtypes": ["f64", "f32"]}
    yield Subject(version, "training, two passes", two_passes, wide)
    yield Subject(version, "training, E[x²] − E[x]²", mean_square, wide)
    in_bf16 = {"outputs": ("normalized",), "dtypes": ["bf16"]}
    yield Subject(
        version, "training, two passes, bf16", lambda x, gamma, beta, eps, channel_axis:
        two_passes(x, gamma, beta, eps, channel_axis)[0], in_bf16,
    )  # fmt: skip


def of_torch() -> Iterator[Subject]:
    """The operators that its layers call."""
    torch = importlib.import_module("torch")
    version = f"torch {torch.__version__}"

    def training(x: Any, gamma: Any, beta: Any, eps: float) -> Any:
        return torch.ops.aten.native_batch_norm(x, gamma, beta, None, None, True, 0.1, eps)[:2]

    def backward(x: Any, gamma: Any, mean: Any, variance: Any, delta: Any, eps: float) -> Any:
        return torch.ops.aten.native_batch_norm_backward(
            *(delta, x, gamma, None, None, mean, torch.rsqrt(variance + eps)),
            *(True, eps, [True, True, True]),
        )

    def on_mkldnn(x: Any, gamma: Any, beta: Any) -> Any:
        y, mean, _ = torch.ops.aten.native_batch_norm(
            x.contiguous().to_mkldnn(), gamma, beta, None, None, True, 0.1, EPSILON
        )
        return y.to_dense(), mean.to_dense()

    names = ("x", "mean", "variance", "gamma", "beta")
    yield Subject(version, "training", training, {"outputs": FORWARD[:2]})
    yield Subject(
        version, "inference", torch.nn.functional.batch_norm,
        {"role": "inference", "arguments": names},
    )  # fmt: skip
    yield Subject(
        version, "backward", backward, {"skip": ["no_elements"]},
        "the process ends (SIGFPE) on a batch of no elements",
    )  # fmt: skip
    yield Subject(
        f"{version}, oneDNN", "training", on_mkldnn,
        {"outputs": FORWARD[:2], "dtypes": ["f32"], "framework": "torch"},
    )  # fmt: skip


def of_jax() -> Iterator[Subject]:
    """The definition and the closed form in float, compiled."""
    jax = importlib.import_module("jax")
    from benchmarks.peers.candidates import jax_jitted

    version, narrow = f"JAX {jax.__version__}", ["f32", "bf16", "f16"]

    def compiled(function: Callable[..., Any]) -> Any:
        return jax.jit(function, static_argnames="channel_axis")

    forward = {"framework": "jax", "dtypes": narrow, "outputs": FORWARD, "epsilon": EPSILON}
    yield Subject(version, "training", compiled(jax_jitted.forward), forward)
    backward = {"framework": "jax", "dtypes": narrow, "epsilon": EPSILON}
    yield Subject(version, "backward", compiled(jax_jitted.backward), backward)


def of_onnx() -> Iterator[Subject]:
    """BatchNormalization of opset 15."""
    onnx = importlib.import_module("onnx")
    onnxruntime = importlib.import_module("onnxruntime")
    versions = {
        "onnxruntime": f"onnxruntime {onnxruntime.__version__}",
        "onnx.reference": f"onnx.reference {onnx.__version__}",
    }
    make = onnx.helper
    for runtime, version in versions.items():
        for role in ("training", "inference"):
            outputs = ["Y", "mean_out", "var_out"] if role == "training" else ["Y"]
            names = ["X", "scale", "B", "mean_in", "var_in"]
            node = make.make_node(
                "BatchNormalization", names, outputs, training_mode=int(role == "training")
            )
            values = [make.make_tensor_value_info(name, 1, None) for name in (*names, *outputs)]
            graph = make.make_graph([node], role, values[:5], values[5:])
            opset = [make.make_opsetid("", 15)]
            model = make.make_model(graph, opset_imports=opset, ir_version=8)
            yield Subject(version, role, model, {"runtime": runtime})


def of_onednn() -> Iterator[Subject]:
    """Its primitive on matrices and images, channels first."""
    from benchmarks.peers.candidates.onednn_library import OneDnn

    try:
        library = OneDnn()
    except OSError as error:
        raise ImportError("libdnnl.so.3 is not installed") from error
    primitives: dict[Any, tuple[Any, Any]] = {}

    def training(x: Any, gamma: Any, beta: Any) -> Any:
        x = np.ascontiguousarray(x)
        element_type = "f32" if x.dtype == np.float32 else "bf16"
        key = (element_type, x.shape)
        if key not in primitives:
            strides = [stride // x.itemsize for stride in x.strides]
            tensor = library.descriptor(element_type, x.shape, strides)
            primitive = library.primitive(library.forward_descriptor(tensor, EPSILON))
            primitives[key] = (tensor, primitive)
        tensor, primitive = primitives[key]
        vector = library.descriptor("f32", [len(gamma)], [1])
        y, mean, variance = np.empty_like(x), np.empty_like(gamma), np.empty_like(gamma)
        vectors = {"mean": mean, "variance": variance, "scale": gamma, "shift": beta}
        memories = {name: library.memory(vector, values) for name, values in vectors.items()}
        memories |= {"source": library.memory(tensor, x), "result": library.memory(tensor, y)}
        library.execute(primitive, library.arguments(memories))
        return y, mean, variance

    options = {"outputs": FORWARD, "dtypes": ["f32", "bf16"], "epsilon": EPSILON}
    yield Subject(f"oneDNN {library.version()}", "training", training, options)


SOURCES = (of_normgraph, of_torch, of_onednn, of_jax, of_onnx, of_numpy)


def row(subject: Subject, result: ng.Conformance) -> list[str]:
    """One line of the table."""
    count = len(result.results)
    verdicts = [one.verdict for one in result.results]
    easy = [one.ulps for one in result.results if "-easy" in one.case]
    orders = [order_text(order) for order in result.order.values()]
    wrong = [*mistakes(result), *([subject.remark] if subject.remark else [])]
    return [
        subject.library,
        subject.what,
        " ".join(dict.fromkeys(one.case.split("-")[1] for one in result.results)),
        "yes" if result and not subject.remark else "no",
        f"{verdicts.count('accurate')}/{count}",
        f"{count - len(result.failures)}/{count}",
        ulps_text(max(easy, default=0.0)),
        "; ".join(wrong) or "–",
        "; ".join(orders) or "–",
    ]


def order_text(order: ng.SummationOrder) -> str:
    """Return an order without what was measured where there is none."""
    return "not as a plain sum" if order.kind == "no sum" else str(order)


def mistakes(result: ng.Conformance) -> Iterator[str]:
    """Yield each mistake, with the kinds of data that it shows on."""
    for mistake in result.mistakes:
        found = (one.case.rsplit("-", 1)[1] for one in result.failures if one.mistake == mistake)
        kinds = list(dict.fromkeys(found))
        more = f" and {len(kinds) - 3} more" if len(kinds) > 3 else ""
        yield f"`{mistake}` ({', '.join(kinds[:3])}{more})"


HEADER = [
    "library", "function", "types", "conforms", "accurate", "right", "ulps, easy data",
    "what is wrong, on which data", "order of summation, f32 matrices",
]  # fmt: skip


def lines() -> Iterator[list[str]]:
    """Yield the table's lines; tell what is left out."""
    yield HEADER
    for source in SOURCES:
        try:
            subjects = list(source())
        except ImportError as error:
            print(f"left out: {error}", flush=True)
            continue
        for subject in subjects:
            print(f"{subject.library}, {subject.what}", flush=True)
            yield row(subject, ng.conformance(subject.function, **subject.options))


def main(arguments: Sequence[str] | None = None) -> None:
    """Try all, and write."""
    parser = argparse.ArgumentParser("python -m benchmarks.conformance", description=__doc__)
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FILE")
    options = parser.parse_args(arguments)
    text = markdown(list(lines()), text_columns=len(HEADER))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    head = "<!-- Written by `python -m benchmarks.conformance`. -->\n\n"
    options.output.write_text(head + text, encoding="utf-8")
    print(f"written to {options.output}")


if __name__ == "__main__":
    main()
