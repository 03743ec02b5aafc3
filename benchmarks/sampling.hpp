#pragma once

#include <functional>
#include <vector>

#include "tensor_sets.hpp"

/// Times works that are to be compared in turns, so that whatever disturbs the machine meets all.
namespace normgraph::measurement {

using Work = std::function<void(const TensorSet&)>;

struct Timing {
    double median_seconds;
    long page_faults;  ///< inside of the timed stretches; 0 is as it should be
};

struct SamplingPlan {
    bool cold;       ///< take the sets in turn; otherwise repeat on the first
    double seconds;  ///< take samples until this much time has passed …
    int at_least;    ///< … and there are this many of each work
};

/// One Timing per work, in order.
std::vector<Timing> sample(const std::vector<Work>& works, const std::vector<TensorSet>& sets,
                           const SamplingPlan& plan);

}  // namespace normgraph::measurement
