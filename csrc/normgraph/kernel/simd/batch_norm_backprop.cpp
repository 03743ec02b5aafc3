// Memory traffic: reduce reads input and normalized_delta once; apply reads both again (input only
// with the statistics of the batch), from a cache where a group of channels fits one, and writes
// input_delta once.

#include <array>

#include "normgraph/kernel/center.hpp"
#include "normgraph/kernel/channel.hpp"
#include "normgraph/kernel/coefficients.hpp"
#include "normgraph/kernel/counted_positions.hpp"
#include "normgraph/kernel/kernels.hpp"
#include "normgraph/kernel/simd/phases/reductions.hpp"
#include "normgraph/kernel/simd/phases/run.hpp"

namespace normgraph::kernel::simd {
namespace {

/// The kernels of one formula: where all units are 1, and for any; and where positions do not
/// count.
struct Application {
    RowsAndColumns<Apply> plain, scaled;
    UncountedApplication uncounted{};
};

/// The elements of a channel that enter the statistics: of the whole batch, where its sums are
/// given.
double summed_elements(const BatchNormBackpropArguments& arguments, std::int64_t elements) {
    if (arguments.sums.are_given()) {
        return arguments.sums.count;
    }
    return static_cast<double>(counted_of(elements, arguments.positions));
}

/// `Formula`: the coefficients of one channel's input_delta, made from BackpropValues.
template <typename Data, typename Formula>
class Backprop {
public:
    using Element = Data;
    using Arithmetic = arithmetic_t<Data>;
    static constexpr std::size_t coefficient_count = sizeof(Formula) / sizeof(Arithmetic);

    Backprop(const Reduction& reduction, const Application& application,
             const ChannelKernels& channel_kernels, const BatchNormBackpropArguments& arguments,
             const Traversals& traversals)
        : reduction_(reduction),
          application_(application),
          channel_kernels_(channel_kernels),
          arguments_(arguments),
          elements_(traversals.reduce().elements_per_channel()),
          count_(summed_elements(arguments, elements_)) {}

    int pass_count() const { return arguments_.sums.are_given() ? 0 : 1; }
    Reduction reduction(int /*pass*/) const { return reduction_; }
    bool applies() const { return elements_ > 0 && arguments_.input_delta.address != nullptr; }
    RowsAndColumns<Apply> application(const GroupValues& group) const {
        if constexpr (requires { Formula::unit; }) {
            constexpr std::size_t unit = coefficient_count - 1;
            return group.template is_all_ones<Arithmetic>(unit) ? application_.plain
                                                                : application_.scaled;
        } else {
            return application_.plain;
        }
    }

    UncountedApplication uncounted_application() const { return application_.uncounted; }

    void begin_group(const ChannelRange& channels, const GroupValues& group) const {
        if (arguments_.sums.are_given()) {
            return set_given_sums(channels, group);
        }
        set_shifts_to_means<Data>(channels, arguments_.mean, arguments_.problem.statistics_type,
                                  group);
    }

    void finish_pass(int /*pass*/, const ChannelRange& channels, const GroupValues& group) const {
        for_channel_arrays(group.channels, [&](std::int64_t first, std::int64_t count) {
            finish_channels(channels.begin + first, first, count, group);
        });
    }

private:
    void set_given_sums(const ChannelRange& channels, const GroupValues& group) const {
        const std::array sums{&arguments_.sums.beta_delta, &arguments_.sums.gmul_delta};
        static_assert(sums.size() == sums_per_channel);
        for (std::size_t which = 0; which < sums.size(); ++which) {
            double* const values = group.node + static_cast<std::int64_t>(which) * group.stride;
            for (std::int64_t index = 0; index < group.channels; ++index) {
                values[index] =
                    channel_value(*sums[which], ElementType::f64, channels.begin + index, 0.0);
            }
        }
        finish_pass(0, channels, group);
    }

    void finish_channels(std::int64_t first, std::int64_t index, std::int64_t count,
                         const GroupValues& group) const {
        const Problem& problem = arguments_.problem;
        ChannelArray inverse, gamma_delta, beta_delta;
        for (std::int64_t channel = 0; channel < count; ++channel) {
            inverse[channel] =
                channel_value(arguments_.variance, problem.statistics_type, first + channel, 0.0);
        }
        channel_kernels_.inverse_deviations(inverse.filled(count), count, problem.epsilon);
        for (std::int64_t channel = 0; channel < count; ++channel) {
            inverse[channel] = usable_inverse(arguments_.statistics, inverse[channel]);
            gamma_delta[channel] = gamma_delta_of(products(first + channel, index + channel, group),
                                                  inverse[channel], count_);
            beta_delta[channel] = group.value(0, index + channel);
            set_channel_value(arguments_.gamma_delta, problem.affine_type, first + channel,
                              gamma_delta[channel]);
            set_channel_value(arguments_.beta_delta, problem.affine_type, first + channel,
                              beta_delta[channel]);
        }
        if (!applies()) {
            return;
        }
        channel_kernels_.divide(gamma_delta.filled(count), count, count_);
        channel_kernels_.divide(beta_delta.filled(count), count, count_);
        for (std::int64_t channel = 0; channel < count; ++channel) {
            const double gamma =
                channel_value(arguments_.gamma, problem.affine_type, first + channel, 1.0);
            group.template set_coefficients<Arithmetic>(
                index + channel,
                Formula(BackpropValues{gamma, mean(first + channel), inverse[channel],
                                       gamma_delta[channel], beta_delta[channel]}));
        }
    }

    double products(std::int64_t channel, std::int64_t index, const GroupValues& group) const {
        const double sum = group.value(1, index);
        return arguments_.sums.are_given()
                   ? sum
                   : products_about<Data>(mean(channel), sum, group.value(0, index));
    }

    double mean(std::int64_t channel) const {
        return channel_value(arguments_.mean, arguments_.problem.statistics_type, channel, 0.0);
    }

    Reduction reduction_;
    Application application_;
    ChannelKernels channel_kernels_;
    const BatchNormBackpropArguments& arguments_;
    std::int64_t elements_;  ///< of a channel
    double count_;           ///< see summed_elements
};

/// The product of the gradient and BackpropCoefficients::scale, which is the only coefficient where
/// statistics do not depend on the input.
UncountedApplication scale_of_gradient(const MicroKernels& kernels,
                                       const RowsAndColumns<Apply>& select) {
    constexpr std::int64_t scale = 1;
    return {select, kernels.frozen_input_delta, scale};
}

/// input_delta of given statistics does not depend on the input.
void set_apply_sources(Traversals& traversals, Statistics statistics) {
    if (statistics == Statistics::of_batch) {
        traversals.set_apply_sources(std::array<std::size_t, 2>{0, 1});
    } else {
        traversals.set_apply_sources(std::array<std::size_t, 1>{1});
    }
}

}  // namespace

void run_kernel(const MicroKernelTable& table, const BatchNormBackpropArguments& arguments,
                std::int64_t num_threads) {
    const std::array sources{arguments.input, arguments.normalized_delta};
    const bool is_masked = arguments.mask.address != nullptr;
    const TensorList tensors{sources, arguments.input_delta};
    Traversals traversals(arguments.problem, tensors);
    if (!arguments.sums.are_given()) {
        traversals.set_reduce_sources(std::array<std::size_t, 2>{0, 1});
    }
    set_apply_sources(traversals, arguments.statistics);
    traversals.set_positions(arguments.positions, true);
    if (is_masked) {
        // Not written through: it is read.
        traversals.set_mask(const_cast<std::byte*>(arguments.mask.address), false, num_threads);
    }
    const MicroKernels& kernels = table[arguments.problem.data_type];
    with_data_type(arguments.problem.data_type, [&]<typename Data>() {
        using OfBatch = Backprop<Data, BackpropCoefficients<arithmetic_t<Data>>>;
        using Given = Backprop<Data, FrozenBackpropCoefficients<arithmetic_t<Data>>>;
        if (arguments.statistics == Statistics::given) {
            run(Given(sums_of_deltas(kernels, false), {kernels.frozen_input_delta, {}},
                      table.channels, arguments, traversals),
                traversals, num_threads);
        } else if (is_masked) {
            run(OfBatch(sums_of_deltas(kernels, true),
                        {kernels.relu_input_delta, kernels.scaled_relu_input_delta,
                         scale_of_gradient(kernels, kernels.select)},
                        table.channels, arguments, traversals),
                traversals, num_threads);
        } else {
            run(OfBatch(sums_of_deltas(kernels, false),
                        {kernels.input_delta, kernels.scaled_input_delta,
                         scale_of_gradient(kernels, {})},
                        table.channels, arguments, traversals),
                traversals, num_threads);
        }
    });
}

}  // namespace normgraph::kernel::simd
