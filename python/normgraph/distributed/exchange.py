"""What the processes that share a batch tell each other, over whatever transport they have.

Each rank reduces its shard to the nodes of the canonical order of summation, gathers the nodes of
all ranks, and adds them in the order of the ranks. So nothing depends on how the transport sums.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

from .. import _core

_Bytes: TypeAlias = bytes | memoryview


class Stage(enum.IntEnum):
    """What an exchange is for."""

    STATISTICS = 1
    SECOND_PASS = 2
    BACKWARD = 3

    @property
    def description(self) -> str:
        return _STAGES[self]

    def read(self, payload: _Bytes) -> Any:
        """The part of the batch that a rank has sent."""
        if self is Stage.BACKWARD:
            return _core.BackpropSums.from_bytes(payload)
        return _core.BatchStatistics.from_bytes(payload)


_STAGES = {
    Stage.STATISTICS: "the forward pass",
    Stage.SECOND_PASS: "the forward pass's second one, about the mean",
    Stage.BACKWARD: "the backward pass",
}


# ---- messages -----------------------------------------------------------------------------------

_HEADER = struct.Struct("<B??5xq")


class Message(NamedTuple):
    """What one rank sends: the bytes of its part, or the text of the error that it has met.

    On the way it has a header of a fixed length.
    """

    stage: int
    is_error: bool
    needs_gradient: bool
    payload: _Bytes

    def to_bytes(self) -> bytes:
        header = _HEADER.pack(self.stage, self.is_error, self.needs_gradient, len(self.payload))
        return header + self.payload

    @staticmethod
    def size_in(data: _Bytes) -> int:
        """The length of the whole message, of which `data` may be but the beginning."""
        return _HEADER.size + int(_HEADER.unpack_from(data)[-1])

    @classmethod
    def from_bytes(cls, data: _Bytes) -> Message:
        stage, is_error, needs_gradient, length = _HEADER.unpack_from(data)
        payload = memoryview(data)[_HEADER.size :][:length]
        return cls(stage, is_error, needs_gradient, payload)


class Padding:
    """Messages of any length over a transport that gathers equal lengths.

    They are padded to a length that all ranks derive from what all have received: so they agree on
    it without asking.
    """

    #: The length before any rank has needed more.
    _INITIAL_LENGTH = 4096

    def __init__(self, most: int | None = None) -> None:
        """`most` is the length above which it does not grow; None means that it always does."""
        self._length = self._INITIAL_LENGTH
        self._most = most

    def all_gather(
        self, message: bytes, gather_equal: Callable[[bytes], Sequence[_Bytes]]
    ) -> Sequence[_Bytes]:
        """One collective, or two where a message is longer than any before, or than `most`."""
        received = gather_equal(_padded(message, self._length))
        # An error's text is cut to what fits.
        is_error = any(Message.from_bytes(data).is_error for data in received)
        largest = max(map(Message.size_in, received))
        if largest <= self._length or is_error:
            return received
        length = 1 << (largest - 1).bit_length()
        self._length = length if self._most is None else min(length, self._most)
        return gather_equal(_padded(message, length))


def _padded(message: bytes, length: int) -> bytes:
    """As much of the message as fits, followed by zeros."""
    return message[:length].ljust(length, b"\0")


# ---- the exchange -------------------------------------------------------------------------------


class Transport(Protocol):
    """What carries the messages of one rank to all."""

    @property
    def ranks(self) -> Sequence[int] | None:
        """The ranks in their order, as errors name them; None means from 0 on."""

    @property
    def is_first(self) -> bool:
        """Whether this rank is known to be the first one."""

    def all_gather(self, message: bytes) -> Sequence[_Bytes]:
        """The messages of all ranks in their order; each may be followed by padding."""


class Gathered(NamedTuple):
    """The part of the batch that is this rank's, and the sum of those of all ranks."""

    own: Any
    total: Any
    #: The ranks that have not asked for a gradient.
    unrecorded: list[int]


class Exchange:
    """What `caller`, a function or a layer, exchanges with the other ranks.

    Where a rank has met an error, all raise RuntimeError; with `raises_own_error` it raises its own
    instead.
    """

    def __init__(self, caller: str, transport: Transport, raises_own_error: bool = False) -> None:
        self._caller = caller
        self._transport = transport
        self._raises_own_error = raises_own_error
        #: How many samples come before this rank's, where that is known without asking: the nodes
        #: of such a part are fewer.
        self.first_sample = 0 if transport.is_first else None

    def gather(
        self, stage: Stage, compute: Callable[[], Any], needs_gradient: bool = False
    ) -> Gathered:
        """What `compute` returns on all ranks, added in their order.

        Where it raises on one of them, every rank takes part in the exchange nevertheless, and
        raises an error with the name of that rank and the text.
        """
        own: Any = None
        failure: Exception | None = None
        try:
            own = compute()
            payload = bytes(own)
        except Exception as error:
            failure = error
            payload = f"{type(error).__name__}: {error}".encode(errors="replace")
        message = Message(stage, failure is not None, needs_gradient, payload)
        received = self._transport.all_gather(message.to_bytes())
        messages = [Message.from_bytes(data) for data in received]
        ranks = self._transport.ranks or range(len(messages))
        self._check(messages, ranks, stage, failure)
        parts = [stage.read(message.payload) for message in messages]
        self._check_agreement(parts, ranks)
        unrecorded = [
            rank
            for rank, message in zip(ranks, messages, strict=True)
            if not message.needs_gradient
        ]
        return Gathered(own, self._sum(parts), unrecorded)

    def _check(
        self,
        messages: list[Message],
        ranks: Sequence[int],
        stage: Stage,
        failure: Exception | None,
    ) -> None:
        failures = [
            f"rank {rank}: {bytes(message.payload).decode(errors='replace')}"
            for rank, message in zip(ranks, messages, strict=True)
            if message.is_error
        ]
        if failure is not None and self._raises_own_error:
            raise failure
        if failures:
            raise RuntimeError(
                f"{self._caller}: {stage.description} failed on " + "; ".join(failures)
            ) from failure
        stages = [Stage(message.stage).description for message in messages]
        if len(set(stages)) > 1:
            raise RuntimeError(
                f"{self._caller}: expected all ranks to be in the same pass, got "
                + _by_rank(stages, ranks)
            )

    def _check_agreement(self, parts: list[Any], ranks: Sequence[int]) -> None:
        kinds = [f"{part.channels} channels of {part.element_type}" for part in parts]
        if len(set(kinds)) > 1:
            raise RuntimeError(
                f"{self._caller}: input: expected as many channels and the same type on all "
                "ranks, got " + _by_rank(kinds, ranks)
            )

    def _sum(self, parts: list[Any]) -> Any:
        try:
            return sum(parts)
        except ValueError as error:
            raise RuntimeError(
                f"{self._caller}: the parts of the ranks do not fit each other: {error}"
            ) from error


def _by_rank(facts: list[str], ranks: Sequence[int]) -> str:
    return ", ".join(f"{fact} on rank {rank}" for rank, fact in zip(ranks, facts, strict=True))
