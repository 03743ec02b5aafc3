#include "binding/jax/call_frame.hpp"

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>

namespace normgraph::binding::jax {
namespace {

/// Whether the frame is XLA's question about the handler, which is answered then.
bool answer_question(const ffi::CallFrame& frame) {
    for (ffi::Extension* extension = frame.extensions; extension != nullptr;
         extension = extension->next) {
        if (extension->type == ffi::ExtensionType::metadata) {
            ffi::Metadata& metadata =
                *reinterpret_cast<ffi::MetadataExtension*>(extension)->metadata;
            metadata.api_version = {sizeof(ffi::ApiVersion), nullptr, ffi::major_version,
                                    ffi::minor_version};
            metadata.traits = 0;
            return true;
        }
    }
    return false;
}

ffi::Error* new_error(const ffi::CallFrame& frame, ffi::ErrorCode code, const char* message) {
    ffi::ErrorArguments arguments{sizeof(ffi::ErrorArguments), nullptr, message, code};
    return frame.api->create_error(&arguments);
}

void check_size(const char* what, std::size_t size, std::size_t expected) {
    if (size < expected) {
        throw std::runtime_error(std::string("XLA's FFI: expected ") + what + " of at least " +
                                 std::to_string(expected) + " bytes, got one of " +
                                 std::to_string(size));
    }
}

void check(const ffi::CallFrame& frame) {
    check_size("a call frame", frame.struct_size, sizeof(ffi::CallFrame));
    check_size("arguments", frame.arguments.struct_size, sizeof(ffi::Operands));
    check_size("results", frame.results.struct_size, sizeof(ffi::Operands));
    check_size("attributes", frame.attributes.struct_size, sizeof(ffi::Attributes));
    if (frame.api->version.major_version != ffi::major_version) {
        throw std::runtime_error("XLA's FFI: expected major version " +
                                 std::to_string(ffi::major_version) + ", got " +
                                 std::to_string(frame.api->version.major_version));
    }
}

/// The bytes of a scalar of this type, which Value has the size of.
template <typename Value>
std::optional<Value> scalar(const ffi::Attributes& attributes, std::string_view name,
                            ffi::DataType type) {
    const auto count = static_cast<std::size_t>(attributes.count);
    for (std::size_t index = 0; index < count; ++index) {
        const ffi::ByteSpan& found = *attributes.names[index];
        if (std::string_view(found.begin, found.size) != name) {
            continue;
        }
        if (attributes.types[index] == ffi::AttributeType::scalar) {
            const auto& value = *static_cast<const ffi::Scalar*>(attributes.attributes[index]);
            if (value.type == type) {
                Value result;
                std::memcpy(&result, value.value, sizeof result);
                return result;
            }
        }
        throw std::runtime_error(std::string(name) + ": expected a scalar of another type");
    }
    return std::nullopt;
}

template <typename Value>
Value required(std::optional<Value> value, std::string_view name) {
    if (!value) {
        throw std::runtime_error(std::string(name) + ": expected an attribute of this name");
    }
    return *value;
}

/// Of the types that arrays have; dynamic for any other.
element::Type element_type_of(ffi::DataType type) {
    switch (type) {
        case ffi::DataType::pred:
            return element::boolean;
        case ffi::DataType::s8:
            return element::i8;
        case ffi::DataType::s16:
            return element::i16;
        case ffi::DataType::s32:
            return element::i32;
        case ffi::DataType::s64:
            return element::i64;
        case ffi::DataType::u8:
            return element::u8;
        case ffi::DataType::u16:
            return element::u16;
        case ffi::DataType::u32:
            return element::u32;
        case ffi::DataType::u64:
            return element::u64;
        case ffi::DataType::f16:
            return element::f16;
        case ffi::DataType::bf16:
            return element::bf16;
        case ffi::DataType::f32:
            return element::f32;
        case ffi::DataType::f64:
            return element::f64;
    }
    return element::dynamic;
}

bool comes_as_bits(const op::Port& port, ffi::DataType type) {
    return type == ffi::DataType::u32 && (op::is_statistic(port.role) || op::is_sum(port.role));
}

struct Expected {
    bool fits;
    const char* text;
};

Expected expected_type(const op::Port& port, element::Type type) {
    switch (port.role) {
        case op::Role::mask:
            return {type == element::u8, "u8"};
        case op::Role::where:
            return {type == element::boolean, "booleans"};
        case op::Role::tensor:
            return {type.is_integer(), "integers"};
        default:
            return {type.is_real(), "f16, bf16, f32 or f64"};
    }
}

element::Type element_type_of(const op::Port& port, ffi::DataType type) {
    const element::Type found = comes_as_bits(port, type) ? element::f64 : element_type_of(type);
    const Expected expected = expected_type(port, found);
    if (!expected.fits) {
        throw std::invalid_argument(std::string(port.name) + ": expected an array of " +
                                    expected.text);
    }
    return found;
}

}  // namespace

ffi::Error* handle(ffi::CallFrame* frame, void (*run)(const ffi::CallFrame& frame)) noexcept {
    if (answer_question(*frame)) {
        return nullptr;
    }
    try {
        check(*frame);
        run(*frame);
        return nullptr;
    } catch (const std::bad_alloc& error) {
        return new_error(*frame, ffi::ErrorCode::resource_exhausted, error.what());
    } catch (const std::invalid_argument& error) {
        return new_error(*frame, ffi::ErrorCode::invalid_argument, error.what());
    } catch (const std::exception& error) {
        return new_error(*frame, ffi::ErrorCode::internal, error.what());
    } catch (...) {
        return new_error(*frame, ffi::ErrorCode::internal, "an unknown error");
    }
}

std::span<void* const> buffers(std::string_view what, const ffi::Operands& operands,
                               std::size_t expected) {
    const std::span all(operands.operands, static_cast<std::size_t>(operands.count));
    const std::span types(operands.types, all.size());
    if (all.size() != expected || std::ranges::any_of(types, [](ffi::OperandType type) {
            return type != ffi::OperandType::buffer;
        })) {
        throw std::runtime_error(std::string(what) + ": expected " + std::to_string(expected) +
                                 " buffers, got " + std::to_string(all.size()) + " operands");
    }
    for (void* const operand : all) {
        check_size("buffers", static_cast<const ffi::Buffer*>(operand)->struct_size,
                   sizeof(ffi::Buffer));
    }
    return all;
}

const ffi::Buffer& buffer_at(std::span<void* const> buffers, std::size_t index) {
    return *static_cast<const ffi::Buffer*>(buffers[index]);
}

double number(const ffi::Attributes& attributes, std::string_view name) {
    return required(optional_number(attributes, name), name);
}

std::optional<double> optional_number(const ffi::Attributes& attributes, std::string_view name) {
    return scalar<double>(attributes, name, ffi::DataType::f64);
}

std::int64_t integer(const ffi::Attributes& attributes, std::string_view name) {
    return required(scalar<std::int64_t>(attributes, name, ffi::DataType::s64), name);
}

void Operand::set(const op::Port& port, const ffi::Buffer& buffer, std::size_t batch_rank) {
    const std::string name(port.name);
    element_type_ = element_type_of(port, buffer.type);
    const bool is_bits = comes_as_bits(port, buffer.type);
    std::span<const std::int64_t> lengths(buffer.lengths, static_cast<std::size_t>(buffer.rank));
    if (is_bits) {
        if (lengths.empty() || lengths.back() != 2) {
            throw std::invalid_argument(name + ": expected pairs of u32, the bits of doubles");
        }
        lengths = lengths.first(lengths.size() - 1);
    }
    if (lengths.size() > max_rank || lengths.size() < batch_rank) {
        throw std::invalid_argument(name + ": expected at most " + std::to_string(max_rank) +
                                    " axes, those of the batch among them, got " +
                                    std::to_string(lengths.size()));
    }
    rank_ = lengths.size();
    batch_rank_ = batch_rank;
    address_ = static_cast<std::byte*>(buffer.data);
    auto stride = static_cast<std::int64_t>(element_type_.size());
    for (std::size_t axis = rank_; axis-- > 0;) {
        const bool counts_for_all = axis < batch_rank && lengths[axis] == 1;
        shape_[axis] = lengths[axis];
        strides_[axis] = counts_for_all ? 0 : stride;
        stride *= lengths[axis];
    }
}

runtime::Array Operand::array(std::span<const std::int64_t> problem) const {
    std::int64_t offset = 0;
    for (std::size_t axis = 0; axis < batch_rank_; ++axis) {
        offset += problem[axis] * strides_[axis];
    }
    return {.element_type = element_type_,
            .shape = std::span(shape_).subspan(batch_rank_, rank_ - batch_rank_),
            .strides = std::span(strides_).subspan(batch_rank_, rank_ - batch_rank_),
            .address = address_ + offset,
            .is_writable = true};
}

}  // namespace normgraph::binding::jax
