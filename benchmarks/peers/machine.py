"""The machine that the results were measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import numpy as np

import normgraph as ng

from . import measurement


def processor_name() -> str:
    """The name of the processor, as the system calls it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def system_name() -> str:
    """The system and the version of its kernel, without what a distribution adds to it."""
    release = ".".join(platform.release().split(".")[:2])
    return f"{platform.system()} {release}"


def describe() -> dict[str, str]:
    """Name and value, in the order in which they are shown."""
    module = measurement.load()
    config = ng.config()
    return {
        "processor": processor_name(),
        "available processors": str(
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        ),
        "largest cache": f"{module.largest_cache_bytes() / 2**20:g} MiB",
        "floor": f"{module.streaming_pass_name()} loads and stores",
        "system": system_name(),
        "Python": platform.python_version(),
        "compiler of normgraph": str(config["compiler"]),
        "implementation of normgraph": str(config["implementation"]),
        "numpy of the arrays": np.__version__,
    }
