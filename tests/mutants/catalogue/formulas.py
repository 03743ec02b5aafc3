"""The terms, factors and signs of the formulas, and what stands in for absent inputs."""

from ..mutant import CPP_TESTS, Group, Mutant

KERNEL = "csrc/normgraph/kernel/"
BIT_TESTS = " tests/kernel/test_canonical_order.py tests/kernel/test_special_values.py"
TRAINING_TESTS = "tests/kernel/test_batch_norm_training.py" + BIT_TESTS
INFERENCE_TESTS = "tests/kernel/test_batch_norm_inference.py" + BIT_TESTS
BACKPROP_TESTS = "tests/kernel/test_batch_norm_training_backprop.py" + BIT_TESTS
FROZEN_TESTS = "tests/kernel/test_batch_norm_inference_backprop.py" + BIT_TESTS

FORWARD_COEFFICIENTS = Group(
    KERNEL + "coefficients.hpp",
    INFERENCE_TESTS,
    (
        Mutant(
            "inverse-without-epsilon",
            "epsilon in 1/√(variance + epsilon)",
            "std::sqrt(variance + epsilon)",
            "std::sqrt(variance)",
        ),
        Mutant(
            "inverse-epsilon-outside-the-root",
            "that epsilon stands under the root",
            "std::sqrt(variance + epsilon)",
            "(std::sqrt(variance) + epsilon)",
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
            "static_cast<Arithmetic>(gamma * inverse_standard_deviation(variance, epsilon))",
            "static_cast<Arithmetic>(inverse_standard_deviation(variance, epsilon))",
        ),
        Mutant(
            "forward-scale-without-inverse",
            "1/√(variance + epsilon) in the forward's scale",
            "static_cast<Arithmetic>(gamma * inverse_standard_deviation(variance, epsilon))",
            "static_cast<Arithmetic>(gamma)",
        ),
        Mutant(
            "forward-without-mean",
            "the mean",
            "((input - mean_high) - mean_low) * scale + beta",
            "(input - mean_low) * scale + beta",
        ),
        Mutant(
            "forward-without-low-part-of-mean",
            "the second part of the mean",
            "static_cast<Arithmetic>(mean - static_cast<double>(this->mean_high))",
            "Arithmetic(0)",
        ),
        Mutant(
            "forward-mean-summed-first",
            "that the mean's parts are subtracted one after the other",
            "((input - mean_high) - mean_low) * scale + beta",
            "(input - (mean_high + mean_low)) * scale + beta",
        ),
        Mutant(
            "forward-folded-mean",
            "that the mean is subtracted before the scale, where nothing cancels",
            "((input - mean_high) - mean_low) * scale + beta",
            "input * scale + (beta - mean_high * scale - mean_low * scale)",
        ),
        Mutant(
            "forward-without-scale",
            "the scale",
            "((input - mean_high) - mean_low) * scale + beta",
            "((input - mean_high) - mean_low) + beta",
        ),
        Mutant(
            "forward-without-beta",
            "beta",
            "((input - mean_high) - mean_low) * scale + beta",
            "((input - mean_high) - mean_low) * scale",
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
            "scale_exact = channel.gamma * inverse",
            "scale_exact = inverse",
        ),
        Mutant(
            "backprop-scale-without-inverse",
            "1/√(variance + epsilon) in input_delta",
            "scale_exact = channel.gamma * inverse",
            "scale_exact = channel.gamma",
        ),
        Mutant(
            "shift-without-scale",
            "gamma·inv in the beta_delta term",
            "scale_exact * (channel.beta_delta / n)",
            "channel.beta_delta / n",
        ),
        Mutant(
            "shift-without-count",
            "1/n in the beta_delta term",
            "scale_exact * (channel.beta_delta / n)",
            "scale_exact * channel.beta_delta",
        ),
        Mutant(
            "slope-without-scale",
            "gamma·inv in the gamma_delta term",
            "(scale_exact * (channel.gamma_delta / n)) * (inverse / unit_exact)",
            "(channel.gamma_delta / n) * (inverse / unit_exact)",
        ),
        Mutant(
            "slope-without-count",
            "1/n in the gamma_delta term",
            "(scale_exact * (channel.gamma_delta / n))",
            "(scale_exact * channel.gamma_delta)",
        ),
        Mutant(
            "slope-with-one-less",
            "n, for n − 1 (the published closed form's error), in the gamma_delta term",
            "(scale_exact * (channel.gamma_delta / n))",
            "(scale_exact * (channel.gamma_delta / (n - 1)))",
        ),
        Mutant(
            "slope-without-rest-of-inverse",
            "what of 1/√(variance + epsilon) is not in the unit",
            "(scale_exact * (channel.gamma_delta / n)) * (inverse / unit_exact)",
            "scale_exact * (channel.gamma_delta / n)",
        ),
        Mutant(
            "unit-of-one",
            "the unit, which keeps the slope within range",
            "unit_exact = power_of_two_near(inverse)",
            "unit_exact = 1.0",
        ),
        Mutant(
            "unit-that-is-not-exact",
            "that the unit is a power of two",
            "unit_exact = power_of_two_near(inverse)",
            "unit_exact = inverse",
        ),
        Mutant(
            "unit-beyond-the-range",
            "that the unit is kept within the normal range",
            "std::clamp(exponent, -limit, limit)",
            "exponent + 0 * limit",
        ),
        Mutant(
            "input-delta-without-scale",
            "gamma·inv at normalized_delta",
            "(scale * normalized_delta - shift)",
            "(normalized_delta - shift)",
        ),
        Mutant(
            "input-delta-without-shift",
            "the beta_delta term",
            "(scale * normalized_delta - shift)",
            "(scale * normalized_delta)",
        ),
        Mutant(
            "input-delta-shift-added",
            "the sign of the beta_delta term",
            "(scale * normalized_delta - shift)",
            "(scale * normalized_delta + shift)",
        ),
        Mutant(
            "input-delta-without-slope",
            "the gamma_delta term",
            "(scale * normalized_delta - shift) - ((input - mean) * unit) * slope",
            "(scale * normalized_delta - shift)",
        ),
        Mutant(
            "input-delta-slope-added",
            "the sign of the gamma_delta term",
            "(scale * normalized_delta - shift) - ((input - mean) * unit) * slope",
            "(scale * normalized_delta - shift) + ((input - mean) * unit) * slope",
        ),
        Mutant(
            "input-delta-without-mean",
            "the mean in x̂",
            "((input - mean) * unit) * slope",
            "(input * unit) * slope",
        ),
        Mutant(
            "input-delta-without-unit",
            "the unit in x̂",
            "((input - mean) * unit) * slope",
            "(input - mean) * slope",
        ),
        Mutant(
            "input-delta-terms-summed-first",
            "the order of the two subtractions",
            "(scale * normalized_delta - shift) - ((input - mean) * unit) * slope",
            "scale * normalized_delta - (shift + ((input - mean) * unit) * slope)",
        ),
    ),
)

MOMENTS = Group(
    KERNEL + "moments.hpp",
    TRAINING_TESTS,
    (
        Mutant(
            "shift-that-is-infinite",
            "that an infinite first element is no shift",
            "std::isfinite(shift) ? shift : 0.0",
            "shift",
        ),
        Mutant(
            "sums-without-shift",
            "the shift, without which Σx² − (Σx)² cancels",
            "std::isfinite(shift) ? shift : 0.0",
            "0.0 * shift",
        ),
        Mutant(
            "distance-without-count",
            "1/n in the mean",
            "distance = sum / n",
            "distance = sum",
        ),
        Mutant(
            "mean-without-shift",
            "the shift in the mean",
            "{shift + distance,",
            "{distance,",
        ),
        Mutant(
            "variance-without-count",
            "1/n in the variance",
            "sum_of_squares / n - distance * distance",
            "sum_of_squares - distance * distance",
        ),
        Mutant(
            "variance-without-distance",
            "the square of the mean's distance from the shift",
            "sum_of_squares / n - distance * distance",
            "sum_of_squares / n",
        ),
        Mutant(
            "variance-unbiased",
            "that the variance is biased",
            "sum_of_squares / n - distance * distance",
            "(sum_of_squares / n - distance * distance) * (n / (n - 1))",
        ),
        Mutant(
            "variance-of-nan-is-zero",
            "that the variance of a NaN is NaN",
            "variance < 0.0 ? 0.0 : variance",
            "variance > 0.0 ? variance : 0.0",
        ),
    ),
)

CLAMP = Group(
    KERNEL + "moments.hpp",
    CPP_TESTS,
    (
        Mutant(
            "variance-below-zero",
            "that rounding leaves no variance below 0",
            "variance < 0.0 ? 0.0 : variance",
            "variance",
        ),
    ),
)

TRAINING = Group(
    KERNEL + "reference/batch_norm_training.cpp",
    TRAINING_TESTS,
    (
        Mutant(
            "training-terms-without-shift",
            "the shift of the terms",
            "static_cast<double>(load<Data>(input + place.offset(0))) - shift;",
            "static_cast<double>(load<Data>(input + place.offset(0)));",
        ),
        Mutant(
            "training-terms-without-square",
            "the square of the terms",
            "shifted * shifted",
            "shifted",
        ),
        Mutant(
            "training-squares-in-float",
            "that squares are made in double",
            "shifted * shifted",
            "static_cast<float>(shifted * shifted)",
        ),
        Mutant(
            "training-one-pass-for-f64",
            "the second pass for f64 data",
            "std::is_same_v<Data, double>",
            "false",
        ),
        Mutant(
            "training-second-shift-as-it-is",
            "that an infinite mean is no shift",
            "moments_about<Data>(view, input, usable_shift(about_first.mean))",
            "moments_about<Data>(view, input, about_first.mean)",
        ),
        Mutant(
            "training-second-pass-about-first",
            "that the second pass is about the mean",
            "moments_about<Data>(view, input, usable_shift(about_first.mean))",
            "moments_about<Data>(view, input, usable_shift(first))",
        ),
        Mutant(
            "training-statistics-swapped",
            "which output is the mean and which the variance",
            "set_channel_value(arguments.mean, type, channel, batch.mean); "
            "set_channel_value(arguments.variance, type, channel, batch.variance);",
            "set_channel_value(arguments.variance, type, channel, batch.mean); "
            "set_channel_value(arguments.mean, type, channel, batch.variance);",
        ),
        Mutant(
            "training-gamma-absent-is-0",
            "that an absent gamma is 1",
            "channel_value(arguments.gamma, type, channel, 1.0)",
            "channel_value(arguments.gamma, type, channel, 0.0)",
        ),
        Mutant(
            "training-beta-absent-is-1",
            "that an absent beta is 0",
            "channel_value(arguments.beta, type, channel, 0.0)",
            "channel_value(arguments.beta, type, channel, 1.0)",
        ),
        Mutant(
            "training-normalizes-with-rounded-mean",
            "that the mean is not rounded before it is used",
            "batch.mean, batch.variance, problem.epsilon",
            "static_cast<float>(batch.mean), batch.variance, problem.epsilon",
        ),
        Mutant(
            "training-normalizes-with-rounded-variance",
            "that the variance is not rounded before it is used",
            "batch.mean, batch.variance, problem.epsilon",
            "batch.mean, static_cast<float>(batch.variance), problem.epsilon",
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
            "channel_value(arguments.gamma, type, channel, 1.0)",
            "channel_value(arguments.gamma, type, channel, 0.0)",
        ),
        Mutant(
            "inference-beta-absent-is-1",
            "that an absent beta is 0",
            "channel_value(arguments.beta, type, channel, 0.0)",
            "channel_value(arguments.beta, type, channel, 1.0)",
        ),
        Mutant(
            "inference-statistics-swapped",
            "which input is the mean and which the variance",
            "channel_value(arguments.mean, type, channel, 0.0), "
            "channel_value(arguments.variance, type, channel, 0.0)",
            "channel_value(arguments.variance, type, channel, 0.0), "
            "channel_value(arguments.mean, type, channel, 0.0)",
        ),
        Mutant(
            "inference-without-epsilon",
            "epsilon",
            "problem.epsilon",
            "0.0",
        ),
    ),
)

BACKPROP = Group(
    KERNEL + "reference/batch_norm_backprop.cpp",
    BACKPROP_TESTS,
    (
        Mutant(
            "product-sum-without-mean",
            "the mean in Σδ·(x − mean)",
            "delta * (input - mean)",
            "delta * input",
        ),
        Mutant(
            "product-sum-without-delta",
            "δ in Σδ·(x − mean)",
            "delta * (input - mean)",
            "(input - mean)",
        ),
        Mutant(
            "product-sum-in-float",
            "that products are made in double",
            "delta * (input - mean)",
            "static_cast<float>(delta * (input - mean))",
        ),
        Mutant(
            "product-sum-of-expanded-product",
            "that the difference is made before the product",
            "delta * (input - mean)",
            "delta * input - delta * mean",
        ),
        Mutant(
            "delta-sum-of-input",
            "δ in Σδ",
            "return {delta, delta * (input - mean)};",
            "return {input, delta * (input - mean)};",
        ),
        Mutant(
            "gamma-delta-without-inverse",
            "1/√(variance + epsilon) in gamma_delta",
            "product_sum * inverse_standard_deviation(variance, problem.epsilon)",
            "product_sum",
        ),
        Mutant(
            "channel-gradients-swapped",
            "which output is gamma_delta and which beta_delta",
            "set_channel_value(arguments.gamma_delta, type, index, gamma_delta); "
            "set_channel_value(arguments.beta_delta, type, index, delta_sum);",
            "set_channel_value(arguments.beta_delta, type, index, gamma_delta); "
            "set_channel_value(arguments.gamma_delta, type, index, delta_sum);",
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
            "channel_value(arguments.gamma, type, index, 1.0)",
            "channel_value(arguments.gamma, type, index, 0.0)",
        ),
        Mutant(
            "backprop-empty-gamma-delta",
            "that gamma_delta of an empty batch is 0",
            "set_channel_value(arguments.gamma_delta, type, index, 0.0);",
            "",
        ),
        Mutant(
            "backprop-empty-beta-delta",
            "that beta_delta of an empty batch is 0",
            "set_channel_value(arguments.beta_delta, type, index, 0.0);",
            "",
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
            "channel.gamma * inverse_standard_deviation(channel.variance, channel.epsilon)",
            "inverse_standard_deviation(channel.variance, channel.epsilon)",
        ),
        Mutant(
            "frozen-scale-without-inverse",
            "1/√(variance + epsilon) in input_delta with frozen statistics",
            "channel.gamma * inverse_standard_deviation(channel.variance, channel.epsilon)",
            "channel.gamma",
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
    FORWARD_COEFFICIENTS,
    BACKPROP_COEFFICIENTS,
    MOMENTS,
    CLAMP,
    TRAINING,
    INFERENCE,
    BACKPROP,
    FROZEN_COEFFICIENTS,
    FROZEN_FORMULA,
)
