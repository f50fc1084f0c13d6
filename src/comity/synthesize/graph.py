"""The junction tree of a set of marginals: cliques in which every marginal lies, joined into a forest."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Clique = tuple[int, ...]
"""Numbers of columns, ascending."""


@dataclass(frozen=True)
class JunctionTree:
    """Cliques in an order in which each one's parent comes before it.

    Attributes:
        cliques: the maximal cliques of the triangulated graph.
        parents: the place of each clique's parent, -1 for a root.
        separators: the columns that each clique shares with its parent.
    """

    cliques: tuple[Clique, ...]
    parents: tuple[int, ...]
    separators: tuple[Clique, ...]

    def cells(self, sizes: Sequence[int]) -> int:
        """How many numbers the model has."""
        return sum(math.prod(sizes[column] for column in clique) for clique in self.cliques)

    def home(self, columns: Clique, sizes: Sequence[int]) -> int | None:
        """The smallest clique that holds these columns, or None."""
        wanted = set(columns)
        homes = [at for at, clique in enumerate(self.cliques) if wanted <= set(clique)]
        return min(homes, key=lambda at: math.prod(sizes[c] for c in self.cliques[at]), default=None)


def junction_tree(sizes: Sequence[int], marginals: Iterable[Clique]) -> JunctionTree:
    """The tree of these marginals over columns of these sizes; a column in none of them stands alone.

    Columns are eliminated in the order that makes the smallest tables first (Koller and Friedman 2009, 9.4).
    """
    return _joined(_eliminated(sizes, marginals), sizes)


def model_cells(sizes: Sequence[int], marginals: Iterable[Clique]) -> int:
    """How many numbers the model of these marginals has: `junction_tree(...).cells`, without the tree."""
    return sum(_size(clique, sizes) for clique in _eliminated(sizes, marginals))


def _eliminated(sizes: Sequence[int], marginals: Iterable[Clique]) -> list[Clique]:
    around: list[set[int]] = [set() for _ in sizes]
    for marginal in marginals:
        for column in marginal:
            around[column].update(marginal)
    for column, known in enumerate(around):
        known.discard(column)
    costs = {column: _size(known, sizes) * sizes[column] for column, known in enumerate(around)}
    found: list[set[int]] = []
    while costs:
        column = min(costs, key=lambda c: (costs[c], c))
        del costs[column]
        clique = around[column] | {column}
        if not any(clique <= other for other in found):
            found.append(clique)
        for one in around[column]:
            around[one] |= clique
            around[one] -= {one, column}
            costs[one] = _size(around[one], sizes) * sizes[one]
    return [tuple(sorted(one)) for one in found if not any(one < other for other in found)]


def _size(columns: Iterable[int], sizes: Sequence[int]) -> int:
    return math.prod(sizes[column] for column in columns)


def _joined(cliques: list[Clique], sizes: Sequence[int]) -> JunctionTree:
    """A spanning forest that shares as many columns as possible (Prim), which is a junction tree."""
    order: list[int] = []
    parents: dict[int, int] = {}
    outside = set(range(len(cliques)))
    while outside:
        best = max(
            ((len(set(cliques[one]) & set(cliques[two])), -two, -one) for two in outside for one in order),
            default=(0, 0, 0),
        )
        if best[0] == 0:
            chosen, parent = max(outside, key=lambda at: (_size(cliques[at], sizes), -at)), -1
        else:
            chosen, parent = -best[1], -best[2]
        parents[chosen] = parent
        order.append(chosen)
        outside.discard(chosen)
    place = {old: new for new, old in enumerate(order)}
    return JunctionTree(
        cliques=tuple(cliques[old] for old in order),
        parents=tuple(-1 if parents[old] < 0 else place[parents[old]] for old in order),
        separators=tuple(
            () if parents[old] < 0 else tuple(sorted(set(cliques[old]) & set(cliques[parents[old]])))
            for old in order
        ),
    )
