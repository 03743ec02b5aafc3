// Memory traffic: reads input and normalized_delta once.

#include <array>

#include "normgraph/kernel/channel.hpp"
#include "normgraph/kernel/kernels.hpp"
#include "normgraph/kernel/simd/phases/reductions.hpp"
#include "normgraph/kernel/simd/phases/run.hpp"

namespace normgraph::kernel::simd {
namespace {

template <typename Data>
class LeafDeltas {
public:
    using Element = Data;
    using Arithmetic = arithmetic_t<Data>;
    static constexpr std::size_t coefficient_count = 0;

    LeafDeltas(const MicroKernelTable& table, const BatchNormBackpropSumsArguments& arguments)
        : kernels_(table[arguments.problem.data_type]), arguments_(arguments) {}

    static int pass_count() { return 1; }
    Reduction reduction(int /*pass*/) const {
        return sums_of_deltas(kernels_, arguments_.mask.address != nullptr);
    }
    void begin_group(const ChannelRange& channels, const GroupValues& group) const {
        set_shifts_to_means<Data>(channels, arguments_.mean, arguments_.problem.statistics_type,
                                  group);
    }
    double* leaves() const { return arguments_.leaves; }

private:
    const MicroKernels& kernels_;
    const BatchNormBackpropSumsArguments& arguments_;
};

}  // namespace

void run_kernel(const MicroKernelTable& table, const BatchNormBackpropSumsArguments& arguments,
                std::int64_t num_threads) {
    const std::array sources{arguments.input, arguments.normalized_delta};
    const TensorList tensors{sources, {}};
    Traversals traversals(arguments.problem, tensors);
    traversals.set_reduce_sources(std::array<std::size_t, 2>{0, 1});
    if (traversals.reduce().elements_per_channel() == 0) {
        return;
    }
    traversals.set_positions(arguments.positions, false);
    if (arguments.mask.address != nullptr) {
        // Not written through: it is read.
        traversals.set_mask(const_cast<std::byte*>(arguments.mask.address), false, num_threads);
    }
    with_data_type(arguments.problem.data_type, [&]<typename Data>() {
        run(LeafDeltas<Data>(table, arguments), traversals, num_threads);
    });
}

}  // namespace normgraph::kernel::simd
