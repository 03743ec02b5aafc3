#include "normgraph/kernel/running_statistics.hpp"

#include <bit>
#include <cmath>
#include <limits>

#include "normgraph/kernel/threads/floating_point_environment.hpp"

namespace normgraph::kernel {
namespace {

/// Returns, of the two floats around a value that is none, the one whose last bit is 1. Rounded to
/// 16 bits it gives what the value itself would give: it lies on the same side of every tie.
float rounded_to_odd(double value) {
    const auto nearest = static_cast<float>(value);
    const bool is_odd = (std::bit_cast<std::uint32_t>(nearest) & 1U) != 0;
    const auto back = static_cast<double>(nearest);
    if (is_odd || back == value || std::isnan(value)) {
        return nearest;
    }
    constexpr float infinity = std::numeric_limits<float>::infinity();
    return std::nextafter(nearest, back < value ? infinity : -infinity);
}

void store_rounded_once(ElementType type, std::byte* address, double value) {
    const bool has_16_bits = size_of(type) == 2;
    store_from_double(type, address,
                      has_16_bits ? static_cast<double>(rounded_to_odd(value)) : value);
}

}  // namespace

void update_running_average(const RunningAverageArguments& arguments) {
    const DefaultFloatingPointEnvironment environment;
    const auto& [channels, running_type, batch_type, running, batch, momentum, correction, result] =
        arguments;
    for (std::int64_t channel = 0; channel < channels; ++channel) {
        const double old_value =
            load_as_double(running_type, running.address + channel * running.stride);
        const double new_value =
            correction * load_as_double(batch_type, batch.address + channel * batch.stride);
        store_rounded_once(running_type, result.address + channel * result.stride,
                           (1.0 - momentum) * old_value + momentum * new_value);
    }
}

}  // namespace normgraph::kernel
