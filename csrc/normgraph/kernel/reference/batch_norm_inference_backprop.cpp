// Memory traffic: reduce reads input and normalized_delta once; apply reads both again (input for
// nothing) and writes input_delta once. One channel at a time.

#include "normgraph/kernel/coefficients.hpp"
#include "normgraph/kernel/reference/backprop.hpp"
#include "normgraph/kernel/reference/kernels.hpp"

namespace normgraph::kernel::reference {

void batch_norm_inference_backprop(const BatchNormInferenceBackpropArguments& arguments,
                                   ChannelRange range) {
    run_channels(arguments, range, []<typename Arithmetic>(const BackpropValues& channel) {
        const FrozenBackpropCoefficients<Arithmetic> input_delta(channel);
        return [input_delta](Arithmetic /*input*/, Arithmetic normalized_delta) {
            return input_delta(normalized_delta);
        };
    });
}

}  // namespace normgraph::kernel::reference
