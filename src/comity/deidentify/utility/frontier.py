"""The candidates of a choice by target: nodes of the lattice that keep to the limit while none below does.

Every other node that keeps to the limit shows less than one of these in every column. The most promising are
looked at first, so that where a lattice is too large to look at whole, it is the least promising that are
left out; the result is the same on every machine.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

from comity.deidentify.search.evaluate import Evaluator, Node

EVALUATIONS = 6_000
"""Nodes evaluated at most."""


def frontier(
    evaluator: Evaluator,
    ranges: Sequence[tuple[int, int]],
    limit: int,
    lost: Callable[[Node], float],
    *,
    evaluations: int = EVALUATIONS,
) -> list[Node]:
    """Nodes that keep to the limit while no node right below them does, the most promising first.

    Args:
        ranges: per quasi-identifier, the lowest and highest level allowed.
        lost: how much of what matters a node loses; less is more promising.
    """
    known: dict[Node, bool] = {}

    def keeps(node: Node) -> bool | None:
        if node not in known:
            if len(known) >= evaluations:
                return None
            found = evaluator.evaluate(node, limit)
            known[node] = found is not None and found.suppressed <= limit
        return known[node]

    top = tuple(high for _, high in ranges)
    if not keeps(top):
        return []
    waiting, queued, lowest = [(lost(top), top)], {top}, []
    while waiting:
        _, node = heapq.heappop(waiting)
        below = [
            (*node[:j], level - 1, *node[j + 1 :])
            for j, (level, (low, _)) in enumerate(zip(node, ranges, strict=True))
            if level > low
        ]
        good = [under for under in below if keeps(under)]
        if not good:
            lowest.append(node)
        for under in good:
            if under not in queued:
                queued.add(under)
                heapq.heappush(waiting, (lost(under), under))
    return sorted(lowest, key=lambda node: (lost(node), node))
