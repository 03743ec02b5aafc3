#pragma once

#include "normgraph/op/convert.hpp"
#include "normgraph/op/elementwise.hpp"
#include "normgraph/op/matrix_multiply.hpp"
#include "normgraph/op/reduction.hpp"
#include "normgraph/op/relu_selection.hpp"
#include "normgraph/op/select_where.hpp"

namespace normgraph::op {

/// The ops that the family is decomposed into and that graphs are made of besides. Each is a class
/// of Python by being listed here.
template <template <typename...> typename List>
using Primitives =
    List<Add, Subtract, Multiply, Divide, Negate, SquareRoot, Relu, ReluBackprop, Sum, Mean,
         Broadcast, MeanBackprop, Convert, MatrixMultiply, ReluMask, ReluMaskSelect, SelectWhere>;

}  // namespace normgraph::op
