"""A small classifier in numpy that uses normgraph's kernels: how to train with them, in one page.

Each hidden layer is dense -> batch normalization (or a bias) -> ReLU. Three calls do the
normalization:
- training forward: `batch_norm_training` normalizes with the statistics of the batch and returns
  them;
- training backward: `batch_norm_training_backprop` takes these statistics and the gradient that
  arrives;
- test: `batch_norm_inference` normalizes with running averages of the statistics, which
  `update_running_statistics` keeps.

All arrays are float32; a batch of activations has the shape (n, features), so axis 1 is the channel
axis.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

import normgraph as ng

Float32Array = npt.NDArray[np.float32]


class Layer(Protocol):
    """One step of the network."""

    def forward(self, x: Float32Array) -> Float32Array:
        """Return the output for a training batch; keep what `backward` needs."""

    def infer(self, x: Float32Array) -> Float32Array:
        """Return the output at test time."""

    def backward(self, delta: Float32Array) -> Float32Array:
        """Turn the gradient of the output into that of the input; keep those of the parameters."""

    def descend(self, rate: float) -> None:
        """Make one step of gradient descent on the layer's own parameters."""


class Dense:
    """x @ weight, initialized for ReLUs: variance 2/inputs (He et al., 2015)."""

    def __init__(self, inputs: int, outputs: int, generator: np.random.Generator) -> None:
        self.weight = (generator.normal(size=(inputs, outputs)) * np.sqrt(2 / inputs)).astype(
            np.float32
        )

    def forward(self, x: Float32Array) -> Float32Array:
        """Return x @ weight; keep x."""
        self.input = x
        return self.infer(x)

    def infer(self, x: Float32Array) -> Float32Array:
        """Return x @ weight."""
        product: Float32Array = x @ self.weight
        return product

    def backward(self, delta: Float32Array) -> Float32Array:
        """Keep the gradient of the weight; return that of the input."""
        self.weight_delta = self.input.T @ delta
        input_delta: Float32Array = delta @ self.weight.T
        return input_delta

    def descend(self, rate: float) -> None:
        """Move the weight against its gradient."""
        self.weight -= rate * self.weight_delta


class Bias:
    """x + beta: what a layer has in place of batch normalization."""

    def __init__(self, features: int) -> None:
        self.beta = np.zeros(features, np.float32)

    def forward(self, x: Float32Array) -> Float32Array:
        """Return x + beta."""
        return self.infer(x)

    def infer(self, x: Float32Array) -> Float32Array:
        """Return x + beta."""
        return x + self.beta

    def backward(self, delta: Float32Array) -> Float32Array:
        """Keep the gradient of beta: the sum over the batch."""
        self.beta_delta = delta.sum(axis=0)
        return delta

    def descend(self, rate: float) -> None:
        """Move beta against its gradient."""
        self.beta -= rate * self.beta_delta


class BatchNorm:
    """Batch normalization with running averages of the statistics for the test."""

    epsilon = 1e-5
    #: The weight of a batch in the running averages.
    momentum = 0.1

    def __init__(self, features: int) -> None:
        self.gamma = np.ones(features, np.float32)
        self.beta = np.zeros(features, np.float32)
        self.running = ng.RunningStatistics(
            np.zeros(features, np.float32), np.ones(features, np.float32)
        )

    def forward(self, x: Float32Array) -> Float32Array:
        """Normalize with the statistics of this batch, and keep them for `backward`."""
        normalized: Float32Array
        normalized, self.mean, self.variance = ng.batch_norm_training(
            x, self.gamma, self.beta, epsilon=self.epsilon
        )
        self.input = x
        self.running = ng.update_running_statistics(
            self.running, (self.mean, self.variance), n=len(x), momentum=self.momentum
        )
        return normalized

    def infer(self, x: Float32Array) -> Float32Array:
        """Normalize with the running averages."""
        normalized: Float32Array = ng.batch_norm_inference(
            x, self.gamma, self.beta, *self.running, epsilon=self.epsilon
        )
        return normalized

    def backward(self, delta: Float32Array) -> Float32Array:
        """Keep the gradients of gamma and beta; return that of the input."""
        input_delta: Float32Array
        input_delta, self.gamma_delta, self.beta_delta = ng.batch_norm_training_backprop(
            self.input, self.gamma, self.beta, self.mean, self.variance, delta, epsilon=self.epsilon
        )
        return input_delta

    def descend(self, rate: float) -> None:
        """Move gamma and beta against their gradients."""
        self.gamma -= rate * self.gamma_delta
        self.beta -= rate * self.beta_delta


class Relu:
    """max(x, 0)."""

    def forward(self, x: Float32Array) -> Float32Array:
        """Return max(x, 0); keep where x is positive."""
        self.positive = x > 0
        return self.infer(x)

    def infer(self, x: Float32Array) -> Float32Array:
        """Return max(x, 0)."""
        activated: Float32Array = np.maximum(x, np.float32(0))
        return activated

    def backward(self, delta: Float32Array) -> Float32Array:
        """Let the gradient pass where x was positive."""
        return delta * self.positive

    def descend(self, rate: float) -> None:
        """Nothing to learn."""


class Network:
    """Layers in a row, and softmax cross-entropy on top."""

    def __init__(
        self,
        features: int,
        hidden: list[int],
        classes: int,
        normalized: bool,
        generator: np.random.Generator,
    ) -> None:
        self.layers: list[Layer] = []
        for inputs, outputs in zip([features, *hidden], hidden, strict=False):
            self.layers += [
                Dense(inputs, outputs, generator),
                BatchNorm(outputs) if normalized else Bias(outputs),
                Relu(),
            ]
        self.layers += [Dense([features, *hidden][-1], classes, generator), Bias(classes)]

    def train_on(self, x: Float32Array, labels: npt.NDArray[np.int64], rate: float) -> None:
        """Make one step of gradient descent on a batch: x (n, features), labels (n)."""
        for layer in self.layers:
            x = layer.forward(x)
        delta = cross_entropy_delta(x, labels)
        for layer in reversed(self.layers):
            delta = layer.backward(delta)
        for layer in self.layers:
            layer.descend(rate)

    def classify(self, x: Float32Array) -> npt.NDArray[np.int64]:
        """Return the most likely class of each row of x (n, features), by the moving averages."""
        for layer in self.layers:
            x = layer.infer(x)
        classes: npt.NDArray[np.int64] = x.argmax(axis=1)
        return classes


def cross_entropy_delta(scores: Float32Array, labels: npt.NDArray[np.int64]) -> Float32Array:
    """Return the gradient of the mean cross-entropy of softmax in scores (n, classes)."""
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    delta: Float32Array = exponentials / exponentials.sum(axis=1, keepdims=True)
    delta[np.arange(len(labels)), labels] -= 1
    delta /= len(labels)
    return delta
