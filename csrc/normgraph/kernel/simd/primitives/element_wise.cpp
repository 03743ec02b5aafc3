// Memory traffic: each source is read once, each target written once. Block by block all
// instructions are run, so that what lies between them stays in the L1 cache; a source or
// a target that is not C-contiguous is copied through such a block as well.

#include <algorithm>
#include <cstring>
#include <vector>

#include "normgraph/kernel/kernels.hpp"
#include "normgraph/kernel/simd/micro_kernels/contract.hpp"
#include "normgraph/kernel/simd/staging/scratch.hpp"
#include "normgraph/kernel/strided/copy.hpp"
#include "normgraph/kernel/strided/extents.hpp"
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

/// Where a block of a value lies: at base + step · (index of its first element).
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
    }

    std::int64_t block_length() const { return block_length_; }

    /// The elements from begin up to end.
    void run(std::int64_t begin, std::int64_t end) const {
        const std::size_t slot_bytes =
            Scratch::rounded(static_cast<std::size_t>(block_length_) * widest_);
        Scratch& scratch = Scratch::of_this_thread();
        scratch.reserve(static_cast<std::size_t>(slots_) * slot_bytes);
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
        std::vector<TensorCursor> sources = cursors(copied_sources_, begin);
        std::vector<TensorCursor> targets = cursors(copied_targets_, begin);
        for (const Copy& copy : copied_sources_) {
            places[static_cast<std::size_t>(copy.value)] = {slot(copy.slot), 0};
        }
        for (const Copy& copy : repeated_sources_) {
            places[static_cast<std::size_t>(copy.value)] = {slot(copy.slot), 0};
            repeat(copy, std::min(block_length_, end - begin), slot(copy.slot));
        }
        for (; begin < end; begin += block_length_) {
            stop_if_interrupted();
            const std::int64_t length = std::min(block_length_, end - begin);
            for (std::size_t index = 0; index < sources.size(); ++index) {
                const Copy& copy = copied_sources_[index];
                gather(sources[index], copy.tensor, copy.size, length, slot(copy.slot));
            }
            run_block(places, begin, length);
            for (std::size_t index = 0; index < targets.size(); ++index) {
                const Copy& copy = copied_targets_[index];
                scatter(targets[index], copy.tensor, copy.size, length,
                        places[static_cast<std::size_t>(copy.value)].at(begin));
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

    /// An instruction writes a target that lies in C order itself. Other targets are copies of a
    /// value's blocks: of a slot, a source, or a target in C order.
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

    static std::vector<TensorCursor> cursors(const std::vector<Copy>& copies, std::int64_t begin) {
        std::vector<TensorCursor> result;
        result.reserve(copies.size());
        for (const Copy& copy : copies) {
            result.emplace_back(copy.axes, begin);
        }
        return result;
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
    const std::int64_t length = bound.block_length();
    share_range(divide_up(count, length),
                useful_threads(count * steps, work_per_thread, num_threads),
                [&](std::int64_t begin, std::int64_t end) {
                    bound.run(begin * length, std::min(end * length, count));
                });
}

}  // namespace normgraph::kernel::simd
