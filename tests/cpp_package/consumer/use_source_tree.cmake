# Lets find_package(normgraph) take a source tree, as a project that uses FetchContent does.
include(FetchContent)
FetchContent_Declare(normgraph SOURCE_DIR ${NORMGRAPH_SOURCE_TREE} OVERRIDE_FIND_PACKAGE)
