"""The tree of a sum: which partial sums it makes, and what such a tree is called."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

#: A leaf is the number of a summand; a node has two children or, if it adds them at once, more.


@dataclass(frozen=True)
class Tree:
    """A sum of leaves: `first` is the smallest of them; children in the order of theirs."""

    leaves: tuple[int, ...]
    children: tuple[Tree, ...] = ()

    @staticmethod
    def leaf(number: int) -> Tree:
        return Tree((number,))

    @staticmethod
    def of(children: tuple[Tree, ...]) -> Tree:
        """Join subtrees."""
        ordered = tuple(sorted(children, key=lambda child: child.leaves[0]))
        return Tree(tuple(sorted(leaf for child in ordered for leaf in child.leaves)), ordered)

    @property
    def size(self) -> int:
        return len(self.leaves)

    @cached_property
    def depth(self) -> int:
        """The number of additions that a leaf goes through at most."""
        depths: dict[int, int] = {}
        for node in self.in_postorder():
            depths[id(node)] = 1 + max((depths[id(c)] for c in node.children), default=-1)
        return depths[id(self)]

    def in_postorder(self) -> Iterator[Tree]:
        """Yield all nodes, children first; without recursion, since chains are deep."""
        order, pending = [], [self]
        while pending:
            node = pending.pop()
            order.append(node)
            pending += node.children
        yield from reversed(order)

    @property
    def is_range(self) -> bool:
        """Whether its leaves follow each other."""
        return self.leaves[-1] - self.leaves[0] + 1 == self.size

    def nested(self) -> object:
        """`(((0, 1), 2), 3)`: numbers and tuples."""
        made: dict[int, object] = {}
        for node in self.in_postorder():
            children = tuple(made[id(child)] for child in node.children)
            made[id(node)] = children or node.leaves[0]
        return made[id(self)]


class NoTreeError(Exception):
    """What was measured is of no tree of sums."""


def build(numbers: tuple[int, ...], meeting: Callable[[int, int], int]) -> Tree:
    """Return the tree of these summands.

    meeting(i, j), for i < j: how many summands are in the smallest partial sum that has both. It is
    asked about n·log n times for the usual orders. Raises NoTreeError if no tree has these.
    """
    known: dict[tuple[int, int], int] = {}

    def meeting_of(one: int, other: int) -> int:
        pair = (min(one, other), max(one, other))
        if pair not in known:
            known[pair] = meeting(*pair)
        return known[pair]

    return subtree(numbers, meeting_of)


def subtree(numbers: tuple[int, ...], meeting: Callable[[int, int], int]) -> Tree:
    """Climb from one summand to the root, and join what meets it at each node."""
    start = middle(numbers)
    groups: dict[int, list[int]] = {}
    for other in numbers:
        if other != start:
            groups.setdefault(meeting(start, other), []).append(other)
    tree = Tree.leaf(start)
    for size, joined in sorted(groups.items()):
        if tree.size + len(joined) != size:
            raise NoTreeError(f"{size} summands meet where there are {tree.size + len(joined)}")
        tree = Tree.of((tree, *siblings(joined, size, meeting)))
    return tree


def middle(numbers: tuple[int, ...] | list[int]) -> int:
    """Return where to climb from: of chains of either direction half of the work is left."""
    return numbers[len(numbers) // 2]


def siblings(numbers: list[int], size: int, meeting: Callable[[int, int], int]) -> Iterator[Tree]:
    """Yield the subtrees that are added to another at once: one, unless an addition has more."""
    rest = numbers
    while rest:
        start = middle(rest)
        together = tuple(n for n in rest if n == start or meeting(start, n) < size)
        yield subtree(together, meeting)
        kept = {*together}
        rest = [n for n in rest if n not in kept]


# ---- names ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shape:
    """What a tree is: a kind, its words, and the numbers in them.

    kind: "sequential", "reversed", "pairwise", "halves" (summand i and i + n/2 first), "blocks",
    "lanes", "at once", "tree". block: the number of summands in a block; lanes: of accumulators
    side by side, of a block or of all.
    """

    kind: str
    words: str
    block: int | None = None
    lanes: int | None = None


def shape_of(tree: Tree) -> Shape:
    """Name a tree whose leaves are 0, 1, 2 and so on."""
    simple = simple_shape(tree)
    if simple is not None:
        return simple
    lanes = lanes_of(tree)
    if lanes is not None:
        inner, outer, count, row = lanes
        anew = f" anew every {row} summands" if row < tree.size else ""
        combined = "added" if count == 2 else outer.words
        words = f"{count} lanes{anew} ({inner.words}), then {combined}"
        return Shape("lanes", words, inner.block, count)
    blocks = blocks_of(tree)
    if blocks is not None:
        inner, outer, size, are_equal = blocks
        length = f"blocks of {size}" if are_equal else f"blocks of at most {size}"
        words = f"{length} ({inner.words}), {outer.words}"
        return Shape("blocks", words, size, inner.lanes)
    return Shape("tree", f"in a tree of {tree.depth} levels that has no name")


def simple_shape(tree: Tree) -> Shape | None:
    """Name a tree that is neither of lanes nor of blocks; None if it is."""
    if tree.size == 1:
        return Shape("sequential", "one number")
    if all(not child.children for child in tree.children) and len(tree.children) > 2:
        return Shape("at once", f"{tree.size} summands at once")
    numbers = chain_of(tree)
    if numbers is not None:
        if numbers == sorted(numbers):
            return Shape("sequential", "sequential")
        # The last two meet first, whichever of them is named first.
        if [*numbers[:2][::-1], *numbers[2:]] == sorted(numbers, reverse=True):
            return Shape("reversed", "in reverse")
    if is_balanced(tree) and all(node.is_range for node in tree.in_postorder()):
        return Shape("pairwise", "pairwise")
    if is_by_halves(tree):
        return Shape("halves", "the upper half onto the lower")
    return None


def chain_of(tree: Tree) -> list[int] | None:
    """Return the summands in the order in which one accumulator takes them; None if it is none."""
    found: list[int] = []
    while tree.children:
        if len(tree.children) != 2:
            return None
        leaves = [child for child in tree.children if not child.children]
        if not leaves:
            return None
        inner = [child for child in tree.children if child is not leaves[-1]]
        found.append(leaves[-1].leaves[0])
        tree = inner[0]
    found.append(tree.leaves[0])
    return found[::-1]


def is_balanced(tree: Tree) -> bool:
    """Whether it is as deep as a binary tree of its leaves has to be."""
    return all(len(node.children) in (0, 2) for node in tree.in_postorder()) and (
        tree.depth == (tree.size - 1).bit_length()
    )


def is_by_halves(tree: Tree) -> bool:
    """Whether summands at a distance of n/2 are added, then those at n/4, and so on."""
    while tree.size > 2:
        if len(tree.children) != 2:
            return False
        even, odd = tree.children
        if even.size != odd.size:
            return False
        step = even.leaves[1] - even.leaves[0]
        if any(b - a != step for a, b in zip(even.leaves, even.leaves[1:], strict=False)):
            return False
        if not is_by_halves(renumbered(odd)):
            return False
        if {*even.leaves} != {*tree.leaves[0::2]}:
            return False
        tree = renumbered(even)
    return True


def renumbered(tree: Tree, groups: tuple[tuple[int, ...], ...] | None = None) -> Tree:
    """Return the tree with its leaves, or these groups of them, numbered from 0 on.

    groups: subtrees that become one leaf each.
    """
    parts = groups if groups is not None else tuple((leaf,) for leaf in tree.leaves)
    number_of = {part: number for number, part in enumerate(parts)}
    made: dict[int, Tree] = {}
    pending = [(tree, False)]
    while pending:
        node, is_done = pending.pop()
        if node.leaves in number_of:
            made[id(node)] = Tree.leaf(number_of[node.leaves])
        elif is_done:
            made[id(node)] = Tree.of(tuple(made[id(child)] for child in node.children))
        else:
            pending.append((node, True))
            pending += [(child, False) for child in node.children]
    return made[id(tree)]


def lanes_of(tree: Tree) -> tuple[Shape, Shape, int, int] | None:
    """Return what the lanes are, how they are put together, their number, and the rows' length.

    Summand i of a row belongs to lane i mod k; rows of one length follow each other. None if the
    sums of no such lanes are in the tree.
    """
    nodes = {node.leaves: node for node in tree.in_postorder()}
    first_lanes = [leaves for leaves in nodes if leaves[0] == tree.leaves[0]]
    for first in sorted(first_lanes, key=len):
        count = first[1] - first[0] if len(first) > 1 else 1
        if not 1 < count < tree.size:
            continue
        row = next((leaf for i, leaf in enumerate(first) if leaf != i * count), tree.size)
        lanes: list[list[int]] = [[] for _ in range(min(count, row))]
        for leaf in tree.leaves:
            lanes[leaf % row % count].append(leaf)
        groups = tuple(tuple(lane) for lane in lanes)
        if all(group in nodes for group in groups):
            inner = shape_of(renumbered(nodes[groups[0]]))
            return inner, shape_of(renumbered(tree, groups)), count, row
    return None


def blocks_of(tree: Tree) -> tuple[Shape, Shape, int, bool] | None:
    """Return what the blocks are, how they are put together, their size, and whether all have it.

    A block is a range of summands whose own sum is no sum of ranges, but for chains.
    """
    blocks: list[Tree] = []
    pending = [tree]
    while pending:
        node = pending.pop()
        is_split = len(node.children) >= 2 and all(child.is_range for child in node.children)
        if is_split and simple_shape(node) is None:
            pending += node.children
        else:
            blocks.append(node)
    if len(blocks) < 2:
        return None
    blocks.sort(key=lambda block: block.leaves[0])
    largest = max(blocks, key=lambda block: block.size)
    are_equal = all(block.size == largest.size for block in blocks[:-1])
    outer = shape_of(renumbered(tree, tuple(block.leaves for block in blocks)))
    if len(blocks) == 2:
        outer = Shape("sequential", "added")
    return shape_of(renumbered(largest)), outer, largest.size, are_equal
