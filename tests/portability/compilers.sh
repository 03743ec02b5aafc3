#!/bin/sh
# Usage: compilers.sh [COMPILER]...
# With each of these compilers that is there, builds the libraries, the C++ tests and the Python
# module, and runs the C++ tests. Fails if a compiler fails or none is there. `make test-compilers`
# calls this with everything set up.
set -eu
if [ $# -eq 0 ]; then
    set -- g++-11 g++-12 g++-13 g++-14 g++-15 \
        clang++-14 clang++-15 clang++-16 clang++-17 clang++-18 clang++-19 clang++-20
fi

test_with() {
    build=build/compilers/$1
    cmake --preset default -G Ninja -B "$build" -DCMAKE_CXX_COMPILER="$1" \
        -DNORMGRAPH_INSTALL_SYSTEM_PACKAGES=ON &&
        cmake --build "$build" --target _core normgraph_tests &&
        ctest --test-dir "$build" --output-on-failure --no-tests=error
}

# quietly.sh runs this file once more: it takes a program, not a function.
if [ "$1" = --only ]; then
    test_with "$2"
    exit
fi

missing= failed= tested=
for compiler; do
    log=build/logs/compilers/$compiler.log
    if ! command -v "$compiler" >/dev/null 2>&1; then
        missing="$missing $compiler"
    elif cmake/quietly.sh "$log" "building and testing with $compiler" "$0" --only "$compiler"; then
        grep "tests passed" "$log"
        tested="$tested $compiler"
    else
        failed="$failed $compiler"
    fi
done
echo "passed:${tested:- none}"
echo "failed:${failed:- none}"
echo "left out, since they are not installed:${missing:- none}"
[ -n "$tested" ] && [ -z "$failed" ]
