#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "normgraph/kernel/channel.hpp"
#include "normgraph/kernel/coefficients.hpp"
#include "normgraph/kernel/contract.hpp"
#include "normgraph/kernel/relu_bound.hpp"
#include "normgraph/kernel/simd/micro_kernels/contract.hpp"
#include "normgraph/kernel/simd/phases/group_values.hpp"

/// What the forward passes, of training and of inference, apply to elements, and the coefficients
/// of channels that this takes.
namespace normgraph::kernel::simd {

/// What is written of the normalized data, and how.
struct ForwardForm {
    bool applies_relu = false, writes_mask = false, adds_residual = false, has_upper_bound = false;

    template <typename Arguments>
    explicit ForwardForm(const Arguments& arguments)
        : applies_relu(arguments.applies_relu),
          adds_residual(arguments.residual.address != nullptr),
          has_upper_bound(!std::isnan(arguments.upper_bound)) {
        if constexpr (requires { arguments.mask; }) {
            writes_mask = arguments.mask.address != nullptr;
        }
    }

    /// The tensors that are applied: input, and residual if there is one.
    std::size_t source_count() const { return adds_residual ? 2 : 1; }

    /// Whether the micro-kernel takes a bound, if only no_upper_bound, which nothing reaches: plain
    /// ReLU has a kernel without one, since it has a mask in almost every call.
    bool takes_bound() const {
        return applies_relu && (adds_residual || has_upper_bound || !writes_mask);
    }

    RowsAndColumns<Apply> kernel(const MicroKernels& kernels) const {
        if (!applies_relu) {
            return kernels.normalize;
        }
        if (!takes_bound()) {
            return kernels.normalize_relu;
        }
        if (adds_residual) {
            return writes_mask ? kernels.normalize_add_relu_to_bound
                               : kernels.unmasked_normalize_add_relu_to_bound;
        }
        return writes_mask ? kernels.normalize_relu_to_bound
                           : kernels.unmasked_normalize_relu_to_bound;
    }
};

/// Of a channel behind which a ReLU with an upper bound stands.
template <typename Arithmetic>
struct BoundedCoefficients : ForwardCoefficients<Arithmetic> {
    Arithmetic upper_bound;
};

/// One channel's coefficients, with a bound or without.
template <typename Data, bool takes_bound>
struct ForwardChannels {
    using Arithmetic = arithmetic_t<Data>;
    using Coefficients = std::conditional_t<takes_bound, BoundedCoefficients<Arithmetic>,
                                            ForwardCoefficients<Arithmetic>>;
    static constexpr std::size_t coefficient_count = sizeof(Coefficients) / sizeof(Arithmetic);

    /// Sets the coefficients of `count` channels, which are `first` of the problem and `index` of
    /// the group. `variance` is overwritten.
    template <typename Arguments>
    static void set(const Arguments& arguments, Statistics statistics,
                    const ChannelKernels& channel_kernels, std::int64_t first, std::int64_t index,
                    std::int64_t count, const ChannelArray& mean, ChannelArray& variance,
                    const GroupValues& group) {
        const ElementType affine = arguments.problem.affine_type;
        const Arithmetic bound =
            takes_bound ? smallest_stored_as_bound<Data>(arguments.upper_bound) : Arithmetic{0};
        ChannelArray& inverse = variance;
        channel_kernels.inverse_deviations(inverse.filled(count), count, arguments.problem.epsilon);
        for (std::int64_t channel = 0; channel < count; ++channel) {
            const ForwardCoefficients<Arithmetic> coefficients(
                channel_value(arguments.gamma, affine, first + channel, 1.0),
                channel_value(arguments.beta, affine, first + channel, 0.0), mean[channel],
                usable_inverse(statistics, inverse[channel]));
            group.template set_coefficients<Arithmetic>(index + channel,
                                                        with_bound(coefficients, bound));
        }
    }

private:
    static Coefficients with_bound(const ForwardCoefficients<Arithmetic>& coefficients,
                                   [[maybe_unused]] Arithmetic bound) {
        if constexpr (takes_bound) {
            return {coefficients, bound};
        } else {
            return coefficients;
        }
    }
};

}  // namespace normgraph::kernel::simd
