"""A rank of test_distributed.py: `mpirun -n N python -m tests.interop.distributed_worker FOLDER`.

It reads the name of a case and its arguments from the folder, and leaves its answer there.
"""

from __future__ import annotations

import pickle
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI

import normgraph.distributed as ngd
from tests.distributed import cases
from tests.distributed.cases import Batch, goes_on, text_of_error


def main() -> None:
    folder = Path(sys.argv[1])
    rank = MPI.COMM_WORLD.Get_rank()
    name, arguments = pickle.loads((folder / "case").read_bytes())
    case = globals()[name] if name in globals() else getattr(cases, name)
    try:
        answer = True, case(MPI.COMM_WORLD, rank, *arguments)
    except Exception:
        answer = False, traceback.format_exc()
    (folder / f"answer_{rank}").write_bytes(pickle.dumps(answer))
    if not answer[0]:
        MPI.COMM_WORLD.Abort(1)  # the others may wait


class Counting(MPI.Intracomm):
    """A communicator of MPI that counts its collectives."""

    count = 0

    def Allgather(self, sendbuf: Any, recvbuf: Any) -> None:  # noqa: N802
        self.count += 1
        super().Allgather(sendbuf, recvbuf)


def collectives(world: Any, rank: int, batches: list[Batch]) -> list[tuple[int, int]]:
    """How many there are in each forward and backward pass."""
    counting = Counting(world)
    counts = []
    for batch in batches:
        shard = batch.shard(rank)
        x, vectors = shard["input"], (shard["gamma"], shard["beta"])
        before = counting.count
        result = ngd.batch_norm_training(x, *vectors, counting)
        between = counting.count
        statistics = result.mean, result.variance
        ngd.batch_norm_training_backprop(x, *vectors, *statistics, shard["delta"], counting)
        counts.append((between - before, counting.count - between))
    return counts


def two_communicators(world: Any, rank: int, everyone: Batch, halves: list[Batch]) -> Any:
    """Steps over all ranks and over those of the same parity, in turns."""
    half = world.Split(rank % 2, rank)
    answers = []
    for _ in range(3):
        of_all = everyone.step(world, rank)
        of_half = halves[rank % 2].step(half, half.Get_rank())
        answers.append((of_all, of_half))
    half.Free()
    return answers


def new_communicators(world: Any, rank: int, count: int) -> bool:
    """Long messages, which every communicator agrees on anew, though handles come again."""
    x = np.random.default_rng(rank).normal(size=(3, 300)).astype(np.float32)
    expected = ngd.batch_norm_training(x, None, None, world).mean
    for _ in range(count):
        duplicate = world.Dup()
        found = ngd.batch_norm_training(x, None, None, duplicate).mean
        duplicate.Free()
        if not np.array_equal(found, expected):
            return False
    return True


def aliases(world: Any, rank: int) -> bool:
    """Rank 0 has a new object for the same communicator each time; the lengths agree anyway."""
    found = []
    for channels in (3, 500, 3, 3000, 3):
        communicator = MPI.Intracomm(world) if rank == 0 else world
        x = np.random.default_rng(channels).normal(size=(4, channels))
        found.append(ngd.batch_norm_training(x, None, None, communicator).mean)
    return all(np.all(np.isfinite(mean)) for mean in found)


def foreign_communicators(world: Any, rank: int) -> tuple[str, str, bool]:
    """The errors of communicators that do not connect this rank to a group of its own."""
    x = np.arange(12.0).reshape(4, 3)
    color = 0 if rank == 0 else MPI.UNDEFINED
    alone = world.Split(color, rank)
    of_none = text_of_error(lambda: ngd.batch_norm_training(x, None, None, alone))
    half = world.Split(rank % 2, rank)
    between = half.Create_intercomm(0, world, 1 - rank % 2, 1)
    of_two_groups = text_of_error(lambda: ngd.batch_norm_training(x, None, None, between))
    return of_none, of_two_groups, goes_on(world, rank)


if __name__ == "__main__":
    main()
