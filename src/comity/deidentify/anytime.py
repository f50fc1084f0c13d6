"""Search of a lattice too large to hold: a good node soon, a proven bound always.

First each attribute's level is raised to the lowest that can keep to the limit with all others at the top;
then the search climbs down from the top and tries neighbours until none is better; then it looks at nodes
from the bottom, in order of what they lose without suppression, until that exceeds the best (the optimum is
proven) or the number of evaluations is used up. What it then knows is the least loss that a node not looked
at could have: the bound.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import replace

from comity.deidentify.evaluate import Evaluator, Node
from comity.deidentify.loss import Loss
from comity.deidentify.models import PrivacyModel
from comity.deidentify.score import Found, Rank, Scorer
from comity.deidentify.tuples import Tuples

EVALUATIONS = 2_000
"""Nodes evaluated at most; a count, not a time, so that the result is the same on every machine."""


class AnytimeSearch:
    """Search one table's lattice without holding it. Arguments as `search.optimum`."""

    def __init__(
        self,
        tuples: Tuples,
        models: Sequence[PrivacyModel],
        limit: int,
        loss: Loss,
        ranges: Sequence[tuple[int, int]],
        *,
        evaluations: int = EVALUATIONS,
    ) -> None:
        self._evaluator = Evaluator(tuples, models)
        self._scorer = Scorer(tuples, loss)
        self._limit = limit
        self._loss = loss
        self._low = [low for low, _ in ranges]
        self._high = tuple(high for _, high in ranges)
        self._terms = [self._scorer.terms(j, masses).tolist() for j, masses in enumerate(self._scorer.masses)]
        self._left = evaluations
        self._seen: dict[Node, tuple[Rank | None, bool]] = {}
        self._best: Found | None = None
        self._rank: Rank | None = None

    def run(self) -> Found | None:
        """The best node seen, with the bound; None if none keeps to the limit."""
        self._visit(self._high)
        self._raise_floors()
        self._climb()
        bound = self._sweep()
        if self._best is None:
            return None
        value = self._loss.value(self._best.losses)
        return replace(self._best, evaluated=len(self._seen), bound=min(bound, value))

    def _lower(self, node: Node) -> float:
        """Sum of terms that the node has at least."""
        return sum(terms[level] for terms, level in zip(self._terms, node, strict=True))

    def _visit(self, node: Node) -> tuple[Rank | None, bool]:
        """The node's rank if it keeps to the limit, and whether anything below it still could."""
        if node in self._seen:
            return self._seen[node]
        self._left -= 1
        evaluation = self._evaluator.evaluate(node, self._limit)
        rank, alive = None, evaluation is not None
        if evaluation is not None:
            alive = (evaluation.suppressed if self._limit == 0 else evaluation.surely) <= self._limit
            if evaluation.suppressed <= self._limit:
                losses = self._scorer.losses(evaluation)
                rank = self._scorer.rank(evaluation, losses)
                if self._rank is None or rank < self._rank:
                    self._rank, self._best = rank, Found(evaluation, losses, 0, 0.0)
        self._seen[node] = rank, alive
        return rank, alive

    def _raise_floors(self) -> None:
        for j, high in enumerate(self._high):
            while self._low[j] < high:
                lowest = (*self._high[:j], self._low[j], *self._high[j + 1 :])
                if self._visit(lowest)[1]:
                    break
                self._low[j] += 1

    def _climb(self) -> None:
        """From the top, and then from the best, to the first neighbour that is better, while there is one."""
        here: Node | None = self._high
        while here is not None and self._left > 0:
            held = self._seen[here][0]
            here = self._better(here, held)

    def _better(self, here: Node, held: Rank | None) -> Node | None:
        options = sorted(self._neighbours(here), key=lambda node: (self._lower(node), node))
        for node in options:
            if self._left <= 0:
                return None
            rank = self._visit(node)[0]
            if rank is not None and (held is None or rank < held):
                return node
        return None

    def _neighbours(self, node: Node) -> Iterator[Node]:
        """One level lower somewhere, and perhaps one higher elsewhere; or one higher."""
        down = [j for j, level in enumerate(node) if level > self._low[j]]
        up = [j for j, level in enumerate(node) if level < self._high[j]]
        for j in down:
            lower = (*node[:j], node[j] - 1, *node[j + 1 :])
            yield lower
            for i in up:
                if i != j:
                    yield (*lower[:i], lower[i] + 1, *lower[i + 1 :])
        for i in up:
            yield (*node[:i], node[i] + 1, *node[i + 1 :])

    def _sweep(self) -> float:
        """Visit nodes from the bottom in order of their bound; what any node not visited loses at least."""
        start = tuple(self._low)
        waiting = [(self._lower(start), start)]
        queued = {start}
        while waiting:
            lower, node = waiting[0]
            if self._ceiling() < lower:
                return float("inf")
            if self._left <= 0:
                return self._as_loss(node)
            heapq.heappop(waiting)
            self._visit(node)
            for j, level in enumerate(node):
                if level < self._high[j]:
                    above = (*node[:j], level + 1, *node[j + 1 :])
                    if above not in queued:
                        queued.add(above)
                        heapq.heappush(waiting, (self._lower(above), above))
        return float("inf")

    def _ceiling(self) -> float:
        if self._best is None:
            return float("inf")
        return float(self._loss.term(self._best.losses).sum()) + self._loss.slack

    def _as_loss(self, node: Node) -> float:
        """What a node loses without suppression."""
        masses = self._scorer.masses
        return self._loss.value([self._loss.attribute(j, masses[j][level]) for j, level in enumerate(node)])
