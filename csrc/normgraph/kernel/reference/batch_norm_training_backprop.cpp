// Memory traffic: reduce reads input and normalized_delta once; apply reads both again and writes
// input_delta once. One channel at a time.

#include "normgraph/kernel/coefficients.hpp"
#include "normgraph/kernel/reference/backprop.hpp"
#include "normgraph/kernel/reference/kernels.hpp"

namespace normgraph::kernel::reference {

void batch_norm_training_backprop(const BatchNormTrainingBackpropArguments& arguments,
                                  ChannelRange range) {
    run_channels(arguments, range, []<typename Arithmetic>(const BackpropValues& channel) {
        return BackpropCoefficients<Arithmetic>(channel);
    });
}

}  // namespace normgraph::kernel::reference
