#include "normgraph/runtime/position_mask.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "normgraph/kernel/strided/cursor.hpp"
#include "normgraph/kernel/strided/extents.hpp"

namespace normgraph::runtime {
namespace {

/// The shape of an array without its channel axis.
std::vector<std::int64_t> position_shape(const Array& input, std::int64_t channel_axis) {
    std::vector<std::int64_t> shape(input.shape.begin(), input.shape.end());
    shape.erase(shape.begin() + channel_axis);
    return shape;
}

std::string text(std::span<const std::int64_t> shape) {
    std::string result = "(";
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
        result += (axis > 0 ? ", " : "") + std::to_string(shape[axis]);
    }
    return result + (shape.size() == 1 ? ",)" : ")");
}

/// The strides with which an array broadcasts to this shape; nullopt if it does not.
std::optional<std::vector<std::int64_t>> broadcast_strides(
    std::span<const std::int64_t> own_shape, std::span<const std::int64_t> own_strides,
    std::span<const std::int64_t> shape) {
    if (own_shape.size() > shape.size()) {
        return std::nullopt;
    }
    std::vector<std::int64_t> strides(shape.size(), 0);
    const std::size_t skipped = shape.size() - own_shape.size();
    for (std::size_t axis = 0; axis < own_shape.size(); ++axis) {
        if (own_shape[axis] == shape[skipped + axis]) {
            strides[skipped + axis] = own_strides[axis];
        } else if (own_shape[axis] != 1) {
            return std::nullopt;
        }
    }
    return strides;
}

/// Of an array with a channel axis of length 1: without it.
std::pair<std::vector<std::int64_t>, std::vector<std::int64_t>> without_channel_axis(
    const Array& where, const Array& input, std::int64_t channel_axis) {
    std::vector<std::int64_t> shape(where.shape.begin(), where.shape.end());
    std::vector<std::int64_t> strides(where.strides.begin(), where.strides.end());
    if (shape.size() == input.shape.size() && shape[static_cast<std::size_t>(channel_axis)] == 1) {
        shape.erase(shape.begin() + channel_axis);
        strides.erase(strides.begin() + channel_axis);
    }
    return {std::move(shape), std::move(strides)};
}

/// Stands for numbers that 64 bits with a sign do not hold.
constexpr std::int64_t beyond_64_bits = std::numeric_limits<std::int64_t>::max();

/// An element of an integer type, signed or not.
std::int64_t integer_at(const std::byte* address, element::Type type) {
    const auto read = [&]<typename Integer>(Integer /*type*/) {
        Integer value;
        std::memcpy(&value, address, sizeof(Integer));
        return std::in_range<std::int64_t>(value) ? static_cast<std::int64_t>(value)
                                                  : beyond_64_bits;
    };
    switch (type.kind()) {
        case element::Type::Kind::i8:
            return read(std::int8_t{});
        case element::Type::Kind::i16:
            return read(std::int16_t{});
        case element::Type::Kind::i32:
            return read(std::int32_t{});
        case element::Type::Kind::i64:
            return read(std::int64_t{});
        case element::Type::Kind::u8:
            return read(std::uint8_t{});
        case element::Type::Kind::u16:
            return read(std::uint16_t{});
        case element::Type::Kind::u32:
            return read(std::uint32_t{});
        default:  // the one integer type that is left
            return read(std::uint64_t{});
    }
}

/// Those with which it broadcasts to the positions. Throws as positions_where does.
std::vector<std::int64_t> strides_of_where(const Array& where, const Array& input,
                                           std::int64_t channel_axis) {
    const std::vector<std::int64_t> shape = position_shape(input, channel_axis);
    if (where.element_type != element::boolean) {
        throw std::invalid_argument("where: expected a boolean array, got one of " +
                                    std::string(where.element_type.name()) +
                                    ": compare it, as in where != 0");
    }
    const auto [own_shape, own_strides] = without_channel_axis(where, input, channel_axis);
    const auto strides = broadcast_strides(own_shape, own_strides, shape);
    if (!strides) {
        throw std::invalid_argument("where: expected a shape that broadcasts to " + text(shape) +
                                    ", which is input's without the channel axis, got " +
                                    text(where.shape));
    }
    return *strides;
}

}  // namespace

void check_where(const Array& where, const Array& input, std::int64_t channel_axis) {
    strides_of_where(where, input, channel_axis);
}

kernel::CountedPositions positions_where(const Array& where, const Array& input,
                                         std::int64_t channel_axis) {
    const std::vector<std::int64_t> shape = position_shape(input, channel_axis);
    const std::vector<std::int64_t> strides = strides_of_where(where, input, channel_axis);
    std::vector<std::byte> bytes(static_cast<std::size_t>(kernel::product(shape)));
    kernel::TensorAxes axes;
    for (std::size_t axis = 0; axis < shape.size() && !bytes.empty(); ++axis) {
        axes.append(shape[axis], {strides[axis]});
    }
    kernel::TensorCursor cursor(axes);
    for (std::byte& byte : bytes) {
        // What is stored for true need not be 1.
        byte = where.address[cursor.offset(0)] == std::byte{0} ? std::byte{0} : std::byte{1};
        cursor.advance();
    }
    return kernel::CountedPositions(std::move(bytes));
}

bool has_true_element(const Array& where) {
    const kernel::TensorAxes axes(where.shape, where.strides);
    kernel::TensorCursor cursor(axes);
    for (std::int64_t left = kernel::product(where.shape); left > 0; --left) {
        if (where.address[cursor.offset(0)] != std::byte{0}) {
            return true;
        }
        cursor.advance();
    }
    return false;
}

void check_lengths(const Array& lengths, const Array& input, std::int64_t channel_axis) {
    const std::vector<std::int64_t> shape = position_shape(input, channel_axis);
    if (shape.size() < 2) {
        throw std::invalid_argument(
            "lengths: expected None, since input has no axis behind that of its samples, got a "
            "vector");
    }
    if (lengths.shape.size() != 1 || lengths.shape[0] != shape[0]) {
        throw std::invalid_argument("lengths: expected a vector of integers, one for each of " +
                                    std::to_string(shape[0]) + " samples, got shape " +
                                    text(lengths.shape));
    }
    if (!lengths.element_type.is_integer()) {
        throw std::invalid_argument("lengths: expected a vector of integers, got one of " +
                                    std::string(lengths.element_type.name()));
    }
}

kernel::CountedPositions positions_of_lengths(const Array& lengths, const Array& input,
                                              std::int64_t channel_axis) {
    check_lengths(lengths, input, channel_axis);
    const std::vector<std::int64_t> shape = position_shape(input, channel_axis);
    const std::int64_t inner = kernel::product(std::span(shape).subspan(2));
    std::vector<std::byte> bytes(static_cast<std::size_t>(kernel::product(shape)));
    for (std::int64_t sample = 0; sample < shape[0]; ++sample) {
        const std::int64_t length =
            integer_at(lengths.address + sample * lengths.strides[0], lengths.element_type);
        if (length < 0 || length > shape[1]) {
            throw std::invalid_argument(
                "lengths: expected numbers from 0 to " + std::to_string(shape[1]) + ", got " +
                (length == beyond_64_bits ? "a larger one" : std::to_string(length)) +
                " for sample " + std::to_string(sample));
        }
        std::fill_n(bytes.begin() + sample * shape[1] * inner, length * inner, std::byte{1});
    }
    return kernel::CountedPositions(std::move(bytes));
}

}  // namespace normgraph::runtime
