"""Programs that a test runs in a process of their own, since their failure could end or hang it."""

from __future__ import annotations

import os
import subprocess
import sys

#: What every program begins with.
SETTING = """\
import gc, os, pickle, signal, sys, threading
import numpy as np
import normgraph as ng

def graph():
    x = ng.Parameter("f32", [None, 3, None], name="x")
    gamma = ng.Parameter("f32", [3], name="gamma")
    node = ng.op.BatchNormTraining(x, gamma, gamma)
    return ng.Function([node.output(index) for index in range(3)], [x, gamma])

def outcome(call):
    '''What a call returns, or the error that it raises.'''
    try:
        return call()
    except BaseException as error:
        return error
"""


def run_program(program: str, timeout: float = 120, setting: str = SETTING) -> str:
    """What the program prints; fails if it does not end in time, or not well."""
    result = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", setting + program],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert result.returncode == 0, f"exit status {result.returncode}\n{result.stderr}"
    return result.stdout
