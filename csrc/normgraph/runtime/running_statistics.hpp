#pragma once

#include <cstdint>

#include "normgraph/runtime/array.hpp"

/// Running averages of the statistics, kept in arrays.
namespace normgraph::runtime {

/// A mean and a variance per channel.
struct ChannelStatistics {
    Array mean, variance;
};

/// How much the statistics of one batch count.
struct RunningUpdate {
    std::int64_t n;   ///< elements per channel of the batch
    double momentum;  ///< the weight of the new value
    bool unbiased;    ///< whether the batch's variance is multiplied by n/(n − 1)
};

/// Throws std::invalid_argument, which begins with the name of the argument ("batch[1] (variance)",
/// "momentum"), unless all arrays are real vectors of one length, n >= 1 (n >= 2 where unbiased),
/// and momentum lies in [0, 1].
void check_running_statistics(const ChannelStatistics& running, const ChannelStatistics& batch,
                              const RunningUpdate& update);

/// result = (1 − momentum)·running + momentum·batch, in double, rounded once to running's types, on
/// what `check_running_statistics` and `check_output` have accepted. The result may be exactly the
/// running statistics.
void update_running_statistics(const ChannelStatistics& running, const ChannelStatistics& batch,
                               const RunningUpdate& update, const ChannelStatistics& result);

}  // namespace normgraph::runtime
