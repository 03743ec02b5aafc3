# Options of the sources whose code runs only on processors that have what they ask for. All others
# are compiled for the baseline.
function(normgraph_set_instruction_sets target folder)
    if(NORMGRAPH_BASELINE_ONLY)
        set_source_files_properties(${folder}/avx2.cpp ${folder}/avx512.cpp PROPERTIES
            HEADER_FILE_ONLY ON)
        target_compile_definitions(${target} PRIVATE NORMGRAPH_BASELINE_ONLY)
    endif()
    if(MSVC)
        return()
    endif()
    # Vectors are chosen by hand there. GCC would make vectors of addresses as well, which take longer
    # to compute than the few elements of a short row.
    set(scalar_addresses -fno-tree-vectorize -fno-tree-slp-vectorize)
    set(avx2_options -mavx2 -mf16c)
    set(avx512_options -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma ${avx2_options})
    # GCC 12 takes the unspecified lanes of its own intrinsics for mistakes (GCC bug 105593).
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        list(APPEND avx512_options -Wno-uninitialized -Wno-maybe-uninitialized)
    endif()
    set_source_files_properties(${folder}/avx2.cpp PROPERTIES
        COMPILE_OPTIONS "${avx2_options};${scalar_addresses}")
    set_source_files_properties(${folder}/avx512.cpp PROPERTIES
        COMPILE_OPTIONS "${avx512_options};${scalar_addresses}")
    set_source_files_properties(${folder}/sse2.cpp ${folder}/neon.cpp PROPERTIES
        COMPILE_OPTIONS "${scalar_addresses}")
endfunction()
