// Memory traffic: reads input and residual once, and writes normalized once.

#include "normgraph/kernel/channel.hpp"
#include "normgraph/kernel/kernels.hpp"
#include "normgraph/kernel/reference/normalize.hpp"
#include "normgraph/kernel/reference/relu.hpp"

namespace normgraph::kernel::reference {

void run_kernel(const BatchNormInferenceArguments& arguments, ChannelRange range) {
    const Problem& problem = arguments.problem;
    const ElementType affine = problem.affine_type;
    const ElementType statistics = problem.statistics_type;
    const View view = make_view(problem, {arguments.input.strides, arguments.normalized.strides,
                                          arguments.residual.strides});
    if (view.elements_per_channel() == 0) {
        return;
    }
    with_data_type(problem.data_type, [&]<typename Data>() {
        for (std::int64_t channel = range.begin; channel < range.end; ++channel) {
            const ForwardCoefficients<arithmetic_t<Data>> coefficients(
                channel_value(arguments.gamma, affine, channel, 1.0),
                channel_value(arguments.beta, affine, channel, 0.0),
                channel_value(arguments.mean, statistics, channel, 0.0),
                inverse_standard_deviation(
                    Statistics::given, channel_value(arguments.variance, statistics, channel, 0.0),
                    problem.epsilon));
            const ReluChannel tensors(view, channel, arguments.input, arguments.normalized,
                                      arguments.residual);
            if (arguments.applies_relu) {
                normalize_with_relu<Data>(problem, view, channel, tensors, coefficients,
                                          arguments.upper_bound, nullptr);
            } else {
                normalize<Data>(view, tensors.input, tensors.activation, coefficients);
            }
        }
    });
}

}  // namespace normgraph::kernel::reference
