"""Reading and writing of elements: rounding, denormals, infinity, NaN; the arithmetic's mode."""

from ..mutant import CPP_TESTS, Group, Mutant

KERNEL = "csrc/normgraph/kernel/"

SIXTEEN_BITS = Group(
    KERNEL + "element_type.hpp",
    CPP_TESTS,
    (
        Mutant(
            "bf16-ties-up",
            "that ties go to even",
            "0x7FFFU + ((bits >> 16) & 1U)",
            "0x8000U",
        ),
        Mutant(
            "bf16-truncated",
            "rounding",
            "0x7FFFU + ((bits >> 16) & 1U)",
            "0U",
        ),
        Mutant(
            "bf16-nan-rounded",
            "that a NaN is not rounded",
            "if (value != value)",
            "if (value != value && bits == 0U)",
        ),
        Mutant(
            "bf16-nan-cut-off",
            "that a NaN with a short payload stays a NaN",
            "((bits >> 16) | 0x0040U)",
            "(bits >> 16)",
        ),
        Mutant(
            "f16-read-without-sign",
            "the sign",
            "std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(scaled))",
            "scaled",
        ),
        Mutant(
            "f16-read-without-infinity",
            "infinity and NaN",
            "if (magnitude >= 0x7C00U)",
            "if (magnitude > 0x7FFFU)",
        ),
        Mutant(
            "f16-read-nan-as-infinity",
            "the fraction of a NaN",
            "sign | 0x7F800000U | ((magnitude & 0x3FFU) << 13)",
            "sign | 0x7F800000U",
        ),
        Mutant(
            "f16-nan-cut-off",
            "that a NaN with a short payload stays a NaN",
            "sign | 0x7E00U | ((magnitude >> 13) & 0x3FFU)",
            "sign | 0x7C00U | ((magnitude >> 13) & 0x3FFU)",
        ),
        Mutant(
            "f16-overflow-wraps",
            "that what is too large becomes infinity",
            "if (magnitude >= 0x47800000U)",
            "if (magnitude >= 0x7F800000U)",
        ),
        Mutant(
            "f16-infinity-without-sign",
            "the sign of infinity",
            "sign | 0x7C00U)",
            "0x7C00U)",
        ),
        Mutant(
            "f16-denormals-flushed",
            "denormals",
            "static_cast<std::uint16_t>(sign | fraction)",
            "static_cast<std::uint16_t>(sign | 0U * fraction)",
        ),
        Mutant(
            "f16-denormals-without-sign",
            "the sign of denormals",
            "static_cast<std::uint16_t>(sign | fraction)",
            "static_cast<std::uint16_t>(fraction)",
        ),
        Mutant(
            "f16-ties-up",
            "that ties go to even",
            "0xFFFU + ((magnitude >> 13) & 1U)",
            "0x1000U",
        ),
        Mutant(
            "f16-truncated",
            "rounding",
            "0xFFFU + ((magnitude >> 13) & 1U)",
            "0U",
        ),
        Mutant(
            "size-of-f32",
            "the size of an f32",
            "type == ElementType::f32 ? 4 : 2",
            "type == ElementType::f32 ? 2 : 2",
        ),
    ),
)

ARITHMETIC = Group(
    KERNEL + "element_type.hpp",
    "tests/kernel/test_batch_norm_inference.py",
    (
        Mutant(
            "f64-vectors-read-as-f32",
            "that f64 vectors are read in double",
            "{ return static_cast<double>(load<Data>(address)); }",
            "-> double { return static_cast<float>(load<Data>(address)); }",
        ),
        Mutant(
            "bf16-taken-for-f16",
            "which type is bf16",
            "return function.template operator()<bfloat16>();",
            "return function.template operator()<float16>();",
        ),
    ),
)

ENVIRONMENT = Group(
    KERNEL + "threads/parallel_for.cpp",
    "tests/kernel/test_special_values.py -k rounding_mode",
    (
        Mutant(
            "kernels-in-the-callers-mode",
            "the default floating-point environment of the kernels",
            "const DefaultFloatingPointEnvironment environment;",
            "",
        ),
    ),
)

COEFFICIENTS_ENVIRONMENT = Group(
    KERNEL + "dispatch.hpp",
    "tests/kernel/test_special_values.py -k rounding_mode",
    (
        Mutant(
            "coefficients-in-the-callers-mode",
            "the default floating-point environment outside of the tasks",
            "const DefaultFloatingPointEnvironment environment;",
            "",
        ),
    ),
)

RESTORING = Group(
    KERNEL + "threads/floating_point_environment.hpp",
    CPP_TESTS,
    (
        Mutant(
            "callers-mode-not-restored",
            "that the caller's mode is restored",
            "_mm_setcsr(callers_);",
            "",
        ),
    ),
)

SHARING = Group(
    KERNEL + "threads/share_range.hpp",
    CPP_TESTS,
    (
        Mutant(
            "larger-ranges-begin-too-early",
            "the channels that the larger ranges before have taken",
            "task * size + std::min(task, larger)",
            "task * size",
        ),
        Mutant(
            "last-channels-left-out",
            "the channels that equal ranges leave over",
            "(task < larger ? 1 : 0)",
            "0",
        ),
    ),
)

ELEMENT_TYPE_OF_KERNELS = Group(
    "csrc/normgraph/runtime/kernel_call.cpp",
    "tests/kernel/test_batch_norm_inference.py tests/kernel/test_batch_norm_training.py",
    (
        Mutant(
            "vectors-take-the-datas-type",
            "that channel vectors may have a type of their own",
            "found == vectors.end() ? data.element_type : (**found)->element_type",
            "data.element_type",
        ),
        Mutant(
            "vectors-type-from-inputs-alone",
            "that outputs tell the type of channel vectors where no input does",
            "&output(Role::mean), &output(Role::variance)}",
            "&input(Role::mean), &input(Role::variance)}",
        ),
        Mutant(
            "statistics-take-gammas-type",
            "that statistics may have another type than gamma",
            ".statistics_type = shared_type(statistics, data),",
            ".statistics_type = shared_type(affine, data),",
        ),
        Mutant(
            "negative-axis-not-resolved",
            "that a negative axis counts from the last",
            "axis_from_front(attributes.channel_axis, rank)",
            "attributes.channel_axis < 0 ? rank - 1 : attributes.channel_axis",
        ),
    ),
)

GROUPS = (
    SIXTEEN_BITS,
    ARITHMETIC,
    ENVIRONMENT,
    COEFFICIENTS_ENVIRONMENT,
    RESTORING,
    SHARING,
    ELEMENT_TYPE_OF_KERNELS,
)
