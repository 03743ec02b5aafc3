#pragma once

#include "normgraph/kernel/coefficients.hpp"
#include "normgraph/kernel/reference/view.hpp"
#include "normgraph/kernel/threads/interruption.hpp"

/// The forward pass's apply phase, with the batch's statistics or with given ones.
namespace normgraph::kernel::reference {

/// Writes one channel's `normalized`; both addresses are those of the channel's first element.
/// Tensor 0 of the view is the input, tensor 1 the output.
template <typename Data>
void normalize(const View& view, const std::byte* input, std::byte* normalized,
               const ForwardCoefficients<arithmetic_t<Data>>& coefficients) {
    ViewCursor place(view.elements);
    for (std::int64_t element = 0; element < view.elements_per_channel(); ++element) {
        stop_if_interrupted(element);
        const auto value = load<Data>(input + place.offset(0));
        store<Data>(normalized + place.offset(1), coefficients(value));
        place.advance();
    }
}

}  // namespace normgraph::kernel::reference
