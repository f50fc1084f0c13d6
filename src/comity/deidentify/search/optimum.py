"""The proven optimum over the full-domain lattice.

A node of the lattice gives each quasi-identifier a level. Without suppression a node's loss is a sum of one
term per attribute that only grows with the level, so it bounds the node's loss from below at once. Evaluating
a node says more about all nodes under it: rows in classes that violate a steady model (k-anonymity, distinct
l-diversity) are suppressed there too. More of them than the limit: everything below is out. Otherwise they
raise the bound of everything below; they are counted only where that may be expected to rule out enough,
since counting them costs more than the node itself. The search visits, among the nodes whose bound is under
the best loss so far, the one with the highest bound: it rules out the most. What it ends with is the optimum,
whatever the order.

The reference that tests compare with evaluates every node (tests/deidentify/reference.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from comity.deidentify.models.class_models import PrivacyModel
from comity.deidentify.search.anytime import AnytimeSearch
from comity.deidentify.search.evaluate import Evaluation, Evaluator, Node
from comity.deidentify.search.loss import Loss
from comity.deidentify.search.score import Found, Rank, Scorer
from comity.deidentify.search.tuples import Tuples

_CHUNK = 4096
_WORTH = 0.1
"""What is lost below a node is worked out if it may be expected to rule out so many nodes."""
_MEMORY = 16
"""Over about so many visits that expectation is formed."""
MOST_NODES = 500_000
"""Lattices with more nodes are searched by `AnytimeSearch`."""


def optimum(
    tuples: Tuples,
    models: Sequence[PrivacyModel],
    limit: int,
    loss: Loss,
    ranges: Sequence[tuple[int, int]],
) -> Found | None:
    """The best node of the lattice, proven unless the lattice is too large; None if no node keeps to the
    limit.

    Args:
        limit: how many rows may be suppressed.
        ranges: per quasi-identifier, the lowest and highest level allowed.
    """
    nodes = np.prod([float(high - low + 1) for low, high in ranges])
    kind = Search if nodes <= MOST_NODES else AnytimeSearch
    return kind(tuples, models, limit, loss, ranges).run()


class Search:
    """Search one table's lattice, bounds of all nodes in memory. Arguments as `optimum`."""

    def __init__(
        self,
        tuples: Tuples,
        models: Sequence[PrivacyModel],
        limit: int,
        loss: Loss,
        ranges: Sequence[tuple[int, int]],
    ) -> None:
        self._evaluator = Evaluator(tuples, models)
        self._scorer = Scorer(tuples, loss)
        self._limit = limit
        self._loss = loss
        self._low = tuple(low for low, _ in ranges)
        self._shape = tuple(high - low + 1 for low, high in ranges)
        self._bounds = self._outer([self._terms(j, masses) for j, masses in enumerate(self._scorer.masses)])
        self._open = np.ones(self._shape, dtype=bool)
        self._best: Found | None = None
        self._rank: Rank | None = None
        self._ceiling = np.inf
        self._yield = 1.0
        self.evaluated = 0

    def run(self) -> Found | None:
        """The optimum; None if no node keeps to the limit. Ties go to the lower sum of levels, then to the
        lower levels of the first attributes."""
        self._descend()
        flat_bounds, flat_open = self._bounds.reshape(-1), self._open.reshape(-1)
        order = np.argsort(-flat_bounds, kind="stable")
        place = 0
        while place < len(order):
            chunk = order[place : place + _CHUNK]
            waiting = chunk[flat_open[chunk] & (flat_bounds[chunk] <= self._ceiling)]
            if not len(waiting):
                place += _CHUNK
                continue
            self._visit(tuple(int(step) for step in np.unravel_index(waiting[0], self._shape)))
        return None if self._best is None else replace(self._best, evaluated=self.evaluated)

    def _descend(self) -> None:
        """A first good node: from the top, step down as long as some node below keeps to the limit."""
        here: Node | None = tuple(extent - 1 for extent in self._shape)
        while here is not None:
            if not self._visit(here):
                return
            below = [(*here[:j], step - 1, *here[j + 1 :]) for j, step in enumerate(here) if step > 0]
            below.sort(key=lambda node: (self._bounds[node], node))
            here = None
            for node in below:
                if self._open[node] and self._visit(node):
                    here = node
                    break

    def _visit(self, place: Node) -> bool:
        """Evaluate a node, keep it if it is the best, and pass on what it says about the nodes below."""
        self._open[place] = False
        self.evaluated += 1
        node = tuple(low + step for low, step in zip(self._low, place, strict=True))
        below = tuple(slice(0, step + 1) for step in place)
        waiting = self._waiting(below)
        bounds = waiting * self._yield >= _WORTH
        evaluation = self._evaluator.evaluate(node, self._limit, bounds=bounds)
        if evaluation is None or evaluation.least > self._limit:
            self._open[below] = False
            self._learn(waiting, waiting)
            return False
        if bounds:
            if evaluation.lost:
                raised = self._outer(
                    [self._terms(j, masses) for j, masses in enumerate(self._scorer.at_least(evaluation))]
                )
                np.maximum(self._bounds[below], raised, out=self._bounds[below])
            self._learn(waiting, waiting - self._waiting(below))
        if evaluation.suppressed > self._limit:
            return False
        self._offer(evaluation)
        return True

    def _waiting(self, below: tuple[slice, ...]) -> int:
        """How many nodes of a part of the lattice are still to be visited."""
        return int(np.count_nonzero(self._open[below] & (self._bounds[below] <= self._ceiling)))

    def _learn(self, waiting: int, closed: int) -> None:
        """Of the nodes that wait below a visited one, what share it usually rules out."""
        if waiting:
            self._yield += (closed / waiting - self._yield) / _MEMORY

    def _offer(self, evaluation: Evaluation) -> None:
        if self._rank is not None and self._scorer.least_score(evaluation) > self._rank[0]:
            return
        losses = self._scorer.losses(evaluation)
        rank = self._scorer.rank(evaluation, losses)
        if self._rank is None or rank < self._rank:
            self._rank = rank
            self._best = Found(evaluation, losses, self.evaluated, self._loss.objective(losses))
            self._ceiling = self._loss.total(losses) + self._loss.slack

    def _terms(self, j: int, masses: Sequence[int]) -> NDArray[np.float64]:
        """Attribute j's term at each level of the lattice."""
        return self._scorer.terms(j, masses[self._low[j] : self._low[j] + self._shape[j]])

    @staticmethod
    def _outer(terms: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        """The sum of one term per attribute, for every node."""
        total = terms[0]
        for term in terms[1:]:
            total = total[..., None] + term
        return total
