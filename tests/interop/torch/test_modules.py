"""The layers of normgraph.torch beside torch's own."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.interop
torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.utils.checkpoint import (  # noqa: E402
    CheckpointPolicy,
    checkpoint,
    create_selective_checkpoint_contexts,
)

from normgraph.torch.modules import BatchNorm1d, BatchNorm2d, BatchNorm3d  # noqa: E402

CHANNELS = 3
LAYERS = (
    (BatchNorm1d, nn.BatchNorm1d, (8, CHANNELS)),
    (BatchNorm1d, nn.BatchNorm1d, (4, CHANNELS, 6)),
    (BatchNorm2d, nn.BatchNorm2d, (4, CHANNELS, 3, 2)),
    (BatchNorm3d, nn.BatchNorm3d, (2, CHANNELS, 3, 2, 2)),
)
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"momentum": None},
    {"momentum": 0.7, "eps": 0.1},
    {"momentum": 0.0},
    {"affine": False},
    {"track_running_stats": False},
    {"affine": False, "track_running_stats": False, "momentum": None},
)
# At most 24 elements of at most 6 in a channel: sums of 24 terms and a few operations more, 50
# roundings on each side, of squares of at most 36, scaled by 1/deviation and gamma, at most 10.
ALLOWED = 2 * 50 * 36 * 10 * 2.0**-53


def batch(shape: tuple[int, ...], seed: int) -> Any:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def pair(ours: Any, torchs: Any, **options: Any) -> tuple[Any, Any]:
    """A layer of ours and one of torch's with the same random parameters, in double."""
    layers = (
        ours(CHANNELS, dtype=torch.float64, **options),
        torchs(CHANNELS, dtype=torch.float64, **options),
    )
    if layers[0].affine:
        for values, parameter in enumerate(("weight", "bias")):
            for layer in layers:
                getattr(layer, parameter).data = batch((CHANNELS,), seed=values)
    return layers


def assert_same_state(ours: Any, torchs: Any) -> None:
    expected = torchs.state_dict()
    state = ours.state_dict()
    assert list(state) == list(expected)
    for name, tensor in expected.items():
        assert state[name].dtype == tensor.dtype, name
        torch.testing.assert_close(state[name], tensor, rtol=0, atol=ALLOWED, msg=name)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize(("ours", "torchs", "shape"), LAYERS)
def test_training_and_evaluation_agree_with_torch(
    ours: Any, torchs: Any, shape: tuple[int, ...], options: dict[str, Any]
) -> None:
    """Three steps in training and one in evaluation: outputs, gradients, statistics."""
    layer, expected = pair(ours, torchs, **options)
    for step in range(4):
        if step == 3:
            layer.eval()
            expected.eval()
        results = []
        for module in (layer, expected):
            x = batch(shape, seed=step + 10).requires_grad_()
            module.zero_grad()
            y = module(x)
            y.backward(batch(shape, seed=step + 20))
            results.append([y, x.grad, *(p.grad for p in module.parameters())])
        for value, wanted in zip(*results, strict=True):
            torch.testing.assert_close(value, wanted, rtol=0, atol=24 * ALLOWED)
        assert_same_state(layer, expected)


def test_statistics_that_are_no_longer_tracked_stay() -> None:
    layer, expected = pair(BatchNorm1d, nn.BatchNorm1d)
    for module in (layer, expected):
        module(batch((8, CHANNELS), seed=1))
        module.track_running_stats = False
    x = batch((8, CHANNELS), seed=2)
    torch.testing.assert_close(layer(x), expected(x), rtol=0, atol=ALLOWED)
    assert_same_state(layer, expected)
    assert layer.num_batches_tracked == 1


@pytest.mark.parametrize(("ours", "torchs", "shape"), LAYERS)
def test_is_a_layer_of_torch(ours: Any, torchs: Any, shape: tuple[int, ...]) -> None:
    layer, expected = pair(ours, torchs)
    assert isinstance(layer, torchs)
    assert repr(layer) == repr(expected)
    expected(batch(shape, seed=1))
    layer.load_state_dict(expected.state_dict())
    assert_same_state(layer, expected)
    expected.load_state_dict(layer.state_dict())
    layer.reset_parameters()
    assert layer.num_batches_tracked == 0
    assert torch.equal(layer.weight, torch.ones(CHANNELS, dtype=torch.float64))


@pytest.mark.parametrize(("ours", "torchs", "shape"), LAYERS)
def test_input_of_another_rank_has_the_error_of_torch(
    ours: Any, torchs: Any, shape: tuple[int, ...]
) -> None:
    layer, expected = pair(ours, torchs)
    wrong = torch.zeros((1, 1, *shape), dtype=torch.float64)
    with pytest.raises(ValueError, match="expected") as raised:
        expected(wrong)
    with pytest.raises(ValueError, match="expected") as found:
        layer(wrong)
    assert str(found.value) == str(raised.value)
    assert layer.num_batches_tracked == 0


def test_bias_false_is_passed_on() -> None:
    try:
        expected = nn.BatchNorm2d(CHANNELS, bias=False)
    except TypeError:
        pytest.skip("this torch has no such option")
    layer = BatchNorm2d(CHANNELS, bias=False)
    assert list(layer.state_dict()) == list(expected.state_dict())
    assert layer(torch.ones(2, CHANNELS, 1, 1)).shape == (2, CHANNELS, 1, 1)


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("relu", nn.ReLU()),
        ("relu6", nn.ReLU6()),
        (0.5, nn.Hardtanh(0.0, 0.5)),
    ],
)
@pytest.mark.parametrize("with_residual", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_activation(
    activation: Any, function: Callable[[Any], Any], with_residual: bool, training: bool
) -> None:
    shape = (4, CHANNELS, 3, 2)
    layer, expected = pair(BatchNorm2d, nn.BatchNorm2d)
    layer.activation = activation
    results = []
    for module in (layer.train(training), expected.train(training)):
        module.weight.data *= 10  # so that all bounds are met
        x, residual = (batch(shape, seed).requires_grad_() for seed in (1, 2))
        if module is layer:
            y = layer(x, residual) if with_residual else layer(x)
        else:
            y = function(expected(x) + residual if with_residual else expected(x))
        y.backward(batch(shape, seed=3))
        results.append([y, x.grad, residual.grad, *(p.grad for p in module.parameters())])
    for value, wanted in zip(*results, strict=True):
        torch.testing.assert_close(value, wanted, rtol=0, atol=240 * ALLOWED)
    assert_same_state(layer, expected)


def test_activation_is_an_attribute_that_copies_keep() -> None:
    layer = BatchNorm1d(CHANNELS, activation="relu6")
    assert "activation=relu6" in repr(layer)
    assert list(layer.state_dict()) == list(nn.BatchNorm1d(CHANNELS).state_dict())
    for twin in (copy.deepcopy(layer), copy.copy(layer), pickle.loads(pickle.dumps(layer))):
        assert twin.activation == "relu6"
        assert type(twin) is BatchNorm1d
        assert twin(torch.randn(8, CHANNELS, generator=torch.Generator().manual_seed(0))).min() == 0


@pytest.mark.parametrize("activation", ["gelu", "", 0.0, -1.0, float("nan"), [6.0]])
def test_unknown_activation_is_refused(activation: Any) -> None:
    with pytest.raises(ValueError, match=r"^activation: expected None, 'relu', 'relu6'"):
        BatchNorm2d(CHANNELS, activation=activation)


def test_unknown_activation_of_a_layer_that_has_none_is_refused_at_the_call() -> None:
    layer = BatchNorm1d(CHANNELS)
    layer.activation = "gelu"
    with pytest.raises(ValueError, match=r"^activation: expected .*'gelu'"):
        layer(torch.zeros(2, CHANNELS))


def test_residual_needs_an_activation() -> None:
    x = torch.zeros(2, CHANNELS)
    with pytest.raises(ValueError, match=r"^residual: expected a layer with an activation"):
        BatchNorm1d(CHANNELS)(x, x)


def test_a_refused_call_leaves_the_statistics() -> None:
    layer = BatchNorm1d(CHANNELS)
    x = torch.ones(2, CHANNELS)
    for residual, activation in ((x, None), (None, "gelu")):
        with pytest.raises(ValueError, match="expected"):
            layer(x, residual, activation)
    assert layer.num_batches_tracked == 0
    assert torch.equal(layer.running_mean, torch.zeros(CHANNELS))


@pytest.mark.parametrize("use_reentrant", [False, True])
@pytest.mark.parametrize("momentum", [0.1, None])
def test_a_checkpoint_updates_the_statistics_once(use_reentrant: bool, momentum: Any) -> None:
    """Nested as well; outputs and gradients are those without a checkpoint."""
    shape = (4, CHANNELS, 3, 2)
    results = []
    for depth in range(3):
        layer, _ = pair(BatchNorm2d, nn.BatchNorm2d, momentum=momentum)
        function: Any = layer
        for _ in range(depth):
            inner = function

            def function(x: Any, inner: Any = inner) -> Any:
                return checkpoint(inner, x, use_reentrant=use_reentrant)

        for step in range(2):
            x = batch(shape, seed=step).requires_grad_()
            y = function(x)
            y.backward(batch(shape, seed=7))
        assert layer.num_batches_tracked == 2
        results.append(
            [y, x.grad, layer.weight.grad, layer.running_mean.clone(), layer.running_var.clone()]
        )
    for result in results[1:]:
        for value, wanted in zip(result, results[0], strict=True):
            assert torch.equal(value, wanted)


@pytest.mark.parametrize("affine", [True, False])
def test_a_checkpoint_may_choose_what_it_computes_again(affine: bool) -> None:
    shape = (4, CHANNELS, 3, 2)

    def policy(context: Any, operator: Any, *arguments: Any, **options: Any) -> Any:
        return CheckpointPolicy.PREFER_RECOMPUTE

    results = []
    for options in ({}, {"context_fn": lambda: create_selective_checkpoint_contexts(policy)}):
        layer, _ = pair(BatchNorm2d, nn.BatchNorm2d, affine=affine)
        x = batch(shape, seed=1).requires_grad_()
        y = checkpoint(layer, x, use_reentrant=False, **options)
        y.backward(batch(shape, seed=7))
        results.append([y, x.grad, layer.running_mean, layer.running_var])
    for value, wanted in zip(*results, strict=True):
        assert torch.equal(value, wanted)


def test_a_layer_of_torch_would_update_them_twice() -> None:
    """What the test above is about."""
    layer = nn.BatchNorm1d(CHANNELS)
    x = batch((4, CHANNELS), seed=0).float().requires_grad_()
    checkpoint(layer, x, use_reentrant=False).sum().backward()
    assert layer.num_batches_tracked == 2


def test_hooks_see_what_torch_gives_them() -> None:
    shape = (4, CHANNELS)
    seen: list[list[Any]] = []
    for layer in pair(BatchNorm1d, nn.BatchNorm1d):
        events: list[Any] = []
        layer.register_forward_pre_hook(lambda module, inputs, e=events: e.append(inputs))
        layer.register_forward_hook(lambda module, inputs, output, e=events: e.append((output,)))
        layer.register_full_backward_hook(lambda module, grad, deltas, e=events: e.append(grad))
        layer(batch(shape, 1).requires_grad_()).backward(batch(shape, 2))
        seen.append(events)
    assert len(seen[0]) == 3
    for values, wanted in zip(*seen, strict=True):
        for value, expected in zip(values, wanted, strict=True):
            torch.testing.assert_close(value, expected, rtol=0, atol=24 * ALLOWED)


class _Doubled(nn.Module):
    def forward(self, weight: Any) -> Any:
        return 2 * weight


def test_a_parametrized_weight_is_used() -> None:
    layer, expected = pair(BatchNorm1d, nn.BatchNorm1d)
    for module in (layer, expected):
        nn.utils.parametrize.register_parametrization(module, "weight", _Doubled())
    x = batch((8, CHANNELS), seed=4)
    torch.testing.assert_close(layer(x), expected(x), rtol=0, atol=ALLOWED)
    layer(x).sum().backward()
    assert layer.parametrizations.weight.original.grad is not None


def test_buffers_that_became_attributes_are_used() -> None:
    layer, expected = pair(BatchNorm1d, nn.BatchNorm1d)
    for module in (layer, expected):
        mean = module.running_mean + 1
        del module.running_mean
        module.running_mean = mean
        module.eval()
    x = batch((8, CHANNELS), seed=5)
    torch.testing.assert_close(layer(x), expected(x), rtol=0, atol=ALLOWED)


def test_functional_call_takes_the_tensors_that_it_is_given() -> None:
    layer, _ = pair(BatchNorm1d, nn.BatchNorm1d)
    x = batch((8, CHANNELS), seed=6)
    state = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    state["weight"] = 3 * state["weight"]
    y = torch.func.functional_call(layer, state, (x,))
    torch.testing.assert_close(y - layer.bias, 3 * (layer(x) - layer.bias), rtol=0, atol=ALLOWED)
    assert state["num_batches_tracked"] == 1
    assert layer.num_batches_tracked == 1


@pytest.mark.parametrize("activation", [None, "relu"])
def test_compiles_as_one_graph_and_counts_the_batch(activation: Any) -> None:
    torch._dynamo.reset()
    layer = BatchNorm2d(CHANNELS, activation=activation)
    twin = copy.deepcopy(layer)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    for step in range(2):
        results = []
        for function in (compiled, twin):
            x = batch((4, CHANNELS, 3, 2), seed=step).float().requires_grad_()
            y = function(x)
            y.backward(batch((4, CHANNELS, 3, 2), seed=9).float())
            results.append((y, x.grad))
        for value, wanted in zip(*results, strict=True):
            # As ALLOWED, in f32, of which only the data and gradients are rounded.
            torch.testing.assert_close(value, wanted, rtol=0, atol=ALLOWED * 2.0**29)
    assert layer.num_batches_tracked == 2
    torch.testing.assert_close(layer.running_var, twin.running_var, rtol=2.0**-20, atol=0)


def test_exports() -> None:
    layer = BatchNorm2d(CHANNELS, activation="relu").eval()
    x = batch((4, CHANNELS, 3, 2), seed=1).float()
    program = torch.export.export(layer, (x,))
    assert torch.equal(program.module()(x), layer(x))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("activation", [None, "relu", 0.5])
def test_a_trace_has_gradients_and_torchs_own_operators(training: bool, activation: Any) -> None:
    """torch compares the trace with a second one, and its results with the layer's."""
    layer = BatchNorm2d(CHANNELS, activation=activation, dtype=torch.float64).train(training)
    shape = (4, CHANNELS, 3, 2)
    traced = torch.jit.trace(layer, (batch(shape, seed=1),))
    file = io.BytesIO()
    torch.jit.save(traced, file)
    file.seek(0)
    read = torch.jit.load(file)
    assert "normgraph::" not in str(read.inlined_graph)
    results = []
    for function in (copy.deepcopy(layer), traced, read):
        x = batch(shape, seed=2).requires_grad_()
        y = function(x)
        y.backward(batch(shape, seed=3))
        results.append((y, x.grad))
    for result in results[1:]:
        for value, wanted in zip(result, results[0], strict=True):
            torch.testing.assert_close(value, wanted, rtol=0, atol=24 * ALLOWED)
