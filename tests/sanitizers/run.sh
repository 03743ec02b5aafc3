#!/bin/sh
# Usage: run.sh (asan | tsan) [PYTEST ARGUMENT]...
# Builds the library, the Python module and the C++ tests with the CMake preset of that name, and
# runs all tests under its sanitizers. `make asan` and `make tsan` call this with everything set up.
#
# What runs under them: this project's code. Python itself is not built for them, so the runtime of
# the sanitizer has to be loaded before it, which is done here for GCC on Linux.
set -eu
preset=$1
shift
here=$(dirname "$0")
build=build/$preset
logs=build/logs/$preset
compiler=${CXX:-g++}

case $preset in
    asan) runtime=libasan.so what="AddressSanitizer and UndefinedBehaviorSanitizer" ;;
    tsan) runtime=libtsan.so what="ThreadSanitizer" ;;
    *) echo "expected asan or tsan, got '$preset'" >&2; exit 2 ;;
esac
runtime=$("$compiler" -print-file-name="$runtime")
if [ "$(uname -s)" != Linux ] || [ ! -e "$runtime" ]; then
    echo "$what: this needs GCC on Linux, with its sanitizers (CXX=g++ chooses GCC)" >&2
    exit 1
fi
# Python does not link the C++ library, and the sanitizer looks there for what throws exceptions
# when it is loaded.
preload="$runtime $("$compiler" -print-file-name=libstdc++.so.6)"

# Addresses that the kernel chooses too freely do not fit ThreadSanitizer's map of the memory.
plainly=
if setarch "$(uname -m)" --addr-no-randomize true 2>/dev/null; then
    plainly="setarch $(uname -m) --addr-no-randomize"
fi

# Reports go to files, since pytest keeps what a process prints that does not come back.
reports=$PWD/$logs/report
rm -f "$reports".*
show_reports() {
    for report in "$reports".*; do
        if [ -e "$report" ]; then cat "$report"; fi
    done
}
export UBSAN_OPTIONS="print_stacktrace=1:log_path=$reports"
# What no machine can allocate is numpy's error to raise.
export ASAN_OPTIONS="detect_stack_use_after_return=1:strict_string_checks=1:log_path=$reports"
export ASAN_OPTIONS="$ASAN_OPTIONS:allocator_may_return_null=1"
export TSAN_OPTIONS="halt_on_error=1:die_after_fork=0:log_path=$reports"
export TSAN_OPTIONS="$TSAN_OPTIONS:suppressions=$PWD/$here/tsan.supp:allocator_may_return_null=1"

# Threads of numpy's matrix product hand over their results in ways that ThreadSanitizer does not
# see, as OpenBLAS is not built for it: every array that they have written would be a report.
export OPENBLAS_NUM_THREADS=1

cmake/quietly.sh "$logs/install.log" "building with $what" \
    python -m pip install --no-build-isolation --no-deps --upgrade --target "$build/site" . \
    -Cbuild-dir="$build" -Ccmake.args="--preset=$preset" -Cinstall.strip=false \
    -Cbuild.targets="_core;normgraph_tests"

cmake/quietly.sh "$logs/ctest.log" "C++ tests" \
    $plainly ctest --test-dir "$build" --output-on-failure --no-tests=error ||
    { status=$?; show_reports; exit $status; }
grep "tests passed" "$logs/ctest.log"

# Python keeps much until its end, so leaks are looked for in the C++ tests alone. With malloc for
# every object, its objects are watched like all other memory.
export ASAN_OPTIONS="$ASAN_OPTIONS:detect_leaks=0"
PYTHONMALLOC=malloc PYTHONPATH="$PWD/$build/site" LD_PRELOAD="$preload" \
    $plainly python -m pytest -m "not interop" --numprocesses=auto --dist=worksteal "$@" ||
    { status=$?; show_reports; exit $status; }
