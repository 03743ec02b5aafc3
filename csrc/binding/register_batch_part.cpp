#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "binding/array_argument.hpp"
#include "binding/batch_part.hpp"
#include "binding/conversion.hpp"
#include "binding/define_class.hpp"
#include "binding/instances.hpp"
#include "binding/nested_call.hpp"
#include "binding/new_array.hpp"
#include "binding/position_mask.hpp"
#include "binding/python_errors.hpp"
#include "binding/python_function.hpp"
#include "binding/register.hpp"
#include "binding/without_gil.hpp"
#include "normgraph/ir/text.hpp"
#include "normgraph/op/batch_norm_node.hpp"

namespace py = pybind11;

/// Batches in parts: what Python calls to reduce a part, and the values that it gets.
namespace normgraph::binding {
namespace {

using runtime::BatchPart;
using runtime::OptionalArray;
using runtime::PartOptions;

constexpr const char* statistics_doc =
    R"(The statistics of a part of a batch, as batch_norm_statistics() returns them.

a + b are those of a and of b, which follows a. They hold the nodes of the canonical order of
summation that are finished: parts that begin where a block does give the bits of the whole batch,
in whatever grouping they are added, and other parts what rounding of doubles makes of it. An empty
part changes nothing.

The object does not change. bytes(statistics), to_bytes() and the buffer protocol give it for any
transport; from_bytes() and pickle read it back.

a + b raises ValueError unless both have as many channels and are about the same means, OverflowError
where there are 2^63 samples or elements.)";

constexpr const char* sums_doc =
    R"(The sums of a part of a batch's backward pass, as batch_norm_backprop_sums() returns them.

a + b are those of a and of b, which follows a, as with BatchStatistics: parts that begin where a
block does give the bits of the whole batch. All parts are summed about the same mean.)";

constexpr const char* statistics_function_doc =
    R"(The statistics of a part of a batch: a shard, or a micro-batch.

Parameters
----------
input : array, (., C, ...), of f16, bf16, f32 or f64; may be empty
channel_axis : which axis of input has length C; a negative one counts from the last
first_sample : how many samples of the whole batch come before input. Bits alone depend on it: a
    part that is added elsewhere is moved there, without a word. None keeps the nodes of every block,
    which fit wherever the part comes to stand, until it is added to a part whose place is known; a
    number keeps only what is not finished.
about : BatchStatistics of the whole batch, with which f64 takes a second pass, about the mean. The
    statistics of a whole f64 batch have the bits of the parts' second passes.
num_threads : how many threads may share the channels; None means get_num_threads()
implementation : which of implementations() computes; None means the one that config() names. The
    bits do not depend on it.
where : boolean array, true where a position counts, which broadcasts to input's shape without the
    channel axis, or with one of length 1; None counts all
lengths : vector of integers, one for each sample, in place of where: of the axis behind the samples',
    positions 0 ... length - 1 count

Returns
-------
BatchStatistics

A sample is one index of the first axis that is not the channel axis. Parts of images or sequences
of 33 elements or more fit each other to the bit where they begin at multiples of 32 samples, those
of matrices at multiples of 2048 rows (f16, bf16) or 1024 rows (f32, f64), or of a part of it that
depends on C; all have the memory layout of the whole, channels first or channels last.

Raises NodeValidationFailure (a ValueError) where a constraint of BatchNormTraining is violated,
TypeError for what is no array.)";

constexpr const char* sums_function_doc =
    R"(The sums of a part of a batch's backward pass: of normalized_delta and of normalized_delta
times (input - mean).

Parameters
----------
input : array, (., C, ...), of f16, bf16, f32 or f64; may be empty
mean, variance : arrays, (C): the statistics of the whole batch, as batch_norm_training() puts them
    out. variance is checked, and not read: it comes in with the gradients.
normalized_delta : array, shape and element type of input: the gradient of normalized
channel_axis : which axis of input has length C; a negative one counts from the last
mask : array, u8, C-contiguous: that of batch_norm_training_relu() for this part, where
    normalized_delta is the gradient of its activated
first_sample, num_threads, implementation, where, lengths : as for batch_norm_statistics()

Returns
-------
BackpropSums

Raises NodeValidationFailure (a ValueError) where a constraint of BatchNormTrainingBackprop is
violated, ValueError for a mask that is not C-contiguous, TypeError for what is no array.)";

/// None or null, or a number of samples.
std::optional<std::int64_t> first_sample_from_python(py::handle object) {
    if (!object || object.is_none()) {
        return std::nullopt;
    }
    constexpr std::int64_t most = std::int64_t{1} << 62;
    const std::string expected = "an integer from 0 to 2^62 or None";
    const std::int64_t first = integer_from_python("first_sample", expected, object);
    if (first < 0 || first > most) {
        throw std::invalid_argument("first_sample: expected " + expected + ", got " +
                                    std::to_string(first));
    }
    return first;
}

PartOptions options_from_python(py::handle channel_axis, py::handle first_sample,
                                py::handle num_threads, py::handle implementation) {
    return {channel_axis ? channel_axis_from_python(channel_axis) : op::default_channel_axis,
            first_sample_from_python(first_sample), num_threads_from_python(num_threads),
            &implementation_from_python(implementation)};
}

/// What `compute` returns, with or without the interpreter's lock.
template <typename Compute>
BatchPart computed(const runtime::Array& input, const Compute& compute) {
    if (!is_worth_the_lock(input.shape)) {
        return compute();
    }
    std::optional<BatchPart> part;
    without_gil([&] { part.emplace(compute()); });
    return std::move(*part);
}

std::unique_ptr<BatchStatistics> batch_norm_statistics(py::handle input, py::handle channel_axis,
                                                       py::handle first_sample, py::handle about,
                                                       py::handle num_threads,
                                                       py::handle implementation, py::handle where,
                                                       py::handle lengths) {
    const NestedCall nested;
    PartOptions options =
        options_from_python(channel_axis, first_sample, num_threads, implementation);
    std::optional<BatchPart> center;
    if (about && !about.is_none()) {
        if (!is_instance<BatchStatistics>(about)) {
            throw py::type_error("about: expected a normgraph.BatchStatistics or None, got " +
                                 describe(about));
        }
        center = about.cast<const BatchStatistics&>().part;
    }
    const BatchPart* const center_or_null = center ? &*center : nullptr;
    ArrayArgument borrowed;
    borrowed.borrow({"input"}, input);
    const runtime::Array array = borrowed.view();
    runtime::check_statistics_inputs(array, options, center_or_null);
    const auto positions = positions_from_python(where, lengths, array, options.channel_axis);
    options.positions = positions ? &*positions : nullptr;
    return std::make_unique<BatchStatistics>(computed(
        array, [&] { return runtime::batch_norm_statistics(array, options, center_or_null); }));
}

std::unique_ptr<BackpropSums> batch_norm_backprop_sums(
    py::handle input, py::handle mean, py::handle variance, py::handle normalized_delta,
    py::handle channel_axis, py::handle mask, py::handle first_sample, py::handle num_threads,
    py::handle implementation, py::handle where, py::handle lengths) {
    const NestedCall nested;
    PartOptions options =
        options_from_python(channel_axis, first_sample, num_threads, implementation);
    const std::array objects{input, mean, variance, normalized_delta, mask};
    std::array<ArrayArgument, objects.size()> borrowed;
    std::array<OptionalArray, objects.size()> arrays;
    const auto ports = runtime::backprop_sums_inputs();
    for (std::size_t index = 0; index < objects.size(); ++index) {
        const bool is_absent_mask =
            ports[index].role == op::Role::mask && (!objects[index] || objects[index].is_none());
        if (!is_absent_mask) {
            borrowed[index].borrow({ports[index].name, std::nullopt, ports[index].role},
                                   objects[index]);
            arrays[index] = borrowed[index].view();
        }
    }
    runtime::check_backprop_sums_inputs(arrays, options);
    const auto positions = positions_from_python(where, lengths, *arrays[0], options.channel_axis);
    options.positions = positions ? &*positions : nullptr;
    return std::make_unique<BackpropSums>(
        computed(*arrays[0], [&] { return runtime::batch_norm_backprop_sums(arrays, options); }));
}

// ---- the classes --------------------------------------------------------------------------------

py::array vector_to_python(std::span<const double> values) {
    const auto length = static_cast<std::int64_t>(values.size());
    py::array array = new_array({element::f64, PartialShape{length}});
    std::memcpy(array.mutable_data(), values.data(), values.size_bytes());
    return array;
}

py::bytes to_bytes(const PythonPart& self) {
    return {reinterpret_cast<const char*>(self.bytes.data()), self.bytes.size()};
}

py::buffer_info lend_bytes(PythonPart& self) {
    return py::buffer_info(reinterpret_cast<const std::uint8_t*>(self.bytes.data()),
                           static_cast<py::ssize_t>(self.bytes.size()));
}

/// The bytes of an object that lends some.
std::vector<std::byte> bytes_from_python(py::handle object) {
    if (PyObject_CheckBuffer(object.ptr()) == 0) {
        throw py::type_error(
            "data: expected bytes or another object with the buffer protocol, "
            "got " +
            describe(object));
    }
    const auto whole = py::reinterpret_steal<py::bytes>(PyBytes_FromObject(object.ptr()));
    if (!whole) {
        throw py::error_already_set();
    }
    const std::string_view view = whole;
    const auto bytes = std::as_bytes(std::span(view));
    return {bytes.begin(), bytes.end()};
}

template <typename Class>
std::unique_ptr<Class> from_bytes(py::handle data) {
    const std::vector<std::byte> bytes = bytes_from_python(data);
    const auto part = [&] {
        try {
            return BatchPart::from_bytes(bytes);
        } catch (const std::invalid_argument& error) {
            throw std::invalid_argument(std::string("data: ") + error.what());
        }
    }();
    if (part.has_statistics() != std::is_same_v<Class, BatchStatistics>) {
        throw std::invalid_argument(std::string("data: expected the bytes of ") +
                                    (part.has_statistics()
                                         ? "BackpropSums, got those of BatchStatistics"
                                         : "BatchStatistics, got those of BackpropSums"));
    }
    return std::make_unique<Class>(part);
}

/// a + b; sum() begins with 0.
template <typename Class>
py::object add(const Class& self, py::handle other) {
    if (!is_instance<Class>(other)) {
        return py::reinterpret_borrow<py::object>(Py_NotImplemented);
    }
    return py::cast(
        std::make_unique<Class>(self.part.followed_by(other.cast<const Class&>().part)));
}
template <typename Class>
py::object add_to_zero(const Class& self, py::handle other) {
    const bool is_zero = PyLong_CheckExact(other.ptr()) != 0 && PyObject_Not(other.ptr()) == 1;
    return is_zero ? py::cast(&self) : py::reinterpret_borrow<py::object>(Py_NotImplemented);
}

template <typename Class>
py::object is_equal(const Class& self, py::handle other) {
    if (!is_instance<Class>(other)) {
        return py::reinterpret_borrow<py::object>(Py_NotImplemented);
    }
    return py::bool_(self.bytes == other.cast<const Class&>().bytes);
}

std::string layout_name(const BatchPart& part) {
    return part.layout_class() == kernel::LayoutClass::channels_first ? "channels_first"
                                                                      : "channels_last";
}

/// "<BatchStatistics: 64 channels of 100352 f32 elements, channels_first, samples 64 to 96>".
std::string describe_part(const char* class_name, const BatchPart& part) {
    const std::int64_t samples = part.nodes().sample_count();
    const std::optional<std::int64_t> first = part.first_sample();
    return "<" + std::string(class_name) + ": " + std::to_string(part.channels()) +
           " channels of " + std::to_string(part.count()) + " " +
           std::string(part.data_type().name()) + " elements, " + layout_name(part) + ", " +
           (first ? "samples " + std::to_string(*first) + " to " + std::to_string(*first + samples)
                  : std::to_string(samples) + " samples") +
           ">";
}

/// Pickled as a call of the class's from_bytes, which has no global name of its own.
template <typename Class>
py::tuple reduce_part(const Class& self) {
    const py::object call =
        py::module_::import("operator").attr("methodcaller")("from_bytes", to_bytes(self));
    return py::make_tuple(call, py::make_tuple(py::type::of<Class>()));
}

template <typename Class>
py::class_<Class> define_part(py::module_& module, const char* name, const char* documentation) {
    py::class_<Class> part =
        define_class<Class>(module, name, py::buffer_protocol(), documentation, py::is_final());
    part.attr("__module__") = "normgraph";
    // Else numpy would take the bytes that an object lends for an array of numbers.
    part.attr("__array_ufunc__") = py::none();
    part.def_property_readonly(
            "count", [](const Class& self) { return self.part.count(); },
            "The number of elements of a channel.")
        .def_property_readonly(
            "channels", [](const Class& self) { return self.part.channels(); },
            "The number of channels.")
        .def_property_readonly(
            "samples", [](const Class& self) { return self.part.nodes().sample_count(); },
            "The number of samples.")
        .def_property_readonly(
            "first_sample", [](const Class& self) { return self.part.first_sample(); },
            "How many samples come before the part; None where that is not known.")
        .def_property_readonly(
            "element_type", [](const Class& self) { return self.part.data_type(); },
            "The element type of the data that were summed.")
        .def_property_readonly(
            "layout", [](const Class& self) { return layout_name(self.part); },
            "\"channels_first\" or \"channels_last\": how the data lay in memory.")
        .def(
            "to_bytes", [](const Class& self) { return to_bytes(self); },
            "All of it as bytes, which from_bytes() reads.")
        .def("__bytes__", [](const Class& self) { return to_bytes(self); })
        .def("__add__", &add<Class>)
        .def("__radd__", &add_to_zero<Class>)
        .def("__eq__", &is_equal<Class>)
        .def("__hash__", [](const Class& self) { return py::hash(to_bytes(self)); })
        .def("__repr__", [name](const Class& self) { return describe_part(name, self.part); })
        .def("__reduce__", &reduce_part<Class>)
        .def_buffer([](Class& self) { return lend_bytes(self); });
    define_function<Unpacked<&from_bytes<Class>>::call>(
        part, "from_bytes", {{"data"}},
        "What to_bytes() has returned, or any object that lends such bytes. Raises ValueError for "
        "others, and for those of another version of the order of summation.");
    return part;
}

}  // namespace

void register_batch_part(py::module_& module) {
    define_part<BatchStatistics>(module, "BatchStatistics", statistics_doc)
        .def_property_readonly(
            "mean",
            [](const BatchStatistics& self) {
                return vector_to_python(self.part.statistics().mean);
            },
            "f64 array (C), not rounded to the data's type; NaN of an empty part.")
        .def_property_readonly(
            "variance",
            [](const BatchStatistics& self) {
                return vector_to_python(self.part.statistics().variance);
            },
            "f64 array (C): the biased variance, 1/n; NaN of an empty part.");
    define_part<BackpropSums>(module, "BackpropSums", sums_doc)
        .def_property_readonly(
            "beta_delta",
            [](const BackpropSums& self) {
                const std::vector<double> total = self.part.sums();
                return vector_to_python(std::span(total).first(total.size() / 2));
            },
            "f64 array (C): the sums of normalized_delta.")
        .def_property_readonly(
            "gmul_delta",
            [](const BackpropSums& self) {
                const std::vector<double> total = self.part.sums();
                return vector_to_python(std::span(total).last(total.size() / 2));
            },
            "f64 array (C): the sums of normalized_delta times (input - mean).");
    define_function<Unpacked<&batch_norm_statistics>::call>(module, "batch_norm_statistics",
                                                            {{"input"},
                                                             {"channel_axis", "1"},
                                                             {"first_sample", "None"},
                                                             {"about", "None"},
                                                             {"num_threads", "None"},
                                                             {"implementation", "None"},
                                                             {"where", "None"},
                                                             {"lengths", "None"}},
                                                            statistics_function_doc);
    define_function<Unpacked<&batch_norm_backprop_sums>::call>(module, "batch_norm_backprop_sums",
                                                               {{"input"},
                                                                {"mean"},
                                                                {"variance"},
                                                                {"normalized_delta"},
                                                                {"channel_axis", "1"},
                                                                {"mask", "None"},
                                                                {"first_sample", "None"},
                                                                {"num_threads", "None"},
                                                                {"implementation", "None"},
                                                                {"where", "None"},
                                                                {"lengths", "None"}},
                                                               sums_function_doc);
}

}  // namespace normgraph::binding
