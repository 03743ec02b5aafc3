"""The layers for JAX: their definition, whose derivatives are those of the kernels."""

from ..mutant import Group, Mutant

JAX = "python/normgraph/jax/"
TESTS = "tests/interop/jax/"

DEFINITION = Group(
    JAX + "definition.py",
    TESTS + "test_derivatives.py -k three_orders",
    (
        Mutant(
            "jax-gradient-without-the-mean",
            "the part of the mean in the gradient of input",
            "batch.counted(beta_delta / count + unit * gamma_delta / count)",
            "batch.counted(unit * gamma_delta / count)",
        ),
        Mutant(
            "jax-gradient-without-the-variance",
            "the part of the variance in the gradient of input",
            "batch.counted(beta_delta / count + unit * gamma_delta / count)",
            "batch.counted(beta_delta / count)",
        ),
        Mutant(
            "jax-gradient-without-gamma",
            "gamma in the gradient of input",
            "scale = scale * per_channel(gamma, x, channel_axis)",
            "pass",
        ),
    ),
    is_alone=True,
)

GROUPS = (DEFINITION,)
