"""A network of several layers, differentiated, compiled and trained."""

from __future__ import annotations

import numpy as np
import pytest

import normgraph as ng

from ..kernel.comparison import assert_same_bits
from ..kernel.real_types import Array
from .network import EPSILON, build, numpy_step, training_step


def digits() -> tuple[Array, Array]:
    """1797 images of 8×8 pixels from 0 to 1, and what they show; in a random order."""
    datasets = pytest.importorskip("sklearn.datasets")
    images, labels = datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(4).permutation(len(images))
    return (images[order] / 16).astype(np.float32), labels[order]


def test_gradients_are_those_of_numpy() -> None:
    network, weights = build((6, 5, 4, 3), "f64")
    random = np.random.default_rng(1)
    images, classes = random.standard_normal((7, 6)), random.standard_normal((7, 3))
    step = ng.compile(training_step(network))
    loss, *gradients = step(images, classes, *weights, np.float64(1))
    expected_loss, expected = numpy_step(images, classes, weights)
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-12)
    for actual, wanted in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-9, atol=1e-12)


def test_both_backends_give_the_same_bits() -> None:
    network, weights = build((20, 16, 12, 10))
    random = np.random.default_rng(2)
    images, classes = (random.standard_normal((33, n)).astype(np.float32) for n in (20, 10))
    arguments = [images, classes, *weights, np.float32(1)]
    fast, plain = (
        ng.compile(training_step(network), backend=backend)(*arguments)
        for backend in ("cpu", "reference")
    )
    for index, (left, right) in enumerate(zip(fast, plain, strict=True)):
        assert_same_bits(left, right, f"result {index}")


def test_it_learns_the_digits() -> None:
    images, labels = digits()
    classes = np.eye(10, dtype=np.float32)[labels]
    network, weights = build((64, 48, 32, 10))
    step = ng.compile(training_step(network))
    training, test = slice(0, 1400), slice(1400, None)
    random = np.random.default_rng(3)
    for _ in range(12):
        order = random.permutation(1400)
        for batch in np.split(order, 20):
            one = np.float32(1)
            _, *gradients = step(images[batch], classes[batch], *weights, one)
            weights = [w - np.float32(0.1) * g for w, g in zip(weights, gradients, strict=True)]
    scores = infer(images[test], images[training], weights)
    accuracy = float((scores.argmax(axis=1) == labels[test]).mean())
    assert accuracy > 0.9


def infer(images: Array, training_images: Array, weights: list[Array]) -> Array:
    """Scores, normalized by the statistics of the training images."""
    value, reference = images, training_images
    for start in range(0, len(weights) - 1, 3):
        weight, gamma, beta = weights[start : start + 3]
        product, reference_product = value @ weight, reference @ weight
        normalized, mean, variance = ng.batch_norm_training(
            reference_product, gamma, beta, epsilon=EPSILON
        )
        inferred = ng.batch_norm_inference(product, gamma, beta, mean, variance, epsilon=EPSILON)
        value, reference = np.maximum(inferred, 0), np.maximum(normalized, 0)
    return np.asarray(value @ weights[-1])
