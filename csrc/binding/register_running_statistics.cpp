#include <pybind11/pybind11.h>

#include <array>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

#include "binding/array_argument.hpp"
#include "binding/conversion.hpp"
#include "binding/new_array.hpp"
#include "binding/python_errors.hpp"
#include "binding/python_function.hpp"
#include "binding/register.hpp"
#include "normgraph/runtime/running_statistics.hpp"

namespace py = pybind11;

namespace normgraph::binding {
namespace {

using runtime::Array;
using runtime::ChannelStatistics;

constexpr std::array<std::string_view, 2> names{"mean", "variance"};

/// "running[1] (variance)".
std::string name_in_pair(const char* argument, std::size_t index) {
    return std::string(argument) + "[" + std::to_string(index) + "] (" + std::string(names[index]) +
           ")";
}

/// The two items of an argument that is a pair.
py::tuple pair_from_python(const char* argument, const std::string& expected, py::handle object) {
    py::tuple items = sequence_from_python(argument, expected, object);
    if (items.size() != names.size()) {
        throw std::invalid_argument(std::string(argument) + ": expected " + expected + ", got " +
                                    std::to_string(items.size()) + " items");
    }
    return items;
}

/// A pair of arrays, borrowed for the time of a call.
class PairArgument {
public:
    PairArgument(const char* argument, py::handle object)
        : items_(pair_from_python(argument, "a pair (mean, variance) of arrays", object)) {
        mean_.borrow({name_in_pair(argument, 0)}, items_[0]);
        variance_.borrow({name_in_pair(argument, 1)}, items_[1]);
    }

    ChannelStatistics views() const { return {mean_.view(), variance_.view()}; }

private:
    py::tuple items_;
    ArrayArgument mean_, variance_;
};

/// The arrays that results go to: those of `out`, or new ones where it is None.
class ResultPair {
public:
    ResultPair(py::handle out, const ChannelStatistics& running) {
        py::tuple given = py::make_tuple(py::none(), py::none());
        if (!out.is_none()) {
            given = pair_from_python("out", "a pair (mean, variance) of arrays or None", out);
        }
        const std::array<const Array*, 2> like{&running.mean, &running.variance};
        for (std::size_t index = 0; index < names.size(); ++index) {
            const TensorType type = like[index]->tensor_type();
            objects_[index] = given[index];
            if (objects_[index].is_none()) {
                objects_[index] = new_array(type);
            }
            const ArgumentName name{names[index], index};
            arrays_[index].borrow(name, objects_[index]);
            check_output(name, arrays_[index].view(), type);
        }
    }

    ChannelStatistics views() const { return {arrays_[0].view(), arrays_[1].view()}; }
    py::tuple objects() const { return py::make_tuple(objects_[0], objects_[1]); }

private:
    std::array<py::object, 2> objects_;
    std::array<ArrayArgument, 2> arrays_;
};

void check_overlap(const std::string& name, const Array& result, const std::string& other_name,
                   const Array& other) {
    if (share_memory(result, other)) {
        throw std::invalid_argument(
            name + ": expected memory of its own, got an array that overlaps " + other_name);
    }
}

/// Each result may be exactly the array of its own input; it is written before the other is read.
void check_overlaps(const ChannelStatistics& result, const char* argument,
                    const ChannelStatistics& inputs) {
    const std::array<const Array*, 2> results{&result.mean, &result.variance};
    const std::array<const Array*, 2> arrays{&inputs.mean, &inputs.variance};
    for (std::size_t index = 0; index < names.size(); ++index) {
        for (std::size_t other = 0; other < names.size(); ++other) {
            if (index != other || !are_identical_views(*results[index], *arrays[other])) {
                check_overlap(name_in_pair("out", index), *results[index],
                              name_in_pair(argument, other), *arrays[other]);
            }
        }
    }
}

bool flag_from_python(const char* argument, py::handle object) {
    if (PyBool_Check(object.ptr()) == 0 &&
        !py::type::handle_of(object).is(py::module_::import("numpy").attr("bool_"))) {
        throw py::type_error(std::string(argument) + ": expected True or False, got " +
                             describe(object));
    }
    return object.cast<bool>();
}

py::tuple update_running_statistics(py::handle running_object, py::handle batch_object,
                                    py::handle n, py::handle momentum, py::handle unbiased,
                                    py::handle out) {
    const PairArgument running_pair("running", running_object);
    const PairArgument batch_pair("batch", batch_object);
    const runtime::RunningUpdate update{element_count_from_python(n),
                                        momentum_from_python(momentum),
                                        flag_from_python("unbiased", unbiased)};
    const ChannelStatistics running = running_pair.views();
    const ChannelStatistics batch = batch_pair.views();
    runtime::check_running_statistics(running, batch, update);
    const ResultPair results(out, running);
    const ChannelStatistics result = results.views();
    check_overlaps(result, "running", running);
    check_overlaps(result, "batch", batch);
    check_overlap(name_in_pair("out", 1), result.variance, name_in_pair("out", 0), result.mean);
    runtime::update_running_statistics(running, batch, update, result);
    return results.objects();
}

}  // namespace

void register_running_statistics(py::module_& module) {
    define_function<Unpacked<&update_running_statistics>::call>(
        module, "update_running_statistics",
        {{"running"}, {"batch"}, {"n"}, {"momentum"}, {"unbiased"}, {"out"}},
        "The pair of arrays that normgraph.update_running_statistics returns.");
}

}  // namespace normgraph::binding
