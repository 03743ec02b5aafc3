"""The layers for JAX: their definition, derivatives by the kernels, masks, shards, Flax."""

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

DERIVATIVES = Group(
    JAX + "derivatives.py",
    TESTS + "test_derivatives.py -k 'three_orders and False'",
    (
        Mutant(
            "jax-variance-without-gradient",
            "the part of the variance's gradient in that of input",
            "for index, arriving in enumerate((mean_delta, variance_delta)):",
            "for index, arriving in enumerate((mean_delta,)):",
        ),
        Mutant(
            "jax-gradient-at-the-bound",
            "that a ReLU's upper bound lets nothing pass",
            "passes &= activated != jnp.asarray(layer.upper_bound, activated.dtype)",
            "pass",
        ),
        Mutant(
            "jax-given-variance-twice",
            "the half in the gradient of a given variance",
            'result["variance"] = -factor * scale / 2 * found',
            'result["variance"] = -factor * scale * found',
        ),
        Mutant(
            "jax-second-order-without-the-mask",
            "the mask of a ReLU in the second order",
            "delta = jnp.where(passes, delta, jnp.zeros_like(delta))",
            "pass",
        ),
    ),
    is_alone=True,
)

MASKS = Group(
    JAX + "masks.py",
    f"{TESTS}test_masks.py {TESTS}test_linen.py -k 'do_not_fit or no_positions'",
    (
        Mutant(
            "jax-mask-of-elements",
            "that a mask tells positions, not elements",
            "not fits or shape[channel_axis] != 1",
            "not fits",
        ),
    ),
    is_alone=True,
)

KERNELS = Group(
    JAX + "kernels.py",
    TESTS + "test_masks.py -k finite",
    (
        Mutant(
            "jax-bits-of-channels-last",
            "that the bits of channels on the last axis are along it",
            "math.prod(behind) if behind else shape[channel_axis]",
            "math.prod(behind)",
        ),
        Mutant(
            "jax-statistics-always-of-f32",
            "that statistics beside float64 are of float64",
            "jnp.float64 if data_type == jnp.float64 else jnp.float32",
            "jnp.float32",
        ),
    ),
    is_alone=True,
)

SHARDS = Group(
    JAX + "shards.py",
    TESTS + "test_shards.py",
    (
        Mutant(
            "jax-shards-add-up-one-gradient",
            "that the gradient of the whole batch is on one shard alone",
            "jnp.where(is_first, vector, jnp.zeros_like(vector))",
            "vector",
        ),
        Mutant(
            "jax-shards-in-one-pass-of-f64",
            "the second pass of float64, about the mean",
            "if input.dtype == jnp.float64:",
            "if False:",
        ),
        Mutant(
            "jax-shards-of-one-mean",
            "that the means of the shards differ",
            "spread = variance + jnp.square(mean - mean_of_all)",
            "spread = variance",
        ),
    ),
    is_alone=True,
)

LINEN = Group(
    JAX + "linen.py",
    TESTS + "test_linen.py -k 'beside_flax or initialization'",
    (
        Mutant(
            "jax-linen-weights-exchanged",
            "that momentum is the weight of the old value",
            "old + (1 - self.momentum) * statistic",
            "old + self.momentum * statistic",
        ),
        Mutant(
            "jax-linen-initialization-updates",
            "that initialization updates no state",
            "if not is_initializing:",
            "if True:",
        ),
    ),
    is_alone=True,
)

FUNCTIONAL = Group(
    JAX + "functional.py",
    f"{TESTS}test_errors.py {TESTS}test_derivatives.py -k 'kinds or finite'",
    (
        Mutant(
            "jax-channel-axis-from-the-back",
            "that a channel axis may be counted from the back",
            "layer._replace(channel_axis=layer.channel_axis % rank)",
            "layer",
        ),
        Mutant(
            "jax-exchange-without-shards",
            "that an exchange needs the name of an axis",
            'if options.exchange != "all_gather":',
            "if False:",
        ),
    ),
    is_alone=True,
)

GROUPS = (DEFINITION, DERIVATIVES, MASKS, KERNELS, SHARDS, LINEN, FUNCTIONAL)
