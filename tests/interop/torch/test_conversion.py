"""convert(), report() and revert() on networks as people write them."""

from __future__ import annotations

import copy
import functools
import inspect
import math
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.interop
torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402, N812  (as people write it)
from torch import nn  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

from normgraph.torch import conversion, modules  # noqa: E402
from normgraph.torch.conversion import convert, revert  # noqa: E402
from normgraph.torch.modules import BatchNorm1d, BatchNorm2d, BatchNorm3d  # noqa: E402
from normgraph.torch.report import report  # noqa: E402
from tests.interop.torch import networks  # noqa: E402

#: A network, the shape of a batch, and how many of its batch norms are swapped, fused, left.
NETWORKS = [
    pytest.param(make, shape, counts, id=make.__name__)
    for make, shape, counts in (
        (networks.MobileNetV2, (4, 3, 32, 32), (52, 35, 17)),
        (networks.ResNet50, (4, 3, 32, 32), (53, 49, 4)),
        (networks.FunctionalResNet, (4, 3, 8, 8), (6, 5, 1)),
        (networks.SequentialResidual, (4, 3, 8, 8), (3, 2, 1)),
        (networks.DenseNet, (4, 3, 8, 8), (7, 7, 0)),
        (networks.perceptron, (8, 12), (2, 2, 0)),
    )
]
SMALL_NETWORKS = NETWORKS[2:]


def network(make: Callable[[], Any], dtype: Any = torch.float64) -> Any:
    """With random weights, and statistics and scales as training leaves them."""
    generator = torch.Generator().manual_seed(1)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        model = make().to(dtype)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.affine:
            for tensor, offset in (
                (module.weight.data, 1.0),
                (module.bias.data, 0.2),
                (module.running_mean, 0.0),
                (module.running_var, 1.0),
            ):
                values = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
                tensor.copy_(offset + values / 2)
    return model


def batch(shape: tuple[int, ...], dtype: Any = torch.float64, seed: int = 3) -> Any:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def step(model: Any, x: Any) -> dict[str, Any]:
    """The output of a training step, the gradients, and the buffers after it."""
    x = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    model.zero_grad()
    y = model(x)
    y.backward(batch(tuple(y.shape), y.dtype, seed=4))
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    return {"output": y.detach(), "input": x.grad, **gradients, **buffers}


def with_roundings(model: Any, seed: int = 5) -> Any:
    """A copy whose batch norms are off by one rounding, up or down, forward and backward.

    One of the largest element of a channel: a mean is no more exact than its largest terms.
    """
    model = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)

    def rounded(tensor: Any) -> Any:
        signs = torch.randint(0, 2, tensor.shape, generator=generator).to(tensor.dtype) * 2 - 1
        size = tensor.abs().amax([0, *range(2, tensor.dim())], keepdim=True)
        return tensor + signs * size * (torch.finfo(tensor.dtype).eps / 2)

    def hook(module: Any, inputs: Any, output: Any) -> Any:
        output = rounded(output)
        if output.requires_grad:
            output.register_hook(rounded)
        return output

    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.register_forward_hook(hook)
    return model


def assert_same_step(model: Any, original: Any, x: Any) -> None:
    """Equal up to what roundings of the batch norms do to the original network.

    Our layers are right to 5 roundings forward and 9 backward, and torch's are about as good. So
    they may differ by 16 times what one rounding of each element, up or down, changes in a tensor.
    """
    found, expected = step(model, x), step(original, x)
    assert found.keys() == expected.keys()
    roundings = step(with_roundings(copy.deepcopy(original).train(original.training)), x)
    for name, tensor in expected.items():
        if not tensor.is_floating_point():
            assert torch.equal(found[name], tensor), name
            continue
        # What the hooks do not reach, a first layer's input and the statistics, is rounded itself.
        own = torch.finfo(tensor.dtype).eps * tensor.abs().max()
        allowed = 16 * ((roundings[name] - tensor).abs().max() + own)
        assert (found[name] - tensor).abs().max() <= allowed, name


@pytest.mark.parametrize(("make", "shape", "counts"), NETWORKS)
def test_report_of_networks(
    make: Any, shape: tuple[int, ...], counts: tuple[int, int, int]
) -> None:
    model = network(make)
    assert convert(model) is model
    found = report(model)
    assert (len(found.swapped), len(found.fused), len(found.left)) == counts
    for name in found.left:
        assert found.left[name] == "nothing follows it in its Sequential"
    for name in found.swapped:
        assert type(model.get_submodule(name)) in (BatchNorm1d, BatchNorm2d)
    text = str(found)
    first, *rows = text.splitlines()
    assert first == f"{counts[0]} batch norms: {counts[0]} swapped, {counts[1]} of them fused"
    assert len(rows) == counts[1] + counts[2]


def test_report_says_what_was_taken_on() -> None:
    found = report(convert(networks.FunctionalResNet()))
    assert found.fused["bn1"] == "F.relu"
    assert found.fused["layers.1.bn2"] == "residual + F.relu"
    assert report(convert(networks.perceptron())).fused == {"1": "2", "4": "5"}
    fused = report(convert(networks.ResNet50())).fused
    assert sum(what == "residual + self.relu" for what in fused.values()) == 16


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("fuse", [True, False], ids=["fused", "plain"])
@pytest.mark.parametrize(("make", "shape", "counts"), NETWORKS)
def test_a_step_agrees(
    make: Any, shape: tuple[int, ...], counts: Any, fuse: bool, training: bool, dtype: Any
) -> None:
    original = network(make, dtype).train(training)
    model = convert(copy.deepcopy(original), fuse=fuse)
    assert_same_step(model, original, batch(shape, dtype))


@pytest.mark.parametrize(("make", "shape", "counts"), NETWORKS)
def test_what_is_fused_runs_as_one(make: Any, shape: Any, counts: Any, monkeypatch: Any) -> None:
    """Each fused layer calls a fused function once, and nobody a ReLU of the model."""
    calls: dict[str, int] = {}

    def count(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            calls[name] = calls.get(name, 0) + 1
            return original(*arguments, **options)

        monkeypatch.setattr(owner, name, counted)

    model = convert(network(make))
    for name in ("batch_norm", "batch_norm_relu", "batch_norm_add_relu"):
        count(modules, name)
    for kind in (nn.ReLU, nn.ReLU6):
        count(kind, "forward")
    model(batch(shape))
    with_residual = sum(what.startswith("residual +") for what in report(model).fused.values())
    expected = {
        "batch_norm": counts[0] - counts[1],
        "batch_norm_relu": counts[1] - with_residual,
        "batch_norm_add_relu": with_residual,
    }
    assert calls == {name: number for name, number in expected.items() if number}


@pytest.mark.parametrize(("make", "shape", "counts"), NETWORKS)
def test_convert_keeps_and_revert_restores(make: Any, shape: Any, counts: Any) -> None:
    model = network(make)
    before = dict(model.named_modules())
    kinds = {name: type(module) for name, module in before.items()}
    attributes = {name: dict(vars(module)) for name, module in before.items()}
    state = model.state_dict(keep_vars=True)
    text = repr(model)

    convert(model)
    assert repr(model) == text
    for name, module in model.named_modules():
        assert module is before[name]
        assert isinstance(module, kinds[name])
        assert type(module).__name__ == kinds[name].__name__
    converted = model.state_dict(keep_vars=True)
    assert list(converted) == list(state)
    assert all(converted[name] is tensor for name, tensor in state.items())
    assert {type(m) for m in model.modules()} != set(kinds.values())

    assert revert(model) is model
    assert repr(model) == text
    for name, module in model.named_modules():
        assert type(module) is kinds[name]
        assert module.forward.__func__ is kinds[name].forward
        assert vars(module) == attributes[name]
    reverted = model.state_dict(keep_vars=True)
    assert all(reverted[name] is tensor for name, tensor in state.items())


def test_convert_and_revert_twice_are_once() -> None:
    model = network(networks.FunctionalResNet)
    kinds = [type(module) for module in model.modules()]
    converted = [type(module) for module in convert(model).modules()]
    assert [type(module) for module in convert(model).modules()] == converted
    for _ in range(2):
        assert [type(module) for module in revert(model).modules()] == kinds
    assert [type(module) for module in convert(model).modules()] == converted


def test_a_class_that_was_given_on_top_stays() -> None:
    model = convert(network(networks.FunctionalResNet))
    outer = type("Outer", (type(model),), {})
    model.__class__ = outer
    assert type(convert(model)) is outer
    with pytest.raises(ValueError, match=r"^model: it has become a Outer since"):
        revert(model)


def test_fuse_may_follow_later() -> None:
    model = convert(network(networks.FunctionalResNet), fuse=False)
    found = report(model)
    assert not found.fused
    assert len(found.swapped) == 6
    assert found.left["bn1"] == "the model was not converted with fuse=True"
    assert len(report(convert(model)).fused) == 5


def test_a_batch_norm_itself() -> None:
    layer = nn.BatchNorm3d(2)
    assert type(convert(layer)) is BatchNorm3d
    assert report(layer).left == {"": "no module of the model calls it"}
    assert type(revert(layer)) is nn.BatchNorm3d


def test_layers_made_as_ours_are_not_reverted() -> None:
    model = nn.Sequential(BatchNorm1d(2), BatchNorm1d(2, activation="relu"), nn.BatchNorm1d(2))
    found = report(convert(model))
    assert found.swapped == ["0", "1", "2"]
    assert found.fused == {"1": "relu, its own"}
    kinds = [type(module) for module in revert(model)]
    assert kinds == [BatchNorm1d, BatchNorm1d, nn.BatchNorm1d]


@pytest.mark.parametrize("function", [convert, revert, report])
def test_what_is_no_module_is_refused(function: Any) -> None:
    with pytest.raises(TypeError, match=r"^model: expected a torch\.nn\.Module, got list"):
        function([nn.BatchNorm1d(2)])


def test_an_optimizer_and_hooks_from_before_stay() -> None:
    model = network(networks.perceptron)
    original = copy.deepcopy(model)
    seen: list[Any] = []
    model[0].register_forward_hook(lambda module, inputs, output: seen.append(output))
    optimizers = [torch.optim.SGD(m.parameters(), lr=0.1) for m in (model, original)]
    convert(model)
    x = batch((8, 12))
    for m, optimizer in zip((model, original), optimizers, strict=True):
        step(m, x)
        optimizer.step()
    assert len(seen) == 1
    for parameter, expected in zip(model.parameters(), original.parameters(), strict=True):
        torch.testing.assert_close(parameter, expected, rtol=1e-12, atol=1e-12)
    assert not torch.equal(model[1].weight, network(networks.perceptron)[1].weight)


@pytest.mark.parametrize(("make", "shape", "counts"), NETWORKS)
def test_copies_are_fused(make: Any, shape: Any, counts: Any) -> None:
    model = convert(network(make))
    x, found = batch(shape), report(model)
    twins = [copy.deepcopy(model), copy.copy(model)]
    for protocol in (0, 2, pickle.HIGHEST_PROTOCOL):
        data = pickle.dumps(model, protocol)
        conversion._fused_class.cache_clear()  # as in another process
        conversion._plan.cache_clear()
        twins.append(pickle.loads(data))
    expected = model.eval()(x)
    for twin in twins:
        assert report(twin) == found
        assert torch.equal(twin.eval()(x), expected)
    twin = twins[0]
    for parameter in twin.parameters():
        parameter.data.zero_()
    assert not torch.equal(twin(x), expected), "the copy runs the original's modules"
    assert torch.equal(model(x), expected)
    assert type(revert(twins[-1])) is type(revert(model))


def test_a_pickle_is_read_where_the_source_is_not(monkeypatch: Any) -> None:
    data = pickle.dumps(convert(network(networks.FunctionalResNet).eval()))
    conversion._fused_class.cache_clear()
    conversion._plan.cache_clear()

    def unreadable(function: Any) -> Any:
        raise conversion.rewriting.NotRewritableError("has no source that can be read")

    monkeypatch.setattr(conversion.rewriting, "read_method", unreadable)
    model = pickle.loads(data)
    found = report(model)
    assert len(found.swapped) == 6
    assert not found.fused
    assert found.left["bn1"] == "FunctionalResNet.forward() has no source that can be read"
    x = batch((4, 3, 8, 8))
    expected = network(networks.FunctionalResNet).eval()(x)
    torch.testing.assert_close(model(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("make", "shape", "counts"), NETWORKS[:2])
def test_channels_last_stays(make: Any, shape: Any, counts: Any) -> None:
    original = network(make).to(memory_format=torch.channels_last)
    model = convert(copy.deepcopy(original))
    layouts: list[bool] = []

    def hook(module: Any, inputs: Any, output: Any) -> None:
        layouts.append(output.is_contiguous(memory_format=torch.channels_last))

    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(hook)
    x = batch(shape).contiguous(memory_format=torch.channels_last)
    assert_same_step(model, original, x)
    assert all(layouts)
    assert len(layouts) == counts[0]


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize(("make", "shape", "counts"), SMALL_NETWORKS)
def test_compiles_as_one_graph(make: Any, shape: Any, counts: Any, backend: str) -> None:
    torch._dynamo.reset()
    original = network(make)
    compiled = torch.compile(convert(copy.deepcopy(original)), fullgraph=True, backend=backend)
    found, expected = step(compiled, batch(shape)), step(original, batch(shape))
    for (name, value), wanted in zip(found.items(), expected.values(), strict=True):
        torch.testing.assert_close(value, wanted, rtol=1e-9, atol=1e-10, msg=name)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(("make", "shape", "counts"), SMALL_NETWORKS)
def test_exports(make: Any, shape: Any, counts: Any, strict: bool) -> None:
    model = convert(network(make).eval())
    x = batch(shape)
    program = torch.export.export(model, (x,), strict=strict)
    torch.testing.assert_close(program.module()(x), model(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_a_checkpoint_updates_the_statistics_once(use_reentrant: bool) -> None:
    model, original = (network(networks.FunctionalResNet) for _ in range(2))
    block = convert(model).layers
    x = batch((4, 8, 6, 6)).requires_grad_()
    checkpoint(block, x, use_reentrant=use_reentrant).sum().backward()
    expected = step(original.layers, x.detach())
    for name, buffer in block.named_buffers():
        torch.testing.assert_close(buffer, expected[name], rtol=1e-12, atol=1e-13, msg=name)


def test_modules_inside_of_a_wrapper() -> None:
    model = nn.DataParallel(network(networks.FunctionalResNet))
    assert report(convert(model)).fused["module.bn1"] == "F.relu"
    x = batch((4, 3, 8, 8))
    assert_same_step(model, nn.DataParallel(network(networks.FunctionalResNet)), x)


# What comes after the conversion.


class Block(nn.Module):
    """A branch on a flag, keyword arguments, and a probability that schedules change."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1)
        self.bn = nn.BatchNorm2d(channels)
        self.act = nn.ReLU(inplace=True)
        self.scale = 1.0

    def forward(self, x: Any, *, twice: bool = False, **options: float) -> Any:
        for _ in range(2 if twice else 1):
            out = self.bn(self.conv(x))
            if self.training:
                out = out * self.scale
            out = out + options.get("offset", 0.0)
            x = self.act(self.bn(out))
        return x


def test_flags_and_arguments_are_not_frozen() -> None:
    original = network(Block)
    model = convert(copy.deepcopy(original))
    assert report(model).fused == {"bn": "self.act"}
    x = batch((2, 3, 4, 4))
    for m in (model, original):
        m.scale = 1.5
    for training in (True, False):
        for options in ({}, {"twice": True}, {"twice": True, "offset": 0.5}):
            for m in (model, original):
                m.train(training)
            torch.testing.assert_close(
                model(x, **options), original(x, **options), rtol=0, atol=1e-12
            )


@pytest.mark.parametrize("kind", ["forward_hook", "forward_pre_hook", "full_backward_hook"])
@pytest.mark.parametrize(
    ("make", "shape", "names"),
    [
        (networks.perceptron, (8, 12), ("1", "2", "4", "5")),
        (
            functools.partial(networks.DenseLayer, 4, 2),
            (4, 4, 3, 3),
            ("norm1", "relu1", "norm2", "relu2"),
        ),
    ],
    ids=["Sequential", "methods"],
)
def test_a_hook_that_comes_later_sees_the_original_values(
    make: Any, shape: Any, names: tuple[str, ...], kind: str
) -> None:
    for name in names:
        original = network(make)
        for module in original.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = False  # which hooks of backward passes refuse
        model = convert(copy.deepcopy(original))
        assert len(report(model).fused) == 2
        seen: list[Any] = []
        for m in (model, original):
            getattr(m.get_submodule(name), f"register_{kind}")(
                lambda module, *values, seen=seen: seen.append([v[0].clone() for v in values])
            )
            step(m, batch(shape))
        for value, wanted in zip(*seen, strict=True):
            torch.testing.assert_close(value, wanted, rtol=0, atol=1e-11)
        found = report(model)
        assert len(found.fused) == 1
        assert [why for why in found.left.values() if "has hooks" in why]


def test_hooks_of_all_modules_see_the_original_values() -> None:
    for make, shape in ((networks.perceptron, (8, 12)), (networks.FunctionalResNet, (4, 3, 8, 8))):
        original = network(make)
        seen: list[Any] = []
        for m in (convert(copy.deepcopy(original)), original):
            found: list[Any] = []
            seen.append(found)
            with nn.modules.module.register_module_forward_hook(
                lambda module, inputs, output, found=found: found.append(output.clone())
            ):
                m(batch(shape))
        for value, wanted in zip(*seen, strict=True):
            torch.testing.assert_close(value, wanted, rtol=0, atol=1e-11)


def test_to_convert_once_more_fuses_what_has_come_since() -> None:
    original = network(functools.partial(networks.DenseLayer, 4, 2))
    second = original.norm2
    original.norm2 = nn.Identity()
    model = convert(copy.deepcopy(original))
    for m in (model, original):
        m.norm2 = copy.deepcopy(second)
    assert report(model).fused == {"norm1": "self.relu1"}
    assert report(convert(model)).fused == {"norm1": "self.relu1", "norm2": "self.relu2"}
    assert_same_step(model, original, batch((4, 4, 3, 3)))
    assert type(revert(model)) is networks.DenseLayer


def test_a_module_that_is_replaced_later_is_called() -> None:
    x = batch((2, 3, 4, 4))
    for name, new in (
        ("act", nn.GELU()),
        ("bn", nn.Identity()),
        ("bn", nn.BatchNorm2d(3).double()),
    ):
        original = network(Block)
        model = convert(copy.deepcopy(original))
        for m in (model, original):
            setattr(m, name, copy.deepcopy(new))
        torch.testing.assert_close(model(x), original(x), rtol=0, atol=1e-12)
        assert not report(model).fused


def test_a_sequential_may_change_and_be_cut() -> None:
    original = network(networks.perceptron)
    model = convert(copy.deepcopy(original))
    x = batch((8, 12))
    for end in range(1, 8):
        torch.testing.assert_close(model[:end](x), original[:end](x), rtol=0, atol=1e-12)
    value, expected = x, x
    for layer, wanted in zip(model, original, strict=True):
        value, expected = layer(value), wanted(expected)
        torch.testing.assert_close(value, expected, rtol=0, atol=1e-12)
    for m in (model, original):
        m[2] = nn.Tanh()
        m.append(nn.BatchNorm1d(4).double())
    torch.testing.assert_close(model(x), original(x), rtol=0, atol=1e-12)
    assert report(model).fused == {"4": "5"}


def test_revert_refuses_what_has_yet_another_class() -> None:
    model = convert(network(networks.perceptron))
    nn.utils.parametrize.register_parametrization(model[1], "weight", nn.Identity())
    kinds = [type(module) for module in model.modules()]
    with pytest.raises(ValueError, match=r"^model: 1 has become a ParametrizedBatchNorm1d since"):
        revert(model)
    assert [type(module) for module in model.modules()] == kinds
    nn.utils.parametrize.remove_parametrizations(model[1], "weight")
    assert type(revert(model)[1]) is nn.BatchNorm1d


def test_a_traceback_shows_the_source_of_the_method() -> None:
    model = convert(network(networks.FunctionalResNet))
    with pytest.raises(RuntimeError) as raised:
        model(batch((4, 5, 8, 8)))
    lines = [frame.line for frame in traceback.extract_tb(raised.value.__traceback__)]
    assert "out = F.relu(self.bn1(self.conv1(x)), inplace=True)" in lines


# What is not swapped, not fused.


class OwnBatchNorm(nn.BatchNorm2d):
    pass


def test_other_classes_are_left() -> None:
    model = nn.Sequential(
        OwnBatchNorm(3), nn.SyncBatchNorm(3), nn.LazyBatchNorm2d(), nn.BatchNorm2d(3), nn.ReLU()
    )
    with_own_forward = nn.BatchNorm2d(3)
    with_own_forward.forward = with_own_forward.forward
    model.append(with_own_forward)
    model.append(nn.InstanceNorm2d(3))
    kinds = [type(module) for module in model]
    found = report(convert(model))
    assert found.swapped == ["3"]
    assert found.fused == {"3": "4"}
    assert [type(m) for m in model] == [*kinds[:3], BatchNorm2d, *kinds[4:]]
    exact = "not exactly one of torch.nn.BatchNorm1d, 2d, 3d"
    assert found.left == {
        "0": f"is a OwnBatchNorm, {exact}",
        "1": f"is a SyncBatchNorm, {exact}",
        "2": f"is a LazyBatchNorm2d, which becomes one at its first call, {exact}",
        "5": "forward() is an attribute of the object",
    }


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.bn = nn.BatchNorm2d(3)
        self.relu = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(0.5)
        self.same = nn.Identity()


class ReadAgain(Base):
    def forward(self, x: Any) -> Any:
        y = self.bn(self.conv(x))
        z = F.relu(y)
        return z + y


class ReadInTheBranch(Base):
    def forward(self, x: Any) -> Any:
        out = self.bn(self.conv(x))
        if out.mean() > 0:
            out = out + 1
        return self.relu(out)


class AddedToTheResidual(Base):
    """The sum is written to the caller's tensor."""

    def forward(self, x: Any) -> Any:
        x = x.clone()
        y = x
        x += self.bn(self.conv(x))
        return self.relu(x) + y.detach()


class ResidualChangesTheInput(Base):
    def forward(self, x: Any) -> Any:
        x = x.clone()
        return F.relu(self.bn(x) + x.detach().mul_(2.0))


class ChangesTheInputLater(Base):
    def forward(self, x: Any) -> Any:
        x = x.clone()
        y = self.bn(x)
        x.mul_(2.0)
        y = y + x
        return F.relu(y)


class ChangesTheResidualLater(Base):
    def forward(self, x: Any) -> Any:
        y = x.clone()
        out = self.bn(self.conv(x))
        out = out + y
        y.mul_(2.0)
        return F.relu(out)


class CallsTheResidualFirst(Base):
    """Dropout of the residual draws its numbers before the other one."""

    def forward(self, x: Any) -> Any:
        out = self.bn(self.conv(x))
        out = out + self.drop(x)
        return self.drop(x) + F.relu(out)


class ChangesWhatAModulePassedOn(Base):
    def forward(self, x: Any) -> Any:
        x = x.clone()
        y = self.bn(self.same(x))
        x.mul_(2.0)
        y = F.relu(y)
        return y + x


class ChangesAView(Base):
    def forward(self, x: Any) -> Any:
        x = x.clone()
        before = x.view(x.shape)
        y = self.bn(before)
        z = self.relu(x)
        return F.relu(y + z)


class RunsItOnceMore(Base):
    """The running statistics are those after the second call."""

    def forward(self, x: Any) -> Any:
        out = self.bn(self.conv(x))
        identity = self._identity(x)
        out = out + identity
        return F.relu(out)

    def _identity(self, x: Any) -> Any:
        return self.bn(x)


class ReadsItsStatistics(Base):
    def forward(self, x: Any) -> Any:
        out = self.bn(self.conv(x))
        scale = self.bn.running_mean.sum() + 2.0
        out = F.relu(out)
        return out * scale


class SwitchesGradients(Base):
    def forward(self, x: Any) -> Any:
        out = self.bn(self.conv(x))
        torch.set_grad_enabled(torch.is_grad_enabled())
        out = F.relu(out)
        return out + x


class LeavesTheLoop(Base):
    """The value before the ReLU is read after a `continue`."""

    def forward(self, x: Any) -> Any:
        out = x
        for index in range(2):
            out = self.bn(self.conv(x))
            if index == 1:
                continue
            out = F.relu(out)
        return out


class InATry(Base):
    def forward(self, x: Any) -> Any:
        try:
            out = self.bn(self.conv(x))
            out = F.relu(out)
        finally:
            pass
        return out


class WritesConstantsToTheInput(Base):
    def forward(self, x: Any) -> Any:
        x = x.clone()
        out = self.bn(x)
        x[:, 0] = 0.0
        return self.relu(out)


class WritesConstantsToAnAlias(Base):
    def forward(self, x: Any) -> Any:
        x = self.conv(x)
        alias = x.detach()
        out = self.bn(x)
        alias[0] = 0.0
        return F.relu(out)


class SetsItsEpsilon(Base):
    def forward(self, x: Any) -> Any:
        out = self.bn(self.conv(x))
        self.bn.eps = 1.0
        return F.relu(out)


class ActivatesTheInputFirst(Base):
    def forward(self, x: Any) -> Any:
        x = x * 1.0
        out = self.bn(x)
        return torch.cat([self.relu(x), self.relu(out)], 1)


class ActivatesTheInputBeforeTheSum(Base):
    def forward(self, x: Any) -> Any:
        h = self.conv(x)
        out = self.bn(h)
        out = out + x
        return torch.cat([self.relu(h), self.relu(out)], 1)


class ChangesTheInputInTheSum(Base):
    def forward(self, x: Any) -> Any:
        x = x * 1.0
        out = self.bn(x)
        return x.mul_(2.0) + F.relu(out)


class ChangesTheResidualInTheStatement(Base):
    def forward(self, x: Any) -> Any:
        y = x.clone()
        out = self.bn(self.conv(x))
        out = out + y
        return torch.cat([y.mul_(2.0), F.relu(out)], 1)


class RunsItOnceMoreInTheSum(Base):
    def forward(self, x: Any) -> Any:
        out = self.bn(self.conv(x))
        return self.bn(x * 3.0) + F.relu(out)


class ReadsItsStatisticsInTheSum(Base):
    def forward(self, x: Any) -> Any:
        out = self.bn(self.conv(x))
        return self.bn.running_mean.clone().view(1, -1, 1, 1) + F.relu(out)


class ActivatesOnCondition(Base):
    """The batch norm runs, and counts the batch, whatever comes of the condition."""

    def forward(self, x: Any) -> Any:
        out = self.bn(self.conv(x))
        return F.relu(out) if x.ndim > 4 else x


class ActivatesBehindAnAnd(Base):
    def forward(self, x: Any) -> Any:
        out = self.bn(self.conv(x))
        return (x.ndim > 4 and F.relu(out)) or x


class ActivatesInALoopOfAList(Base):
    def forward(self, x: Any) -> Any:
        out = self.bn(self.conv(x))
        return torch.cat([x, *[F.relu(out) for _ in range(x.ndim - 4)]])


class ReturnsBeforeIt(Base):
    def forward(self, x: Any) -> Any:
        out = self.bn(self.conv(x))
        if x.ndim == 4:
            return x
        return F.relu(out)


class Clamped(Base):
    """clamp() has another gradient where the value is 0."""

    def forward(self, x: Any) -> Any:
        return self.bn(self.conv(x)).clamp(0.0, 6.0)


class OtherBounds(Base):
    def forward(self, x: Any) -> Any:
        return F.hardtanh(self.bn(self.conv(x)))


class InAClosure(Base):
    def forward(self, x: Any) -> Any:
        def before() -> Any:
            return x

        x = self.bn(self.conv(x))
        kept = before()
        x = F.relu(x)
        return x + kept


class Decorated(Base):
    @torch.enable_grad()
    def forward(self, x: Any) -> Any:
        return F.relu(self.bn(self.conv(x)))


class ReadsItsVariables(Base):
    def forward(self, x: Any) -> Any:
        out = F.relu(self.bn(self.conv(x)))
        return locals()["out"]


NOT_FUSED = {
    **dict.fromkeys(
        (
            ReadAgain,
            ReadInTheBranch,
            AddedToTheResidual,
            ResidualChangesTheInput,
            ChangesTheInputLater,
            ChangesTheResidualLater,
            CallsTheResidualFirst,
            ChangesWhatAModulePassedOn,
            ChangesAView,
            RunsItOnceMore,
            ReadsItsStatistics,
            SwitchesGradients,
            LeavesTheLoop,
            InATry,
            WritesConstantsToTheInput,
            WritesConstantsToAnAlias,
            SetsItsEpsilon,
            ActivatesTheInputFirst,
            ActivatesTheInputBeforeTheSum,
            ChangesTheInputInTheSum,
            ChangesTheResidualInTheStatement,
            RunsItOnceMoreInTheSum,
            ReadsItsStatisticsInTheSum,
            ActivatesOnCondition,
            ActivatesBehindAnAnd,
            ActivatesInALoopOfAList,
            ReturnsBeforeIt,
            Clamped,
            OtherBounds,
            InAClosure,
        ),
        "no ReLU directly follows it in {}.forward()",
    ),
    Decorated: "{}.forward() is wrapped by a decorator",
    ReadsItsVariables: "{}.forward() reads its variables by locals(), exec() or eval()",
}


@pytest.mark.parametrize(("make", "why"), NOT_FUSED.items())
def test_not_fused(make: Any, why: str) -> None:
    original = network(make)
    model = convert(copy.deepcopy(original))
    found = report(model)
    assert found.swapped == ["bn"]
    assert found.fused == {}
    assert found.left == {"bn": why.format(make.__name__)}
    x = batch((4, 3, 2, 2))
    for training in (True, False):
        values = []
        for m in (model.train(training), original.train(training)):
            torch.manual_seed(0)
            with torch.no_grad():
                values.append(m(x))
        torch.testing.assert_close(values[0], values[1], rtol=0, atol=1e-12)
    torch.testing.assert_close(model.state_dict(), original.state_dict(), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("bound", "dtype"),
    [
        (math.inf, torch.float32),
        (math.inf, torch.float16),
        (1e-50, torch.float32),
        (1e-9, torch.float16),
    ],
)
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_bounds_that_are_none_in_the_type_are_torchs(
    bound: float, dtype: Any, training: bool
) -> None:
    original = nn.Sequential(nn.BatchNorm2d(3), nn.Hardtanh(0.0, bound)).train(training)
    model = convert(copy.deepcopy(original))
    x = batch((4, 3, 96, 96)).to(dtype)
    with torch.no_grad():
        found, expected = model(x), original(x)
    assert found.dtype is expected.dtype
    torch.testing.assert_close(found, expected, rtol=2e-3, atol=2e-3)


class TwoPlaces(nn.Module):
    """A batch norm that a branch has as well."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.bn = nn.BatchNorm2d(3)
        self.branch = nn.Sequential(nn.Conv2d(3, 3, 1), self.bn)

    def forward(self, x: Any) -> Any:
        out = self.bn(self.conv(x))
        identity = self.branch(x)
        out += identity
        return F.relu(out)


class SequentialThatPassesOn(nn.Module):
    """Its batch norm reads the tensor that the ReLU in between changes."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.Sequential(nn.Identity(), nn.BatchNorm2d(3))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Any) -> Any:
        x = x.clone()
        out = self.norm(x)
        identity = self.relu(x)
        return F.relu(out + identity)


@pytest.mark.parametrize("make", [TwoPlaces, SequentialThatPassesOn])
def test_what_other_calls_may_reach_does_not_wait_for_them(make: Any) -> None:
    original = network(make)
    model = convert(copy.deepcopy(original))
    assert not report(model).fused
    x = batch((4, 3, 2, 2))
    with torch.no_grad():
        for training in (True, False):
            value, wanted = (m.train(training)(x) for m in (model, original))
            torch.testing.assert_close(value, wanted, rtol=0, atol=1e-12)


class Backwards(nn.Sequential):
    def __iter__(self) -> Any:
        return reversed(list(self._modules.values()))


class Doubled(nn.Sequential):
    def __call__(self, *arguments: Any) -> Any:
        return 2 * super().__call__(*arguments)


class CallsASequential(nn.Module):
    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.layers = kind(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))

    def forward(self, x: Any) -> Any:
        return F.relu(self.layers(x))


@pytest.mark.parametrize("kind", [Backwards, Doubled])
def test_a_sequential_with_its_own_order_or_call_is_left(kind: Any) -> None:
    for make in (
        functools.partial(kind, nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 3, 1)),
        functools.partial(CallsASequential, kind),
    ):
        original = network(make)
        model = convert(copy.deepcopy(original))
        assert not report(model).fused
        assert_same_step(model, original, batch((4, 3, 2, 2)))


def test_a_traced_graph_is_left_as_it_is() -> None:
    original = torch.fx.symbolic_trace(network(networks.FunctionalResNet))
    model = convert(copy.deepcopy(original))
    found = report(model)
    assert len(found.swapped) == 6
    assert not found.fused
    assert found.left["bn1"] == "the code of a torch.fx.GraphModule is the graph's"
    x = batch((4, 3, 8, 8))
    torch.testing.assert_close(copy.deepcopy(model)(x), original(x), rtol=0, atol=1e-12)


class Registered(nn.Module):
    """Its subclasses are found by their names."""

    kinds: dict[str, Any] = {}  # noqa: RUF012  (of the class, on purpose)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.__name__ in cls.kinds:
            raise ValueError(f"{cls.__name__} is registered twice")
        cls.kinds[cls.__name__] = cls


class RegisteredBlock(Registered):
    def __init__(self) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(3)

    def forward(self, x: Any) -> Any:
        return F.relu(self.bn(x))


def test_a_registry_of_classes_has_those_that_were_written() -> None:
    assert report(convert(RegisteredBlock())).fused == {"bn": "F.relu"}
    assert Registered.kinds == {"RegisteredBlock": RegisteredBlock}


def test_source_that_is_not_to_be_had_is_left() -> None:
    space: dict[str, Any] = {"Base": Base, "F": F}
    exec(
        "class Typed(Base):\n"
        "    def forward(self, x):\n"
        "        return F.relu(self.bn(self.conv(x)))\n",
        space,
    )
    found = report(convert(space["Typed"]()))
    assert found.left == {"bn": "Typed.forward() has no source that can be read"}


def test_annotations_that_are_not_evaluated_stay_so(tmp_path: Any, monkeypatch: Any) -> None:
    (tmp_path / "normgraph_annotated_network.py").write_text(
        "from __future__ import annotations\n"
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.bn = nn.BatchNorm1d(3)\n"
        "    def forward(self, x: OnlyForTypeCheckers) -> OnlyForTypeCheckers:\n"
        "        def doubled(x: OnlyForTypeCheckers):\n"
        "            return 2 * x\n"
        "        return nn.functional.relu(self.bn(doubled(x)))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import normgraph_annotated_network as module

    model = convert(module.Net())
    assert report(model).fused == {"bn": "nn.functional.relu"}
    assert model(batch((4, 3), torch.float32)).min() == 0
    assert inspect.signature(model.forward) == inspect.signature(module.Net().forward)


def test_source_that_has_changed_is_left(tmp_path: Any, monkeypatch: Any) -> None:
    file = tmp_path / "normgraph_changed_network.py"
    text = (
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.bn = nn.BatchNorm1d(3)\n"
        "    def forward(self, x):\n"
        "        return nn.functional.relu(self.bn(x)) + 1\n"
    )
    file.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    import normgraph_changed_network as module

    assert report(convert(module.Net())).fused == {"bn": "nn.functional.relu"}
    conversion.rewriting.read_method.cache_clear()
    file.write_text(text.replace("+ 1", "+ 20"))
    why = "Net.forward() has a source that is no longer what was imported"
    assert report(convert(module.Net())).left == {"bn": why}


# What is fused though it is written in another way.


class Names(Base):
    def forward(self, x: Any) -> Any:
        y = self.bn(self.conv(x))
        z = y + x
        return F.relu(z)


class ResidualFirst(Base):
    """Dropout draws its numbers in the order in which the calls stand."""

    def forward(self, x: Any) -> Any:
        return F.relu(self.drop(x) + self.bn(self.drop(self.conv(x))))


class ResidualCalledBetween(Base):
    def forward(self, x: Any) -> Any:
        out = self.drop(self.conv(x))
        out = self.bn(out)
        identity = self.drop(x)
        out = torch.add(out, identity)
        return out.relu_()


class TwiceInASum(Base):
    """The first call is the first to update the running statistics."""

    def forward(self, x: Any) -> Any:
        return F.relu(self.bn(self.conv(x)) + self.bn(self.conv(2.0 * x)))


class TwiceInStatements(Base):
    def forward(self, x: Any) -> Any:
        out = self.bn(self.conv(x))
        other = self.bn(self.conv(2.0 * x))
        out = out + other
        return F.relu(out)


class Methods(Base):
    def __init__(self) -> None:
        super().__init__()
        self.__scale = 2.0

    def forward(self, x: Any) -> Any:
        return self._second(x, second=self._second)

    def _second(self, x: Any, second: Any) -> Any:
        return self.__scale * self.bn(self.conv(x)).relu()


class Super(Methods):
    def forward(self, x: Any, scale: float = 2.0) -> Any:
        y = super().forward(x) * scale
        return F.relu6(self.bn(y))


class Bounded(Base):
    def forward(self, x: Any) -> Any:
        return F.hardtanh(self.bn(self.conv(x)), 0.0, max_val=0.75)


class InPlaces(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({"norm": nn.BatchNorm2d(3), "act": nn.Hardtanh(0.0, 2.0)})
        self.parts = nn.ModuleList([Base()])

    def forward(self, x: Any) -> Any:
        with torch.autograd.set_grad_enabled(True):
            x = self.layers["act"](self.layers["norm"](x))
        return torch.relu(self.parts[0].bn(x))


class InsideOfACall(Base):
    """What stands before the ReLU in its statement only names values."""

    def forward(self, x: Any) -> Any:
        out = self.bn(x)
        scale = 2.0
        return torch.cat([x, self.conv(self.relu(out))], 1) * scale


class AtAPlaceBesideIt(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList([Base()])

    def forward(self, x: Any) -> Any:
        out = self.parts[0].bn(x)
        return self.parts[0].conv(self.parts[0].relu(out))


FUSED = {
    InsideOfACall: {"bn": "self.relu"},
    AtAPlaceBesideIt: {"parts.0.bn": "self.parts[0].relu"},
    Names: {"bn": "residual + F.relu"},
    ResidualFirst: {"bn": "residual + F.relu"},
    TwiceInASum: {"bn": "residual + F.relu"},
    TwiceInStatements: {"bn": "residual + F.relu"},
    ResidualCalledBetween: {"bn": "residual + .relu_()"},
    Methods: {"bn": ".relu()"},
    Super: {"bn": "F.relu6"},
    Bounded: {"bn": "F.hardtanh"},
    InPlaces: {"layers.norm": "self.layers['act']", "parts.0.bn": "torch.relu"},
}


@pytest.mark.parametrize(("make", "fused"), FUSED.items())
def test_fused(make: Any, fused: dict[str, str]) -> None:
    original = network(make)
    model = convert(copy.deepcopy(original))
    assert report(model).fused == fused
    x = batch((4, 3, 2, 2))
    for training in (True, False):
        results = []
        for m in (model.train(training), original.train(training)):
            torch.manual_seed(0)
            results.append(step(m, x))
        for name, value in results[0].items():
            torch.testing.assert_close(value, results[1][name], rtol=0, atol=1e-11, msg=name)


class Added(nn.Module):
    def __init__(self, in_place: bool) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(3)
        self.in_place = in_place

    def forward(self, x: Any, y: Any) -> Any:
        if self.in_place:
            out = self.bn(x)
            out += y
            return F.relu(out)
        return F.relu(self.bn(x) + y)


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize(
    "residual",
    [
        1.0,
        batch((1, 3, 1, 1), torch.float32),
        batch((4, 3, 2, 2), torch.float64),
    ],
    ids=["number", "smaller", "wider"],
)
def test_another_residual_is_added_as_torch_adds(residual: Any, in_place: bool) -> None:
    original = network(functools.partial(Added, in_place), torch.float32)
    model = convert(copy.deepcopy(original))
    assert report(model).fused == {"bn": "residual + F.relu"}
    x = batch((4, 3, 2, 2), torch.float32)
    value, wanted = model(x, residual), original(x, residual)
    # Values of up to 8 with 10 roundings on each side.
    torch.testing.assert_close(value, wanted, rtol=0, atol=2 * 10 * 8 * 2.0**-24)


def test_a_residual_that_does_not_fit_in_place_is_refused_as_torch_refuses_it() -> None:
    x, residual = batch((4, 3, 2, 2)), batch((2, 4, 3, 2, 2))
    for make in (network, lambda make: convert(network(make))):
        with pytest.raises(RuntimeError, match="doesn't match the broadcast shape"):
            make(functools.partial(Added, True))(x, residual)
