#!/bin/sh
# Usage: install_cpp_test_dependencies.sh (GTest | benchmark | aarch64 | mpi)...
# Installs the packages with the system's package manager, where that needs no questions: as root,
# with a sudo that asks for no password, or with a package manager of the user's own. Exit status 1
# where it cannot. aarch64 stands for a cross compiler and an emulator, mpi for mpirun and what it
# runs with, which are known for apt-get alone.
set -u

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    else
        echo "this needs root, and there is no sudo without a password: $*" >&2
        return 1
    fi
}

# package_names GTEST BENCHMARK [AARCH64 MPI]: the one of these that stands for $package
package_names() {
    case "$package" in
        GTest) echo "$1" ;;
        benchmark) echo "$2" ;;
        aarch64) echo "${3:?no packages known for this package manager}" ;;
        mpi) echo "${4:?no packages known for this package manager}" ;;
        *) echo "unknown package: $package" >&2; exit 2 ;;
    esac
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$@"
}

install_package() {
    if command -v apt-get >/dev/null 2>&1; then
        # shellcheck disable=SC2046  # names are words
        set -- $(package_names libgtest-dev libbenchmark-dev "g++-aarch64-linux-gnu qemu-user" openmpi-bin)
        # A fresh machine has no package list yet; one that is there spares the slow update.
        apt_install "$@" || { as_root apt-get update && apt_install "$@"; }
    elif command -v dnf >/dev/null 2>&1; then
        as_root dnf install --assumeyes "$(package_names gtest-devel google-benchmark-devel)"
    elif command -v zypper >/dev/null 2>&1; then
        as_root zypper --non-interactive install "$(package_names gtest benchmark-devel)"
    elif command -v pacman >/dev/null 2>&1; then
        as_root pacman --sync --noconfirm --needed "$(package_names gtest benchmark)"
    elif command -v apk >/dev/null 2>&1; then
        as_root apk add "$(package_names gtest-dev benchmark-dev)"
    elif command -v brew >/dev/null 2>&1; then
        brew install "$(package_names googletest google-benchmark)"
    else
        echo "no package manager known here (apt-get, dnf, zypper, pacman, apk, brew)" >&2
        return 1
    fi
}

status=0
for package in "$@"; do
    install_package || status=1
done
exit $status
