"""Networks that torch has exported as models of ONNX are functions, and compute what torch does."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import normgraph as ng
from normgraph.formats import NotImportableError
from normgraph.formats.onnx import load, to_model

from .ort import run

pytestmark = pytest.mark.interop
torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
nn = torch.nn

EXPORTERS = pytest.mark.parametrize("dynamo", [False, True])


def trained(network: Any, rows: Any) -> Any:
    """The network with running statistics that are not those it starts with."""
    with torch.no_grad():
        for _ in range(3):
            network(rows + torch.randn_like(rows))
    return network


def rows_of(*shape: int) -> Any:
    torch.manual_seed(3)
    return torch.randn(*shape)


def exported(
    network: Any, rows: Any, path: Path, dynamo: bool, is_dynamic: bool = False, **options: Any
) -> ng.Function:
    """The function of a network, by way of a file."""
    if is_dynamic and dynamo:
        options["dynamic_shapes"] = ({0: torch.export.Dim("batch")},)
    elif is_dynamic:
        options["dynamic_axes"] = {"x": {0: "batch"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (rows,),
            path,
            dynamo=dynamo,
            input_names=["x"],
            output_names=["y"],
            verbose=False,
            **options,
        )
    return load(path)


def check(function: ng.Function, network: Any, rows: Any) -> None:
    """Normgraph, and what it writes again in onnxruntime, within a few roundings of torch."""
    with torch.no_grad():
        expected = network(rows).numpy()
    (ours,) = ng.compile(function)(rows.numpy())
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5)
    (again,) = run(to_model(function), [rows.numpy()])
    np.testing.assert_allclose(again, expected, rtol=1e-5, atol=1e-5)


def perceptron() -> Any:
    return nn.Sequential(
        nn.Linear(8, 16),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(16, 16, bias=False),
        nn.BatchNorm1d(16, eps=1e-3),
        nn.ReLU6(),
        nn.Linear(16, 4),
    )


@EXPORTERS
@pytest.mark.parametrize("is_dynamic", [False, True])
def test_a_perceptron(tmp_path: Path, dynamo: bool, is_dynamic: bool) -> None:
    rows = rows_of(6, 8)
    network = trained(perceptron(), rows).eval()
    function = exported(network, rows, tmp_path / "model.onnx", dynamo, is_dynamic)
    check(function, network, rows)
    assert [str(result.partial_shape) for result in function.results] == [
        "{?,4}" if is_dynamic else "{6,4}"
    ]


@EXPORTERS
def test_weights_keep_their_names(tmp_path: Path, dynamo: bool) -> None:
    """Where a module is not folded into another: those of the first normalization are its own."""
    rows = rows_of(6, 8)
    network = trained(nn.Sequential(nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4)), rows).eval()
    function = exported(network, rows, tmp_path / "model.onnx", dynamo)
    names = {node.friendly_name for node in function.nodes if isinstance(node, ng.Constant)}
    expected = {"0.weight", "0.bias", "0.running_mean", "0.running_var", "2.weight", "2.bias"}
    assert expected <= names
    assert expected <= {tensor.name for tensor in to_model(function).graph.initializer}


@EXPORTERS
def test_a_norm_of_images(tmp_path: Path, dynamo: bool) -> None:
    """A normalization, a pooling of all pixels, a classifier: no convolution."""
    rows = rows_of(2, 8, 4, 4)
    network = trained(
        nn.Sequential(
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 3),
        ),
        rows,
    ).eval()
    check(exported(network, rows, tmp_path / "model.onnx", dynamo), network, rows)


class Residual(nn.Module):  # type: ignore[misc,name-defined]
    """A layer whose input is added to its output, and that standardizes its rows."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(8, 8), nn.BatchNorm1d(8)
        self.scale = nn.Parameter(torch.rand(1, 8))

    def forward(self, x: Any) -> Any:
        x = x + self.norm(self.linear(x))
        centered = x - x.mean(1, keepdim=True)
        variance = (centered * centered).mean(1, keepdim=True)
        return torch.relu(centered / torch.sqrt(variance + 1e-5) * self.scale)


@EXPORTERS
def test_residuals_and_means_that_are_repeated(tmp_path: Path, dynamo: bool) -> None:
    rows = rows_of(6, 8)
    network = trained(Residual(), rows).eval()
    check(exported(network, rows, tmp_path / "model.onnx", dynamo), network, rows)


@pytest.mark.parametrize("element_type", [torch.float64, torch.bfloat16, torch.float16])
def test_other_types(tmp_path: Path, element_type: Any) -> None:
    rows = rows_of(6, 8)
    network = trained(perceptron(), rows).eval().to(element_type)
    rows = rows.to(element_type)
    function = exported(network, rows, tmp_path / "model.onnx", dynamo=False)
    with torch.no_grad():
        expected = network(rows).double().numpy()
    # numpy has no bf16 of torch's.
    array = rows.double().numpy()
    dtype = function.parameters[0].output(0).element_type
    wide = ng.Parameter("f64", [6, 8])
    short = ng.compile(ng.Function([ng.op.Convert(wide, dtype)], [wide]))(array)[0]
    (result,) = ng.compile(function)(short)
    roundings = {torch.float64: 1e-12, torch.float16: 2e-2, torch.bfloat16: 0.2}[element_type]
    np.testing.assert_allclose(result.astype(np.float64), expected, atol=roundings)


def test_training_mode(tmp_path: Path) -> None:
    """Statistics of the batch; what becomes of the running ones no output of torch's model says."""
    rows = rows_of(6, 8)
    network = nn.Sequential(nn.Linear(8, 5), nn.BatchNorm1d(5), nn.ReLU())
    function = exported(
        network,
        rows,
        tmp_path / "model.onnx",
        dynamo=False,
        training=torch.onnx.TrainingMode.TRAINING,
        do_constant_folding=False,
    )
    assert "BatchNormTraining" in [node.type_name for node in function.nodes]
    with torch.no_grad():
        expected = network(rows).numpy()
    (result,) = ng.compile(function)(rows.numpy())
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


def test_convolutions_are_refused_by_name(tmp_path: Path) -> None:
    rows = rows_of(2, 3, 6, 6)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Sigmoid()).eval()
    with pytest.raises(NotImportableError) as caught:
        exported(network, rows, tmp_path / "model.onnx", dynamo=False)
    assert [line.partition(":")[0] for line in caught.value.refusals] == [
        "Conv '/0/Conv'",
        "MaxPool '/2/MaxPool'",
        "Sigmoid '/3/Sigmoid'",
    ]
