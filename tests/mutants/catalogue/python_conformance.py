"""`normgraph.conform`: what is expected, how outputs are judged, in which order sums are made."""

from ..mutant import Group, Mutant

CONFORMANCE = "python/normgraph/conform/"
TESTS = "tests/conformance/"

EXPECTED = Group(
    CONFORMANCE + "expected.py",
    f"{TESTS}test_expected.py {TESTS}test_mistakes.py {TESTS}test_relu.py "
    "-k 'of_the_definition or on_every_case or right_functions or relu6'",
    (
        Mutant(
            "conformance-without-the-mean-path",
            "the mean path of the expected gradient",
            "self.counting(self.beta_delta + self.x_hat * self.gamma_delta)",
            "self.counting(self.x_hat * self.gamma_delta)",
        ),
        Mutant(
            "conformance-variance-of-all-positions",
            "that positions which do not count are not in the variance",
            "self.sum(self.counting((self.x - self.mean) ** 2))",
            "self.sum((self.x - self.mean) ** 2)",
        ),
        Mutant(
            "conformance-gradient-above-the-bound",
            "that a ReLU's upper bound lets nothing pass",
            "passes if upper_bound is None else passes & np.asarray(self.linear < upper_bound)",
            "passes",
        ),
        Mutant(
            "conformance-mean-without-rounding",
            "the rounding of a mean that is far from zero",
            "units = 4 if self.given else 4 + self.n",
            "units = 0",
        ),
    ),
    is_alone=True,
)

EXACT = Group(
    CONFORMANCE + "exact.py",
    TESTS + "test_expected.py -k 'rounding or two_doubles or exact_sum'",
    (
        Mutant(
            "conformance-exponent-of-the-ratio-of-lengths",
            "that a quotient may be in the next binade",
            "exponent += size << max(0, -exponent) >= denominator << max(0, exponent)",
            "pass",
        ),
        Mutant(
            "conformance-denormals-of-full-precision",
            "that denormals have fewer bits",
            "step = max(exponent - to.significand_bits, to.least_exponent)",
            "step = exponent - to.significand_bits",
        ),
        Mutant(
            "conformance-exact-values-in-one-double",
            "what rounding to double leaves of an exact value",
            "return high, quotient(left, value.denominator * denominator)",
            "return high, 0.0",
        ),
        Mutant(
            "conformance-ties-away-from-zero",
            "that ties go to even",
            "(2 * rest == unit and steps % 2 == 1)",
            "2 * rest == unit",
        ),
        Mutant(
            "conformance-sum-over-the-first-denominator",
            "that the terms of a sum have denominators of their own",
            "term.numerator * (denominator // term.denominator)",
            "term.numerator",
        ),
    ),
    is_alone=True,
)

JUDGEMENT = Group(
    CONFORMANCE + "judgement.py",
    f"{TESTS}test_calls.py {TESTS}test_expected.py {TESTS}test_mistakes.py "
    "-k '16_bits or beyond_the_type or not_finite or nan_that_is_lost'",
    (
        Mutant(
            "conformance-either-type-of-16-bits",
            "that neither type of 16 bits holds the other",
            'if {wide.name, narrow.name} == {"f16", "bf16"}:',
            "if False:",
        ),
        Mutant(
            "conformance-infinity-of-any-sign",
            "the sign of what is beyond the type",
            "overflows & np.isinf(values) & (np.sign(values) == np.sign(expected.high))",
            "overflows & np.isinf(values)",
        ),
        Mutant(
            "conformance-number-where-none-is-right",
            "that NaN or infinity is right where the definition has nothing finite",
            "np.where(is_spoiled, np.where(np.isfinite(values), np.inf, 0.0), error)",
            "np.where(is_spoiled, 0.0, error)",
        ),
        Mutant(
            "conformance-nan-is-no-error",
            "that an error which is no number is infinite",
            "np.where(is_right, 0.0, np.where(np.isnan(error), np.inf, error))",
            "np.where(is_right, 0.0, np.nan_to_num(error))",
        ),
    ),
    is_alone=True,
)

SUMMATION = Group(
    CONFORMANCE + "summation.py",
    f"{TESTS}test_summation.py -k 'exact_sums or chance or powers_of_two or threads_that_are_set'",
    (
        Mutant(
            "conformance-order-of-chance",
            "that equal calls have to give equal results",
            "if not is_repeatable(total, count, data):",
            "if False:",
        ),
        Mutant(
            "conformance-exact-sum-has-an-order",
            "that a sum may lose no summand",
            "if probe.absorbs_nothing():",
            "if False:",
        ),
        Mutant(
            "conformance-counted-by-even-numbers",
            "that the type of the sums has to count odd numbers as well",
            "for group in (*groups, *shorter)",
            "for group in groups",
        ),
        Mutant(
            "conformance-order-of-any-number-of-threads",
            "that two threads may add in another order",
            "return of_one != [many.meeting(0, other) for other in others]",
            "return False",
        ),
    ),
    is_alone=True,
)

TREE = Group(
    CONFORMANCE + "tree.py",
    TESTS + "test_summation.py -k 'no_tree or halves'",
    (
        Mutant(
            "conformance-tree-of-any-sizes",
            "that as many summands meet as there are",
            "if tree.size + len(joined) != size:",
            "if False:",
        ),
        Mutant(
            "conformance-pairwise-in-any-order",
            "that pairwise sums are those of neighbours",
            "is_balanced(tree) and all(node.is_range for node in tree.in_postorder())",
            "is_balanced(tree)",
        ),
    ),
    is_alone=True,
)

RELU = Group(
    CONFORMANCE + "relu.py",
    TESTS + "test_relu.py",
    (
        Mutant(
            "conformance-relu-tells-what-is-above-its-bound",
            "that an output at the bound does not tell what the ReLU was given",
            "(rows > 0) & (rows < upper_bound)",
            "rows > 0",
        ),
        Mutant(
            "conformance-sums-at-the-mask-of-the-elements",
            "that the sums of a gradient may have another mask than its elements",
            "paths = sums.input_delta - sums.delta_term",
            "paths = elements.input_delta - elements.delta_term",
        ),
    ),
    is_alone=True,
)

VECTORS = Group(
    CONFORMANCE + "vectors.py",
    TESTS + "test_vectors.py -k 106_bits",
    (
        Mutant(
            "conformance-vectors-without-low-parts",
            "the low parts of exact values beside f64",
            "if case.data is F64:",
            "if False:",
        ),
    ),
    is_alone=True,
)

GROUPS = (EXPECTED, EXACT, JUDGEMENT, SUMMATION, TREE, RELU, VECTORS)
