"""A call needs no memory beyond its outputs, whatever the strides."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("resource", reason="needs the peak of a process's memory")

GROWTH_OF_A_CALL = """
import resource, sys
import numpy as np
import normgraph as ng

def strided(name, shape):
    n, c, h, w = shape
    if name == "contiguous":
        return np.ones(shape, np.float32)
    if name == "channels last":
        return np.ones((n, h, w, c), np.float32).transpose(0, 3, 1, 2)
    if name == "transposed":
        return np.ones((n, c, w, h), np.float32).transpose(0, 1, 3, 2)
    if name == "sliced":
        return np.ones((n, c, h, 2 * w), np.float32)[..., ::2]
    return np.broadcast_to(np.ones((c, 1, 1), np.float32), shape)

shape = (16, 64, 96, 96)
input, delta = (strided(name, shape) for name in sys.argv[1:3])
vector = np.ones(shape[1], np.float32)
out = (np.ones(shape, np.float32), vector.copy(), vector.copy())  # ones: memory that is there
warm = tuple(np.ones((2, 3, 4), np.float32) for _ in range(2))
three = np.ones(3, np.float32)
ng.batch_norm_training_backprop(warm[0], three, three, three, three, warm[1], num_threads=2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
ng.batch_norm_training_backprop(
    input, vector, vector, vector, vector, delta, out=out, num_threads=2
)
ng.batch_norm_training(input, vector, vector, out=out, num_threads=2)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""

LAYOUTS = [
    ("contiguous", "contiguous"),
    ("channels last", "contiguous"),
    ("contiguous", "channels last"),
    ("transposed", "contiguous"),
    ("sliced", "sliced"),
    ("contiguous", "expanded"),
]


@pytest.mark.parametrize(("input", "delta"), LAYOUTS)
def test_peak_grows_by_less_than_an_eighth_of_a_tensor(input: str, delta: str) -> None:
    """A tensor of 36 MiB; buffers take some hundred KiB for each thread."""
    done = subprocess.run(
        [sys.executable, "-c", GROWTH_OF_A_CALL, input, delta],
        capture_output=True,
        text=True,
        check=True,
    )
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    assert int(done.stdout) * unit < 36 * 2**20 / 8
