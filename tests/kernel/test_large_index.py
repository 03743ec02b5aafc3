"""More than 2**31 elements, in little memory: views with zero strides, channel outputs alone."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

pytest.importorskip("resource", reason="peak memory is measured with getrusage")

# Four distinct values, each repeated along an axis of stride 0: 4·(2**29 + 3) = 2**31 + 12 elements
# in one channel. All sums are sums of small integers, exact in double; 32-bit counts would wrap.
PRELUDE = """
    import resource, sys
    import numpy as np
    import normgraph as ng

    REPEATS = 2**29 + 3

    def expanded(values):
        column = np.array(values, np.float32).reshape(4, 1, 1)
        return np.broadcast_to(column, (4, 1, REPEATS))

    def peak():
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

    input = expanded([1, 2, 3, 6])
    delta = expanded([3, -1, 4, 1])
    assert input.size > 2**31
    one = np.ones(1, np.float32)
    ng.batch_norm_training(np.ones((2, 2), np.float32), None, None)
    before = peak()
"""

TRAINING = """
    result = ng.batch_norm_training(input, one, one, outputs=("mean", "variance"))
    assert result.normalized is None
    assert result.mean.tolist() == [3.0], result
    assert result.variance.tolist() == [3.5], result  # (4 + 1 + 0 + 9)/4
"""

BACKPROP = """
    mean, variance = np.array([3], np.float32), np.array([4], np.float32)
    result = ng.batch_norm_training_backprop(
        input, one, one, mean, variance, delta, epsilon=0.0, outputs=("gamma_delta", "beta_delta")
    )
    assert result.input_delta is None
    assert result.beta_delta.tolist() == [np.float32(7 * REPEATS)], result
    # Σδ·(x − 3) = −6 + 1 + 0 + 3 = −2, divided by √4
    assert result.gamma_delta.tolist() == [np.float32(-1 * REPEATS)], result
"""

CONCLUSION = """
    growth = peak() - before
    assert growth < 16 * 2**20, f"peak memory grew by {growth} bytes"
"""


@pytest.mark.parametrize("operation", [TRAINING, BACKPROP], ids=["training", "backprop"])
def test_more_than_2_to_the_31_elements(operation: str) -> None:
    program = "".join(map(textwrap.dedent, (PRELUDE, operation, CONCLUSION)))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_more_elements_than_indices_reach_are_refused() -> None:
    program = textwrap.dedent(
        """
        import numpy as np
        import normgraph as ng

        huge = np.lib.stride_tricks.as_strided(
            np.zeros(1, np.float32), (2**30, 1, 2**31 - 1), (0, 0, 0)
        )
        try:
            ng.batch_norm_training(huge, None, None, outputs=["mean"])
        except ValueError as error:
            assert str(error).startswith("input: expected"), error
        else:
            raise AssertionError("accepted")
        """
    )
    # Where they are not refused, they are summed: for years.
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
