"""The machine and the versions that the results belong to."""

from __future__ import annotations

import os
import platform

import torch

import normgraph as ng
from benchmarks.peers.machine import processor_name, system_name
from benchmarks.peers.supervisor import available_processors

#: What changes the time of a step from outside.
ENVIRONMENT = ("GLIBC_TUNABLES", "LD_PRELOAD", "OMP_WAIT_POLICY")


def describe() -> dict[str, str]:
    """Name and value, in the order in which they are shown."""
    return {
        "processor": processor_name(),
        "available processors": str(len(available_processors())),
        "system": system_name(),
        "Python": platform.python_version(),
        "torch": f"{torch.__version__}, {torch.backends.cpu.get_cpu_capability()}",
        "normgraph": f"{ng.__version__}, {ng.config()['implementation']}",
        **{name: os.environ.get(name, "not set") for name in ENVIRONMENT},
    }
