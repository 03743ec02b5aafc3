# Options of the sources whose code runs only on processors that have what they ask for. All others
# are compiled for the baseline.
function(normgraph_set_instruction_sets folder)
    if(MSVC)
        return()
    endif()
    set(avx2_options -mavx2 -mf16c)
    set(avx512_options -mavx512f -mavx512bw -mavx512dq -mavx512vl ${avx2_options})
    # GCC 12 takes the unspecified lanes of its own intrinsics for mistakes (GCC bug 105593).
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        list(APPEND avx512_options -Wno-uninitialized -Wno-maybe-uninitialized)
    endif()
    set_source_files_properties(${folder}/avx2.cpp PROPERTIES COMPILE_OPTIONS "${avx2_options}")
    set_source_files_properties(${folder}/avx512.cpp PROPERTIES COMPILE_OPTIONS "${avx512_options}")
endfunction()
