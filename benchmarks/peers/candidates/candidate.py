"""The interface that a library must offer to be measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from ..case_data import Array, CaseData
from ..cases import Case

#: One call, with everything it needs bound; what it returns is kept until its set's next turn.
Call = Callable[[], Any]


class LeftOut(Exception):
    """A candidate does not take part, in one case or at all; the message says why."""


class Candidate(ABC):
    """One way of computing the ops. Creating it raises LeftOut where the library is not there."""

    def __init__(self, num_threads: int) -> None:
        self.num_threads = num_threads

    @abstractmethod
    def version(self) -> str:
        """The library's version."""

    @abstractmethod
    def calls(self, case: Case, data: CaseData) -> Sequence[Call]:
        """One call per set of data. Raises LeftOut where the library cannot do it."""

    @abstractmethod
    def outputs(self, case: Case, result: Any) -> Sequence[Array]:
        """The arrays of a result: (normalized,), or (input_delta, gamma_delta, beta_delta).

        The first one in the order of memory, as in CaseData.
        """
