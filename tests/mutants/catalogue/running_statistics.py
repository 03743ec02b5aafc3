"""The step of the running averages, and what it is refused."""

from ..mutant import Group, Mutant

TESTS = "tests/kernel/test_running_statistics.py"

AVERAGE = Group(
    "csrc/normgraph/kernel/running_statistics.cpp",
    TESTS + " tests/kernel/test_special_values.py",
    (
        Mutant(
            "running-without-old-value",
            "the old value",
            "(1.0 - momentum) * old_value + momentum * new_value",
            "0.0 * old_value + momentum * new_value",
        ),
        Mutant(
            "running-weights-swapped",
            "that momentum is the weight of the new value",
            "(1.0 - momentum) * old_value + momentum * new_value",
            "momentum * old_value + (1.0 - momentum) * new_value",
        ),
        Mutant(
            "running-without-correction",
            "the factor of the new value",
            "correction * load_as_double(batch_type,",
            "0.0 * correction + load_as_double(batch_type,",
        ),
        Mutant(
            "running-batch-of-running-type",
            "that the batch has a type of its own",
            "load_as_double(batch_type, batch.address",
            "load_as_double(running_type, batch.address",
        ),
        Mutant(
            "running-in-the-callers-rounding-mode",
            "the default floating-point environment",
            "const DefaultFloatingPointEnvironment environment;",
            "",
        ),
    ),
)

ROUNDING = Group(
    "csrc/normgraph/kernel/storage_type.hpp",
    TESTS,
    (
        Mutant(
            "running-rounded-twice",
            "that 16-bit results are not rounded by way of float",
            "rounded_to<Data>(to_float_odd(value))",
            "rounded_to<Data>(static_cast<float>(value))",
        ),
        Mutant(
            "running-odd-is-up",
            "which of two floats is the odd one",
            "is_larger ? 1U : 0U",
            "0U",
        ),
    ),
)

FACTOR = Group(
    "csrc/normgraph/kernel/running_statistics.hpp",
    TESTS,
    (
        Mutant(
            "running-factor-of-one-more",
            "n - 1 in n/(n - 1)",
            "static_cast<double>(n - 1)",
            "static_cast<double>(n + 1)",
        ),
    ),
)

CHECKS = Group(
    "csrc/normgraph/runtime/running_statistics.cpp",
    TESTS,
    (
        Mutant(
            "running-mean-is-corrected",
            "that the mean is not multiplied by n/(n - 1)",
            "batch.mean, update.momentum, 1.0,",
            "batch.mean, update.momentum, correction,",
        ),
        Mutant(
            "running-always-unbiased",
            "that the biased variance may be kept",
            "update.unbiased ? kernel::unbiased_correction(update.n) : 1.0",
            "kernel::unbiased_correction(update.n)",
        ),
        Mutant(
            "running-of-integers",
            "that the arrays are real",
            "!array.element_type.is_real()",
            "false",
        ),
        Mutant(
            "running-of-matrices",
            "that the arrays are vectors",
            "array.shape.size() != 1",
            "array.shape.empty()",
        ),
        Mutant(
            "running-of-other-lengths",
            "that the vectors have one length",
            "array.shape[0] != first.shape[0]",
            "false",
        ),
        Mutant(
            "running-n-of-0",
            "that n is at least 1",
            "update.n < 1",
            "update.n < 0",
        ),
        Mutant(
            "running-unbiased-n-of-1",
            "that one element has no unbiased variance",
            "update.unbiased && update.n == 1",
            "update.unbiased && update.n == 0",
        ),
        Mutant(
            "running-momentum-of-nan",
            "that momentum is a number from 0 to 1",
            "!(update.momentum >= 0.0 && update.momentum <= 1.0)",
            "update.momentum < 0.0 || update.momentum > 1.0",
        ),
        Mutant(
            "running-momentum-above-1",
            "that momentum is at most 1",
            "update.momentum <= 1.0",
            "update.momentum <= 2.0",
        ),
    ),
)

BINDING = Group(
    "csrc/binding/register_running_statistics.cpp",
    TESTS,
    (
        Mutant(
            "running-overlap-with-running",
            "that out and running do not overlap",
            'check_overlaps(result, "running", running);',
            "",
        ),
        Mutant(
            "running-overlap-with-batch",
            "that out and batch do not overlap",
            'check_overlaps(result, "batch", batch);',
            "",
        ),
        Mutant(
            "running-overlap-of-results",
            "that the results do not overlap",
            'check_overlap(name_in_pair("out", 1), result.variance, '
            'name_in_pair("out", 0), result.mean);',
            "",
        ),
        Mutant(
            "running-alias-of-the-other",
            "that a result may only be its own input's array",
            "index != other || !are_identical_views",
            "!are_identical_views",
        ),
        Mutant(
            "running-unbiased-of-numbers",
            "that unbiased is a bool",
            "PyBool_Check(object.ptr()) == 0 &&",
            "false &&",
        ),
    ),
)

GROUPS = (AVERAGE, ROUNDING, FACTOR, CHECKS, BINDING)
