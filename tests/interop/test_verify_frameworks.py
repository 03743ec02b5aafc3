"""`verify` on functions of torch and JAX: their gradients are taken, their mistakes named."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import normgraph as ng
from normgraph import cli
from normgraph.verification import UnusableError
from tests.verification.test_backward import mistakes_in

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
jnp = pytest.importorskip("jax.numpy")

pytestmark = pytest.mark.interop

ROWS = np.random.default_rng(3).normal(size=(12, 5))
IMAGES = np.random.default_rng(3).normal(size=(2, 4, 3, 3))

Arguments = dict[str, Any]
Case = Callable[[bool], Arguments]


def of(output: str, *mistakes: str) -> set[tuple[str, str]]:
    return {(output, mistake) for mistake in mistakes}


# ---- torch.autograd.Function ---------------------------------------------------------------------


def autograd_function(gradients: Callable[..., Any], unbiased: bool = False) -> Any:
    """A class whose backward returns `gradients(delta, x_hat, gamma, inv)`."""

    class BatchNormFunction(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, gamma: Any, beta: Any, eps: float = 1e-5) -> Any:
            inv = 1 / torch.sqrt(x.var(dim=0, unbiased=unbiased) + eps)
            x_hat = (x - x.mean(dim=0)) * inv
            ctx.save_for_backward(x_hat, gamma, inv)
            return gamma * x_hat + beta

        @staticmethod
        def backward(ctx: Any, grad_output: Any) -> Any:
            return (*gradients(grad_output, *ctx.saved_tensors), None)

    return BatchNormFunction


def right_gradients(delta: Any, x_hat: Any, gamma: Any, inv: Any) -> tuple[Any, Any, Any]:
    dgamma, dbeta = (delta * x_hat).sum(0), delta.sum(0)
    return gamma * inv * (delta - (dbeta + x_hat * dgamma) / len(delta)), dgamma, dbeta


def function_without_mean_path(right: bool) -> Arguments:
    def gradients(delta: Any, x_hat: Any, gamma: Any, inv: Any) -> Any:
        dx, dgamma, dbeta = right_gradients(delta, x_hat, gamma, inv)
        return dx if right else dx + gamma * inv * dbeta / len(delta), dgamma, dbeta

    return {"forward": autograd_function(gradients), "example": ROWS}


def function_with_gradients_swapped(right: bool) -> Arguments:
    def gradients(delta: Any, x_hat: Any, gamma: Any, inv: Any) -> Any:
        dx, dgamma, dbeta = right_gradients(delta, x_hat, gamma, inv)
        return (dx, dgamma, dbeta) if right else (dx, dbeta, dgamma)

    return {"forward": autograd_function(gradients).apply, "example": ROWS}


def function_of_torchs_own_variance(right: bool) -> Arguments:
    """torch.var divides by n - 1 unless told otherwise; the backward is that of n."""
    return {"forward": autograd_function(right_gradients, not right), "example": ROWS}


def function_of_the_derivation(right: bool) -> Arguments:
    """The factor n/(n - 1) that a published derivation has, with the biased variance."""

    def gradients(delta: Any, x_hat: Any, gamma: Any, inv: Any) -> Any:
        n = len(delta)
        _, dgamma, dbeta = right_gradients(delta, x_hat, gamma, inv)
        factor = 1 if right else n / (n - 1)
        dx = gamma * inv / n * (n * delta - dbeta - factor * x_hat * dgamma)
        return dx, dgamma, dbeta

    return {"forward": autograd_function(gradients), "example": ROWS}


def function_that_centers_in_place(right: bool) -> Arguments:
    """Inside of forward autograd does not watch: the caller's tensor is centered."""

    class Centering(torch.autograd.Function):
        @staticmethod
        def forward(x: Any, gamma: Any, beta: Any) -> Any:
            mean = x.mean(0)
            centered = x - mean if right else x.sub_(mean)
            inv = 1 / torch.sqrt((centered**2).mean(0) + 1e-5)
            return gamma * centered * inv + beta, centered * inv, inv

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(output[1], inputs[1], output[2])
            ctx.mark_non_differentiable(*output[1:])

        @staticmethod
        def backward(ctx: Any, delta: Any, *_: Any) -> Any:
            return right_gradients(delta, *ctx.saved_tensors)

    return {"forward": Centering, "example": ROWS}


# ---- torch modules -------------------------------------------------------------------------------


class Module(torch.nn.Module):
    """A module for arrays (N, C, H, W), as people write it to understand it."""

    def __init__(self, channels: int = 4, right: bool = True) -> None:
        super().__init__()
        self.right = right
        self.weight = torch.nn.Parameter(torch.ones(channels))
        self.bias = torch.nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.eps, self.momentum = 1e-5, 0.1

    def statistics(self, x: Any) -> tuple[Any, Any]:
        return x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)

    def update(self, mean: Any, var: Any, n: int) -> None:
        with torch.no_grad():
            self.running_mean += self.momentum * (mean - self.running_mean)
            self.running_var += self.momentum * (var * n / (n - 1) - self.running_var)

    def forward(self, x: Any) -> Any:
        mean, var = self.statistics(x)
        self.update(mean, var, x.numel() // x.shape[1])
        shape = (1, -1, 1, 1)
        x_hat = (x - mean.view(shape)) / torch.sqrt(var.view(shape) + self.eps)
        return self.weight.view(shape) * x_hat + self.bias.view(shape)


def module(**methods: Any) -> Case:
    """A module with these methods where it is wrong."""

    def case(right: bool) -> Arguments:
        kind = Module if right else type("Wrong", (Module,), methods)
        return {"forward": kind(), "example": IMAGES}

    return case


def without_gradient(self: Any, x: Any) -> Any:
    """Statistics are taken for constants."""
    with torch.no_grad():
        return x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)


def detached_variance(self: Any, x: Any) -> Any:
    return x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False).detach()


def torchs_own_variance(self: Any, x: Any) -> Any:
    return x.mean((0, 2, 3)), x.var((0, 2, 3))


def update_as_given(self: Any, mean: Any, var: Any, n: int) -> None:
    with torch.no_grad():
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(var, self.momentum)


def update_on_the_wrong_side(self: Any, mean: Any, var: Any, n: int) -> None:
    with torch.no_grad():
        self.running_mean = self.momentum * self.running_mean + (1 - self.momentum) * mean
        var = var * n / (n - 1)
        self.running_var = self.momentum * self.running_var + (1 - self.momentum) * var


def update_of_local_names(self: Any, mean: Any, var: Any, n: int) -> None:
    running_mean, running_var = self.running_mean, self.running_var
    running_mean = 0.9 * running_mean + 0.1 * mean
    running_var = 0.9 * running_var + 0.1 * var


def update_in_the_graph(self: Any, mean: Any, var: Any, n: int) -> None:
    self.running_mean = 0.9 * self.running_mean + 0.1 * mean
    self.running_var = 0.9 * self.running_var + 0.1 * var * n / (n - 1)


# ---- plain torch functions -----------------------------------------------------------------------


def textbook_function(right: bool) -> Arguments:
    """Two cases by the rank, moving averages with the momentum of the old; over the batch alone."""

    def batch_norm(
        x: Any, gamma: Any, beta: Any, moving_mean: Any, moving_var: Any, eps: float,
        momentum: float,
    ) -> Any:  # fmt: skip
        axes = (0, 2, 3) if right else (0,)
        mean = x.mean(dim=axes, keepdim=True)
        var = ((x - mean) ** 2).mean(dim=axes, keepdim=True)
        x_hat = (x - mean) / torch.sqrt(var + eps)
        moving_mean = momentum * moving_mean + (1.0 - momentum) * mean
        moving_var = momentum * moving_var + (1.0 - momentum) * var
        return gamma * x_hat + beta, moving_mean.data, moving_var.data

    vectors = np.ones((2, 1, 4, 1, 1))
    return {"forward": batch_norm, "example": (IMAGES, *vectors), "running_unbiased": False}


def wrong_axes(x: Any, gamma: Any, beta: Any) -> Any:
    mean, var = x.mean(dim=0, keepdim=True), x.var(dim=0, keepdim=True, unbiased=False)
    return gamma * (x - mean) / torch.sqrt(var + 1e-5) + beta


def pair_of_torch_functions(right: bool) -> Arguments:
    """forward and backward of tensors; the gradients of gamma and beta are averaged."""

    def forward(x: Any, gamma: Any, beta: Any, eps: float) -> Any:
        inv = torch.rsqrt(x.var(dim=0, unbiased=False) + eps)
        x_hat = (x - x.mean(dim=0)) * inv
        return gamma * x_hat + beta, {"x_hat": x_hat, "gamma": gamma, "inv": inv}

    def backward(grad_output: Any, ctx: Any) -> Any:
        dx, dgamma, dbeta = right_gradients(grad_output, *ctx.values())
        n = 1 if right else len(grad_output)
        return dx, dgamma / n, dbeta / n

    return {"forward": forward, "backward": backward, "example": ROWS}


# ---- JAX -----------------------------------------------------------------------------------------


def rule_forward(x: Any, gamma: Any, beta: Any) -> Any:
    inv = 1 / jnp.sqrt(x.var(axis=0) + 1e-5)
    x_hat = (x - x.mean(axis=0)) * inv
    return gamma * x_hat + beta, (x_hat, gamma, inv)


def custom(backward: Callable[..., Any], forward: Any = rule_forward) -> Any:
    @jax.custom_vjp
    def batch_norm(x: Any, gamma: Any, beta: Any) -> Any:
        return rule_forward(x, gamma, beta)[0]

    batch_norm.defvjp(forward, backward)
    return batch_norm


def rule_without_variance_path(right: bool) -> Arguments:
    def bwd(res: Any, g: Any) -> Any:
        x_hat, gamma, inv = res
        dx, dgamma, dbeta = right_gradients(g, x_hat, gamma, inv)
        return dx if right else gamma * inv * (g - g.mean(axis=0)), dgamma, dbeta

    return {"forward": custom(bwd), "example": ROWS}


def rule_that_averages(right: bool) -> Arguments:
    def bwd(res: Any, g: Any) -> Any:
        dx, dgamma, dbeta = right_gradients(g, *res)
        n = 1 if right else len(g)
        return dx, dgamma / n, dbeta / n

    return {"forward": jax.jit(custom(bwd)), "example": ROWS}


def rules_of_two_forwards(right: bool) -> Arguments:
    """The forward rule forgets epsilon, which the function has."""

    def fwd(x: Any, gamma: Any, beta: Any) -> Any:
        if right:
            return rule_forward(x, gamma, beta)
        inv = 1 / x.std(axis=0)
        x_hat = (x - x.mean(axis=0)) * inv
        return gamma * x_hat + beta, (x_hat, gamma, inv)

    return {"forward": custom(lambda res, g: right_gradients(g, *res), fwd), "example": ROWS}


def pair_of_rules(right: bool) -> Arguments:
    """fwd and bwd(residuals, g), and an epsilon that is not differentiated comes first."""

    def fwd(x: Any, gamma: Any, beta: Any, eps: float) -> Any:
        inv = 1 / jnp.sqrt(jnp.var(x, axis=0) + eps)
        return gamma * (x - x.mean(0)) * inv + beta, (x - x.mean(0), gamma, inv)

    def bwd(eps: float, residuals: Any, g: Any) -> Any:
        centered, gamma, inv = residuals
        dx, dgamma, dbeta = right_gradients(g, centered * inv, gamma, inv)
        return dx if right else dx / inv, dgamma, dbeta

    return {"forward": fwd, "backward": bwd, "example": ROWS}


def gradients_stopped(right: bool) -> Arguments:
    """stop_gradient around the variance, of a function of a dict of parameters."""

    def batch_norm(params: Any, x: Any) -> Any:
        variance = x.var(axis=0) if right else jax.lax.stop_gradient(x.var(axis=0))
        x_hat = (x - x.mean(axis=0)) * jax.lax.rsqrt(variance + 1e-5)
        return params["scale"] * x_hat + params["bias"]

    return {"forward": batch_norm, "example": ROWS}


def functional_running_statistics(right: bool) -> Arguments:
    """New running statistics are returned; the sign of the mean's is wrong."""

    @jax.jit
    def batch_norm(x: Any, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> Any:
        y = rule_forward(x, gamma, beta)[0]
        sign = 1 if right else -1
        new_mean = 0.99 * running_mean + sign * 0.01 * x.mean(axis=0)
        return y, (new_mean, 0.99 * running_var + 0.01 * x.var(axis=0))

    def forward(
        x: Any, gamma: Any, beta: Any, running_mean: Any, running_var: Any, train: bool
    ) -> Any:
        return batch_norm(x, gamma, beta, running_mean, running_var)

    return {"forward": forward, "example": ROWS}


WILD: dict[str, tuple[Case, set[tuple[str, str]]]] = {
    "torch Function: mean path missing": (
        function_without_mean_path,
        of("input_delta", "missing_mean_path"),
    ),
    "torch Function: swapped": (
        function_with_gradients_swapped,
        of("gamma_delta", "sum_without_x_hat") | of("beta_delta", "swapped"),
    ),
    "torch Function: torch.var": (
        function_of_torchs_own_variance,
        of("normalized", "unbiased_variance") | of("input_delta", "n_instead_of_n_minus_1"),
    ),
    "torch Function: n - 1": (function_of_the_derivation, of("input_delta", "n_minus_1")),
    "torch Function: in place": (
        function_that_centers_in_place,
        of("forward", "modifies_input"),
    ),
    "module: no_grad": (
        module(statistics=without_gradient),
        of("input_delta", "frozen_statistics"),
    ),
    "module: detach": (
        module(statistics=detached_variance),
        of("input_delta", "missing_variance_path"),
    ),
    "module: torch.var": (
        module(statistics=torchs_own_variance, update=update_as_given),
        of("normalized", "unbiased_variance"),
    ),
    "module: biased": (module(update=update_as_given), of("forward", "running_biased")),
    "module: momentum": (
        module(update=update_on_the_wrong_side),
        of("forward", "running_momentum"),
    ),
    "module: local names": (
        module(update=update_of_local_names),
        of("forward", "running_not_updated"),
    ),
    "module: in the graph": (
        module(update=update_in_the_graph),
        of("forward", "running_not_detached"),
    ),
    "torch function: axes": (textbook_function, of("normalized", "wrong_axis")),
    "torch pair: averaged": (
        pair_of_torch_functions,
        of("gamma_delta", "averaged") | of("beta_delta", "averaged"),
    ),
    "custom_vjp: variance path": (
        rule_without_variance_path,
        of("input_delta", "missing_variance_path"),
    ),
    "custom_vjp: averaged": (
        rule_that_averages,
        of("gamma_delta", "averaged") | of("beta_delta", "averaged"),
    ),
    "custom_vjp: two forwards": (rules_of_two_forwards, of("backward", "rules_differ")),
    "fwd and bwd: inv missing": (pair_of_rules, of("input_delta", "inv_missing")),
    "JAX function: stop_gradient": (gradients_stopped, of("input_delta", "missing_variance_path")),
    "JAX function: running": (functional_running_statistics, of("forward", "running_sign")),
}


@pytest.mark.parametrize("name", WILD)
def test_mistake_found_in_the_wild_is_named(name: str) -> None:
    functions, mistakes = WILD[name]
    verification = ng.verify(**functions(False))
    assert mistakes_in(verification) == mistakes, str(verification)


@pytest.mark.parametrize("name", WILD)
def test_corrected_function_passes(name: str) -> None:
    functions, _ = WILD[name]
    verification = ng.verify(**functions(True))
    assert verification.passed, str(verification)
    compared = {(m.output, m.against) for m in verification.measurements}
    for output in ("input_delta", "gamma_delta", "beta_delta"):
        assert (output, "finite differences") in compared
    # All of it is in double: its tolerances are those of the functions of numpy.
    assert all(m.tolerance < 1e-8 for m in verification.measurements)


# ---- layers of the frameworks --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (torch.nn.BatchNorm1d(5), ROWS),
        (torch.nn.BatchNorm2d(4, momentum=0.3), IMAGES),
        (torch.nn.BatchNorm2d(4, track_running_stats=False), IMAGES),
        (torch.nn.Sequential(torch.nn.BatchNorm2d(4)), IMAGES),
    ],
    ids=["1d", "2d", "without running statistics", "inside another"],
)
def test_torchs_layers_pass(layer: Any, x: Any) -> None:
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    verification = ng.verify(layer, example=x)
    assert verification.passed, str(verification)
    assert {"gamma_delta", "beta_delta"} <= {m.output for m in verification.measurements}
    for name, value in layer.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(parameter.grad is None for parameter in layer.parameters())


def test_torchs_function_passes() -> None:
    verification = ng.verify(torch.nn.functional.batch_norm, None, IMAGES)
    assert verification.passed, str(verification)
    assert verification.notes == ()
    threads = torch.get_num_threads()

    def forward(
        x: Any, gamma: Any, beta: Any, running_mean: Any, running_var: Any, momentum: float
    ) -> Any:
        assert torch.get_num_threads() == 1
        statistics = (running_mean, running_var)
        return torch.nn.functional.batch_norm(x, *statistics, gamma, beta, True, momentum)

    (note,) = ng.verify(forward, None, IMAGES).notes
    assert note.endswith(": momentum is the weight of what the batch adds")
    assert torch.get_num_threads() == threads


def test_a_module_in_eval_mode_normalizes_with_constants() -> None:
    layer = torch.nn.BatchNorm1d(5).eval()
    assert mistakes_in(ng.verify(layer, None, ROWS)) == {("normalized", "constant_statistics")}
    verification = ng.verify(layer, None, ROWS, statistics=(np.zeros(5), np.ones(5)))
    assert verification.passed, str(verification)


def test_a_weight_is_gamma_whatever_forward_computes() -> None:
    wrong = WILD["module: torch.var"][0](False)
    verification = ng.verify(**wrong)
    assert "gamma_delta" in {m.output for m in verification.measurements}
    assert verification.notes == ()


def test_a_rule_may_have_arguments_that_are_not_differentiated() -> None:
    @functools.partial(jax.custom_vjp, nondiff_argnums=(0, 4))
    def batch_norm(eps: float, x: Any, gamma: Any, beta: Any, train: bool = True) -> Any:
        return fwd(eps, x, gamma, beta, train)[0]

    def fwd(eps: float, x: Any, gamma: Any, beta: Any, train: bool) -> Any:
        assert train is True
        inv = jax.lax.rsqrt(x.var(axis=0) + eps)
        x_hat = (x - x.mean(axis=0)) * inv
        return gamma * x_hat + beta, (x_hat, gamma, inv)

    def bwd(eps: float, train: bool, res: Any, g: Any) -> Any:
        return right_gradients(g, *res)

    batch_norm.defvjp(fwd, bwd)
    verification = ng.verify(lambda x, gamma, beta: batch_norm(1e-5, x, gamma, beta), None, ROWS)
    assert verification.passed, str(verification)
    verification = ng.verify(batch_norm, None, ROWS, epsilon=0.3)
    assert verification.passed, str(verification)


def test_a_large_example_is_sampled() -> None:
    x = np.random.default_rng(0).normal(size=(40_000, 5))
    verification = ng.verify(torch.nn.BatchNorm1d(5), None, x)
    assert verification.passed, str(verification)
    assert "a random sample of it" in verification.notes[0]


def test_the_layers_of_this_package_pass() -> None:
    import normgraph.jax
    import normgraph.torch

    assert ng.verify(normgraph.torch.BatchNorm2d(4), None, IMAGES)

    def batch_norm(x: Any, gamma: Any, beta: Any) -> Any:
        return normgraph.jax.batch_norm_training(x, gamma, beta)

    verification = ng.verify(batch_norm, None, IMAGES)
    assert verification.passed, str(verification)


def test_examples_can_be_tensors() -> None:
    x = torch.from_numpy(ROWS).requires_grad_()
    assert ng.verify(torch.nn.BatchNorm1d(5), None, x)
    assert ng.verify(lambda x, gamma, beta: wrong_axes(x, gamma, beta), None, x)
    assert ng.verify(
        lambda x, gamma, beta: rule_forward(x, gamma, beta)[0], None, jnp.asarray(ROWS)
    )


def test_annotations_tell_tensors() -> None:
    """Its code would run on numpy arrays, whose variance is another."""

    def forward(x: torch.Tensor, gamma: torch.Tensor, beta: torch.Tensor) -> torch.Tensor:
        return gamma * (x - x.mean(0)) / (x.var(0) + 1e-5) ** 0.5 + beta

    found = mistakes_in(ng.verify(forward, lambda delta: None, ROWS))
    assert ("normalized", "unbiased_variance") in found


def test_flax_modules_are_refused_with_what_to_write() -> None:
    linen = pytest.importorskip("flax.linen")
    layer = linen.BatchNorm(use_running_average=False)
    with pytest.raises(TypeError, match=r"^forward: .* got the Flax module BatchNorm; write one "):
        ng.verify(layer, None, ROWS)
    statistics = {"mean": jnp.zeros(5), "var": jnp.ones(5)}

    def forward(x: Any, gamma: Any, beta: Any) -> Any:
        variables = {"params": {"scale": gamma, "bias": beta}, "batch_stats": statistics}
        return layer.apply(variables, x, mutable=["batch_stats"])[0]

    verification = ng.verify(forward, None, ROWS)
    assert verification.passed, str(verification)


def test_a_function_of_numpy_arrays_may_make_use_of_torch() -> None:
    def forward(x: Any, gamma: Any, beta: Any) -> Any:
        y, _ = pair_of_torch_functions(True)["forward"](*map(torch.tensor, (x, gamma, beta)), 1e-5)
        return y.numpy(), (x, gamma)

    def backward(dout: Any, cache: Any) -> Any:
        x, gamma = cache
        inv = 1 / np.sqrt(x.var(axis=0) + 1e-5)
        return right_gradients(dout, (x - x.mean(axis=0)) * inv, gamma, inv)

    assert ng.verify(forward, backward, ROWS)


def test_gradients_of_a_tensor_in_a_closure_are_put_back() -> None:
    gamma = torch.ones(5, dtype=torch.float64, requires_grad=True)

    def forward(x: Any) -> Any:
        return wrong_axes(x, gamma, torch.zeros(5))

    verification = ng.verify(forward, None, ROWS)
    assert verification.passed, str(verification)
    assert "gamma_delta" in {m.output for m in verification.measurements}
    assert gamma.grad is None
    assert (gamma == 1).all()


# ---- refusals ------------------------------------------------------------------------------------


class Plain:
    """A class for which no instance has been made."""

    def forward(self, x: Any) -> Any:
        return x


@pytest.mark.parametrize(
    ("forward", "backward", "message"),
    [
        (lambda x: x, None, "backward: expected a function, got None; it can be left out for"),
        (torch.nn.BatchNorm1d, None, r"forward: expected a module, got the class BatchNorm1d: ver"),
        (Plain, None, r"forward: expected a function, got the class Plain; make a layer = Plain"),
        (torch.nn.BatchNorm1d(5), ROWS, r"backward: expected a function or None, got ndarray; th"),
        (
            autograd_function(right_gradients).forward,
            autograd_function(right_gradients).backward,
            "forward: it takes the ctx of a torch.autograd.Function; give the class itself",
        ),
    ],
)
def test_refusal_says_what_to_write(forward: Any, backward: Any, message: str) -> None:
    with pytest.raises(TypeError, match=f"^{message}"):
        ng.verify(forward, backward, ROWS)


def test_a_y_without_a_way_back_is_named() -> None:
    def forward(x: Any, gamma: Any, beta: Any) -> Any:
        return wrong_axes(x.detach(), gamma.detach(), beta.detach())

    verification = ng.verify(forward, None, ROWS)
    assert mistakes_in(verification) == {("backward", "raised")}
    assert "no way from y back to x" in verification.findings[0].words


def test_what_a_framework_refuses_is_told_in_its_words() -> None:
    with pytest.raises(UnusableError, match=r"^forward: called with \(x\), .* expected 4D input"):
        ng.verify(torch.nn.BatchNorm2d(5), None, ROWS)

    def rank_one(delta: Any, x_hat: Any, gamma: Any, inv: Any) -> Any:
        return delta[0, :3], gamma, gamma

    verification = ng.verify(autograd_function(rank_one), None, ROWS)
    assert mistakes_in(verification) == {("backward", "raised")}
    assert "invalid gradient at index 0" in verification.findings[0].words


# ---- the command ---------------------------------------------------------------------------------

FILES = {
    "module": """
import torch

class BatchNorm(torch.nn.BatchNorm1d):
    def forward(self, x):
        return super().forward(x) FACTOR

layer = BatchNorm(5)
""",
    "autograd function": """
import torch

class Normalize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, gamma, beta):
        inv = torch.rsqrt(x.var(0, unbiased=False) + 1e-5)
        xhat = (x - x.mean(0)) * inv
        ctx.save_for_backward(xhat, gamma, inv)
        return (gamma * xhat + beta) FACTOR

    @staticmethod
    def backward(ctx, dout):
        xhat, gamma, inv = ctx.saved_tensors
        dgamma, dbeta = (dout * xhat).sum(0), dout.sum(0)
        return gamma * inv * (dout - (dbeta + xhat * dgamma) / len(dout)), dgamma, dbeta
""",
    "custom_vjp": """
import jax

def bn_fwd(x, gamma, beta):
    inv = jax.lax.rsqrt(x.var(0) + 1e-5)
    xhat = (x - x.mean(0)) * inv
    return (gamma * xhat + beta) FACTOR, (xhat, gamma, inv)

def bn_bwd(res, g):
    xhat, gamma, inv = res
    dgamma, dbeta = (g * xhat).sum(0), g.sum(0)
    return gamma * inv * (g - (dbeta + xhat * dgamma) / len(g)), dgamma, dbeta

@jax.custom_vjp
def bn(x, gamma, beta):
    return bn_fwd(x, gamma, beta)[0]

bn.defvjp(bn_fwd, bn_bwd)
""",
    "function": """
import jax

def forward(x, gamma, beta):
    inv = jax.lax.rsqrt(x.var(0) + 1e-5)
    return (gamma * (x - x.mean(0)) * inv + beta) FACTOR
""",
}


@pytest.mark.parametrize("name", FILES)
def test_the_command_finds_what_brings_its_gradient(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "layer.py"
    path.write_text(FILES[name].replace("FACTOR", ""), encoding="utf-8")
    assert cli.main(["verify", str(path)]) == 0
    assert capsys.readouterr().out.endswith("passed\n")
    path.write_text(FILES[name].replace("FACTOR", "* 2.5"), encoding="utf-8")
    assert cli.main(["verify", str(path)]) == 1
    assert "normalized" in capsys.readouterr().out


def test_two_modules_of_a_file_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "layer.py"
    text = "import torch\none, other = torch.nn.BatchNorm1d(5), torch.nn.BatchNorm1d(5)\n"
    path.write_text(text, encoding="utf-8")
    assert cli.main(["verify", str(path)]) == 2
    assert "got one and other; name it with --forward" in capsys.readouterr().err
    assert cli.main(["verify", str(path), "--forward", "other"]) == 0
