"""Messages, and the length that they are padded to on transports that gather equal lengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from normgraph.distributed.exchange import Message, Padding

from .threads import Communicator, run


def message_of(size: int, is_error: bool = False) -> Message:
    return Message(1, is_error, False, bytes(index % 251 for index in range(size)))


def gathered(
    most: int | None, sizes: Sequence[Sequence[int]], errors: Sequence[int] = ()
) -> list[tuple[list[list[Message]], list[int]]]:
    """What each rank receives in each round, and the lengths that it has sent.

    sizes[round][rank] is the length of a payload; in the rounds of `errors` that of rank 0 is the
    text of an error.
    """

    def case(communicator: Communicator) -> Any:
        padding = Padding(most)
        received = []
        for index, of_ranks in enumerate(sizes):
            is_error = communicator.rank == 0 and index in errors
            message = message_of(of_ranks[communicator.rank], is_error).to_bytes()
            found = padding.all_gather(message, communicator.all_gather)
            received.append([Message.from_bytes(data) for data in found])
        return received, [len(data) for data in communicator.sent]

    return run(len(sizes[0]), case)


def test_a_message_is_read_as_it_was_written() -> None:
    for size in (0, 1, 5000):
        message = message_of(size, is_error=bool(size))
        data = message.to_bytes()
        assert Message.from_bytes(data + b"padding") == message
        assert Message.size_in(data[:16]) == len(data)


@pytest.mark.parametrize(
    ("most", "sizes", "lengths"),
    [
        (None, [(9, 80), (4080, 0)], [4096, 4096]),
        (None, [(9, 4081), (9, 9), (8176, 1)], [4096, 8192, 8192, 8192]),
        (None, [(70_000, 9), (9, 9)], [4096, 131_072, 131_072]),
        (65_536, [(9, 70_000), (9, 9), (70_000, 70_000)], [4096, 131_072, *[65_536] * 2, 131_072]),
    ],
)
def test_all_ranks_agree_on_a_length(
    most: int | None, sizes: list[tuple[int, int]], lengths: list[int]
) -> None:
    for received, sent in gathered(most, sizes):
        assert sent == lengths
        for messages, of_ranks in zip(received, sizes, strict=True):
            assert messages == [message_of(size) for size in of_ranks]


def test_the_text_of_an_error_is_cut_to_what_fits() -> None:
    for received, sent in gathered(None, [(9000, 6000), (9, 9)], errors=[0]):
        assert sent == [4096, 4096]
        assert received[0][0].is_error
        assert received[0][0].payload == message_of(9000).payload[:4080]
        assert received[1] == [message_of(9)] * 2
