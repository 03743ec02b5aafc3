# GoogleTest and Google Benchmark, from the first place that has them:
#   1. find_package: an installed CMake package;
#   2. the system's package manager, if NORMGRAPH_INSTALL_SYSTEM_PACKAGES is on (`make` sets it);
#   3. the release archive, checked against the hash below.
# A cross build cannot use what is built for this machine. It takes GoogleTest from the sources that
# Debian's package has, before 3.
# If none works, configuring ends with a message that says what to install.
option(NORMGRAPH_INSTALL_SYSTEM_PACKAGES "Install missing C++ test packages on the system" OFF)

string(CONCAT NORMGRAPH_INSTALL_HINT
    "Install it and run the command again:\n"
    "  Debian, Ubuntu:  apt-get install libgtest-dev libbenchmark-dev\n"
    "  Fedora, RHEL:    dnf install gtest-devel google-benchmark-devel\n"
    "  Arch:            pacman -S gtest benchmark\n"
    "  macOS:           brew install googletest google-benchmark\n"
    "  conda:           conda install gtest benchmark")

function(normgraph_install_system_package package)
    message(STATUS "${package} is not installed; asking the system's package manager for it")
    execute_process(
        COMMAND ${PROJECT_SOURCE_DIR}/cmake/install_cpp_test_dependencies.sh ${package}
        RESULT_VARIABLE status)
    if(NOT status EQUAL 0)
        message(STATUS "the package manager could not install ${package}")
    endif()
endfunction()

# Downloads by itself rather than through FetchContent, so that being offline gives the hint above.
function(normgraph_fetch_package package url hash)
    set(archive ${PROJECT_BINARY_DIR}/downloads/${package}.tar.gz)
    if(NOT EXISTS ${archive})
        message(STATUS "fetching the source of ${package}")
        file(DOWNLOAD ${url} ${archive}.part STATUS status INACTIVITY_TIMEOUT 30)
        list(POP_FRONT status code text)
        if(NOT code EQUAL 0)
            message(FATAL_ERROR
                "${package} is not installed, and could not be fetched (${text}).\n"
                "${NORMGRAPH_INSTALL_HINT}")
        endif()
        file(RENAME ${archive}.part ${archive})
    endif()
    include(FetchContent)
    FetchContent_Declare(${package}
        URL ${archive}
        URL_HASH SHA256=${hash}
        DOWNLOAD_EXTRACT_TIMESTAMP ON
        SYSTEM)
    FetchContent_MakeAvailable(${package})
endfunction()

# Builds the source that a package of the system installs, in this tree.
function(normgraph_add_system_source package folder)
    if(NOT EXISTS ${folder} AND NORMGRAPH_INSTALL_SYSTEM_PACKAGES)
        normgraph_install_system_package(${package})
    endif()
    if(EXISTS ${folder})
        add_subdirectory(${folder} ${PROJECT_BINARY_DIR}/${package} EXCLUDE_FROM_ALL SYSTEM)
    endif()
endfunction()

# Afterwards `target` exists. A macro: imported targets belong to the directory that found them.
macro(normgraph_require_package package target url hash)
    if(NOT TARGET ${target})
        find_package(${package} QUIET)
    endif()
    if(NOT TARGET ${target} AND NORMGRAPH_INSTALL_SYSTEM_PACKAGES AND NOT CMAKE_CROSSCOMPILING)
        normgraph_install_system_package(${package})
        find_package(${package} QUIET)
    endif()
    if(NOT TARGET ${target})
        normgraph_fetch_package(${package} ${url} ${hash})
    endif()
endmacro()

macro(normgraph_require_googletest)
    set(INSTALL_GTEST OFF)
    set(BUILD_GMOCK OFF)
    set(gtest_force_shared_crt ON)
    if(CMAKE_CROSSCOMPILING)
        normgraph_add_system_source(GTest /usr/src/googletest)
    endif()
    normgraph_require_package(GTest GTest::gtest_main
        https://github.com/google/googletest/releases/download/v1.15.2/googletest-1.15.2.tar.gz
        7b42b4d6ed48810c5362c265a17faebe90dc2373c885e5216439d37927f02926)
endmacro()

macro(normgraph_require_google_benchmark)
    set(BENCHMARK_ENABLE_TESTING OFF)
    set(BENCHMARK_ENABLE_INSTALL OFF)
    set(BENCHMARK_ENABLE_WERROR OFF)
    normgraph_require_package(benchmark benchmark::benchmark
        https://github.com/google/benchmark/archive/refs/tags/v1.8.3.tar.gz
        6bc180a57d23d4d9515519f92b0c83d61b05b5bab188961f36ac7b06b0d9e9ce)
endmacro()
