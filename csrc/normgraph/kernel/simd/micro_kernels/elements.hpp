#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "normgraph/kernel/element_type.hpp"
#include "normgraph/kernel/simd/instruction_sets/inlining.hpp"
#include "normgraph/kernel/simd/instruction_sets/wide.hpp"
#include "normgraph/kernel/simd/micro_kernels/terms_and_formulas.hpp"
#include "normgraph/kernel/summation_order.hpp"

/// Vectors of elements to and from memory, whole and in part, whatever their type. `Isa` is one of
/// the instruction sets' classes (Sse2, Avx2, …). Every function has it as a parameter, needed or
/// not: else the linker would keep one function for all, with any one's instructions.
namespace normgraph::kernel::simd {

/// Elements that element-wise loops take at a time, and whose bits of a mask they read or write at
/// once: one or more vectors.
inline constexpr std::int64_t elements_per_step = 16;

template <typename Isa, typename Data>
struct ArithmeticVector {
    using type = typename Isa::Float;
    static constexpr std::int64_t width = Isa::float_width;
};
template <typename Isa>
struct ArithmeticVector<Isa, double> {
    using type = typename Isa::Double;
    static constexpr std::int64_t width = Isa::double_width;
};
template <typename Isa, typename Data>
using arithmetic_vector_t = typename ArithmeticVector<Isa, Data>::type;

template <typename Data>
const Data* elements(const std::byte* address) {
    return reinterpret_cast<const Data*>(address);
}
template <typename Data>
Data* elements(std::byte* address) {
    return reinterpret_cast<Data*>(address);
}

/// Copies fewer than `limit` bytes, at most 64, an even number of them.
template <typename Isa, std::size_t limit>
void copy_few(std::byte* target, const std::byte* source, std::size_t count) {
    const auto piece = [&]<std::size_t size>() {
        if constexpr (size < limit) {
            if ((count & size) != 0) {
                std::memcpy(target, source, size);
                target += size;
                source += size;
            }
        }
    };
    piece.template operator()<32>();
    piece.template operator()<16>();
    piece.template operator()<8>();
    piece.template operator()<4>();
    piece.template operator()<2>();
}

/// Fewer elements than fill a vector; what the other lanes hold is not specified. Instruction sets
/// that can load and store in part do.
template <typename Isa, typename Data>
arithmetic_vector_t<Isa, Data> load_some(const std::byte* address, std::int64_t count,
                                         const std::byte* readable_end) {
    constexpr std::size_t width = ArithmeticVector<Isa, Data>::width;
    if constexpr (requires { Isa::load_some(elements<Data>(address), count); }) {
        return Isa::load_some(elements<Data>(address), count);
    }
    if (address + width * sizeof(Data) <= readable_end) {
        return Isa::load(elements<Data>(address));
    }
    alignas(64) std::byte buffer[width * sizeof(Data)] = {};
    copy_few<Isa, sizeof(buffer)>(buffer, address, static_cast<std::size_t>(count) * sizeof(Data));
    return Isa::load(elements<Data>(buffer));
}

template <typename Isa, typename Data>
void store_some(std::byte* address, arithmetic_vector_t<Isa, Data> values, std::int64_t count) {
    if constexpr (requires { Isa::store_some(elements<Data>(address), values, count); }) {
        return Isa::store_some(elements<Data>(address), values, count);
    }
    alignas(64) std::byte buffer[ArithmeticVector<Isa, Data>::width * sizeof(Data)];
    Isa::store(elements<Data>(buffer), values);
    copy_few<Isa, sizeof(buffer)>(address, buffer, static_cast<std::size_t>(count) * sizeof(Data));
}

/// Whether vectors of elements of this type come in pairs, of even and of odd number.
template <typename Isa, typename Data>
inline constexpr bool has_pairs =
    sizeof(Data) == 2 && requires(const Data* source) { Isa::load_pair(source); };

/// Vectors that element-wise loops take at once: a pair, or one.
template <typename Isa, typename Data, bool is_pair>
struct Unit {
    using Vector = arithmetic_vector_t<Isa, Data>;
    static constexpr std::size_t vectors = is_pair ? 2 : 1;
    static constexpr std::int64_t width =
        static_cast<std::int64_t>(vectors) * ArithmeticVector<Isa, Data>::width;
    using Vectors = std::array<Vector, vectors>;

    /// Elements, or as many coefficients in the same arrangement.
    template <typename Source>
    NORMGRAPH_ALWAYS_INLINE static Vectors load(const Source* address) {
        if constexpr (is_pair) {
            return Isa::load_pair(address);
        } else {
            return {Isa::load(address)};
        }
    }
    template <bool streams>
    NORMGRAPH_ALWAYS_INLINE static void store(Data* address, const Vectors& values) {
        if constexpr (is_pair) {
            streams ? Isa::stream_pair(address, values) : Isa::store_pair(address, values);
        } else {
            streams ? Isa::stream(address, values[0]) : Isa::store(address, values[0]);
        }
    }
};

/// As load_some, of a pair.
template <typename Isa, typename Data>
auto load_pair_some(const std::byte* address, std::int64_t count, const std::byte* readable_end) {
    constexpr std::size_t size = 2 * static_cast<std::size_t>(Isa::float_width) * sizeof(Data);
    if (address + size <= readable_end) {
        return Isa::load_pair(elements<Data>(address));
    }
    alignas(64) std::byte buffer[size] = {};
    copy_few<Isa, size>(buffer, address, static_cast<std::size_t>(count) * sizeof(Data));
    return Isa::load_pair(elements<Data>(buffer));
}

/// Calls function with 0, 1, …, count − 1. Unlike a loop it leaves arrays in registers, whatever
/// the function contains.
template <typename Isa, std::size_t count, typename Function>
NORMGRAPH_ALWAYS_INLINE inline void unrolled(const Function& function) {
    [&]<std::size_t... index>(std::index_sequence<index...> /*all*/)
        NORMGRAPH_ALWAYS_INLINE { (function(index), ...); }(std::make_index_sequence<count>());
}

/// Vectors of doubles that hold as many elements as one of floats.
template <typename Isa>
inline constexpr std::size_t doubles_per_float =
    static_cast<std::size_t>(Isa::float_width / Isa::double_width);
template <typename Isa>
using WideOf = Wide<typename Isa::Double, doubles_per_float<Isa>>;

/// Loads as many doubles as one vector of floats has elements.
template <typename Isa>
WideOf<Isa> load_doubles(const double* address) {
    return [&]<std::size_t... part>(std::index_sequence<part...> /*all*/) -> WideOf<Isa> {
        return {Isa::load(address + part * static_cast<std::size_t>(Isa::double_width))...};
    }(std::make_index_sequence<doubles_per_float<Isa>>());
}

/// `Isa::float_width` elements as doubles.
template <typename Isa, typename Data>
WideOf<Isa> load_wide(const std::byte* address) {
    const Data* const source = elements<Data>(address);
    if constexpr (sizeof(Data) == 8) {
        return load_doubles<Isa>(source);
    } else if constexpr (requires { Isa::load_wide(source); }) {
        return Isa::load_wide(source);
    } else {
        return Isa::widen(Isa::load(source));
    }
}

/// Fewer than `Isa::float_width`; what the other lanes hold is not specified.
template <typename Isa, typename Data>
WideOf<Isa> load_wide_some(const std::byte* address, std::int64_t count,
                           const std::byte* readable_end) {
    constexpr std::size_t size = static_cast<std::size_t>(Isa::float_width) * sizeof(Data);
    if constexpr (sizeof(Data) < 8 &&
                  requires { Isa::load_some(elements<Data>(address), count); }) {
        return Isa::widen(Isa::load_some(elements<Data>(address), count));
    }
    if (address + size <= readable_end) {
        return load_wide<Isa, Data>(address);
    }
    alignas(64) std::byte buffer[size] = {};
    if constexpr (sizeof(Data) == 8) {
        std::memcpy(buffer, address, static_cast<std::size_t>(count) * sizeof(Data));
    } else {
        copy_few<Isa, size>(buffer, address, static_cast<std::size_t>(count) * sizeof(Data));
    }
    return load_wide<Isa, Data>(buffer);
}

/// total + term, by whatever instruction is the fastest.
template <typename Isa, typename Vector>
Vector accumulate(Vector total, Vector term) {
    if constexpr (requires { Isa::accumulate(total, term); }) {
        return Isa::accumulate(total, term);
    } else {
        return total + term;
    }
}

/// Vectors of term_t<Data>, and as many of them as hold `Isa::float_width` elements.
template <typename Isa, typename Data>
using term_vector_t =
    std::conditional_t<sizeof(Data) == 2, typename Isa::Float, typename Isa::Double>;
template <typename Isa, typename Data>
inline constexpr std::int64_t term_width = sizeof(Data) == 2 ? Isa::float_width : Isa::double_width;
template <typename Isa, typename Data>
inline constexpr std::size_t term_parts =
    static_cast<std::size_t>(Isa::float_width / term_width<Isa, Data>);
template <typename Isa, typename Data>
using TermVectors = std::array<term_vector_t<Isa, Data>, term_parts<Isa, Data>>;

template <typename Isa, typename Data>
TermVectors<Isa, Data> load_terms(const std::byte* address) {
    if constexpr (sizeof(Data) == 2) {
        return {Isa::load(elements<Data>(address))};
    } else {
        return load_wide<Isa, Data>(address);
    }
}

/// Fewer than `Isa::float_width`; what the other lanes hold is not specified.
template <typename Isa, typename Data>
TermVectors<Isa, Data> load_terms_some(const std::byte* address, std::int64_t count,
                                       const std::byte* readable_end) {
    if constexpr (sizeof(Data) == 2) {
        return {load_some<Isa, Data>(address, count, readable_end)};
    } else {
        return load_wide_some<Isa, Data>(address, count, readable_end);
    }
}

/// One vector: up to as many elements as it has. What the other lanes hold is not specified.
template <typename Isa, typename Data>
term_vector_t<Isa, Data> load_term_vector_some(const std::byte* address, std::int64_t count,
                                               const std::byte* readable_end) {
    if constexpr (sizeof(Data) > 2 && requires { Isa::load_double(elements<Data>(address)); }) {
        if (address + static_cast<std::size_t>(Isa::double_width) * sizeof(Data) <= readable_end) {
            return Isa::load_double(elements<Data>(address));
        }
    }
    return load_terms_some<Isa, Data>(address, std::min(count, term_width<Isa, Data>),
                                      readable_end)[0];
}

/// Sums that lie in memory, of as many columns as `load_terms` loads elements.
template <typename Isa, typename Data>
TermVectors<Isa, Data> load_sums(const term_t<Data>* address) {
    return
        [&]<std::size_t... part>(std::index_sequence<part...> /*all*/) -> TermVectors<Isa, Data> {
            return {Isa::load(address + part * static_cast<std::size_t>(term_width<Isa, Data>))...};
        }(std::make_index_sequence<term_parts<Isa, Data>>());
}

template <typename Isa, typename Vector, std::size_t parts>
NORMGRAPH_ALWAYS_INLINE inline std::array<Vector, parts> zero_mask(
    const std::array<Vector, parts>& values, std::uint32_t bits) {
    constexpr auto width = static_cast<std::size_t>(Isa::float_width) / parts;
    return [&]<std::size_t... part>(
               std::index_sequence<part...> /*all*/) -> std::array<Vector, parts> {
        return {Isa::zero_mask(values[part], bits >> part * width)...};
    }(std::make_index_sequence<parts>());
}

/// The bits of up to 16 elements that begin with a row's element `position`, a multiple of 4.
template <typename Isa>
NORMGRAPH_ALWAYS_INLINE inline std::uint32_t load_mask(const std::byte* row, std::int64_t position,
                                                       std::int64_t count) {
    const std::byte* const address = row + position / 8;
    const std::int64_t shift = position % 8;
    auto bits = static_cast<std::uint32_t>(address[0]);
    if (shift + count > 8) {
        bits |= static_cast<std::uint32_t>(address[1]) << 8;
    }
    return bits >> shift;
}

/// `position` is a multiple of 8.
template <typename Isa>
void store_mask(std::byte* row, std::int64_t position, std::int64_t count, std::uint32_t bits) {
    std::byte* const address = row + position / 8;
    address[0] = static_cast<std::byte>(bits);
    if (count > 8) {
        address[1] = static_cast<std::byte>(bits >> 8);
    }
}

/// The terms of the lanes that have an element. The others add zeros that change no sum. Sums begin
/// with +0 and, but for f64 data, are never -0: products of narrower data do not underflow in
/// double, and chains are added to a double. A sum of f64 products may be -0, to which +0 must not
/// be added: there the others add -0, and -0 times +0.
template <typename Isa, typename Data, typename Vector>
NORMGRAPH_ALWAYS_INLINE inline Term<Vector> zero_mask(const Term<Vector>& term,
                                                      std::uint32_t bits) {
    const Vector factor = Isa::zero_mask(term.factor, bits);
    if constexpr (std::is_same_v<Data, double>) {
        const Vector minus_zero = Isa::broadcast(-0.0);
        return {minus_zero - Isa::zero_mask(minus_zero - term.value, bits), factor};
    } else {
        return {Isa::zero_mask(term.value, bits), factor};
    }
}

constexpr std::uint32_t lowest_bits(std::int64_t count) {
    return (std::uint32_t{1} << count) - 1;
}

/// Applies the formula and the mask; `lane`: where the vector begins in `bits`, which are
/// read or written.
template <typename Isa, typename Data, typename Formula, Mask mask>
arithmetic_vector_t<Isa, Data> apply_formula(
    const std::array<arithmetic_vector_t<Isa, Data>, Formula::coefficient_count>& coefficients,
    std::array<arithmetic_vector_t<Isa, Data>, Formula::source_count>& sources, std::int64_t lane,
    std::uint32_t& bits) {
    if constexpr (mask == Mask::reads) {
        sources.back() = Isa::zero_mask(sources.back(), bits >> lane);
    }
    auto result = Formula::of(coefficients, sources);
    if constexpr (is_written(mask) || has_bound(mask)) {
        const std::uint32_t positive =
            Isa::not_less_equal(result, Isa::broadcast(largest_stored_as_zero<Data>));
        std::uint32_t passing = positive;
        if constexpr (has_bound(mask)) {
            const auto bound = coefficients.back();
            passing &= Isa::not_less_equal(bound, result);
            result = Isa::minimum(bound, result);
        }
        result = Isa::zero_mask(result, positive);
        bits |= passing << lane;
    }
    return result;
}

}  // namespace normgraph::kernel::simd
