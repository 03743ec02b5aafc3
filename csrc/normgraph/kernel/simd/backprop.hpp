#pragma once

#include <array>

#include "normgraph/kernel/channel.hpp"
#include "normgraph/kernel/coefficients.hpp"
#include "normgraph/kernel/simd/phases/run.hpp"

/// The backward pass, whether the statistics are the batch's or constants: both have the same sums,
/// and differ in the formula of one element of input_delta.
namespace normgraph::kernel::simd {

/// `Formula`: the coefficients of one channel's input_delta, made from BackpropValues.
template <typename Data, typename Arguments, typename Formula>
class Backprop {
public:
    using Arithmetic = arithmetic_t<Data>;
    static constexpr std::size_t coefficient_count = sizeof(Formula) / sizeof(Arithmetic);

    Backprop(const RowsAndColumns<Reduce>& reduction, const RowsAndColumns<Apply>& application,
             const Arguments& arguments, const Traversal& traversal)
        : reduction_(reduction),
          application_(application),
          arguments_(arguments),
          count_(traversal.elements_per_channel()) {}

    static int pass_count() { return 1; }
    RowsAndColumns<Reduce> reduction() const { return reduction_; }
    bool applies() const { return count_ > 0 && arguments_.input_delta.address != nullptr; }
    RowsAndColumns<Apply> application() const { return application_; }

    void begin_group(const ChannelRange& channels, const GroupValues& group) const {
        for (std::int64_t index = 0; index < group.channels; ++index) {
            group.set_center(index, value(arguments_.mean, channels.begin + index, 0.0));
        }
    }

    void finish_pass(int /*pass*/, const ChannelRange& channels, const GroupValues& group) const {
        const ElementType type = arguments_.problem.channel_type;
        const double epsilon = arguments_.problem.epsilon;
        for (std::int64_t index = 0; index < group.channels; ++index) {
            const std::int64_t channel = channels.begin + index;
            const double delta_sum = group.sum(0, index);
            const double variance = value(arguments_.variance, channel, 0.0);
            // Of an empty batch the sum is 0, whatever the variance.
            const double gamma_delta =
                count_ == 0 ? 0.0
                            : group.sum(1, index) * inverse_standard_deviation(variance, epsilon);
            set_channel_value(arguments_.gamma_delta, type, channel, gamma_delta);
            set_channel_value(arguments_.beta_delta, type, channel, delta_sum);
            if (applies()) {
                group.template set_coefficients<Arithmetic>(
                    index, Formula(BackpropValues{value(arguments_.gamma, channel, 1.0),
                                                  group.centers[index], variance, epsilon,
                                                  gamma_delta, delta_sum, count_}));
            }
        }
    }

private:
    double value(const ConstChannelVector& vector, std::int64_t channel, double otherwise) const {
        return channel_value(vector, arguments_.problem.channel_type, channel, otherwise);
    }

    RowsAndColumns<Reduce> reduction_;
    RowsAndColumns<Apply> application_;
    const Arguments& arguments_;
    std::int64_t count_;
};

}  // namespace normgraph::kernel::simd
