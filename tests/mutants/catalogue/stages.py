"""The ops of a training step's stages."""

from ..mutant import Group, Mutant

OP = "csrc/normgraph/op/"
APPLY_TESTS = "tests/kernel/test_batch_norm_training_apply.py"
BACKPROP_APPLY_TESTS = "tests/kernel/test_batch_norm_training_backprop_apply.py"
SUMS_TESTS = "tests/kernel/test_batch_norm_backprop_sums.py"

CONSTRAINTS = Group(
    OP + "batch_norm_constraints.cpp",
    "tests/op/test_constraints.py",
    (
        Mutant(
            "c14-any-type",
            "C14, that sums are f64",
            "with_known_type(sums, [](element::Type type) { return type != element::f64; });",
            "with_known_type(sums, [](element::Type type) { return !type.is_real(); });",
        ),
        Mutant(
            "c15-of-one-axis",
            "that all axes count but that of the channels",
            "fewest = is_beyond ? fewest : fewest * length;",
            "fewest = is_beyond ? fewest : length;",
        ),
        Mutant(
            "c15-counts-channels",
            "that channels do not count as elements",
            "axis == channels ? 1 : data[axis].min_length()",
            "data[axis].min_length()",
        ),
        Mutant(
            "c15-beyond-64-bits",
            "that a product beyond 64 bits is more than any count",
            "is_beyond = is_beyond || fewest > std::numeric_limits<std::int64_t>::max() / length;",
            "is_beyond = fewest > std::numeric_limits<std::int64_t>::max() / length;",
        ),
        Mutant(
            "c15-negative-count",
            "that a count is not negative",
            "if (!count || *count >= 0) {",
            "if (true) {",
        ),
        Mutant(
            "c15-negative-count-beside-shapes-alone",
            "that a negative count is reported whatever the shapes are",
            "if (report.holds(check_count_is_not_negative(count)) && shapes && !parts.where) {",
            "if (shapes && !parts.where && report.holds(check_count_is_not_negative(count))) {",
        ),
        Mutant(
            "sums-of-gammas-type",
            "that sums are put out in f64",
            "outputs.push_back({element::f64, PartialShape{channels}});",
            "outputs.push_back({infer_affine_type(parts), PartialShape{channels}});",
        ),
    ),
)

STATISTICS = Group(
    OP + "batch_norm_statistics.hpp",
    "tests/kernel/test_batch_norm_statistics.py",
    (
        Mutant(
            "statistics-rounded",
            "that statistics are put out in f64",
            "return {default_epsilon, channel_axis, element::f64};",
            "return {default_epsilon, channel_axis};",
        ),
    ),
)

STAGES = Group(
    OP + "batch_norm_stages.cpp",
    "tests/pass/test_differentiate.py tests/pass/test_decompose.py",
    (
        Mutant(
            "given-sums-not-used",
            "that sums that are given take the place of the node's own",
            "given ? *given : sums(delta, centered)",
            "sums(delta, centered)",
        ),
        Mutant(
            "mean-delta-of-the-part",
            "that the gradient of the mean is that of the whole batch",
            "given ? -(beta_delta * gmul) : -sum_per_channel(input_delta)",
            "-sum_per_channel(input_delta)",
        ),
        Mutant(
            "count-not-used",
            "that shares are those of the whole batch's elements",
            "if (!count_) { return mean_backprop(",
            "if (true) { return mean_backprop(",
        ),
    ),
)

STAGE_ADJOINTS = Group(
    OP + "batch_norm_stages.cpp",
    "tests/pass/test_stages.py",
    (
        Mutant(
            "mean-delta-of-a-rounded-sum",
            "that the gradient of the mean is made of a sum that is not rounded",
            'sums->output("beta_delta")',
            'stages.in_compute_type(backprop->output("beta_delta"))',
        ),
        Mutant(
            "variance-delta-of-a-rounded-sum",
            "that the gradient of the variance is made of a sum that is not rounded",
            'sums->output("gmul_delta") * invsqrt;',
            'stages.in_compute_type(backprop->output("gamma_delta"));',
        ),
        Mutant(
            "gradients-at-an-infinite-variance",
            "that gradients at an infinite variance of the batch are NaN",
            "if (role == Role::variance) {",
            "if (false) {",
        ),
        Mutant(
            "gradients-of-narrow-statistics",
            "that gradients read statistics as wide as they can be had",
            "if (is_statistic(role) && is_wide) {",
            "if (is_statistic(role) && !is_wide) {",
        ),
        Mutant(
            "gradients-of-wide-statistics",
            "that the type of the data may follow from that of the statistics",
            "is_wide = node.source(Role::input).element_type().is_static();",
            "is_wide = true;",
        ),
        Mutant(
            "stages-in-no-type",
            "that a mean whose type is not known is refused by the op's name",
            "known_type(node, name_of_statistics(node), wider_of(affine_type_, statistics_type_))",
            "wider_of(affine_type_, statistics_type_)",
        ),
    ),
)

CALL = Group(
    "csrc/normgraph/runtime/kernel_call.cpp",
    " ".join((APPLY_TESTS, BACKPROP_APPLY_TESTS, SUMS_TESTS)),
    (
        Mutant(
            "apply-as-inference",
            "that an infinite variance makes a channel of BatchNormTrainingApply NaN",
            "op::has(Op::signature.inputs, Role::mean) && !differentiates_statistics<Op>()",
            "op::has(Op::signature.inputs, Role::mean)",
        ),
        Mutant(
            "apply-with-its-own-sums",
            "that BatchNormTrainingBackpropApply takes the sums that it is given",
            "if (!has_input(op::Role::sum_of_deltas)) {",
            "if (true) {",
        ),
        Mutant(
            "apply-with-its-own-count",
            "that count is that of the whole batch",
            "static_cast<double>(count.value_or(own_count))",
            "static_cast<double>(own_count)",
        ),
        Mutant(
            "sums-at-another-deviation",
            "that the sum of products is not scaled",
            "problem.epsilon = 1.0;",
            "problem.epsilon = 2.0;",
        ),
        Mutant(
            "sums-rounded",
            "that sums are not rounded",
            "problem.affine_type = kernel::ElementType::f64;",
            "",
        ),
    ),
)

STEP = Group(
    "csrc/normgraph/runtime/kernel_steps.cpp",
    SUMS_TESTS,
    (
        Mutant(
            "sums-over-the-mean",
            "that a vector of sums does not take the place of the mean",
            "results_[0] && op::is_data(call_.outputs[0].role)",
            "results_[0]",
        ),
    ),
)

BACKWARD = Group(
    "csrc/normgraph/kernel/coefficients.hpp",
    BACKPROP_APPLY_TESTS,
    (
        Mutant(
            "sums-of-an-empty-batch",
            "that a sum of 0 of an empty batch stays 0",
            "count == 0.0 && products == 0.0 ? 0.0 : products * inverse",
            "products * inverse",
        ),
        Mutant(
            "given-sums-of-an-empty-part",
            "that the sums that an empty part is given are not lost",
            "count == 0.0 && products == 0.0 ? 0.0 : products * inverse",
            "count == 0.0 ? 0.0 : products * inverse",
        ),
    ),
)

GROUPS = (CONSTRAINTS, STATISTICS, STAGES, STAGE_ADJOINTS, CALL, STEP, BACKWARD)
