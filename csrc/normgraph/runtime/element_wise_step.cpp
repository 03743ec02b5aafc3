#include "normgraph/runtime/element_wise_step.hpp"

#include <algorithm>
#include <utility>

namespace normgraph::runtime {

ProgramValue ElementWiseStep::source(std::size_t view, kernel::StorageType type) {
    const auto found = std::ranges::find(sources_, view);
    const auto index = static_cast<std::size_t>(found - sources_.begin());
    if (found == sources_.end()) {
        sources_.push_back(view);
        source_types_.push_back(type);
    }
    return {true, index};
}

ProgramValue ElementWiseStep::add(kernel::ElementWiseOperation operation,
                                  kernel::StorageType operand_type, kernel::StorageType result_type,
                                  ProgramValue first, ProgramValue second) {
    operations_.push_back({operation, operand_type, result_type, first, second});
    return {false, operations_.size() - 1};
}

void ElementWiseStep::store(ProgramValue value, std::size_t view) {
    stores_.push_back({value, view});
}

void ElementWiseStep::finish() {
    for (const Operation& operation : operations_) {
        instructions_.push_back({operation.operation,
                                 operation.operand_type,
                                 operation.result_type,
                                 {number_of(operation.first), number_of(operation.second)},
                                 0});
    }
    assign_slots();
}

std::int32_t ElementWiseStep::number_of(const ProgramValue& value) const {
    return static_cast<std::int32_t>(value.is_source ? value.index : sources_.size() + value.index);
}

/// A slot is free again once the last instruction that reads its value has it as an operand: that
/// instruction's own result may take it, unless it is wider and would overwrite what is not read
/// yet.
void ElementWiseStep::assign_slots() {
    const std::size_t end = operations_.size();
    std::vector<std::size_t> last_use(end, 0);
    for (std::size_t index = 0; index < end; ++index) {
        for (const ProgramValue& operand : {operations_[index].first, operations_[index].second}) {
            if (!operand.is_source) {
                last_use[operand.index] = index;
            }
        }
    }
    for (const Store& store : stores_) {
        if (!store.value.is_source) {
            last_use[store.value.index] = end;
        }
    }
    std::vector<std::int32_t> free_slots;
    for (std::size_t index = 0; index < end; ++index) {
        const Operation& operation = operations_[index];
        const bool widens =
            kernel::size_of(operation.result_type) > kernel::size_of(operation.operand_type);
        const auto free = [&](const ProgramValue& operand) {
            if (!operand.is_source && last_use[operand.index] == index) {
                free_slots.push_back(instructions_[operand.index].slot);
            }
        };
        const auto free_operands = [&] {
            free(operation.first);
            if (operation.second != operation.first) {
                free(operation.second);
            }
        };
        if (!widens) {
            free_operands();
        }
        if (free_slots.empty()) {
            free_slots.push_back(slot_count_++);
        }
        instructions_[index].slot = free_slots.back();
        free_slots.pop_back();
        if (widens) {
            free_operands();
        }
    }
}

void ElementWiseStep::run(const Bindings& bindings, std::int64_t num_threads,
                          const kernel::Implementation& implementation) const {
    std::vector<kernel::ElementWiseSource> sources;
    sources.reserve(sources_.size());
    for (std::size_t index = 0; index < sources_.size(); ++index) {
        const Array& array = bindings[sources_[index]];
        sources.push_back({source_types_[index], {array.address, array.strides}});
    }
    std::vector<kernel::ElementWiseTarget> targets;
    targets.reserve(stores_.size());
    for (const Store& store : stores_) {
        const Array& array = bindings[store.view];
        targets.push_back({number_of(store.value), {array.address, array.strides}});
    }
    implementation.run(
        kernel::ElementWiseProgram{shape_, sources, instructions_, targets, slot_count_},
        num_threads);
}

std::vector<std::size_t> ElementWiseStep::writes() const {
    std::vector<std::size_t> views;
    for (const Store& store : stores_) {
        views.push_back(store.view);
    }
    return views;
}

std::vector<std::size_t> ElementWiseStep::last_reads() const {
    std::vector<std::size_t> last(sources_.size(), 0);
    const auto read = [&](const ProgramValue& value, std::size_t index) {
        if (value.is_source) {
            last[value.index] = index;
        }
    };
    for (std::size_t index = 0; index < operations_.size(); ++index) {
        read(operations_[index].first, index);
        read(operations_[index].second, index);
    }
    for (const Store& store : stores_) {
        read(store.value, operations_.size());
    }
    return last;
}

std::vector<Step::Overwrite> ElementWiseStep::possible_overwrites() const {
    const std::vector<std::size_t> last = last_reads();
    std::vector<Overwrite> overwrites;
    for (const Store& store : stores_) {
        if (store.value.is_source) {
            continue;
        }
        for (std::size_t source = 0; source < sources_.size(); ++source) {
            if (last[source] <= store.value.index) {
                overwrites.push_back({store.view, sources_[source]});
            }
        }
    }
    return overwrites;
}

}  // namespace normgraph::runtime
