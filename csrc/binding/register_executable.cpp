#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "binding/array_argument.hpp"
#include "binding/conversion.hpp"
#include "binding/define_class.hpp"
#include "binding/new_array.hpp"
#include "binding/node_conversion.hpp"
#include "binding/python_errors.hpp"
#include "binding/python_function.hpp"
#include "binding/register.hpp"
#include "binding/without_gil.hpp"
#include "normgraph/ir/text.hpp"
#include "normgraph/runtime/executable.hpp"

namespace py = pybind11;

namespace normgraph::binding {
namespace {

using runtime::Array;
using runtime::Plan;

constexpr const char* compile_doc = R"(An Executable that runs a function on arrays.

compile(function, backend="cpu"): "cpu" runs the best kernels of this processor, chains of
element-wise ops block by block in its caches; "reference" the plain loops that define the results,
one node after the other. Both give the same bits, for any number of threads.

What is compiled is the function as it is now: later changes of its nodes do not count. Raises
ValueError, naming the node, if no kernel computes one.
)";

constexpr const char* executable_doc = R"(A compiled function: call it on arrays. Made by compile().

Pickles and copies as its function and its backend.
)";

constexpr const char* call_doc = R"(Run the function on one array per parameter.

executable(*arrays, out=None, num_threads=None, **arrays_by_name)

Parameters
----------
arrays : one per parameter, by position or by the parameter's name: numpy arrays, or any with DLPack
    or the buffer protocol, in any strides; read without a copy. Element type and shape must be
    described by the parameter's; different calls may have different shapes. A parameter named out
    or num_threads, or like another one, is given by position.
out : a tuple with an array, or None, for each result; for a function of one result the array
    itself. None allocates. Arrays may have any strides (a ReLU's mask: C-contiguous) and must
    not overlap an argument or each other.
num_threads : how many threads may share the work; None means get_num_threads().

Returns
-------
A tuple of arrays, one per result, also of a single one: new ones in C order, or those of out.

Any number of threads may call one executable at once; other Python threads run meanwhile. Raises
TypeError for a missing, unknown or repeated argument and for what is no array; ValueError that
lists every argument, by name, whose type or shape does not fit; NodeValidationFailure (a
ValueError), naming the node, where arguments do not fit each other. Nothing is written where an
error is raised.
)";

/// What Python holds: the executable, and the function it was made of.
class PythonExecutable {
public:
    PythonExecutable(std::shared_ptr<Function> function, runtime::Backend backend)
        : function_(std::move(function)), executable_(*function_, backend) {
        for (const Output& result : function_->results()) {
            std::string name = result.node()->friendly_name();
            if (result.node()->output_names().size() > 1) {
                name.append(".").append(result.name());
            }
            result_names_.push_back(std::move(name));
        }
    }

    const std::shared_ptr<Function>& function() const { return function_; }
    const runtime::Executable& executable() const { return executable_; }
    std::string backend() const {
        return executable_.backend() == runtime::Backend::cpu ? "cpu" : "reference";
    }
    std::string repr() const {
        return "<Executable of '" + function_->friendly_name() + "' (backend " + backend() +
               "): " + join(executable_.parameter_names(), ", ") + " -> " +
               join(result_names_, ", ") + ">";
    }
    py::tuple call(const py::args& given, const py::kwargs& named) const;

private:
    struct Options {
        py::object out = py::none();
        py::object num_threads = py::none();
    };

    Options match(const py::args& given, const py::kwargs& named,
                  std::vector<py::handle>& arrays) const;
    std::size_t parameter_index(const std::string& name) const;
    [[noreturn]] void refuse(const std::string& came) const;
    std::vector<py::object> out_entries(const py::object& out) const;
    ArgumentName out_name(std::size_t index) const { return {result_names_[index], index}; }
    void check_overlap(std::size_t index, const std::vector<Array>& arguments,
                       const std::vector<std::optional<Array>>& results) const;
    void check_order(const Plan& plan, const std::vector<Array>& arguments,
                     const std::vector<std::optional<Array>>& results) const;

    std::shared_ptr<Function> function_;
    runtime::Executable executable_;
    std::vector<std::string> result_names_;
};

void PythonExecutable::refuse(const std::string& came) const {
    throw py::type_error("expected one array for each of the parameters (" +
                         join(executable_.parameter_names(), ", ") +
                         "), out= and num_threads=, got " + came);
}

std::size_t PythonExecutable::parameter_index(const std::string& name) const {
    const std::vector<std::string>& names = executable_.parameter_names();
    const auto found = std::ranges::find(names, name);
    if (found == names.end()) {
        refuse("an argument named '" + name + "'");
    }
    if (std::find(found + 1, names.end(), name) != names.end()) {
        refuse("'" + name + "', which is the name of several parameters, by name");
    }
    return static_cast<std::size_t>(found - names.begin());
}

PythonExecutable::Options PythonExecutable::match(const py::args& given, const py::kwargs& named,
                                                  std::vector<py::handle>& arrays) const {
    if (given.size() > arrays.size()) {
        refuse(format_count(given.size(), "positional argument"));
    }
    std::ranges::copy(given, arrays.begin());
    Options options;
    for (const auto& [key, value] : named) {
        const std::string name = text_of(key);
        if (name == "out" || name == "num_threads") {
            (name == "out" ? options.out : options.num_threads) =
                py::reinterpret_borrow<py::object>(value);
            continue;
        }
        py::handle& array = arrays[parameter_index(name)];
        if (array) {
            refuse("'" + name + "' twice");
        }
        array = value;
    }
    std::vector<std::string> missing;
    for (std::size_t index = 0; index < arrays.size(); ++index) {
        if (!arrays[index]) {
            missing.push_back("'" + executable_.parameter_names()[index] + "'");
        }
    }
    if (!missing.empty()) {
        refuse("no " + join_as_sentence(missing, "and no"));
    }
    return options;
}

/// One per result; null where none is given.
std::vector<py::object> PythonExecutable::out_entries(const py::object& out) const {
    const std::size_t count = executable_.result_count();
    std::vector<py::object> entries(count);
    if (out.is_none()) {
        return entries;
    }
    const std::string expected = "out: expected a tuple of " + std::to_string(count) +
                                 " arrays or None (" + join(result_names_, ", ") + "), got ";
    if (!py::isinstance<py::tuple>(out)) {
        if (count != 1 || py::isinstance<py::list>(out)) {
            throw py::type_error(expected + describe(out));
        }
        entries[0] = out;
        return entries;
    }
    const auto tuple = py::reinterpret_borrow<py::tuple>(out);
    if (tuple.size() != count) {
        throw std::invalid_argument(expected + "a tuple of " + std::to_string(tuple.size()));
    }
    for (std::size_t index = 0; index < count; ++index) {
        if (!tuple[index].is_none()) {
            entries[index] = tuple[index];
        }
    }
    return entries;
}

void PythonExecutable::check_overlap(std::size_t index, const std::vector<Array>& arguments,
                                     const std::vector<std::optional<Array>>& results) const {
    const auto refuse_overlap = [&](const std::string& other) {
        throw std::invalid_argument(out_name(index).text() +
                                    ": expected memory of its own, got an array that overlaps " +
                                    other);
    };
    for (std::size_t other = 0; other < arguments.size(); ++other) {
        if (share_memory(*results[index], arguments[other])) {
            refuse_overlap(executable_.parameter_names()[other]);
        }
    }
    for (std::size_t other = 0; other < index; ++other) {
        if (results[other] && share_memory(*results[index], *results[other])) {
            refuse_overlap(out_name(other).text());
        }
    }
}

void PythonExecutable::check_order(const Plan& plan, const std::vector<Array>& arguments,
                                   const std::vector<std::optional<Array>>& results) const {
    for (const std::size_t index : plan.arguments_in_order) {
        runtime::check_contiguous(executable_.parameter_names()[index], arguments[index]);
    }
    for (const std::size_t index : plan.results_in_order) {
        if (results[index]) {
            runtime::check_contiguous(out_name(index).text(), *results[index]);
        }
    }
}

/// Letting go of the interpreter's lock and waiting to have it back would take longer than a call
/// on less memory than this.
constexpr std::int64_t bytes_worth_the_lock = 65536;

bool is_worth_the_lock(const Plan& plan) {
    std::int64_t bytes = 0;
    for (const runtime::Buffer& buffer : plan.buffers) {
        bytes += buffer.byte_count();
        if (bytes >= bytes_worth_the_lock) {
            return true;
        }
    }
    return false;
}

py::tuple PythonExecutable::call(const py::args& given, const py::kwargs& named) const {
    const std::vector<std::string>& names = executable_.parameter_names();
    std::vector<py::handle> objects(names.size());
    const Options options = match(given, named, objects);
    const std::int64_t num_threads = num_threads_from_python(options.num_threads);
    std::vector<ArrayArgument> borrowed(objects.size());
    std::vector<Array> arguments;
    for (std::size_t index = 0; index < objects.size(); ++index) {
        borrowed[index].borrow({names[index]}, objects[index]);
        arguments.push_back(borrowed[index].view());
    }
    std::vector<py::object> outs = out_entries(options.out);
    std::vector<ArrayArgument> borrowed_outs(outs.size());
    std::vector<std::optional<Array>> given_results(outs.size());
    for (std::size_t index = 0; index < outs.size(); ++index) {
        if (outs[index]) {
            borrowed_outs[index].borrow(out_name(index), outs[index]);
            given_results[index] = borrowed_outs[index].view();
        }
    }
    const std::shared_ptr<const Plan> plan = executable_.plan_for(arguments);
    for (std::size_t index = 0; index < outs.size(); ++index) {
        if (given_results[index]) {
            check_output(out_name(index), *given_results[index], plan->result_types[index]);
            check_overlap(index, arguments, given_results);
        }
    }
    check_order(*plan, arguments, given_results);
    std::vector<Array> results;
    for (std::size_t index = 0; index < outs.size(); ++index) {
        if (!outs[index]) {
            const TensorType& type = plan->result_types[index];
            py::array array = new_array(type);
            borrowed_outs[index].borrow_new(type.element_type, array);
            outs[index] = std::move(array);
        }
        results.push_back(borrowed_outs[index].view());
    }
    const auto run = [&] { executable_.run(*plan, arguments, results, num_threads); };
    if (is_worth_the_lock(*plan)) {
        without_gil(run);
    } else {
        run();
    }
    py::tuple tuple(outs.size());
    for (std::size_t index = 0; index < outs.size(); ++index) {
        tuple[index] = std::move(outs[index]);
    }
    return tuple;
}

runtime::Backend backend_from_python(py::handle object) {
    if (!py::isinstance<py::str>(object)) {
        throw py::type_error("backend: expected 'cpu' or 'reference', got " + describe(object));
    }
    const std::string name = text_of(object);
    if (name != "cpu" && name != "reference") {
        throw std::invalid_argument("backend: expected 'cpu' or 'reference', got '" + name + "'");
    }
    return name == "cpu" ? runtime::Backend::cpu : runtime::Backend::reference;
}

std::unique_ptr<PythonExecutable> compile(py::handle function, py::handle backend) {
    const std::shared_ptr<Function> compiled = function_from_python("function", function);
    return std::make_unique<PythonExecutable>(
        compiled, backend ? backend_from_python(backend) : runtime::Backend::cpu);
}

/// Pickled, and copied, as the function and the backend: compiled anew.
py::tuple reduce_executable(const PythonExecutable& self) {
    return py::make_tuple(py::module_::import("normgraph._core").attr("compile"),
                          py::make_tuple(self.function(), self.backend()));
}

}  // namespace

void register_executable(py::module_& module) {
    define_class<PythonExecutable>(module, "Executable", executable_doc, py::is_final())
        .def_property_readonly("function", &PythonExecutable::function,
                               "The function that was compiled.")
        .def_property_readonly("backend", &PythonExecutable::backend, "\"cpu\" or \"reference\".")
        .def_property_readonly(
            "parameters",
            [](const PythonExecutable& self) {
                py::list names;
                for (const std::string& name : self.executable().parameter_names()) {
                    names.append(name);
                }
                return py::tuple(names);
            },
            "The names of the parameters, in the order of the arguments.")
        .def_property_readonly(
            "peak_bytes",
            [](const PythonExecutable& self) { return self.executable().peak_bytes(); },
            "Memory that the intermediate values of the last call have taken together, in bytes;\n"
            "None before the first call. Arguments and results do not count.")
        .def("__call__", &PythonExecutable::call, call_doc)
        .def("__repr__", &PythonExecutable::repr)
        .def("__reduce__", &reduce_executable)
        .attr("__module__") = "normgraph";
    define_function<Unpacked<&compile>::call>(module, "compile",
                                              {{"function"}, {"backend", "'cpu'"}}, compile_doc);
}

}  // namespace normgraph::binding
