#pragma once

// Memory traffic: each source is read once; apply writes the target once.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "normgraph/kernel/simd/instruction_sets/inlining.hpp"
#include "normgraph/kernel/simd/micro_kernels/contract.hpp"
#include "normgraph/kernel/simd/micro_kernels/elements.hpp"
#include "normgraph/kernel/simd/micro_kernels/terms_and_formulas.hpp"
#include "normgraph/kernel/tuning.hpp"

/// Along rows of one channel each: coefficients stay in registers, as do the sums.
namespace normgraph::kernel::simd {

/// Adds the upper half of the lanes onto the lower one until one is left.
template <typename Isa, std::size_t count>
NORMGRAPH_ALWAYS_INLINE inline double fold_vectors(
    std::array<typename Isa::Double, count> vectors) {
    const auto halve = [&]<std::size_t half>() NORMGRAPH_ALWAYS_INLINE {
        if constexpr (half < count) {
            unrolled<Isa, half>([&](std::size_t index) NORMGRAPH_ALWAYS_INLINE {
                vectors[index] = vectors[index] + vectors[index + half];
            });
        }
    };
    halve.template operator()<8>();
    halve.template operator()<4>();
    halve.template operator()<2>();
    halve.template operator()<1>();
    alignas(64) std::array<double, static_cast<std::size_t>(Isa::double_width)> lanes;
    Isa::store(lanes.data(), vectors[0]);
    for (std::size_t half = lanes.size() / 2; half > 0; half /= 2) {
        for (std::size_t lane = 0; lane < half; ++lane) {
            lanes[lane] += lanes[lane + half];
        }
    }
    return lanes[0];
}

/// The accumulators of one channel: a step's lanes for each sum. In memory they lie in their order;
/// with pairs, vectors 2k and 2k + 1 have the lanes of even and of odd number.
template <typename Isa, typename Data, bool are_pairs = false>
class LaneSums {
public:
    using Vector = term_vector_t<Isa, Data>;

    NORMGRAPH_ALWAYS_INLINE void load(const term_t<Data>* lanes) {
        unrolled<Isa, vectors>([&](std::size_t index) NORMGRAPH_ALWAYS_INLINE {
            if constexpr (are_pairs) {
                sums_[index] = Isa::load_pair(lanes + index / 2 * 2 * width)[index % 2];
            } else {
                sums_[index] = Isa::load(lanes + index * width);
            }
        });
    }
    NORMGRAPH_ALWAYS_INLINE void store(term_t<Data>* lanes) const {
        unrolled<Isa, vectors>([&](std::size_t index) NORMGRAPH_ALWAYS_INLINE {
            Isa::store(lanes + index * width, in_order(index));
        });
    }
    NORMGRAPH_ALWAYS_INLINE void clear() {
        unrolled<Isa, vectors>([&](std::size_t index) NORMGRAPH_ALWAYS_INLINE {
            sums_[index] = Isa::broadcast(term_t<Data>{0});
        });
    }
    /// The terms of the vector-th vector of a step.
    NORMGRAPH_ALWAYS_INLINE void add(std::size_t vector, const Term<Vector>& term) {
        Vector& values = sums_[vector];
        Vector& products = sums_[vectors_per_sum + vector];
        values = accumulate<Isa>(values, term.value);
        products = fused_multiply_add(term.value, term.factor, products);
    }
    /// Adds the sums of chains to the totals, and begins new ones. The first chains of a block set
    /// the totals.
    NORMGRAPH_ALWAYS_INLINE void end_chains(double* totals, bool are_first) {
        unrolled<Isa, vectors>([&](std::size_t index) NORMGRAPH_ALWAYS_INLINE {
            const auto ended = with_chains(index, are_first ? nullptr : totals);
            unrolled<Isa, doubles_per_float<Isa>>([&](std::size_t part) NORMGRAPH_ALWAYS_INLINE {
                Isa::store(totals + index * width + part * double_width, ended[part]);
            });
        });
        clear();
    }

    /// Adds the upper half of the lanes onto the lower one until one is left: of doubles.
    template <std::size_t sum>
    NORMGRAPH_ALWAYS_INLINE double folded() const {
        std::array<Vector, vectors_per_sum> own;
        unrolled<Isa, vectors_per_sum>([&](std::size_t index) NORMGRAPH_ALWAYS_INLINE {
            own[index] = sums_[sum * vectors_per_sum + index];
        });
        return fold_vectors<Isa, vectors_per_sum>(own);
    }

    /// As folded(), of the totals and of the last chains; `totals` is null where these are the
    /// first, as in a small block, which then takes no memory.
    template <std::size_t sum>
    NORMGRAPH_ALWAYS_INLINE double folded_with_chains(const double* totals) const {
        constexpr std::size_t parts = doubles_per_float<Isa>;
        std::array<typename Isa::Double, parts * vectors_per_sum> own;
        unrolled<Isa, vectors_per_sum>([&](std::size_t index) NORMGRAPH_ALWAYS_INLINE {
            const auto ended = with_chains(sum * vectors_per_sum + index, totals);
            unrolled<Isa, parts>([&](std::size_t part) NORMGRAPH_ALWAYS_INLINE {
                own[parts * index + part] = ended[part];
            });
        });
        return fold_vectors<Isa, parts * vectors_per_sum>(own);
    }

private:
    /// The vector of lanes in their order.
    NORMGRAPH_ALWAYS_INLINE Vector in_order(std::size_t index) const {
        if constexpr (are_pairs) {
            const std::size_t first = index / 2 * 2;
            return Isa::interleaved({sums_[first], sums_[first + 1]})[index % 2];
        } else {
            return sums_[index];
        }
    }

    /// The totals of one vector's lanes, 0 if there are none yet, and the sums of its chains.
    NORMGRAPH_ALWAYS_INLINE WideOf<Isa> with_chains(std::size_t index, const double* totals) const {
        WideOf<Isa> result = Isa::widen(in_order(index));
        unrolled<Isa, doubles_per_float<Isa>>([&](std::size_t part) NORMGRAPH_ALWAYS_INLINE {
            // Not left out where it is 0: the sum of a chain may be -0, the product of two small
            // elements, which a total never is.
            const typename Isa::Double total =
                totals == nullptr ? Isa::broadcast(0.0)
                                  : Isa::load(totals + index * width + part * double_width);
            result[part] = total + result[part];
        });
        return result;
    }

    static constexpr auto double_width = static_cast<std::size_t>(Isa::double_width);
    static constexpr auto width = static_cast<std::size_t>(term_width<Isa, Data>);
    static constexpr std::size_t vectors_per_sum = lanes_of<Data> / width;
    static constexpr std::size_t vectors = sum_count * vectors_per_sum;
    std::array<Vector, vectors> sums_;
};

/// Sets a channel's node from its sums; `totals` as in LaneSums::folded_with_chains.
template <typename Isa, typename Data, bool are_pairs>
NORMGRAPH_ALWAYS_INLINE inline void set_node(const LaneSums<Isa, Data, are_pairs>& lane_sums,
                                             const double* totals, const SumTile& sums,
                                             std::int64_t channel) {
    double* const node = sums.node + channel;
    if constexpr (sizeof(Data) == 2) {
        node[0] = lane_sums.template folded_with_chains<0>(totals);
        node[sums.sum_stride] = lane_sums.template folded_with_chains<1>(totals);
    } else {
        node[0] = lane_sums.template folded<0>();
        node[sums.sum_stride] = lane_sums.template folded<1>();
    }
}

/// See FoldRows.
template <typename Isa, typename Data>
void fold_rows(const SumTile& sums, std::int64_t channels) {
    constexpr std::int64_t lanes = lanes_of<Data>;
    for (std::int64_t channel = 0; channel < channels; ++channel) {
        const std::int64_t first = channel * sums_per_channel * lanes;
        LaneSums<Isa, Data> lane_sums;
        lane_sums.load(static_cast<const term_t<Data>*>(sums.sums) + first);
        const double* const totals = sums.totals == nullptr ? nullptr : sums.totals + first;
        set_node(lane_sums, totals, sums, channel);
    }
}

template <typename Isa, typename Data, typename Terms, Mask mask>
class RowReduction {
public:
    static void run(const TileExtent& extent, const SourceTile* sources, const MaskTile& bits,
                    const void* shifts, const SumTile& sums) {
        RowReduction reduction(sources);
        for (std::int64_t channel = 0; channel < extent.channels; ++channel) {
            constexpr std::int64_t lanes_per_channel = sums_per_channel * lanes;
            reduction.shift_ = Isa::broadcast(static_cast<const term_t<Data>*>(shifts)[channel]);
            Sums lane_sums;
            if (sums.node != nullptr) {
                reduction.add_block(extent, bits, channel, lane_sums);
                set_node(lane_sums, reduction.totals(), sums, channel);
                continue;
            }
            reduction.totals_ = sums.totals + channel * lanes_per_channel;
            reduction.step_ = sums.first_step;
            auto* const in_memory =
                static_cast<term_t<Data>*>(sums.sums) + channel * lanes_per_channel;
            lane_sums.load(in_memory);
            reduction.add_channel(extent, bits, channel, lane_sums);
            lane_sums.store(in_memory);
        }
    }

private:
    using Vector = term_vector_t<Isa, Data>;
    static constexpr std::size_t source_count = Terms::source_count;
    static constexpr std::int64_t width = Isa::float_width;
    static constexpr std::int64_t lanes = lanes_of<Data>;
    static constexpr bool has_chains = sizeof(Data) == 2;
    /// The bits of a mask are in the elements' order.
    static constexpr bool takes_pairs = has_pairs<Isa, Data> && !has_bits(mask);
    static constexpr std::int64_t unit_width = takes_pairs ? 2 * width : width;
    using Sums = LaneSums<Isa, Data, takes_pairs>;

    explicit RowReduction(const SourceTile* sources) {
        // Copied, since the compiler must assume that storing sums changes what pointers point to.
        std::copy_n(sources, source_count, sources_.begin());
        prefetches_ = std::ranges::any_of(
            sources_, [](const SourceTile& source) { return source.prefetch_distance != 0; });
    }

    /// Sets the sums of a channel's block.
    NORMGRAPH_ALWAYS_INLINE void add_block(const TileExtent& extent, const MaskTile& bits,
                                           std::int64_t channel, Sums& sums) {
        sums.clear();
        step_ = 0;
        totals_ = block_totals_.data();
        add_channel(extent, bits, channel, sums);
    }

    /// Null while the chains are the block's first.
    const double* totals() const { return step_ > steps_per_chain ? totals_ : nullptr; }

    NORMGRAPH_ALWAYS_INLINE void add_channel(const TileExtent& extent, const MaskTile& bits,
                                             std::int64_t channel, Sums& sums) {
        for (std::int64_t row = 0; row < extent.rows; ++row) {
            for (std::size_t source = 0; source < source_count; ++source) {
                const SourceTile& tile = sources_[source];
                rows_[source] =
                    tile.address + channel * tile.channel_stride + row * tile.row_stride;
            }
            mask_row_ = bits.address + channel * bits.channel_stride + row * bits.row_stride;
            add_row(extent.length, sums);
        }
    }

    NORMGRAPH_ALWAYS_INLINE void add_row(std::int64_t length, Sums& sums) {
        const std::int64_t end = length / lanes * lanes;
        for (std::int64_t position = 0; position < end;) {
            begin_steps(sums);
            const std::int64_t steps = std::min((end - position) / lanes, steps_left_in_chain());
            for (const std::int64_t stop = position + steps * lanes; position < stop;
                 position += lanes) {
                prefetch(position);
                add_step(position, sums);
            }
            step_ += steps;
        }
        if (end < length) {
            begin_steps(sums);
            prefetch(end);
            add_remainder(end, length - end, sums);
            ++step_;
        }
    }

    std::int64_t steps_left_in_chain() const {
        return has_chains ? steps_per_chain - step_ % steps_per_chain : std::int64_t{1} << 62;
    }
    /// Chains end when the next ones begin, so that the last ones of a block stay in registers.
    NORMGRAPH_ALWAYS_INLINE void begin_steps(Sums& sums) const {
        if constexpr (has_chains) {
            if (step_ != 0 && step_ % steps_per_chain == 0) {
                sums.end_chains(totals_, step_ == steps_per_chain);
            }
        }
    }

    NORMGRAPH_ALWAYS_INLINE void add_step(std::int64_t position, Sums& sums) {
        constexpr std::size_t units = lanes / unit_width;
        unrolled<Isa, units>([&](std::size_t unit) NORMGRAPH_ALWAYS_INLINE {
            add_unit(unit, position + static_cast<std::int64_t>(unit) * unit_width, sums);
        });
    }

    /// One vector, or a pair.
    NORMGRAPH_ALWAYS_INLINE void add_unit(std::size_t unit, std::int64_t position, Sums& sums) {
        if constexpr (takes_pairs) {
            add_pair(
                unit, sums,
                [&](std::size_t source) NORMGRAPH_ALWAYS_INLINE {
                    return Isa::load_pair(elements<Data>(at(source, position)));
                },
                [](const Term<Vector>& term, std::size_t /*half*/) { return term; });
        } else {
            add_vector(unit, position, sums);
        }
    }

    /// `finish(term, half)`: of the elements of even number (half 0), then of odd number.
    template <typename Load, typename Finish>
    NORMGRAPH_ALWAYS_INLINE void add_pair(std::size_t pair, Sums& sums, const Load& load,
                                          const Finish& finish) {
        std::array<std::array<Vector, 2>, source_count> values;
        for (std::size_t source = 0; source < source_count; ++source) {
            values[source] = load(source);
        }
        unrolled<Isa, 2>([&](std::size_t half) NORMGRAPH_ALWAYS_INLINE {
            std::array<Vector, source_count> sources;
            for (std::size_t source = 0; source < source_count; ++source) {
                sources[source] = values[source][half];
            }
            sums.add(2 * pair + half, finish(Terms::of(shift_, sources), half));
        });
    }

    NORMGRAPH_ALWAYS_INLINE void add_vector(std::size_t vector, std::int64_t position, Sums& sums) {
        std::array<TermVectors<Isa, Data>, source_count> values;
        for (std::size_t source = 0; source < source_count; ++source) {
            values[source] = load_terms<Isa, Data>(at(source, position));
        }
        if constexpr (mask == Mask::reads) {
            values.back() =
                zero_mask<Isa>(values.back(), load_mask<Isa>(mask_row_, position, width));
        }
        unrolled<Isa, term_parts<Isa, Data>>([&](std::size_t part) NORMGRAPH_ALWAYS_INLINE {
            std::array<Vector, source_count> sources;
            for (std::size_t source = 0; source < source_count; ++source) {
                sources[source] = values[source][part];
            }
            sums.add(term_parts<Isa, Data> * vector + part, Terms::of(shift_, sources));
        });
    }

    NORMGRAPH_ALWAYS_INLINE void add_remainder(std::int64_t position, std::int64_t count,
                                               Sums& sums) {
        constexpr std::size_t units = lanes / unit_width;
        unrolled<Isa, units>([&](std::size_t unit) NORMGRAPH_ALWAYS_INLINE {
            const std::int64_t before = static_cast<std::int64_t>(unit) * unit_width;
            if (count - before >= unit_width) {
                add_unit(unit, position + before, sums);
            } else if (count > before) {
                add_partial_unit(unit, position + before, count - before, sums);
            }
        });
    }

    NORMGRAPH_ALWAYS_INLINE void add_partial_unit(std::size_t unit, std::int64_t position,
                                                  std::int64_t count, Sums& sums) {
        if constexpr (takes_pairs) {
            add_pair(
                unit, sums,
                [&](std::size_t source) NORMGRAPH_ALWAYS_INLINE {
                    return load_pair_some<Isa, Data>(at(source, position), count,
                                                     sources_[source].readable_end);
                },
                [&](const Term<Vector>& term, std::size_t half) NORMGRAPH_ALWAYS_INLINE {
                    const std::int64_t present = (count + 1 - static_cast<std::int64_t>(half)) / 2;
                    return zero_mask<Isa, Data>(term, lowest_bits(present));
                });
        } else {
            add_partial_vector(unit, position, count, sums);
        }
    }

    NORMGRAPH_ALWAYS_INLINE void add_partial_vector(std::size_t vector, std::int64_t position,
                                                    std::int64_t count, Sums& sums) {
        const std::uint32_t masked =
            mask == Mask::reads ? load_mask<Isa>(mask_row_, position, count) : 0;
        unrolled<Isa, term_parts<Isa, Data>>([&](std::size_t part) NORMGRAPH_ALWAYS_INLINE {
            const std::int64_t before = static_cast<std::int64_t>(part) * term_width<Isa, Data>;
            if (before >= count) {
                return;
            }
            std::array<Vector, source_count> sources;
            for (std::size_t source = 0; source < source_count; ++source) {
                sources[source] = load_term_vector_some<Isa, Data>(
                    at(source, position + before), count - before, sources_[source].readable_end);
            }
            if constexpr (mask == Mask::reads) {
                sources.back() = Isa::zero_mask(sources.back(), masked >> before);
            }
            sums.add(
                term_parts<Isa, Data> * vector + part,
                zero_mask<Isa, Data>(Terms::of(shift_, sources), lowest_bits(count) >> before));
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
    Vector shift_{};
    std::array<const std::byte*, source_count> rows_{};
    const std::byte* mask_row_ = nullptr;
    double* totals_ = nullptr;
    std::int64_t step_ = 0;
    /// Not cleared: the first chains set them.
    alignas(64) std::array<double, has_chains ? sums_per_channel * lanes : 1> block_totals_;
};

/// One run of elements that share their coefficients (rows), or of columns (see ColumnApplication).
template <typename Isa, typename Data, typename Formula, Mask mask>
class RowApplication {
public:
    static void run(const TileExtent& extent, const SourceTile* sources, const MaskTile& bits,
                    const ChannelValues& coefficients, const TargetTile& target) {
        RowApplication application(sources);
        std::int64_t channel = application.apply_whole_vectors(extent, coefficients, target);
        for (; channel < extent.channels; ++channel) {
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
    /// The bits of a mask are in the elements' order.
    using Units = Unit<Isa, Data, has_pairs<Isa, Data> && !has_bits(mask)>;
    static constexpr std::int64_t step = std::max(elements_per_step, Units::width);

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
        std::int64_t head = streams ? elements_before_line() : length;
        // The bits of a mask would no longer begin with a byte.
        if (has_bits(mask) && head != 0) {
            head = length;
        }
        head = std::min(head, length);
        apply_run<false>(0, head, coefficients);
        // Non-temporal stores of incomplete lines take several times longer.
        const std::int64_t lines = (length - head) / elements_per_line * elements_per_line;
        apply_run<true>(head, head + lines, coefficients);
        apply_run<false>(head + lines, length, coefficients);
    }

    /// Of channels of one row each, the first ones, where whole vectors may be read and written
    /// beyond the ends of rows: in short rows the incomplete vector would take longer than the
    /// others together. Returns how many.
    NORMGRAPH_ALWAYS_INLINE std::int64_t apply_whole_vectors(const TileExtent& extent,
                                                             const ChannelValues& coefficients,
                                                             const TargetTile& target) {
        if (has_bits(mask) || target.streams || extent.rows != 1) {
            return 0;
        }
        const std::int64_t units = (extent.length + Units::width - 1) / Units::width;
        const std::int64_t bytes = units * Units::width * size;
        std::int64_t count = rows_with_room(extent.channels, bytes, target.address,
                                            target.channel_stride, target.writable_end);
        for (const SourceTile& source : sources_) {
            count = rows_with_room(count, bytes, source.address, source.channel_stride,
                                   source.readable_end);
        }
        prefetches_ ? apply_rows<true>(count, bytes, coefficients, target)
                    : apply_rows<false>(count, bytes, coefficients, target);
        return count;
    }

    /// How many of the rows have so many bytes before the end of what may be touched: at most
    /// `most`, and the first ones.
    static std::int64_t rows_with_room(std::int64_t most, std::int64_t bytes,
                                       const std::byte* address, std::int64_t stride,
                                       const std::byte* end) {
        const std::int64_t room = end == nullptr ? -1 : end - address - bytes;
        if (room < 0) {
            return 0;
        }
        return stride <= 0 ? most : std::min(most, room / stride + 1);
    }

    template <bool prefetches>
    NORMGRAPH_ALWAYS_INLINE void apply_rows(std::int64_t count, std::int64_t bytes,
                                            const ChannelValues& coefficients,
                                            const TargetTile& target) const {
        std::array<const std::byte*, source_count> rows;
        for (std::size_t source = 0; source < source_count; ++source) {
            rows[source] = sources_[source].address;
        }
        std::byte* target_row = target.address;
        std::uint32_t bits = 0;
        for (std::int64_t channel = 0; channel < count; ++channel) {
            const Coefficients of_channel = coefficients_of(coefficients, channel);
            for (std::int64_t offset = 0; offset < bytes; offset += Units::width * size) {
                for (std::size_t source = 0; prefetches && source < source_count; ++source) {
                    Isa::prefetch_far(rows[source] + offset + sources_[source].prefetch_distance);
                }
                apply_unit<false>(rows, offset, target_row, of_channel, 0, bits);
            }
            for (std::size_t source = 0; source < source_count; ++source) {
                rows[source] += sources_[source].channel_stride;
            }
            target_row += target.channel_stride;
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
        for (; position + step <= end; position += step) {
            prefetch(position);
            std::uint32_t bits =
                mask == Mask::reads ? load_mask<Isa>(mask_row_, position, step) : 0;
            for (std::int64_t unit = 0; unit < step; unit += Units::width) {
                apply_unit<streams>(rows_, (position + unit) * size, target_row_, coefficients,
                                    unit, bits);
            }
            if constexpr (is_written(mask)) {
                store_mask<Isa>(mask_row_, position, step, bits);
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
            present == width ? Isa::store(elements<Data>(target), result)
                             : store_some<Isa, Data>(target, result, present);
        }
        if constexpr (is_written(mask)) {
            store_mask<Isa>(mask_row_, position, count, bits & lowest_bits(count));
        }
    }

    /// At the offset in each row. `lane`: where the elements begin in `bits`, which are read or
    /// written.
    template <bool streams>
    NORMGRAPH_ALWAYS_INLINE void apply_unit(const std::array<const std::byte*, source_count>& rows,
                                            std::int64_t offset, std::byte* target_row,
                                            const Coefficients& coefficients, std::int64_t lane,
                                            std::uint32_t& bits) const {
        std::array<typename Units::Vectors, source_count> values;
        for (std::size_t source = 0; source < source_count; ++source) {
            values[source] = Units::load(elements<Data>(rows[source] + offset));
        }
        typename Units::Vectors results;
        unrolled<Isa, Units::vectors>([&](std::size_t vector) NORMGRAPH_ALWAYS_INLINE {
            results[vector] = compute(
                coefficients, [&](std::size_t source) { return values[source][vector]; },
                lane + static_cast<std::int64_t>(vector) * width, bits);
        });
        Units::template store<streams>(elements<Data>(target_row + offset), results);
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
    std::array<const std::byte*, source_count> rows_{};
    std::byte* mask_row_ = nullptr;
    std::byte* target_row_ = nullptr;
};

}  // namespace normgraph::kernel::simd
