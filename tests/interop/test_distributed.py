"""normgraph.distributed over real MPI: `mpirun -n 1, 2, 3, 5`."""

from __future__ import annotations

import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ..distributed.cases import FORMS, Batch

pytestmark = pytest.mark.interop
pytest.importorskip(
    "mpi4py", reason="left out: normgraph.distributed over MPI, which needs `pip install mpi4py`"
)
if shutil.which("mpirun") is None:
    pytest.skip(
        "left out: normgraph.distributed over MPI, which needs mpirun: "
        "`apt-get install openmpi-bin`, or mpich",
        allow_module_level=True,
    )

REPOSITORY = Path(__file__).parents[2]
SIZES = (1, 2, 3, 5)
#: Samples per rank. The aligned shards begin at multiples of 32.
ALIGNED: dict[int, tuple[int, ...]] = {1: (33,), 2: (64, 20), 3: (32, 64, 7), 5: (32, 0, 64, 32, 3)}
UNEVEN: dict[int, tuple[int, ...]] = {1: (7,), 2: (0, 6), 3: (1, 7, 4), 5: (9, 9, 0, 9, 5)}
TYPES = (("f32", "f32"), ("f64", "f64"), ("bf16", "bf16"), ("bf16", "f32"), ("f16", "f32"))
#: How long a run may take before it is taken to hang.
_LIMIT_IN_SECONDS = 180.0

#: Processes of Open MPI on a machine with fewer cores, and of root in a container.
_ENVIRONMENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
    "NORMGRAPH_NUM_THREADS": "1",
}


def run_of(size: int, *command: str) -> subprocess.CompletedProcess[str]:
    """`size` processes of this Python, and what they print."""
    return subprocess.run(
        ["mpirun", "-n", str(size), sys.executable, *command],
        cwd=REPOSITORY,
        env={**os.environ, **_ENVIRONMENT},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_LIMIT_IN_SECONDS,
        check=False,
    )


def mpirun(size: int, *command: str) -> str:
    """What `size` processes of this Python print, none of which fails."""
    run = run_of(size, *command)
    assert run.returncode == 0, f"{size} processes: {' '.join(command)}:\n{run.stdout}"
    return run.stdout


@pytest.fixture(scope="module", autouse=True)
def _mpi_that_runs() -> None:
    """mpirun and mpi4py may be of two implementations of MPI, or mpi4py find no library."""
    run = run_of(2, "-c", "from mpi4py import MPI; assert MPI.COMM_WORLD.Get_size() == 2")
    if run.returncode != 0:
        pytest.skip(
            "left out: normgraph.distributed over MPI, since mpi4py cannot use the MPI of mpirun:\n"
            + run.stdout
        )


def answers_of(folder: Path, size: int, case: str, *arguments: Any) -> list[Any]:
    """What `case(MPI.COMM_WORLD, rank, *arguments)` returns on each rank.

    The case is named, since with its module MPI would begin in this process.
    """
    (folder / "case").write_bytes(pickle.dumps((case, arguments)))
    try:
        mpirun(size, "-m", "tests.interop.distributed_worker", str(folder))
    except AssertionError as failure:
        texts = [pickle.loads(path.read_bytes())[1] for path in sorted(folder.glob("answer_*"))]
        raise AssertionError("\n".join([str(failure), *map(str, texts)])) from None
    return [pickle.loads((folder / f"answer_{rank}").read_bytes())[1] for rank in range(size)]


def by_batch(answers: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    return list(zip(*answers, strict=True))


@pytest.mark.parametrize("size", SIZES)
def test_aligned_shards_have_the_bits_of_the_batch(tmp_path: Path, size: int) -> None:
    batches = [
        Batch(ALIGNED[size], *types, channel_axis=channel_axis, form=form)
        for types in TYPES
        for channel_axis in (1, -1)
        for form in FORMS
    ]
    answers = answers_of(tmp_path, size, "steps", batches)
    for batch, of_ranks in zip(batches, by_batch(answers), strict=True):
        batch.check_bits(of_ranks)


@pytest.mark.parametrize("size", SIZES)
def test_other_shards_differ_by_a_rounding(tmp_path: Path, size: int) -> None:
    batches = [
        Batch(UNEVEN[size], channel_axis=channel_axis, form=form)
        for channel_axis in (1, -1)
        for form in FORMS
    ]
    answers = answers_of(tmp_path, size, "steps", batches)
    for batch, of_ranks in zip(batches, by_batch(answers), strict=True):
        batch.check_within_one_unit(of_ranks)


def test_a_large_batch_in_uneven_shards_over_five_processes(tmp_path: Path) -> None:
    batch = Batch((41, 17, 50, 33, 19), channels=64, image=(28, 28))
    assert sum(batch.lengths) == 160
    batch.check_within_one_unit(answers_of(tmp_path, 5, "step", batch))


@pytest.mark.parametrize("size", [2, 3])
def test_collectives(tmp_path: Path, size: int) -> None:
    short, double = Batch((3,) * size), Batch((3,) * size, "f64", "f64")
    long = Batch((3,) * size, channels=300)
    longest = Batch((3,) * size, channels=6000, image=(1, 1))
    batches = [short, double, long, long, short, longest, longest]
    for counts in answers_of(tmp_path, size, "collectives", batches):
        assert counts[0] == (1, 1)
        assert counts[1] == (2, 1)
        # What is longer than all before takes one more, once.
        assert counts[2][0] == 2
        assert counts[3:5] == [(1, 1)] * 2
        # Above 64 KiB there is always one more.
        assert counts[5:] == [(2, 2)] * 2


def test_two_communicators_at_once(tmp_path: Path) -> None:
    everyone = Batch((32, 32, 32, 32, 5), seed=2)
    halves = [Batch((32, 32, 5), seed=3), Batch((64, 7), "f64", "f64", seed=4)]
    answers = answers_of(tmp_path, 5, "two_communicators", everyone, halves)
    for index in range(3):
        everyone.check_bits([answer[index][0] for answer in answers])
        for parity, half in enumerate(halves):
            half.check_bits([answer[index][1] for answer in answers[parity::2]])


def test_many_communicators_and_many_objects_for_one(tmp_path: Path) -> None:
    assert answers_of(tmp_path, 3, "new_communicators", 20) == [True] * 3
    assert answers_of(tmp_path, 3, "aliases") == [True] * 3


@pytest.mark.parametrize("culprit", [0, 2])
def test_an_error_of_one_rank_reaches_all(tmp_path: Path, culprit: int) -> None:
    x, ones = np.arange(12.0).reshape(4, 3), np.ones(3)
    calls: list[Any] = [([x, ones, ones], {})] * 3
    calls[culprit] = [x[:, 0], ones, ones], {}
    answers = answers_of(tmp_path, 3, "error_of", "batch_norm_training", calls)
    for rank, (text, is_right_again) in enumerate(answers):
        if rank == culprit:
            assert text.startswith("NodeValidationFailure: ")
        else:
            assert text.startswith(
                "RuntimeError: batch_norm_training: the forward pass failed on rank "
                f"{culprit}: NodeValidationFailure: "
            )
        assert is_right_again


def test_an_error_of_a_backward_pass_reaches_all(tmp_path: Path) -> None:
    x, ones = np.arange(12.0).reshape(4, 3), np.ones(3)
    calls: list[Any] = [([x, None, None, ones, ones, x], {})] * 2
    calls[1] = [x, None, None, ones, ones, x[:3]], {}
    answers = answers_of(tmp_path, 2, "error_of", "batch_norm_training_backprop", calls)
    assert "the backward pass failed on rank 1: NodeValidationFailure: " in answers[0][0]
    assert answers[1][0].startswith("NodeValidationFailure: ")
    assert [is_right_again for _, is_right_again in answers] == [True, True]


@pytest.mark.parametrize(
    ("others", "kind"),
    [
        (np.ones((4, 2000)), "2000 channels of f64"),  # more than is sent at first
        (np.ones((4, 3), np.float32), "3 channels of f32"),
        (np.ones((0, 4)), "4 channels of f64"),
    ],
)
def test_ranks_that_do_not_fit(tmp_path: Path, others: Any, kind: str) -> None:
    calls: list[Any] = [([np.ones((4, 3)), None, None], {}), ([others, None, None], {})]
    for text, is_right_again in answers_of(tmp_path, 2, "error_of", "batch_norm_training", calls):
        assert f"got 3 channels of f64 on rank 0, {kind} on rank 1" in text
        assert is_right_again


def test_ranks_in_different_passes(tmp_path: Path) -> None:
    for text in answers_of(tmp_path, 3, "different_passes"):
        assert "got the backward pass on rank 0, the forward pass on rank 1" in text


def test_an_empty_batch(tmp_path: Path) -> None:
    calls: list[Any] = [([np.ones((0, 3)), None, None], {})] * 2
    for text, is_right_again in answers_of(tmp_path, 2, "error_of", "batch_norm_training", calls):
        assert text.startswith("ValueError: input: expected at least one element per channel on")
        assert is_right_again


def test_communicators_that_are_none_of_this_rank(tmp_path: Path) -> None:
    answers = answers_of(tmp_path, 3, "foreign_communicators")
    assert answers[0][0] == "no error"
    for of_none, _, _ in answers[1:]:
        assert of_none == (
            "ValueError: communicator: expected one that this process belongs to, got MPI.COMM_NULL"
        )
    for _, of_two_groups, is_right_again in answers:
        assert of_two_groups == (
            "ValueError: communicator: expected one of a single group, got an intercommunicator"
        )
        assert is_right_again


@pytest.mark.parametrize("size", [2, 5])
def test_1000_repetitions(tmp_path: Path, size: int) -> None:
    digests = answers_of(tmp_path, size, "digests_of_many_steps", 1000)
    assert all(found == digests[0] for found in digests)
    assert len(set(digests[0])) == 1000


def test_the_script_of_the_documentation(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "several_processes.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"^```python\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    (printed,) = re.findall(r"^```text\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    path = tmp_path / "train.py"
    path.write_text(script, encoding="utf-8")
    assert mpirun(3, str(path)) == printed
