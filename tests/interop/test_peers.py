"""benchmarks/peers with PyTorch, JAX and oneDNN: every candidate computes the same as normgraph."""

from __future__ import annotations

import re

import pytest

import normgraph as ng
from benchmarks.peers import measurement
from benchmarks.peers.candidates import CANDIDATES, LeftOut, create
from benchmarks.peers.cases import ELEMENT_TYPES, FORWARD, OPS, Case
from benchmarks.peers.worker import Worker

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(
        measurement.module_file() is None, reason="not built; `make test` builds it"
    ),
]

PEERS = [name for name in CANDIDATES if name != "normgraph"]


def leaves_out(name: str, case: Case) -> bool:
    """A candidate may say what it cannot do."""
    return (
        (name == "numpy" and case.element_type != "f32")
        or (name == "torch autograd" and case.op == FORWARD)
        or (name == "torch mkldnn" and case.channels_last)
    )


#: How oneDNN, and torch where it calls oneDNN, refuse bf16 on a processor without AVX-512.
NO_BF16 = re.compile("avx512|could not create a primitive descriptor|returned the status 3")


def lacks_bf16(name: str, case: Case, reason: str) -> bool:
    """Whether the processor is the reason: some of oneDNN's kernels for bf16 need AVX-512."""
    return (
        name in ("oneDNN", "torch mkldnn")
        and case.element_type == "bf16"
        and "avx512" not in ng.implementations()
        and NO_BF16.search(reason) is not None
    )


@pytest.mark.parametrize("element_type", ELEMENT_TYPES)
@pytest.mark.parametrize("op", OPS.values())
@pytest.mark.parametrize("name", PEERS)
def test_a_peer_agrees_with_normgraph(name: str, op: str, element_type: str) -> None:
    try:
        create(name, 1)
    except LeftOut as reason:
        pytest.skip(str(reason))
    worker = Worker(1, ["normgraph", name])
    module = measurement.load()
    shapes = [shape for shape in measurement.shapes() if not shape.cold]
    for shape in shapes:
        for layout in module.layouts_of(shape):
            case = Case(op, shape, element_type, layout, 1)
            result = worker.measure(case, rounds=1, seconds=0)
            if lacks_bf16(name, case, result["left_out"].get(name, "")):
                continue
            assert (name in result["left_out"]) == leaves_out(name, case), result
            assert (name in result["seconds"]) != leaves_out(name, case)
