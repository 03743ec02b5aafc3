#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "case_class.hpp"
#include "cases.hpp"
#include "shape_list.hpp"
#include "shared_streaming_pass.hpp"
#include "streaming_pass.hpp"
#include "tensor_sets.hpp"

/// What benchmarks/peers shares with the C++ benchmarks: shapes, classes, tensors that have left
/// the caches, the streaming floor. Names stand for ops, types and layouts.
namespace normgraph::measurement {
namespace {

namespace py = pybind11;

template <typename Value, typename Values>
Value value_named(const std::string& name, const Values& values) {
    for (const Value value : values) {
        if (name == name_of(value)) {
            return value;
        }
    }
    throw std::invalid_argument("unknown name '" + name + "'");
}

Op op_named(const std::string& name) {
    return value_named<Op>(name, all_ops());
}

kernel::LayoutClass layout_named(const std::string& name) {
    constexpr kernel::LayoutClass layouts[] = {kernel::LayoutClass::channels_first,
                                               kernel::LayoutClass::channels_last};
    return value_named<kernel::LayoutClass>(name, layouts);
}

std::vector<std::string> layout_names_of(const NamedShape& shape) {
    std::vector<std::string> names;
    for (const kernel::LayoutClass layout : layouts_of(shape)) {
        names.emplace_back(name_of(layout));
    }
    return names;
}

std::string class_name(const std::string& op, const NamedShape& shape, const std::string& type,
                       const std::string& layout, std::size_t largest_cache) {
    return class_of(op_named(op), shape, element_type_named(type), layout_named(layout),
                    largest_cache);
}

std::vector<TensorSet> tensor_sets(bool cold, std::size_t tensor_count, std::size_t bytes,
                                   const std::string& pattern) {
    const auto* const begin = reinterpret_cast<const std::byte*>(pattern.data());
    return make_tensor_sets(cold, tensor_count, bytes, {begin, begin + pattern.size()});
}

/// The bytes of a tensor, without a copy; they keep the set alive.
py::array tensor(const py::object& set, std::size_t index) {
    const auto& owner = set.cast<const TensorSet&>();
    return {py::dtype::of<std::uint8_t>(), {owner.padded_bytes()}, {1}, owner.tensor(index), set};
}

void stream_calls(const TensorSet& set, std::size_t tensor_count, std::int64_t num_threads,
                  bool non_temporal, std::int64_t calls) {
    const py::gil_scoped_release released;
    const StreamingPass& pass = widest_streaming_pass();
    for (std::int64_t call = 0; call < calls; ++call) {
        stream(non_temporal ? pass.non_temporal_stores : pass.normal_stores, set, tensor_count,
               num_threads);
    }
}

}  // namespace
}  // namespace normgraph::measurement

PYBIND11_MODULE(normgraph_measurement, module) {
    using namespace normgraph::measurement;
    using namespace pybind11::literals;

    pybind11::class_<NamedShape>(module, "NamedShape")
        .def_readonly("name", &NamedShape::name)
        .def_readonly("network", &NamedShape::network)
        .def_readonly("layer", &NamedShape::layer)
        .def_readonly("shape", &NamedShape::shape)
        .def_readonly("cold", &NamedShape::cold)
        .def_readonly("in_short_run", &NamedShape::in_short_run);
    pybind11::class_<TensorSet>(module, "TensorSet").def("tensor", &tensor, "index"_a);

    module.def("read_shape_list", &read_shape_list, "file"_a);
    module.def("layouts_of", &layout_names_of, "shape"_a);
    module.def("class_of", &class_name, "op"_a, "shape"_a, "element_type"_a, "layout"_a,
               "largest_cache"_a);
    module.def(
        "tensor_count_of", [](const std::string& op) { return tensor_count_of(op_named(op)); },
        "op"_a);
    module.def("largest_cache_bytes", &largest_cache_bytes);
    module.def("make_tensor_sets", &tensor_sets, "cold"_a, "tensor_count"_a, "tensor_bytes"_a,
               "pattern"_a);
    module.def("streaming_pass_name", [] { return widest_streaming_pass().name; });
    module.def("stream", &stream_calls, "tensors"_a, "tensor_count"_a, "num_threads"_a,
               "non_temporal"_a, "calls"_a);
}
