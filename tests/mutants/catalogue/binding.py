"""Arguments from Python: arrays of every kind, out=, outputs=, plain values."""

from ..mutant import Group, Mutant

BINDING = "csrc/binding/"
BAD_INPUT_TESTS = "tests/kernel/test_bad_input.py"
ARRAY_TESTS = "tests/kernel/test_dlpack.py tests/kernel/test_array_inputs.py"
OUT_TESTS = "tests/kernel/test_outputs_and_out.py"

ARRAYS = Group(
    BINDING + "array_argument.cpp",
    BAD_INPUT_TESTS,
    (
        Mutant(
            "foreign-byte-order-of-arrays",
            "that foreign byte order is refused",
            "if (has_foreign_byte_order(dtype))",
            "if (has_foreign_byte_order(dtype) && array.ndim() > 64)",
        ),
        Mutant(
            "masked-arrays",
            "that masked arrays are refused",
            "if (is_masked(array))",
            "if (is_masked(array) && array.ndim() > 64)",
        ),
        Mutant(
            "memory-of-any-device",
            "that the memory is the CPU's",
            'check_device(name, object.attr("__dlpack_device__")());',
            "",
        ),
        Mutant(
            "capsule-used-twice",
            "that a capsule is taken once",
            "PyCapsule_SetName(capsule.ptr(), dlpack::used_capsule_name);",
            "",
        ),
        Mutant(
            "classes-with-dlpack",
            "that a class is no array",
            '!py::isinstance<py::type>(object) && find_attribute(object, "__dlpack__")',
            'find_attribute(object, "__dlpack__")',
        ),
    ),
)

BORROWED_ARRAYS = Group(
    BINDING + "array_argument.cpp",
    ARRAY_TESTS,
    (
        Mutant(
            "dlpack-memory-kept",
            "that borrowed memory is given back",
            "lent->deleter(lent);",
            "(void)lent;",
        ),
        Mutant(
            "dlpack-strides-in-bytes",
            "that DLPack's strides count elements",
            "product(tensor.strides[axis], size)",
            "product(tensor.strides[axis], 1)",
        ),
        Mutant(
            "dlpack-without-strides",
            "that a DLPack tensor without strides is dense",
            "dense_stride = product(dense_stride, length);",
            "",
        ),
        Mutant(
            "dlpack-without-memory",
            "that a null pointer lends no elements",
            "if (tensor.data == nullptr)",
            "if (false)",
        ),
        Mutant(
            "dlpack-negative-lengths",
            "that no length is negative",
            "if (shape()[axis] < 0)",
            "if (false)",
        ),
        Mutant(
            "dlpack-reach",
            "that 64-bit offsets reach every element",
            "std::abs(*extent) > largest - reach",
            "false",
        ),
        Mutant(
            "dlpack-device-of-the-tensor",
            "the device that the tensor itself names",
            "check_device_type(name, tensor.device.type);",
            "",
        ),
        Mutant(
            "dlpack-without-offset",
            "DLPack's offset of the first element",
            "static_cast<std::byte*>(tensor.data) + tensor.byte_offset",
            "static_cast<std::byte*>(tensor.data)",
        ),
        Mutant(
            "dlpack-read-only-is-writable",
            "that DLPack's read-only memory is not written",
            "is_writable_ = (managed->flags & dlpack::flag_read_only) == 0;",
            "is_writable_ = true;",
        ),
        Mutant(
            "dlpack-of-another-version",
            "that DLPack's major version is known",
            "if (managed->version.major != dlpack::major_version)",
            "if (managed->version.major == 0)",
        ),
        Mutant(
            "dlpack-several-lanes",
            "that a DLPack element is one number",
            "if (type.lanes != 1 || type.bits % 8 != 0)",
            "if (type.bits % 8 != 0)",
        ),
        Mutant(
            "dlpack-odd-bits",
            "that a DLPack element is whole bytes",
            "if (type.lanes != 1 || type.bits % 8 != 0)",
            "if (type.lanes != 1)",
        ),
        Mutant(
            "dlpack-of-any-rank",
            "that a DLPack tensor's rank is within numpy's limit",
            "rank < 0 || rank > static_cast<std::int64_t>(max_rank)",
            "rank < 0",
        ),
        Mutant(
            "dlpack-of-the-older-form",
            "that objects of DLPack's older form are taken",
            "if (!error.matches(PyExc_TypeError)) { throw; }",
            "throw;",
        ),
    ),
)

WRITABLE = Group(
    BINDING + "array_argument.cpp",
    OUT_TESTS,
    (
        Mutant(
            "read-only-array-is-writable",
            "that read-only arrays are not written",
            "is_writable_ = array.writeable();",
            "is_writable_ = true;",
        ),
        Mutant(
            "overlap-of-ranges-alone",
            "that interleaved views are told apart",
            "if (!runtime::ranges_overlap(left, right)) { return false; }",
            "return runtime::ranges_overlap(left, right);",
        ),
    ),
)

NEW_ARRAYS = Group(
    BINDING + "new_array.cpp",
    "tests/kernel/test_layouts.py tests/kernel/test_new_outputs.py -k new_outputs",
    (
        Mutant(
            "new-outputs-in-logical-order",
            "that new outputs have the axis order of the input",
            "std::swap(axes[below], axes[moving]);",
            "",
        ),
        Mutant(
            "new-outputs-in-signed-order",
            "the magnitude of strides",
            "std::abs(array.strides[axes[below]]) <= std::abs(array.strides[axes[moving]])",
            "array.strides[axes[below]] <= array.strides[axes[moving]]",
        ),
        Mutant(
            "new-outputs-of-expanded-inputs",
            "that a zero stride has no place of its own",
            "array.shape[axis] > 1 && array.strides[axis] != 0",
            "array.shape[axis] > 1",
        ),
        Mutant(
            "new-outputs-of-axes-of-length-1",
            "that an axis of length 1 has no place of its own",
            "array.shape[axis] > 1 && array.strides[axis] != 0",
            "array.strides[axis] != 0",
        ),
        Mutant(
            "new-outputs-in-any-order-are-row-major",
            "that the axes of a row-major array are in their order",
            "inner_stride = array.strides[axis];",
            "",
        ),
        Mutant(
            "new-outputs-not-aligned",
            "that large outputs start on a cache line",
            "std::align(cache_line_size, space - cache_line_size, data, space);",
            "",
        ),
        Mutant(
            "new-outputs-all-aligned",
            "that small outputs own their memory",
            "return size >= limit;",
            "return true;",
        ),
        Mutant(
            "new-outputs-without-elements-are-large",
            "that an array without elements is small",
            "if (length == 0) { return false; } size",
            "size",
        ),
    ),
)

CALLS = Group(
    BINDING + "kernel_function.cpp",
    OUT_TESTS,
    (
        Mutant(
            "overlap-with-inputs",
            "that an output does not overlap an input",
            "if (share_memory(out, *inputs[other]))",
            "if (share_memory(out, *inputs[other]) && other > 9)",
        ),
        Mutant(
            "overlap-with-outputs",
            "that outputs do not overlap each other",
            "if (outputs[other] && share_memory(out, *outputs[other]))",
            "if (outputs[other] && other > 9)",
        ),
        Mutant(
            "no-alias-at-all",
            "that the element-wise output may be an input",
            "index == 0 && are_identical_views(out, *inputs[other])",
            "index > 9 && are_identical_views(out, *inputs[other])",
        ),
        Mutant(
            "alias-of-channel-vectors",
            "that the element-wise output alone may be an input",
            "index == 0 && are_identical_views(out, *inputs[other])",
            "are_identical_views(out, *inputs[other])",
        ),
        Mutant(
            "outputs-named-twice",
            "that a name is given once",
            "if (selected[index])",
            "if (selected[index] && index > 9)",
        ),
        Mutant(
            "outputs-that-are-none",
            "that at least one output is selected",
            "if (selected.none())",
            "if (selected.none() && selected.size() > 9)",
        ),
        Mutant(
            "out-that-is-a-list",
            "that a list is not taken for a tuple",
            "if (py::isinstance<py::list>(out))",
            "if (py::isinstance<py::list>(out) && count > 9)",
        ),
        Mutant(
            "out-with-more-entries",
            "that out has one entry per output",
            "if (tuple.size() != count)",
            "if (tuple.size() < count)",
        ),
        Mutant(
            "out-that-is-not-selected",
            "that out gives no array for what is not selected",
            "if (!selected[index])",
            "if (!selected[index] && index > 9)",
        ),
        Mutant(
            "all-outputs-allocated",
            "that what is not selected is not allocated",
            "if (selected[index] && !objects[index])",
            "if (!objects[index])",
        ),
    ),
)

ELEMENT_TYPES = Group(
    BINDING + "array_argument.cpp",
    BAD_INPUT_TESTS,
    (
        Mutant(
            "bytes-are-no-mask",
            "that a mask is of u8",
            'name.role == op::Role::mask ? "u8" : "f16, bf16, f32 or f64"',
            '"f16, bf16, f32 or f64"',
        ),
    ),
)

OPTIONAL_INPUTS = Group(
    "csrc/normgraph/op/signature.hpp",
    BAD_INPUT_TESTS,
    (
        Mutant(
            "gamma-is-required",
            "that gamma may be None",
            "port.role == Role::gamma || port.role == Role::beta",
            "port.role == Role::beta",
        ),
        Mutant(
            "beta-is-required",
            "that beta may be None",
            "port.role == Role::gamma || port.role == Role::beta",
            "port.role == Role::gamma",
        ),
        Mutant(
            "mean-is-optional",
            "that mean may not be None",
            "port.role == Role::gamma || port.role == Role::beta",
            "port.role == Role::gamma || port.role == Role::beta || port.role == Role::mean",
        ),
    ),
)

INTERPRETER_LOCK = Group(
    BINDING + "kernel_function.cpp",
    "tests/kernel/test_threads.py -k a_kernel",
    (
        Mutant(
            "interpreter-lock-kept",
            "that the interpreter's lock is free while a kernel runs",
            "without_gil(compute);",
            "compute();",
        ),
        Mutant(
            "interpreter-lock-always-freed",
            "that a small call keeps the interpreter's lock",
            "if (is_worth_the_lock(input.shape))",
            "if (is_worth_the_lock(input.shape) || true)",
        ),
    ),
)

OPTIONS = Group(
    BINDING + "kernel_function.cpp",
    "tests/kernel/test_call_arguments.py tests/kernel/test_implementations.py",
    (
        Mutant(
            "options-in-another-order",
            "the order of the parameters behind the inputs",
            "options.epsilon = *next++; options.channel_axis = *next++;",
            "options.channel_axis = *next++; options.epsilon = *next++;",
        ),
    ),
)

DEFAULTS = Group(
    "csrc/normgraph/op/batch_norm_node.hpp",
    "tests/kernel/test_call_arguments.py tests/op/test_nodes.py",
    (
        Mutant(
            "another-default-epsilon",
            "the default of epsilon",
            "constexpr double default_epsilon = 1e-5;",
            "constexpr double default_epsilon = 1e-3;",
        ),
        Mutant(
            "another-default-channel-axis",
            "the default of channel_axis",
            "constexpr std::int64_t default_channel_axis = 1;",
            "constexpr std::int64_t default_channel_axis = -1;",
        ),
    ),
)

PARAMETERS = Group(
    BINDING + "parameters.cpp",
    "tests/kernel/test_call_arguments.py",
    (
        Mutant(
            "argument-given-twice",
            "that an argument is given once",
            "if (arguments[index])",
            "if (arguments[index] && index > 99)",
        ),
        Mutant(
            "argument-that-is-unknown",
            "that a name is that of a parameter",
            "if (index == count())",
            "if (index > count())",
        ),
        Mutant(
            "argument-that-is-missing",
            "that required arguments are given",
            "if (!arguments[index])",
            "if (!arguments[index] && index > 99)",
        ),
        Mutant(
            "arguments-too-many",
            "that there is no argument beyond the parameters",
            "if (positional_count > count())",
            "if (positional_count > 99)",
        ),
        Mutant(
            "names-by-identity",
            "that names are equal by their text",
            "return name.equal(keyword);",
            "return name.is(keyword);",
        ),
    ),
)

PARAMETERS_OF_CLASSES = Group(
    BINDING + "parameters.cpp",
    "tests/op/test_signatures.py tests/op/test_arguments.py",
    (
        Mutant(
            "named-arguments-of-classes",
            "that arguments in a dict are read",
            "if (keywords) {",
            "if (keywords && count() > 99) {",
        ),
        Mutant(
            "named-arguments-of-classes-in-reverse",
            "which value belongs to which name",
            "names[held.size() - positional_count] = name;",
            "names[dict.size() - 1 - (held.size() - positional_count)] = name;",
        ),
    ),
)

OP_CLASSES = Group(
    BINDING + "op_class.hpp",
    "tests/op/test_signatures.py",
    (
        Mutant(
            "infer-takes-a-name",
            "that infer makes no node",
            "parameters_of<Op>(false)",
            "parameters_of<Op>(true)",
        ),
        Mutant(
            "outputs-named-like-inputs",
            "the names of the outputs",
            "names_to_python(Op::signature.outputs)",
            "names_to_python(Op::signature.inputs)",
        ),
        Mutant(
            "c1-left-out-of-the-documentation",
            "that the family has C1",
            ".has_epsilon = std::derived_from<Op, op::EpsilonNode>",
            ".has_epsilon = false",
        ),
        Mutant(
            "c13-left-out-of-the-documentation",
            "that ops with an upper bound have C13",
            ".has_upper_bound = requires(const Op& node) { node.upper_bound(); }",
            ".has_upper_bound = false",
        ),
    ),
)

ATTRIBUTES = Group(
    BINDING + "attributes.hpp",
    "tests/op/test_signatures.py",
    (
        Mutant(
            "flags-are-integers",
            "the kind of a flag",
            'return "flag";',
            'return "integer";',
        ),
        Mutant(
            "axes-are-required",
            "that a list of axes is empty by default",
            'std::is_same_v<Value, op::Axes> ? "()" :',
            'std::is_same_v<Value, op::Axes> ? "" :',
        ),
    ),
)

CLASSES = Group(
    BINDING + "instances.cpp",
    "tests/binding/test_instances.py",
    (
        Mutant(
            "classes-that-change",
            "that objects keep their class",
            "type->tp_flags |= Py_TPFLAGS_IMMUTABLETYPE;",
            "",
        ),
    ),
)

PROXIES = Group(
    BINDING + "instances.hpp",
    "tests/binding/test_arguments.py",
    (
        Mutant(
            "proxies-believed",
            "that an object's own class counts",
            "PyObject_TypeCheck(object.ptr(), reinterpret_cast<PyTypeObject*>(type.ptr())) != 0",
            "PyObject_IsInstance(object.ptr(), type.ptr()) == 1",
        ),
    ),
)

HANDLERS = Group(
    BINDING + "array_argument.cpp",
    "tests/binding/test_reentrancy.py -k exception",
    (
        Mutant(
            "handlers-exceptions-are-overlaps",
            "that an exception within a call comes out",
            "            return true;\n        }\n        throw;",
            "            return true;\n        }\n        return true;",
        ),
    ),
)

NESTED_CALLS = Group(
    BINDING + "nested_call.hpp",
    "tests/binding/test_reentrancy.py -k have_an_end",
    (
        Mutant(
            "calls-within-calls-without-end",
            "the limit of calls within calls",
            "if (depth == most) {",
            "if (false) {",
        ),
    ),
)

CONSTRUCTION = Group(
    BINDING + "op_class.hpp",
    "tests/op/test_nodes.py tests/op/test_arguments.py",
    (
        Mutant(
            "attributes-are-zero-by-default",
            "the defaults of attributes",
            "return attribute.default_value;",
            "return Value{};",
        ),
        Mutant(
            "name-left-out",
            "that a node has the name it is given",
            "name ? friendly_name_from_python(name) : std::string()",
            "std::string()",
        ),
    ),
)

DOCUMENTATION = Group(
    BINDING + "documentation.cpp",
    "tests/op/test_signatures.py",
    (
        Mutant(
            "documentation-without-attributes",
            "the section of the attributes",
            'section("Attributes", attributes) +',
            "",
        ),
        Mutant(
            "documentation-of-the-first-of-several",
            "that an entry names all that it speaks of",
            "ports.subspan(begin, end - begin)",
            "ports.subspan(begin, 1)",
        ),
        Mutant(
            "documentation-of-some-gradient",
            "that constraints name the gradient",
            'sentence = replaced(std::move(sentence), "{delta}", others.front());',
            "",
        ),
    ),
)

VALUES = Group(
    BINDING + "conversion.cpp",
    "tests/op/test_arguments.py tests/ir/test_dimension.py tests/ir/test_element_type.py",
    (
        Mutant(
            "bool-as-integer",
            "that a bool is no integer",
            "PyBool_Check(object.ptr()) != 0 || PyIndex_Check(object.ptr()) == 0",
            "PyIndex_Check(object.ptr()) == 0",
        ),
        Mutant(
            "bool-as-epsilon",
            "that a bool is no real number",
            "PyBool_Check(object.ptr()) != 0 || !is_real",
            "!is_real",
        ),
        Mutant(
            "interval-of-three",
            "that an interval has two bounds",
            "if (bounds.size() != 2)",
            "if (bounds.size() < 2)",
        ),
        Mutant(
            "foreign-byte-order-of-types",
            "that a dtype of foreign byte order is refused",
            "if (has_foreign_byte_order(dtype))",
            "if (has_foreign_byte_order(dtype) && type->is_dynamic())",
        ),
        Mutant(
            "empty-name",
            "that a name is not empty",
            "if (name.empty())",
            "if (name.size() > 9999)",
        ),
        Mutant(
            "text-as-sequence",
            "that a text is no sequence",
            "py::isinstance<py::str>(object) || py::isinstance<py::bytes>(object)",
            "false",
        ),
        Mutant(
            "set-as-sequence",
            "that what has no order is no sequence",
            "    if (PySequence_Check(object.ptr()) == 0) {\n"
            "        refuse_type(argument, expected, object);",
            "    if (PySequence_Check(object.ptr()) == 0) {",
        ),
    ),
)

CONSTANTS = Group(
    BINDING + "register_constant.cpp",
    "tests/ir/test_constant.py",
    (
        Mutant(
            "constant-of-a-masked-array",
            "that masked arrays are refused",
            'py::module_::import("numpy.ma").attr("MaskedArray")',
            "py::type::of(py::none())",
        ),
        Mutant(
            "constant-of-integers-too-small",
            "that integers are not below the type's range",
            'value < py::object(limits.attr("min")) ||',
            "",
        ),
        Mutant(
            "constant-of-integers-too-large",
            "that integers are not above the type's range",
            '|| value > py::object(limits.attr("max"))',
            "",
        ),
        Mutant(
            "constant-of-another-kind",
            "that a type can hold the values",
            "if (!keeps_kind)",
            "if (!keeps_kind && array.ndim() > 64)",
        ),
        Mutant(
            "constants-array-is-writable",
            "that a constant's array is read-only",
            'array.attr("setflags")(py::arg("write") = false);',
            "",
        ),
    ),
)

GROUPS = (
    ARRAYS,
    BORROWED_ARRAYS,
    WRITABLE,
    NEW_ARRAYS,
    CALLS,
    ELEMENT_TYPES,
    OPTIONAL_INPUTS,
    INTERPRETER_LOCK,
    OPTIONS,
    DEFAULTS,
    PARAMETERS,
    PARAMETERS_OF_CLASSES,
    OP_CLASSES,
    ATTRIBUTES,
    CLASSES,
    PROXIES,
    HANDLERS,
    NESTED_CALLS,
    CONSTRUCTION,
    DOCUMENTATION,
    VALUES,
    CONSTANTS,
)
