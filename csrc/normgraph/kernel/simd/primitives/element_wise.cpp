// Memory traffic: each source is read once, each target written once. Block by
// block all instructions are run, so that what lies between them stays in the
// L1 cache; a source or a target that is not C-contiguous is copied through
// such a block as well. Where neighbours of a source are far apart in the
// logical order, several blocks are copied at once, through the L2 cache.

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "normgraph/kernel/kernels.hpp"
#include "normgraph/kernel/simd/micro_kernels/contract.hpp"
#include "normgraph/kernel/simd/staging/scratch.hpp"
#include "normgraph/kernel/strided/copy.hpp"
#include "normgraph/kernel/strided/extents.hpp"
#include "normgraph/kernel/strided/ranges.hpp"
#include "normgraph/kernel/threads/interruption.hpp"
#include "normgraph/kernel/threads/share_range.hpp"
#include "normgraph/kernel/tuning.hpp"

namespace normgraph::kernel::simd {
namespace {

template <typename From, typename To>
void convert_loop(const std::byte* first, const std::byte* /*second*/, std::byte* result,
                  std::int64_t count) {
    for (std::int64_t index = 0; index < count; ++index) {
        From value;
        std::memcpy(&value, first + static_cast<std::size_t>(index) * sizeof(From), sizeof(From));
        const To rounded = converted<To>(value);
        std::memcpy(result + static_cast<std::size_t>(index) * sizeof(To), &rounded, sizeof(To));
    }
}

ElementWiseLoop loop_of(const MicroKernelTable& table, const ElementWiseInstruction& instruction) {
    if (instruction.operation != ElementWiseOperation::convert) {
        return table[element_type(instruction.operand_type)]
            .primitives.operations[static_cast<std::size_t>(instruction.operation)];
    }
    const ElementType to = element_type(instruction.result_type);
    if (is_real(instruction.operand_type)) {
        return table[element_type(instruction.operand_type)]
            .primitives.convert_to[static_cast<std::size_t>(to)];
    }
    return with_storage_type(instruction.operand_type, [&]<typename From>() {
        return with_data_type(
            to, []<typename To>() -> ElementWiseLoop { return convert_loop<From, To>; });
    });
}

/// Where a block of a value lies: at base + step · (index of its first
/// element).
struct Place {
    std::byte* base = nullptr;
    std::int64_t step = 0;

    std::byte* at(std::int64_t begin) const { return base + step * begin; }
};

/// A tensor whose blocks are copied to or from a slot.
struct Copy {
    TensorAxes axes;
    std::byte* tensor;
    std::int32_t value;
    std::int32_t slot;
    std::size_t size;
};

/// How the elements are divided: a chunk has `length` elements that follow each
/// other, and as many at each of some steps along an axis of `steps` steps.
struct Chunks {
    std::int64_t count;     ///< of all elements
    std::int64_t distance;  ///< of a step, in elements
    std::int64_t steps = 1, steps_per_chunk = 1;
    std::int64_t length;

    std::int64_t chunk_count() const {
        return count / (steps * distance) * divide_up(steps, steps_per_chunk) *
               divide_up(distance, length);
    }
    StepsOfRange chunk(std::int64_t index) const {
        const std::int64_t across = divide_up(steps, steps_per_chunk);
        const std::int64_t step = index % across * steps_per_chunk;
        const std::int64_t range = index / across % divide_up(distance, length);
        const std::int64_t outer = index / across / divide_up(distance, length);
        return {(outer * steps + step) * distance + range * length,
                std::min(length, distance - range * length),
                std::min(steps_per_chunk, steps - step), distance};
    }
};

/// The axis along which neighbours in memory are the nearest.
std::size_t nearest_axis(const TensorAxes& tensor) {
    const auto axes = tensor.axes();
    std::size_t nearest = axes.size() - 1;
    for (std::size_t axis = 0; axis < axes.size(); ++axis) {
        const std::int64_t stride = std::abs(axes[axis].strides[0]);
        if (stride != 0 &&
            (axes[nearest].strides[0] == 0 || stride < std::abs(axes[nearest].strides[0]))) {
            nearest = axis;
        }
    }
    return nearest;
}

/// A program on its tensors, the same for all threads.
class BoundProgram {
public:
    BoundProgram(const MicroKernelTable& table, const ElementWiseProgram& program)
        : program_(program),
          slots_(program.slot_count),
          places_(program.sources.size() + program.instructions.size()) {
        for (const ElementWiseInstruction& instruction : program.instructions) {
            loops_.push_back(loop_of(table, instruction));
            widest_ = std::max(widest_, size_of(instruction.result_type));
        }
        bind_sources();
        bind_targets();
        const std::int64_t fitting =
            cache_tuning().element_wise_bytes /
            (std::max<std::int64_t>(1, slots_) * static_cast<std::int64_t>(widest_));
        block_length_ = std::clamp(fitting / 64 * 64, shortest_block, longest_block);
        divide();
    }

    std::int64_t chunk_count() const { return chunks_.chunk_count(); }

    /// The chunks from begin up to end.
    void run(std::int64_t begin, std::int64_t end) const {
        const std::size_t slot_bytes =
            Scratch::rounded(static_cast<std::size_t>(block_length_) * widest_);
        const std::size_t copy_bytes = Scratch::rounded(
            static_cast<std::size_t>(chunks_.steps_per_chunk * chunks_.length) * widest_);
        Scratch& scratch = Scratch::of_this_thread();
        scratch.reserve(static_cast<std::size_t>(slots_) * slot_bytes +
                        copied_sources_.size() * copy_bytes);
        auto* const slots = scratch.take<std::byte>(slots_ * static_cast<std::int64_t>(slot_bytes));
        const auto slot = [&](std::int32_t index) {
            return slots + static_cast<std::size_t>(index) * slot_bytes;
        };
        std::vector<Place> places = places_;
        for (std::size_t index = 0; index < program_.instructions.size(); ++index) {
            Place& place = places[program_.sources.size() + index];
            if (place.base == nullptr) {
                place.base = slot(program_.instructions[index].slot);
            }
        }
        std::vector<std::byte*> copies;
        for (std::size_t index = 0; index < copied_sources_.size(); ++index) {
            copies.push_back(scratch.take<std::byte>(static_cast<std::int64_t>(copy_bytes)));
        }
        for (const Copy& copy : repeated_sources_) {
            places[static_cast<std::size_t>(copy.value)] = {slot(copy.slot), 0};
            repeat(copy, std::min(block_length_, chunks_.count), slot(copy.slot));
        }
        for (; begin < end; ++begin) {
            const StepsOfRange chunk = chunks_.chunk(begin);
            for (std::size_t index = 0; index < copies.size(); ++index) {
                copy_chunk(copied_sources_[index], chunk, copies[index]);
            }
            for (std::int64_t step = 0; step < chunk.steps; ++step) {
                for (std::int64_t done = 0; done < chunk.length; done += block_length_) {
                    stop_if_interrupted();
                    for (std::size_t index = 0; index < copies.size(); ++index) {
                        const Copy& copy = copied_sources_[index];
                        places[static_cast<std::size_t>(copy.value)] = {
                            copies[index] +
                                (step * chunk.length + done) * static_cast<std::int64_t>(copy.size),
                            0};
                    }
                    const std::int64_t first = chunk.first + step * chunk.distance + done;
                    const std::int64_t length = std::min(block_length_, chunk.length - done);
                    run_block(places, first, length);
                    for (const Copy& copy : copied_targets_) {
                        TensorCursor cursor(copy.axes, first);
                        scatter(cursor, copy.tensor, copy.size, length,
                                places[static_cast<std::size_t>(copy.value)].at(first));
                    }
                }
            }
        }
    }

private:
    std::size_t size_of_value(std::int32_t value) const {
        const auto index = static_cast<std::size_t>(value);
        const std::size_t source_count = program_.sources.size();
        return size_of(index < source_count
                           ? program_.sources[index].type
                           : program_.instructions[index - source_count].result_type);
    }

    void bind_sources() {
        for (std::size_t index = 0; index < program_.sources.size(); ++index) {
            const auto& [type, tensor] = program_.sources[index];
            const std::size_t size = size_of(type);
            const TensorAxes axes(program_.shape, tensor.strides);
            // Sources are read only: what is written has a place of its own.
            auto* const address = const_cast<std::byte*>(tensor.address);
            if (axes.is_contiguous(size)) {
                places_[index] = {address, static_cast<std::int64_t>(size)};
                continue;
            }
            widest_ = std::max(widest_, size);
            (axes.is_uniform() ? repeated_sources_ : copied_sources_)
                .push_back({axes, address, static_cast<std::int32_t>(index), slots_++, size});
        }
    }

    /// An instruction writes a target that lies in C order itself. Other targets
    /// are copies of a value's blocks: of a slot, a source, or a target in C
    /// order.
    void bind_targets() {
        for (const ElementWiseTarget& target : program_.targets) {
            const TensorAxes axes(program_.shape, target.tensor.strides);
            const std::size_t size = size_of_value(target.value);
            const auto value = static_cast<std::size_t>(target.value);
            if (value >= program_.sources.size() && axes.is_contiguous(size) &&
                places_[value].base == nullptr) {
                places_[value] = {target.tensor.address, static_cast<std::int64_t>(size)};
            } else {
                copied_targets_.push_back({axes, target.tensor.address, target.value, 0, size});
            }
        }
    }

    /// Chunks are blocks, unless a source's neighbours in memory are far apart:
    /// then they are steps along that axis, so many that lines are whole and the
    /// chunk fits the L2 cache.
    void divide() {
        const std::int64_t count = product(program_.shape);
        chunks_ = {.count = count, .distance = count, .length = block_length_};
        const auto across = std::ranges::find_if(copied_sources_, is_far);
        if (across == copied_sources_.end()) {
            return;
        }
        const auto axes = across->axes.axes();
        const std::size_t nearest = nearest_axis(across->axes);
        std::int64_t distance = 1;
        for (std::size_t axis = nearest + 1; axis < axes.size(); ++axis) {
            distance *= axes[axis].length;
        }
        const std::int64_t fitting =
            2 * cache_tuning().staged_tile_bytes / static_cast<std::int64_t>(widest_);
        const std::int64_t wanted = std::min(axes[nearest].length, steps_of_whole_lines);
        chunks_.length = fitting;
        if (distance * wanted > fitting) {
            chunks_.distance = distance;
            chunks_.steps = axes[nearest].length;
            chunks_.steps_per_chunk = wanted;
            chunks_.length = std::max<std::int64_t>(1, fitting / wanted);
        }
    }

    static bool is_far(const Copy& copy) {
        return nearest_axis(copy.axes) + 1 < copy.axes.axes().size();
    }

    /// Elements that lie in runs are copied run by run, others box by box.
    static void copy_chunk(const Copy& copy, const StepsOfRange& chunk, std::byte* target) {
        const auto size = static_cast<std::int64_t>(copy.size);
        if (copy.size > 1 && is_far(copy)) {
            return copy_steps(copy.tensor, copy.axes, chunk, size, target);
        }
        for (std::int64_t step = 0; step < chunk.steps; ++step) {
            TensorCursor cursor(copy.axes, chunk.first + step * chunk.distance);
            gather(cursor, copy.tensor, copy.size, chunk.length,
                   target + step * chunk.length * size);
        }
    }

    static void repeat(const Copy& copy, std::int64_t length, std::byte* slot) {
        for (std::int64_t index = 0; index < length; ++index) {
            std::memcpy(slot + static_cast<std::size_t>(index) * copy.size, copy.tensor, copy.size);
        }
    }

    void run_block(const std::vector<Place>& places, std::int64_t begin,
                   std::int64_t length) const {
        std::size_t result = program_.sources.size();
        for (std::size_t index = 0; index < loops_.size(); ++index, ++result) {
            const auto& operands = program_.instructions[index].operands;
            loops_[index](places[static_cast<std::size_t>(operands[0])].at(begin),
                          places[static_cast<std::size_t>(operands[1])].at(begin),
                          places[result].at(begin), length);
        }
    }

    const ElementWiseProgram& program_;
    std::int32_t slots_;
    std::size_t widest_ = 1;
    std::int64_t block_length_ = 0;
    Chunks chunks_{};
    std::vector<ElementWiseLoop> loops_;
    std::vector<Place> places_;  ///< null where it is a slot
    std::vector<Copy> copied_sources_, repeated_sources_, copied_targets_;
};

}  // namespace

void run_kernel(const MicroKernelTable& table, const ElementWiseProgram& program,
                std::int64_t num_threads) {
    const std::int64_t count = product(program.shape);
    if (count == 0) {
        return;
    }
    const BoundProgram bound(table, program);
    const auto steps =
        static_cast<std::int64_t>(program.sources.size() + program.instructions.size());
    share_range(bound.chunk_count(), useful_threads(count * steps, work_per_thread, num_threads),
                [&](std::int64_t begin, std::int64_t end) { bound.run(begin, end); });
}

}  // namespace normgraph::kernel::simd
