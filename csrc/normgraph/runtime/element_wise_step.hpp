#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "normgraph/kernel/primitive_contract.hpp"
#include "normgraph/runtime/plan.hpp"

namespace normgraph::runtime {

/// A value of an element-wise program that is being put together: a source, or what an instruction
/// makes.
struct ProgramValue {
    bool is_source;
    std::size_t index;

    friend bool operator==(const ProgramValue&, const ProgramValue&) = default;
};

/// Element-wise operations on tensors of one shape, run together: what is read by them alone is
/// never stored.
class ElementWiseStep final : public Step {
public:
    explicit ElementWiseStep(Lengths shape) : shape_(std::move(shape)) {}

    const Lengths& shape() const { return shape_; }
    std::size_t instruction_count() const { return instructions_.size(); }

    /// The value that this view is; the same one for the same view.
    ProgramValue source(std::size_t view, kernel::StorageType type);

    /// Only before finish().
    ProgramValue add(kernel::ElementWiseOperation operation, kernel::StorageType operand_type,
                     kernel::StorageType result_type, ProgramValue first, ProgramValue second);

    /// Writes a value to a view as well.
    void store(ProgramValue value, std::size_t view);

    /// After the last value has been added or stored: gives them their numbers.
    void finish();

    void run(const Bindings& bindings, std::int64_t num_threads,
             const kernel::Implementation& implementation) const override;
    std::vector<std::size_t> reads() const override { return sources_; }
    std::vector<std::size_t> writes() const override;
    /// Where no later instruction reads the source.
    std::vector<Overwrite> possible_overwrites() const override;

private:
    struct Operation {
        kernel::ElementWiseOperation operation;
        kernel::StorageType operand_type, result_type;
        ProgramValue first, second;
    };
    struct Store {
        ProgramValue value;
        std::size_t view;
    };

    std::int32_t number_of(const ProgramValue& value) const;
    void assign_slots();
    /// By source: the last instruction that reads it, or the number of all if it is stored.
    std::vector<std::size_t> last_reads() const;

    Lengths shape_;
    std::vector<std::size_t> sources_;
    std::vector<kernel::StorageType> source_types_;
    std::vector<Operation> operations_;
    std::vector<Store> stores_;
    std::vector<kernel::ElementWiseInstruction> instructions_;
    std::int32_t slot_count_ = 0;
};

}  // namespace normgraph::runtime
