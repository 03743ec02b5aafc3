#pragma once

// Memory traffic: each source is read once; apply writes the target once.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "normgraph/kernel/simd/instruction_sets/inlining.hpp"
#include "normgraph/kernel/simd/micro_kernels/contract.hpp"
#include "normgraph/kernel/simd/micro_kernels/elements.hpp"
#include "normgraph/kernel/simd/micro_kernels/terms_and_formulas.hpp"
#include "normgraph/kernel/tuning.hpp"

/// Along rows that run across the channels: every column has sums and coefficients of its own. A
/// few rows are taken at a time, so that those are loaded once for all of them.
namespace normgraph::kernel::simd {

struct RowsAtATime {
    std::int64_t count;
    bool prefetches;
};

template <typename Isa, typename Data>
constexpr RowsAtATime rows_at_a_time(std::int64_t columns, std::size_t source_count,
                                     bool have_gaps) {
    const std::int64_t row_bytes = columns * static_cast<std::int64_t>(sizeof(Data));
    const std::int64_t bytes = row_bytes * static_cast<std::int64_t>(source_count);
    if (source_count == 2 && sizeof(Data) > 2 && !have_gaps && row_bytes >= shortest_single_row &&
        columns <= most_single_columns) {
        return {1, false};
    }
    if (row_bytes <= short_row_bytes) {
        return {4, have_gaps};
    }
    if (4 * bytes <= most_prefetched_bytes) {
        return {4, true};
    }
    if (2 * bytes <= most_prefetched_bytes) {
        return {2, true};
    }
    return {4, false};
}

constexpr bool is_one_short_row(std::int64_t row_bytes, std::size_t source_count) {
    return source_count == 1 && row_bytes <= short_row_bytes;
}

/// How far ahead rows that follow each other are prefetched while they are summed; 0 if they are
/// not. `from_memory`: the distance for those that are in no cache, all sources together, or 0.
constexpr std::int64_t bytes_ahead(std::int64_t row_bytes, std::size_t source_count,
                                   std::int64_t from_memory) {
    const auto count = static_cast<std::int64_t>(source_count);
    if (from_memory == 0) {
        return is_one_short_row(row_bytes, source_count) ? short_rows_ahead_bytes : 0;
    }
    const bool are_followed = count == 2 && row_bytes <= longest_followed_row_of_two;
    return are_followed || count * row_bytes > longest_rows_from_memory ? 0 : from_memory / count;
}

/// As rows_at_a_time, where nothing is summed, and the target is written by non-temporal stores or
/// not.
template <typename Isa, typename Data>
constexpr RowsAtATime rows_applied_at_a_time(std::int64_t columns, std::size_t source_count,
                                             bool have_gaps, bool streams) {
    const std::int64_t row_bytes = columns * static_cast<std::int64_t>(sizeof(Data));
    const bool reads_one =
        source_count == 2 && sizeof(Data) > 2 && !have_gaps && row_bytes >= shortest_single_row;
    const bool is_short = row_bytes > longest_followed_row_of_two && row_bytes <= short_row_bytes;
    const bool streams_one =
        streams && (row_bytes > longest_of_two_streamed_rows || (is_short && !have_gaps));
    if (reads_one || streams_one) {
        return {1, false};
    }
    if (streams && row_bytes > longest_of_four_streamed_rows) {
        return {2, true};
    }
    return rows_at_a_time<Isa, Data>(columns, source_count, have_gaps);
}

/// Prefetches the rows behind these, or for their part that corresponds to `count` bytes from
/// `offset` on of these: in sequence if rows follow each other, else in each of them.
template <typename Isa, std::int64_t row_count, std::int64_t count>
NORMGRAPH_ALWAYS_INLINE inline void prefetch_rows(const SourceTile& source, std::int64_t row,
                                                  std::int64_t offset, bool have_gaps) {
    const std::byte* const first = source.address + (row + row_count) * source.row_stride;
    if (have_gaps) {
        const std::byte* const far = first + rows_ahead * source.row_stride;
        for (std::int64_t next = 0; next < row_count; ++next) {
            Isa::prefetch_far(far + next * source.row_stride + offset);
        }
        return;
    }
    for (std::int64_t line = 0; line < row_count * count; line += 64) {
        Isa::prefetch(first + row_count * offset + line);
    }
}

/// Whether there is other memory between the rows of a source.
template <typename Data, std::size_t count>
NORMGRAPH_ALWAYS_INLINE inline bool have_gaps(const TileExtent& extent,
                                              const std::array<SourceTile, count>& sources) {
    bool any = false;
    for (const SourceTile& source : sources) {
        any = any || source.row_stride != extent.length * static_cast<std::int64_t>(sizeof(Data));
    }
    return any;
}

/// Calls function.template operator()<row_count, prefetches>(row) for all rows, a few at a time.
template <typename Function>
NORMGRAPH_ALWAYS_INLINE inline void for_rows(const TileExtent& extent, const RowsAtATime& choice,
                                             const Function& function) {
    std::int64_t row = 0;
    const auto take = [&]<std::int64_t row_count, bool prefetches>() NORMGRAPH_ALWAYS_INLINE {
        for (; row + row_count <= extent.rows; row += row_count) {
            function.template operator()<row_count, prefetches>(row);
        }
    };
    if (choice.count == 4) {
        choice.prefetches ? take.template operator()<4, true>()
                          : take.template operator()<4, false>();
    } else if (choice.count == 2) {
        take.template operator()<2, true>();
    }
    take.template operator()<1, false>();
}

template <typename Isa, typename Data, typename Terms, Mask mask>
class ColumnReduction {
public:
    static void run(const TileExtent& extent, const SourceTile* sources, const MaskTile& bits,
                    const void* shifts, const SumTile& sums) {
        ColumnReduction reduction(sources, bits, shifts, sums);
        reduction.have_gaps_ = have_gaps<Data>(extent, reduction.sources_);
        reduction.bytes_ahead_ =
            reduction.have_gaps_
                ? 0
                : bytes_ahead(extent.length * size, source_count, sources[0].prefetch_distance);
        for_rows(extent, reduction.rows_at_a_time(extent.length),
                 [&]<std::int64_t row_count, bool prefetches>(std::int64_t row)
                     NORMGRAPH_ALWAYS_INLINE {
                         reduction.template add_rows<row_count, prefetches>(row, extent.length);
                     });
    }

private:
    using Sum = term_t<Data>;
    using Vector = term_vector_t<Isa, Data>;
    static constexpr std::size_t source_count = Terms::source_count;
    static constexpr std::int64_t width = Isa::float_width;
    static constexpr std::size_t parts = term_parts<Isa, Data>;
    static constexpr auto part_width = static_cast<std::size_t>(term_width<Isa, Data>);
    static constexpr auto size = static_cast<std::int64_t>(sizeof(Data));

    ColumnReduction(const SourceTile* sources, const MaskTile& bits, const void* shifts,
                    const SumTile& sums)
        : mask_(bits), shifts_(static_cast<const Sum*>(shifts)), sums_(sums) {
        std::copy_n(sources, source_count, sources_.begin());
    }

    template <std::int64_t row_count, bool prefetches>
    NORMGRAPH_ALWAYS_INLINE void add_rows(std::int64_t row, std::int64_t columns) {
        std::int64_t column = 0;
        if (row_count > 1 && bytes_ahead_ != 0) {
            prefetch_rows_ahead<row_count>(row, columns * size);
        }
        for (; column + width <= columns; column += width) {
            for (std::size_t source = 0; prefetches && source < source_count; ++source) {
                prefetch_rows<Isa, row_count, width * size>(sources_[source], row, column * size,
                                                            have_gaps_);
            }
            add_columns<row_count, false>(
                row, column, width,
                [&](std::size_t source, std::int64_t r) NORMGRAPH_ALWAYS_INLINE {
                    return load_terms<Isa, Data>(at(source, row + r, column));
                });
        }
        if (column < columns) {
            add_last_columns<row_count>(row, column, columns - column);
        }
    }

    /// Fewer than fill a vector. Whole vectors are loaded as long as memory goes on behind them,
    /// which is asked once for all rows.
    template <std::int64_t row_count>
    NORMGRAPH_ALWAYS_INLINE void add_last_columns(std::int64_t row, std::int64_t column,
                                                  std::int64_t count) {
        if (!are_vectors_readable(row, row + row_count - 1, column)) {
            add_last_columns_at_the_end(*this, row, row_count, column, count);
            return;
        }
        add_columns<row_count, true>(
            row, column, count, [&](std::size_t source, std::int64_t r) NORMGRAPH_ALWAYS_INLINE {
                return load_terms<Isa, Data>(at(source, row + r, column));
            });
    }

    NORMGRAPH_NEVER_INLINE static void add_last_columns_at_the_end(ColumnReduction reduction,
                                                                   std::int64_t row,
                                                                   std::int64_t row_count,
                                                                   std::int64_t column,
                                                                   std::int64_t count) {
        for (std::int64_t last = row + row_count; row < last; ++row) {
            reduction.template add_columns<1, true>(
                row, column, count,
                [&](std::size_t source, std::int64_t /*r*/) NORMGRAPH_ALWAYS_INLINE {
                    return load_terms_some<Isa, Data>(reduction.at(source, row, column), count,
                                                      reduction.sources_[source].readable_end);
                });
        }
    }

    /// Whether there is memory for a vector at this column of these rows and of those between.
    NORMGRAPH_ALWAYS_INLINE bool are_vectors_readable(std::int64_t row, std::int64_t last_row,
                                                      std::int64_t column) const {
        bool are = true;
        for (std::size_t source = 0; source < source_count; ++source) {
            const std::byte* const end =
                std::max(at(source, row, column), at(source, last_row, column)) + width * size;
            are = are && end <= sources_[source].readable_end;
        }
        return are;
    }

    template <std::int64_t row_count, bool is_partial, typename Load>
    NORMGRAPH_ALWAYS_INLINE void add_columns(std::int64_t row, std::int64_t column,
                                             std::int64_t count, const Load& load) {
        const TermVectors<Isa, Data> shift = load_sums<Isa, Data>(shifts_ + column);
        TermVectors<Isa, Data> values_sum = load_sums<Isa, Data>(sums_at(0, column));
        TermVectors<Isa, Data> products_sum = load_sums<Isa, Data>(sums_at(1, column));
        unrolled<Isa, row_count>([&](std::size_t index) NORMGRAPH_ALWAYS_INLINE {
            const auto r = static_cast<std::int64_t>(index);
            std::array<TermVectors<Isa, Data>, source_count> values;
            for (std::size_t source = 0; source < source_count; ++source) {
                values[source] = load(source, r);
            }
            if constexpr (mask == Mask::reads) {
                values.back() =
                    zero_mask<Isa>(values.back(), load_mask<Isa>(mask_row(row + r), column, count));
            }
            unrolled<Isa, parts>([&](std::size_t part) NORMGRAPH_ALWAYS_INLINE {
                std::array<Vector, source_count> sources;
                for (std::size_t source = 0; source < source_count; ++source) {
                    sources[source] = values[source][part];
                }
                // NOLINTNEXTLINE(misc-const-correctness): it changes if is_partial
                Term<Vector> term = Terms::of(shift[part], sources);
                // An incomplete row of columns must leave the sums of the missing ones alone: they
                // are lanes of other rows.
                if constexpr (is_partial) {
                    term = zero_mask<Isa, Data>(term, lowest_bits(count) >> part * part_width);
                }
                values_sum[part] = accumulate<Isa>(values_sum[part], term.value);
                products_sum[part] =
                    fused_multiply_add(term.value, term.factor, products_sum[part]);
            });
        });
        unrolled<Isa, parts>([&](std::size_t part) NORMGRAPH_ALWAYS_INLINE {
            Isa::store(sums_at(0, column) + part * part_width, values_sum[part]);
            Isa::store(sums_at(1, column) + part * part_width, products_sum[part]);
        });
    }

    /// Two rows, if they are prefetched from memory and not short ones of one source.
    RowsAtATime rows_at_a_time(std::int64_t columns) const {
        const RowsAtATime choice =
            simd::rows_at_a_time<Isa, Data>(columns, source_count, have_gaps_);
        const bool are_two = choice.count > 1 && bytes_ahead_ != 0 &&
                             !is_one_short_row(columns * size, source_count);
        return are_two ? RowsAtATime{2, true} : choice;
    }

    template <std::int64_t row_count>
    NORMGRAPH_ALWAYS_INLINE void prefetch_rows_ahead(std::int64_t row, std::int64_t bytes) const {
        for (const SourceTile& source : sources_) {
            const std::byte* const ahead = source.address + row * source.row_stride + bytes_ahead_;
            for (std::int64_t line = 0; line < row_count * bytes; line += cache_line) {
                Isa::prefetch_far(ahead + line);
            }
        }
    }

    Sum* sums_at(std::int64_t sum, std::int64_t column) const {
        return static_cast<Sum*>(sums_.sums) + sum * sums_.sum_stride + column;
    }
    const std::byte* at(std::size_t source, std::int64_t row, std::int64_t column) const {
        return sources_[source].address + row * sources_[source].row_stride + column * size;
    }
    const std::byte* mask_row(std::int64_t row) const {
        return mask_.address + row * mask_.row_stride;
    }

    std::array<SourceTile, source_count> sources_;
    bool have_gaps_ = false;
    std::int64_t bytes_ahead_ = 0;
    MaskTile mask_;
    const Sum* shifts_;
    SumTile sums_;
};

template <typename Isa, typename Data, typename Formula, Mask mask>
class ColumnApplication {
public:
    static void run(const TileExtent& extent, const SourceTile* sources, const MaskTile& bits,
                    const ChannelValues& coefficients, const TargetTile& target) {
        ColumnApplication application(sources, bits, coefficients, target);
        application.have_gaps_ = have_gaps<Data>(extent, application.sources_);
        target.streams ? application.template apply<true>(extent)
                       : application.template apply<false>(extent);
    }

private:
    using Vector = arithmetic_vector_t<Isa, Data>;
    using Coefficients = std::array<Vector, Formula::coefficient_count>;
    static constexpr std::int64_t width = ArithmeticVector<Isa, Data>::width;
    /// The bits of a mask are in the elements' order.
    using Units = Unit<Isa, Data, has_pairs<Isa, Data> && !has_bits(mask)>;
    /// Columns of one step: whole bytes of a mask.
    static constexpr std::int64_t step = std::max<std::int64_t>(Units::width, 8);
    static constexpr std::size_t vectors = step / width;
    static constexpr std::size_t source_count = Formula::source_count;
    using StepCoefficients = std::array<Coefficients, vectors>;
    static constexpr auto size = static_cast<std::int64_t>(sizeof(Data));

    ColumnApplication(const SourceTile* sources, const MaskTile& bits,
                      const ChannelValues& coefficients, const TargetTile& target)
        : mask_(bits), coefficients_(coefficients), target_(target) {
        std::copy_n(sources, source_count, sources_.begin());
    }

    template <bool streams>
    NORMGRAPH_ALWAYS_INLINE void apply(const TileExtent& extent) const {
        // Memory takes lines from several streams far apart at a third of its speed.
        const bool is_one_stream = !streams || target_.row_stride == extent.length * size;
        const RowsAtATime choice = is_one_stream
                                       ? rows_applied_at_a_time<Isa, Data>(
                                             extent.length, source_count, have_gaps_, streams)
                                       : RowsAtATime{1, false};
        for_rows(extent, choice,
                 [&]<std::int64_t row_count, bool prefetches>(std::int64_t row)
                     NORMGRAPH_ALWAYS_INLINE {
                         apply_rows<streams, row_count, prefetches>(row, extent.length);
                     });
    }

    template <bool streams, std::int64_t row_count, bool prefetches>
    NORMGRAPH_ALWAYS_INLINE void apply_rows(std::int64_t row, std::int64_t columns) const {
        std::int64_t column = 0;
        for (; column + step <= columns; column += step) {
            const StepCoefficients coefficients = step_coefficients_at(column);
            for (std::size_t source = 0; prefetches && source < source_count; ++source) {
                prefetch_rows<Isa, row_count, step * size>(sources_[source], row, column * size,
                                                           have_gaps_);
            }
            for (std::int64_t r = 0; r < row_count; ++r) {
                apply_step<streams>(row + r, column, coefficients);
            }
        }
        for (std::int64_t r = 0; r < row_count && column < columns; ++r) {
            apply_remainder(row + r, column, columns - column);
        }
    }

    template <bool streams>
    NORMGRAPH_ALWAYS_INLINE void apply_step(std::int64_t row, std::int64_t column,
                                            const StepCoefficients& coefficients) const {
        std::uint32_t bits = mask == Mask::reads ? load_mask<Isa>(mask_row(row), column, step) : 0;
        unrolled<Isa, vectors / Units::vectors>([&](std::size_t unit) NORMGRAPH_ALWAYS_INLINE {
            const std::int64_t first = static_cast<std::int64_t>(unit) * Units::width;
            std::array<typename Units::Vectors, source_count> values;
            for (std::size_t source = 0; source < source_count; ++source) {
                values[source] = Units::load(elements<Data>(at(source, row, column + first)));
            }
            typename Units::Vectors results;
            unrolled<Isa, Units::vectors>([&](std::size_t vector) NORMGRAPH_ALWAYS_INLINE {
                results[vector] = compute(
                    coefficients[unit * Units::vectors + vector],
                    [&](std::size_t source) { return values[source][vector]; },
                    first + static_cast<std::int64_t>(vector) * width, bits);
            });
            Units::template store<streams>(elements<Data>(target_at(row, column + first)), results);
        });
        if constexpr (is_written(mask)) {
            store_mask<Isa>(mask_row(row), column, step, bits);
        }
    }

    NORMGRAPH_ALWAYS_INLINE void apply_remainder(std::int64_t row, std::int64_t column,
                                                 std::int64_t count) const {
        std::uint32_t bits = mask == Mask::reads ? load_mask<Isa>(mask_row(row), column, count) : 0;
        for (std::int64_t lane = 0; lane < count; lane += width) {
            const std::int64_t present = std::min(width, count - lane);
            const Vector result = compute(
                coefficients_at(column + lane),
                [&](std::size_t source) {
                    const std::byte* const address = at(source, row, column + lane);
                    return present == width ? Isa::load(elements<Data>(address))
                                            : load_some<Isa, Data>(address, present,
                                                                   sources_[source].readable_end);
                },
                lane, bits);
            std::byte* const target = target_at(row, column + lane);
            present == width ? Isa::store(elements<Data>(target), result)
                             : store_some<Isa, Data>(target, result, present);
        }
        if constexpr (is_written(mask)) {
            store_mask<Isa>(mask_row(row), column, count, bits & lowest_bits(count));
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

    /// The coefficients of one kind, from a column on.
    const arithmetic_t<Data>* coefficients_from(std::int64_t column, std::size_t kind) const {
        return static_cast<const arithmetic_t<Data>*>(coefficients_.values) +
               static_cast<std::int64_t>(kind) * coefficients_.stride + coefficients_.first +
               column;
    }
    Coefficients coefficients_at(std::int64_t column) const {
        Coefficients result;
        for (std::size_t kind = 0; kind < Formula::coefficient_count; ++kind) {
            result[kind] = Isa::load(coefficients_from(column, kind));
        }
        return result;
    }
    /// In the arrangement of units. Those of a vector are set as a whole: GCC stores to the stack
    /// what is set one by one.
    NORMGRAPH_ALWAYS_INLINE StepCoefficients step_coefficients_at(std::int64_t column) const {
        StepCoefficients result;
        for (std::size_t vector = 0; vector < vectors; ++vector) {
            result[vector] = unit_coefficients_at(column, vector);
        }
        return result;
    }
    NORMGRAPH_ALWAYS_INLINE Coefficients unit_coefficients_at(std::int64_t column,
                                                              std::size_t vector) const {
        const auto unit = static_cast<std::int64_t>(vector / Units::vectors);
        Coefficients result;
        for (std::size_t kind = 0; kind < Formula::coefficient_count; ++kind) {
            result[kind] = Units::load(
                coefficients_from(column + unit * Units::width, kind))[vector % Units::vectors];
        }
        return result;
    }
    const std::byte* at(std::size_t source, std::int64_t row, std::int64_t column) const {
        return sources_[source].address + row * sources_[source].row_stride + column * size;
    }
    std::byte* target_at(std::int64_t row, std::int64_t column) const {
        return target_.address + row * target_.row_stride + column * size;
    }
    std::byte* mask_row(std::int64_t row) const { return mask_.address + row * mask_.row_stride; }

    std::array<SourceTile, source_count> sources_;
    bool have_gaps_ = false;
    MaskTile mask_;
    ChannelValues coefficients_;
    TargetTile target_;
};

}  // namespace normgraph::kernel::simd
