"""A network as one Function, and the same step of training written in numpy."""

from __future__ import annotations

import itertools

import numpy as np

import normgraph as ng

from ..kernel.real_types import Array

EPSILON = 1e-5


def build(widths: tuple[int, ...], element_type: str = "f32") -> tuple[ng.Function, list[Array]]:
    """(inputs, classes → loss and the layers' statistics) and the initial weights.

    Each hidden layer is a matrix product, BatchNormTraining and a ReLU; the loss is the mean
    over the batch of the squared differences to the classes, which are rows of 0 and 1.
    """
    random = np.random.default_rng(0)
    x = ng.Parameter(element_type, [None, widths[0]], name="images")
    classes = ng.Parameter(element_type, [None, widths[-1]], name="classes")
    parameters, weights, statistics = [x, classes], [], []
    value = x.output(0)
    for index, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        weight = ng.Parameter(element_type, [inputs, outputs], name=f"weight{index}")
        value = ng.op.MatrixMultiply(value, weight).output(0)
        parameters.append(weight)
        weights.append(random.standard_normal((inputs, outputs)) * np.sqrt(2 / inputs))
        if outputs == widths[-1]:
            break
        gamma = ng.Parameter(element_type, [outputs], name=f"gamma{index}")
        beta = ng.Parameter(element_type, [outputs], name=f"beta{index}")
        norm = ng.op.BatchNormTraining(value, gamma, beta, epsilon=EPSILON, name=f"norm{index}")
        parameters += [gamma, beta]
        weights += [np.ones(outputs), np.zeros(outputs)]
        statistics += norm.outputs[1:]
        value = ng.op.Relu(norm.output(0)).output(0)
    error = ng.op.Subtract(value, classes, name="error")
    squares = ng.op.Sum(ng.op.Multiply(error, error), kept_axes=[0])
    loss = ng.op.Mean(squares, name="loss")
    arrays = [weight.astype(np.dtype(weight_type(element_type))) for weight in weights]
    return ng.Function([loss, *statistics], parameters, name="network"), arrays


def weight_type(element_type: str) -> type:
    return {"f32": np.float32, "f64": np.float64}[element_type]


def training_step(network: ng.Function) -> ng.Function:
    """(images, classes, weights …, delta of the loss → loss and the gradients of the weights)."""
    loss = ng.Function(network.results[:1], network.parameters)
    gradients = ng.gradients(loss, wrt=loss.parameters[2:])
    return ng.Function([*loss.results, *gradients.results], gradients.parameters, name="step")


def numpy_step(images: Array, classes: Array, weights: list[Array]) -> tuple[float, list[Array]]:
    """The network by hand, as one would write it in numpy."""
    caches = []
    value = images
    for start in range(0, len(weights) - 1, 3):
        weight, gamma, beta = weights[start : start + 3]
        product = value @ weight
        mean = product.mean(axis=0)
        centered = product - mean
        inverse = 1 / np.sqrt((centered * centered).mean(axis=0) + EPSILON)
        x_hat = centered * inverse
        normalized = gamma * x_hat + beta
        caches.append((value, x_hat, inverse, normalized > 0))
        value = np.maximum(normalized, 0)
    error = value @ weights[-1] - classes
    loss = float((error * error).sum() / len(images))
    delta = error * (2 / len(images))
    gradients = [value.T @ delta]
    delta = delta @ weights[-1].T
    for start in range(len(weights) - 4, -1, -3):
        weight, gamma, _ = weights[start : start + 3]
        layer_input, x_hat, inverse, is_positive = caches.pop()
        delta = delta * is_positive
        beta_delta = delta.sum(axis=0)
        gamma_delta = (delta * x_hat).sum(axis=0)
        n = len(images)
        delta = gamma * inverse * (delta - beta_delta / n - x_hat * (gamma_delta / n))
        gradients = [layer_input.T @ delta, gamma_delta, beta_delta, *gradients]
        delta = delta @ weight.T
    return loss, gradients
