#include "normgraph/runtime/running_statistics.hpp"

#include <stdexcept>
#include <string>
#include <utility>

#include "normgraph/ir/text.hpp"
#include "normgraph/kernel/running_statistics.hpp"
#include "normgraph/runtime/kernel_arguments.hpp"

namespace normgraph::runtime {
namespace {

void check_vector(const std::string& name, const Array& array, const Array& first) {
    if (!array.element_type.is_real()) {
        throw std::invalid_argument(name + ": expected an array of f16, bf16, f32 or f64, got " +
                                    array.tensor_type().to_string());
    }
    if (array.shape.size() != 1) {
        throw std::invalid_argument(name + ": expected a vector, got an array of " +
                                    array.tensor_type().to_string());
    }
    if (array.shape[0] != first.shape[0]) {
        throw std::invalid_argument(
            name + ": expected " +
            format_count(static_cast<std::size_t>(first.shape[0]), "element") +
            ", as running[0] (mean) has, got " + std::to_string(array.shape[0]));
    }
}

void check_update(const RunningUpdate& update) {
    if (update.n < 1) {
        throw std::invalid_argument("n: expected an integer >= 1, got " + std::to_string(update.n));
    }
    if (update.unbiased && update.n == 1) {
        throw std::invalid_argument(
            "n: expected at least 2 where unbiased is True, since one element has no unbiased "
            "variance, got 1");
    }
    // Not (momentum < 0 || momentum > 1), which would let NaN pass.
    if (!(update.momentum >= 0.0 && update.momentum <= 1.0)) {
        throw std::invalid_argument("momentum: expected a number from 0 to 1, got " +
                                    format_number(update.momentum));
    }
}

void update_average(const Array& running, const Array& batch, double momentum, double correction,
                    const Array& result) {
    kernel::update_running_average({
        .channels = running.shape[0],
        .running_type = kernel_type(running.element_type),
        .batch_type = kernel_type(batch.element_type),
        .running = const_channel_vector(running),
        .batch = const_channel_vector(batch),
        .momentum = momentum,
        .correction = correction,
        .result = channel_vector(result),
    });
}

}  // namespace

void check_running_statistics(const ChannelStatistics& running, const ChannelStatistics& batch,
                              const RunningUpdate& update) {
    check_vector("running[0] (mean)", running.mean, running.mean);
    check_vector("running[1] (variance)", running.variance, running.mean);
    check_vector("batch[0] (mean)", batch.mean, running.mean);
    check_vector("batch[1] (variance)", batch.variance, running.mean);
    check_update(update);
}

void update_running_statistics(const ChannelStatistics& running, const ChannelStatistics& batch,
                               const RunningUpdate& update, const ChannelStatistics& result) {
    const double correction = update.unbiased ? kernel::unbiased_correction(update.n) : 1.0;
    update_average(running.mean, batch.mean, update.momentum, 1.0, result.mean);
    update_average(running.variance, batch.variance, update.momentum, correction, result.variance);
}

}  // namespace normgraph::runtime
