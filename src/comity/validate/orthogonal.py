"""Numbers, one per kind of records, that add up to 0 over every group of groupings: uniform among all such.

Two groupings make a graph: groups are nodes, a kind of records is an edge between the two groups it belongs
to, a kind that is in no group of one of them ends in the ground. Numbers that add up to 0 at every node but
the ground are free on the edges outside a spanning forest, and follow on the forest from the leaves inwards:
linear in the kinds, and right modulo every prime (incidence matrices of bipartite graphs are totally
unimodular).

Further groupings of together h groups are met by moving the numbers on some edges outside the forest. What
one such edge (with the forest's answer to it) adds to their sums is its indicator less a vector for each of
its two nodes, which the forest gives in (nodes h) steps. Edges are taken until the sums, those of uniform
numbers, can be brought to 0: they span everything that any edge adds but with probability 1/prime squared.
Then the moved numbers are the uniform ones' image under a projection onto all those wanted: uniform again.
The cost beyond (kinds x groupings) is an elimination of an (h, h) matrix, in matrix products.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.validate.modular import echelon, group_sums, product
from comity.validate.numbering import highest

Integers = NDArray[np.int64]
Uniform = Callable[[int], Integers]
"""Draws (count, 2) uniform numbers below the prime."""

_SPARE: Final = 32


def orthogonal(
    groupings: Sequence[NDArray[Any]], kinds: int, prime: int, uniform: Uniform
) -> tuple[Integers, int]:
    """Uniform numbers that add up to 0 over every group, and the rank of the groups' indicators.

    Args:
        groupings: (kinds,) group numbers each, negative for none.
        uniform: draws numbers below the prime that nobody foresees.

    Returns:
        (kinds, 2) numbers modulo the prime, and the rank modulo the prime.
    """
    widest = sorted(groupings, key=highest, reverse=True)
    forest = _Forest.over(widest[:2], kinds)
    numbers = uniform(kinds)
    forest.settle(numbers, prime)
    moved = _meet(forest, widest[2:], numbers, prime, uniform)
    return numbers, forest.rank + moved


@dataclass(frozen=True, eq=False)
class _Forest:
    """A spanning forest, its trees joined at the ground.

    Attributes:
        ends: for each end, (kinds,) its node; the ground is the last node.
        order: the nodes but the ground, each after the node that it hangs on.
        parents: (nodes,) what each hangs on.
        edges: (nodes,) the kind between the two, -1 where a tree is merely joined to the ground.
    """

    ends: tuple[Integers, Integers]
    order: Integers
    parents: Integers
    edges: Integers

    @classmethod
    def over(cls, groupings: Sequence[NDArray[Any]], kinds: int) -> _Forest:
        """The forest of at most two groupings."""
        first, second = (*groupings, *[np.full(kinds, -1, dtype=np.int64)] * (2 - len(groupings)))
        left, right = highest(first) + 1, highest(second) + 1
        ground = left + right
        one = np.where(first < 0, ground, first).astype(np.int64)
        two = np.where(second < 0, ground, left + second.astype(np.int64)).astype(np.int64)
        parents, edges = np.full(ground + 1, ground), np.full(ground + 1, -1)
        if right == 0:
            edges[one] = np.arange(kinds)
            edges[ground] = -1
            return cls((one, two), np.arange(ground), parents, edges)
        order = _spanned((one, two), parents, edges)
        return cls((one, two), order, parents, edges)

    @property
    def rank(self) -> int:
        return int(np.count_nonzero(self.edges >= 0))

    def settle(self, numbers: Integers, prime: int) -> None:
        """Give the forest's edges the numbers that make all nodes but the ground add up to 0, in place."""
        hanging = self.order[self.edges[self.order] >= 0]
        numbers[self.edges[hanging]] = 0
        nodes = len(self.parents)
        sums = sum(group_sums(end, numbers, nodes, prime) for end in self.ends)
        for at in range(numbers.shape[1]):
            open_ = np.asarray(sums)[:, at].tolist()
            parents, edges = self.parents.tolist(), self.edges.tolist()
            for node in self.order[::-1].tolist():
                # a tree's root that merely joins the ground adds up to 0 with its nodes: both sides are equal
                if edges[node] >= 0:
                    missing = -open_[node] % prime
                    numbers[edges[node], at] = missing
                    open_[parents[node]] += missing

    def potentials(self, groupings: Sequence[NDArray[Any]], starts: Sequence[int], size: int) -> Integers:
        """(nodes, size) vectors whose sum over a forest edge's two nodes is that edge's indicator."""
        table = np.zeros((len(self.parents), size), dtype=np.int64)
        for node in self.order.tolist():
            edge, parent = int(self.edges[node]), int(self.parents[node])
            if edge < 0:
                continue
            np.negative(table[parent], out=table[node])
            for grouping, start in zip(groupings, starts, strict=True):
                if grouping[edge] >= 0:
                    table[node, start + int(grouping[edge])] += 1
        return table


def _spanned(ends: tuple[Integers, Integers], parents: Integers, edges: Integers) -> Integers:
    """Fill in what every node hangs on, by breadth from the ground; the nodes' order."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import breadth_first_order, connected_components

    ground, nodes = len(parents) - 1, len(parents)
    cells, found = _distinct(ends, nodes)
    one, two = cells // nodes, cells % nodes
    graph = coo_array((np.ones(len(cells), dtype=np.int8), (one, two)), shape=(nodes, nodes))
    _, component = connected_components(graph, directed=False)
    _, roots = np.unique(component, return_index=True)
    roots = roots[component[roots] != component[ground]]
    joined = np.concatenate([one, roots]), np.concatenate([two, np.full(len(roots), ground)])
    graph = coo_array((np.ones(len(joined[0]), dtype=np.int8), joined), shape=(nodes, nodes)).tocsr()
    order, before = breadth_first_order(graph, ground, directed=False, return_predecessors=True)
    order = order[1:].astype(np.int64)
    parents[order] = before[order]
    # of the two groupings one numbers its groups below the other, and both below the ground
    low, high = np.minimum(order, parents[order]), np.maximum(order, parents[order])
    wanted = low * nodes + high
    at = np.minimum(np.searchsorted(cells, wanted), len(cells) - 1)
    edges[order] = np.where(cells[at] == wanted, found[at], -1)
    return order


def _distinct(ends: tuple[Integers, Integers], nodes: int) -> tuple[Integers, Integers]:
    """Which pairs of nodes have edges between them, rising, and one edge of each."""
    codes = np.minimum(*ends) * nodes + np.maximum(*ends)
    if nodes * nodes > max(1 << 22, 4 * len(codes)):
        return np.unique(codes, return_index=True)
    edge = np.full(nodes * nodes, -1, dtype=np.int64)
    edge[codes] = np.arange(len(codes))
    cells = np.flatnonzero(edge >= 0)
    return cells, edge[cells]


def _meet(
    forest: _Forest, groupings: Sequence[NDArray[Any]], numbers: Integers, prime: int, uniform: Uniform
) -> int:
    """Move numbers, in place, to add up to 0 over further groupings too; what these add to the rank."""
    if not groupings:
        return 0
    widths = [highest(grouping) + 1 for grouping in groupings]
    starts, size = (np.cumsum(widths) - widths).tolist(), sum(widths)
    sums = np.concatenate(
        [group_sums(one, numbers, width, prime) for one, width in zip(groupings, widths, strict=True)]
    )
    table = forest.potentials(groupings, starts, size)
    free = np.ones(len(numbers), dtype=np.bool_)
    free[forest.edges[forest.edges >= 0]] = False
    outside = np.flatnonzero(free)
    taken = np.zeros(0, dtype=np.int64)
    while True:
        step = max(1, len(outside) // (size + _SPARE))
        tried = np.concatenate([taken, outside[::step]])
        columns = _columns(forest, groupings, starts, table, tried)
        work = np.concatenate([columns.T % prime, -sums % prime], axis=1)
        rows, pivots = echelon(work, len(tried), prime)
        rest = np.ones(size, dtype=np.bool_)
        rest[rows] = False
        taken = tried[pivots]
        if not work[rest, len(tried) :].any():
            break
        functional = _vanishing(columns[pivots].T % prime, uniform, prime)
        outside = np.flatnonzero(free & _seen(forest, groupings, starts, table, functional, prime))
    numbers[taken] = (numbers[taken] + work[rows, len(tried) :]) % prime
    forest.settle(numbers, prime)
    return len(taken)


def _columns(
    forest: _Forest,
    groupings: Sequence[NDArray[Any]],
    starts: Sequence[int],
    table: Integers,
    edges: Integers,
) -> Integers:
    """(edges, size) what each edge, with the forest's answer to it, adds to the groupings' sums."""
    made = -table[forest.ends[0][edges]]
    made -= table[forest.ends[1][edges]]
    for grouping, start in zip(groupings, starts, strict=True):
        inside = np.flatnonzero(grouping[edges] >= 0)
        made[inside, start + grouping[edges[inside]].astype(np.int64)] += 1
    return made


def _vanishing(spanned: Integers, uniform: Uniform, prime: int) -> Integers:
    """(size, 1) a uniform functional that is 0 on these independent columns."""
    size, rank = spanned.shape
    work = np.concatenate([spanned.T, np.zeros((rank, 1), dtype=np.int64)], axis=1)
    rows, pivots = echelon(work, size, prime)
    functional = uniform(size)[:, :1]
    functional[pivots] = 0
    functional[pivots] = -product(work[rows, :size], functional, prime) % prime
    return functional


def _seen(
    forest: _Forest,
    groupings: Sequence[NDArray[Any]],
    starts: Sequence[int],
    table: Integers,
    functional: Integers,
    prime: int,
) -> NDArray[np.bool_]:
    """Which edges add something that a functional does not vanish on."""
    nodes = product(table % prime, functional, prime)[:, 0]
    values = -nodes[forest.ends[0]] - nodes[forest.ends[1]]
    for grouping, start in zip(groupings, starts, strict=True):
        own = np.append(functional[start : start + highest(grouping) + 1, 0], 0)
        values += own[grouping]  # -1 finds the 0 at the end
    return values % prime != 0
