#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "normgraph/runtime/batch_part.hpp"
#include "normgraph/runtime/kernel_call.hpp"

/// Parts of a batch as Python objects and as arguments.
namespace normgraph::binding {

/// One of the two Python classes. It does not change, and lends its bytes.
class PythonPart {
public:
    explicit PythonPart(runtime::BatchPart value)
        : part(std::move(value)), bytes(part.to_bytes()) {}

    const runtime::BatchPart part;
    const std::vector<std::byte> bytes;
};
struct BatchStatistics : PythonPart {
    using PythonPart::PythonPart;
};
struct BackpropSums : PythonPart {
    using PythonPart::PythonPart;
};

/// The parameter that takes the reduction of a whole batch: "statistics", "sums", or empty for an
/// op that has none.
std::string_view given_reduction_name(const runtime::KernelCall& call);

/// What that parameter was given, if anything was.
class GivenPart {
public:
    GivenPart() = default;
    explicit GivenPart(const runtime::BatchPart& part) : part_(part) {}

    bool is_given() const { return part_.has_value(); }
    /// Throws std::invalid_argument unless it goes with inputs that the op has accepted.
    /// `positions`, of those inputs, outlive what reduction() returns; null: all count.
    void bind(const runtime::KernelCall& call, std::span<const runtime::OptionalArray> inputs,
              std::int64_t channel_axis, const kernel::CountedPositions* positions);
    /// Once it is bound. Refers to this object.
    runtime::GivenReduction reduction() const;

private:
    void check_fits(const runtime::KernelCall& call, std::span<const runtime::OptionalArray> inputs,
                    std::int64_t channel_axis) const;

    std::optional<runtime::BatchPart> part_;
    std::vector<double> values_;  ///< [2][channel], what kernels take
    const kernel::CountedPositions* positions_ = nullptr;
};

/// None or null, or an object of the class that the parameter asks for.
GivenPart given_part_from_python(const runtime::KernelCall& call, pybind11::handle object);

}  // namespace normgraph::binding
