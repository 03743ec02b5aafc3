"""What passes are written with, operators on values, and ops that are defined elsewhere."""

from ..mutant import CPP_TESTS, Group, Mutant

IR = "csrc/normgraph/ir/"
OP = "csrc/normgraph/op/"
PASS = "csrc/normgraph/pass/"
RUNTIME = "csrc/normgraph/runtime/"
BINDING = "csrc/binding/"
REWRITE_TESTS = "tests/pass/test_rewrite.py"
OPERATOR_TESTS = "tests/op/test_operators.py"

USERS = Group(
    IR + "users.cpp",
    CPP_TESTS,
    (
        Mutant(
            "results-are-no-users",
            "that results read values",
            "return users.inputs.size() + users.results.size();",
            "return users.inputs.size();",
        ),
    ),
)

STAND_IN = Group(
    IR + "stand_in.cpp",
    CPP_TESTS,
    (
        Mutant(
            "stand-in-of-any-count",
            "that there is one value for each output",
            "if (values.size() != count) {",
            "if (values.size() < count) {",
        ),
        Mutant(
            "stand-in-of-any-type",
            "that element types agree",
            "return types_agree && left",
            "return left",
        ),
        Mutant(
            "stand-in-of-any-shape",
            "that shapes agree",
            "types_agree && left.partial_shape.compatible(right.partial_shape)",
            "types_agree",
        ),
    ),
)

REWRITE = Group(
    PASS + "rewrite.cpp",
    CPP_TESTS,
    (
        Mutant(
            "rewrite-copies-everything",
            "that what needs no change is shared",
            "return inputs == node->input_values()",
            "return false",
        ),
        Mutant(
            "rewrite-of-what-was",
            "that nodes read the new values",
            "reading(original, values.of(original->input_values()));",
            "original;",
        ),
        Mutant(
            "rewrite-unchecked",
            "that replacements are checked",
            "if (replaced) { check_stand_in",
            "if (false) { check_stand_in",
        ),
        Mutant(
            "values-of-strangers-replaced",
            "that values are the function's",
            "if (!known.contains(value.node().get())) {",
            "if (false) {",
        ),
    ),
)

PATTERNS = Group(
    PASS + "pattern.cpp",
    CPP_TESTS,
    (
        Mutant(
            "one-name-for-two-values",
            "that one name is one value",
            "return found->original == value;",
            "return true;",
        ),
        Mutant(
            "names-of-failed-alternatives-stay",
            "that what did not match leaves no name",
            "match_.named_.erase(match_.named_.begin() + before, match_.named_.end());",
            "",
        ),
        Mutant(
            "any-output-matches",
            "that the first output is meant",
            "data.output.empty() ? value.index() == 0 :",
            "data.output.empty() ? true :",
        ),
        Mutant(
            "further-inputs-match",
            "that there is a pattern for each input",
            "if (inputs.size() > patterns.size()) {",
            "if (false) {",
        ),
        Mutant(
            "every-input-is-optional",
            "that an input that is not there is optional",
            ": patterns[index].data_->is_optional;",
            ": true;",
        ),
        Mutant(
            "any-number-of-users",
            "that there is a single user",
            "return users_->count(value) == 1;",
            "return true;",
        ),
        Mutant(
            "patterns-without-depth",
            "that the depth is bounded",
            "if (deepest >= most_nested) {",
            "if (false) {",
        ),
    ),
)

MATCHES = Group(
    PASS + "replace_matches.cpp",
    CPP_TESTS,
    (
        Mutant(
            "matches-of-old-values",
            "that a match has the new values",
            ": values.of(value);",
            ": value;",
        ),
        Mutant(
            "matched-value-as-it-was",
            "that the matched value reads the new ones",
            "? node.output(value.index()) :",
            "? value :",
        ),
    ),
)

ONE_OUTPUT = Group(
    PASS + "replace_matches.cpp",
    REWRITE_TESTS,
    (
        Mutant(
            "match-replaces-the-first-output",
            "that the matched output is replaced",
            "(*replaced)[value.index()] = *made;",
            "(*replaced)[0] = *made;",
        ),
    ),
)

ROUNDED_NUMBER = Group(
    IR + "rounded_number.cpp",
    CPP_TESTS,
    (
        Mutant(
            "ties-up",
            "that ties go to the even number",
            "(rest == 0.5 && is_odd)",
            "rest == 0.5",
        ),
        Mutant(
            "no-denormal-numbers",
            "denormal numbers",
            "std::max(std::ilogb(magnitude), lowest);",
            "std::ilogb(magnitude);",
        ),
        Mutant(
            "large-numbers-become-infinite",
            "that a number is refused that becomes infinite",
            "if (bits == format.infinity()) {",
            "if (false) {",
        ),
        Mutant(
            "numbers-without-sign",
            "the sign",
            "? format.sign() : 0;",
            "? 0 : 0;",
        ),
    ),
)

DEFINED_OPS = Group(
    OP + "adjoints.cpp",
    CPP_TESTS,
    (
        Mutant(
            "adjoints-of-no-decomposition",
            "that the decomposition is differentiated",
            "adjoints_of_decomposition(node, deltas); } }",
            "node.generate_adjoints(deltas); } }",
        ),
        Mutant(
            "decompositions-differentiated-unchecked",
            "that a decomposition is of the node's types",
            'check_stand_in("decomposition", node, *outputs);',
            "",
        ),
    ),
)

DEFINED_OPS_RUN = Group(
    PASS + "decompose.cpp",
    CPP_TESTS,
    (
        Mutant(
            "decomposed-once",
            "that decompositions are decomposed",
            "has_changed = has_changed || parts;",
            "",
        ),
        Mutant(
            "decompositions-of-decompositions-refused",
            "that decompositions may be decomposed",
            "if (parts && round == most_rounds) {",
            "if (parts && round == 1) {",
        ),
    ),
)

ADJOINTS_PER_INPUT = Group(
    IR + "node.cpp",
    CPP_TESTS,
    (
        Mutant(
            "any-number-of-adjoints",
            "that there is one adjoint per input",
            "if (adjoints.size() == inputs_.size()) {",
            "if (!adjoints.empty()) {",
        ),
    ),
)

OPERATORS = Group(
    BINDING + "output_operators.cpp",
    OPERATOR_TESTS,
    (
        Mutant(
            "operands-exchanged",
            "which operand is the left one",
            "operation.apply(value, *operand) : operation.apply(*operand, value)",
            "operation.apply(*operand, value) : operation.apply(value, *operand)",
        ),
        Mutant(
            "arrays-left-to-others",
            "what is said of arrays",
            "if (py::isinstance<py::array>(object)) {",
            "if (false) {",
        ),
        Mutant(
            "bools-are-numbers",
            "that a bool is no number",
            "if (PyBool_Check(object.ptr()) != 0 ||",
            "if (",
        ),
        Mutant(
            "numpy-takes-values",
            "that numpy leaves its numbers to the operators",
            'value_class.attr("__array_ufunc__") = py::none();',
            "",
        ),
    ),
)

NODES_ARE_NO_LISTS = Group(
    BINDING + "conversion.cpp",
    OPERATOR_TESTS,
    (
        Mutant(
            "a-node-is-a-list",
            "that a node is no list of values",
            "|| is_instance<Node>(object)) {",
            ") {",
        ),
    ),
)

BOUND = Group(
    BINDING + "register_rewrite.cpp",
    REWRITE_TESTS,
    (
        Mutant(
            "values-listed-twice",
            "that each value is replaced once",
            "pair[1])).second) {",
            "pair[1])).second && false) {",
        ),
        Mutant(
            "conditions-not-asked",
            "that conditions are asked",
            "return is_true(call(value));",
            "call(value); return true;",
        ),
        Mutant(
            "functions-of-patterns-not-visited",
            "that the garbage collector sees the functions of patterns",
            "return pattern == nullptr ? 0 : pattern->visit(visit, arg);",
            "return pattern == nullptr ? 0 : 0;",
        ),
        Mutant(
            "functions-of-patterns-not-let-go",
            "that patterns in cycles let their functions go",
            "pattern->clear();",
            "static_cast<void>(pattern);",
        ),
        Mutant(
            "functions-of-patterns-kept-many-times",
            "that each function is kept once",
            "if (std::ranges::none_of(used, is_same)) {",
            "if (used.size() < 64 || std::ranges::none_of(used, is_same)) {",
        ),
    ),
)

GROUPS = (
    USERS,
    STAND_IN,
    REWRITE,
    PATTERNS,
    MATCHES,
    ONE_OUTPUT,
    ROUNDED_NUMBER,
    DEFINED_OPS,
    DEFINED_OPS_RUN,
    ADJOINTS_PER_INPUT,
    OPERATORS,
    NODES_ARE_NO_LISTS,
    BOUND,
)
