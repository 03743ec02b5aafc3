#pragma once

#include <cstdint>

#include "normgraph/kernel/contract.hpp"

/// Access to single channels.
namespace normgraph::kernel {

/// The vector's element as a double, or `otherwise` where the vector is absent.
inline double channel_value(const ConstChannelVector& vector, ElementType type,
                            std::int64_t channel, double otherwise) {
    return vector.address == nullptr
               ? otherwise
               : load_as_double(type, vector.address + channel * vector.stride);
}

/// Does nothing where the vector is absent.
inline void set_channel_value(const ChannelVector& vector, ElementType type, std::int64_t channel,
                              double value) {
    if (vector.address != nullptr) {
        store_from_double(type, vector.address + channel * vector.stride, value);
    }
}

}  // namespace normgraph::kernel
