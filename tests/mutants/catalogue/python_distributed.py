"""The exchange of processes that share a batch: messages, their padding, and what is checked."""

from ..mutant import Group, Mutant

DISTRIBUTED = "python/normgraph/distributed/"

EXCHANGE = Group(
    DISTRIBUTED + "exchange.py",
    "tests/distributed/test_exchange.py tests/distributed/test_functions.py",
    (
        Mutant(
            "distributed-message-with-its-padding",
            "that a message ends before its padding",
            "memoryview(data)[_HEADER.size :][:length]",
            "memoryview(data)[_HEADER.size :]",
        ),
        Mutant(
            "distributed-size-without-header",
            "that a message's size has its header",
            "_HEADER.size + int(_HEADER.unpack_from(data)[-1])",
            "int(_HEADER.unpack_from(data)[-1])",
        ),
        Mutant(
            "distributed-padding-forgotten",
            "that the agreed length grows",
            "self._length = length if self._most is None else min(length, self._most)",
            "pass",
        ),
        Mutant(
            "distributed-padding-without-bound",
            "that the agreed length has a bound",
            "min(length, self._most)",
            "length",
        ),
        Mutant(
            "distributed-error-gathered-again",
            "that an error needs no second collective",
            "largest <= self._length or is_error",
            "largest <= self._length",
        ),
        Mutant(
            "distributed-passes-that-differ",
            "that all ranks are in the same pass",
            "len(set(stages)) > 1",
            "len(set(stages)) > 9",
        ),
        Mutant(
            "distributed-channels-that-differ",
            "that all ranks have as many channels and one type",
            "len(set(kinds)) > 1",
            "len(set(kinds)) > 9",
        ),
    ),
    is_alone=True,
)

COMMUNICATORS = Group(
    DISTRIBUTED + "communicators.py",
    "tests/distributed/test_exchange.py tests/distributed/test_functions.py",
    (
        Mutant(
            "distributed-own-message-lost",
            "that what a rank has sent comes back to it",
            "if message not in received:",
            "if not received:",
        ),
    ),
    is_alone=True,
)

FUNCTIONS = Group(
    DISTRIBUTED + "functions.py",
    "tests/distributed/test_functions.py",
    (
        Mutant(
            "distributed-one-pass-of-f64",
            "the second pass of f64, about the mean",
            "first.element_type != _core.element.f64 or first.count == 0",
            "first.count >= 0",
        ),
        Mutant(
            "distributed-arguments-checked-late",
            "that a rank finds its errors before the exchange",
            'trial.check(function, arrays, options, ("mean", "variance"), statistics=statistics)',
            "pass",
        ),
    ),
    is_alone=True,
)

TRIAL = Group(
    DISTRIBUTED + "trial.py",
    "tests/distributed/test_functions.py",
    (
        Mutant(
            "distributed-output-of-any-number-of-samples",
            "that an output has as many samples as the input",
            "if entry.shape != expected:",
            "if False:",
        ),
        Mutant(
            "distributed-output-that-cannot-be-written",
            "that an output has to be writeable",
            "scratch.flags.writeable = array.flags.writeable",
            "pass",
        ),
    ),
    is_alone=True,
)

GROUPS = (EXCHANGE, COMMUNICATORS, FUNCTIONS, TRIAL)
