#!/bin/sh
# Usage: aarch64.sh [CTEST ARGUMENT]...
# Builds the libraries and the C++ tests for 64-bit Arm with a cross compiler, and runs them in an
# emulator: the NEON kernels against the reference, and both against bits recorded on x86-64. `make
# test-aarch64` calls this. Where compiler and emulator are missing and cannot be installed without
# a question, it says what was left out, and that is no failure.
set -eu
build=build/aarch64

leave_out() {
    echo "left out: the tests for AArch64 ($1)"
    exit 0
}

are_there() {
    command -v aarch64-linux-gnu-g++ >/dev/null 2>&1 && command -v qemu-aarch64 >/dev/null 2>&1
}

if [ "$(uname -m)" = aarch64 ] || [ "$(uname -m)" = arm64 ]; then
    leave_out "this is such a machine, where \`make test\` runs them"
fi
if ! are_there; then
    cmake/quietly.sh build/logs/aarch64_packages.log "installing a compiler and an emulator" \
        cmake/install_cpp_test_dependencies.sh aarch64 || true
    are_there || leave_out "they need aarch64-linux-gnu-g++ and qemu-aarch64; Debian, Ubuntu:
  apt-get install g++-aarch64-linux-gnu qemu-user"
fi

# What the emulator cannot do:
#   ParallelForAfterFork  start threads in the child of a process that has some: QEMU 7 aborts there,
#                         by an assertion of its own
#   ParallelForAtExit     start the program anew: execve takes no program for another processor
#   CacheLock             fork while another thread runs, as the first
#   MemoryPool            limit the memory of a child, in which the emulator needs some itself
excluded="^(ParallelFor(AfterFork|AtExit)|CacheLock)[.]|^MemoryPool[.]GivesUpFreeBlocks"

cmake/quietly.sh build/logs/aarch64_build.log "building for AArch64" sh -c "
    cmake --preset aarch64 -G Ninja -DNORMGRAPH_INSTALL_SYSTEM_PACKAGES=ON &&
    cmake --build $build --target normgraph_tests"
cmake/quietly.sh build/logs/aarch64_ctest.log "C++ tests in an emulator" \
    ctest --test-dir $build --output-on-failure --no-tests=error \
    --exclude-regex "$excluded" --parallel "$(getconf _NPROCESSORS_ONLN)" "$@"
grep "tests passed" build/logs/aarch64_ctest.log
