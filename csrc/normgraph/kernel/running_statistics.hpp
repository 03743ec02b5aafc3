#pragma once

#include <cstdint>

#include "normgraph/kernel/contract.hpp"

/// The running averages of the statistics, which inference is given.
namespace normgraph::kernel {

/// result = (1 − momentum)·running + momentum·(correction·batch), channel by channel, in double and
/// rounded once. No vector is absent; result may be exactly running or batch, and overlaps neither
/// otherwise.
struct RunningAverageArguments {
    std::int64_t channels;
    ElementType running_type;  ///< of running and of result
    ElementType batch_type;
    ConstChannelVector running, batch;
    double momentum;    ///< the weight of the new value
    double correction;  ///< 1, or what makes the variance of a batch unbiased
    ChannelVector result;
};

void update_running_average(const RunningAverageArguments& arguments);

/// n/(n − 1), which makes the biased variance of n >= 2 elements unbiased.
inline double unbiased_correction(std::int64_t n) {
    return static_cast<double>(n) / static_cast<double>(n - 1);
}

}  // namespace normgraph::kernel
