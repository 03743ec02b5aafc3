"""What passes are written with: users, other values, node by node, by pattern."""

from __future__ import annotations

import copy
import gc
import weakref
from typing import Any

import numpy as np
import pytest

import normgraph as ng
from normgraph import Pattern, op
from tests.ir.graphs import chain, two_layers

from ..runtime import running_error

#: The class above the ops of the family, which is there at run time alone.
FAMILY: type[ng.Node] = vars(op)["BatchNormNode"]
VECTORS = ("gamma", "beta", "mean", "variance")


def parameter(name: str, shape: Any = (3,)) -> ng.Parameter:
    return ng.Parameter("f32", shape, name=name)


def types_of(function: ng.Function) -> list[str]:
    return [node.type_name for node in function.nodes]


# ---- users ---------------------------------------------------------------------------------------


def test_users_are_all_readers() -> None:
    function = two_layers()
    users = ng.Users(function)
    read: dict[ng.Output, list[ng.Input]] = {}
    for node in function.nodes:
        for port in node.inputs:
            read.setdefault(port.source, []).append(port)
    for node in function.nodes:
        for output in node.outputs:
            places = [i for i, result in enumerate(function.results) if result == output]
            assert users.of(output) == read.get(output, [])
            assert users.results_of(output) == places
            assert users.count(output) == len(read.get(output, [])) + len(places)


def test_nobody_reads_what_is_not_the_functions() -> None:
    users = ng.Users(two_layers())
    assert users.of(parameter("x")) == []
    assert users.count(parameter("x")) == 0
    with pytest.raises(TypeError, match="value: expected a Node or an Output, got 3"):
        users.of(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="function: expected a Function, got 3"):
        ng.Users(3)  # type: ignore[arg-type]


# ---- node by node --------------------------------------------------------------------------------


def test_each_node_has_its_turn_once_after_those_it_reads() -> None:
    function = two_layers()
    seen = []

    def look(original: ng.Node, node: ng.Node) -> None:
        assert node is original
        seen.append(node)

    same = ng.rewrite(function, look)
    assert seen == function.nodes
    assert same.results == function.results
    assert same.parameters == function.parameters
    assert same.friendly_name == "layers"


def test_what_follows_reads_the_new_values() -> None:
    x = parameter("x")
    inner = op.Relu(x, name="inner")
    outer = op.Negate(inner, name="outer")
    function = ng.Function([outer], [x])
    pairs = {}

    def without_relus(original: ng.Node, node: ng.Node) -> Any:
        pairs[original.friendly_name] = node
        return [port.source for port in node.inputs] if isinstance(node, op.Relu) else None

    rewritten = ng.rewrite(function, without_relus)
    assert types_of(rewritten) == ["Parameter", "Negate"]
    assert rewritten.results[0].node is pairs["outer"]
    assert pairs["outer"] is not outer
    assert pairs["outer"].friendly_name == "outer"
    assert types_of(function) == ["Parameter", "Relu", "Negate"]
    assert outer.input(0).source == inner.output(0)


@pytest.mark.parametrize(
    "replacement", [lambda x: x, lambda x: x.output(0), lambda x: [x], lambda x: (x.output(0),)]
)
def test_a_replacement_is_a_node_an_output_or_a_sequence(replacement: Any) -> None:
    x, y = parameter("x"), parameter("y")
    function = ng.Function([op.Relu(x)], [x, y])
    rewritten = ng.rewrite(
        function, lambda _, node: replacement(y) if isinstance(node, op.Relu) else None
    )
    assert rewritten.results == [y.output(0)]


def test_a_node_stands_for_all_outputs_of_another() -> None:
    x, gamma = parameter("x", [None, 3]), parameter("gamma")
    norm = op.BatchNormTraining(x, gamma, gamma, 0.5)
    function = ng.Function(norm.outputs, [x, gamma])
    other = op.BatchNormTraining(x, gamma, gamma, 0.25)
    rewritten = ng.rewrite(
        function, lambda _, node: other if isinstance(node, op.BatchNormTraining) else None
    )
    assert rewritten.results == other.outputs


def test_parameters_may_be_replaced_and_stay_parameters() -> None:
    x, y = parameter("x"), parameter("y")
    zeros = ng.Constant(np.zeros(3, np.float32))
    function = ng.Function([x + y], [x, y])
    bound = ng.rewrite(function, lambda _, node: zeros if node is y else None)
    assert bound.parameters == [x, y]
    assert (
        ng.compile(bound)(np.ones(3, np.float32), y=np.ones(3, np.float32))[0].tolist() == [1] * 3
    )
    assert ng.Function(bound.results, [x]).parameters == [x]


@pytest.mark.parametrize(
    ("made", "error", "message"),
    [
        (3, TypeError, "the replacement of Relu 'relu': expected None, a Node, an Output or a seq"),
        ("xy", TypeError, "the replacement of Relu 'relu': expected None, a Node, an Output or a"),
        ([3], TypeError, "the replacement of Relu 'relu', value 0: expected a Node or an Output"),
        ([], ValueError, "the replacement of Relu 'relu': expected 1 value, got 0"),
        (
            ng.Parameter("f64", [3]),
            ValueError,
            r"the replacement of Relu 'relu': expected f32\{3\} for its output result, got f64",
        ),
        (
            ng.Parameter("f32", [4]),
            ValueError,
            r"the replacement of Relu 'relu': expected f32\{3\} for its output result, got f32\{4",
        ),
    ],
)
def test_what_cannot_stand_for_a_node_is_refused(
    made: Any, error: type[Exception], message: str
) -> None:
    x = parameter("x")
    function = ng.Function([op.Relu(x, name="relu")], [x])
    with pytest.raises(error, match="^" + message):
        ng.rewrite(function, lambda _, node: made if isinstance(node, op.Relu) else None)


def test_types_agree_as_far_as_they_are_known() -> None:
    x, y = ng.Parameter("f32", None, name="x"), ng.Parameter("dynamic", [3, (1, 4)], name="y")
    function = ng.Function([op.Relu(x)], [x, y])
    rewritten = ng.rewrite(function, lambda _, node: y if isinstance(node, op.Relu) else None)
    assert rewritten.results == [y.output(0)]


def test_a_reader_that_does_not_fit_is_named() -> None:
    x, y = ng.Parameter("f32", [None], name="x"), parameter("y", [4])
    z = parameter("z")
    function = ng.Function([op.Add(op.Relu(x), z, name="total")], [x, y, z])
    with pytest.raises(ng.NodeValidationFailure, match="Add 'total' is not valid"):
        ng.rewrite(function, lambda _, node: y if isinstance(node, op.Relu) else None)


def test_a_new_value_reads_the_functions_parameters_alone() -> None:
    x, stranger = parameter("x"), parameter("stranger")
    function = ng.Function([op.Relu(x)], [x])
    with pytest.raises(ValueError, match="'stranger' is not listed"):
        ng.rewrite(function, lambda _, node: stranger if isinstance(node, op.Relu) else None)


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
def test_what_a_pass_raises_arrives_as_it_is(error: type[BaseException]) -> None:
    function = two_layers()
    before, results = function.nodes, function.results

    def fail(original: ng.Node, node: ng.Node) -> Any:
        if node.friendly_name == "second":
            raise error("of the pass")
        return None

    with pytest.raises(error, match="of the pass"):
        ng.rewrite(function, fail)
    with pytest.raises(error, match="of the pass"):
        ng.replace_matches(function, Pattern.any(), lambda match: fail(before[0], before[-1]))
    with pytest.raises(error, match="of the pass"):
        Pattern.any().where(lambda value: fail(before[0], before[-1])).match(before[0])
    assert function.nodes == before
    assert function.results == results


def test_a_pass_may_call_passes_and_keep_what_it_is_given() -> None:
    function = two_layers()
    kept: list[ng.Node] = []

    def nested(original: ng.Node, node: ng.Node) -> None:
        kept.extend((original, node))
        assert ng.rewrite(function, lambda *_: None).results == function.results

    ng.rewrite(function, nested)
    gc.collect()
    assert [node.friendly_name for node in kept[::2]] == [
        node.friendly_name for node in two_layers().nodes
    ]


def test_arguments_are_checked() -> None:
    function = two_layers()
    with pytest.raises(TypeError, match="function: expected a Function, got 3"):
        ng.rewrite(3, lambda *_: None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="replacement: expected a callable, got 3"):
        ng.rewrite(function, 3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="replacement: expected a callable, got 3"):
        ng.replace_matches(function, Pattern.any(), 3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="pattern: expected a Pattern, got 3"):
        ng.replace_matches(function, 3, lambda match: None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="what replacement returns: expected a Node or an Output"):
        ng.replace_matches(function, Pattern.any(), lambda match: 3)  # type: ignore[arg-type, return-value]


# ---- other values --------------------------------------------------------------------------------


def test_readers_and_results_have_the_new_value() -> None:
    x, y = parameter("x"), parameter("y")
    relu = op.Relu(x)
    function = ng.Function([relu, relu + x], [x, y])
    replaced = ng.replace_values(function, {relu: relu * 2, x.output(0): y})
    scaled = replaced.results[0].node
    assert isinstance(scaled, op.Multiply)
    assert scaled.input(0).source == relu.output(0)  # as it was, though x is replaced
    total = replaced.results[1].node
    assert [port.source for port in total.inputs] == [scaled.output(0), y.output(0)]
    assert replaced.parameters == [x, y]


def test_one_output_of_several() -> None:
    function = two_layers()
    first = next(node for node in function.nodes if node.friendly_name == "first")
    zeros = ng.Constant(np.zeros(64, np.float32))
    replaced = ng.replace_values(function, {first["mean"]: zeros})
    assert replaced.results == [function.results[0], zeros.output(0), function.results[2]]


def test_values_are_the_functions_and_listed_once() -> None:
    x, y = parameter("x"), parameter("y")
    function = ng.Function([op.Relu(x)], [x], name="f")
    with pytest.raises(
        ValueError, match="replaced: expected values of 'f', got output of Parameter 'y'"
    ):
        ng.replace_values(function, {y: x})
    with pytest.raises(
        ValueError, match=r"replaced: expected each value once, got <Output x\.output"
    ):
        ng.replace_values(function, {x: y, x.output(0): y})
    with pytest.raises(
        TypeError, match="replaced: expected a mapping from values to values, got 3"
    ):
        ng.replace_values(function, 3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="replaced: expected a mapping from values to values"):
        ng.replace_values(function, [x])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a new value of replaced: expected a Node or an Output"):
        ng.replace_values(function, {x: 3})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="a value that is replaced: expected a Node or an Output"):
        ng.replace_values(function, {3: x})  # type: ignore[dict-item]


# ---- patterns ------------------------------------------------------------------------------------


def test_a_pattern_names_what_it_matches() -> None:
    x, y = parameter("x"), parameter("y")
    value = op.Relu(x, upper_bound=6.0) + y
    relu = Pattern.op(op.Relu, [Pattern.any("data")], name="relu")
    match = Pattern.op(op.Add, [relu, Pattern.any()]).named("sum").match(value)
    assert match is not None
    assert match.names == ["data", "relu", "sum"]
    assert match["data"] == match.original("data") == x.output(0)
    assert match.original("relu").node.attributes == {"upper_bound": 6.0}
    assert "sum" in match
    assert "other" not in match
    with pytest.raises(ValueError, match="no value named 'other', it has data, relu and sum"):
        match["other"]
    with pytest.raises(TypeError, match="name: expected a str, got 3"):
        match[3]  # type: ignore[index]
    assert Pattern.op(op.Add, [Pattern.any(), relu]).match(value) is None


def test_classes_of_nodes() -> None:
    function = two_layers()
    norm = function.results[0]
    for node_class in (op.BatchNormTraining, FAMILY, ng.Node, (op.Add, FAMILY)):
        assert Pattern.op(node_class).match(norm) is not None
    for node_class in (op.Add, ng.Constant, ng.Parameter, (op.Add, ng.Constant)):
        assert Pattern.op(node_class).match(norm) is None
    for wrong in (3, int, "Add", (op.Add, int), ng.Output):
        with pytest.raises(TypeError, match="node_class: expected a class of nodes or a tuple of"):
            Pattern.op(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="inputs: expected a sequence of patterns, got 3"):
        Pattern.op(op.Add, 3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"inputs\[1\]: expected a Pattern, got 3"):
        Pattern.op(op.Add, [Pattern.any(), 3])  # type: ignore[list-item]


def test_conditions_are_asked_of_values_that_look_right() -> None:
    x = parameter("x")
    asked = []

    def is_bounded(value: ng.Output) -> bool:
        asked.append(value)
        return "upper_bound" in value.node.attributes

    pattern = Pattern.op(op.Relu).where(is_bounded)
    bounded = op.Relu(x, upper_bound=6.0).output(0)
    assert pattern.match(bounded) is not None
    assert pattern.match(op.Relu(x)) is None
    assert pattern.match(x) is None
    assert len(asked) == 2
    assert asked[0] == bounded
    with pytest.raises(TypeError, match="condition: expected a callable, got 3"):
        pattern.where(3)  # type: ignore[arg-type]


def test_alternatives_optional_inputs_outputs_and_users() -> None:
    x = parameter("x")
    data = Pattern.any("data")
    maybe_converted = Pattern.op(op.Convert, [data]) | data
    wide = op.Convert(x, "f64")
    for value in (x, wide):
        match = maybe_converted.match(value)
        assert match is not None
        assert match["data"] == x.output(0)
    with pytest.raises(TypeError, match="unsupported operand"):
        data | 3  # type: ignore[operator]
    assert Pattern.op(op.Relu, [data, data.optional()]).match(op.Relu(x)) is not None
    assert Pattern.op(op.Relu, [data, data]).match(op.Relu(x)) is None
    function = two_layers()
    norm = Pattern.op(op.BatchNormTraining)
    mean = function.results[1]
    assert norm.match(mean) is None
    assert norm.output("mean").match(mean) is not None
    with pytest.raises(ValueError, match="users: expected those of the function"):
        norm.with_single_user().match(function.results[0])
    with pytest.raises(TypeError, match="users: expected Users or None, got 3"):
        norm.match(mean, 3)  # type: ignore[arg-type]
    users = ng.Users(function)
    assert norm.with_single_user().match(function.results[0], users) is not None
    gamma = Pattern.op(ng.Parameter).with_single_user()
    assert gamma.match(function.parameters[1], users) is None


def test_patterns_and_matches_are_made_here_alone() -> None:
    for cls in (ng.Pattern, ng.Match):
        with pytest.raises(TypeError, match=r"No constructor"):
            cls()
    for value in (Pattern.any(), Pattern.any("x").match(parameter("x"))):
        with pytest.raises(TypeError, match=r"pickle|copy"):
            copy.deepcopy(value)


def test_a_condition_is_let_go() -> None:
    class Condition:
        def __call__(self, value: ng.Output) -> bool:
            return True

    condition = Condition()
    reference = weakref.ref(condition)
    pattern = Pattern.any().where(condition).named("x")
    del condition
    gc.collect()
    assert reference() is not None
    assert pattern.match(parameter("x")) is not None
    del pattern
    gc.collect()
    assert reference() is None


class PassThatKeepsPatterns:
    """Each of its patterns calls a method of the object that keeps it."""

    def __init__(self) -> None:
        condition = Pattern.any().where(self.is_wanted)
        nested = Pattern.op(op.Relu, [condition.named("x")], name="relu")
        self.patterns = [
            condition,
            nested,
            nested | condition,
            condition | condition,
            condition.with_single_user(),
            condition.optional(),
            Pattern.op(op.BatchNormTraining).where(self.is_wanted).output("mean"),
        ]

    def is_wanted(self, value: ng.Output) -> bool:
        return True


def test_a_pass_that_keeps_patterns_of_its_own_methods_is_let_go() -> None:
    kept = PassThatKeepsPatterns()
    reference = weakref.ref(kept)
    first, *others = kept.patterns
    del kept
    # What is still in use stays, though every other holder of the condition is garbage.
    others.clear()
    gc.collect()
    assert reference() is not None
    assert first.match(parameter("x")) is not None
    del first
    gc.collect()
    assert reference() is None


@pytest.mark.parametrize("which", range(7))
def test_each_kind_of_pattern_is_seen_by_the_garbage_collector(which: int) -> None:
    kept = PassThatKeepsPatterns()
    kept.patterns = [kept.patterns[which]]
    assert kept.is_wanted in gc.get_referents(kept.patterns[0])
    reference = weakref.ref(kept)
    del kept
    gc.collect()
    assert reference() is None


def test_a_pattern_that_is_in_itself_many_times_calls_each_function_once() -> None:
    def condition(value: ng.Output) -> bool:
        return True

    pattern = Pattern.any().where(condition)
    for _ in range(30):
        pattern = pattern | pattern
    assert gc.get_referents(pattern).count(condition) == 1


# ---- by pattern ----------------------------------------------------------------------------------


def test_what_nobody_reads_any_more_is_gone() -> None:
    x = parameter("x")
    function = ng.Function([op.Relu(op.Relu(op.Relu(x)))], [x])
    twice = Pattern.op(op.Relu, [Pattern.op(op.Relu, name="once")])
    once = ng.replace_matches(function, twice, lambda match: match["once"])
    assert types_of(once) == ["Parameter", "Relu"]


def test_one_output_is_replaced() -> None:
    function = two_layers()
    mean = Pattern.op(op.BatchNormTraining).output("mean").named("mean")
    replaced = ng.replace_matches(function, mean, lambda match: match["mean"] * 2)
    assert replaced.results[0] == function.results[0]
    assert [result.node.type_name for result in replaced.results[1:]] == ["Multiply", "Multiply"]


def folded(data: Pattern) -> Pattern:
    vectors = [Pattern.any(name) for name in VECTORS]
    return Pattern.op(op.BatchNormInference, [data, *vectors], name="norm")


def as_multiply_add(match: ng.Match) -> ng.Output:
    norm = match.original("norm").node
    assert isinstance(norm, op.BatchNormInference)
    scale = match["gamma"] / op.SquareRoot(match["variance"] + norm.epsilon)
    shift = match["beta"] - match["mean"] * scale
    x, channels = match["x"], [norm.channel_axis]
    return x * op.Broadcast(scale, x, channels) + op.Broadcast(shift, x, channels)


@pytest.mark.parametrize(("shape", "axis"), [((5, 3), 1), ((2, 3, 4, 2), -3), ((4, 2, 3), -1)])
def test_a_batch_norm_as_a_multiply_add_keeps_the_bounds_of_both(
    shape: tuple[int, ...], axis: int
) -> None:
    rng = np.random.default_rng(31)
    x = ng.Parameter("f32", [None] * len(shape), name="x")
    gamma, beta, mean, variance = vectors = [parameter(name) for name in VECTORS]
    inner = op.BatchNormInference(x, gamma, beta, mean, variance, 0.5, axis)
    outer = op.BatchNormInference(op.Relu(inner), gamma, beta, mean, variance, 1e-5, axis)
    function = ng.Function([outer], [x, *vectors])
    rewritten = ng.replace_matches(function, folded(Pattern.any("x")), as_multiply_add)
    assert not any(isinstance(node, FAMILY) for node in rewritten.nodes)
    arguments = [rng.normal(size=s).astype(np.float32) for s in (shape, 3, 3, 3)]
    arguments.append(np.abs(rng.normal(size=3)).astype(np.float32))
    (before,) = running_error.evaluate(ng.decompose(function, None), arguments)
    (after,) = running_error.evaluate(rewritten, arguments)
    actual, original = ng.compile(rewritten)(*arguments)[0], ng.compile(function)(*arguments)[0]
    running_error.check(actual, after, "rewritten")
    assert (np.abs(actual.astype(np.float64) - original) <= before.error + after.error).all()


# ---- depth ---------------------------------------------------------------------------------------


def test_deep_graphs() -> None:
    function = chain(100_000)
    users = ng.Users(function)
    assert users.count(function.parameters[1]) == 100_000

    x = function.parameters[0].output(0)
    norm = Pattern.op(op.BatchNormTraining, [Pattern.any("x"), Pattern.any(), Pattern.any()])
    pair = Pattern.op(op.BatchNormTraining, [norm.with_single_user(), Pattern.any(), Pattern.any()])
    halved = ng.replace_matches(function, pair, lambda match: match["x"])
    assert len(halved.nodes) == 3
    relus = ng.replace_matches(function, norm, lambda match: op.Relu(match["x"]))
    assert len(relus.nodes) == 100_003
    bound = ng.replace_values(relus, {x: ng.Constant(np.zeros((1, 4), np.float32))})
    assert len(bound.nodes) == 100_004


# ---- what strangers write ------------------------------------------------------------------------


def test_a_value_may_be_replaced_by_one_that_reads_it() -> None:
    x = ng.Parameter("f32", [2, 3], name="x")
    once = op.Relu(x)
    function = ng.Function([once], [x])
    twice = ng.replace_values(function, {once: op.Relu(once), x: op.Relu(x)})
    assert [node.type_name for node in twice.nodes] == ["Parameter", "Relu", "Relu"]
    assert twice.results[0].node.input("value").source.node is once


def test_two_values_may_change_places() -> None:
    x, gamma, beta = (ng.Parameter("f32", [2, 3][-rank:], name="p") for rank in (2, 1, 1))
    norm = op.BatchNormTraining(x, gamma, beta).output(0)
    swapped = ng.replace_values(ng.Function([norm], [x, gamma, beta]), {gamma: beta, beta: gamma})
    node = swapped.results[0].node
    assert node.input("gamma").source == beta.output(0)
    assert node.input("beta").source == gamma.output(0)
    assert swapped.parameters == [x, gamma, beta]


def test_a_pattern_that_stands_in_many_places_ends() -> None:
    value: Any = ng.Parameter("f32", [2], name="x")
    pattern = Pattern.any("x")
    for _ in range(60):
        value, pattern = op.Add(value, value), Pattern.op(op.Add, [pattern, pattern])
    with pytest.raises(ValueError, match="compares at most 100000 values"):
        pattern.match(value)


def test_either_order_of_operands_binds_its_own_names() -> None:
    x, constant = ng.Parameter("f32", [2], name="x"), ng.Constant([1.0, 2.0], "f32")
    data, number = Pattern.any("data"), Pattern.op(ng.Constant, name="number")
    either = Pattern.op(op.Add, [data, number]) | Pattern.op(op.Add, [number, data])
    for total in (op.Add(x, constant), op.Add(constant, x)):
        match = either.match(total)
        assert match is not None
        assert (match["data"].node, match["number"].node) == (x, constant)


def test_ten_thousand_nodes_that_all_match_and_overlap() -> None:
    x: Any = ng.Parameter("f32", [2], name="x")
    value = x
    for _ in range(10_000):
        value = op.Relu(value)
    pair = Pattern.op(op.Relu, [Pattern.op(op.Relu, name="inner")])
    function = ng.replace_matches(ng.Function([value], [x]), pair, lambda match: match["inner"])
    assert [node.type_name for node in function.nodes] == ["Parameter", "Relu"]


@pytest.mark.parametrize(
    "returned",
    [True, "abc", {}, 1.5, [None], (value for value in ())],
    ids=["flag", "text", "dict", "number", "list of None", "generator"],
)
def test_what_a_pass_may_not_return_names_the_node(returned: Any) -> None:
    x = ng.Parameter("f32", [2], name="data")
    with pytest.raises(TypeError, match="the replacement of Parameter 'data'"):
        ng.rewrite(ng.Function([op.Relu(x)], [x]), lambda original, node: returned)


@pytest.mark.parametrize(
    ("pattern", "kind"),
    [
        (Pattern.any("a"), "one of any value"),
        (Pattern.op(op.Add) | Pattern.op(op.Multiply), "alternatives: say it in each of them"),
    ],
    ids=["any", "alternatives"],
)
def test_only_a_pattern_of_an_op_takes_an_output(pattern: Pattern, kind: str) -> None:
    with pytest.raises(ValueError, match=f"output: expected a pattern of an op, got {kind}"):
        pattern.output("mean")


def test_a_pattern_of_no_class_is_refused() -> None:
    with pytest.raises(ValueError, match=r"node_class: expected a class .*, got \(\)"):
        Pattern.op(())


def test_a_match_goes_through_its_names() -> None:
    x = ng.Parameter("f32", [2])
    match = Pattern.op(op.Negate, [Pattern.any("inner")], "outer").match(op.Negate(x))
    assert match is not None
    assert list(match) == match.names
    assert sorted(match) == ["inner", "outer"]
