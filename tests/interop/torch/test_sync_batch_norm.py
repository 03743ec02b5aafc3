"""SyncBatchNorm in real gloo processes: shards have the results and the gradients of the batch."""

from __future__ import annotations

import copy
import itertools
import pickle
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

import normgraph as ng

pytestmark = pytest.mark.interop
torch = pytest.importorskip("torch")

from normgraph.torch import modules  # noqa: E402
from normgraph.torch.sync_batch_norm import SyncBatchNorm  # noqa: E402

from . import sync_batch_norm_worker as worker  # noqa: E402

_groups: dict[int, worker.Ranks] = {}


@pytest.fixture(scope="module", autouse=True)
def _end_of_groups() -> Iterator[None]:
    yield
    while _groups:
        _groups.popitem()[1].stop()


def ranks(size: int) -> worker.Ranks:
    """The processes of a group of this size, which are started once."""
    if size not in _groups or not _groups[size].are_alive:
        _groups[size] = worker.Ranks(size)
    return _groups[size]


SIZES = (2, 3)
#: Samples per rank. The aligned shards begin at multiples of 32.
ALIGNED: dict[int, tuple[int, ...]] = {2: (64, 20), 3: (32, 64, 7), 5: (32, 0, 32, 64, 3)}
UNEVEN: tuple[tuple[int, ...], ...] = ((5, 2), (0, 6), (6, 0), (1, 7, 4), (0, 5, 3), (4, 0, 0))

FORMATS = {
    "channels_first": torch.contiguous_format,
    "channels_last": torch.channels_last,
}
#: Of the data and of the vectors.
TYPES = {
    "f32": (torch.float32, torch.float32),
    "f64": (torch.float64, torch.float64),
    "bf16": (torch.bfloat16, torch.bfloat16),
    "bf16_f32": (torch.bfloat16, torch.float32),
    "f16_f32": (torch.float16, torch.float32),
}


def normal(shape: Sequence[int], dtype: Any, seed: int, mean: float = 0.0) -> Any:
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(shape, generator=generator, dtype=torch.float64) * 1.5 + mean).to(dtype)


def images(lengths: Sequence[int], dtype: Any, seed: int, layout: str, mean: float = 0.0) -> Any:
    values = normal((sum(lengths), 4, 6, 6), dtype, seed, mean)
    return values.contiguous(memory_format=FORMATS[layout])


def cut(batch: Any, lengths: Sequence[int]) -> list[Any]:
    return list(torch.split(batch, list(lengths)))


def state_of(channels: int, dtype: Any) -> dict[str, Any]:
    return {
        "weight": normal((channels,), dtype, 90, 1.0),
        "bias": normal((channels,), dtype, 91),
        "running_mean": normal((channels,), dtype, 92),
        "running_var": normal((channels,), dtype, 93).abs(),
        "num_batches_tracked": torch.tensor(7),
    }


def joined(answers: Sequence[dict[str, Any]], name: str) -> Any:
    return torch.cat([answer[name] for answer in answers])


def whole_step(
    input: Any, delta: Any, state: dict[str, Any], bound: float | None, residual: Any
) -> dict[str, Any]:
    """The step of the unsplit batch: ReLU and residual go together here, as they do in a block."""
    arrays = (input, state["weight"], state["bias"])
    output = torch.empty_like(input)
    mean, variance = (
        torch.empty(input.shape[1], dtype=torch.promote_types(input.dtype, torch.float32))
        for _ in range(2)
    )
    gradients = {
        "input": torch.empty_like(input),
        "weight": torch.empty_like(state["weight"]),
        "bias": torch.empty_like(state["bias"]),
    }
    vectors = (*arrays, mean, variance)
    if residual is None:
        ng.batch_norm_training(*arrays, out=(output, mean, variance))
        ng.batch_norm_training_backprop(*vectors, delta, out=tuple(gradients.values()))
    else:
        mask = ng.batch_norm_training_add_relu(
            *arrays, residual, upper_bound=bound, out=(output, mean, variance, None)
        ).mask
        gradients["residual"] = torch.empty_like(input)
        ng.batch_norm_training_add_relu_backprop(
            *vectors, mask, delta, out=tuple(gradients.values())
        )
    running = tuple(state[name].clone() for name in ("running_mean", "running_var"))
    count = input.numel() // input.shape[1]
    ng.update_running_statistics(running, (mean, variance), count, 0.1, out=running)
    return {"output": output, "running": running, **gradients}


def assert_contributions(parts: Sequence[Any], whole: Any) -> None:
    """The parts' sums were rounded once each, and so was that of the whole, from sums of doubles.

    Doubles are rounded themselves, a few times each.
    """
    unit = torch.finfo(whole.dtype).eps / 2
    roundings = 8 if whole.dtype == torch.float64 else 1.01
    doubles = torch.stack([part.double() for part in parts])
    bound = unit * roundings * (doubles.abs().sum(dim=0) + whole.double().abs())
    assert torch.all((doubles.sum(dim=0) - whole.double()).abs() <= bound)
    assert any(torch.any(part != whole) for part in parts)


@pytest.mark.parametrize("activation", [None, "relu", "relu6"])
@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("type_name", TYPES)
@pytest.mark.parametrize("size", SIZES)
def test_aligned_shards_have_the_bits_of_the_batch(
    size: int, type_name: str, layout: str, activation: str | None
) -> None:
    lengths = ALIGNED[size]
    data, vector = TYPES[type_name]
    input, delta, residual = (images(lengths, data, seed, layout) for seed in (1, 2, 3))
    state = state_of(4, vector)
    bound = 6.0 if activation == "relu6" else None
    whole = whole_step(input, delta, state, bound, residual if activation else None)
    answers = ranks(size).run(
        worker.step,
        cut(input, lengths),
        cut(delta, lengths),
        state,
        {"activation": activation},
        cut(residual, lengths) if activation else None,
    )
    for name in ("output", "input", *(["residual"] if activation else [])):
        assert torch.equal(joined(answers, name), whole[name]), name
    for name in ("weight", "bias"):
        assert_contributions([answer[name] for answer in answers], whole[name])
    for answer in answers:
        assert torch.equal(answer["state"]["running_mean"], whole["running"][0])
        assert torch.equal(answer["state"]["running_var"], whole["running"][1])
        assert answer["state"]["num_batches_tracked"] == 8
        assert answer["output"].is_contiguous(memory_format=FORMATS[layout])
        assert answer["collectives"] == (2 if type_name == "f64" else 1, 1)


def test_five_ranks_have_the_bits_of_the_batch() -> None:
    lengths = ALIGNED[5]
    input, delta = (images(lengths, torch.float32, seed, "channels_first") for seed in (1, 2))
    state = state_of(4, torch.float32)
    whole = whole_step(input, delta, state, None, None)
    answers = ranks(5).run(worker.step, cut(input, lengths), cut(delta, lengths), state, {})
    assert torch.equal(joined(answers, "output"), whole["output"])
    assert torch.equal(joined(answers, "input"), whole["input"])
    ranks(5).stop()


@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("lengths", UNEVEN, ids=str)
def test_uneven_and_empty_shards_agree_with_torch(
    lengths: tuple[int, ...], layout: str, activation: str | None
) -> None:
    """The oracle is torch's layer in double, over the concatenated batch."""
    input = images(lengths, torch.float32, 4, layout, mean=3.0)
    delta = images(lengths, torch.float32, 5, layout)
    state = state_of(4, torch.float32)
    answers = ranks(len(lengths)).run(
        worker.step,
        cut(input, lengths),
        cut(delta, lengths),
        state,
        {"activation": activation},
    )
    layer = torch.nn.BatchNorm2d(4, dtype=torch.float64)
    layer.load_state_dict(state)
    wide = input.double().requires_grad_()
    normalized = layer(wide)
    expected = normalized if activation is None else torch.relu(normalized)
    expected.backward(delta.double())

    unit = 2.0**-24
    centered = input.double() - input.double().mean(dim=(0, 2, 3), keepdim=True)
    scale = state["weight"].double().abs() / centered.pow(2).mean(dim=(0, 2, 3)).sqrt()
    peak = (centered.abs().amax(dim=(0, 2, 3)) * scale + state["bias"].abs()).max()
    found = joined(answers, "output").double()
    assert (found - expected).abs().max() <= 5 * unit * peak
    # Three terms, of which the last is x̂·mean(δ·x̂).
    farthest = (
        centered.abs().amax(dim=(0, 2, 3)) / centered.pow(2).mean(dim=(0, 2, 3)).sqrt()
    ).max()
    terms = scale.max() * delta.abs().max() * (2 + farthest**2)
    assert (joined(answers, "input").double() - wide.grad).abs().max() <= 9 * unit * terms
    count = input.numel() // 4
    for name, largest in (("weight", farthest), ("bias", 1.0)):
        sums = torch.stack([answer[name].double() for answer in answers]).sum(dim=0)
        exact = getattr(layer, name).grad
        bound = 8 * unit * count * delta.abs().max() * largest
        assert (sums - exact).abs().max() <= bound
    for answer, length in zip(answers, lengths, strict=True):
        assert torch.allclose(answer["state"]["running_mean"].double(), layer.running_mean)
        assert torch.allclose(answer["state"]["running_var"].double(), layer.running_var)
        assert answer["collectives"] == (1, 1)
        if length == 0:
            assert torch.all(answer["weight"] == 0)
            assert torch.all(answer["bias"] == 0)


def test_a_matrix_and_a_sequence() -> None:
    """Inputs (N, C) and (N, C, L), whose lengths L differ from rank to rank."""
    state = state_of(3, torch.float32)
    for shapes in (((5, 3), (2, 3)), ((2, 3, 9), (1, 3, 4))):
        shards = [normal(shape, torch.float32, seed) for seed, shape in enumerate(shapes)]
        answers = ranks(2).run(worker.step, shards, shards, state, {})
        flat = [shard.movedim(1, -1).reshape(-1, 3).double() for shard in shards]
        layer = torch.nn.BatchNorm1d(3, dtype=torch.float64)
        layer.load_state_dict(state)
        expected = layer(torch.cat(flat)).split([len(part) for part in flat])
        for answer, part in zip(answers, expected, strict=True):
            found = answer["output"].movedim(1, -1).reshape(-1, 3)
            assert (found.double() - part).abs().max() <= 5 * 2.0**-24 * 16


def test_an_empty_batch_and_a_single_value() -> None:
    empty = torch.empty(0, 3)
    answers = ranks(2).run(worker.running_statistics, [[empty, empty]], {})
    for state in answers:
        assert torch.equal(state["running_var"], torch.ones(3))
    one = torch.ones(1, 3)
    for answer in ranks(2).run(worker.forward_of, [empty, one], [3, 3], torch.float32):
        text, state, goes_on = answer
        assert text.startswith(
            "ValueError: SyncBatchNorm: input: expected more than 1 value per ch"
        )
        assert state["num_batches_tracked"] == 0
        assert goes_on


def test_a_residual_that_is_broadcast_is_added_by_torch() -> None:
    input, delta = (images((3, 2), torch.float32, seed, "channels_first") for seed in (1, 2))
    residual = normal((1, 4, 1, 1), torch.float32, 3)
    state = state_of(4, torch.float32)
    options = {"activation": "relu"}
    shards = cut(input, (3, 2)), cut(delta, (3, 2)), state, options
    fitting = ranks(2).run(worker.step, *shards, cut(residual.expand_as(input).clone(), (3, 2)))
    broadcast = ranks(2).run(worker.step, *shards, [residual, residual])
    assert torch.equal(joined(fitting, "output"), joined(broadcast, "output"))
    assert broadcast[0]["residual"].shape == residual.shape


@pytest.mark.parametrize("requires_grad", [(True, False), (False, True), (False, False)])
def test_subsets_of_gradients(requires_grad: tuple[bool, bool]) -> None:
    input, delta = (images((3, 2), torch.float32, seed, "channels_first") for seed in (1, 2))
    state = state_of(4, torch.float32)
    arguments = cut(input, (3, 2)), cut(delta, (3, 2)), state, {}, None
    expected = ranks(2).run(worker.step, *arguments)
    answers = ranks(2).run(worker.step, *arguments, requires_grad)
    for answer, all_gradients in zip(answers, expected, strict=True):
        for name in ("input", "weight", "bias"):
            if requires_grad[name != "input"]:
                assert torch.equal(answer[name], all_gradients[name])
            else:
                assert answer[name] is None
        assert answer["collectives"] == (1, int(requires_grad[0]))


def test_a_layer_without_vectors() -> None:
    input, delta = (images((3, 2), torch.bfloat16, seed, "channels_last") for seed in (1, 2))
    state = state_of(4, torch.float32)
    shards = cut(input, (3, 2)), cut(delta, (3, 2))
    plain = {**state, "weight": torch.ones(4), "bias": torch.zeros(4)}
    expected = ranks(2).run(worker.step, *shards, plain, {})
    without = ranks(2).run(worker.step, *shards, state, {"affine": False})
    for name in ("output", "input"):
        assert torch.equal(joined(without, name), joined(expected, name))
    untracked = ranks(2).run(worker.step, *shards, plain, {"track_running_stats": False})
    assert torch.equal(joined(untracked, "output"), joined(expected, "output"))
    assert untracked[0]["state"].keys() == {"weight", "bias"}


# ---- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("culprit", [0, 1, 2])
@pytest.mark.parametrize(
    ("input", "text"),
    [
        (torch.ones(3), "ValueError: input: expected at least 2 dimensions, got 1"),
        (torch.ones(4, 3, dtype=torch.int64), "the element type of input: expected f16, bf16, f32"),
        (torch.ones(4, 5), "the number of channels differs: input has 5"),
        (torch.ones(4, 3, dtype=torch.float64), "the element type of gamma and beta: expected f64"),
        (torch.ones(4, 3, device="meta"), "input: expected a tensor on the CPU, got one on meta"),
        (None, "TypeError: input: expected a torch.Tensor, got None of type NoneType"),
    ],
    ids=["dimensions", "type", "channels", "vectors", "device", "no tensor"],
)
def test_an_error_of_one_rank_reaches_all(culprit: int, input: Any, text: str) -> None:
    inputs = [torch.ones(4, 3) * torch.arange(4.0)[:, None] for _ in range(3)]
    inputs[culprit] = input
    for found, state, goes_on in ranks(3).run(worker.forward_of, inputs, [3, 3, 3], torch.float32):
        assert found.startswith(
            f"RuntimeError: SyncBatchNorm: the forward pass failed on rank {culprit}: "
        )
        assert text in found
        assert state["num_batches_tracked"] == 0
        assert torch.equal(state["running_mean"], torch.zeros(3))
        assert goes_on


def test_all_errors_are_told() -> None:
    inputs = [torch.ones(3), torch.ones(4, 3), torch.ones(4, 5)]
    for found, _, _ in ranks(3).run(worker.forward_of, inputs, [3, 3, 3], torch.float32):
        assert "rank 0: ValueError: input: expected at least 2" in found
        assert "; rank 2: NodeValidationFailure" in found
        assert "rank 1" not in found


@pytest.mark.parametrize(
    ("inputs", "features", "kinds"),
    [
        ([torch.ones(4, 3), torch.ones(4, 4)], [3, 4], ("3 channels of f32", "4 channels of f32")),
        (
            [torch.ones(4, 3), torch.ones(4, 3, dtype=torch.bfloat16)],
            [3, 3],
            ("3 channels of f32", "3 channels of bf16"),
        ),
        ([torch.ones(4, 3), torch.ones(0, 4)], [3, 4], ("3 channels of f32", "4 channels of f32")),
        (
            [torch.ones(4, 3), torch.ones(4, 3000)],
            [3, 3000],
            ("3 channels of f32", "3000 channels of f32"),
        ),
    ],
)
def test_ranks_that_do_not_fit(
    inputs: list[Any], features: list[int], kinds: tuple[str, str]
) -> None:
    for found, state, goes_on in ranks(2).run(worker.forward_of, inputs, features, torch.float32):
        assert f"got {kinds[0]} on rank 0, {kinds[1]} on rank 1" in found
        assert found.startswith("RuntimeError: SyncBatchNorm: input: expected as many channels")
        assert state["num_batches_tracked"] == 0
        assert goes_on


@pytest.mark.parametrize("culprit", [0, 1])
def test_an_error_of_a_backward_pass_reaches_all(culprit: int) -> None:
    for found, goes_on in ranks(2).run(worker.modified_input, culprit):
        assert found.startswith(
            f"RuntimeError: SyncBatchNorm: the backward pass failed on rank {culprit}: RuntimeError"
        )
        assert "modified by an inplace operation" in found
        assert goes_on


def test_ranks_in_different_passes() -> None:
    for found in ranks(3).run(worker.different_passes):
        assert (
            "expected all ranks to be in the same pass, got the backward pass on rank 0, the "
            "forward pass on rank 1, the forward pass on rank 2"
        ) in found


def test_a_rank_that_will_have_no_backward_pass() -> None:
    answers = ranks(3).run(worker.some_without_gradient)
    assert answers[1] == "no error"  # weight and bias have gradients without an exchange
    for found in (answers[0], answers[2]):
        assert "input: expected it to require a gradient on all ranks or on none" in found
        assert "rank 1" in found


def test_second_derivatives_are_refused() -> None:
    for gradient, found in ranks(2).run(worker.second_order):
        assert torch.any(gradient != 0)
        assert found.startswith("NotImplementedError: normgraph.torch.SyncBatchNorm: expected gra")


def test_a_group_without_this_rank() -> None:
    answers = ranks(3).run(worker.foreign_group)
    assert answers[:2] == ["no error", "no error"]
    assert answers[2].startswith("ValueError: process_group: expected a group that this process")


# ---- groups, checkpoints, statistics ------------------------------------------------------------


def test_two_groups_at_once() -> None:
    inputs = [normal((4 + rank, 3), torch.float32, rank) for rank in range(3)]
    answers = ranks(3).run(worker.two_groups, inputs)
    everyone = normalized(torch.cat(inputs)).split([4, 5, 6])
    pairs = [*normalized(torch.cat(inputs[:2])).split([4, 5]), normalized(inputs[2])]
    for answer, *expected in zip(answers, everyone, pairs, strict=True):
        for found, right in zip(answer, expected, strict=True):
            assert torch.allclose(found.double(), right, atol=1e-6)


def normalized(batch: Any) -> Any:
    return torch.nn.functional.batch_norm(batch.double(), None, None, training=True)


def test_a_group_of_one_is_local() -> None:
    inputs = [normal((4 + rank, 3), torch.float32, rank) for rank in range(2)]
    for (output, count), input in zip(
        ranks(2).run(worker.group_of_one, inputs), inputs, strict=True
    ):
        assert count == 0
        assert torch.allclose(output.double(), normalized(input), atol=1e-6)


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_a_checkpoint_updates_the_statistics_once(use_reentrant: bool) -> None:
    inputs = [normal((4 + rank, 3, 2), torch.float32, rank, 2.0) for rank in range(2)]
    answers = ranks(2).run(worker.checkpointed, inputs, use_reentrant)
    layer = torch.nn.BatchNorm1d(3, momentum=None, dtype=torch.float64)
    whole = torch.cat(inputs).double().requires_grad_()
    layer(whole).tanh().pow(2).sum().backward()
    for state, _ in answers:
        assert state["num_batches_tracked"] == 1
        assert torch.allclose(state["running_mean"].double(), layer.running_mean)
        assert torch.allclose(state["running_var"].double(), layer.running_var)
    gradient = torch.cat([found for _, found in answers])
    assert torch.allclose(gradient.double(), whole.grad, atol=1e-5)


@pytest.mark.parametrize("momentum", [None, 0.0, 0.3, 1.0])
def test_running_statistics_are_those_of_the_batch(momentum: float | None) -> None:
    batches = [
        [normal((4 + rank + seed, 3), torch.float32, 10 * seed + rank, seed) for rank in range(2)]
        for seed in range(3)
    ]
    layer = torch.nn.BatchNorm1d(3, momentum=momentum, dtype=torch.float64)
    for batch in batches:
        layer(torch.cat(batch).double())
    for state in ranks(2).run(worker.running_statistics, batches, {"momentum": momentum}):
        assert state["num_batches_tracked"] == 3
        assert torch.allclose(state["running_mean"].double(), layer.running_mean, atol=1e-6)
        assert torch.allclose(state["running_var"].double(), layer.running_var, rtol=1e-6)


def test_eval_mode_exchanges_nothing() -> None:
    input, state = normal((5, 3), torch.float32, 1), state_of(3, torch.float32)
    answers = ranks(2).run(worker.evaluated, input, state)
    layer = torch.nn.BatchNorm1d(3)
    layer.load_state_dict(state)
    assert torch.allclose(answers[0][0], layer.eval()(input), atol=1e-5)
    assert [count for _, count in answers] == [0, 0]


def test_long_messages_take_one_more_collective_once() -> None:
    for counts in ranks(2).run(worker.long_messages, 300):
        assert counts[0] > 2
        assert counts[1:] == [2, 2]
    for counts in ranks(2).run(worker.long_messages, 100):
        assert counts == [2, 2, 2]


def test_200_steps_with_other_lengths() -> None:
    means = ranks(3).run(worker.many_steps, 200)
    assert torch.equal(means[0], means[1])
    assert torch.equal(means[0], means[2])
    assert torch.all(means[0].isfinite())


def test_distributed_data_parallel() -> None:
    inputs = [normal((2, 3, 4, 4), torch.float32, rank) for rank in range(2)]
    deltas = [normal((2, 5, 4, 4), torch.float32, 7 + rank) for rank in range(2)]
    answers = ranks(2).run(worker.data_parallel, inputs, deltas)
    network = worker.network_of_two_layers().double()
    network(torch.cat(inputs).double()).backward(torch.cat(deltas).double())
    for gradients in answers:
        for found, parameter in zip(gradients, network.parameters(), strict=True):
            # The average over ranks is half of the whole batch's.
            expected = parameter.grad / 2
            assert torch.allclose(found.double(), expected, rtol=1e-4, atol=1e-4)


def test_a_deep_copy_belongs_to_the_same_group() -> None:
    for is_separate, output, of_copy in ranks(2).run(worker.copies):
        assert is_separate
        assert torch.equal(output, of_copy)


def test_a_compiled_network_is_cut_at_the_exchange() -> None:
    inputs = [normal((4 + rank, 3), torch.float32, rank) for rank in range(2)]
    for found, expected in ranks(2).run(worker.compiled, inputs):
        assert torch.equal(found, expected)


# ---- the class, without a group -----------------------------------------------------------------


def test_without_distributed_it_is_a_local_layer() -> None:
    input = images((3,), torch.float32, 1, "channels_first")
    layer, expected = SyncBatchNorm(4), torch.nn.BatchNorm2d(4)
    for _ in range(2):
        assert torch.allclose(layer(input), expected(input), atol=1e-6)
    assert torch.allclose(layer.running_var, expected.running_var)
    assert torch.allclose(layer.eval()(input), expected.eval()(input), atol=1e-6)
    with pytest.raises(ValueError, match="input: expected at least 2 dimensions, got 1"):
        layer(input[0, 0, 0])


def test_state_dicts_are_exchanged_with_torch() -> None:
    for other in (torch.nn.BatchNorm2d(4), torch.nn.SyncBatchNorm(4)):
        layer = SyncBatchNorm(4)
        layer.load_state_dict(state_of(4, torch.float32))
        other.load_state_dict(layer.state_dict())
        assert other.state_dict().keys() == layer.state_dict().keys()
        duplicate = SyncBatchNorm(4)
        duplicate.load_state_dict(other.state_dict())
        assert torch.equal(duplicate.running_var, layer.running_var)
    restored = pickle.loads(pickle.dumps(layer))
    assert torch.equal(restored.weight, layer.weight)
    assert repr(SyncBatchNorm(4, activation="relu")).endswith("activation=relu)")


def test_convert_keeps_objects_and_places() -> None:
    calls: list[str] = []
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3),
        torch.nn.BatchNorm2d(4, momentum=None),
        torch.nn.Sequential(modules.BatchNorm2d(4, activation="relu6"), torch.nn.ReLU()),
        torch.nn.SyncBatchNorm(4).eval(),
        torch.nn.BatchNorm2d(4, affine=False, track_running_stats=False),
    )
    network[1].register_forward_hook(lambda *_: calls.append("hook"))
    before = copy.copy(network.state_dict(keep_vars=True))
    shared = network[1]
    assert SyncBatchNorm.convert(network) is network
    converted = [network[1], network[2][0], network[3], network[4]]
    assert all(type(layer) is SyncBatchNorm for layer in converted)
    assert shared is network[1]
    after = network.state_dict(keep_vars=True)
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before)
    assert [layer.activation for layer in converted] == [None, "relu6", None, None]
    assert [layer.training for layer in converted] == [True, True, False, True]
    assert converted[0].momentum is None
    network[3].train()
    assert network(torch.randn(2, 3, 6, 6)).shape == (2, 4, 4, 4)
    assert calls == ["hook"]
    assert all(layer.process_group is None for layer in converted)
    alone = torch.nn.BatchNorm1d(3)
    assert SyncBatchNorm.convert(alone, "a group") is alone
    assert SyncBatchNorm.convert(alone).process_group == "a group"


class _Doubled(torch.nn.BatchNorm2d):
    def forward(self, input: Any) -> Any:
        return 2 * super().forward(input)


def test_convert_leaves_other_forward_passes_alone() -> None:
    patched = torch.nn.BatchNorm2d(3)
    patched.forward = _Doubled(3).forward
    weighted = torch.nn.utils.parametrizations.weight_norm(torch.nn.BatchNorm2d(3), dim=None)
    layers = [
        (_Doubled(3), "its forward pass is its own"),
        (patched, "its forward pass is its own"),
        (weighted, "it is parametrized"),
        (torch.nn.LazyBatchNorm2d(), "it is lazy"),
    ]
    for layer, reason in layers:
        network = torch.nn.Sequential(layer)
        kind = type(layer)
        with pytest.warns(UserWarning, match=f"SyncBatchNorm.convert: 0, a .* alone: {reason}"):
            SyncBatchNorm.convert(network)
        assert type(network[0]) is kind


def test_the_order_of_the_ranks_is_that_of_the_batch() -> None:
    """Shards in another order are another batch, whose last digits may differ, but no more."""
    lengths = ALIGNED[3]
    input = images(lengths, torch.float64, 6, "channels_first", mean=100.0)
    state, shards = state_of(4, torch.float64), cut(input, lengths)
    whole = whole_step(input, input, state, None, None)["input"]
    found = set()
    for order in itertools.permutations(range(3)):
        placed = [shards[index] for index in order]
        answers = ranks(3).run(worker.step, placed, placed, state, {})
        gradient = torch.cat([answers[order.index(index)]["input"] for index in range(3)])
        if order == (0, 1, 2):
            assert torch.equal(gradient, whole)
        found.add(gradient.numpy().tobytes())
        # Terms of about 100² cancel.
        assert torch.allclose(gradient, whole, rtol=0.0, atol=1e-10)
    assert len(found) > 1
