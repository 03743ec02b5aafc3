#!/bin/sh
# Usage: aarch64_python.sh [PYTEST ARGUMENT]...
# Builds the Python module for 64-bit Arm with a cross compiler, and runs `python -m normgraph check`
# and the tests that need no further process with a Python for that processor, in an emulator. `make
# test-aarch64` calls this when the C++ tests have passed. The Python and its libraries are Debian's
# packages, unpacked into build/: nothing is installed. Where they cannot be had, it says what was
# left out, and that is no failure.
set -eu
build=build/aarch64_python
root=$PWD/$build/root
site=$PWD/$build/site
logs=build/logs/aarch64_python

leave_out() {
    echo "left out: the Python tests for AArch64 ($1)"
    exit 0
}

command -v aarch64-linux-gnu-g++ >/dev/null 2>&1 && command -v qemu-aarch64 >/dev/null 2>&1 ||
    leave_out "they need what the C++ tests for it need"
command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1 ||
    leave_out "its Python is taken from packages of Debian or Ubuntu"

# The default Python of this system's release, and what it needs of the system.
version=$(apt-cache show python3-minimal 2>/dev/null |
    sed -n 's/^Depends:.*python\(3\.[0-9]*\)-minimal.*/\1/p' | head -n 1)
version=${version:-3.11}

unpack_python() {
    mkdir -p "$build/lists/partial" "$build/cache/archives/partial" "$build/packages" "$root"
    apt="apt-get -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root
        -o Dir::State::lists=$PWD/$build/lists -o Dir::Cache=$PWD/$build/cache
        -o Dir::State::status=/dev/null"
    $apt update
    (cd "$build/packages" && $apt download \
        "python$version" "python$version-minimal" "libpython$version-minimal" \
        "libpython$version-stdlib" "libpython$version-dev" "libpython$version" libc6 libgcc-s1 \
        libstdc++6 libexpat1 zlib1g libffi8 libssl3 libbz2-1.0 liblzma5 libuuid1 libcrypt1 \
        libsqlite3-0 libtinfo6 libncursesw6 libreadline8 media-types)
    for package in "$build"/packages/*.deb; do
        dpkg-deb -x "$package" "$root"
    done
    "$PWD/$build/python" -c "import ctypes, json, ssl"
}

# A program that stands for the interpreter: CMake asks it, and it runs the tests.
mkdir -p "$build"
cat >"$build/python" <<END
#!/bin/sh
exec qemu-aarch64 -L $root $root/usr/bin/python$version "\$@"
END
chmod +x "$build/python"

if ! "$build/python" -c "import ctypes" >/dev/null 2>&1; then
    mkdir -p "$logs"
    unpack_python >"$logs/packages.log" 2>&1 ||
        leave_out "Python $version of Debian's arm64 packages cannot be had: $logs/packages.log"
fi

cmake/quietly.sh "$logs/packages_of_python.log" "installing numpy and pytest for AArch64" \
    python -m pip install --upgrade --target "$site" --python-version "$version" \
    --platform manylinux_2_28_aarch64 --platform manylinux_2_17_aarch64 \
    --platform manylinux2014_aarch64 --only-binary=:all: numpy pytest hypothesis gmpy2 ml_dtypes ||
    leave_out "no wheels of numpy for it"

cmake/quietly.sh "$logs/build.log" "building the Python module for AArch64" sh -c "
    cmake --preset aarch64 -B $build/module -G Ninja -DNORMGRAPH_BUILD_PYTHON=ON \
        -DNORMGRAPH_BUILD_TESTS=OFF -DNORMGRAPH_WARNINGS_AS_ERRORS=OFF -DPython_EXECUTABLE=$PWD/$build/python \
        -DPython_INCLUDE_DIR=$root/usr/include/python$version \
        -Dpybind11_DIR=$(python -m pybind11 --cmakedir) \
        -DCMAKE_CXX_FLAGS='-isystem $root/usr/include' &&
    cmake --build $build/module --target _core"
rm -rf "$site/normgraph"
cp -R python/normgraph "$site/normgraph"
cp "$build"/module/_core*.so "$site/normgraph"

export PYTHONPATH="$site" PYTHONDONTWRITEBYTECODE=1
"$build/python" -m normgraph check
# What starts further programs is left out: they would have to be started in the emulator.
"$build/python" -m pytest -q -p no:cacheprovider tests/ir tests/kernel/test_dlpack.py tests/kernel/test_special_values.py \
    tests/kernel/test_batch_norm_training_backprop.py tests/op/test_nodes.py tests/op/test_operators.py "$@"
