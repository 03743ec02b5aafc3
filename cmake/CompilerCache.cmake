# Compilations are kept by ccache where it is installed, unless a launcher is chosen already: a build
# in another folder, or after a change that has been taken back, then compiles nothing anew.
# Precompiled headers are the compiler's own affair (-fpch-preprocess lets ccache look into them), and
# paths in the source folder count from there.
if(PROJECT_IS_TOP_LEVEL AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
    find_program(NORMGRAPH_CCACHE ccache)
    mark_as_advanced(NORMGRAPH_CCACHE)
    if(NORMGRAPH_CCACHE)
        set(CMAKE_CXX_COMPILER_LAUNCHER
            ${CMAKE_COMMAND} -E env
            CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}
            CCACHE_NOHASHDIR=true
            CCACHE_SLOPPINESS=pch_defines,time_macros
            ${NORMGRAPH_CCACHE})
        if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
            add_compile_options(-fpch-preprocess)
        endif()
    endif()
endif()
