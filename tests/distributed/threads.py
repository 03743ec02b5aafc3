"""Ranks that are threads of this process, and their communicator."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

#: How long a rank waits for the others before it takes them to hang.
_LIMIT_IN_SECONDS = 30.0


class Meeting:
    """Where the ranks of a group give their messages to each other."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._barrier = threading.Barrier(size, timeout=_LIMIT_IN_SECONDS)
        self._messages: list[bytes] = [b""] * size

    def all_gather(self, rank: int, message: bytes) -> list[bytes]:
        self._messages[rank] = message
        self._barrier.wait()
        received = list(self._messages)
        self._barrier.wait()
        return received


class Communicator:
    """One rank's end of a meeting, with what it has sent."""

    def __init__(self, meeting: Meeting, rank: int) -> None:
        self.rank = rank
        self.sent: list[bytes] = []
        self._meeting = meeting

    def all_gather(self, message: bytes) -> list[bytes]:
        self.sent.append(message)
        return self._meeting.all_gather(self.rank, message)


def run(size: int, case: Callable[[Communicator], Any]) -> list[Any]:
    """What `case(communicator)` returns on each rank, or the exception that it raises."""
    meeting = Meeting(size)

    def run_rank(rank: int) -> Any:
        try:
            return case(Communicator(meeting, rank))
        except threading.BrokenBarrierError:
            raise
        except Exception as error:
            return error

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(run_rank, range(size)))
