#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "normgraph/kernel/dispatch.hpp"
#include "normgraph/kernel/layout.hpp"
#include "sampling.hpp"
#include "shape_list.hpp"

namespace normgraph::measurement {

/// An op by its place in the list of all ops.
enum class Op : std::size_t {};
std::vector<Op> all_ops();
std::string_view name_of(Op op);
/// The tensors that the op must move once: it writes the last and reads the others.
std::size_t tensor_count_of(Op op);

/// Of the data; channel vectors are f64 for f64 data and f32 for all else.
std::string_view name_of(kernel::ElementType type);
/// Throws std::invalid_argument for anything but f16, bf16, f32, f64.
kernel::ElementType element_type_named(std::string_view name);

std::string_view name_of(kernel::LayoutClass layout);

/// The layouts that tell apart: (N, C) in its usual order is channels last already, and so are
/// images of one pixel.
std::vector<kernel::LayoutClass> layouts_of(const NamedShape& shape);

/// One benchmark.
struct Case {
    Op op;
    NamedShape shape;
    kernel::ElementType type;
    kernel::LayoutClass layout;
    const kernel::Implementation* implementation;
    std::int64_t num_threads;  ///< of the call and of its floor, at most

    /// "op/shape/type/layout/implementation/threads"
    std::string name() const;
};

struct Measurement {
    Timing call;
    Timing floor;            ///< of the faster of normal and non-temporal stores
    double bytes_per_floor;  ///< what the floor moves: 3 tensors backward, 2 forward, no mask
};

/// Measures a case and its floor in turns, on the same tensors.
Measurement measure(const Case& which, double seconds);

}  // namespace normgraph::measurement
