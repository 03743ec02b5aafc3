#pragma once

#include <array>
#include <cstring>
#include <limits>
#include <type_traits>

#include "normgraph/kernel/primitive_sum.hpp"
#include "normgraph/kernel/simd/micro_kernels/contract.hpp"
#include "normgraph/kernel/simd/micro_kernels/elements.hpp"
#include "normgraph/kernel/simd/micro_kernels/primitive_contract.hpp"

/// As in elements.hpp, every function has the instruction set as a parameter.
namespace normgraph::kernel::simd {

template <typename Isa>
struct Formulas {
    struct Add {
        template <typename Value>
        static Value of(Value a, Value b) {
            return a + b;
        }
    };
    struct Subtract {
        template <typename Value>
        static Value of(Value a, Value b) {
            return a - b;
        }
    };
    struct Multiply {
        template <typename Value>
        static Value of(Value a, Value b) {
            return a * b;
        }
    };
    struct Divide {
        template <typename Value>
        static Value of(Value a, Value b) {
            return a / b;
        }
    };
    struct Minimum {
        template <typename Value>
        static Value of(Value a, Value b) {
            return Isa::minimum(b, a);
        }
    };
    struct ReluBackprop {
        template <typename Value>
        static Value of(Value a, Value b) {
            return Isa::zero_mask(b, Isa::not_less_equal(a, zero(a)));
        }
    };
    /// A product with −1 is exact, and changes the sign of a zero as well.
    struct Negate {
        template <typename Value>
        static Value of(Value a) {
            return a * minus_one(a);
        }
    };
    struct SquareRoot {
        template <typename Value>
        static Value of(Value a) {
            return Isa::square_root(a);
        }
    };
    struct Relu {
        template <typename Value>
        static Value of(Value a) {
            return Isa::zero_mask(a, Isa::not_less_equal(a, zero(a)));
        }
    };

    static typename Isa::Float zero(typename Isa::Float /*like*/) { return Isa::broadcast(0.0F); }
    static typename Isa::Double zero(typename Isa::Double /*like*/) { return Isa::broadcast(0.0); }
    static typename Isa::Float minus_one(typename Isa::Float /*like*/) {
        return Isa::broadcast(-1.0F);
    }
    static typename Isa::Double minus_one(typename Isa::Double /*like*/) {
        return Isa::broadcast(-1.0);
    }
};

template <typename Isa, typename Data, typename Formula>
struct BinaryLoop {
    static void run(const std::byte* first, const std::byte* second, std::byte* result,
                    std::int64_t count) {
        constexpr std::int64_t width = ArithmeticVector<Isa, Data>::width;
        constexpr auto size = static_cast<std::int64_t>(sizeof(Data));
        std::int64_t index = 0;
        for (; index + width <= count; index += width) {
            Isa::store(elements<Data>(result + index * size),
                       Formula::of(Isa::load(elements<Data>(first + index * size)),
                                   Isa::load(elements<Data>(second + index * size))));
        }
        if (index < count) {
            const std::int64_t rest = count - index;
            store_some<Isa, Data>(
                result + index * size,
                Formula::of(load_some<Isa, Data>(first + index * size, rest, nullptr),
                            load_some<Isa, Data>(second + index * size, rest, nullptr)),
                rest);
        }
    }
};

template <typename Isa, typename Data, typename Formula>
struct UnaryLoop {
    static void run(const std::byte* first, const std::byte* /*second*/, std::byte* result,
                    std::int64_t count) {
        constexpr std::int64_t width = ArithmeticVector<Isa, Data>::width;
        constexpr auto size = static_cast<std::int64_t>(sizeof(Data));
        std::int64_t index = 0;
        for (; index + width <= count; index += width) {
            Isa::store(elements<Data>(result + index * size),
                       Formula::of(Isa::load(elements<Data>(first + index * size))));
        }
        if (index < count) {
            const std::int64_t rest = count - index;
            store_some<Isa, Data>(
                result + index * size,
                Formula::of(load_some<Isa, Data>(first + index * size, rest, nullptr)), rest);
        }
    }
};

template <typename Isa>
void store_doubles(double* to, const WideOf<Isa>& values) {
    for (std::size_t part = 0; part < values.size(); ++part) {
        Isa::store(to + part * static_cast<std::size_t>(Isa::double_width), values[part]);
    }
}

/// From one real type to another.
template <typename Isa, typename From, typename To>
struct ConvertLoop {
    static constexpr std::int64_t width = Isa::float_width;

    static void run(const std::byte* first, const std::byte* /*second*/, std::byte* result,
                    std::int64_t count) {
        constexpr auto from_size = static_cast<std::int64_t>(sizeof(From));
        constexpr auto to_size = static_cast<std::int64_t>(sizeof(To));
        std::int64_t index = 0;
        for (; index + width <= count; index += width) {
            vector(first + index * from_size, result + index * to_size);
        }
        if (index < count) {
            const auto rest = static_cast<std::size_t>(count - index);
            alignas(64) std::byte from[width * from_size] = {};
            alignas(64) std::byte to[width * to_size];
            std::memcpy(from, first + index * from_size, rest * sizeof(From));
            vector(from, to);
            std::memcpy(result + index * to_size, to, rest * sizeof(To));
        }
    }

private:
    static void vector(const std::byte* from, std::byte* to) {
        if constexpr (std::is_same_v<From, To>) {
            std::memmove(to, from, static_cast<std::size_t>(width) * sizeof(From));
        } else if constexpr (std::is_same_v<To, double>) {
            store_doubles<Isa>(elements<double>(to), load_wide<Isa, From>(from));
        } else if constexpr (std::is_same_v<From, double> && std::is_same_v<To, float>) {
            Isa::store(elements<float>(to), Isa::narrow(load_wide<Isa, double>(from)));
        } else if constexpr (std::is_same_v<From, double>) {
            Isa::store(elements<To>(to), to_floats_odd(from));
        } else if constexpr (std::is_same_v<To, bfloat16>) {
            Isa::store(elements<To>(to), with_canonical_nan(Isa::load(elements<From>(from))));
        } else {
            Isa::store(elements<To>(to), Isa::load(elements<From>(from)));
        }
    }

    /// As kernel::to_float_odd; any NaN becomes the canonical one, see with_canonical_nan.
    static typename Isa::Float to_floats_odd(const std::byte* from) {
        alignas(64) float buffer[width];
        for (std::int64_t lane = 0; lane < width; ++lane) {
            double value = 0;
            std::memcpy(&value, from + lane * 8, sizeof(value));
            const auto nearest = static_cast<float>(value);
            const auto back = static_cast<double>(nearest);
            std::uint32_t bits = 0;
            std::memcpy(&bits, &nearest, sizeof(bits));
            if (value != value) {
                bits = 0x7FC00000U;
            } else if (back != value) {
                const bool is_larger = (back < 0 ? -back : back) > (value < 0 ? -value : value);
                bits = (bits - (is_larger ? 1U : 0U)) | 1U;
            }
            std::memcpy(&buffer[lane], &bits, sizeof(bits));
        }
        return Isa::load(buffer);
    }

    /// Vector code rounds to bf16 without looking for NaNs (see GroupValues).
    static typename Isa::Float with_canonical_nan(typename Isa::Float values) {
        const auto infinity = Isa::broadcast(std::numeric_limits<float>::infinity());
        const std::uint32_t is_nan = Isa::not_less_equal(values, infinity);
        if (is_nan == 0) {
            return values;
        }
        alignas(64) float buffer[width];
        Isa::store(buffer, values);
        for (std::int64_t lane = 0; lane < width; ++lane) {
            if ((is_nan >> lane & 1U) != 0) {
                buffer[lane] = std::numeric_limits<float>::quiet_NaN();
            }
        }
        return Isa::load(buffer);
    }
};

template <typename Isa, typename Data>
struct SumLoops {
    using Double = typename Isa::Double;
    static constexpr std::int64_t width = Isa::float_width;
    static constexpr std::int64_t double_width = Isa::double_width;
    static constexpr std::int64_t lanes = PrimitiveSum::lanes;
    static constexpr auto size = static_cast<std::int64_t>(sizeof(Data));

    static double block(const std::byte* values, std::int64_t count) {
        constexpr std::int64_t vectors = lanes / double_width;
        std::array<Double, vectors> sums;
        sums.fill(Isa::broadcast(0.0));
        std::int64_t index = 0;
        for (; index + elements_per_step <= count; index += elements_per_step) {
            for (std::int64_t part = 0; part < elements_per_step; part += width) {
                auto vector = static_cast<std::size_t>(part / double_width);
                for (const Double& wide : load_wide<Isa, Data>(values + (index + part) * size)) {
                    Double& sum = sums[vector++ % static_cast<std::size_t>(vectors)];
                    sum = sum + wide;
                }
            }
        }
        alignas(64) double lane_sums[lanes];
        for (std::int64_t vector = 0; vector < vectors; ++vector) {
            Isa::store(lane_sums + vector * double_width, sums[static_cast<std::size_t>(vector)]);
        }
        for (; index < count; index += width) {
            const std::int64_t rest = count - index < width ? count - index : width;
            alignas(64) double buffer[width];
            const std::byte* const address = values + index * size;
            store_doubles<Isa>(buffer, rest == width
                                           ? load_wide<Isa, Data>(address)
                                           : load_wide_some<Isa, Data>(address, rest, nullptr));
            for (std::int64_t element = 0; element < rest; ++element) {
                lane_sums[(index + element) % lanes] += buffer[element];
            }
        }
        for (std::int64_t remaining = lanes / 2; remaining > 0; remaining /= 2) {
            for (std::int64_t lane = 0; lane < remaining; ++lane) {
                lane_sums[lane] += lane_sums[lane + remaining];
            }
        }
        return lane_sums[0];
    }

    static void rows(const ColumnRows& rows) {
        for (std::int64_t row = 0; row < rows.rows; ++row) {
            const std::byte* const address = rows.address + row * rows.row_stride;
            double* const sums = rows.lanes + (rows.first_lane + row) % lanes * rows.lane_stride;
            std::int64_t column = 0;
            for (; column + width <= rows.columns; column += width) {
                add(sums + column, load_wide<Isa, Data>(address + column * size));
            }
            if (column < rows.columns) {
                add(sums + column, load_wide_some<Isa, Data>(address + column * size,
                                                             rows.columns - column, nullptr));
            }
        }
    }

private:
    static void add(double* sums, const WideOf<Isa>& values) {
        for (const Double& value : values) {
            Isa::store(sums, Isa::load(sums) + value);
            sums += double_width;
        }
    }
};

template <typename Isa, typename Data>
struct MaskLoops {
    static constexpr std::int64_t width = ArithmeticVector<Isa, Data>::width;
    static constexpr auto size = static_cast<std::int64_t>(sizeof(Data));

    static void pack(const std::byte* values, std::int64_t count, double upper_bound,
                     std::byte* bits) {
        const Vector bound = Isa::broadcast(static_cast<arithmetic_t<Data>>(upper_bound));
        for (std::int64_t index = 0; index < count; index += elements_per_step) {
            const std::int64_t length =
                count - index < elements_per_step ? count - index : elements_per_step;
            std::uint32_t packed = 0;
            for (std::int64_t lane = 0; lane < length; lane += width) {
                packed |= passing(load(values + (index + lane) * size, length - lane), bound)
                          << lane;
            }
            store_mask<Isa>(bits, index, length, packed & lowest_bits(length));
        }
    }

private:
    using Vector = arithmetic_vector_t<Isa, Data>;

    static Vector load(const std::byte* address, std::int64_t rest) {
        return rest >= width ? Isa::load(elements<Data>(address))
                             : load_some<Isa, Data>(address, rest, nullptr);
    }
    /// NaN is not 0, and not at the bound.
    static std::uint32_t passing(Vector values, Vector bound) {
        const Vector zero = Formulas<Isa>::zero(values);
        const std::uint32_t nonzero =
            Isa::not_less_equal(values, zero) | Isa::not_less_equal(zero, values);
        return nonzero & Isa::not_less_equal(bound, values);
    }
};

template <typename Isa>
struct ProductPiece {
    static void run(const double* left, const double* right, std::int64_t depth, double* sums,
                    std::int64_t sums_stride) {
        for (std::int64_t row = 0; row < product_rows; row += rows_at_once) {
            rows(left + row, right, depth, sums + row * sums_stride, sums_stride);
        }
    }

private:
    static constexpr std::int64_t vectors = product_columns / Isa::double_width;
    /// Eight accumulators hide the time an addition takes, and fit the registers.
    static constexpr std::int64_t rows_at_once = vectors < 8 ? 8 / vectors : 1;

    static void rows(const double* left, const double* right, std::int64_t depth, double* sums,
                     std::int64_t sums_stride) {
        typename Isa::Double accumulators[rows_at_once][vectors];
        for (std::int64_t row = 0; row < rows_at_once; ++row) {
            for (std::int64_t vector = 0; vector < vectors; ++vector) {
                accumulators[row][vector] =
                    Isa::load(sums + row * sums_stride + vector * Isa::double_width);
            }
        }
        for (std::int64_t step = 0; step < depth; ++step) {
            for (std::int64_t row = 0; row < rows_at_once; ++row) {
                const auto factor = Isa::broadcast(left[step * product_rows + row]);
                for (std::int64_t vector = 0; vector < vectors; ++vector) {
                    const double* const from =
                        right + step * product_columns + vector * Isa::double_width;
                    accumulators[row][vector] =
                        accumulators[row][vector] + factor * Isa::load(from);
                }
            }
        }
        for (std::int64_t row = 0; row < rows_at_once; ++row) {
            for (std::int64_t vector = 0; vector < vectors; ++vector) {
                Isa::store(sums + row * sums_stride + vector * Isa::double_width,
                           accumulators[row][vector]);
            }
        }
    }
};

template <typename Isa, typename Data>
constexpr PrimitiveMicroKernels primitive_micro_kernels() {
    using Formula = Formulas<Isa>;
    return {
        .operations =
            {
                BinaryLoop<Isa, Data, typename Formula::Add>::run,
                BinaryLoop<Isa, Data, typename Formula::Subtract>::run,
                BinaryLoop<Isa, Data, typename Formula::Multiply>::run,
                BinaryLoop<Isa, Data, typename Formula::Divide>::run,
                BinaryLoop<Isa, Data, typename Formula::Minimum>::run,
                BinaryLoop<Isa, Data, typename Formula::ReluBackprop>::run,
                UnaryLoop<Isa, Data, typename Formula::Negate>::run,
                UnaryLoop<Isa, Data, typename Formula::SquareRoot>::run,
                UnaryLoop<Isa, Data, typename Formula::Relu>::run,
            },
        .convert_to = {ConvertLoop<Isa, Data, float16>::run, ConvertLoop<Isa, Data, bfloat16>::run,
                       ConvertLoop<Isa, Data, float>::run, ConvertLoop<Isa, Data, double>::run},
        .sum_block = SumLoops<Isa, Data>::block,
        .add_rows = SumLoops<Isa, Data>::rows,
        .pack_passing = MaskLoops<Isa, Data>::pack,
    };
}

}  // namespace normgraph::kernel::simd
