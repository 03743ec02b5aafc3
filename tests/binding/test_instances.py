"""Objects are made by their classes, and copied and pickled or refused, but never half made."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import normgraph as ng

from .programs import run_program

#: One object of each class.
OBJECTS = """
x = ng.Parameter("f32", [4, 3], name="x")
node = ng.op.BatchNormTraining(x, *(ng.Parameter("f32", [3]) for _ in range(2)))
function = ng.Function([ng.op.Negate(x)], [x])
OBJECTS = [
    ng.Dimension(1), ng.Dimension((2, None)), ng.PartialShape([1, None]), ng.element.f32, x, node,
    ng.Constant([1.0, 2.0]), ng.op.Negate(x), node.output(0), node.input(0), function,
    ng.compile(function), ng.op.Sum(x, [1]), ng.op.Convert(x, "f64"),
]
CLASSES = sorted({type(thing) for thing in OBJECTS} | {
    member for scope in (ng, ng.op, ng.element) for member in vars(scope).values()
    if isinstance(member, type) and type(member) is type(ng.Dimension)}, key=str)
BASE = ng.Dimension.__mro__[-2]
"""


@pytest.fixture(scope="module")
def objects() -> list[Any]:
    scope: dict[str, Any] = {"ng": ng}
    exec(OBJECTS, scope)  # the same objects as in the programs below
    return list(scope["OBJECTS"])


def test_no_object_is_half_made() -> None:
    run_program(
        OBJECTS
        + """
for one_class in [*CLASSES, BASE]:
    for make in (lambda: one_class.__new__(one_class), lambda: BASE.__new__(one_class),
                 lambda: object.__new__(one_class), lambda: BASE(), lambda: BASE(1)):
        error = outcome(make)
        assert isinstance(error, TypeError), (one_class, error)

class Base(BASE):
    pass

assert isinstance(outcome(Base), TypeError)

class Mine(ng.Node):
    pass

assert isinstance(outcome(Mine), TypeError)
assert isinstance(outcome(lambda: Mine.__new__(Mine)), TypeError)
"""
    )


def test_no_object_becomes_one_of_another_class() -> None:
    run_program(
        OBJECTS
        + """
for thing in OBJECTS:
    for one_class in CLASSES:
        if one_class is not type(thing):
            error = outcome(lambda: setattr(thing, "__class__", one_class))
            assert isinstance(error, TypeError), (thing, one_class, error)
for one_class in CLASSES:
    for name in ("__new__", "__init__", "__bases__", "description"):
        error = outcome(lambda: setattr(one_class, name, (ng.Node,)))
        assert isinstance(error, TypeError), (one_class, name, error)
"""
    )


def test_every_protocol_of_pickle_copies_or_refuses() -> None:
    run_program(
        OBJECTS
        + """
import copy
for thing in OBJECTS:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        text = outcome(lambda: pickle.dumps(thing, protocol))
        assert isinstance(text, bytes), (thing, protocol, text)
        back = pickle.loads(text)
        assert type(back) is type(thing), thing
        repr(back), str(back)
    for back in (copy.copy(thing), copy.deepcopy(thing)):
        assert type(back) is type(thing), thing
        repr(back), str(back)
"""
    )


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_an_executable_is_pickled_as_its_function_and_backend(protocol: int, backend: str) -> None:
    x = ng.Parameter("f32", [None], name="x")
    executable = ng.compile(ng.Function([ng.op.Negate(x, name="minus")], [x], name="f"), backend)
    executable(np.ones(3, np.float32))
    for back in (
        pickle.loads(pickle.dumps(executable, protocol)),
        copy.copy(executable),
        copy.deepcopy(executable),
    ):
        assert back.backend == backend
        assert str(back.function) == str(executable.function)
        assert back(np.ones(3, np.float32))[0].tolist() == [-1, -1, -1]


def test_an_input_is_pickled_with_its_node(objects: list[Any]) -> None:
    (port,) = (thing for thing in objects if isinstance(thing, ng.Input))
    back = pickle.loads(pickle.dumps(port))
    assert (back.index, back.name) == (port.index, port.name)
    assert back.node.friendly_name == port.node.friendly_name
    assert copy.copy(port) == port


def test_the_package_can_be_imported_anew() -> None:
    run_program(
        """
import importlib
before = ng
for name in [name for name in sys.modules if name.split(".")[0] == "normgraph"]:
    if name != "normgraph._core" and not name.startswith("normgraph._core."):
        del sys.modules[name]
again = importlib.import_module("normgraph")
assert again is not before
assert again.Dimension(1) == before.Dimension(1)
again.batch_norm_training(np.ones((4, 3), np.float32), None, None)
for name in [name for name in sys.modules if name.split(".")[0] == "normgraph"]:
    del sys.modules[name]
import normgraph as third
assert third.batch_norm_training(np.ones((4, 3), np.float32), None, None).mean.tolist() == [1] * 3
assert str(third.Parameter("f32", [1], name="x").output(0).partial_shape) == "{1}"
assert isinstance(outcome(lambda: third.Parameter("nothing", [1])), ValueError)
assert isinstance(outcome(lambda: third.op.BatchNormTraining(*(
    third.Parameter("f32", [1]) for _ in range(3)))), third.NodeValidationFailure)
"""
    )
