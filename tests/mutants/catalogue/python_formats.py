"""Formats: JSON taken at its word, and the graphs of other programs that are read and written."""

from ..mutant import Group, Mutant

FORMATS = "python/normgraph/formats/"
TESTS = "tests/formats/"
INTEROP = "tests/interop/"

JSON = Group(
    FORMATS + "json.py",
    TESTS + "test_json.py -k 'fault or invalid_node'",
    (
        Mutant(
            "formats-json-nodes-that-nothing-needs",
            "that each node is one that a result depends on",
            'check_all_are_used(members["nodes"], nodes, function)',
            "pass",
        ),
        Mutant(
            "formats-json-of-any-version",
            "that the version is the one that is read",
            "if version.integer() != VERSION:",
            "if False:",
        ),
        Mutant(
            "formats-json-of-any-order",
            "that the id of a node is its place",
            'if members["id"].integer() != len(before):',
            "if False:",
        ),
        Mutant(
            "formats-json-failure-without-labels",
            "the labels of the constraints that a node violates",
            "located.labels = failure.labels",
            "pass",
        ),
    ),
    is_alone=True,
)

STRICT_JSON = Group(
    FORMATS + "strict_json.py",
    f"{TESTS}test_json_faults.py {TESTS}test_json.py "
    "-k 'brackets_within_strings or with_a_key_twice or is_named'",
    (
        Mutant(
            "formats-json-true-is-1",
            "that a boolean is no integer",
            "if type(self.value) is not int:",
            "if not isinstance(self.value, int):",
        ),
        Mutant(
            "formats-json-of-any-depth",
            "that nesting has a bound",
            "if depth > DEEPEST:",
            "if False:",
        ),
        Mutant(
            "formats-json-brackets-in-strings",
            "that brackets in strings are no nesting",
            "place = end_of_string(text, place)",
            "pass",
        ),
        Mutant(
            "formats-json-key-twice",
            "that an object has each key once",
            "if key in members:",
            "if False:",
        ),
        Mutant(
            "formats-json-minus-zero",
            "that -0 is a number without a sign as an integer",
            'text == "-0" or len(text) > LONGEST_INTEGER',
            "len(text) > LONGEST_INTEGER",
        ),
        Mutant(
            "formats-json-node-counted-from-the-end",
            "that an index is not negative",
            "if not 0 <= self.integer() < count:",
            "if not self.integer() < count:",
        ),
    ),
    is_alone=True,
)

GRAPH_READER = Group(
    FORMATS + "graph_reader.py",
    TESTS + "test_graph_reader.py",
    (
        Mutant(
            "formats-reader-transposes",
            "that no op transposes a result",
            "if list(view.axes) != sorted(view.axes):",
            "if False:",
        ),
        Mutant(
            "formats-reader-mean-of-any-count",
            "that a mean divides by the number of its elements",
            'self.reduction("Mean", value, kept) if terms == count else None',
            'self.reduction("Mean", value, kept)',
        ),
        Mutant(
            "formats-reader-adds-minus-zero",
            "that the sum of -0 and -0 is no sum along no axis",
            "number == 0 and math.copysign(1, number) == 1",
            "number == 0",
        ),
        Mutant(
            "formats-reader-bound-that-its-type-has-not",
            "that a ReLU's bound is a number of its type",
            "and rounded_once(bound, lower.output(0).element_type.name) == bound",
            "",
        ),
        Mutant(
            "formats-reader-narrows-inputs-of-any-type",
            "that an op in a narrower type has inputs of that type",
            "if any(source.element_type != type_ for source in sources):",
            "if False:",
        ),
        Mutant(
            "formats-reader-constants-of-any-size",
            "that constants which a graph has not have a bound",
            "if count > self.bytes_left:",
            "if False:",
        ),
        Mutant(
            "formats-reader-sum-along-what-is-repeated",
            "that a sum along an axis which is repeated counts each element",
            "if any(axis not in view.axes and static(view.lengths[axis]) != 1 for axis in gone):",
            "if False:",
        ),
    ),
    is_alone=True,
)

CONDITIONS = Group(
    FORMATS + "conditions.py",
    INTEROP + "test_onnx_selections.py -k 'negated or constant_booleans or shapes'",
    (
        Mutant(
            "formats-condition-negated-as-number",
            "that a negated condition is 1 less its number",
            "if condition.is_negated:",
            "if False:",
        ),
        Mutant(
            "formats-condition-negated-as-it-is",
            "that a negated condition is not its boolean",
            "where.axes == value.axes and not condition.is_negated",
            "where.axes == value.axes",
        ),
        Mutant(
            "formats-condition-of-a-constant-not-negated",
            "that a constant condition is negated",
            "elements.transpose(order) ^ condition.is_negated",
            "elements.transpose(order)",
        ),
    ),
    is_alone=True,
)

ONNX_WRITER = Group(
    FORMATS + "onnx/writer.py",
    INTEROP
    + "test_onnx.py -k 'test_running_statistics or batch_normalization or statistics_of_f64'",
    (
        Mutant(
            "formats-onnx-momentum-as-it-is",
            "that ONNX weights the old value",
            "0.0 if momentum is None else 1 - momentum",
            "0.0 if momentum is None else momentum",
        ),
        Mutant(
            "formats-onnx-statistics-narrowed",
            "that statistics of f64 are computed in f64",
            'is_double = "f64" in (statistics_type, *(vector.element for vector in vectors))',
            "is_double = False",
        ),
        Mutant(
            "formats-onnx-equal-fillings",
            "that no two values are equal which onnxruntime writes over",
            "self.fillings += 1",
            "self.fillings = 1",
        ),
    ),
    is_alone=True,
)

ONNX_NORMALIZATION = Group(
    FORMATS + "onnx/normalization.py",
    INTEROP + "test_onnx_round_trip.py -k 'native_ops or become_sums'",
    (
        Mutant(
            "formats-onnx-epsilon-of-f32",
            "that epsilon is the decimal number that f32 rounds",
            "return short if np.float32(short) == np.float32(number) else float(number)",
            "return float(number)",
        ),
        Mutant(
            "formats-onnx-weights-exchanged",
            "that momentum is the weight of the old value",
            "(momentum, 1 - momentum)",
            "(1 - momentum, momentum)",
        ),
    ),
    is_alone=True,
)

ONNX_READER = Group(
    FORMATS + "onnx/reader.py",
    INTEROP + "test_onnx_refusals.py -k 'refused or shape'",
    (
        Mutant(
            "formats-onnx-output-of-any-shape",
            "that an output is what the model says",
            "check_is_declared(value, operand)",
            "pass",
        ),
    ),
    is_alone=True,
)

ONNX_MASKS = Group(
    FORMATS + "onnx/masks.py",
    INTEROP + "test_onnx_round_trip.py -k mask",
    (
        Mutant(
            "formats-onnx-mask-of-two-values",
            "that a mask is made of one value",
            "if names.setdefault(name, other) != other:",
            "if names.setdefault(name, other) is None:",
        ),
    ),
    is_alone=True,
)

STABLEHLO_PATTERNS = Group(
    FORMATS + "stablehlo/patterns.py",
    f"{INTEROP}test_stablehlo_import.py "
    "-k 'refused or negative or no_mean or relus or stages or operands'",
    (
        Mutant(
            "formats-stablehlo-sum-from-minus-zero",
            "that a sum begins with +0",
            "value.number == 0 and not np.signbit(value.number)",
            "value.number == 0",
        ),
        Mutant(
            "formats-stablehlo-mean-of-any-count",
            "that a mean divides by the number of its terms",
            "found._replace(is_mean=True) if is_product(count.number, lengths) else None",
            "found._replace(is_mean=True)",
        ),
        Mutant(
            "formats-stablehlo-total-order",
            "that a comparison in the total order is another one",
            'operation is None or operation.attributes.get("compare_type") == "TOTALORDER"',
            "operation is None",
        ),
        Mutant(
            "formats-stablehlo-bound-of-another-value",
            "that both comparisons of a mask are of one value",
            "if bound is not None and bound.value is not found.value:",
            "if False:",
        ),
        Mutant(
            "formats-stablehlo-parts-that-others-read",
            "that nothing else reads a part of an op",
            "(once and value.uses != 1)",
            "False",
        ),
    ),
    is_alone=True,
)

GROUPS = (
    JSON,
    STRICT_JSON,
    GRAPH_READER,
    CONDITIONS,
    ONNX_WRITER,
    ONNX_NORMALIZATION,
    ONNX_READER,
    ONNX_MASKS,
    STABLEHLO_PATTERNS,
)
