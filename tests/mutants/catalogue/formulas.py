"""The terms, factors and signs of the formulas, and what stands in for absent inputs."""

from ..mutant import CPP_TESTS, Group, Mutant

KERNEL = "csrc/normgraph/kernel/"
BIT_TESTS = " tests/kernel/test_canonical_order.py tests/kernel/test_special_values.py"
TRAINING_TESTS = "tests/kernel/test_batch_norm_training.py" + BIT_TESTS
INFERENCE_TESTS = "tests/kernel/test_batch_norm_inference.py" + BIT_TESTS
BACKPROP_TESTS = "tests/kernel/test_batch_norm_training_backprop.py" + BIT_TESTS
FROZEN_TESTS = "tests/kernel/test_batch_norm_inference_backprop.py" + BIT_TESTS

INFINITE_VARIANCE = Group(
    KERNEL + "coefficients.hpp",
    "tests/kernel/test_special_values.py tests/kernel/test_statistics_type.py",
    (
        Mutant(
            "infinite-variance-is-0-in-training",
            "that an infinite variance makes its channel NaN in training",
            "statistics == Statistics::of_batch && inverse == 0.0",
            "false",
        ),
        Mutant(
            "infinite-variance-is-nan-in-inference",
            "that a variance that is given may be infinite",
            "statistics == Statistics::of_batch && inverse == 0.0",
            "inverse == 0.0",
        ),
    ),
)

FORWARD_COEFFICIENTS = Group(
    KERNEL + "coefficients.hpp",
    INFERENCE_TESTS,
    (
        Mutant(
            "inverse-without-epsilon",
            "epsilon in 1/√(variance + epsilon)",
            "1.0 / std::sqrt(variance + epsilon)",
            "1.0 / std::sqrt(variance)",
        ),
        Mutant(
            "inverse-epsilon-outside-the-root",
            "that epsilon stands under the root",
            "1.0 / std::sqrt(variance + epsilon)",
            "1.0 / (std::sqrt(variance) + epsilon)",
        ),
        Mutant(
            "inverse-without-root",
            "the root",
            "1.0 / std::sqrt(variance + epsilon)",
            "1.0 / (variance + epsilon)",
        ),
        Mutant(
            "forward-scale-without-gamma",
            "gamma in the forward's scale",
            "static_cast<Arithmetic>(gamma * inverse)",
            "static_cast<Arithmetic>(inverse)",
        ),
        Mutant(
            "forward-scale-without-inverse",
            "1/√(variance + epsilon) in the forward's scale",
            "static_cast<Arithmetic>(gamma * inverse)",
            "static_cast<Arithmetic>(gamma)",
        ),
        Mutant(
            "forward-without-mean",
            "the mean",
            "fused_multiply_add(input - mean, scale, shift)",
            "fused_multiply_add(input, scale, shift)",
        ),
        Mutant(
            "forward-without-rest-of-mean",
            "what rounding the mean has left",
            "beta - rest * static_cast<double>(this->scale)",
            "beta - 0 * rest",
        ),
        Mutant(
            "forward-with-exact-scale",
            "that the rest of the mean is scaled as the elements are",
            "rest * static_cast<double>(this->scale)",
            "rest * (gamma * inverse)",
        ),
        Mutant(
            "forward-not-fused",
            "that the result is rounded once",
            "fused_multiply_add(input - mean, scale, shift)",
            "(input - mean) * scale + shift",
        ),
        Mutant(
            "forward-without-scale",
            "the scale",
            "fused_multiply_add(input - mean, scale, shift)",
            "(input - mean) + shift",
        ),
        Mutant(
            "forward-without-shift",
            "beta",
            "fused_multiply_add(input - mean, scale, shift)",
            "(input - mean) * scale",
        ),
    ),
)

COUNTS = Group(
    KERNEL + "reference/batch_norm_backprop.cpp",
    BACKPROP_TESTS,
    (
        Mutant(
            "shift-without-count",
            "1/n in the beta_delta term",
            "sums.values / count}",
            "sums.values}",
        ),
        Mutant(
            "slope-without-count",
            "1/n in the gamma_delta term",
            "inverse, gamma_delta / count,",
            "inverse, gamma_delta,",
        ),
        Mutant(
            "slope-with-one-less",
            "n, for n − 1 (the published closed form's error), in the gamma_delta term",
            "inverse, gamma_delta / count,",
            "inverse, gamma_delta / (count - 1),",
        ),
    ),
)

BACKPROP_COEFFICIENTS = Group(
    KERNEL + "coefficients.hpp",
    BACKPROP_TESTS,
    (
        Mutant(
            "backprop-scale-without-gamma",
            "gamma in input_delta",
            "scale_exact = channel.gamma * channel.inverse",
            "scale_exact = channel.inverse",
        ),
        Mutant(
            "backprop-scale-without-inverse",
            "1/√(variance + epsilon) in input_delta",
            "scale_exact = channel.gamma * channel.inverse",
            "scale_exact = channel.gamma",
        ),
        Mutant(
            "shift-without-scale",
            "gamma·inv in the beta_delta term",
            "scale_exact * channel.beta_delta -",
            "channel.beta_delta -",
        ),
        Mutant(
            "slope-without-scale",
            "gamma·inv in the gamma_delta term",
            "(scale_exact * channel.gamma_delta) * (channel.inverse",
            "channel.gamma_delta * (channel.inverse",
        ),
        Mutant(
            "slope-without-rest-of-inverse",
            "what of 1/√(variance + epsilon) is not in the unit",
            "(scale_exact * channel.gamma_delta) * "
            "(channel.inverse * inverse_power_of_two(unit_near))",
            "scale_exact * channel.gamma_delta",
        ),
        Mutant(
            "unit-of-one",
            "the unit, which keeps the slope within range",
            "unit_near = power_of_two_near(channel.inverse)",
            "unit_near = 1.0",
        ),
        Mutant(
            "unit-that-is-not-exact",
            "that the unit is a power of two",
            "unit_near = power_of_two_near(channel.inverse)",
            "unit_near = inverse",
        ),
        Mutant(
            "unit-beyond-the-range",
            "that the unit is kept within the normal range",
            "std::clamp(exponent, -limit, limit)",
            "exponent + 0 * limit",
        ),
        Mutant(
            "unit-where-none-is-needed",
            "that the unit is 1 where the slope is in range",
            "!is_in_range(whole_slope) && std::isfinite(split_slope)",
            "std::isfinite(split_slope)",
        ),
        Mutant(
            "input-delta-without-scale",
            "gamma·inv at normalized_delta",
            "fused_multiply_add(input - mean, minus_slope,\n"
            "                                  fused_multiply_add(scale, normalized_delta, "
            "minus_shift));",
            "fused_multiply_add(input - mean, minus_slope, normalized_delta + minus_shift);",
        ),
        Mutant(
            "input-delta-without-shift",
            "the beta_delta term",
            "static_cast<Arithmetic>(-shift)",
            "static_cast<Arithmetic>(0 * shift)",
        ),
        Mutant(
            "input-delta-shift-added",
            "the sign of the beta_delta term",
            "static_cast<Arithmetic>(-shift)",
            "static_cast<Arithmetic>(shift)",
        ),
        Mutant(
            "input-delta-slope-added",
            "the sign of the gamma_delta term",
            "is_split ? -split_slope : -whole_slope",
            "is_split ? split_slope : whole_slope",
        ),
        Mutant(
            "input-delta-without-mean",
            "the mean in x̂",
            "unit * (input - mean)",
            "unit * input",
        ),
        Mutant(
            "input-delta-without-unit",
            "the unit in x̂",
            "unit * (input - mean)",
            "(input - mean)",
        ),
    ),
)

MOMENTS = Group(
    KERNEL + "moments.hpp",
    TRAINING_TESTS,
    (
        Mutant(
            "shift-that-is-infinite",
            "that an infinite median is no shift",
            "std::isfinite(median) ? median + Value{0} : Value{0}",
            "median",
        ),
        Mutant(
            "shift-of-minus-zero",
            "that a zero is +0",
            "std::isfinite(median) ? median + Value{0} : Value{0}",
            "std::isfinite(median) ? median : Value{0}",
        ),
        Mutant(
            "sums-without-shift",
            "the shift, without which Σx² − (Σx)² cancels",
            "std::isfinite(median) ? median + Value{0} : Value{0}",
            "Value{0} * median",
        ),
        Mutant(
            "shift-of-the-first-element",
            "that the shift is a median",
            "std::max(std::min(first, middle), std::min(std::max(first, middle), last))",
            "first + 0 * (middle + last)",
        ),
        Mutant(
            "distance-without-count",
            "1/n in the mean",
            "distance = sum / count",
            "distance = sum",
        ),
        Mutant(
            "mean-without-shift",
            "the shift in the mean",
            "{shift + distance,",
            "{distance,",
        ),
        Mutant(
            "squares-without-distance",
            "the square of the mean's distance from the shift",
            "sum_of_squares - sum * distance",
            "sum_of_squares",
        ),
        Mutant(
            "squares-of-nan-are-zero",
            "that the variance of a NaN is NaN",
            "squares < 0.0 ? 0.0 : squares",
            "squares > 0.0 ? squares : 0.0",
        ),
        Mutant(
            "merged-mean-of-the-left",
            "how far the mean of two nodes is from the left one",
            "left.mean + distance * factors.to_mean",
            "left.mean + 0 * distance * factors.to_mean",
        ),
        Mutant(
            "merged-without-distance",
            "the distance of the means in the squares",
            "(left.squares + right.squares) + (distance * distance) * factors.to_squares",
            "left.squares + right.squares",
        ),
        Mutant(
            "merged-with-the-left-count",
            "which node's share moves the mean",
            "to_mean(right / (left + right))",
            "to_mean(left / (left + right))",
        ),
    ),
)

CLAMP = Group(
    KERNEL + "moments.hpp",
    CPP_TESTS,
    (
        Mutant(
            "squares-below-zero",
            "that rounding leaves no variance below 0",
            "squares < 0.0 ? 0.0 : squares",
            "squares",
        ),
    ),
)

BLOCK_MOMENTS = Group(
    KERNEL + "reference/block_moments.hpp",
    TRAINING_TESTS,
    (
        Mutant(
            "training-terms-without-shift",
            "the shift of the terms",
            "*value - shift",
            "*value - 0 * shift",
        ),
        Mutant(
            "training-terms-without-square",
            "the square of the terms",
            "return {difference, difference};",
            "return {difference, 1};",
        ),
        Mutant(
            "training-middle-of-two",
            "which element is the middle one",
            "counted[counted.size() / 2]",
            "counted[(counted.size() - 1) / 2]",
        ),
    ),
)

TRAINING = Group(
    KERNEL + "reference/batch_norm_training.cpp",
    TRAINING_TESTS,
    (
        Mutant(
            "training-one-pass-for-f64",
            "the second pass for f64 data",
            "std::is_same_v<Data, double>",
            "false",
        ),
        Mutant(
            "training-second-shift-as-it-is",
            "that an infinite mean is no shift",
            "std::isfinite(first.mean) ? first.mean : 0.0",
            "first.mean",
        ),
        Mutant(
            "training-variance-unbiased",
            "that the variance is biased",
            "batch.squares / counted_in(view, arguments.positions)",
            "batch.squares / (counted_in(view, arguments.positions) - 1)",
        ),
        Mutant(
            "training-statistics-swapped",
            "which output is the mean and which the variance",
            "set_channel_value(arguments.mean, statistics, channel, mean); "
            "set_channel_value(arguments.variance, statistics, channel, variance);",
            "set_channel_value(arguments.variance, statistics, channel, mean); "
            "set_channel_value(arguments.mean, statistics, channel, variance);",
        ),
        Mutant(
            "training-gamma-absent-is-0",
            "that an absent gamma is 1",
            "channel_value(arguments.gamma, affine, channel, 1.0)",
            "channel_value(arguments.gamma, affine, channel, 0.0)",
        ),
        Mutant(
            "training-beta-absent-is-1",
            "that an absent beta is 0",
            "channel_value(arguments.beta, affine, channel, 0.0)",
            "channel_value(arguments.beta, affine, channel, 1.0)",
        ),
        Mutant(
            "training-normalizes-with-rounded-mean",
            "that the mean is not rounded before it is used",
            "mean, inverse_standard_deviation(",
            "static_cast<float>(mean), inverse_standard_deviation(",
        ),
        Mutant(
            "training-normalizes-with-rounded-variance",
            "that the variance is not rounded before it is used",
            "Statistics::of_batch, variance, problem.epsilon",
            "Statistics::of_batch, static_cast<float>(variance), problem.epsilon",
        ),
    ),
)

INFERENCE = Group(
    KERNEL + "reference/batch_norm_inference.cpp",
    INFERENCE_TESTS,
    (
        Mutant(
            "inference-gamma-absent-is-0",
            "that an absent gamma is 1",
            "channel_value(arguments.gamma, affine, channel, 1.0)",
            "channel_value(arguments.gamma, affine, channel, 0.0)",
        ),
        Mutant(
            "inference-beta-absent-is-1",
            "that an absent beta is 0",
            "channel_value(arguments.beta, affine, channel, 0.0)",
            "channel_value(arguments.beta, affine, channel, 1.0)",
        ),
        Mutant(
            "inference-statistics-swapped",
            "which input is the mean and which the variance",
            "channel_value(arguments.mean, statistics, channel, 0.0), inverse_standard_deviation( "
            "Statistics::given, channel_value(arguments.variance, statistics, channel, 0.0)",
            "channel_value(arguments.variance, statistics, channel, 0.0), "
            "inverse_standard_deviation(Statistics::given, "
            "channel_value(arguments.mean, statistics, channel, 0.0)",
        ),
        Mutant(
            "inference-without-epsilon",
            "epsilon",
            "problem.epsilon",
            "0.0",
        ),
    ),
)

BLOCK_DELTAS = Group(
    KERNEL + "reference/block_deltas.hpp",
    BACKPROP_TESTS,
    (
        Mutant(
            "product-sum-without-mean",
            "the mean in Σδ·(x − mean)",
            "return {delta, input - center_};",
            "return {delta, input};",
        ),
        Mutant(
            "product-sum-without-delta",
            "δ in Σδ·(x − mean)",
            "return {delta, input - center_};",
            "return {1, input - center_};",
        ),
        Mutant(
            "mean-not-in-the-terms-type",
            "that the mean is of the terms' type before it is subtracted",
            "return {delta, input - center_};",
            "return {delta, static_cast<term_t<Data>>(input - center_ * (1 + 1e-12))};",
        ),
        Mutant(
            "delta-sum-of-input",
            "δ in Σδ",
            "return {delta, input - center_};",
            "return {input, input - center_};",
        ),
    ),
)

BACKPROP = Group(
    KERNEL + "reference/batch_norm_backprop.cpp",
    BACKPROP_TESTS,
    (
        Mutant(
            "gamma-delta-without-inverse",
            "1/√(variance + epsilon) in gamma_delta",
            "gamma_delta_of(sums.products, inverse, count);",
            "gamma_delta_of(sums.products, 1.0, count);",
        ),
        Mutant(
            "channel-gradients-swapped",
            "which output is gamma_delta and which beta_delta",
            "set_channel_value(arguments.gamma_delta, affine, index, gamma_delta); "
            "set_channel_value(arguments.beta_delta, affine, index, sums.values);",
            "set_channel_value(arguments.beta_delta, affine, index, gamma_delta); "
            "set_channel_value(arguments.gamma_delta, affine, index, sums.values);",
        ),
        Mutant(
            "apply-with-inputs-swapped",
            "which tensor is input and which normalized_delta",
            "input_delta(input, delta)",
            "input_delta(delta, input)",
        ),
        Mutant(
            "backprop-gamma-absent-is-0",
            "that an absent gamma is 1",
            "channel_value(arguments.gamma, affine, index, 1.0)",
            "channel_value(arguments.gamma, affine, index, 0.0)",
        ),
        Mutant(
            "backprop-empty-gamma-delta",
            "that gamma_delta of an empty batch is 0",
            "return Sums{};",
            "return Sums{0.0, 1.0};",
        ),
        Mutant(
            "backprop-empty-beta-delta",
            "that beta_delta of an empty batch is 0",
            "return Sums{};",
            "return Sums{1.0, 0.0};",
        ),
    ),
)

FROZEN_COEFFICIENTS = Group(
    KERNEL + "coefficients.hpp",
    FROZEN_TESTS,
    (
        Mutant(
            "frozen-scale-without-gamma",
            "gamma in input_delta with frozen statistics",
            "scale(static_cast<Arithmetic>(channel.gamma * channel.inverse))",
            "scale(static_cast<Arithmetic>(channel.inverse))",
        ),
        Mutant(
            "frozen-scale-without-inverse",
            "1/√(variance + epsilon) in input_delta with frozen statistics",
            "scale(static_cast<Arithmetic>(channel.gamma * channel.inverse))",
            "scale(static_cast<Arithmetic>(channel.gamma))",
        ),
        Mutant(
            "frozen-input-delta-without-scale",
            "gamma·inv at normalized_delta with frozen statistics",
            "return scale * normalized_delta;",
            "return normalized_delta;",
        ),
    ),
)

FROZEN_FORMULA = Group(
    KERNEL + "reference/batch_norm_backprop.cpp",
    FROZEN_TESTS,
    (
        Mutant(
            "frozen-delta-is-the-input",
            "that input_delta is made of normalized_delta",
            "(Arithmetic /*input*/, Arithmetic delta)",
            "(Arithmetic delta, Arithmetic /*input*/)",
        ),
    ),
)

GROUPS = (
    INFINITE_VARIANCE,
    FORWARD_COEFFICIENTS,
    COUNTS,
    BACKPROP_COEFFICIENTS,
    MOMENTS,
    CLAMP,
    BLOCK_MOMENTS,
    TRAINING,
    INFERENCE,
    BLOCK_DELTAS,
    BACKPROP,
    FROZEN_COEFFICIENTS,
    FROZEN_FORMULA,
)
