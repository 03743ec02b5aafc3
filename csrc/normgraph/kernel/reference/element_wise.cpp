#include <array>
#include <cmath>
#include <cstring>
#include <vector>

#include "normgraph/kernel/kernels.hpp"
#include "normgraph/kernel/reference/share.hpp"
#include "normgraph/kernel/strided/cursor.hpp"
#include "normgraph/kernel/strided/extents.hpp"
#include "normgraph/kernel/threads/interruption.hpp"

namespace normgraph::kernel::reference {
namespace {

/// One element of any type.
using Element = std::array<std::byte, 8>;

template <typename Value>
Value compute(ElementWiseOperation operation, Value first, Value second) {
    switch (operation) {
        case ElementWiseOperation::add:
            return first + second;
        case ElementWiseOperation::subtract:
            return first - second;
        case ElementWiseOperation::multiply:
            return first * second;
        case ElementWiseOperation::divide:
            return first / second;
        case ElementWiseOperation::minimum:
            return second < first ? second : first;
        case ElementWiseOperation::relu_backprop:
            return first <= 0 ? Value{0} : second;
        case ElementWiseOperation::negate:
            return -first;
        case ElementWiseOperation::square_root:
            return std::sqrt(first);
        case ElementWiseOperation::relu:
            return first <= 0 ? Value{0} : first;
        case ElementWiseOperation::convert:
            break;
    }
    return first;
}

void convert(const ElementWiseInstruction& instruction, const Element& operand, Element& result) {
    with_storage_type(instruction.operand_type, [&]<typename From>() {
        From value;
        std::memcpy(&value, operand.data(), sizeof(From));
        with_data_type(element_type(instruction.result_type), [&]<typename To>() {
            const To rounded = converted<To>(value);
            std::memcpy(result.data(), &rounded, sizeof(To));
        });
    });
}

void run(const ElementWiseInstruction& instruction, std::vector<Element>& values, Element& result) {
    const Element& first = values[static_cast<std::size_t>(instruction.operands[0])];
    const Element& second = values[static_cast<std::size_t>(instruction.operands[1])];
    if (instruction.operation == ElementWiseOperation::convert) {
        convert(instruction, first, result);
        return;
    }
    with_data_type(element_type(instruction.operand_type), [&]<typename Data>() {
        store<Data>(result.data(), compute(instruction.operation, load<Data>(first.data()),
                                           load<Data>(second.data())));
    });
}

/// Walks the elements from begin up to end, and of each does all instructions.
void run_part(const ElementWiseProgram& program, std::int64_t begin, std::int64_t end) {
    std::vector<TensorAxes> axes;
    for (const ElementWiseSource& source : program.sources) {
        axes.emplace_back(program.shape, source.tensor.strides);
    }
    for (const ElementWiseTarget& target : program.targets) {
        axes.emplace_back(program.shape, target.tensor.strides);
    }
    std::vector<TensorCursor> cursors;
    for (const TensorAxes& of_one : axes) {
        cursors.emplace_back(of_one, begin);
    }
    const std::size_t source_count = program.sources.size();
    std::vector<Element> values(source_count + program.instructions.size());
    for (std::int64_t element = begin; element < end; ++element) {
        stop_if_interrupted(element);
        for (std::size_t index = 0; index < source_count; ++index) {
            const ElementWiseSource& source = program.sources[index];
            std::memcpy(values[index].data(), source.tensor.address + cursors[index].offset(),
                        size_of(source.type));
        }
        for (std::size_t index = 0; index < program.instructions.size(); ++index) {
            run(program.instructions[index], values, values[source_count + index]);
        }
        for (std::size_t index = 0; index < program.targets.size(); ++index) {
            const ElementWiseTarget& target = program.targets[index];
            const auto value = static_cast<std::size_t>(target.value);
            const StorageType type = value < source_count
                                         ? program.sources[value].type
                                         : program.instructions[value - source_count].result_type;
            std::memcpy(target.tensor.address + cursors[source_count + index].offset(),
                        values[value].data(), size_of(type));
        }
        for (TensorCursor& cursor : cursors) {
            cursor.advance();
        }
    }
}

}  // namespace

void run_kernel(const ElementWiseProgram& program, std::int64_t num_threads) {
    const std::int64_t count = product(program.shape);
    share_elements(count, count, num_threads,
                   [&](std::int64_t begin, std::int64_t end) { run_part(program, begin, end); });
}

}  // namespace normgraph::kernel::reference
