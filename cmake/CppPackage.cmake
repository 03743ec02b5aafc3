# Installs the C++ package: static libraries, headers, and what find_package(normgraph) reads. All of
# it finds its parts relative to itself, so that it may be moved as a whole.
if(SKBUILD)
    # In the Python package, on every system: `python -m normgraph cmake-dir` looks for it there.
    set(CMAKE_INSTALL_LIBDIR lib)
endif()
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_directory ${CMAKE_INSTALL_LIBDIR}/cmake/normgraph)

install(TARGETS normgraph_kernel normgraph
    EXPORT normgraphTargets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development
    FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
install(EXPORT normgraphTargets
    NAMESPACE normgraph::
    DESTINATION ${package_directory}
    COMPONENT development)

# Before 1.0 a new minor version may break what was there.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/normgraphConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES cmake/normgraphConfig.cmake ${PROJECT_BINARY_DIR}/normgraphConfigVersion.cmake
    DESTINATION ${package_directory}
    COMPONENT development)
