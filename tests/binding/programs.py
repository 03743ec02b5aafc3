"""Programs that call the package while other Python code comes in between."""

from __future__ import annotations

from tests.programs import assert_succeeds

#: The beginning of every program.
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


def run_program(program: str, timeout: float = 120) -> str:
    """The program's output; fails if it does not end in time, or not well."""
    return assert_succeeds(SETTING + program, timeout)
