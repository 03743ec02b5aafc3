# find_package(normgraph) gives the targets
#   normgraph::kernel     the kernels alone: "normgraph/kernel/dispatch.hpp"
#   normgraph::normgraph  nodes and ops as well: "normgraph/op/batch_norm_training_backprop.hpp"
include(CMakeFindDependencyMacro)
find_dependency(Threads)
include(${CMAKE_CURRENT_LIST_DIR}/normgraphTargets.cmake)
