# Warnings, visibility and sanitizers of this project's own targets. PRIVATE, because a program that
# links them chooses its own.
function(normgraph_compile_options target)
    set_target_properties(${target} PROPERTIES
        CXX_EXTENSIONS OFF
        CXX_VISIBILITY_PRESET hidden
        VISIBILITY_INLINES_HIDDEN ON)
    if(MSVC)
        target_compile_options(${target} PRIVATE /W4 /permissive-)
    else()
        target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wshadow)
        # GCC 12 sees overlapping copies in std::string where there are none (GCC bug 105651).
        if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
            target_compile_options(${target} PRIVATE -Wno-restrict)
        endif()
    endif()
    # std::stable_sort of libstdc++ 12 calls a function that it deprecates.
    if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
        target_compile_options(${target} PRIVATE -Wno-deprecated-declarations)
    endif()
    if(NORMGRAPH_WARNINGS_AS_ERRORS)
        set_target_properties(${target} PROPERTIES COMPILE_WARNING_AS_ERROR ON)
    endif()
    if(NORMGRAPH_SANITIZE)
        target_compile_options(${target} PRIVATE
            -fsanitize=${NORMGRAPH_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
        target_link_options(${target} PUBLIC -fsanitize=${NORMGRAPH_SANITIZE})
    endif()
endfunction()

# Results are promised to the bit on every machine, so no compiler may fuse a product and a sum. No
# one reads errno: without it a square root is one instruction.
function(normgraph_exact_arithmetic target)
    if(MSVC)
        target_compile_options(${target} PRIVATE /fp:precise)
    else()
        target_compile_options(${target} PRIVATE -ffp-contract=off -fno-math-errno)
    endif()
endfunction()

# GCC 12 leaves loops over two or three operands as loops at -O2, and with them vectors in memory: such
# kernels take 1.4 times as long (the geometric mean over ops, types, layouts and instruction sets), and
# up to fourteen times. So they have -O3 in every configuration but Debug; in Release, whatever its
# flags say, which is -O3 unless somebody has chosen them.
function(normgraph_optimize_kernels target)
    if(NOT MSVC AND NOT NORMGRAPH_SANITIZE)
        target_compile_options(${target} PRIVATE $<$<NOT:$<CONFIG:Debug,Release>>:-O3>)
    endif()
endfunction()

# Compiles some files as one, unless CMAKE_UNITY_BUILD says otherwise. What all of them include weighs
# more than what they say: GCC compiles 100 kB of pybind11 with each file of the bindings.
function(normgraph_compile_together target)
    if(NOT DEFINED CMAKE_UNITY_BUILD)
        set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 4)
    endif()
endfunction()
