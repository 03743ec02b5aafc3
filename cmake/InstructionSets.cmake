# Options of the sources whose code runs only on processors that have what they ask for. All others
# are compiled for the baseline.

# What the compiler targets, by its own word: CMAKE_SYSTEM_PROCESSOR is the machine that it runs on
# where -arch, --target or -m32 say otherwise. Sets `result` to TRUE or FALSE, and
# `result`_ONLY_FOR to the options that hold the next one back from any other processor of the same
# compile command: Apple's compilers build for several at once.
function(normgraph_target_is_x86_64 result)
    list(LENGTH CMAKE_OSX_ARCHITECTURES architecture_count)
    if(APPLE AND architecture_count GREATER 1)
        if(x86_64 IN_LIST CMAKE_OSX_ARCHITECTURES)
            set(${result} TRUE PARENT_SCOPE)
        else()
            set(${result} FALSE PARENT_SCOPE)
        endif()
        set(${result}_ONLY_FOR -Xarch_x86_64 PARENT_SCOPE)
        return()
    endif()
    set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
    # Not remembered: the answer may change with CMAKE_CXX_FLAGS.
    try_compile(is_x86_64
        SOURCE_FROM_CONTENT target.cpp
            "#if !defined(__x86_64__) && !defined(_M_X64)\n#error another processor\n#endif\n"
        NO_CACHE)
    set(${result} ${is_x86_64} PARENT_SCOPE)
    set(${result}_ONLY_FOR "" PARENT_SCOPE)
endfunction()

normgraph_target_is_x86_64(NORMGRAPH_X86_64)

# normgraph_x86_64_options(RESULT OPTION...): the options, for x86-64 alone.
function(normgraph_x86_64_options result)
    set(options)
    foreach(option IN LISTS ARGN)
        list(APPEND options ${NORMGRAPH_X86_64_ONLY_FOR} ${option})
    endforeach()
    set(${result} ${options} PARENT_SCOPE)
endfunction()

function(normgraph_set_instruction_sets target folder)
    if(NORMGRAPH_BASELINE_ONLY)
        set_source_files_properties(
            ${folder}/avx2.cpp ${folder}/avx512.cpp ${folder}/avx512_bf16.cpp PROPERTIES
            HEADER_FILE_ONLY ON)
        target_compile_definitions(${target} PRIVATE NORMGRAPH_BASELINE_ONLY)
    endif()
    if(MSVC)
        return()
    endif()
    # Vectors are chosen by hand there. GCC would make vectors of addresses as well, which take longer
    # to compute than the few elements of a short row.
    set(scalar_addresses -fno-tree-vectorize -fno-tree-slp-vectorize)
    set_source_files_properties(${folder}/sse2.cpp ${folder}/neon.cpp PROPERTIES
        COMPILE_OPTIONS "${scalar_addresses}")
    # For another processor these sources are empty.
    if(NOT NORMGRAPH_X86_64)
        return()
    endif()
    normgraph_x86_64_options(avx2_options -mavx2 -mfma -mf16c)
    normgraph_x86_64_options(avx512_options
        -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c)
    normgraph_x86_64_options(bf16_options -mavx512bf16)
    # GCC 12 takes the unspecified lanes of its own intrinsics for mistakes (GCC bug 105593).
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        list(APPEND avx512_options -Wno-uninitialized -Wno-maybe-uninitialized)
    endif()
    set_source_files_properties(${folder}/avx2.cpp PROPERTIES
        COMPILE_OPTIONS "${avx2_options};${scalar_addresses}")
    set_source_files_properties(${folder}/avx512.cpp PROPERTIES
        COMPILE_OPTIONS "${avx512_options};${scalar_addresses}")
    set_source_files_properties(${folder}/avx512_bf16.cpp PROPERTIES
        COMPILE_OPTIONS "${avx512_options};${bf16_options};${scalar_addresses}")
endfunction()
