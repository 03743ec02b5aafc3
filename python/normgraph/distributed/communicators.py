"""The transports that `communicator` arguments stand for."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from .exchange import Padding, Transport


def transport_of(communicator: Any) -> Transport:
    """The transport over a communicator of mpi4py, or over an object with `all_gather`.

    Raises TypeError for what is neither, ValueError for a communicator of mpi4py that does not
    connect the processes of one group, this one among them.
    """
    # Nobody has a communicator of mpi4py who has not imported it.
    mpi = sys.modules.get("mpi4py.MPI")
    if mpi is not None and isinstance(communicator, mpi.Comm):
        return _MpiTransport(mpi, communicator)
    if callable(getattr(communicator, "all_gather", None)):
        return _BytesTransport(communicator)
    raise TypeError(
        "communicator: expected an mpi4py.MPI.Comm, or an object with a method "
        f"all_gather(bytes) -> list[bytes], got {communicator!r} of type "
        f"{type(communicator).__name__}"
    )


class _BytesTransport:
    """Messages have the length that they have."""

    ranks = None
    is_first = False  # such an object need not know its rank

    def __init__(self, communicator: Any) -> None:
        self._communicator = communicator

    def all_gather(self, message: bytes) -> Sequence[bytes | memoryview]:
        received = self._communicator.all_gather(message)
        if not isinstance(received, (list, tuple)) or not all(
            isinstance(data, (bytes, bytearray, memoryview)) for data in received
        ):
            raise TypeError(
                "communicator: expected its all_gather to return a list of bytes, got "
                f"{type(received).__name__}"
            )
        if message not in received:
            raise RuntimeError(
                "communicator: expected its all_gather to return the messages of all ranks, got "
                f"{len(received)} without what this rank has sent"
            )
        return received


class _MpiTransport:
    """Messages are padded, so that one collective does for most."""

    ranks = None

    def __init__(self, mpi: Any, communicator: Any) -> None:
        if communicator == mpi.COMM_NULL:
            raise ValueError(
                "communicator: expected one that this process belongs to, got MPI.COMM_NULL"
            )
        if communicator.Is_inter():
            raise ValueError(
                "communicator: expected one of a single group, got an intercommunicator"
            )
        self._communicator = communicator
        self._size = communicator.Get_size()
        self.is_first = communicator.Get_rank() == 0

    def all_gather(self, message: bytes) -> Sequence[bytes | memoryview]:
        return _padding_of(self._communicator).all_gather(message, self._all_gather_equal)

    def _all_gather_equal(self, data: bytes) -> Sequence[memoryview]:
        sent = np.frombuffer(data, np.uint8)
        received = np.empty((self._size, len(data)), np.uint8)
        self._communicator.Allgather(sent, received)
        return [memoryview(row) for row in received]


#: Up to here to send zeros costs less than one more collective.
_MOST_PADDING = 1 << 16

_attribute_key: int | None = None
_attribute_lock = threading.Lock()


def _padding_of(communicator: Any) -> Padding:
    """What the ranks of a communicator have agreed on.

    It is an attribute of MPI's communicator: two objects of Python may stand for one.
    """
    global _attribute_key
    with _attribute_lock:
        if _attribute_key is None:
            _attribute_key = type(communicator).Create_keyval()
        padding = communicator.Get_attr(_attribute_key)
        if padding is None:
            padding = Padding(_MOST_PADDING)
            communicator.Set_attr(_attribute_key, padding)
    assert isinstance(padding, Padding)
    return padding
