#include "normgraph/kernel/running_statistics.hpp"

#include <cstdint>

#include "normgraph/kernel/storage_type.hpp"
#include "normgraph/kernel/threads/floating_point_environment.hpp"

namespace normgraph::kernel {

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
