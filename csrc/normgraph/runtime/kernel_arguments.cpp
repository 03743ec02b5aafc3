#include "normgraph/runtime/kernel_arguments.hpp"

namespace normgraph::runtime {

kernel::ElementType kernel_type(element::Type type) {
    switch (type.kind()) {
        case element::Type::Kind::f16:
            return kernel::ElementType::f16;
        case element::Type::Kind::bf16:
            return kernel::ElementType::bf16;
        case element::Type::Kind::f32:
            return kernel::ElementType::f32;
        default:
            return kernel::ElementType::f64;
    }
}

kernel::StorageType storage_type(element::Type type) {
    switch (type.kind()) {
        case element::Type::Kind::i8:
            return kernel::StorageType::i8;
        case element::Type::Kind::i16:
            return kernel::StorageType::i16;
        case element::Type::Kind::i32:
            return kernel::StorageType::i32;
        case element::Type::Kind::i64:
            return kernel::StorageType::i64;
        case element::Type::Kind::u8:
            return kernel::StorageType::u8;
        case element::Type::Kind::u16:
            return kernel::StorageType::u16;
        case element::Type::Kind::u32:
            return kernel::StorageType::u32;
        case element::Type::Kind::u64:
            return kernel::StorageType::u64;
        case element::Type::Kind::boolean:
            return kernel::StorageType::boolean;
        default:
            return kernel::storage_type(kernel_type(type));
    }
}

kernel::ConstTensor const_tensor(const OptionalArray& array) {
    return array ? kernel::ConstTensor{array->address, array->strides} : kernel::ConstTensor{};
}

kernel::Tensor tensor(const OptionalArray& array) {
    return array ? kernel::Tensor{array->address, array->strides} : kernel::Tensor{};
}

kernel::ConstChannelVector const_channel_vector(const OptionalArray& array) {
    return array ? kernel::ConstChannelVector{array->address, array->strides[0]}
                 : kernel::ConstChannelVector{};
}

kernel::ChannelVector channel_vector(const OptionalArray& array) {
    return array ? kernel::ChannelVector{array->address, array->strides[0]}
                 : kernel::ChannelVector{};
}

kernel::ReluMask relu_mask(const char* name, const OptionalArray& array) {
    if (!array) {
        return {};
    }
    check_contiguous(name, *array);
    return {array->address};
}

}  // namespace normgraph::runtime
