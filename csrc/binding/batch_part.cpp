#include "binding/batch_part.hpp"

#include <stdexcept>
#include <string>

#include "binding/instances.hpp"
#include "binding/python_errors.hpp"
#include "normgraph/indices/axis.hpp"
#include "normgraph/kernel/strided/extents.hpp"

namespace py = pybind11;

namespace normgraph::binding {
namespace {

using runtime::Array;
using runtime::KernelCall;
using runtime::OptionalArray;

std::string text(std::int64_t number) {
    return std::to_string(number);
}

}  // namespace

std::string_view given_reduction_name(const KernelCall& call) {
    return call.has_statistics() ? "statistics" : call.differentiates_statistics ? "sums" : "";
}

void GivenPart::bind(const KernelCall& call, std::span<const OptionalArray> inputs,
                     std::int64_t channel_axis, const kernel::CountedPositions* positions) {
    positions_ = positions;
    if (!is_given()) {
        return;
    }
    check_fits(call, inputs, channel_axis);
    if (part_->has_statistics()) {
        auto [mean, variance] = part_->statistics();
        values_ = std::move(mean);
        values_.insert(values_.end(), variance.begin(), variance.end());
    } else {
        values_ = part_->sums();
    }
}

void GivenPart::check_fits(const KernelCall& call, std::span<const OptionalArray> inputs,
                           std::int64_t channel_axis) const {
    const std::string name(given_reduction_name(call));
    const Array& input = *inputs[0];
    const kernel::Extents extents = kernel::extents_of(
        input.shape, axis_from_front(channel_axis, static_cast<std::int64_t>(input.shape.size())));
    if (part_->channels() != extents.channels) {
        throw std::invalid_argument(name + ": expected those of " + text(extents.channels) +
                                    " channels, as input has, got " + text(part_->channels()));
    }
    if (part_->has_statistics() && part_->count() == 0) {
        throw std::invalid_argument(name +
                                    ": expected those of at least one element per channel, got "
                                    "those of an empty batch");
    }
    const std::int64_t counted = kernel::counted_of(extents.elements_per_channel(), positions_);
    if (part_->count() < counted) {
        throw std::invalid_argument(
            name + ": expected those of a batch of which input is a part, with at least " +
            text(counted) + " elements per channel, got " + text(part_->count()));
    }
    if (!part_->has_statistics() &&
        !part_->is_about(*inputs[op::index_of(call.inputs, op::Role::mean)])) {
        throw std::invalid_argument(name +
                                    ": expected sums about the mean that is given here, got sums "
                                    "about another one");
    }
}

runtime::GivenReduction GivenPart::reduction() const {
    if (!is_given()) {
        return {.positions = positions_};
    }
    const auto* const first = reinterpret_cast<const std::byte*>(values_.data());
    const std::int64_t stride = sizeof(double);
    const kernel::ConstChannelVector left{first, stride};
    const kernel::ConstChannelVector right{first + part_->channels() * stride, stride};
    return part_->has_statistics()
               ? runtime::GivenReduction{.statistics = {left, right}, .positions = positions_}
               : runtime::GivenReduction{.sums = {left, right, static_cast<double>(part_->count())},
                                         .positions = positions_};
}

GivenPart given_part_from_python(const KernelCall& call, py::handle object) {
    if (!object || object.is_none()) {
        return {};
    }
    const bool takes_statistics = call.has_statistics();
    if (takes_statistics && is_instance<BatchStatistics>(object)) {
        return GivenPart(object.cast<const BatchStatistics&>().part);
    }
    if (!takes_statistics && is_instance<BackpropSums>(object)) {
        return GivenPart(object.cast<const BackpropSums&>().part);
    }
    throw py::type_error(std::string(given_reduction_name(call)) + ": expected a normgraph." +
                         (takes_statistics ? "BatchStatistics" : "BackpropSums") +
                         " or None, got " + describe(object));
}

}  // namespace normgraph::binding
