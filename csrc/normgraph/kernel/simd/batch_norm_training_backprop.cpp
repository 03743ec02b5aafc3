// Memory traffic: reduce reads input and normalized_delta once; apply reads both again, from a
// cache where a group of channels fits one, and writes input_delta once.

#include "normgraph/kernel/simd/backprop.hpp"
#include "normgraph/kernel/simd/kernels.hpp"

namespace normgraph::kernel::simd {

void batch_norm_training_backprop(const MicroKernelTable& table,
                                  const BatchNormTrainingBackpropArguments& arguments,
                                  std::int64_t num_threads) {
    const std::array sources{arguments.input, arguments.normalized_delta};
    Traversal traversal(arguments.problem, {sources, arguments.input_delta});
    traversal.set_reduce_sources(std::array<std::size_t, 2>{0, 1});
    traversal.set_apply_sources(std::array<std::size_t, 2>{0, 1});
    const bool is_masked = arguments.mask.address != nullptr;
    if (is_masked) {
        // Not written through: it is read.
        traversal.set_mask(const_cast<std::byte*>(arguments.mask.address), arguments.problem,
                           false);
    }
    const MicroKernels& kernels = table[arguments.problem.data_type];
    with_data_type(arguments.problem.data_type, [&]<typename Data>() {
        using Op = Backprop<Data, BatchNormTrainingBackpropArguments,
                            BackpropCoefficients<arithmetic_t<Data>>>;
        run(Op(is_masked ? kernels.relu_deltas : kernels.deltas,
               is_masked ? kernels.relu_input_delta : kernels.input_delta, arguments, traversal),
            traversal, num_threads);
    });
}

}  // namespace normgraph::kernel::simd
