set(PYBIND11_FINDPYTHON ON)
find_package(Python 3.10 REQUIRED COMPONENTS Interpreter Development.Module)

# Outside of a wheel build pybind11 is found where the interpreter has it.
if(NOT SKBUILD AND NOT pybind11_DIR)
    execute_process(
        COMMAND ${Python_EXECUTABLE} -m pybind11 --cmakedir
        OUTPUT_VARIABLE pybind11_hint
        OUTPUT_STRIP_TRAILING_WHITESPACE
        ERROR_QUIET)
endif()
find_package(pybind11 3.0 CONFIG REQUIRED HINTS ${pybind11_hint})

file(GLOB_RECURSE binding_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/csrc/binding/*.cpp)
pybind11_add_module(_core MODULE NO_EXTRAS ${binding_sources})
target_link_libraries(_core PRIVATE normgraph::normgraph)
target_include_directories(_core PRIVATE ${PROJECT_SOURCE_DIR}/csrc)
target_compile_definitions(_core PRIVATE NORMGRAPH_VERSION="${PROJECT_VERSION}")
normgraph_compile_options(_core)
normgraph_compile_together(_core)
# Reading these headers takes longer than compiling the bindings themselves.
target_precompile_headers(_core PRIVATE
    ${PROJECT_SOURCE_DIR}/csrc/binding/checked_interning.hpp
    <pybind11/numpy.h> <pybind11/pybind11.h> <pybind11/stl.h>)

# Part of a wheel only: a plain `cmake --install` installs the C++ package.
install(TARGETS _core LIBRARY DESTINATION . COMPONENT python EXCLUDE_FROM_ALL)
