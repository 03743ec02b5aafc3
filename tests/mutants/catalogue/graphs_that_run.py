"""The ops' stages and derivatives, and the results of passes."""

from ..mutant import CPP_TESTS, Group, Mutant

OP = "csrc/normgraph/op/"
PASS = "csrc/normgraph/pass/"
DECOMPOSITION_TESTS = "tests/pass/test_decompose.py"
GRADIENT_TESTS = "tests/pass/test_differentiate.py"
PRIMITIVE_TESTS = "tests/op/test_primitives.py"

WIDE_STATISTICS = Group(
    PASS + "widen_statistics.cpp",
    "tests/pass/test_widen_statistics.py",
    (
        Mutant(
            "widened-for-all-types",
            "that statistics of 16-bit data alone are widened",
            "statistics == data && data.is_sixteen_bit_real()",
            "statistics == data",
        ),
        Mutant(
            "widened-of-f16-alone",
            "that those of bf16 data are",
            "&& data.is_sixteen_bit_real()",
            "&& data == element::f16",
        ),
        Mutant(
            "wide-ones-not-widened",
            "that those of mixed types stay as they are",
            "return statistics == data && data",
            "return data",
        ),
        Mutant(
            "plain-op-alone-widened",
            "that the op with ReLU is widened",
            "std::derived_from<Op, op::StatisticsNode>",
            "std::derived_from<Op, op::StatisticsNode> && !std::derived_from<Op, op::ReluNode>",
        ),
        Mutant(
            "conversions-read-narrow-statistics",
            "that a conversion to a wide type reads f32",
            "wide == statistics.end() || node.element_type().is_sixteen_bit_real()",
            "true",
        ),
        Mutant(
            "asked-for-rounding-undone",
            "that a conversion to 16 bits rounds once more",
            "wide == statistics.end() || node.element_type().is_sixteen_bit_real()",
            "wide == statistics.end()",
        ),
        Mutant(
            "types-that-follow-from-statistics-lost",
            "that the types of all outputs stay",
            "return keeps_types ?",
            "return true ?",
        ),
        Mutant(
            "widened-beside-unknown-data",
            "that the data's own type has to be known",
            "node.source(Role::input).element_type();",
            "node.output_type(0).element_type;",
        ),
        Mutant(
            "converted-statistics-read",
            "that the family reads f32",
            "input = wide->second;",
            "",
        ),
    ),
)

STATISTICS_TYPE = Group(
    OP + "batch_norm_node.hpp",
    "tests/pass/test_widen_statistics.py",
    (
        Mutant(
            "wide-op-with-narrow-statistics",
            "that the new op has the type",
            "std::get<std::optional<element::Type>>(values) = type;",
            "",
        ),
        Mutant(
            "wide-op-without-its-name",
            "that the new op has the name",
            "value..., this->friendly_name(), this->where()",
            'value..., "", this->where()',
        ),
    ),
)

PREPARED = Group(
    "csrc/normgraph/runtime/executable.cpp",
    "tests/pass/test_widen_statistics.py",
    (
        Mutant(
            "compiled-with-narrow-statistics",
            "that compile widens",
            "Function wide = pass::widen_statistics(with_kernels);",
            "Function wide = function;",
        ),
    ),
)

STAGES = Group(
    OP + "batch_norm_stages.cpp",
    f"{DECOMPOSITION_TESTS} {GRADIENT_TESTS}",
    (
        Mutant(
            "stage-centered-without-mean",
            "the mean",
            "named(data - for_each_element(mean),",
            "named(data - for_each_element(mean - mean),",
        ),
        Mutant(
            "stage-invsqrt-without-epsilon",
            "epsilon",
            "square_root(variance + epsilon)",
            "square_root(variance)",
        ),
        Mutant(
            "stage-invsqrt-without-root",
            "the root",
            "one / square_root(variance + epsilon)",
            "one / (variance + epsilon)",
        ),
        Mutant(
            "stage-gmul-without-gamma",
            "gamma in the forward pass",
            "input(Role::gamma) * inverse_root(variance)",
            "inverse_root(variance)",
        ),
        Mutant(
            "stage-normed-without-beta",
            "beta",
            "centered * for_each_element(gmul) + for_each_element(input(Role::beta))",
            "centered * for_each_element(gmul)",
        ),
        Mutant(
            "stage-normed-without-gmul", "gmul", "centered * for_each_element(gmul) +", "centered +"
        ),
        Mutant("stage-square-linear", "the square", "deviation * deviation", "deviation"),
        Mutant(
            "stage-gmul-delta-without-centered",
            "centered in gmul_delta",
            "sum_per_channel(normed_delta * centered)",
            "sum_per_channel(normed_delta)",
        ),
        Mutant(
            "stage-gamma-delta-without-invsqrt",
            "invsqrt in gamma_delta",
            "gmul_delta * invsqrt,",
            "gmul_delta,",
        ),
        Mutant(
            "stage-centered-delta-without-gmul",
            "gmul in centered_delta",
            "delta * for_each_element(gmul)",
            "delta",
        ),
        Mutant(
            "stage-mean-delta-sign",
            "the sign of mean_delta",
            ": -sum_per_channel(input_delta)",
            ": sum_per_channel(input_delta)",
        ),
        Mutant(
            "stage-invsqrt-delta-without-gamma",
            "gamma in invsqrt_delta",
            "gmul_delta * gamma",
            "gmul_delta",
        ),
        Mutant(
            "stage-variance-delta-sign",
            "the sign of variance_delta",
            "filled(-0.5, compute_type_, variance)",
            "filled(0.5, compute_type_, variance)",
        ),
        Mutant(
            "stage-variance-delta-power",
            "a power of invsqrt",
            "(invsqrt * invsqrt * invsqrt)",
            "(invsqrt * invsqrt)",
        ),
        Mutant(
            "stage-without-square-path",
            "the path through the variance",
            "input_delta + counted((centered + centered) * square_delta) +",
            "input_delta +",
        ),
        Mutant(
            "stage-square-path-halved",
            "the factor 2 of the square",
            "(centered + centered) * square_delta) +",
            "centered * square_delta) +",
        ),
        Mutant(
            "stage-without-mean-path",
            "the path through the mean",
            "square_delta) + counted(share_of_mean(mean_delta))",
            "square_delta)",
        ),
        Mutant(
            "stage-frozen-statistics-move",
            "that constant statistics have no path",
            "if (statistics == Statistics::of_batch)",
            "if (true)",
        ),
        Mutant(
            "mean-output-without-gradient",
            "what arrives at the mean",
            "if (mean_delta) {",
            "if (mean_delta && !variance_delta) {",
        ),
        Mutant(
            "variance-output-halved",
            "the factor 2 of what arrives at the variance",
            "sum_of(input_delta, (centered + centered) * square_delta)",
            "sum_of(input_delta, centered * square_delta)",
        ),
        Mutant(
            "statistics-add-nothing",
            "one of two gradients of the input",
            "return *left + *right;",
            "return *left;",
        ),
        Mutant(
            "stages-in-the-types-of-the-inputs",
            "that inputs are converted to the type that is computed in",
            "inputs_.emplace(port.role, in_compute_type(node.source(port.role)));",
            "inputs_.emplace(port.role, node.source(port.role));",
        ),
    ),
)

ELEMENTWISE = Group(
    OP + "elementwise.cpp",
    GRADIENT_TESTS,
    (
        Mutant(
            "subtract-adjoint-sign",
            "the sign of what is subtracted",
            "{deltas[0], -*deltas[0]}",
            "{deltas[0], deltas[0]}",
        ),
        Mutant(
            "multiply-adjoint-without-right",
            "the other factor",
            "{*deltas[0] * right, left * *deltas[0]}",
            "{*deltas[0], left * *deltas[0]}",
        ),
        Mutant(
            "multiply-adjoint-without-left", "the other factor", "left * *deltas[0]}", "*deltas[0]}"
        ),
        Mutant(
            "divide-adjoint-without-quotient",
            "the quotient",
            "-(quotient_delta * output(0))",
            "-quotient_delta",
        ),
        Mutant(
            "divide-adjoint-sign",
            "the sign of the divisor's gradient",
            "-(quotient_delta * output(0))",
            "(quotient_delta * output(0))",
        ),
        Mutant("negate-adjoint-sign", "the sign", "return {-*deltas[0]};", "return {*deltas[0]};"),
        Mutant("root-adjoint-doubled", "the factor ½ of the root", "(root + root)", "root"),
        Mutant(
            "relu-adjoint-lets-all-pass",
            "the ReLU's gradient",
            "{std::make_shared<ReluBackprop>(output(0), *deltas[0], upper_bound())}",
            "{*deltas[0]}",
        ),
        Mutant(
            "relu-adjoint-without-bound",
            "that the gradient stops at the upper bound",
            "{std::make_shared<ReluBackprop>(output(0), *deltas[0], upper_bound())}",
            "{std::make_shared<ReluBackprop>(output(0), *deltas[0])}",
        ),
        Mutant(
            "relu-backprop-adjoint-lets-all-pass",
            "the selection in the second derivative",
            "std::make_shared<ReluBackprop>(input_values()[0], *deltas[0], upper_bound())}",
            "*deltas[0]}",
        ),
    ),
)

REDUCTION = Group(
    OP + "reduction.cpp",
    GRADIENT_TESTS,
    (
        Mutant(
            "sum-adjoint-averaged",
            "that a sum is no mean",
            "{broadcast(*deltas[0], input_values()[0], axes())}",
            "{mean_backprop(*deltas[0], input_values()[0], axes())}",
        ),
        Mutant(
            "mean-adjoint-summed",
            "1/n",
            "{mean_backprop(*deltas[0], input_values()[0], axes())}",
            "{broadcast(*deltas[0], input_values()[0], axes())}",
        ),
        Mutant(
            "broadcast-adjoint-averaged",
            "that repeated values are summed",
            "{sum(*deltas[0], axes()), std::nullopt}",
            "{mean(*deltas[0], axes()), std::nullopt}",
        ),
        Mutant(
            "mean-backprop-adjoint-summed",
            "1/n of the second derivative",
            "{mean(*deltas[0], axes()), std::nullopt}",
            "{sum(*deltas[0], axes()), std::nullopt}",
        ),
    ),
)

MATRICES = Group(
    OP + "matrix_multiply.cpp",
    GRADIENT_TESTS,
    (
        Mutant(
            "left-adjoint-not-transposed",
            "a transposition",
            "delta, right, false, !transpose_right()",
            "delta, right, false, transpose_right()",
        ),
        Mutant(
            "left-adjoint-of-transposed",
            "a transposition",
            "right, delta, transpose_right(), true",
            "right, delta, transpose_right(), false",
        ),
        Mutant(
            "right-adjoint-not-transposed",
            "a transposition",
            "left, delta, !transpose_left(), false",
            "left, delta, transpose_left(), false",
        ),
        Mutant(
            "right-adjoint-of-transposed",
            "a transposition",
            "delta, left, true, transpose_left()",
            "delta, left, false, transpose_left()",
        ),
    ),
)

CONVERT = Group(
    OP + "convert.cpp",
    GRADIENT_TESTS,
    (
        Mutant(
            "convert-adjoint-of-integers",
            "that integers have no derivative",
            "if (!type.is_real()) {",
            "if (false) {",
        ),
        Mutant(
            "convert-to-integers",
            "P1 of conversions",
            "if (!element_type.is_real()) {",
            "if (false) {",
        ),
    ),
)

INFERENCE_ADJOINTS = Group(
    OP + "batch_norm_stages.cpp",
    GRADIENT_TESTS,
    (
        Mutant(
            "inference-mean-delta-sign",
            "the sign of mean's gradient",
            '-(gmul * sums->output("beta_delta"))',
            '(gmul * sums->output("beta_delta"))',
        ),
        Mutant(
            "inference-variance-delta-sign",
            "the sign of variance's gradient",
            "filled(-0.5, element::f64, variance)",
            "filled(0.5, element::f64, variance)",
        ),
        Mutant(
            "inference-variance-delta-power",
            "a power of invsqrt",
            "minus_half * gmul * invsqrt *",
            "minus_half * gmul *",
        ),
        Mutant(
            "activated-inference-of-every-delta",
            "that ReLU's gradient passes where ReLU lets pass",
            "inference_adjoints(node, passed)",
            "inference_adjoints(node, activated_delta)",
        ),
        Mutant(
            "activated-inference-without-bound",
            "the bound of the ReLU's gradient",
            "activated_delta, node.upper_bound()",
            "activated_delta, std::nullopt",
        ),
    ),
)

TRAINING_ADJOINTS = Group(
    OP + "batch_norm_stages.cpp",
    GRADIENT_TESTS,
    (
        Mutant(
            "training-statistics-without-gradient",
            "what arrives at mean and variance",
            "sum_of(adjoints[0], input_delta_of_statistics(node, "
            "deltas[index_of(outputs, Role::mean)], deltas[index_of(outputs, Role::variance)]))",
            "adjoints[0]",
        ),
        Mutant(
            "training-statistics-exchanged",
            "which statistic a gradient is of",
            "deltas[index_of(outputs, Role::mean)], deltas[index_of(outputs, Role::variance)]",
            "deltas[index_of(outputs, Role::variance)], deltas[index_of(outputs, Role::mean)]",
        ),
    ),
)

RELU_ADJOINTS = Group(
    OP + "batch_norm_stages.hpp",
    GRADIENT_TESTS,
    (
        Mutant(
            "relu-statistics-without-gradient",
            "what arrives at mean and variance",
            "training_adjoints(node, deltas, backprop)",
            "training_adjoints(node, {deltas[0], std::nullopt, std::nullopt, std::nullopt}, "
            "backprop)",
        ),
    ),
)

RELU_STAGES = Group(
    OP + "batch_norm_stages.cpp",
    f"{GRADIENT_TESTS} {DECOMPOSITION_TESTS}",
    (
        Mutant(
            "decomposed-relu-without-relu",
            "the ReLU",
            "std::make_shared<Relu>(stages.normed, bound)",
            "std::make_shared<Relu>(-stages.normed, bound)",
        ),
        Mutant(
            "decomposed-relu-without-residual",
            "the residual",
            "normed + stages.input(Role::residual)",
            "normed + normed",
        ),
        Mutant(
            "residual-without-gradient",
            "that each input has a gradient",
            "for (std::size_t input = 0; input < node.ports().inputs.size(); ++input) {",
            "for (std::size_t input = 0; input < 3; ++input) {",
        ),
    ),
)

RELU_BACKPROP = Group(
    OP + "batch_norm_training_relu_backprop.cpp",
    DECOMPOSITION_TESTS,
    (
        Mutant(
            "decomposed-relu-backprop-without-mask",
            "the mask",
            "backprop(normalized_delta, statistics)",
            "backprop(source(Role::delta), statistics)",
        ),
        Mutant(
            "decomposed-relu-backprop-frozen",
            "that the statistics are the batch's",
            "backprop(normalized_delta, statistics)",
            "backprop(normalized_delta, Statistics::given)",
        ),
    ),
)

ADJOINTS = Group(
    OP + "adjoints.cpp",
    GRADIENT_TESTS,
    (
        Mutant(
            "adjoints-do-not-add-up",
            "the sum over paths",
            "sum = sum ? *sum + delta : delta;",
            "sum = delta;",
        ),
        Mutant(
            "adjoints-of-what-does-not-depend",
            "that constants are left out",
            "if (!activity.is_active(*node)) {",
            "if (false) {",
        ),
    ),
)

SOURCES = Group(
    OP + "adjoints.cpp",
    CPP_TESTS,
    (
        Mutant(
            "source-listed-twice",
            "that the first place of a source counts",
            "places.try_emplace(sources[index], index);",
            "places.insert_or_assign(sources[index], index);",
        ),
    ),
)

DIFFERENTIATE = Group(
    PASS + "differentiate.cpp",
    GRADIENT_TESTS,
    (
        Mutant(
            "gradients-of-nothing",
            "that there is a parameter",
            "if (with_respect_to.empty()) {",
            "if (false) {",
        ),
        Mutant(
            "gradients-of-a-stranger",
            "that the parameter is the function's",
            "if (!known.contains(parameter)) {",
            "if (false) {",
        ),
        Mutant(
            "gradients-of-one-twice",
            "that each is listed once",
            "if (!listed.insert(parameter).second) {",
            "if (false) {",
        ),
        Mutant(
            "gradients-of-integers",
            "that types are real",
            "if (type.is_static() && !type.is_real()) {",
            "if (false) {",
        ),
        Mutant(
            "deltas-called-alike",
            "the names of deltas",
            'names.take(name_of(result) + "_delta")',
            '(static_cast<void>(names), name_of(result) + "_delta")',
        ),
        Mutant(
            "deltas-called-like-parameters",
            "the names of parameters",
            "names.take(parameter->friendly_name());",
            "static_cast<void>(parameter);",
        ),
        Mutant(
            "zero-of-unknown-type",
            "that the type of a zero is known",
            "if (type.is_dynamic()) {",
            "if (false) {",
        ),
        Mutant(
            "gradient-of-unused-is-one",
            "that it is 0",
            "op::filled(0, type, parameter)",
            "op::filled(1, type, parameter)",
        ),
    ),
)

NAMES_OF_GRADIENTS = Group(
    PASS + "differentiate.cpp",
    CPP_TESTS,
    (
        Mutant(
            "gradients-called-alike",
            "the names of gradients",
            "node.set_friendly_name(distinct);",
            "",
        ),
        Mutant(
            "original-nodes-renamed",
            "that nodes of the original keep their names",
            "done.insert(node.get());",
            "static_cast<void>(node);",
        ),
    ),
)

DECOMPOSE = Group(
    PASS + "decompose.cpp",
    DECOMPOSITION_TESTS,
    (
        Mutant(
            "decompose-into-integers",
            "that the type is real",
            "if (compute_type.is_static() && !compute_type.is_real()) {",
            "if (false) {",
        ),
    ),
)

FUSE_RELU = Group(
    PASS + "fuse_relu.cpp",
    "tests/pass/test_fuse_relu.py",
    (
        Mutant(
            "fuse-what-is-a-result",
            "that results stay",
            "        if (may_be_activated(result)) {",
            "        if (false) {",
        ),
        Mutant(
            "fuse-what-others-read",
            "that all readers are ReLUs",
            "return read_otherwise.contains(of_node.first);",
            "return false && read_otherwise.contains(of_node.first);",
        ),
        Mutant(
            "fuse-sums-of-short-data",
            "that sums of 16-bit data stay",
            "(type != element::f32 && type != element::f64)",
            "type.is_dynamic()",
        ),
        Mutant(
            "fuse-sums-whose-term-others-read",
            "that the sum alone reads the normalized data",
            "is_normalized(normalized) && users.count(normalized) == 1 &&",
            "is_normalized(normalized) &&",
        ),
        Mutant(
            "fuse-sums-with-what-comes-later",
            "that the residual is there before",
            "places.at(residual.node().get()) < places.at(normalized.node().get())",
            "true",
        ),
        Mutant(
            "fuse-sums-with-residuals-as-they-were",
            "that a residual that is fused itself is the new one",
            "values.of(found->second.residual)",
            "found->second.residual",
        ),
        Mutant(
            "fuse-relus-with-any-bounds",
            "that all readers are ReLUs with one bound",
            "activations.try_emplace(input.node().get(), *read).first->second != *read",
            "!activations.try_emplace(input.node().get(), *read).first->second.upper_bound",
        ),
        Mutant(
            "fuse-behind-a-relu-of-another-bound",
            "that the bound is that of what is activated",
            "applied_activation(value) == activation ?",
            "applied_activation(value) ?",
        ),
        Mutant(
            "fuse-not-behind-inference",
            "that ReLU is fused with inference",
            "as<op::BatchNormInference>(node) != nullptr);",
            "false);",
        ),
        Mutant(
            "fuse-inference-without-its-bound",
            "the bound of a ReLU behind inference",
            "fused.activation.upper_bound, node.friendly_name()); return op->outputs();",
            "std::nullopt, node.friendly_name()); return op->outputs();",
        ),
        Mutant(
            "fuse-any-input-of-a-gradient",
            "which input of ReluBackprop selects",
            "backprop != nullptr && input == 0 ?",
            "backprop != nullptr ?",
        ),
        Mutant(
            "fuse-backward-of-other-inputs",
            "that both read the same",
            "std::ranges::equal(std::span(backprop.input_values()).first(5), inputs) &&",
            "",
        ),
        Mutant(
            "fuse-backward-of-other-statistics",
            "that mean and variance are the layer's",
            "std::ranges::equal(std::span(backprop.input_values()).first(5), inputs) &&",
            "std::ranges::equal(std::span(backprop.input_values()).first(3), inputs.first(3)) &&",
        ),
        Mutant(
            "fuse-backward-of-another-gradient",
            "that what arrives is the residual's gradient",
            'delta == delta.node()->output("residual_delta") &&',
            "",
        ),
        Mutant(
            "fuse-backward-of-other-epsilon",
            "that epsilon is the layer's",
            "backprop.epsilon() == other.epsilon() &&",
            "",
        ),
        Mutant(
            "fuse-backward-of-other-axis",
            "that the channel axis is the layer's",
            "backprop.channel_axis() == other.channel_axis();",
            "true;",
        ),
    ),
)

MERGE = Group(
    PASS + "merge_equal_nodes.cpp",
    CPP_TESTS,
    (
        Mutant("merge-without-kind", "the kind of node", "add_bytes(node.type_name());", ""),
        Mutant(
            "merge-without-inputs",
            "what is read",
            "add(std::bit_cast<std::uintptr_t>(input.node().get()));",
            "",
        ),
        Mutant(
            "merge-without-index", "which output is read", "            add(input.index());\n", ""
        ),
        Mutant(
            "merge-without-attributes",
            "the attributes",
            "        node.visit_attributes(*this);\n",
            "",
        ),
        Mutant(
            "merge-parameters",
            "that parameters are given different values",
            "return dynamic_cast<const Parameter*>(&node) != nullptr",
            "return false",
        ),
    ),
)

CONSTRAINTS = Group(
    OP + "primitive_constraints.cpp",
    PRIMITIVE_TESTS,
    (
        Mutant("p1-unchecked", "P1", "if (type.is_static() && !type.is_real()) {", "if (false) {"),
        Mutant(
            "p2-unchecked",
            "P2",
            '        if (!both) {\n            report.add("P2"',
            '        if (false) {\n            report.add("P2"',
        ),
        Mutant(
            "p4-rank",
            "the end of the rank",
            "from_front <= previous || from_front >= rank",
            "from_front <= previous",
        ),
        Mutant(
            "p4-order",
            "that axes ascend",
            "from_front <= previous || from_front >= rank",
            "from_front >= rank || from_front < 0",
        ),
        Mutant(
            "p4-order-of-any-rank",
            "that axes ascend whatever the rank",
            "(left < 0) != (right < 0) || left < right",
            "true",
        ),
        Mutant(
            "p4-equal-axes",
            "that no axis is listed twice",
            "(left < 0) != (right < 0) || left < right",
            "(left < 0) != (right < 0) || left <= right",
        ),
        Mutant(
            "p5-rank-unchecked",
            "P5 of ranks",
            "if (!value.has_static_rank() || value.size() == axes.size()) {",
            "if (true) {",
        ),
        Mutant("p6-unchecked", "P6", "if (shape.size() != 2) {", "if (shape.size() < 1) {"),
        Mutant("p7-unchecked", "P7", "if (!left_inner.compatible(right_inner)) {", "if (false) {"),
        Mutant(
            "p7-transposition",
            "the transposition of a matrix",
            "return transpose ? std::pair{shape[1], shape[0]} : std::pair{shape[0], shape[1]};",
            "return std::pair{shape[0], shape[1]};",
        ),
    ),
)

INPUT_COUNT = Group(
    OP + "input_count.cpp",
    CPP_TESTS,
    (
        Mutant(
            "number-of-inputs",
            "that an op takes as many inputs as it names",
            "if (inputs.size() != input_names.size())",
            "if (inputs.size() > input_names.size())",
        ),
    ),
)

GROUPS = (
    WIDE_STATISTICS,
    STATISTICS_TYPE,
    PREPARED,
    STAGES,
    ELEMENTWISE,
    REDUCTION,
    MATRICES,
    CONVERT,
    INFERENCE_ADJOINTS,
    TRAINING_ADJOINTS,
    RELU_ADJOINTS,
    RELU_STAGES,
    RELU_BACKPROP,
    ADJOINTS,
    SOURCES,
    DIFFERENTIATE,
    NAMES_OF_GRADIENTS,
    DECOMPOSE,
    FUSE_RELU,
    MERGE,
    CONSTRAINTS,
    INPUT_COUNT,
)
