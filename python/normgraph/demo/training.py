"""The experiment: one deep network on handwritten digits, with and without batch norm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from normgraph.demo.network import Float32Array, Network

#: Deep enough that the scale of the activations drifts from layer to layer.
HIDDEN = [64] * 8
BATCH = 64
TEST_DIGITS = 500

#: The rate of the comparison, and the rates among which the plain network may choose its own.
RATE = 0.3
PLAIN_RATES = (0.03, 0.1, RATE)


@dataclass(frozen=True)
class Digits:
    """The UCI handwritten digits: images (n, 64) in [0, 1], labels (n)."""

    images: Float32Array
    labels: npt.NDArray[np.int64]
    test_images: Float32Array
    test_labels: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Run:
    """One training: its setting, and the accuracy on the test digits after each epoch."""

    normalized: bool
    rate: float
    accuracies: list[float]

    @property
    def label(self) -> str:
        """The setting in words."""
        return f"{'with' if self.normalized else 'without'} batch norm, rate {self.rate:g}"


def load(seed: int) -> Digits:
    """Return the digits, split at random into training and test."""
    # Imported here since it takes seconds: what comes before is seen, or refused, at once.
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32)
    order = np.random.default_rng(seed).permutation(len(images))
    test, train = order[:TEST_DIGITS], order[TEST_DIGITS:]
    return Digits(images[train], labels[train], images[test], labels[test])


def weight_generator(seed: int) -> np.random.Generator:
    """Return the generator of the weights: equal seeds give every network equal weights."""
    return np.random.default_rng([seed, 1])


def train(
    digits: Digits,
    normalized: bool,
    rate: float,
    epochs: int,
    seed: int,
    after_epoch: Callable[[], None],
) -> Run:
    """Run plain stochastic gradient descent; equal seeds give equal weights and equal batches."""
    features = digits.images.shape[1]
    network = Network(features, HIDDEN, 10, normalized, weight_generator(seed))
    generator = np.random.default_rng([seed, 2])
    accuracies = []
    # Without normalization a large rate may let the weights overflow: a result like any other, not
    # to be warned of.
    # One BLAS thread: more only wait for each other on matrices this small.
    with np.errstate(over="ignore", invalid="ignore"), threadpool_limits(limits=1):
        for _ in range(epochs):
            order = generator.permutation(len(digits.images))
            for start in range(0, len(order) - BATCH + 1, BATCH):
                batch = order[start : start + BATCH]
                network.train_on(digits.images[batch], digits.labels[batch], rate)
            accuracies.append(
                float(np.mean(network.classify(digits.test_images) == digits.test_labels))
            )
            after_epoch()
    return Run(normalized, rate, accuracies)


def best_of(runs: list[Run]) -> Run:
    """Return the run that ends with the highest accuracy; the first of them if several do."""
    return max(runs, key=lambda run: run.accuracies[-1])
