"""The order in which a function adds, found by calling it.

The method is that of FPRev (P. Xie et al., "FPRev: revealing the order of floating-point summation
by numerical testing"): one summand is a huge M, one is −M, and all others are equal and so small
that M absorbs them. Those that are added to a partial sum with one of the two vanish; when the two
meet they cancel, and what is added later stays. So the result tells how many summands are in the
smallest partial sum that has both, and these numbers, for all pairs, are the tree.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from normgraph.check.accuracy import Format
from normgraph.definition import Float64Array
from normgraph.verification.values import UnreadableError, described, integer_of, text_of

from .cases import FORMATS
from .exact import quantized
from .frameworks import FRAMEWORKS, arithmetic, framework_of, of_framework, values_of
from .threads import SetThreads, ThreadControl, thread_control
from .tree import NoTreeError, Tree, build, shape_of

#: M and a small summand, of each type: M absorbs thousands of them in any type up to 113 bits, as
#: far as the type's range allows, and their squares are in range.
MAGNITUDES = {
    "f64": (2.0**100, 2.0**-100),
    "f32": (2.0**40, 2.0**-40),
    "bf16": (2.0**40, 2.0**-40),
    "f16": (2.0**15, 2.0**-24),
}

#: Significands of the types that sums are made in.
SIGNIFICANDS = {8: "bf16", 11: "f16", 24: "f32", 53: "f64", 64: "80-bit", 113: "128-bit"}

REPEATS = 4
#: Summands that are worth a second thread, and pairs of them that are looked at.
THREADED_SUMMANDS = 49 * 4096
#: Seconds that one call with these may take: there are more than a hundred.
MOST_SECONDS = 0.4
PAIRS = 24
SUMMANDS = 300
MOST_SUMMANDS = 20_000

#: A sum of doubles of shape (n,), for any n; what one call returns.
Sum = Callable[[Float64Array], float]


@dataclass(frozen=True)
class SummationOrder:
    """How a function adds `count` summands. It prints as a sentence.

    kind: "sequential", "reversed", "pairwise", "halves", "blocks", "lanes", "at once", "tree" (none
    of these); "not deterministic", "exact" (no summand is lost: wider than can be told, or exact),
    "no sum" (not a plain sum of its summands). words: the same in words. accumulator: the type in
    which the first additions are made, as far as its bits tell; last_accumulator that of the last
    ones. block, lanes: numbers, of kinds that have them. depends_on_threads: whether another
    number of threads gives another order; None if that was not looked at, and threads_unknown says
    why. tree: nested tuples of the summands' numbers, None without a tree.
    """

    count: int
    kind: str
    words: str
    accumulator: str | None = None
    last_accumulator: str | None = None
    block: int | None = None
    lanes: int | None = None
    depends_on_threads: bool | None = None
    threads_unknown: str = ""
    tree: object = None

    def __str__(self) -> str:
        text = self.words
        if self.accumulator is not None:
            text += f", in {self.accumulator}"
            if self.last_accumulator not in (None, self.accumulator):
                text += f" and then in {self.last_accumulator}"
        if self.depends_on_threads:
            text += "; split over threads: another number of threads adds in another order"
        return f"{text} ({self.count} summands)"


def summation_order(
    function: Callable[..., object],
    count: int = SUMMANDS,
    dtype: str = "f32",
    *,
    framework: str | None = None,
    threads: SetThreads | None = None,
) -> SummationOrder:
    """Find out in which order a function adds.

    Parameters
    ----------
    function : takes an array of shape (count,) and returns its sum, such as numpy.sum; it is
        called some count*log2(count) times
    count : integer from 2 to 20000, the number of summands. Blocks show if there are several.
    dtype : "f64", "f32", "bf16" or "f16", the type of the array
    framework : "numpy", "torch" or "jax", whose arrays it takes; None: by the function
    threads : what sets the number of threads that the function works with: it is called with 1 and
        with 2, and may return a context manager that ends it. None: torch's own, or for numpy that
        of the package threadpoolctl if it is installed; JAX has none

    Returns
    -------
    SummationOrder: sequential, pairwise, lanes, blocks of them, or another tree; and the type that
    the sums are made in. Where threads can be set, one and two of them are tried on many summands;
    where not, `threads_unknown` says why.

    Raises TypeError for a function that is none, for threads that are none, and for a result that
    is no number; ValueError for another count, dtype or framework, and for a result of several
    numbers. Exceptions of the function pass through.
    """
    check_function(function)
    count = integer_of("count", count)
    if not 2 <= count <= MOST_SUMMANDS:
        raise ValueError(f"count: expected an integer from 2 to {MOST_SUMMANDS}, got {count}")
    data = format_of("dtype", dtype)
    chosen = framework_of(function) if framework is None else framework
    if chosen not in FRAMEWORKS:
        raise ValueError(f"framework: expected one of {', '.join(FRAMEWORKS)}, got {framework!r}")

    def total(summands: Float64Array) -> float:
        with arithmetic(chosen, data), np.errstate(all="ignore"):
            result = function(of_framework(summands, data, chosen))
            try:
                values, _ = values_of(result)
            except UnreadableError as error:
                words = f"function: expected a number, got {error}"
                raise TypeError(words) from error
        if values.size != 1:
            raise ValueError(f"function: expected a number, got an array of {values.shape}")
        return float(values.ravel()[0])

    return order_of(total, count, data, thread_control(function, chosen, threads))


def check_function(function: object) -> None:
    """Raise TypeError for what cannot be tried: no function, a class, or an async function."""
    if not callable(function):
        raise TypeError(f"function: expected a function, got {described(function)}")
    if isinstance(function, type):
        place = "its apply" if hasattr(function, "apply") else "an object of it, or a method of one"
        raise TypeError(
            f"function: expected a function, got the class {function.__name__}; give {place}"
        )
    called = vars(type(function)).get("__call__")
    if any(map(inspect.iscoroutinefunction, (function, called))):
        raise TypeError(
            "function: expected one that returns its result, got an async function: give one that "
            "runs it, such as lambda *a: asyncio.run(function(*a))"
        )


def format_of(argument: str, name: str) -> Format:
    """Return a type by its name; raise ValueError that names the argument."""
    if not isinstance(name, str) or name not in FORMATS:
        raise ValueError(f"{argument}: expected one of {', '.join(FORMATS)}, got {name!r}")
    return FORMATS[name]


def order_of(
    total: Sum, count: int, data: Format, control: ThreadControl, scale: float = 1.0
) -> SummationOrder:
    """Return the order of a sum, of one thread; scale: what one summand adds to the result."""
    with control.limited_to(1):
        order = order_of_one_thread(total, count, data, scale)
    if order.tree is None:
        return order
    try:
        depends = depends_on_threads(Probe(total, count, data, scale), control)
    except UnknownThreadsError as error:
        return replace(order, threads_unknown=str(error))
    return replace(order, depends_on_threads=depends)


def order_of_one_thread(total: Sum, count: int, data: Format, scale: float) -> SummationOrder:
    """Return the order of a sum, without what threads change."""
    varies = SummationOrder(
        count, "not deterministic", "not deterministic: equal calls give different results"
    )
    if not is_repeatable(total, count, data):
        return varies
    probe = Probe(total, count, data, scale)
    try:
        if probe.absorbs_nothing():
            return exact(count, data)
        tree = build(tuple(range(count)), probe.meeting)
    except NoTreeError as error:
        # A function that adds in another order now and then has no tree either.
        if probe.varies():
            return varies
        return SummationOrder(count, "no sum", f"not as a plain sum: {error}")
    shape = shape_of(tree)
    first, last = accumulators(probe, tree)
    return SummationOrder(
        count, shape.kind, shape.words, first, last, shape.block, shape.lanes, tree=tree.nested()
    )


def exact(count: int, data: Format) -> SummationOrder:
    """Say that no summand is lost."""
    large, small = MAGNITUDES[data.name]
    bits = int(np.log2(large) - np.log2(small))
    words = (
        f"in an order that does not show: sums in a wider type, of more than {bits} bits, or exact"
    )
    return SummationOrder(count, "exact", words)


@dataclass(frozen=True)
class Probe:
    """A sum, and how to ask it."""

    total: Sum
    count: int
    data: Format
    scale: float

    @cached_property
    def groups(self) -> list[slice]:
        """Ranges of summands, each so short that the type of the sums can count them."""
        length = self.count
        while True:
            groups = [slice(i, i + length) for i in range(0, self.count, length)]
            # One of two neighbouring numbers is odd, and has all the bits that any of them needs.
            shorter = [slice(group.start, min(group.stop, self.count) - 1) for group in groups]
            if all(self.counts(group) for group in (*groups, *shorter)):
                return groups
            if length == 1:
                raise NoTreeError(self.words_of_one())
            length = (length + 1) // 2

    def words_of_one(self) -> str:
        """Say what comes of the first summand that is not kept where all others are 0."""
        _, small = MAGNITUDES[self.data.name]
        for place in range(self.count):
            summands = np.zeros(self.count)
            summands[place] = small
            made = self.total(summands)
            if made != small * self.scale:
                return f"of {small:g} at place {place} and zeros elsewhere it makes {made:.6g}"
        return f"of zeros alone it makes {self.total(np.zeros(self.count)):.6g}"

    def count_of(self, group: slice, others: Mapping[int, float]) -> float:
        """Return how many small summands of a group the result has kept; the rest is 0."""
        _, small = MAGNITUDES[self.data.name]
        summands = np.zeros(self.count)
        summands[group] = small
        for place, value in others.items():
            summands[place] = value
        kept = self.total(summands) / (small * self.scale)
        # A mean is a sum that is rounded once more.
        return round(kept) if np.isfinite(kept) and abs(kept - round(kept)) < 0.01 else kept

    def meeting(self, one: int, other: int) -> int:
        """Return how many summands are in the smallest partial sum that has both of these."""
        large, _ = MAGNITUDES[self.data.name]
        pair = {one: large, other: -large}
        kept = sum(self.count_of(group, pair) for group in self.groups)
        if kept not in range(self.count - 1):
            raise NoTreeError(f"of {self.count - 2} equal summands it has kept {kept:.6g}")
        return self.count - int(kept)

    def counts(self, group: slice) -> bool:
        """Whether the result is the number of small summands in a group, of no others."""
        return self.count_of(group, {}) == size_of(group, self.count)

    def varies(self) -> bool:
        """Whether equal calls give different results, on numbers that show the order."""
        large, small = MAGNITUDES[self.data.name]
        for other in range(1, self.count, max(self.count // PAIRS, 1)):
            summands = np.full(self.count, small)
            summands[0], summands[other] = large, -large
            results = {np.float64(self.total(summands)).tobytes() for _ in range(REPEATS)}
            if len(results) > 1:
                return True
        return False

    def absorbs_nothing(self) -> bool:
        """Whether a few pairs leave all other summands as they are."""
        last = self.count - 1
        pairs = {(0, last), (0, last // 2), (last // 3, last), (0, 1), (last - 1, last)}
        return self.count > 2 and all(
            self.meeting(one, other) == 2 for one, other in pairs if one < other
        )

    def keeps(self, summands: tuple[int, int, int], exponent: int) -> bool:
        """Whether (M + m) − M is m where M is 2**exponent times m; the three are the places."""
        _, small = MAGNITUDES[self.data.name]
        values = np.zeros(self.count)
        one, other, last = summands
        values[one], values[other], values[last] = (
            small * 2.0**exponent,
            small,
            -small * 2.0**exponent,
        )
        return self.total(values) != 0

    def significand(self, summands: tuple[int, int, int]) -> str | None:
        """Return the type whose additions lose what that one loses."""
        large, small = MAGNITUDES[self.data.name]
        range_bits = int(np.log2(large) - np.log2(small))
        for bits, name in SIGNIFICANDS.items():
            if bits > range_bits:
                break
            # Half an ulp of M is a tie, and M is even.
            if not self.keeps(summands, bits) and self.keeps(summands, bits - 1):
                return name
        return None


def size_of(group: slice, count: int) -> int:
    """Return the number of summands in a range."""
    return len(range(*group.indices(count)))


def accumulators(probe: Probe, tree: Tree) -> tuple[str | None, str | None]:
    """Return the types of the first and of the last additions."""
    found = []
    for node in (deepest(tree), tree):
        places = three_places(node)
        found.append(None if places is None else probe.significand(places))
    return found[0], found[1]


def deepest(tree: Tree) -> Tree:
    """Return a small node that adds three summands, so that the first additions show."""
    nodes = (node for node in tree.in_postorder() if node.size >= 3)
    return min(nodes, key=lambda node: node.size, default=tree)


def three_places(tree: Tree) -> tuple[int, int, int] | None:
    """Return summands of which the first two meet before the third does; None if none do."""
    for child in tree.children:
        if child.size >= 2:
            others = [
                leaf for other in tree.children if other is not child for leaf in other.leaves
            ]
            # The two meet at the child's own root, which is the last addition before this one.
            return child.children[0].leaves[0], child.children[-1].leaves[0], others[0]
    return None


def is_repeatable(total: Sum, count: int, data: Format) -> bool:
    """Whether equal calls give equal results, on numbers whose sum has rounding errors."""
    generator = np.random.default_rng(count)
    summands = quantized(
        generator.normal(size=count) * 2.0 ** generator.integers(-8, 8, count), data
    )
    results = {np.float64(total(summands)).tobytes() for _ in range(REPEATS)}
    return len(results) == 1


class UnknownThreadsError(Exception):
    """Whether the order depends on threads was not looked at; the message says why."""


def depends_on_threads(probe: Probe, control: ThreadControl) -> bool:
    """Whether one thread adds many summands in another order than two.

    The first summand and others of many meet in the same sums, or in others. Raises
    UnknownThreadsError where that cannot be told.
    """
    if control.set_threads is None:
        raise UnknownThreadsError(control.reason)
    many = replace(probe, count=THREADED_SUMMANDS)
    others = range(1, many.count, many.count // PAIRS)
    try:
        with control.limited_to(1):
            check_many(many)
            of_one = [many.meeting(0, other) for other in others]
    except NoTreeError as error:
        raise UnknownThreadsError(f"{many.count} summands are no plain sum: {error}") from error
    except (MemoryError, UnknownThreadsError):
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {text_of(error)}"
        raise UnknownThreadsError(f"it raises with {many.count} summands ({reason})") from error
    try:
        with control.limited_to(2):
            return of_one != [many.meeting(0, other) for other in others]
    except NoTreeError:
        # Two threads make no tree where one does.
        return True


def check_many(probe: Probe) -> None:
    """Raise UnknownThreadsError for more summands than can be counted, or waited for."""
    begin = time.perf_counter()
    are_counted = probe.counts(slice(0, probe.count))
    if time.perf_counter() - begin > MOST_SECONDS:
        raise UnknownThreadsError(f"a call with {probe.count} summands takes too long")
    # One of two neighbouring numbers is odd, and has all the bits that any of them needs.
    if not are_counted or not probe.counts(slice(0, probe.count - 1)):
        raise UnknownThreadsError(f"its sums cannot count {probe.count} summands")
