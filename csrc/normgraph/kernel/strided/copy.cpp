#include "normgraph/kernel/strided/copy.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "normgraph/kernel/simd/instruction_sets/baseline.hpp"
#include "normgraph/kernel/simd/instruction_sets/instruction_set.hpp"
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

template <typename Element, typename Isa = Baseline>
void transpose_vectors(std::byte* target, std::int64_t target_stride, const std::byte* source,
                       std::int64_t source_stride) {
    if constexpr (has_vectors<Isa, Element>) {
        constexpr auto width = static_cast<std::size_t>(vector_width<Isa, Element>);
        std::array<typename Isa::Bytes, width> rows;
        for (std::size_t i = 0; i < width; ++i) {
            rows[i] = Isa::load_bytes(source + static_cast<std::int64_t>(i) * source_stride);
        }
        Isa::template Rearranged<sizeof(Element)>::transpose(rows);
        for (std::size_t i = 0; i < width; ++i) {
            Isa::store_bytes(target + static_cast<std::int64_t>(i) * target_stride, rows[i]);
        }
    } else {
        std::memcpy(target, source, sizeof(Element));
    }
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

/// Copies elements that follow each other along the outer axis in the target and along the inner
/// one in the source. It goes block by block, so that each cache line of either stays in the L1
/// cache until it is done.
template <typename Element>
class Transposition {
public:
    Transposition(std::byte* target, const std::byte* source, const Plane& plane)
        : target_(target), source_(source), plane_(plane) {}

    void run(std::int64_t bytes_ahead) const {
        for (std::int64_t i = 0; i < plane_.outer.length; i += block) {
            const std::int64_t rows = std::min(block, plane_.outer.length - i);
            for (std::int64_t j = 0; j < plane_.inner.length; j += block) {
                copy_block(i, j, rows, std::min(block, plane_.inner.length - j));
                for (std::int64_t row = 0; bytes_ahead != 0 && row < rows; ++row) {
                    prefetch(source_at(i + row, j) + bytes_ahead);
                }
            }
        }
    }

private:
    static constexpr auto size = static_cast<std::int64_t>(sizeof(Element));
    static constexpr std::int64_t width = vector_width<Baseline, Element>;
    static constexpr std::int64_t block = cache_line / size;

    void copy_block(std::int64_t i, std::int64_t j, std::int64_t rows, std::int64_t columns) const {
        if (rows < width || columns < width) {
            for (std::int64_t row = 0; row < rows; ++row) {
                copy_strided<Element>(target_at(i + row, j), plane_.inner.target_stride,
                                      source_at(i + row, j), size, columns);
            }
            return;
        }
        // The last vectors overlap those before them.
        for (std::int64_t row = 0; row < rows; row += width) {
            for (std::int64_t column = 0; column < columns; column += width) {
                const std::int64_t at_row = i + std::min(row, rows - width);
                const std::int64_t at_column = j + std::min(column, columns - width);
                transpose_vectors<Element>(target_at(at_row, at_column), plane_.inner.target_stride,
                                           source_at(at_row, at_column),
                                           plane_.outer.source_stride);
            }
        }
    }

    std::byte* target_at(std::int64_t i, std::int64_t j) const {
        return target_ + i * size + j * plane_.inner.target_stride;
    }
    const std::byte* source_at(std::int64_t i, std::int64_t j) const {
        return source_ + i * plane_.outer.source_stride + j * size;
    }

    std::byte* target_;
    const std::byte* source_;
    const Plane& plane_;
};

/// The axis along which the target is written: where its elements follow each other, or nearly so.
std::size_t target_axis(const CopiedBox& box) {
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
std::size_t source_axis(const CopiedBox& box, std::size_t along_target, std::int64_t size) {
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
            Transposition<Element>(to, from, plane).run(bytes_ahead);
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

/// Coalesces rows that follow each other in both source and target.
CopiedBox with_coalesced_rows(CopiedBox box) {
    for (std::size_t inner = 0; inner < box.size(); ++inner) {
        for (std::size_t outer = 0; outer < box.size(); ++outer) {
            CopiedAxis& row = box[inner];
            CopiedAxis& rows = box[outer];
            if (inner != outer && rows.length > 1 &&
                rows.target_stride == row.length * row.target_stride &&
                rows.source_stride == row.length * row.source_stride) {
                row.length *= rows.length;
                rows.length = 1;
            }
        }
    }
    return box;
}

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

void finish_streams() {
    finish_streams_of<Baseline>();
}

}  // namespace normgraph::kernel
