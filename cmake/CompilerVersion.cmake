# The oldest compilers that build normgraph and pass its tests (`make test-compilers`). Read by
# create_environment.sh as well: a line each.
set(NORMGRAPH_OLDEST_GCC 11)
set(NORMGRAPH_OLDEST_CLANG 14)

# Ends with a message that says what came and what is needed, before the compiler says something else.
function(normgraph_check_compiler)
    set(came "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION} (${CMAKE_CXX_COMPILER})")
    set(needed "GCC ${NORMGRAPH_OLDEST_GCC} or newer, or Clang ${NORMGRAPH_OLDEST_CLANG} or newer")
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        set(oldest ${NORMGRAPH_OLDEST_GCC})
    elseif(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
        set(oldest ${NORMGRAPH_OLDEST_CLANG})
    else()
        message(WARNING "normgraph is tested with ${needed}; with ${came} it has not been tested")
        return()
    endif()
    if(CMAKE_CXX_COMPILER_VERSION VERSION_LESS oldest)
        message(FATAL_ERROR
            "normgraph needs ${needed}; the compiler is ${came}.\n"
            "Name another one, with CXX=... or -DCMAKE_CXX_COMPILER=..., in an empty build folder.")
    endif()
endfunction()
