"""The graph: what merges with what, nodes, constants, functions, copies."""

from ..mutant import CPP_TESTS, Group, Mutant

IR = "csrc/normgraph/ir/"

DIMENSION = Group(
    IR + "dimension.cpp",
    "tests/ir/test_dimension.py",
    (
        Mutant(
            "merge-of-lower-bounds",
            "that the larger lower bound counts",
            "std::max(left.min_length_, right.min_length_)",
            "std::min(left.min_length_, right.min_length_)",
        ),
        Mutant(
            "merge-of-upper-bounds",
            "that the smaller upper bound counts",
            "std::min(left.max_length_, right.max_length_)",
            "std::max(left.max_length_, right.max_length_)",
        ),
        Mutant(
            "merge-of-disjoint-intervals",
            "that disjoint intervals do not merge",
            "if (merged.min_length_ > merged.max_length_)",
            "if (merged.min_length_ < 0)",
        ),
        Mutant(
            "merge-of-touching-intervals",
            "that intervals may meet in one length",
            "if (merged.min_length_ > merged.max_length_)",
            "if (merged.min_length_ >= merged.max_length_)",
        ),
        Mutant(
            "negative-length",
            "that a length is not negative",
            "length < 0 || length == Dimension::unbounded",
            "length == Dimension::unbounded",
        ),
        Mutant(
            "unbounded-length",
            "that no length is that of 'no upper bound'",
            "length < 0 || length == Dimension::unbounded",
            "length < 0",
        ),
        Mutant(
            "empty-interval",
            "that an interval is not empty",
            "if (min_length > max_length)",
            "if (max_length < 0)",
        ),
        Mutant(
            "length-of-an-interval",
            "that an interval has no one length",
            "if (is_dynamic())",
            "if (is_dynamic() && is_static())",
        ),
    ),
)

PARTIAL_SHAPE = Group(
    IR + "partial_shape.cpp",
    "tests/ir/test_partial_shape.py",
    (
        Mutant(
            "merge-of-ranks",
            "that shapes of different ranks do not merge",
            "if (left.size() != right.size())",
            "if (left.size() > right.size())",
        ),
        Mutant(
            "merge-of-axes",
            "that every axis must merge",
            "if (!dimension) { return std::nullopt; }",
            "if (!dimension) { continue; }",
        ),
        Mutant(
            "merge-keeps-the-left",
            "that the axes of both are merged",
            "(*merged.dimensions_)[axis] = *dimension;",
            "",
        ),
        Mutant(
            "merge-with-dynamic-rank-on-the-left",
            "that a dynamic rank takes the other's shape",
            "return left.has_static_rank() ? left : right;",
            "return left;",
        ),
        Mutant(
            "merge-with-dynamic-rank-on-the-right",
            "that a dynamic rank takes the other's shape",
            "return left.has_static_rank() ? left : right;",
            "return right;",
        ),
        Mutant(
            "static-shape-of-intervals",
            "that all axes of a static shape are static",
            "dimensions_ && std::ranges::all_of(*dimensions_, &Dimension::is_static)",
            "dimensions_.has_value()",
        ),
    ),
)

ELEMENT_TYPE = Group(
    IR + "element_type.cpp",
    CPP_TESTS,
    (
        Mutant(
            "merge-of-types",
            "that different types do not merge",
            "right.is_dynamic() ? std::optional{left} : std::nullopt",
            "std::optional{left}",
        ),
        Mutant(
            "merge-with-a-dynamic-type-on-the-left",
            "that a dynamic type takes the other",
            "if (left.is_dynamic() || left == right)",
            "if (left == right)",
        ),
        Mutant(
            "merge-with-a-dynamic-type-on-the-right",
            "that a dynamic type takes the other",
            "right.is_dynamic() ? std::optional{left} : std::nullopt",
            "std::nullopt",
        ),
    ),
)

PROPERTIES = Group(
    IR + "element_type.cpp",
    "tests/ir/test_element_type.py",
    (
        Mutant(
            "bf16-is-not-real",
            "that bf16 is real",
            '{"bf16", 2, true}',
            '{"bf16", 2, false}',
        ),
        Mutant(
            "boolean-is-real",
            "that boolean is not real",
            '{"boolean", 1, false}',
            '{"boolean", 1, true}',
        ),
        Mutant(
            "size-of-u16",
            "the size of u16",
            '{"u16", 2, false}',
            '{"u16", 4, false}',
        ),
    ),
)

NODE = Group(
    IR + "node.cpp",
    "tests/op/test_nodes.py tests/ir/test_node.py",
    (
        Mutant(
            "half-updated-node",
            "that a failed validation leaves the node as it was",
            "output_types_ = infer_output_types(input_types);",
            "output_types_.clear(); output_types_ = infer_output_types(input_types);",
        ),
        Mutant(
            "validation-changes-nothing",
            "that a validation brings the outputs up to date",
            "output_types_ = infer_output_types(input_types);",
            "if (output_types_.empty()) { output_types_ = infer_output_types(input_types); }",
        ),
        Mutant(
            "failure-without-the-nodes-name",
            "that a failure names the node",
            "throw failure.with_node_name(friendly_name());",
            "throw;",
        ),
        Mutant(
            "clone-with-any-number-of-inputs",
            "that a clone takes as many inputs as the node",
            "check_input_count(inputs.size()); return make_clone(inputs, friendly_name);",
            "return make_clone(inputs, friendly_name);",
        ),
        Mutant(
            "any-index-of-a-port",
            "that a port's index is within their number",
            "if (index >= count)",
            "if (index > count)",
        ),
        Mutant(
            "first-of-several-outputs",
            "that a node stands for its output only if it has one",
            "node != nullptr && node->output_names().size() != 1",
            "node != nullptr && node->output_names().empty()",
        ),
    ),
)

NODE_OF_CPP = Group(
    IR + "node.cpp",
    CPP_TESTS,
    (
        Mutant(
            "port-of-no-node",
            "that a port needs a node",
            "if (node == nullptr)",
            "if (node == nullptr && index > 0)",
        ),
        Mutant(
            "deep-graph-released-by-recursion",
            "that a deep graph is released one node after the other",
            "if (last.use_count() != 1 || last->inputs_.empty())",
            "if (last.use_count() != 0 || last->inputs_.empty())",
        ),
    ),
)

FUNCTION = Group(
    IR + "function.cpp",
    "tests/ir/test_function.py",
    (
        Mutant(
            "function-without-results",
            "that a function has a result",
            "if (results_.empty())",
            "if (results_.empty() && !parameters_.empty())",
        ),
        Mutant(
            "parameter-listed-twice",
            "that a parameter is listed once",
            "if (!is_new)",
            "if (!is_new && position == 0)",
        ),
        Mutant(
            "unlisted-parameter",
            "that all parameters are listed",
            "if (!unlisted.empty())",
            "if (unlisted.size() > 9)",
        ),
        Mutant(
            "function-half-validated",
            "that a failed validation changes no node",
            "inferred.emplace(node.get(), node->infer_output_types(inputs));",
            "inferred.emplace(node.get(), node->infer_output_types(inputs)); "
            "node->output_types_ = inferred.at(node.get());",
        ),
        Mutant(
            "function-not-validated",
            "that a validation changes the nodes",
            "node->output_types_.swap(types);",
            "",
        ),
        Mutant(
            "equal-names-in-the-text",
            "that the text tells nodes of one name apart",
            "distinct.take(node->friendly_name())",
            "node->friendly_name()",
        ),
    ),
)

DISTINCT_NAMES = Group(
    IR + "distinct_names.cpp",
    CPP_TESTS,
    (
        Mutant(
            "numbered-name-is-taken",
            "that a numbered name may be taken too",
            "while (!taken_.insert(numbered).second)",
            "while (taken_.insert(numbered).second && number == 0)",
        ),
    ),
)

NULL_PARAMETER = Group(
    IR + "function.cpp",
    CPP_TESTS,
    (
        Mutant(
            "parameter-that-is-null",
            "that a parameter is not null",
            "if (parameter == nullptr)",
            "if (parameter == nullptr && position == 0)",
        ),
    ),
)

CONSTANT = Group(
    IR + "constant.cpp",
    "tests/ir/test_constant.py",
    (
        Mutant(
            "constant-of-dynamic-type",
            "that the type is static",
            "if (type.element_type.is_dynamic())",
            "if (type.element_type.is_dynamic() && type.element_type.is_real())",
        ),
        Mutant(
            "constant-of-dynamic-shape",
            "that the shape is static",
            "if (type.partial_shape.is_dynamic())",
            "if (type.partial_shape.is_dynamic() && type.element_type.is_dynamic())",
        ),
        Mutant(
            "constant-of-any-length",
            "that the bytes are those of the shape",
            "if (data.size() != expected)",
            "if (data.size() > expected)",
        ),
        Mutant(
            "constant-of-too-many-elements",
            "that the number of bytes is a number",
            "if (factor > std::numeric_limits<std::size_t>::max() / bytes)",
            "if (factor == 0)",
        ),
        Mutant(
            "constant-of-a-boolean-2",
            "that booleans are 0 or 1",
            "value > std::byte{1}",
            "value > std::byte{2}",
        ),
    ),
)

ORDER = Group(
    IR + "topological_order.cpp",
    "tests/ir/test_function.py tests/ir/test_copies.py",
    (
        Mutant(
            "nodes-listed-twice",
            "that a node is listed once",
            "!is_source && seen.insert(output.node().get()).second",
            "!is_source && (seen.insert(output.node().get()).second ||"
            "output.node()->input_values().empty())",
        ),
    ),
)

NAME = Group(
    IR + "friendly_name.cpp",
    "tests/ir/test_node.py",
    (
        Mutant(
            "generated-names-are-equal",
            "that generated names differ",
            "count.fetch_add(1, std::memory_order_relaxed)",
            "count.fetch_add(0, std::memory_order_relaxed)",
        ),
        Mutant(
            "chosen-name-ignored",
            "that a name can be chosen",
            "chosen_.empty() ?",
            "chosen_.empty() || !chosen_.empty() ?",
        ),
    ),
)

COPIES = Group(
    "csrc/binding/node_conversion.cpp",
    "tests/ir/test_copies.py",
    (
        Mutant(
            "copies-share-nothing",
            "that what is one node is one node in the copy",
            "if (!memo.contains(key))",
            "if (!memo.contains(key) || !node->input_values().empty())",
        ),
        Mutant(
            "copies-without-their-names",
            "that a copy keeps the name",
            "clone_with_new_inputs(inputs, node->friendly_name())",
            "clone_with_new_inputs(inputs)",
        ),
        Mutant(
            "copies-forget-originals",
            "that originals live as long as their ids are used",
            "keep_alive(original, memo);",
            "",
        ),
        Mutant(
            "copies-of-the-first-output",
            "which output is read",
            "{copy.cast<std::shared_ptr<Node>>(), output.index()}",
            "{copy.cast<std::shared_ptr<Node>>(), 0}",
        ),
    ),
)

PICKLES_OF_FUNCTIONS = Group(
    "csrc/binding/register_function.cpp",
    "tests/ir/test_copies.py",
    (
        Mutant(
            "pickle-follows-the-graph",
            "that nodes are pickled in topological order",
            "py::tuple(py::cast(function.nodes()))",
            "py::tuple()",
        ),
        Mutant(
            "pickle-without-the-functions-name",
            "that a function keeps its name",
            "py::cast(function.parameters()), function.friendly_name()",
            'py::cast(function.parameters()), "Function"',
        ),
    ),
)

PICKLES_OF_NODES = Group(
    "csrc/binding/register_node.cpp",
    "tests/ir/test_copies.py",
    (
        Mutant(
            "pickle-without-the-nodes-name",
            "that a node keeps its name",
            "keywords, node->friendly_name()",
            'keywords, "node"',
        ),
        Mutant(
            "pickle-without-attributes",
            "that a node keeps its attributes",
            "constructor(*inputs, **keywords,",
            'constructor(*inputs, **(type_name == "Constant" || type_name == "Parameter" '
            "? keywords : py::dict()),",
        ),
    ),
)

GROUPS = (
    DIMENSION,
    PARTIAL_SHAPE,
    ELEMENT_TYPE,
    PROPERTIES,
    NODE,
    NODE_OF_CPP,
    FUNCTION,
    DISTINCT_NAMES,
    NULL_PARAMETER,
    CONSTANT,
    ORDER,
    NAME,
    COPIES,
    PICKLES_OF_FUNCTIONS,
    PICKLES_OF_NODES,
)
