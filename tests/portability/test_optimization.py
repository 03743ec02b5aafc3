"""Kernels are optimised as they were measured, whatever else a program is built for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.portability.cmake import compile_commands


def levels(layer: str, build: Path, *options: str) -> set[str]:
    """The -O that counts, the last one, of each source in a layer: empty where there is none."""
    return {
        ["", *re.findall(r"(?<= )-O\S*", command)][-1]
        for source, command in compile_commands(build, "-DCMAKE_UNITY_BUILD=OFF", *options).items()
        if f"/normgraph/{layer}/" in source
    }


@pytest.mark.parametrize(
    ("build_type", "others"), [("RelWithDebInfo", "-O2"), ("MinSizeRel", "-Os"), ("None", "")]
)
def test_kernels_have_the_highest_level(build_type: str, others: str, tmp_path: Path) -> None:
    option = f"-DCMAKE_BUILD_TYPE={build_type}"
    assert levels("kernel", tmp_path, option) == {"-O3"}
    assert levels("runtime", tmp_path, option) == {others}


@pytest.mark.parametrize(
    "options",
    [
        ("-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS_DEBUG=-Og"),
        ("-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_CXX_FLAGS_RELEASE=-Og"),
        (
            "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
            "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-Og",
            "-DNORMGRAPH_SANITIZE=address",
        ),
    ],
    ids=["debug", "release", "sanitized"],
)
def test_elsewhere_the_flags_of_the_configuration_count(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    assert levels("kernel", tmp_path, *options) == {"-Og"}
