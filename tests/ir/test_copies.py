"""Copying and pickling of nodes and functions."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import normgraph as ng

from .graphs import chain, two_layers

DEEP = 100_000


def pickled(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


EVERY_DEEP_COPY = pytest.mark.parametrize("copied", [copy.deepcopy, pickled])


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_every_pickle_protocol(protocol: int) -> None:
    function = two_layers()
    assert str(pickle.loads(pickle.dumps(function, protocol))) == str(function)


@EVERY_DEEP_COPY
def test_a_copied_function_is_equal_and_shares_no_node(copied: Callable[[Any], Any]) -> None:
    function = two_layers()
    twin = copied(function)
    assert str(twin) == str(function)
    assert not set(map(id, twin.nodes)) & set(map(id, function.nodes))
    assert [type(node) for node in twin.nodes] == [type(node) for node in function.nodes]
    assert [node.attributes for node in twin.nodes] == [node.attributes for node in function.nodes]
    # A shared node is one node in the copy as well.
    first, second = twin.nodes[-2:]
    assert first.input("gamma").source == second.input("gamma").source
    assert twin.parameters[1] is first.input("gamma").source.node


@EVERY_DEEP_COPY
def test_a_copied_function_lives_on_its_own(copied: Callable[[Any], Any]) -> None:
    function = two_layers()
    twin = copied(function)
    before = str(function)
    twin.parameters[0].partial_shape = [8, 64]
    twin.nodes[-1].epsilon = 0.125
    twin.validate_nodes_and_infer_types()
    assert twin.results[0].partial_shape == [8, 64]
    assert str(function) == before


@EVERY_DEEP_COPY
def test_what_is_copied_together_keeps_its_sharing(copied: Callable[[Any], Any]) -> None:
    function = two_layers()
    first, second = function.nodes[-2:]
    twins = copied([second, first, function, first.output(1)])
    assert twins[0].input("input").source.node is twins[1]
    assert twins[2].nodes[-1] is twins[0]
    assert twins[3] == twins[1].output(1)
    assert twins[1] is not first


@EVERY_DEEP_COPY
def test_a_copied_node_brings_what_it_reads(copied: Callable[[Any], Any]) -> None:
    node = two_layers().nodes[-1]
    twin = copied(node)
    assert repr(twin) == repr(node)
    assert twin.friendly_name == "second"
    assert twin.attributes == node.attributes
    assert twin.input("input").source.node is not node.input("input").source.node


def test_a_shallow_copy_reads_the_same_inputs() -> None:
    function = two_layers()
    node = function.nodes[-1]
    twin = copy.copy(node)
    assert twin is not node
    assert repr(twin) == repr(node)
    assert [port.source for port in twin.inputs] == [port.source for port in node.inputs]
    assert copy.copy(function).nodes == function.nodes
    assert copy.copy(node.output(0)) == node.output(0)


def test_unpickling_checks_the_attributes() -> None:
    node: Any = two_layers().nodes[-2]
    rebuild, (type_name, inputs, attributes, name) = node.__reduce__()
    assert repr(rebuild(type_name, inputs, attributes, name)) == repr(node)
    with pytest.raises(ng.NodeValidationFailure, match=r"'first' is not valid") as raised:
        rebuild(type_name, inputs, {**attributes, "epsilon": -1.0}, name)
    assert raised.value.labels == ("C1",)


def test_a_deep_graph_needs_no_stack() -> None:
    function = chain(DEEP)
    assert len(function.nodes) == DEEP + 3
    function.parameters[0].partial_shape = [8, 4]
    function.validate_nodes_and_infer_types()
    assert function.results[0].partial_shape == [8, 4]
    last = function.nodes[-1]
    assert len(str(function).splitlines()) == DEEP + 5
    del function
    assert last.output(0).partial_shape == [8, 4]
    del last  # releases the chain, one node after the other


def test_a_deep_graph_is_deep_copied() -> None:
    function = chain(DEEP)
    assert len(copy.deepcopy(function).nodes) == DEEP + 3
    assert copy.deepcopy(function.nodes[-1]).output(0).partial_shape == [None, 4]


def test_a_deep_function_pickles() -> None:
    # Twenty times as deep as Python's recursion limit lets pickle go.
    twin = pickled(chain(DEEP // 5))
    assert len(twin.nodes) == DEEP // 5 + 3


def test_a_deep_node_that_pickle_cannot_follow_is_an_error_not_a_crash() -> None:
    node = chain(DEEP).nodes[-1]
    with pytest.raises(RecursionError):
        pickle.dumps(node)
