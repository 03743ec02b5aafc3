// Memory traffic: reads input once.

#include <array>

#include "normgraph/kernel/kernels.hpp"
#include "normgraph/kernel/simd/phases/reductions.hpp"
#include "normgraph/kernel/simd/phases/run.hpp"

namespace normgraph::kernel::simd {
namespace {

template <typename Data>
class LeafStatistics {
public:
    using Element = Data;
    using Arithmetic = arithmetic_t<Data>;
    static constexpr std::size_t coefficient_count = 0;

    LeafStatistics(const MicroKernelTable& table, const BatchNormStatisticsArguments& arguments)
        : table_(table), arguments_(arguments) {}

    static int pass_count() { return 1; }
    Reduction reduction(int /*pass*/) const {
        const ElementType type = arguments_.problem.data_type;
        return arguments_.center == nullptr ? moments_of_blocks(table_, type)
                                            : sums_about_shifts(table_[type]);
    }
    void begin_group(const ChannelRange& channels, const GroupValues& group) const {
        for (std::int64_t index = 0; arguments_.center != nullptr && index < group.channels;
             ++index) {
            group.template set_shift<Data>(index, arguments_.center[channels.begin + index]);
        }
    }
    double* leaves() const { return arguments_.leaves; }

private:
    const MicroKernelTable& table_;
    const BatchNormStatisticsArguments& arguments_;
};

}  // namespace

void run_kernel(const MicroKernelTable& table, const BatchNormStatisticsArguments& arguments,
                std::int64_t num_threads) {
    const std::array sources{arguments.input};
    const TensorList tensors{sources, {}};
    Traversals traversals(arguments.problem, tensors);
    traversals.set_reduce_sources(std::array<std::size_t, 1>{0});
    if (traversals.reduce().elements_per_channel() == 0) {
        return;
    }
    traversals.set_positions(arguments.positions, false);
    with_data_type(arguments.problem.data_type, [&]<typename Data>() {
        run(LeafStatistics<Data>(table, arguments), traversals, num_threads);
    });
}

}  // namespace normgraph::kernel::simd
