#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "normgraph/kernel/contract.hpp"

/// Tensors in any place of memory and in any strides, for tests that compare bits.
namespace normgraph::kernel {

/// FNV-1a, of 64 bits.
class Digest {
public:
    void add(std::span<const std::byte> bytes) {
        for (const std::byte byte : bytes) {
            value_ = (value_ ^ static_cast<std::uint64_t>(byte)) * 0x100000001B3;
        }
    }
    std::uint64_t value() const { return value_; }

private:
    std::uint64_t value_ = 0xCBF29CE484222325;
};

using Shape = std::vector<std::int64_t>;

/// How the axes of a tensor lie in memory.
struct Placement {
    std::vector<std::size_t> outermost_first;  ///< order of the axes; empty: that of the shape
    std::vector<std::int64_t> steps;           ///< per axis 1, 2 (every other), -1, or 0 (expanded)
    std::int64_t offset = 0;                   ///< in elements, from an address that is aligned
};

enum class Values { normal, wide, denormal, huge, special };

/// The bytes of a tensor and of what lies around it, which no kernel may touch.
class StridedTensor {
public:
    StridedTensor(const Shape& shape, ElementType type, const Placement& placement)
        : shape_(shape), type_(type), strides_(shape.size(), 0) {
        std::vector<std::size_t> order = placement.outermost_first;
        if (order.empty()) {
            order.resize(shape.size());
            std::iota(order.begin(), order.end(), std::size_t{0});
        }
        const auto size = static_cast<std::int64_t>(size_of(type));
        std::int64_t stride = size;
        std::int64_t first = guard + placement.offset * size;
        std::ranges::reverse(order);
        for (const std::size_t axis : order) {
            const std::int64_t step = placement.steps.empty() ? 1 : placement.steps[axis];
            const std::int64_t length = std::max<std::int64_t>(1, shape[axis]);
            strides_[axis] = stride * step;
            first += step < 0 ? (length - 1) * stride * -step : 0;
            stride *= step == 0 ? 1 : length * std::abs(step);
        }
        bytes_.resize(static_cast<std::size_t>(stride + 2 * guard + 16 * size) + line);
        std::uint8_t pattern = 7;
        for (std::byte* byte = base(); byte < bytes_.data() + bytes_.size(); ++byte) {
            *byte = static_cast<std::byte>(pattern = static_cast<std::uint8_t>(pattern + 151));
        }
        first_ = first;
    }

    StridedTensor(const StridedTensor& other)
        : shape_(other.shape_),
          type_(other.type_),
          strides_(other.strides_),
          bytes_(other.bytes_.size()),
          first_(other.first_) {
        const auto count = bytes_.size() - line;
        std::memcpy(base(), other.base(), count);
    }
    StridedTensor& operator=(const StridedTensor&) = delete;

    /// Makes this a copy of a tensor that it once was a copy of. Its memory is kept: to ask the
    /// system for that of a large tensor takes longer than a kernel.
    void restore(const StridedTensor& other) {
        std::memcpy(base(), other.base(), bytes_.size() - line);
    }

    std::byte* address() { return base() + first_; }
    std::span<const std::int64_t> strides() const { return strides_; }
    ConstTensor source() { return {address(), strides_}; }
    Tensor target() { return {address(), strides_}; }

    void fill(Values kind, std::mt19937_64& random) {
        // Repeated, but not in step with any axis: drawing takes longer than all kernels together.
        std::vector<double> drawn(4099);
        std::ranges::generate(drawn, [&] { return value(kind, random); });
        std::size_t next = 0;
        for_each([&](std::byte* element) {
            store_from_double(type_, element, drawn[next++ % drawn.size()]);
        });
    }

    bool has_bytes_of(const StridedTensor& other) const {
        return std::memcmp(base(), other.base(), bytes_.size() - line) == 0;
    }

    /// Empty if every element and every byte around them agrees; any NaN equals any NaN.
    std::string difference(StridedTensor& other) {
        if (has_bytes_of(other)) {
            return {};
        }
        std::string difference;
        StridedTensor with_others_elements(*this);
        std::int64_t index = 0;
        for_each([&](std::byte* element) {
            const std::ptrdiff_t place = element - address();
            const std::byte* const others_element = other.address() + place;
            const std::size_t size = size_of(type_);
            if (std::memcmp(element, others_element, size) != 0) {
                const double left = load_as_double(type_, element);
                const double right = load_as_double(type_, others_element);
                if (difference.empty() && !(std::isnan(left) && std::isnan(right))) {
                    difference = "element " + std::to_string(index) + ": " + std::to_string(left) +
                                 " and " + std::to_string(right);
                }
                std::memcpy(with_others_elements.address() + place, others_element, size);
            }
            ++index;
        });
        if (difference.empty() && !with_others_elements.has_bytes_of(other)) {
            difference = "bytes that belong to no element";
        }
        return difference;
    }

    /// Adds the elements in the order of their indices. Any NaN counts as the same one, since
    /// processors differ in the sign of those that they make.
    void add_to(Digest& digest) {
        for_each([&](std::byte* element) {
            std::array<std::byte, 8> bytes{};
            if (!std::isnan(load_as_double(type_, element))) {
                std::memcpy(bytes.data(), element, size_of(type_));
            } else {
                bytes.fill(std::byte{0xFF});
            }
            digest.add(std::span(bytes).first(size_of(type_)));
        });
    }

private:
    static constexpr std::int64_t guard = 256;
    static constexpr std::int64_t line = 64;

    std::ptrdiff_t to_base() const {
        const auto misaligned = reinterpret_cast<std::uintptr_t>(bytes_.data()) % line;
        return (line - static_cast<std::ptrdiff_t>(misaligned)) % line;
    }
    std::byte* base() { return bytes_.data() + to_base(); }
    const std::byte* base() const { return bytes_.data() + to_base(); }

    template <typename Function>
    void for_each(const Function& function) {
        if (std::ranges::find(shape_, 0) != shape_.end()) {
            return;
        }
        std::vector<std::int64_t> index(shape_.size(), 0);
        std::byte* element = address();
        for (;;) {
            function(element);
            std::size_t axis = shape_.size();
            for (;;) {
                if (axis == 0) {
                    return;
                }
                --axis;
                element += strides_[axis];
                if (++index[axis] < shape_[axis]) {
                    break;
                }
                element -= strides_[axis] * shape_[axis];
                index[axis] = 0;
            }
        }
    }

    /// Nearly normal, with mean 0 and variance 1: the sum of four uniform numbers, scaled by the
    /// square root of 3. std::normal_distribution draws other numbers in every standard library.
    static double nearly_normal(std::mt19937_64& random) {
        double sum = -2;
        for (int count = 0; count < 4; ++count) {
            sum += std::ldexp(static_cast<double>(random() >> 11), -53);
        }
        return 0x1.bb67ae8584caap0 * sum;
    }

    double value(Values kind, std::mt19937_64& random) const {
        const int largest = type_ == ElementType::f64 ? 1000 : type_ == ElementType::f16 ? 14 : 125;
        const double number = nearly_normal(random);
        switch (kind) {
            case Values::normal:
                break;
            case Values::wide:
                // Their squares are finite in f16 as well: of a NaN all results are NaN.
                return std::ldexp(number, type_ == ElementType::f16
                                              ? static_cast<int>(random() % 29) - 22
                                              : static_cast<int>(random() % 41) - 20);
            case Values::denormal:
                return std::ldexp(number, type_ == ElementType::f64   ? -1060
                                          : type_ == ElementType::f16 ? -20
                                                                      : -140);
            case Values::huge:
                return std::ldexp(number, largest - 2);
            case Values::special:
                switch (random() % 300) {
                    case 0:
                        return std::numeric_limits<double>::quiet_NaN();
                    case 1:
                        return std::numeric_limits<double>::infinity();
                    case 2:
                        return -std::numeric_limits<double>::infinity();
                    case 3:
                    case 4:
                        return -0.0;
                    default:
                        break;
                }
                break;
        }
        return number;
    }

    Shape shape_;
    ElementType type_;
    std::vector<std::int64_t> strides_;
    std::vector<std::byte> bytes_;
    std::int64_t first_ = 0;
};

}  // namespace normgraph::kernel
