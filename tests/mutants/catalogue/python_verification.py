"""`normgraph.verify`: how functions are called, what is measured, and what is said of a mistake."""

from ..mutant import Group, Mutant

VERIFICATION = "python/normgraph/verification/"
TESTS = "tests/verification/"

CALLS = Group(
    VERIFICATION + "calls.py",
    f"{TESTS}test_bad_input.py {TESTS}test_results.py {TESTS}test_layers.py "
    f"{TESTS}test_backward.py "
    "-k 'not_written_to or type_error_inside or do_not_fit_together or floating_point_errors "
    "or put_back or misbehaviour'",
    (
        Mutant(
            "verification-writing-unseen",
            "that a function may not write to its arguments",
            "modified = [name for name, value in before.items() "
            "if not same_bits(value, arguments[name])]",
            "modified: list[str] = []",
        ),
        Mutant(
            "verification-arguments-shared",
            "that each call gets a copy of x",
            '"x": lambda: case.x.copy()',
            '"x": lambda: case.x',
        ),
        Mutant(
            "verification-errors-inside-taken-for-those-of-the-call",
            "that a TypeError may come from inside the function",
            "isinstance(error, TypeError) and is_of_the_call(error)",
            "isinstance(error, TypeError)",
        ),
        Mutant(
            "verification-cache-that-is-none",
            "that a forward function of y alone has no cache",
            'if "cache" in self.backward_binding.quantities and not forwarded.has_cache:',
            "if False:",
        ),
        Mutant(
            "verification-error-handling-of-its-own",
            "that functions run under the error handling that their user has set",
            "np.errstate(**self.error_state)",
            "np.errstate()",
        ),
        Mutant(
            "verification-gradients-of-the-call-before",
            "that gradients which a layer keeps are cleared before a call",
            "self.kept.clear_gradients(OUTPUTS[1:])",
            "pass",
        ),
    ),
    is_alone=True,
)

CASES = Group(
    VERIFICATION + "cases.py",
    TESTS + "test_backward.py",
    (
        Mutant(
            "verification-without-the-mean-path",
            "the mean path of the right gradient",
            "self.delta_term + self.mean_coefficient + self.x_hat * self.variance_coefficient",
            "self.delta_term + self.x_hat * self.variance_coefficient",
        ),
        Mutant(
            "verification-divisor-always-n",
            "that the unbiased variance is divided by n - 1",
            "max(self.n - self.model.unbiased, 1)",
            "max(self.n, 1)",
        ),
        Mutant(
            "verification-rounding-without-cancellation",
            "what the difference of mean squares loses",
            "float(64 * self.n * unit * (1 + cancellation**2))",
            "float(64 * self.n * unit)",
        ),
        Mutant(
            "verification-probe-without-slope",
            "the part of x in the delta of the probe",
            "delta = noise + signs * shift + slope * standard",
            "delta = noise + signs * shift",
        ),
    ),
    is_alone=True,
)

DIFFERENCES = Group(
    VERIFICATION + "differences.py",
    f"{TESTS}test_magnitudes.py {TESTS}test_backward.py -k 'any_magnitude or of_rows_pass'",
    (
        Mutant(
            "verification-differences-of-second-order",
            "the extrapolation of the finite differences",
            "first, second = middle + (middle - coarse) / 3, fine + (fine - middle) / 3",
            "first, second = middle, fine",
        ),
        Mutant(
            "verification-rounding-of-y-forgotten",
            "what the roundings of y do to finite differences",
            "terms.rounding(unit) + ratios(rounded, sizes)",
            "terms.rounding(unit)",
        ),
    ),
    is_alone=True,
)

DIAGNOSIS = Group(
    VERIFICATION + "diagnosis.py",
    f"{TESTS}test_backward.py {TESTS}test_forward.py "
    "-k 'mistake_is_named or mistake_of_forward or no_number'",
    (
        Mutant(
            "verification-nan-is-no-error",
            "that an error which is no number is infinite",
            'return error if np.isfinite(error) else float("inf")',
            "return error",
        ),
        Mutant(
            "verification-frozen-statistics-unnamed",
            "that both paths are missing where statistics are taken for constants",
            'if where == [TERMS["mean"], TERMS["variance"]]:',
            "if False:",
        ),
        Mutant(
            "verification-constant-statistics-of-any-forward",
            "that with constant statistics an element moves no other",
            "(size == 0).any() or (np.abs(change[1:]) > tolerance * size).any()",
            "(size == 0).any()",
        ),
        Mutant(
            "verification-terms-that-do-not-fit",
            "that a combination of the terms has to explain every element",
            "if residual > tolerance * np.abs(column).max():",
            "if False:",
        ),
    ),
    is_alone=True,
)

RESULTS = Group(
    VERIFICATION + "results.py",
    TESTS + "test_results.py -k order_of_gradients",
    (
        Mutant(
            "verification-order-by-shape-alone",
            "that vectors are told apart by their values",
            "others.reverse()",
            "pass",
        ),
    ),
    is_alone=True,
)

RUNNING = Group(
    VERIFICATION + "running.py",
    TESTS + "test_wild.py",
    (
        Mutant(
            "verification-weights-of-any-sum",
            "that the weights of an update add up to 1",
            "elif abs(kept + taken - 1) > 1e-3:",
            "elif False:",
        ),
        Mutant(
            "verification-average-of-any-statistic",
            "that a running statistic averages its own",
            "if update.statistic not in update.expected:",
            "if False:",
        ),
    ),
    is_alone=True,
)

TRIAL = Group(
    VERIFICATION + "trial.py",
    f"{TESTS}test_forward.py {TESTS}test_backward.py -k 'chance or no_number'",
    (
        Mutant(
            "verification-forward-called-once",
            "that forward has to give the same twice",
            "if not same_bits(forwarded.y, values_of_forward(functions, case)):",
            "if False:",
        ),
        Mutant(
            "verification-gradient-that-is-not-finite",
            "that a gradient has to be finite",
            "values.shape != expected.shape or not np.isfinite(values).all()",
            "values.shape != expected.shape",
        ),
    ),
    is_alone=True,
)

VALUES = Group(
    VERIFICATION + "values.py",
    TESTS + "test_bad_input.py -k no_array",
    (
        Mutant(
            "verification-mask-dropped",
            "that a masked array is refused",
            "if isinstance(value, np.ma.MaskedArray):",
            "if False:",
        ),
    ),
    is_alone=True,
)

GROUPS = (CALLS, CASES, DIFFERENCES, DIAGNOSIS, RESULTS, RUNNING, TRIAL, VALUES)
