"""jit, vmap, scan, checkpoint, donation, and calls from many threads."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import warnings
from typing import Any

import numpy as np
import pytest

import normgraph as ng

pytestmark = pytest.mark.interop
jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402
from jax import export  # noqa: E402

import normgraph.jax as ngj  # noqa: E402

from .samples import (  # noqa: E402
    DTYPE_PAIRS,
    LAYOUTS,
    assert_same,
    axis_of,
    function,
    layer,
    with_type,
)


def run_python(program: str, **environment: str) -> str:
    """What a program prints in a process of its own."""
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        text=True,
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


# ---- vmap ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtypes", DTYPE_PAIRS, ids=str)
def test_vmap_has_the_bits_of_separate_calls(dtypes: tuple[str, str], layout: str) -> None:
    problems = [layer(*dtypes, layout, seed) for seed in range(3)]
    axis = axis_of(layout)
    with with_type(dtypes[0]):
        x, gamma = (jnp.stack(arrays) for arrays in list(zip(*problems, strict=True))[:2])
        beta, delta = jnp.asarray(problems[0].beta), jnp.asarray(problems[0].delta)

        def gradients(x: Any, gamma: Any) -> Any:
            call = function("training", "relu", channel_axis=axis)
            results, pull_back = jax.vjp(lambda *arrays: call(*arrays, beta), x, gamma)
            zeros = jnp.zeros_like(results.mean)
            return results, pull_back(ngj.BatchNormTrainingResult(delta, zeros, zeros))

        found = jax.jit(jax.vmap(gradients))(x, gamma)
        for index in range(3):
            expected = gradients(x[index], gamma[index])
            for left, right in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
                assert_same(left[index], right)


def test_vmap_over_some_arguments_and_other_axes() -> None:
    given, other = layer(seed=1), layer(seed=2)
    call = ngj.batch_norm_training
    gammas = jnp.stack([given.gamma, other.gamma])
    found = jax.vmap(call, (None, 0, None))(given.input, gammas, given.beta)
    for index, gamma in enumerate(gammas):
        for left, right in zip(found, call(given.input, gamma, given.beta), strict=True):
            assert_same(left[index], right)
    behind = jnp.stack([given.input, other.input], axis=-1)
    found = jax.vmap(call, (-1, None, None), out_axes=-1)(behind, given.gamma, given.beta)
    for index, one in enumerate((given, other)):
        expected = call(one.input, given.gamma, given.beta)
        for left, right in zip(found, expected, strict=True):
            assert_same(left[..., index], right)


def test_vmap_within_vmap() -> None:
    x = jnp.stack([layer(seed=seed).input for seed in range(2)])
    gammas = jnp.stack([layer(seed=seed).gamma for seed in range(3)])
    given = layer()

    def call(x: Any, gamma: Any) -> Any:
        return ngj.batch_norm_inference(x, gamma, given.beta, given.mean, given.variance)

    found = jax.vmap(jax.vmap(call, (None, 0)), (0, None))(x, gammas)
    for row in range(2):
        for column in range(3):
            assert_same(found[row, column], call(x[row], gammas[column]))


def test_gradients_per_example() -> None:
    given = layer()

    def loss(gamma: Any, x: Any) -> Any:
        mean, variance = jnp.asarray(given.mean), jnp.asarray(given.variance)
        return (ngj.batch_norm_inference(x, gamma, given.beta, mean, variance) ** 2).sum()

    samples = jnp.asarray(given.input)[:, None]
    found = jax.jit(jax.vmap(jax.grad(loss), (None, 0)))(given.gamma, samples)
    for index, sample in enumerate(samples):
        np.testing.assert_allclose(found[index], jax.grad(loss)(given.gamma, sample), rtol=1e-6)


# ---- jit ----------------------------------------------------------------------------------------


def test_donated_memory_is_written_over() -> None:
    given = layer(layout="blocks")

    def normalize(x: Any) -> Any:
        return ngj.batch_norm_training(x, given.gamma, given.beta, donate=True).output

    x = jnp.array(given.input)
    address = x.unsafe_buffer_pointer()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # JAX's, that a donated buffer was not usable
        jitted = jax.jit(normalize, donate_argnums=0)
        # Else XLA would copy the result into the donated memory.
        assert jitted.lower(x).compile().memory_analysis().temp_size_in_bytes < x.nbytes / 4
        y = jitted(x)
    assert x.is_deleted()
    assert y.unsafe_buffer_pointer() == address
    assert_same(y, ng.batch_norm_training(*given[:3]).normalized)


def test_without_donation_the_input_stays() -> None:
    given = layer()
    x = jnp.array(given.input)
    call = jax.jit(lambda x: (ngj.batch_norm_training(x, None, None, donate=True).output, x))
    for _ in range(2):
        y, same = call(x)
        assert_same(x, given.input)
        assert_same(same, given.input)
        assert_same(y, ng.batch_norm_training(given.input, None, None).normalized)


@pytest.mark.parametrize("activation", ["", "relu", "add_relu"])
def test_donation_changes_no_gradient(activation: str) -> None:
    given = layer()
    residual = [given.residual] if activation == "add_relu" else []

    def gradients(donate: bool) -> Any:
        call = function("training", activation, donate=donate)

        def loss(x: Any, gamma: Any, *residual: Any) -> Any:
            delta = jnp.asarray(given.delta)
            y = call(call(x, gamma, given.beta, *residual).output, gamma, None, *residual).output
            return (y * delta).sum() + (x * delta).sum()

        return jax.jit(jax.grad(loss, (0, 1)))(given.input, given.gamma, *residual)

    for left, right in zip(gradients(True), gradients(False), strict=True):
        assert_same(left, right)


def test_donation_under_vmap() -> None:
    given, other = layer(seed=1), layer(seed=2)
    gammas = jnp.stack([given.gamma, other.gamma])

    def call(x: Any, gamma: Any) -> Any:
        return ngj.batch_norm_training(x, gamma, None, donate=True).output

    found = jax.jit(jax.vmap(call, (None, 0)))(given.input, gammas)
    for index, gamma in enumerate(gammas):
        assert_same(found[index], ng.batch_norm_training(given.input, np.asarray(gamma), None)[0])


def network(x: Any, gammas: Any, checkpoint: bool) -> Any:
    def step(carried: Any, gamma: Any) -> Any:
        output, mean, _ = ngj.batch_norm_training_relu(carried, gamma, None)
        return output + carried, mean

    return jax.lax.scan(jax.checkpoint(step) if checkpoint else step, x, gammas)


@pytest.mark.parametrize("checkpoint", [False, True])
def test_scan_and_checkpoint_have_the_bits_of_a_loop(checkpoint: bool) -> None:
    given = layer()
    gammas = jnp.stack([given.gamma * factor for factor in (0.5, 1.0, 2.0)])

    def loop(x: Any, gammas: Any) -> Any:
        means = []
        for gamma in gammas:
            output, mean, _ = ngj.batch_norm_training_relu(x, gamma, None)
            x = output + x
            means.append(mean)
        return x, jnp.stack(means)

    def gradients(call: Any) -> Any:
        def loss(x: Any, gammas: Any) -> Any:
            output, means = call(x, gammas)
            return (output * given.delta).sum(), means

        return jax.jit(jax.grad(loss, (0, 1), has_aux=True))(jnp.asarray(given.input), gammas)

    found = gradients(lambda x, gammas: network(x, gammas, checkpoint))
    for left, right in zip(jax.tree.leaves(found), jax.tree.leaves(gradients(loop)), strict=True):
        np.testing.assert_allclose(left, right, rtol=2e-6, atol=2e-6)
    assert_same(found[1], gradients(loop)[1])


def test_layers_beside_others_of_xla() -> None:
    """A step of training that uses running statistics, twice the same bits."""
    given = layer()
    kernel = jax.random.normal(jax.random.key(0), (5, 5, 3, 3)) / 7

    @jax.jit
    def step(kernel: Any, gamma: Any, running: Any) -> Any:
        def loss(kernel: Any, gamma: Any) -> Any:
            x = jax.lax.conv(given.input, kernel, (1, 1), "SAME")
            y, mean, variance = ngj.batch_norm_training_relu(x, gamma, None)
            moved = [
                0.9 * old + 0.1 * new for old, new in zip(running, (mean, variance), strict=True)
            ]
            return (y * given.delta).sum(), moved

        return jax.grad(loss, (0, 1), has_aux=True)(kernel, gamma)

    running = [jnp.zeros(5), jnp.ones(5)]
    first, second = (jax.tree.leaves(step(kernel, given.gamma, running)) for _ in range(2))
    for left, right in zip(first, second, strict=True):
        assert np.isfinite(left).all()
        assert_same(left, right)


def test_an_exported_function_runs_where_normgraph_is() -> None:
    given = layer()
    jitted = jax.jit(lambda x: ngj.batch_norm_training(x, None, None).output)
    check = export.DisabledSafetyCheck.custom_call("normgraph.BatchNormTraining")
    exported = export.export(jitted, disabled_checks=[check])(given.input)
    found = export.deserialize(exported.serialize()).call(given.input)
    assert_same(found, ng.batch_norm_training(given.input, None, None).normalized)


# ---- threads ------------------------------------------------------------------------------------


def test_many_calls_from_many_threads_do_not_hang() -> None:
    """More of them than either pool has threads, large enough for kernels to share their work."""
    printed = run_python(
        """
        import threading
        import jax, jax.numpy as jnp, numpy as np
        import normgraph as ng
        import normgraph.jax as ngj

        ng.set_num_threads(4)
        x = np.random.default_rng(0).normal(0, 1, (64, 16, 14, 14)).astype(np.float32)

        @jax.jit
        def gradient(x):
            def loss(x):
                # Branches that XLA may run at once.
                parts = [ngj.batch_norm_training(x * k, None, None).output for k in (1.0, 2.0, 3.0)]
                return sum((part**3).sum() for part in parts)
            return jax.grad(loss)(x)

        expected = np.asarray(gradient(x)).tobytes()
        wrong = []

        def work():
            for _ in range(20):
                if np.asarray(gradient(x)).tobytes() != expected:
                    wrong.append(1)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print("wrong", len(wrong))
        """
    )
    assert printed.split() == ["wrong", "0"]


def test_bits_do_not_depend_on_threads() -> None:
    given = layer(layout="blocks")
    call = jax.jit(lambda x: ngj.batch_norm_training(x, given.gamma, given.beta))
    threads = ng.get_num_threads()
    try:
        results = []
        for count in (1, 2, 5):
            ng.set_num_threads(count)
            results.append([np.asarray(array).tobytes() for array in call(given.input)])
    finally:
        ng.set_num_threads(threads)
    assert results[0] == results[1] == results[2]


def test_importing_normgraph_loads_no_jax() -> None:
    assert run_python("import sys, normgraph; print('jax' in sys.modules)").strip() == "False"
