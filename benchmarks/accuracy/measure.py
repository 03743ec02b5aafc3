"""Every output of every library against the definition."""

from __future__ import annotations

from collections.abc import Mapping

from tests.kernel import definition
from tests.kernel.definition import Bounded
from tests.kernel.real_types import REAL_TYPES

from .errors import Error, error_of
from .inputs import EPSILON, Arrays
from .libraries import LIBRARIES, Outputs

#: Errors by output, by library.
Errors = Mapping[str, Mapping[str, Error]]


def forward_errors(arrays: Arrays, what: str) -> Errors:
    """Errors of the forward pass; `what` names the arrays, should normgraph break its promise."""
    expected = definition.training(
        *(arrays.input, arrays.gamma, arrays.beta),
        epsilon=EPSILON,
        channel_axis=1,
        statistics_type=REAL_TYPES["f32"],
    )
    results = {name: library.forward(arrays) for name, library in LIBRARIES.items()}
    return _errors(results, expected, what)


def backward_errors(arrays: Arrays, what: str) -> Errors:
    """Errors of the backward pass, at the statistics of normgraph's forward pass in f32."""
    statistics = LIBRARIES["normgraph"].forward(arrays)
    given = (statistics["mean"], statistics["variance"])
    expected = definition.training_backprop(
        *(arrays.input, arrays.gamma, arrays.beta, *given, arrays.normalized_delta),
        epsilon=EPSILON,
        channel_axis=1,
    )
    results = {name: library.backward(arrays, *given) for name, library in LIBRARIES.items()}
    return _errors(results, expected, what)


def _errors(results: Mapping[str, Outputs], expected: Mapping[str, Bounded], what: str) -> Errors:
    for name, bounded in expected.items():
        bounded.check(results["normgraph"][name], f"{what}: {name}")
    return {
        name: {library: error_of(outputs[name], bounded) for library, outputs in results.items()}
        for name, bounded in expected.items()
    }
