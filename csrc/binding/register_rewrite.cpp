#include <pybind11/stl.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "binding/conversion.hpp"
#include "binding/define_class.hpp"
#include "binding/instances.hpp"
#include "binding/node_conversion.hpp"
#include "binding/python_errors.hpp"
#include "binding/python_function.hpp"
#include "binding/register.hpp"
#include "normgraph/ir/users.hpp"
#include "normgraph/pass/pattern.hpp"
#include "normgraph/pass/replace_matches.hpp"
#include "normgraph/pass/rewrite.hpp"

namespace py = pybind11;

/// What passes are written with.
namespace normgraph::binding {
namespace {

using pass::Match;
using Values = std::optional<std::vector<Output>>;

constexpr const char* users_doc = R"(Who reads the values of a function: Users(function).

The constructor goes through the function once; each question is then one look into a table. A value
is an Output, or a Node with exactly one; nobody reads one that is not the function's.
)";

constexpr const char* pattern_doc =
    R"(What a value may look like: an op, the values it reads, and so on.

Pattern.any() and Pattern.op() make patterns, a | b matches what a matches, or else what b matches.
Patterns do not change: each method returns a new one. docs/passes.md has examples.
)";

constexpr const char* match_doc = R"(The values that a pattern has given names to.

match["x"] is the value of this name; in replace_matches(), the one that stands for it in the new
function. match.original("x") is the value in the function that was matched, whose node has the
attributes. "x" in match says whether there is one: of two alternatives only one is matched. Raises
ValueError, which lists the names, for another name.
)";

constexpr const char* any_doc = R"(Any value, with a name if it has one.)";

constexpr const char* op_doc = R"(The first output of a node of a class, or of one of several.

node_class is a class of nodes, such as op.Add, Constant or op.BatchNormNode, or a tuple of them;
inputs are patterns of what the node reads, one for each of its inputs, and by default any values.
output() says that another output than the first is meant. Raises ValueError for patterns that are
nested more than 100 deep.
)";

constexpr const char* match_method_doc =
    R"(The Match of the pattern at a value, None if it looks otherwise.

users are the Users of the function, which a pattern with_single_user() needs. Raises what conditions
raise, and ValueError for alternatives within alternatives that compare more than 100,000 values.
)";

constexpr const char* rewrite_doc =
    R"(The function with nodes replaced: replacement(original, node) says by what.

It is called once for each node, parameters included, after the nodes that this one reads have been
replaced: node reads the new values, and is the original itself where nothing has changed. It returns
None to leave the node, or what takes its place: an Output or a Node, or a sequence of them, one value
for each output, of types that agree with the node's as far as both are known. What it returns is not
gone through again. The new function has the same parameters, whether they are still read or not; the
original stays as it is, whatever is raised.

Raises what replacement raises, TypeError and ValueError, naming the node, for what cannot take its
place, and NodeValidationFailure where a node cannot read what is new.
)";

constexpr const char* replace_values_doc =
    R"(The function in which readers of some values, results included, read others.

replaced is a mapping from values of the function to the new ones, which are taken as they are: one
that reads a value that it replaces reads the original. Raises ValueError for a value that is not one
of the function's, and what rewrite() raises.
)";

constexpr const char* replace_matches_doc =
    R"(The function with the values replaced that match a pattern: replacement(match) says by what.

It returns None to leave the value, or an Output or a Node that takes its place, made of the values
that the match has names for: match["x"] is the value of the new function. Patterns are compared with
the function as it was: matches may overlap, and what is made is not matched again. What nobody reads
any more is not part of the new function. Raises what rewrite() raises.
)";

std::shared_ptr<Node> shared(const Node& node) {
    return std::const_pointer_cast<Node>(node.shared_from_this());
}

py::object callable_from_python(const std::string& argument, py::handle object) {
    if (PyCallable_Check(object.ptr()) == 0) {
        throw py::type_error(argument + ": expected a callable, got " + describe(object));
    }
    return py::reinterpret_borrow<py::object>(object);
}

// ---- users
// ---------------------------------------------------------------------------------------

void register_users(py::module_& module) {
    define_class<Users>(module, "Users", users_doc, py::is_final())
        .def(py::init([](const py::object& function) {
                 return std::make_unique<Users>(*function_from_python("function", function));
             }),
             py::arg("function"))
        .def(
            "of",
            [](const Users& self, const py::object& value) {
                const auto inputs = self.of(output_from_python("value", value));
                return std::vector<Input>(inputs.begin(), inputs.end());
            },
            py::arg("value"), "The inputs that read the value, in the order of the nodes.")
        .def(
            "results_of",
            [](const Users& self, const py::object& value) {
                const auto places = self.results_of(output_from_python("value", value));
                return std::vector<std::size_t>(places.begin(), places.end());
            },
            py::arg("value"), "The places that the value has among the function's results.")
        .def(
            "count",
            [](const Users& self, const py::object& value) {
                return self.count(output_from_python("value", value));
            },
            py::arg("value"), "How often the value is read, by inputs and as a result.")
        .attr("__module__") = "normgraph";
}

// ---- patterns
// ------------------------------------------------------------------------------------

/// A pattern, and the objects of Python that its conditions use: functions, and tuples of classes.
/// What is in a pattern is shared by all that are made of it, so that it holds none of them: each
/// object of Python holds its own, and tells the garbage collector of them. Otherwise an object
/// that keeps a pattern with one of its methods as a condition would never be freed.
class Pattern {
public:
    explicit Pattern(pass::Pattern pattern, std::vector<py::object> used = {})
        : pattern_(std::move(pattern)), used_(std::move(used)) {}

    static Pattern any() { return Pattern(pass::Pattern::any()); }
    static Pattern of_classes(const py::tuple& classes,
                              const std::optional<std::vector<Pattern>>& inputs);

    const pass::Pattern& pattern() const { return pattern_; }

    /// Another pattern, whose conditions use what this one's do.
    Pattern with(pass::Pattern pattern) const { return Pattern(std::move(pattern), used_); }

    Pattern where(const py::object& condition) const;

    Pattern operator|(const Pattern& other) const {
        std::vector<py::object> used = used_;
        add(used, other.used_);
        return Pattern(pattern_ | other.pattern_, std::move(used));
    }

    int visit(visitproc visit_object, void* argument) const {
        for (const py::object& object : used_) {
            if (const int result = visit_object(object.ptr(), argument); result != 0) {
                return result;
            }
        }
        return 0;
    }

    /// Nothing is used any more: what was a pattern matches any value.
    void clear() {
        const std::vector<py::object> used = std::exchange(used_, {});
        pattern_ = pass::Pattern::any();
    }

private:
    /// Each once, however often a pattern is in another: as a list of all, it would double with
    /// each `pattern | pattern`.
    static void add(std::vector<py::object>& used, const std::vector<py::object>& more) {
        for (const py::object& object : more) {
            const auto is_same = [&](const py::object& other) { return other.is(object); };
            if (std::ranges::none_of(used, is_same)) {
                used.push_back(object);
            }
        }
    }

    pass::Pattern pattern_;
    std::vector<py::object> used_;
};

bool is_true(const py::object& object) {
    const int truth = PyObject_IsTrue(object.ptr());
    if (truth < 0) {
        throw py::error_already_set();
    }
    return truth == 1;
}

Pattern Pattern::where(const py::object& condition) const {
    std::vector<py::object> used = used_;
    add(used, {condition});
    const auto is_met = [call = py::handle(condition)](const Output& value) {
        return is_true(call(value));
    };
    return Pattern(pattern_.where(is_met), std::move(used));
}

Pattern Pattern::of_classes(const py::tuple& classes,
                            const std::optional<std::vector<Pattern>>& inputs) {
    std::vector<py::object> used{classes};
    const auto is_kind = [classes = py::handle(classes)](const Node& node) {
        const py::object instance = py::cast(shared(node));
        for (const py::handle each : py::reinterpret_borrow<py::tuple>(classes)) {
            if (PyObject_TypeCheck(instance.ptr(), reinterpret_cast<PyTypeObject*>(each.ptr()))) {
                return true;
            }
        }
        return false;
    };
    std::optional<std::vector<pass::Pattern>> patterns;
    if (inputs) {
        patterns.emplace();
        for (const Pattern& input : *inputs) {
            patterns->push_back(input.pattern_);
            add(used, input.used_);
        }
    }
    return Pattern(pass::Pattern::of_kind(is_kind, std::move(patterns)), std::move(used));
}

/// Null until the object is made, which the garbage collector may come before.
Pattern* made_pattern(PyObject* self) {
    auto* const instance = reinterpret_cast<py::detail::instance*>(self);
    const bool is_made = instance->simple_layout && instance->simple_holder_constructed;
    return is_made ? instance->get_value_and_holder().value_ptr<Pattern>() : nullptr;
}

int traverse_pattern(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    const Pattern* const pattern = made_pattern(self);
    return pattern == nullptr ? 0 : pattern->visit(visit, arg);
}

int clear_pattern(PyObject* self) {
    if (Pattern* const pattern = made_pattern(self)) {
        pattern->clear();
    }
    return 0;
}

void collect_garbage(PyHeapTypeObject* heap_type) {
    PyTypeObject& type = heap_type->ht_type;
    type.tp_flags |= Py_TPFLAGS_HAVE_GC;
    type.tp_traverse = traverse_pattern;
    type.tp_clear = clear_pattern;
}

/// One class of nodes, or several.
py::tuple classes_from_python(py::handle object) {
    constexpr const char* forms = "a class of nodes or a tuple of such classes";
    const py::tuple classes = py::isinstance<py::tuple>(object)
                                  ? py::reinterpret_borrow<py::tuple>(object)
                                  : py::make_tuple(object);
    if (classes.empty()) {
        throw py::value_error(std::string("node_class: expected ") + forms + ", got ()");
    }
    const auto node_class = reinterpret_cast<PyTypeObject*>(py::type::handle_of<Node>().ptr());
    for (const py::handle each : classes) {
        if (PyType_Check(each.ptr()) == 0 ||
            PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(each.ptr()), node_class) == 0) {
            throw py::type_error(std::string("node_class: expected ") + forms + ", got " +
                                 describe(each));
        }
    }
    return classes;
}

std::vector<Pattern> patterns_from_python(py::handle object) {
    std::vector<Pattern> patterns;
    for (const py::handle item : sequence_from_python("inputs", "a sequence of patterns", object)) {
        if (!is_instance<Pattern>(item)) {
            throw py::type_error("inputs[" + std::to_string(patterns.size()) +
                                 "]: expected a Pattern, got " + describe(item));
        }
        patterns.push_back(item.cast<Pattern>());
    }
    return patterns;
}

Pattern named(const Pattern& pattern, py::handle name) {
    const std::string text = name ? friendly_name_from_python(name) : std::string();
    return text.empty() ? pattern : pattern.with(pattern.pattern().named(text));
}

Pattern make_any(py::handle name) {
    return named(Pattern::any(), name);
}

Pattern make_op(py::handle node_class, py::handle inputs, py::handle name) {
    const py::tuple classes = classes_from_python(node_class);
    const Pattern pattern = Pattern::of_classes(
        classes,
        inputs && !inputs.is_none() ? std::optional(patterns_from_python(inputs)) : std::nullopt);
    return named(pattern, name);
}

std::string name_from_python(const std::string& argument, py::handle object) {
    if (!py::isinstance<py::str>(object)) {
        throw py::type_error(argument + ": expected a str, got " + describe(object));
    }
    return text_of(object);
}

const Users* users_from_python(const py::object& object) {
    if (object.is_none()) {
        return nullptr;
    }
    if (!is_instance<Users>(object)) {
        throw py::type_error("users: expected Users or None, got " + describe(object));
    }
    return object.cast<const Users*>();
}

void register_match(py::module_& module) {
    define_class<Match>(module, "Match", match_doc, py::is_final())
        .def("__getitem__",
             [](const Match& self, const py::object& name) {
                 return self[name_from_python("name", name)];
             })
        .def(
            "original",
            [](const Match& self, const py::object& name) {
                return self.original(name_from_python("name", name));
            },
            py::arg("name"), "The value of this name in the function that was matched.")
        .def("__contains__",
             [](const Match& self, const py::object& name) {
                 return self.contains(name_from_python("name", name));
             })
        .def("__iter__", [](const Match& self) { return py::iter(py::cast(self.names())); })
        .def_property_readonly("names", &Match::names, "In the order in which they were matched.")
        .attr("__module__") = "normgraph";
}

void register_pattern(py::module_& module) {
    py::class_<Pattern> pattern = define_class<Pattern>(
        module, "Pattern", pattern_doc, py::is_final(), py::custom_type_setup(collect_garbage));
    pattern.attr("__module__") = "normgraph";
    define_function<Unpacked<&make_any>::call>(pattern, "any", {{"name", "None"}}, any_doc);
    define_function<Unpacked<&make_op>::call>(
        pattern, "op", {{"node_class"}, {"inputs", "None"}, {"name", "None"}}, op_doc);
    pattern
        .def(
            "named",
            [](const Pattern& self, const py::object& name) {
                return self.with(self.pattern().named(name_from_python("name", name)));
            },
            py::arg("name"),
            "The value has this name in the match; where several have one name, all are the same "
            "value.")
        .def(
            "output",
            [](const Pattern& self, const py::object& name) {
                return self.with(self.pattern().output(name_from_python("name", name)));
            },
            py::arg("name"), "The node's output of this name, in place of its first.")
        .def(
            "where",
            [](const Pattern& self, const py::object& condition) {
                return self.where(callable_from_python("condition", condition));
            },
            py::arg("condition"), "condition(value) is true of the Output. It is asked last.")
        .def(
            "with_single_user",
            [](const Pattern& self) { return self.with(self.pattern().with_single_user()); },
            "The value is read once: by one input, or as one result.")
        .def(
            "optional", [](const Pattern& self) { return self.with(self.pattern().optional()); },
            "As an input: the node may have none in this place, and in those after it.")
        .def(
            "match",
            [](const Pattern& self, const py::object& value, const py::object& users) {
                return self.pattern().match(output_from_python("value", value),
                                            users_from_python(users));
            },
            py::arg("value"), py::arg("users") = py::none(), match_method_doc)
        .def(
            "__or__", [](const Pattern& self, const Pattern& other) { return self | other; },
            py::is_operator());
}

// ---- rewriting
// -----------------------------------------------------------------------------------

/// What takes the place of a node; nullopt for None.
Values values_from_python(const Node& node, py::handle object) {
    if (object.is_none()) {
        return std::nullopt;
    }
    if (is_instance<Output>(object)) {
        return std::vector{object.cast<Output>()};
    }
    if (is_instance<Node>(object)) {
        return object.cast<std::shared_ptr<Node>>()->outputs();
    }
    const std::string argument =
        "the replacement of " + node.description() + " '" + node.friendly_name() + "'";
    std::vector<Output> values;
    for (const py::handle item :
         sequence_from_python(argument, "None, a Node, an Output or a sequence of these", object)) {
        values.push_back(
            output_from_python(argument + ", value " + std::to_string(values.size()), item));
    }
    return values;
}

std::shared_ptr<Function> rewrite(py::handle function, py::handle replacement) {
    const std::shared_ptr<Function> original = function_from_python("function", function);
    const py::object call = callable_from_python("replacement", replacement);
    return std::make_shared<Function>(pass::rewrite(
        *original, [&](Node& before, Node& node, const pass::NewValues& /*values*/) -> Values {
            return values_from_python(node, call(shared(before), shared(node)));
        }));
}

py::list items_of_mapping(py::handle object) {
    auto items = py::reinterpret_steal<py::list>(PyMapping_Items(object.ptr()));
    if (!items) {
        py::error_already_set error;
        raise_because_of(
            error, PyExc_TypeError,
            "replaced: expected a mapping from values to values, got " + describe(object));
    }
    return items;
}

std::shared_ptr<Function> replace_values(py::handle function, py::handle replaced) {
    const std::shared_ptr<Function> original = function_from_python("function", function);
    pass::ReplacedValues values;
    for (const py::handle item : items_of_mapping(replaced)) {
        const py::tuple pair = sequence_from_python("an item of replaced", "a pair", item);
        if (pair.size() != 2) {
            throw py::type_error("an item of replaced: expected a pair, got " + describe(pair));
        }
        const Output key = output_from_python("a value that is replaced", pair[0]);
        if (!values.emplace(key, output_from_python("a new value of replaced", pair[1])).second) {
            throw std::invalid_argument("replaced: expected each value once, got " +
                                        describe(py::cast(key)) + " twice");
        }
    }
    return std::make_shared<Function>(pass::replace_values(*original, values));
}

std::shared_ptr<Function> replace_matches(py::handle function, py::handle pattern,
                                          py::handle replacement) {
    const std::shared_ptr<Function> original = function_from_python("function", function);
    if (!is_instance<Pattern>(pattern)) {
        throw py::type_error("pattern: expected a Pattern, got " + describe(pattern));
    }
    const Pattern copy = pattern.cast<Pattern>();
    const py::object call = callable_from_python("replacement", replacement);
    return std::make_shared<Function>(pass::replace_matches(
        *original, copy.pattern(), [&](const Match& match) -> std::optional<Output> {
            const py::object made = call(match);
            return made.is_none()
                       ? std::nullopt
                       : std::optional(output_from_python("what replacement returns", made));
        }));
}

}  // namespace

void register_rewrite(py::module_& module) {
    register_users(module);
    register_match(module);
    register_pattern(module);
    define_function<Unpacked<&rewrite>::call>(module, "rewrite", {{"function"}, {"replacement"}},
                                              rewrite_doc);
    define_function<Unpacked<&replace_values>::call>(
        module, "replace_values", {{"function"}, {"replaced"}}, replace_values_doc);
    define_function<Unpacked<&replace_matches>::call>(module, "replace_matches",
                                                      {{"function"}, {"pattern"}, {"replacement"}},
                                                      replace_matches_doc);
}

}  // namespace normgraph::binding
