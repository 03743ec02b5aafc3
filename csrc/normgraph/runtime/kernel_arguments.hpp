#pragma once

#include "normgraph/kernel/contract.hpp"
#include "normgraph/kernel/storage_type.hpp"
#include "normgraph/runtime/kernel_call.hpp"

/// Arrays in the kernels' terms.
namespace normgraph::runtime {

/// Of a real type.
kernel::ElementType kernel_type(element::Type type);

/// Of a static type.
kernel::StorageType storage_type(element::Type type);

kernel::ConstTensor const_tensor(const OptionalArray& array);
kernel::Tensor tensor(const OptionalArray& array);
kernel::ConstChannelVector const_channel_vector(const OptionalArray& array);
kernel::ChannelVector channel_vector(const OptionalArray& array);

/// Throws std::invalid_argument, which begins with `name`, unless the bytes lie one after the
/// other.
kernel::ReluMask relu_mask(const char* name, const OptionalArray& array);

}  // namespace normgraph::runtime
