#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "normgraph/ir/function.hpp"
#include "normgraph/runtime/backend.hpp"
#include "normgraph/runtime/element_wise_step.hpp"
#include "normgraph/runtime/plan.hpp"

namespace normgraph::runtime {

/// Puts a plan together, node by node; lowering.cpp says which steps a node becomes. Numbers are
/// those of views.
class PlanBuilder {
public:
    explicit PlanBuilder(Backend backend) : backend_(backend) {}

    std::size_t add_argument(const TensorType& type);
    std::size_t add_constant(const TensorType& type, const std::byte* data);
    /// A number that the plan keeps, rounded to a real type, as a view of this shape.
    std::size_t add_number(double value, const Lengths& shape, element::Type type = element::f64);
    /// The value of a step.
    std::size_t add_value(const TensorType& type);
    /// Another view of the same memory; the same number for the same view.
    std::size_t add_view(View view);

    const View& view(std::size_t index) const { return plan_.views[index]; }
    element::Type element_type(std::size_t view) const;

    /// Element-wise operations: begin_element_wise gives the step that they are added to, which
    /// reads `operands`; end_element_wise makes `result` stand for a value of it.
    ElementWiseStep& begin_element_wise(const Lengths& shape,
                                        const std::vector<std::size_t>& operands);
    ProgramValue operand(ElementWiseStep& step, std::size_t view) const;
    void end_element_wise(ElementWiseStep& step, ProgramValue value, std::size_t result);

    /// Any other step, after all that have been added so far.
    void add_step(std::unique_ptr<Step> step);

    /// The same elements in C order without gaps: the view itself, if the caller gives such
    /// arguments and results, or a copy.
    std::size_t in_order(std::size_t view);
    /// The strides of this view decide about the bits of what is made of it.
    void strides_matter_of(std::size_t view);

    /// The plan, whose results are these views.
    Plan finish(const std::vector<std::size_t>& results, std::vector<TensorType> argument_types,
                std::vector<TensorType> result_types);

private:
    /// A value of an element-wise step.
    struct Made {
        ElementWiseStep* step;
        ProgramValue value;
    };

    bool is_open(const ElementWiseStep& step) const;
    void close(const ElementWiseStep& step);
    void close_all();
    std::size_t add_buffer(Buffer buffer);
    std::size_t whole_view(std::size_t buffer);
    void copy(std::size_t from, std::size_t to);
    void place_results(const std::vector<std::size_t>& results,
                       const std::vector<TensorType>& types);
    void place_values();
    void place_in_arena();
    std::vector<std::optional<std::size_t>> last_reads() const;

    Backend backend_;
    Plan plan_;
    std::size_t argument_count_ = 0;
    std::map<std::tuple<std::size_t, Lengths, Lengths>, std::size_t> views_;  ///< their numbers
    std::list<std::unique_ptr<ElementWiseStep>> open_;  ///< of different shapes; independent
    std::map<Lengths, std::list<std::unique_ptr<ElementWiseStep>>::iterator> open_of_shape_;
    std::vector<ElementWiseStep*> element_wise_steps_;
    std::unordered_map<std::size_t, Made> made_;                 ///< by buffer
    std::unordered_set<std::size_t> in_order_, strides_matter_;  ///< buffers
};

}  // namespace normgraph::runtime
