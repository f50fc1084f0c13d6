"""The proven optimum over the full-domain lattice.

A node of the lattice gives each quasi-identifier a level. Without suppression a node's loss is a sum of one
term per attribute that only grows with the level, so it bounds the node's loss from below at once. Evaluating
a node says more about all nodes under it: rows in classes that violate a steady model (k-anonymity, distinct
l-diversity) are suppressed there too. More of them than the limit: everything below is out. Otherwise they
raise the bound of everything below. The search visits, among the nodes whose bound is under the best loss so far,
the one with the highest bound: it rules out the most. What it ends with is the optimum, whatever the order.

The reference that tests compare with evaluates every node (tests/deidentify/reference.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from comity.deidentify.evaluate import Evaluation, Evaluator, Node
from comity.deidentify.loss import Loss
from comity.deidentify.models import PrivacyModel
from comity.deidentify.tuples import Tuples

_CHUNK = 4096


@dataclass(frozen=True)
class Found:
    """The best node, its evaluation, its loss per attribute in units of 1e-10, and nodes evaluated on the way."""

    evaluation: Evaluation
    losses: tuple[int, ...]
    evaluated: int


class Search:
    """Search one table's lattice.

    Args:
        limit: how many rows may be suppressed.
        ranges: per quasi-identifier, the lowest and highest level allowed.
    """

    def __init__(
        self,
        tuples: Tuples,
        models: Sequence[PrivacyModel],
        limit: int,
        loss: Loss,
        ranges: Sequence[tuple[int, int]],
    ) -> None:
        self._tuples = tuples
        self._evaluator = Evaluator(tuples, models)
        self._limit = limit
        self._loss = loss
        self._low = tuple(low for low, _ in ranges)
        self._shape = tuple(high - low + 1 for low, high in ranges)
        self._covered = [hierarchy.covered for hierarchy in tuples.hierarchies]
        everything = self._histograms(np.arange(len(tuples.counts)))
        self._masses = [
            [int(rows @ covered) for covered in levels]
            for rows, levels in zip(everything, self._covered, strict=True)
        ]
        self._bounds = self._outer([self._terms(j, self._masses[j]) for j in range(len(self._shape))])
        self._open = np.ones(self._shape, dtype=bool)
        self._best: Found | None = None
        self._rank: tuple[int, int, Node] | None = None
        self._ceiling = np.inf
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
        return self._best

    def _descend(self) -> None:
        """From the top, step down as long as some node one level lower keeps to the limit: a first good node."""
        here: Node | None = tuple(extent - 1 for extent in self._shape)
        while here is not None:
            if not self._visit(here):
                return
            below = [
                (*here[:j], step - 1, *here[j + 1 :]) for j, step in enumerate(here) if step > 0
            ]
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
        evaluation = self._evaluator.evaluate(node, self._limit)
        below = tuple(slice(0, step + 1) for step in place)
        if evaluation is None:
            self._open[below] = False
            return False
        # with no suppression allowed every model passes upward: a class made of satisfying ones satisfies
        lost = evaluation.suppressed if self._limit == 0 else evaluation.surely
        if lost > self._limit:
            self._open[below] = False
            return False
        if evaluation.surely:
            doomed = self._histograms(evaluation.doomed())
            raised = self._outer([
                self._terms(j, self._with(j, doomed[j], evaluation.surely))[: place[j] + 1]
                for j in range(len(place))
            ])
            np.maximum(self._bounds[below], raised, out=self._bounds[below])
        if evaluation.suppressed > self._limit:
            return False
        self._offer(evaluation)
        return True

    def _offer(self, evaluation: Evaluation) -> None:
        rejected = self._histograms(evaluation.violating())
        losses = tuple(
            self._loss.attribute(j, self._with(j, rejected[j], evaluation.suppressed)[level])
            for j, level in enumerate(evaluation.node)
        )
        rank = (self._loss.score(losses), sum(evaluation.node), evaluation.node)
        if self._rank is None or rank < self._rank:
            self._rank = rank
            self._best = Found(evaluation, losses, self.evaluated)
            total = sum(float(self._loss.term([x])[0]) for x in losses)
            self._ceiling = total + self._loss.slack

    def _histograms(self, tuples: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Per attribute, rows per leaf among some tuples."""
        counts = self._tuples.counts[tuples]
        return [
            np.bincount(codes[tuples], weights=counts, minlength=len(hierarchy.rows)).astype(np.int64)
            for codes, hierarchy in zip(self._tuples.codes, self._tuples.hierarchies, strict=True)
        ]

    def _with(self, j: int, rows: NDArray[np.int64], suppressed: int) -> list[int]:
        """Per level, attribute j's mass if the rows of a histogram over its leaves are suppressed."""
        extra = suppressed * self._loss.leaves[j]
        return [
            mass - int(rows @ covered) + extra
            for mass, covered in zip(self._masses[j], self._covered[j], strict=True)
        ]

    def _terms(self, j: int, masses: Sequence[int]) -> NDArray[np.float64]:
        low, extent = self._low[j], self._shape[j]
        return self._loss.term([self._loss.attribute(j, mass) for mass in masses[low : low + extent]])

    @staticmethod
    def _outer(terms: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        """The sum of one term per attribute, for every node."""
        total = terms[0]
        for term in terms[1:]:
            total = total[..., None] + term
        return total
