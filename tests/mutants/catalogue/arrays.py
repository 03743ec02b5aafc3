"""Arrays given to the kernels: overlaps, outputs, and what is validated before a kernel runs."""

from ..mutant import CPP_TESTS, Group, Mutant

RUNTIME = "csrc/normgraph/runtime/"
OUT_TESTS = "tests/kernel/test_outputs_and_out.py"

VIEWS = Group(
    RUNTIME + "array.cpp",
    CPP_TESTS,
    (
        Mutant(
            "empty-array",
            "that an array with an axis of length 0 is empty",
            "return std::ranges::find(shape, 0) != shape.end();",
            "return shape.empty();",
        ),
        Mutant(
            "first-byte-of-negative-strides",
            "negative strides before the address",
            "(reach < 0 ? lowest : highest) += reach;",
            "if (reach > 0) { highest += reach; }",
        ),
        Mutant(
            "range-of-the-last-axis",
            "that every axis adds to the range",
            "(reach < 0 ? lowest : highest) += reach;",
            "(reach < 0 ? lowest : highest) = reach;",
        ),
        Mutant(
            "last-byte-of-positive-strides",
            "positive strides after the address",
            "(reach < 0 ? lowest : highest) += reach;",
            "if (reach < 0) { lowest += reach; }",
        ),
        Mutant(
            "range-without-the-last-element",
            "the last element's bytes",
            "std::int64_t highest = static_cast<std::int64_t>(element_type.size());",
            "std::int64_t highest = 0;",
        ),
        Mutant(
            "range-of-an-empty-array",
            "that an empty array has no bytes",
            "if (is_empty()) { return {address, address}; }",
            "",
        ),
        Mutant(
            "identical-at-other-addresses",
            "that identical views have one address",
            "left.address != right.address ||",
            "",
        ),
        Mutant(
            "identical-with-other-types",
            "that identical views have one element type",
            "left.element_type != right.element_type ||",
            "",
        ),
        Mutant(
            "identical-with-other-shapes",
            "that identical views have one shape",
            "!std::ranges::equal(left.shape, right.shape)",
            "left.shape.size() != right.shape.size()",
        ),
        Mutant(
            "identical-with-other-strides",
            "that identical views have the same strides",
            "left.shape[axis] > 1 && left.strides[axis] != right.strides[axis]",
            "left.shape[axis] < 1 && left.strides[axis] != right.strides[axis]",
        ),
        Mutant(
            "identical-but-for-axes-of-length-1",
            "that strides of axes of length 1 do not count",
            "left.shape[axis] > 1 && left.strides[axis] != right.strides[axis]",
            "left.strides[axis] != right.strides[axis]",
        ),
        Mutant(
            "overlap-with-what-is-before",
            "that a range which ends before the other does not overlap it",
            "return before(left_range.begin, right_range.end) &&",
            "return",
        ),
        Mutant(
            "overlap-with-what-is-after",
            "that a range which begins after the other does not overlap it",
            "&& before(right_range.begin, left_range.end);",
            ";",
        ),
        Mutant(
            "self-overlap-of-an-empty-array",
            "that an empty array does not overlap itself",
            "if (array.is_empty()) { return false; }",
            "",
        ),
        Mutant(
            "self-overlap-of-axes-of-length-1",
            "that axes of length 1 do not count",
            "if (array.shape[axis] > 1) { axes.push_back(axis); }",
            "axes.push_back(axis);",
        ),
        Mutant(
            "self-overlap-in-logical-order",
            "that axes are looked at from the smallest stride up",
            "std::ranges::sort(axes, {}, [&](std::size_t axis) "
            "{ return std::abs(array.strides[axis]); });",
            "",
        ),
        Mutant(
            "self-overlap-in-signed-order",
            "the magnitude of strides",
            "std::ranges::sort(axes, {}, [&](std::size_t axis) "
            "{ return std::abs(array.strides[axis]); });",
            "std::ranges::sort(axes, {}, [&](std::size_t axis) { return array.strides[axis]; });",
        ),
        Mutant(
            "self-overlap-of-negative-strides",
            "the magnitude of strides",
            "const std::int64_t stride = std::abs(array.strides[axis]);",
            "const std::int64_t stride = array.strides[axis];",
        ),
        Mutant(
            "self-overlap-of-neighbours-alone",
            "the extent of the smaller axes",
            "extent += stride * (array.shape[axis] - 1);",
            "",
        ),
    ),
)

CHECK_OUTPUT = Group(
    RUNTIME + "array.cpp",
    OUT_TESTS,
    (
        Mutant(
            "out-of-any-type",
            "that an output has its type and shape",
            "array.element_type != type.element_type ||",
            "",
        ),
        Mutant(
            "out-of-any-shape",
            "that an output has its type and shape",
            "|| !has_shape(array, type.partial_shape)",
            "",
        ),
        Mutant(
            "out-that-is-read-only",
            "that an output is writable",
            "if (!array.is_writable)",
            "if (!array.is_writable && array.address == nullptr)",
        ),
        Mutant(
            "out-that-overlaps-itself",
            "that an output's elements have memory of their own",
            "if (may_overlap_itself(array))",
            "if (may_overlap_itself(array) && array.address == nullptr)",
        ),
    ),
)

VALIDATION = Group(
    RUNTIME + "kernel_call.cpp",
    "tests/kernel/test_special_values.py -k empty",
    (
        Mutant(
            "training-of-an-empty-batch",
            "that training refuses an empty batch",
            "if (call.needs_elements() && !is_reduction_given)",
            "if (call.needs_elements() && call.outputs.empty())",
        ),
        Mutant(
            "no-empty-batch-at-all",
            "that the other ops take an empty batch",
            "if (call.needs_elements() && !is_reduction_given)",
            "if (!is_reduction_given)",
        ),
    ),
)

NEEDS_ELEMENTS = Group(
    RUNTIME + "kernel_call.hpp",
    "tests/kernel/test_special_values.py -k empty",
    (
        Mutant(
            "inference-of-an-empty-batch",
            "that inference takes an empty batch",
            "!op::has(inputs, op::Role::mean) && !op::has(inputs, op::Role::delta)",
            "!op::has(inputs, op::Role::delta)",
        ),
    ),
)

COUNTING = Group(
    "csrc/normgraph/indices/element_limit.hpp",
    "tests/kernel/test_large_index.py -k refused",
    (
        Mutant(
            "more-elements-than-indices-reach",
            "that elements can be counted",
            "if (count > (element_limit - 1) / length)",
            "if (length > element_limit)",
        ),
    ),
)

DEFAULT_TYPE = Group(
    RUNTIME + "kernel_call.cpp",
    "tests/kernel/test_batch_norm_training.py",
    (
        Mutant(
            "statistics-beside-16-bits-without-vectors",
            "that statistics are f32 where no vector tells their type",
            "output.element_type = element::f32;",
            "output.element_type = outputs.front().element_type;",
        ),
    ),
)

STATISTICS_TYPE = Group(
    RUNTIME + "kernel_call.cpp",
    "tests/kernel/test_statistics_type.py",
    (
        Mutant(
            "narrow-statistics-of-16-bit-data",
            "that statistics of 16-bit data are f32",
            "attributes.statistics_type = element::f32;",
            "",
        ),
    ),
)

STATISTICS_TYPE_OF_OUT = Group(
    "csrc/binding/kernel_function.cpp",
    "tests/kernel/test_statistics_type.py",
    (
        Mutant(
            "out-does-not-tell-the-type-of-statistics",
            "that an array given as out decides",
            "if (!attributes.statistics_type) { attributes",
            "if (false) { attributes",
        ),
        Mutant(
            "out-of-any-type-decides",
            "that an array that does not fit does not decide",
            "op::vector_type_fits(role, outputs[index]->element_type, data)",
            "outputs[index]->element_type.is_real()",
        ),
    ),
)

SIGNATURE = Group(
    RUNTIME + "kernel_call.cpp",
    "tests/kernel/test_remembered_signatures.py tests/kernel/test_array_inputs.py",
    (
        Mutant(
            "remembered-for-any-epsilon",
            "that a new epsilon is validated",
            "*next++ = std::bit_cast<std::int64_t>(attributes.epsilon);",
            "*next++ = 0;",
        ),
        Mutant(
            "remembered-for-any-axis",
            "that a new channel_axis is validated",
            "*next++ = attributes.channel_axis;",
            "*next++ = 0;",
        ),
        Mutant(
            "remembered-for-any-statistics-type",
            "that a new statistics_type is validated",
            "attributes.statistics_type ? kind_number(*attributes.statistics_type) : -1",
            "-1",
        ),
        Mutant(
            "remembered-for-any-type",
            "that new element types are validated",
            "+ kind_number(input.element_type);",
            ";",
        ),
        Mutant(
            "remembered-for-any-lengths",
            "that new shapes are validated",
            "next = std::ranges::copy(input->shape, next).out;",
            "next = std::fill_n(next, input->shape.size(), 0);",
        ),
        Mutant(
            "remembered-for-absent-inputs",
            "that an absent input is told from a scalar one",
            "*next++ = input ? rank_and_type(*input) : -1;",
            "*next++ = input ? rank_and_type(*input) : 1;",
        ),
        Mutant(
            "remembered-beyond-the-memory",
            "that signatures of large rank are validated each time",
            "const bool is_known = signature.fits() && entry.is(call, signature);",
            "const bool is_known = signature.fits() ? entry.is(call, signature) : entry.call != "
            "nullptr;",
        ),
    ),
)

TRAINING = Group(
    RUNTIME + "kernel_call.cpp",
    "tests/kernel/test_batch_norm_training.py",
    (
        Mutant(
            "training-inputs-swapped",
            "which input is gamma and which beta",
            ".gamma = arrays.vector(Role::gamma), .beta = arrays.vector(Role::beta), "
            ".normalized = arrays.result(), .mean = arrays.vector_result",
            ".gamma = arrays.vector(Role::beta), .beta = arrays.vector(Role::gamma), "
            ".normalized = arrays.result(), .mean = arrays.vector_result",
        ),
        Mutant(
            "training-outputs-swapped",
            "which output is the mean and which the variance",
            ".mean = arrays.vector_result(Role::mean), "
            ".variance = arrays.vector_result(Role::variance),",
            ".mean = arrays.vector_result(Role::variance), "
            ".variance = arrays.vector_result(Role::mean),",
        ),
    ),
)

INFERENCE = Group(
    RUNTIME + "kernel_call.cpp",
    "tests/kernel/test_batch_norm_inference.py",
    (
        Mutant(
            "inference-inputs-swapped",
            "which input is the mean and which the variance",
            ".beta = arrays.vector(Role::beta), .mean = arrays.vector(Role::mean), "
            ".variance = arrays.vector(Role::variance),",
            ".beta = arrays.vector(Role::beta), .mean = arrays.vector(Role::variance), "
            ".variance = arrays.vector(Role::mean),",
        ),
        Mutant(
            "inference-gamma-and-beta-swapped",
            "which input is gamma and which beta",
            ".gamma = arrays.vector(Role::gamma), .beta = arrays.vector(Role::beta), "
            ".mean = arrays.vector(Role::mean),",
            ".gamma = arrays.vector(Role::beta), .beta = arrays.vector(Role::gamma), "
            ".mean = arrays.vector(Role::mean),",
        ),
    ),
)

BACKPROP = Group(
    RUNTIME + "kernel_call.cpp",
    "tests/kernel/test_batch_norm_training_backprop.py",
    (
        Mutant(
            "backprop-reads-beta-for-gamma",
            "that beta is not read",
            ".gamma = arrays.vector(Role::gamma), .mean = arrays.vector(Role::mean),",
            ".gamma = arrays.vector(Role::beta), .mean = arrays.vector(Role::mean),",
        ),
        Mutant(
            "backprop-statistics-swapped",
            "which input is the mean and which the variance",
            ".gamma = arrays.vector(Role::gamma), .mean = arrays.vector(Role::mean), "
            ".variance = arrays.vector(Role::variance),",
            ".gamma = arrays.vector(Role::gamma), .mean = arrays.vector(Role::variance), "
            ".variance = arrays.vector(Role::mean),",
        ),
        Mutant(
            "backprop-input-for-normalized-delta",
            "that normalized_delta is read",
            ".normalized_delta = arrays.tensor(Role::delta), .input_delta = arrays.result()",
            ".normalized_delta = arrays.tensor(Role::input), .input_delta = arrays.result()",
        ),
        Mutant(
            "backprop-outputs-swapped",
            "which output is gamma_delta and which beta_delta",
            ".gamma_delta = arrays.vector_result(Role::gamma_delta), "
            ".beta_delta = arrays.vector_result(Role::beta_delta),",
            ".gamma_delta = arrays.vector_result(Role::beta_delta), "
            ".beta_delta = arrays.vector_result(Role::gamma_delta),",
        ),
    ),
)

WHICH_KERNEL = Group(
    RUNTIME + "kernel_call.cpp",
    CPP_TESTS,
    (
        Mutant(
            "kernel-told-by-the-outputs",
            "that it is inference if statistics are given",
            "op::has(Op::signature.inputs, Role::mean)",
            "op::has(Op::signature.outputs, Role::mean)",
        ),
        Mutant(
            "kernels-statistics-exchanged",
            "which statistics a backward op has",
            "statistics == op::Statistics::of_batch ?",
            "statistics == op::Statistics::given ?",
        ),
    ),
)

GROUPS = (
    VIEWS,
    CHECK_OUTPUT,
    VALIDATION,
    NEEDS_ELEMENTS,
    COUNTING,
    DEFAULT_TYPE,
    STATISTICS_TYPE,
    STATISTICS_TYPE_OF_OUT,
    SIGNATURE,
    TRAINING,
    INFERENCE,
    BACKPROP,
    WHICH_KERNEL,
)
