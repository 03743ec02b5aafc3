#!/bin/sh
# Usage: create_environment.sh FOLDER
# Makes a Python virtual environment in FOLDER, with the build tools, and writes FOLDER/compiler, a
# C++20 compiler to build with. Takes $PYTHON and $CXX if they are set, else the first that will do,
# and says what is missing if nothing will.
set -eu
folder=$1

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

# --- Python: 3.10 or newer, with venv, pip and the C headers --------------------------------------

# 0: will do; 1: not there, too old, or of the environment that is to be made anew; 2: recent
# enough, but a part is missing
check_python() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10) or sys.prefix == sys.argv[1])' \
        "$folder" 2>/dev/null || return 1
    "$1" -c '
import ensurepip, pathlib, sys, sysconfig, venv
sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists())' 2>/dev/null ||
        return 2
}

known_pythons='python3 python3.14 python3.13 python3.12 python3.11 python3.10 python'

# Sets `python` to the first that will do, and `incomplete` to the first that lacks a part.
find_python() {
    python= incomplete=
    for candidate in ${PYTHON:-$known_pythons}; do
        status=0
        check_python "$candidate" || status=$?
        if [ $status -eq 0 ]; then
            python=$candidate
            return
        elif [ $status -eq 2 ] && [ -z "$incomplete" ]; then
            incomplete=$candidate
        fi
    done
}

# Debian and Fedora split the headers off; they can be had without a question as root.
install_python_parts() {
    version=$("$incomplete" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if [ "$(id -u)" -eq 0 ]; then as_root=; else as_root="sudo -n"; fi
    if command -v apt-get >/dev/null 2>&1; then
        set -- apt-get install --yes --no-install-recommends \
            "python$version-dev" "python$version-venv"
        $as_root "$@" || { $as_root apt-get update && $as_root "$@"; }
    elif command -v dnf >/dev/null 2>&1; then
        $as_root dnf install --assumeyes "python3-devel"
    else
        return 1
    fi
}

find_python
if [ -z "$python" ] && [ -n "$incomplete" ]; then
    install_python_parts || true
    find_python
fi
if [ -z "$python" ] && [ -n "$incomplete" ]; then
    fail "$incomplete lacks its C headers or the module venv." \
        "Install them and run the command again:" \
        "  Debian, Ubuntu:  apt-get install python3-dev python3-venv" \
        "  Fedora, RHEL:    dnf install python3-devel"
elif [ -z "$python" ]; then
    fail "normgraph needs Python 3.10 or newer; looked for: ${PYTHON:-$known_pythons}" \
        "Install one, or name it: make PYTHON=/path/to/python3.12 …"
fi

# --- Compiler: C++20 -----------------------------------------------------------------------------

# oldest GCC | CLANG: the oldest version that builds normgraph
oldest() {
    sed -n "s/^set(NORMGRAPH_OLDEST_$1 \([0-9]*\))$/\1/p" "$(dirname "$0")/CompilerVersion.cmake"
}
oldest_gcc=$(oldest GCC)
oldest_clang=$(oldest CLANG)

probe=$(mktemp -d)
trap 'rm -rf "$probe"' EXIT
cat >"$probe/probe.cpp" <<PROBE
// Apple counts in its own way.
#if defined(__clang__) && !defined(__apple_build_version__) && __clang_major__ < $oldest_clang
#error too old
#elif defined(__GNUC__) && !defined(__clang__) && __GNUC__ < $oldest_gcc
#error too old
#endif
#include <bit>
#include <concepts>
#include <span>
template <std::integral Value>
Value first(std::span<const Value> values) { return values.front(); }
int main() {
    const int values[] = {std::bit_cast<int>(0.0F)};
    return first(std::span<const int>(values));
}
PROBE

compiler=
known_compilers='c++ g++ clang++
    g++-15 g++-14 g++-13 g++-12 g++-11 clang++-20 clang++-19 clang++-18 clang++-17 clang++-16
    clang++-15 clang++-14'
for candidate in ${CXX:-$known_compilers}; do
    if "$candidate" -std=c++20 "$probe/probe.cpp" -o "$probe/probe" 2>/dev/null; then
        compiler=$(command -v "$candidate")
        break
    fi
done
if [ -z "$compiler" ]; then
    fail "normgraph needs a C++20 compiler (GCC $oldest_gcc or newer, Clang $oldest_clang or newer)." \
        "looked for: ${CXX:-$known_compilers}" \
        "Install one and run the command again, or name it: make CXX=/path/to/g++-12 …" \
        "  Debian, Ubuntu:  apt-get install g++" \
        "  Fedora, RHEL:    dnf install gcc-c++" \
        "  macOS:           xcode-select --install"
fi

# --- The environment -----------------------------------------------------------------------------

"$python" -m venv --clear "$folder"
"$folder/bin/python" -m pip install --quiet cmake ninja numpy pybind11 scikit-build-core
printf '%s\n' "$compiler" >"$folder/compiler"
echo "$("$python" --version) ($python), $("$compiler" --version | head -n 1) ($compiler)"
