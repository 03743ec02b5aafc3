#pragma once

#include <array>
#include <cstddef>
#include <utility>

#include "normgraph/kernel/coefficients.hpp"
#include "normgraph/kernel/element_type.hpp"
#include "normgraph/kernel/simd/micro_kernels/contract.hpp"

/// The terms that are summed, and the results that are written, for one vector of elements.
namespace normgraph::kernel::simd {

inline constexpr auto sum_count = static_cast<std::size_t>(sums_per_channel);

/// What elements add to the two sums: value, and value·factor.
template <typename Vector>
struct Term {
    Vector value, factor;
};

struct MomentTerms {
    static constexpr std::size_t source_count = 1;

    template <typename Vector>
    static Term<Vector> of(Vector shift, const std::array<Vector, 1>& sources) {
        const Vector difference = sources[0] - shift;
        return {difference, difference};
    }
};

/// Σ normalized_delta and Σ normalized_delta·(input − mean).
struct DeltaTerms {
    static constexpr std::size_t source_count = 2;

    template <typename Vector>
    static Term<Vector> of(Vector mean, const std::array<Vector, 2>& sources) {
        return {sources[1], sources[0] - mean};
    }
};

struct Normalize {
    static constexpr std::size_t source_count = 1;
    static constexpr std::size_t coefficient_count = 3;

    template <typename Value>
    static Value of(const std::array<Value, 3>& k, const std::array<Value, 1>& sources) {
        return NormalizeFormula<Value>{k[0], k[1], k[2]}(sources[0]);
    }
};

/// Behind it stands a ReLU with an upper bound, which is a coefficient more: see Mask.
struct NormalizeToBound {
    static constexpr std::size_t source_count = 1;
    static constexpr std::size_t coefficient_count = Normalize::coefficient_count + 1;

    template <typename Value>
    static Value of(const std::array<Value, 4>& k, const std::array<Value, 1>& sources) {
        return NormalizeFormula<Value>{k[0], k[1], k[2]}(sources[0]);
    }
};

/// The same with a residual, which is added before.
struct NormalizeAddToBound {
    static constexpr std::size_t source_count = 2;
    static constexpr std::size_t coefficient_count = NormalizeToBound::coefficient_count;

    template <typename Value>
    static Value of(const std::array<Value, 4>& k, const std::array<Value, 2>& sources) {
        return NormalizeFormula<Value>{k[0], k[1], k[2]}(sources[0]) + sources[1];
    }
};

struct InputDelta {
    static constexpr std::size_t source_count = 2;
    static constexpr std::size_t coefficient_count = 4;

    template <typename Value>
    static Value of(const std::array<Value, 4>& k, const std::array<Value, 2>& sources) {
        return InputDeltaFormula<Value>{k[0], k[1], k[2], k[3]}(sources[0], sources[1]);
    }
};

struct ScaledInputDelta {
    static constexpr std::size_t source_count = 2;
    static constexpr std::size_t coefficient_count = 5;

    template <typename Value>
    static Value of(const std::array<Value, 5>& k, const std::array<Value, 2>& sources) {
        return ScaledInputDeltaFormula<Value>{k[0], k[1], k[2], k[3], k[4]}(sources[0], sources[1]);
    }
};

/// What a mask selects.
struct Unchanged {
    static constexpr std::size_t source_count = 1;
    static constexpr std::size_t coefficient_count = 0;

    template <typename Value>
    static Value of(const std::array<Value, 0>& /*k*/, const std::array<Value, 1>& sources) {
        return sources[0];
    }
};

/// With statistics given.
struct FrozenInputDelta {
    static constexpr std::size_t source_count = 1;
    static constexpr std::size_t coefficient_count = 1;

    template <typename Value>
    static Value of(const std::array<Value, 1>& k, const std::array<Value, 1>& sources) {
        return k[0] * sources[0];
    }
};

/// The use that a kernel makes of the mask of a ReLU: bits say where the ReLU lets its input pass
/// as it is. The masked source is the last one. Kernels that write bits apply the ReLU, up to the
/// bound that is the formula's last coefficient (see smallest_stored_as_bound), or without one;
/// `applied_to_bound` does as much, and writes none.
enum class Mask { none, reads, writes, writes_to_bound, applied_to_bound };

constexpr bool is_written(Mask mask) {
    return mask == Mask::writes || mask == Mask::writes_to_bound;
}
constexpr bool has_bits(Mask mask) {
    return mask == Mask::reads || is_written(mask);
}
constexpr bool has_bound(Mask mask) {
    return mask == Mask::writes_to_bound || mask == Mask::applied_to_bound;
}

/// A result up to here is stored as 0: half the smallest denormal, or less, rounds to 0.
template <typename Data>
inline constexpr arithmetic_t<Data> largest_stored_as_zero = 0;
template <>
inline constexpr float largest_stored_as_zero<bfloat16> = 0x1p-134F;
template <>
inline constexpr float largest_stored_as_zero<float16> = 0x1p-25F;

}  // namespace normgraph::kernel::simd
