// Memory traffic: reduce reads input and normalized_delta once; apply reads normalized_delta again,
// from a cache where a group of channels fits one, and writes input_delta once.

#include "normgraph/kernel/simd/backprop.hpp"
#include "normgraph/kernel/simd/kernels.hpp"

namespace normgraph::kernel::simd {

void batch_norm_inference_backprop(const MicroKernelTable& table,
                                   const BatchNormInferenceBackpropArguments& arguments,
                                   std::int64_t num_threads) {
    const std::array sources{arguments.input, arguments.normalized_delta};
    Traversal traversal(arguments.problem, {sources, arguments.input_delta});
    traversal.set_reduce_sources(std::array<std::size_t, 2>{0, 1});
    traversal.set_apply_sources(std::array<std::size_t, 1>{1});
    const MicroKernels& kernels = table[arguments.problem.data_type];
    with_data_type(arguments.problem.data_type, [&]<typename Data>() {
        using Op = Backprop<Data, BatchNormInferenceBackpropArguments,
                            FrozenBackpropCoefficients<arithmetic_t<Data>>>;
        run(Op(kernels.deltas, kernels.frozen_input_delta, arguments, traversal), traversal,
            num_threads);
    });
}

}  // namespace normgraph::kernel::simd
