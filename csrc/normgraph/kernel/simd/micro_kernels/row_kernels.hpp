#pragma once

// Memory traffic: each source is read once; apply writes the target once.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "normgraph/kernel/simd/instruction_sets/always_inline.hpp"
#include "normgraph/kernel/simd/micro_kernels/contract.hpp"
#include "normgraph/kernel/simd/micro_kernels/elements.hpp"
#include "normgraph/kernel/simd/micro_kernels/terms_and_formulas.hpp"
#include "normgraph/kernel/tuning.hpp"

/// Along rows of one channel each: coefficients stay in registers, as do the sums.
namespace normgraph::kernel::simd {

/// The accumulators of one channel: `lanes_per_step` lanes for each sum.
template <typename Isa>
class LaneSums {
public:
    NORMGRAPH_ALWAYS_INLINE void load(const double* lanes) {
        unrolled<Isa, vectors>([&](std::size_t index) NORMGRAPH_ALWAYS_INLINE {
            sums_[index] = Isa::load(lanes + index * width);
        });
    }
    NORMGRAPH_ALWAYS_INLINE void store(double* lanes) const {
        unrolled<Isa, vectors>([&](std::size_t index) NORMGRAPH_ALWAYS_INLINE {
            Isa::store(lanes + index * width, sums_[index]);
        });
    }
    /// The terms of the vector-th vector of doubles in a step.
    NORMGRAPH_ALWAYS_INLINE void add(std::size_t vector,
                                     const std::array<typename Isa::Double, sum_count>& terms) {
        unrolled<Isa, sum_count>([&](std::size_t sum) NORMGRAPH_ALWAYS_INLINE {
            auto& total = sums_[sum * vectors_per_sum + vector];
            total = accumulate<Isa>(total, terms[sum]);
        });
    }

private:
    static constexpr std::size_t width = Isa::double_width;
    static constexpr std::size_t vectors_per_sum = lanes_per_step / width;
    static constexpr std::size_t vectors = sum_count * vectors_per_sum;
    std::array<typename Isa::Double, vectors> sums_{};
};

template <typename Isa, typename Data, typename Terms, Mask mask>
class RowReduction {
public:
    static void run(const TileExtent& extent, const SourceTile* sources, const MaskTile& bits,
                    const double* shifts, const SumTile& sums) {
        RowReduction reduction(sources);
        for (std::int64_t channel = 0; channel < extent.channels; ++channel) {
            double* const lanes = sums.sums + channel * 2 * lanes_per_step;
            reduction.shift_ = Isa::broadcast(shifts[channel]);
            LaneSums<Isa> totals;
            totals.load(lanes);
            for (std::int64_t row = 0; row < extent.rows; ++row) {
                for (std::size_t source = 0; source < source_count; ++source) {
                    const SourceTile& tile = reduction.sources_[source];
                    reduction.rows_[source] =
                        tile.address + channel * tile.channel_stride + row * tile.row_stride;
                }
                reduction.mask_row_ =
                    bits.address + channel * bits.channel_stride + row * bits.row_stride;
                reduction.add_row(extent.length, totals);
            }
            totals.store(lanes);
        }
    }

private:
    using Double = typename Isa::Double;
    static constexpr std::size_t source_count = Terms::source_count;
    static constexpr std::int64_t width = Isa::float_width;

    explicit RowReduction(const SourceTile* sources) {
        // Copied, since the compiler must assume that storing sums changes what pointers point to.
        std::copy_n(sources, source_count, sources_.begin());
        prefetches_ = std::ranges::any_of(
            sources_, [](const SourceTile& source) { return source.prefetch_distance != 0; });
    }

    NORMGRAPH_ALWAYS_INLINE void add_row(std::int64_t length, LaneSums<Isa>& totals) {
        std::int64_t position = 0;
        for (; position + lanes_per_step <= length; position += lanes_per_step) {
            prefetch(position);
            add_vectors(position, totals, std::make_index_sequence<lanes_per_step / width>());
        }
        if (position < length) {
            prefetch(position);
            add_remainder(position, length - position, totals);
        }
    }

    template <std::size_t... vector>
    NORMGRAPH_ALWAYS_INLINE void add_vectors(std::int64_t position, LaneSums<Isa>& totals,
                                             std::index_sequence<vector...> /*unrolled*/) {
        (add_vector(vector, position + static_cast<std::int64_t>(vector) * width, totals), ...);
    }

    NORMGRAPH_ALWAYS_INLINE void add_vector(std::size_t vector, std::int64_t position,
                                            LaneSums<Isa>& totals) {
        std::array<WideOf<Isa>, source_count> values;
        for (std::size_t source = 0; source < source_count; ++source) {
            values[source] = load_wide<Isa, Data>(at(source, position));
        }
        if constexpr (mask == Mask::reads) {
            values.back() =
                zero_mask<Isa>(values.back(), load_mask<Isa>(mask_row_, position, width));
        }
        add_terms(vector, values, totals);
    }

    NORMGRAPH_ALWAYS_INLINE void add_remainder(std::int64_t position, std::int64_t count,
                                               LaneSums<Isa>& totals) {
        unrolled<Isa, lanes_per_step / width>([&](std::size_t vector) NORMGRAPH_ALWAYS_INLINE {
            const std::int64_t before = static_cast<std::int64_t>(vector) * width;
            if (count - before >= width) {
                add_vector(vector, position + before, totals);
            } else if (count > before) {
                add_partial_vector(vector, position + before, count - before, totals);
            }
        });
    }

    NORMGRAPH_ALWAYS_INLINE void add_partial_vector(std::size_t vector, std::int64_t position,
                                                    std::int64_t count, LaneSums<Isa>& totals) {
        const std::uint32_t masked =
            mask == Mask::reads ? load_mask<Isa>(mask_row_, position, count) : 0;
        unrolled<Isa, doubles_per_float<Isa>>([&](std::size_t part) NORMGRAPH_ALWAYS_INLINE {
            const std::int64_t before = static_cast<std::int64_t>(part) * Isa::double_width;
            if (before >= count) {
                return;
            }
            std::array<Double, source_count> sources;
            for (std::size_t source = 0; source < source_count; ++source) {
                sources[source] = load_doubles_some<Isa, Data>(
                    at(source, position + before), count - before, sources_[source].readable_end);
            }
            if constexpr (mask == Mask::reads) {
                sources.back() = Isa::zero_mask(sources.back(), masked >> before);
            }
            // A lane without an element adds +0, which changes no sum: sums begin with +0, so none
            // is ever -0.
            auto terms = Terms::of(shift_, sources);
            for (std::size_t sum = 0; sum < sum_count; ++sum) {
                terms[sum] = Isa::zero_mask(terms[sum], lowest_bits(count) >> before);
            }
            totals.add(doubles_per_float<Isa> * vector + part, terms);
        });
    }

    NORMGRAPH_ALWAYS_INLINE void add_terms(std::size_t vector,
                                           const std::array<WideOf<Isa>, source_count>& values,
                                           LaneSums<Isa>& totals) {
        unrolled<Isa, doubles_per_float<Isa>>([&](std::size_t part) NORMGRAPH_ALWAYS_INLINE {
            std::array<Double, source_count> sources;
            for (std::size_t source = 0; source < source_count; ++source) {
                sources[source] = values[source][part];
            }
            totals.add(doubles_per_float<Isa> * vector + part, Terms::of(shift_, sources));
        });
    }

    // Inlined by force, as all that only prefetches: GCC would drop the calls as having no effect.
    NORMGRAPH_ALWAYS_INLINE void prefetch(std::int64_t position) const {
        for (std::size_t source = 0; prefetches_ && source < source_count; ++source) {
            Isa::prefetch_far(at(source, position) + sources_[source].prefetch_distance);
        }
    }

    const std::byte* at(std::size_t source, std::int64_t position) const {
        return rows_[source] + position * static_cast<std::int64_t>(sizeof(Data));
    }

    std::array<SourceTile, source_count> sources_;
    bool prefetches_ = false;
    Double shift_{};
    std::array<const std::byte*, source_count> rows_{};
    const std::byte* mask_row_ = nullptr;
};

/// One run of elements that share their coefficients (rows), or of columns (see ColumnApplication).
template <typename Isa, typename Data, typename Formula, Mask mask>
class RowApplication {
public:
    static void run(const TileExtent& extent, const SourceTile* sources, const MaskTile& bits,
                    const ChannelValues& coefficients, const TargetTile& target) {
        RowApplication application(sources);
        application.is_padded_ = target.is_padded;
        for (std::int64_t channel = 0; channel < extent.channels; ++channel) {
            const Coefficients of_channel = coefficients_of(coefficients, channel);
            for (std::int64_t row = 0; row < extent.rows; ++row) {
                for (std::size_t source = 0; source < source_count; ++source) {
                    const SourceTile& tile = application.sources_[source];
                    application.rows_[source] =
                        tile.address + channel * tile.channel_stride + row * tile.row_stride;
                }
                application.mask_row_ =
                    bits.address + channel * bits.channel_stride + row * bits.row_stride;
                application.target_row_ =
                    target.address + channel * target.channel_stride + row * target.row_stride;
                application.apply_row(extent.length, target.streams, of_channel);
            }
        }
    }

private:
    using Vector = arithmetic_vector_t<Isa, Data>;
    using Coefficients = std::array<Vector, Formula::coefficient_count>;
    static constexpr std::int64_t width = ArithmeticVector<Isa, Data>::width;
    static constexpr std::size_t source_count = Formula::source_count;
    static constexpr auto size = static_cast<std::int64_t>(sizeof(Data));
    static constexpr std::int64_t elements_per_line = cache_line / size;

    explicit RowApplication(const SourceTile* sources) {
        std::copy_n(sources, source_count, sources_.begin());
        prefetches_ = std::ranges::any_of(
            sources_, [](const SourceTile& source) { return source.prefetch_distance != 0; });
    }

    NORMGRAPH_ALWAYS_INLINE static Coefficients coefficients_of(const ChannelValues& all,
                                                                std::int64_t channel) {
        const auto* const values =
            static_cast<const arithmetic_t<Data>*>(all.values) + all.first + channel;
        Coefficients result;
        unrolled<Isa, Formula::coefficient_count>([&](std::size_t index) NORMGRAPH_ALWAYS_INLINE {
            result[index] = Isa::broadcast(values[static_cast<std::int64_t>(index) * all.stride]);
        });
        return result;
    }

    NORMGRAPH_ALWAYS_INLINE void apply_row(std::int64_t length, bool streams,
                                           const Coefficients& coefficients) {
        if (mask == Mask::none && is_padded_ && is_readable(length)) {
            return apply_whole_vectors(length, coefficients);
        }
        std::int64_t head = streams ? elements_before_line() : length;
        // The bits of a mask would no longer begin with a byte.
        if (mask != Mask::none && head != 0) {
            head = length;
        }
        head = std::min(head, length);
        apply_run<false>(0, head, coefficients);
        // Non-temporal stores of incomplete lines take several times longer.
        const std::int64_t lines = (length - head) / elements_per_line * elements_per_line;
        apply_run<true>(head, head + lines, coefficients);
        apply_run<false>(head + lines, length, coefficients);
    }

    /// Whether whole vectors may be read up to the end of the row.
    NORMGRAPH_ALWAYS_INLINE bool is_readable(std::int64_t length) const {
        const std::int64_t rounded = (length + width - 1) / width * width;
        bool all = true;
        for (std::size_t source = 0; source < source_count; ++source) {
            all = all && at(source, rounded) <= sources_[source].readable_end;
        }
        return all;
    }

    /// In short rows the incomplete vector would take longer than the others together.
    NORMGRAPH_ALWAYS_INLINE void apply_whole_vectors(std::int64_t length,
                                                     const Coefficients& coefficients) {
        std::uint32_t bits = 0;
        for (std::int64_t position = 0; position < length; position += width) {
            prefetch(position);
            const Vector result = compute(
                coefficients,
                [&](std::size_t source) { return Isa::load(elements<Data>(at(source, position))); },
                0, bits);
            Isa::store(elements<Data>(target_row_ + position * size), result);
        }
    }

    /// Up to the next cache line of the target; past any row if its elements never begin one.
    std::int64_t elements_before_line() const {
        const auto bytes =
            static_cast<std::int64_t>(-reinterpret_cast<std::uintptr_t>(target_row_) % cache_line);
        return bytes % size == 0 ? bytes / size : std::int64_t{1} << 62;
    }

    template <bool streams>
    NORMGRAPH_ALWAYS_INLINE void apply_run(std::int64_t begin, std::int64_t end,
                                           const Coefficients& coefficients) {
        std::int64_t position = begin;
        for (; position + lanes_per_step <= end; position += lanes_per_step) {
            prefetch(position);
            std::uint32_t bits =
                mask == Mask::reads ? load_mask<Isa>(mask_row_, position, lanes_per_step) : 0;
            for (std::int64_t vector = 0; vector < lanes_per_step / width; ++vector) {
                const std::int64_t first = position + vector * width;
                const Vector result = compute(
                    coefficients,
                    [&](std::size_t source) {
                        return Isa::load(elements<Data>(at(source, first)));
                    },
                    vector * width, bits);
                Data* const target = elements<Data>(target_row_ + first * size);
                streams ? Isa::stream(target, result) : Isa::store(target, result);
            }
            if constexpr (mask == Mask::writes) {
                store_mask<Isa>(mask_row_, position, lanes_per_step, bits);
            }
        }
        if (position < end) {
            prefetch(position);
            apply_remainder(position, end - position, coefficients);
        }
    }

    NORMGRAPH_ALWAYS_INLINE void apply_remainder(std::int64_t position, std::int64_t count,
                                                 const Coefficients& coefficients) {
        std::uint32_t bits = mask == Mask::reads ? load_mask<Isa>(mask_row_, position, count) : 0;
        for (std::int64_t done = 0; done < count; done += width) {
            const std::int64_t first = position + done;
            const std::int64_t present = std::min(width, count - done);
            const Vector result = compute(
                coefficients,
                [&](std::size_t source) {
                    return present == width ? Isa::load(elements<Data>(at(source, first)))
                                            : load_some<Isa, Data>(at(source, first), present,
                                                                   sources_[source].readable_end);
                },
                done, bits);
            std::byte* const target = target_row_ + first * size;
            present == width || is_padded_ ? Isa::store(elements<Data>(target), result)
                                           : store_some<Isa, Data>(target, result, present);
        }
        if constexpr (mask == Mask::writes) {
            store_mask<Isa>(mask_row_, position, count, bits & lowest_bits(count));
        }
    }

    /// `lane`: where the vector begins in `bits`, which are read or written.
    template <typename Load>
    NORMGRAPH_ALWAYS_INLINE Vector compute(const Coefficients& coefficients, const Load& load,
                                           std::int64_t lane, std::uint32_t& bits) const {
        std::array<Vector, source_count> values;
        for (std::size_t source = 0; source < source_count; ++source) {
            values[source] = load(source);
        }
        return apply_formula<Isa, Data, Formula, mask>(coefficients, values, lane, bits);
    }

    NORMGRAPH_ALWAYS_INLINE void prefetch(std::int64_t position) const {
        for (std::size_t source = 0; prefetches_ && source < source_count; ++source) {
            Isa::prefetch_far(at(source, position) + sources_[source].prefetch_distance);
        }
    }

    const std::byte* at(std::size_t source, std::int64_t position) const {
        return rows_[source] + position * size;
    }

    std::array<SourceTile, source_count> sources_;
    bool prefetches_ = false;
    bool is_padded_ = false;
    std::array<const std::byte*, source_count> rows_{};
    std::byte* mask_row_ = nullptr;
    std::byte* target_row_ = nullptr;
};

}  // namespace normgraph::kernel::simd
