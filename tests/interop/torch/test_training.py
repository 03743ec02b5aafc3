"""Fifty steps of training, as a network is and converted; checkpoints; data loaders that fork."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest

pytestmark = pytest.mark.interop
torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.utils.data import DataLoader, Dataset  # noqa: E402

from normgraph.torch import convert, functional  # noqa: E402
from tests.interop.torch import networks  # noqa: E402
from tests.interop.torch.test_conversion import with_roundings  # noqa: E402

STEPS = 50


def network() -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            networks.Bottleneck(8, 2),
            nn.Conv2d(8, 12, 3, stride=2),
            nn.BatchNorm2d(12),
            nn.ReLU6(),
            nn.Flatten(),
            nn.Linear(12 * 3 * 3, 2),
        )


def losses(model: Any, dtype: Any) -> Any:
    """The loss of each step, in double; images are told by their mean colours."""
    generator = torch.Generator().manual_seed(2)
    model = model.to(dtype).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    found = []
    for _ in range(STEPS):
        images = torch.randn((16, 3, 8, 8), generator=generator, dtype=torch.float64)
        labels = (images.mean((2, 3)) * torch.tensor([1.0, 2.0, 4.0])).sum(1).gt(0).long()
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images.to(dtype)), labels)
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return torch.tensor(found, dtype=torch.float64)


def test_fifty_steps_agree() -> None:
    """Roundings grow from step to step, as much as they do in the network itself.

    How much, tell the original network with each batch norm off by one rounding, and its distance
    from the same steps in double. Our layers are right to 5 roundings forward and 9 backward,
    torch's are about as good: 16 of them are allowed.
    """
    original = network()
    exact = losses(copy.deepcopy(original), torch.float64)
    plain = losses(copy.deepcopy(original), torch.float32)
    converted = losses(convert(copy.deepcopy(original)), torch.float32)
    spread = (plain - exact).abs()
    for seed in range(4):
        rounded = losses(with_roundings(copy.deepcopy(original), seed), torch.float32)
        spread = torch.maximum(spread, (rounded - plain).abs())
    allowed = 16 * (spread.cummax(0).values + torch.finfo(torch.float32).eps)
    assert ((converted - exact).abs() <= allowed).all()
    assert converted[-5:].mean() < 0.9 * converted[:5].mean()  # it learns
    assert allowed[-1] < 0.1 * converted[-1]  # else the bound would show nothing


def test_a_checkpoint_saved_by_one_loads_in_the_other() -> None:
    original = network()
    converted = convert(copy.deepcopy(original))
    losses(converted, torch.float32)
    for source, target in ((converted, original), (original, convert(network()))):
        stored = io.BytesIO()
        torch.save(source.state_dict(), stored)
        stored.seek(0)
        assert target.load_state_dict(torch.load(stored, weights_only=True))
        images = torch.randn(4, 3, 8, 8)
        with torch.no_grad():
            assert torch.allclose(source.eval()(images), target.eval()(images), atol=1e-5)


class Normalized(Dataset):
    """A data set whose items are computed by the kernels, in the loader's processes."""

    def __len__(self) -> int:
        return 16

    def __getitem__(self, index: int) -> Any:
        return functional.batch_norm(images(index), None, None, training=True)


def images(index: int) -> Any:
    return torch.randn((8, 16, 56, 56), generator=torch.Generator().manual_seed(index))


def test_data_loaders_fork_beside_it() -> None:
    """The parent has used torch's threads and the pool, and goes on while its children compute."""
    model = convert(network())
    loader = DataLoader(
        Normalized(), batch_size=None, num_workers=2, multiprocessing_context="fork", timeout=60
    )
    seen = 0
    for index, item in enumerate(loader):
        model(torch.randn(64, 3, 8, 8)).square().mean().backward()
        expected = functional.batch_norm(images(index), None, None, training=True)
        assert torch.equal(item, expected)
        seen += 1
    assert seen == 16
