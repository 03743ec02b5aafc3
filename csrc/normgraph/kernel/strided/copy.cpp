#include "normgraph/kernel/strided/copy.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <utility>
#include <vector>

#include "normgraph/kernel/simd/instruction_sets/baseline.hpp"
#include "normgraph/kernel/simd/instruction_sets/instruction_set.hpp"
#include "normgraph/kernel/strided/ranges.hpp"
#include "normgraph/kernel/tuning.hpp"

namespace normgraph::kernel {
namespace {

/// Two axes, one inside of the other, of which one is contiguous in the source or the target.
struct Plane {
    CopiedAxis outer, inner;
};

using simd::Baseline;

/// Whether elements of this type are rearranged in vectors. Templates on the instruction set, which
/// is Baseline, since another architecture's offers nothing.
template <typename Isa, typename Element>
constexpr bool has_vectors = simd::CopyingInstructionSet<Isa> && sizeof(Element) > 1;

constexpr std::int64_t bytes_per_vector = 16;

template <typename Isa, typename Element>
constexpr std::int64_t vector_width =
    has_vectors<Isa, Element> ? bytes_per_vector / static_cast<std::int64_t>(sizeof(Element)) : 1;

/// Prefetches to the L2 cache.
template <typename Isa = Baseline>
void prefetch(const std::byte* address) {
    if constexpr (simd::CopyingInstructionSet<Isa>) {
        Isa::prefetch_far(address);
    }
}

/// Whole vectors; the last one overlaps the one before it.
template <typename Isa, typename Element>
void copy_backwards(std::byte* target, const std::byte* source, std::int64_t count) {
    constexpr auto size = static_cast<std::int64_t>(sizeof(Element));
    constexpr std::int64_t width = vector_width<Isa, Element>;
    using Vectors = typename Isa::template Rearranged<sizeof(Element)>;
    const auto copy_vector = [&](std::int64_t at) {
        const auto values = Isa::load_bytes(source - (at + width - 1) * size);
        Isa::store_bytes(target + at * size, Vectors::backwards(values));
    };
    for (std::int64_t at = 0; at + width < count; at += width) {
        copy_vector(at);
    }
    copy_vector(count - width);
}

/// Whole vectors; the last one overlaps the one before it. It is not read from its first element
/// on, since it would reach an element beyond the row's last, but from the element before.
template <typename Isa, typename Element>
void copy_every_second(std::byte* target, const std::byte* source, std::int64_t count) {
    constexpr auto size = static_cast<std::int64_t>(sizeof(Element));
    constexpr std::int64_t width = vector_width<Isa, Element>;
    using Vectors = typename Isa::template Rearranged<sizeof(Element)>;
    for (std::int64_t done = 0; done + width < count; done += width) {
        const std::byte* const first = source + 2 * done * size;
        Isa::store_bytes(
            target + done * size,
            Vectors::even(Isa::load_bytes(first), Isa::load_bytes(first + bytes_per_vector)));
    }
    const std::int64_t last = count - width;
    const std::byte* const before = source + (2 * last - 1) * size;
    Isa::store_bytes(
        target + last * size,
        Vectors::odd(Isa::load_bytes(before), Isa::load_bytes(before + bytes_per_vector)));
}

/// Copies and returns true where there are vector instructions for these strides.
template <typename Element, typename Isa = Baseline>
bool copy_vectors(std::byte* target, const std::byte* source, std::int64_t source_stride,
                  std::int64_t count) {
    if constexpr (has_vectors<Isa, Element>) {
        constexpr auto size = static_cast<std::int64_t>(sizeof(Element));
        if (source_stride == -size && count >= vector_width<Isa, Element>) {
            copy_backwards<Isa, Element>(target, source, count);
            return true;
        }
        if (source_stride == 2 * size && count > vector_width<Isa, Element>) {
            copy_every_second<Isa, Element>(target, source, count);
            return true;
        }
    }
    return false;
}

/// In short rows a call of memcpy would take longer than copying.
template <typename Isa = Baseline>
void copy_bytes(std::byte* target, const std::byte* source, std::int64_t count) {
    if constexpr (simd::CopyingInstructionSet<Isa>) {
        constexpr std::int64_t width = bytes_per_vector;
        if (count >= width && count <= longest_inline_copy) {
            for (std::int64_t at = 0; at + width < count; at += width) {
                Isa::store_bytes(target + at, Isa::load_bytes(source + at));
            }
            Isa::store_bytes(target + count - width, Isa::load_bytes(source + count - width));
            return;
        }
    }
    std::memcpy(target, source, static_cast<std::size_t>(count));
}

template <typename Isa = Baseline>
void stream_bytes(std::byte* target, const std::byte* source, std::int64_t byte_count) {
    const auto count = static_cast<std::size_t>(byte_count);
    if constexpr (simd::CopyingInstructionSet<Isa>) {
        constexpr std::size_t line = cache_line;
        const std::size_t to_line = -reinterpret_cast<std::uintptr_t>(target) % line;
        const std::size_t head = std::min(to_line, count);
        std::memcpy(target, source, head);
        std::size_t done = head;
        for (; done + line <= count; done += line) {
            for (std::size_t part = done; part < done + line; part += bytes_per_vector) {
                Isa::stream_bytes(target + part, Isa::load_bytes(source + part));
            }
        }
        std::memcpy(target + done, source + done, count - done);
    } else {
        std::memcpy(target, source, count);
    }
}

template <typename Isa>
void finish_streams_of() {
    if constexpr (simd::CopyingInstructionSet<Isa>) {
        Isa::finish_streams();
    }
}

template <typename Element>
void copy_strided(std::byte* target, std::int64_t target_stride, const std::byte* source,
                  std::int64_t source_stride, std::int64_t count) {
    for (std::int64_t index = 0; index < count; ++index) {
        std::memcpy(target + index * target_stride, source + index * source_stride,
                    sizeof(Element));
    }
}

template <typename Element>
void fill(std::byte* target, const std::byte* source, std::int64_t count) {
    Element element;
    std::memcpy(&element, source, sizeof(Element));
    for (std::int64_t index = 0; index < count; ++index) {
        std::memcpy(target + index * static_cast<std::int64_t>(sizeof(Element)), &element,
                    sizeof(Element));
    }
}

template <typename Element>
void copy_row(std::byte* target, const std::byte* source, const CopiedAxis& axis, bool streams) {
    constexpr auto size = static_cast<std::int64_t>(sizeof(Element));
    const std::int64_t bytes = axis.length * size;
    if (axis.target_stride != size) {
        return copy_strided<Element>(target, axis.target_stride, source, axis.source_stride,
                                     axis.length);
    }
    if (axis.source_stride == size) {
        return streams ? stream_bytes(target, source, bytes) : copy_bytes(target, source, bytes);
    }
    if (axis.source_stride == 0) {
        return fill<Element>(target, source, axis.length);
    }
    if (!copy_vectors<Element>(target, source, axis.source_stride, axis.length)) {
        copy_strided<Element>(target, size, source, axis.source_stride, axis.length);
    }
}

/// Prefetches every cache line once.
void prefetch_row(const std::byte* source, const CopiedAxis& axis, std::int64_t bytes_ahead) {
    const std::int64_t distance = std::abs(axis.source_stride);
    const std::int64_t reach = axis.length * distance;
    const std::byte* const lowest =
        source + std::min<std::int64_t>(0, (axis.length - 1) * axis.source_stride);
    for (std::int64_t byte = 0; byte < reach; byte += std::max(cache_line, distance)) {
        prefetch(lowest + bytes_ahead + byte);
    }
}

template <typename Element>
void copy_rows(std::byte* target, const std::byte* source, const Plane& plane,
               std::int64_t bytes_ahead, bool streams) {
    for (std::int64_t row = 0; row < plane.outer.length; ++row) {
        const std::byte* const from = source + row * plane.outer.source_stride;
        copy_row<Element>(target + row * plane.outer.target_stride, from, plane.inner, streams);
        if (bytes_ahead != 0) {
            prefetch_row(from, plane.inner, bytes_ahead);
        }
    }
}

/// Where the elements of a plane are: the source's follow each other along the columns, the
/// target's along the rows.
template <typename Element>
struct PlanePlaces {
    std::byte* target;
    const std::byte* source;
    const Plane& plane;
    std::int64_t bytes_ahead;

    std::int64_t rows() const { return plane.outer.length; }
    std::int64_t columns() const { return plane.inner.length; }
    std::byte* target_at(std::int64_t row, std::int64_t column) const {
        return target + row * size + column * plane.inner.target_stride;
    }
    const std::byte* source_at(std::int64_t row, std::int64_t column) const {
        return source + row * plane.outer.source_stride + column * size;
    }
    bool prefetches() const { return bytes_ahead != 0; }
    const std::byte* ahead_of(std::int64_t row, std::int64_t column) const {
        return source_at(row, column) + bytes_ahead;
    }
    static constexpr auto size = static_cast<std::int64_t>(sizeof(Element));
};

/// Axes that together are one index, along which elements follow each other in the source, or in
/// the target; and the offsets in the other one.
struct Run {
    std::int64_t length = 1;
    std::vector<std::int64_t> offsets{0};
};

/// As PlanePlaces, of two runs.
template <typename Element>
struct RunPlaces {
    std::byte* target;
    const std::byte* source;
    const Run& along_source;
    const Run& along_target;

    std::int64_t rows() const { return along_target.length; }
    std::int64_t columns() const { return along_source.length; }
    std::byte* target_at(std::int64_t row, std::int64_t column) const {
        return target + row * size + along_source.offsets[static_cast<std::size_t>(column)];
    }
    const std::byte* source_at(std::int64_t row, std::int64_t column) const {
        return source + along_target.offsets[static_cast<std::size_t>(row)] + column * size;
    }
    static bool prefetches() { return true; }
    /// The rows of a block have a page each, so that the processor does not read ahead by itself.
    const std::byte* ahead_of(std::int64_t row, std::int64_t column) const {
        return source_at(std::min(row + cache_line / size, rows() - 1), column);
    }
    static constexpr auto size = static_cast<std::int64_t>(sizeof(Element));
};

/// Blocks of whole cache lines, so that the lines of both sides stay in the L1 cache while they are
/// read, or written, a vector at a time.
template <typename Element, typename Places>
class Transposition {
public:
    explicit Transposition(const Places& places) : places_(places) {}

    void run() const { run(0, places_.rows()); }

    /// Rows [first, end).
    void run(std::int64_t first, std::int64_t end) const {
        for (std::int64_t i = first; i < end; i += block) {
            const std::int64_t rows = std::min(block, end - i);
            for (std::int64_t j = 0; j < places_.columns(); j += block) {
                copy_block(i, j, rows, std::min(block, places_.columns() - j));
                for (std::int64_t row = 0; places_.prefetches() && row < rows; ++row) {
                    prefetch(places_.ahead_of(i + row, j));
                }
            }
        }
    }

private:
    static constexpr std::int64_t width = vector_width<Baseline, Element>;
    static constexpr std::int64_t block = cache_line / static_cast<std::int64_t>(sizeof(Element));

    void copy_block(std::int64_t i, std::int64_t j, std::int64_t rows, std::int64_t columns) const {
        if (rows < width || columns < width) {
            for (std::int64_t row = i; row < i + rows; ++row) {
                for (std::int64_t column = j; column < j + columns; ++column) {
                    std::memcpy(places_.target_at(row, column), places_.source_at(row, column),
                                sizeof(Element));
                }
            }
            return;
        }
        // The last vectors overlap those before them.
        for (std::int64_t row = 0; row < rows; row += width) {
            for (std::int64_t column = 0; column < columns; column += width) {
                copy_vectors_at(i + std::min(row, rows - width),
                                j + std::min(column, columns - width));
            }
        }
    }

    /// Vectors of the source become columns of those of the target.
    template <typename Isa = Baseline>
    void copy_vectors_at(std::int64_t row, std::int64_t column) const {
        if constexpr (has_vectors<Isa, Element>) {
            std::array<typename Isa::Bytes, static_cast<std::size_t>(width)> vectors;
            for (std::int64_t index = 0; index < width; ++index) {
                vectors[static_cast<std::size_t>(index)] =
                    Isa::load_bytes(places_.source_at(row + index, column));
            }
            Isa::template Rearranged<sizeof(Element)>::transpose(vectors);
            for (std::int64_t index = 0; index < width; ++index) {
                Isa::store_bytes(places_.target_at(row, column + index),
                                 vectors[static_cast<std::size_t>(index)]);
            }
        } else {
            std::memcpy(places_.target_at(row, column), places_.source_at(row, column),
                        sizeof(Element));
        }
    }

    Places places_;
};

/// The axis along which the target is written: where its elements follow each other, or nearly so.
std::size_t target_axis(std::span<const CopiedAxis> box) {
    std::size_t best = 0;
    for (std::size_t axis = 1; axis < box.size(); ++axis) {
        const bool counts = box[axis].length > 1;
        if (counts && (box[best].length == 1 ||
                       std::abs(box[axis].target_stride) < std::abs(box[best].target_stride))) {
            best = axis;
        }
    }
    return best;
}

/// Another axis, along which the source's elements follow each other; else that of the target.
std::size_t source_axis(std::span<const CopiedAxis> box, std::size_t along_target,
                        std::int64_t size) {
    const CopiedAxis& own = box[along_target];
    if (own.target_stride == size && own.source_stride != size && own.source_stride != 0) {
        for (std::size_t axis = 0; axis < box.size(); ++axis) {
            if (box[axis].length > 1 && box[axis].source_stride == size) {
                return axis;
            }
        }
    }
    return along_target;
}

template <typename Element>
void copy_elements(std::byte* target, const std::byte* source, const CopiedBox& box,
                   std::int64_t bytes_ahead, bool streams) {
    const std::size_t along_target = target_axis(box);
    const std::size_t along_source = source_axis(box, along_target, sizeof(Element));
    const bool transposes = along_source != along_target;
    std::size_t middle = along_target;
    std::size_t outermost = 3 - along_target - along_source;
    if (!transposes) {
        middle = (along_target + 1) % 3;
        outermost = (along_target + 2) % 3;
        if (std::abs(box[middle].source_stride) > std::abs(box[outermost].source_stride)) {
            std::swap(middle, outermost);
        }
    }
    const Plane plane{box[middle], box[along_source]};
    const CopiedAxis& outer = box[outermost];
    for (std::int64_t index = 0; index < outer.length; ++index) {
        std::byte* const to = target + index * outer.target_stride;
        const std::byte* const from = source + index * outer.source_stride;
        if (transposes) {
            Transposition<Element, PlanePlaces<Element>>({to, from, plane, bytes_ahead}).run();
        } else {
            copy_rows<Element>(to, from, plane, bytes_ahead, streams);
        }
    }
}

/// Calls `function.template operator()<Element>()` with the unsigned integer of this size.
template <typename Function>
void with_element(std::size_t size, const Function& function) {
    switch (size) {
        case 1:
            return function.template operator()<std::uint8_t>();
        case 2:
            return function.template operator()<std::uint16_t>();
        case 4:
            return function.template operator()<std::uint32_t>();
        default:
            return function.template operator()<std::uint64_t>();
    }
}

void copy_any(std::byte* target, const std::byte* source, const CopiedBox& box,
              std::size_t element_size, std::int64_t bytes_ahead, bool streams) {
    with_element(element_size, [&]<typename Element>() {
        if constexpr (sizeof(Element) > 1) {
            copy_elements<Element>(target, source, box, bytes_ahead, streams);
        }
    });
}

/// Calls `function.template operator()<Element>(offset, stride, run, done)` for the cursor's next
/// `count` elements, run by run; `done`: the bytes of the earlier runs side by side.
template <typename Function>
void for_each_run(TensorCursor& cursor, std::size_t size, std::int64_t count,
                  const Function& function) {
    with_element(size, [&]<typename Element>() {
        for (std::int64_t done = 0; done < count;) {
            const std::int64_t run = std::min(count - done, cursor.run());
            function.template operator()<Element>(
                cursor.offset(), cursor.stride(), run,
                done * static_cast<std::int64_t>(sizeof(Element)));
            cursor.advance(run);
            done += run;
        }
    });
}

/// Coalesces rows that follow each other in both source and target: one axis takes the place of
/// both, the other one's length becomes 1.
void coalesce_rows(std::span<CopiedAxis> box) {
    for (CopiedAxis& row : box) {
        for (CopiedAxis& rows : box) {
            if (&row != &rows && rows.length > 1 &&
                rows.target_stride == row.length * row.target_stride &&
                rows.source_stride == row.length * row.source_stride) {
                row.length *= rows.length;
                rows.length = 1;
            }
        }
    }
}

CopiedBox with_coalesced_rows(CopiedBox box) {
    coalesce_rows(box);
    return box;
}

/// The loops over the axes of a box that are left when others are taken out.
class BoxLoops {
public:
    explicit BoxLoops(std::span<const CopiedAxis> axes) : axes_(axes.begin(), axes.end()) {
        coalesce_rows(axes_);
        std::erase_if(axes_, [](const CopiedAxis& axis) { return axis.length == 1; });
        // As the source lies in memory.
        std::ranges::stable_sort(axes_, std::ranges::greater(), [](const CopiedAxis& axis) {
            return std::abs(axis.source_stride);
        });
    }

    const std::vector<CopiedAxis>& axes() const { return axes_; }

    CopiedAxis take(std::size_t index) {
        const CopiedAxis axis = axes_[index];
        axes_.erase(axes_.begin() + static_cast<std::ptrdiff_t>(index));
        return axis;
    }

    /// Takes the axes along which `stride` continues a run, until it has `wanted` elements.
    void extend(Run& run, std::int64_t CopiedAxis::* stride, std::int64_t CopiedAxis::* other,
                std::int64_t size, std::int64_t wanted) {
        while (run.length < wanted) {
            const auto next = std::ranges::find_if(
                axes_, [&](const CopiedAxis& axis) { return axis.*stride == run.length * size; });
            if (next == axes_.end()) {
                return;
            }
            const CopiedAxis axis = take(static_cast<std::size_t>(next - axes_.begin()));
            run.offsets.resize(static_cast<std::size_t>(run.length * axis.length));
            for (std::int64_t index = run.length; index < run.length * axis.length; ++index) {
                run.offsets[static_cast<std::size_t>(index)] =
                    run.offsets[static_cast<std::size_t>(index - run.length)] + axis.*other;
            }
            run.length *= axis.length;
        }
    }

    /// Takes the loops along which the source's elements are nearer than that.
    BoxLoops split(std::int64_t source_stride) {
        BoxLoops inner({});
        const auto first = std::ranges::find_if(axes_, [&](const CopiedAxis& axis) {
            return std::abs(axis.source_stride) < source_stride;
        });
        inner.axes_.assign(first, axes_.end());
        axes_.erase(first, axes_.end());
        return inner;
    }

    /// Calls function(target offset, source offset).
    template <typename Function>
    void for_each(const Function& function) const {
        for_each_offset(axes_, function);
    }

private:
    std::vector<CopiedAxis> axes_;  ///< outermost first
};

/// Elements of runs that are transposed: several cache lines of the source, many of the target.
constexpr std::int64_t wanted_source_run = 128;
constexpr std::int64_t wanted_target_run = 512;
constexpr std::int64_t rows_together = 32;

}  // namespace

void gather(TensorCursor& cursor, const std::byte* tensor, std::size_t size, std::int64_t count,
            std::byte* target) {
    for_each_run(cursor, size, count,
                 [&]<typename Element>(std::int64_t offset, std::int64_t stride, std::int64_t run,
                                       std::int64_t done) {
                     copy_row<Element>(target + done, tensor + offset,
                                       {run, sizeof(Element), stride}, false);
                 });
}

void scatter(TensorCursor& cursor, std::byte* tensor, std::size_t size, std::int64_t count,
             const std::byte* source) {
    for_each_run(cursor, size, count,
                 [&]<typename Element>(std::int64_t offset, std::int64_t stride, std::int64_t run,
                                       std::int64_t done) {
                     copy_row<Element>(tensor + offset, source + done,
                                       {run, stride, sizeof(Element)}, false);
                 });
}

void copy_box(std::byte* target, const std::byte* source, const CopiedBox& box,
              std::size_t element_size, std::int64_t bytes_ahead) {
    copy_any(target, source, with_coalesced_rows(box), element_size, bytes_ahead, false);
}

void copy_axes(std::byte* target, const std::byte* source, std::span<const CopiedAxis> axes,
               std::size_t element_size) {
    const auto size = static_cast<std::int64_t>(element_size);
    BoxLoops loops(axes);
    const auto follows = [&](std::int64_t CopiedAxis::* stride) {
        return std::ranges::find(loops.axes(), size, stride);
    };
    const auto along_target = follows(&CopiedAxis::target_stride);
    const auto along_source = follows(&CopiedAxis::source_stride);
    const auto none = loops.axes().end();
    if (along_target != none && along_source != none && along_target != along_source) {
        const std::int64_t along_target_stride = std::abs(along_target->source_stride);
        Run source_run;
        Run target_run;
        const auto extend_source = [&](std::int64_t wanted) {
            loops.extend(source_run, &CopiedAxis::source_stride, &CopiedAxis::target_stride, size,
                         wanted);
        };
        const auto extend_target = [&](std::int64_t wanted) {
            loops.extend(target_run, &CopiedAxis::target_stride, &CopiedAxis::source_stride, size,
                         wanted);
        };
        // One axis each first: the other's run might go on along it.
        extend_source(2);
        extend_target(2);
        extend_source(wanted_source_run);
        extend_target(wanted_target_run);
        // A few rows, whose pages the processor still knows, go through all axes that are nearer.
        const BoxLoops nearer = loops.split(along_target_stride);
        return with_element(element_size, [&]<typename Element>() {
            using Places = RunPlaces<Element>;
            loops.for_each([&](std::int64_t to, std::int64_t from) {
                for (std::int64_t row = 0; row < target_run.length; row += rows_together) {
                    nearer.for_each([&](std::int64_t near_to, std::int64_t near_from) {
                        const Places places{target + to + near_to, source + from + near_from,
                                            source_run, target_run};
                        Transposition<Element, Places>(places).run(
                            row, std::min(row + rows_together, target_run.length));
                    });
                }
            });
        });
    }
    CopiedBox box{{{1, 0, 0}, {1, 0, 0}, {1, 0, 0}}};
    if (along_target != none) {
        box[0] = loops.take(static_cast<std::size_t>(along_target - loops.axes().begin()));
    }
    for (std::size_t axis = 1; axis < box.size() && !loops.axes().empty(); ++axis) {
        box[axis] = loops.take(loops.axes().size() - 1);
    }
    loops.for_each([&](std::int64_t to, std::int64_t from) {
        copy_any(target + to, source + from, box, element_size, 0, false);
    });
}

void stream_box(std::byte* target, const std::byte* source, const CopiedBox& box,
                std::size_t element_size, std::byte* buffer) {
    const auto size = static_cast<std::int64_t>(element_size);
    const std::size_t along = target_axis(box);
    if (source_axis(box, along, size) == along) {
        return copy_any(target, source, with_coalesced_rows(box), element_size, 0, true);
    }
    // It is transposed in the cache first: non-temporal stores write whole lines, one after the
    // other.
    std::array<std::size_t, 3> inner_first{0, 1, 2};
    std::ranges::sort(inner_first, {},
                      [&](std::size_t axis) { return std::abs(box[axis].target_stride); });
    CopiedBox to_buffer = box;
    CopiedBox from_buffer = box;
    std::int64_t stride = size;
    for (const std::size_t axis : inner_first) {
        to_buffer[axis].target_stride = from_buffer[axis].source_stride = stride;
        stride *= box[axis].length;
    }
    copy_any(buffer, source, with_coalesced_rows(to_buffer), element_size, 0, false);
    copy_any(target, buffer, with_coalesced_rows(from_buffer), element_size, 0, true);
}

void stream_run(std::byte* target, const std::byte* source, std::int64_t bytes) {
    stream_bytes(target, source, bytes);
}

void finish_streams() {
    finish_streams_of<Baseline>();
}

}  // namespace normgraph::kernel
