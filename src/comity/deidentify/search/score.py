"""What a node loses, with and without its suppressed rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from comity.deidentify.search.evaluate import Evaluation, Node
from comity.deidentify.search.loss import Loss
from comity.deidentify.search.tuples import Tuples

Rank = tuple[int, int, Node]
"""Score, sum of levels, levels: releases are compared in this order, the least is best."""


@dataclass(frozen=True)
class Found:
    """The best node of a search.

    Attributes:
        losses: loss per attribute in units of 1e-10.
        evaluated: nodes evaluated.
        bound: no node's objective is less than this; equal to the node's own where the optimum is proven.
    """

    evaluation: Evaluation
    losses: tuple[int, ...]
    evaluated: int
    bound: float


class Scorer:
    """Loss of the nodes of one table."""

    def __init__(self, tuples: Tuples, loss: Loss) -> None:
        self.loss = loss
        self._tuples = tuples
        self._covered = [hierarchy.covered for hierarchy in tuples.hierarchies]
        self._most = [[int(covered.max(initial=0)) for covered in levels] for levels in self._covered]
        everything = self.histograms(np.arange(len(tuples.counts)))
        self.masses = [
            [int(rows @ covered) for covered in levels]
            for rows, levels in zip(everything, self._covered, strict=True)
        ]

    def histograms(self, tuples: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Per attribute, rows per leaf among some tuples."""
        counts = self._tuples.counts[tuples]
        return [
            np.bincount(codes[tuples], weights=counts, minlength=len(hierarchy.rows)).astype(np.int64)
            for codes, hierarchy in zip(self._tuples.codes, self._tuples.hierarchies, strict=True)
        ]

    def without(self, j: int, rows: NDArray[np.int64], suppressed: int) -> list[int]:
        """Per level, attribute j's mass if the rows of a histogram over its leaves are suppressed."""
        extra = suppressed * self.loss.leaves[j]
        return [
            mass - int(rows @ covered) + extra
            for mass, covered in zip(self.masses[j], self._covered[j], strict=True)
        ]

    def at_least(self, evaluation: Evaluation) -> list[list[int]]:
        """Per attribute, the least mass that a node can have at each level up to the evaluated node's."""
        return [
            [mass - covered + evaluation.lost * leaves for mass, covered in zip(masses, lost, strict=False)]
            for masses, lost, leaves in zip(
                self.masses, evaluation.lost_leaves(), self.loss.leaves, strict=True
            )
        ]

    def terms(self, j: int, masses: Sequence[int]) -> NDArray[np.float64]:
        """Per mass, attribute j's term of the loss."""
        return self.loss.term(j, [self.loss.attribute(j, mass) for mass in masses])

    def losses(self, evaluation: Evaluation) -> tuple[int, ...]:
        """Loss per attribute of a node with its suppression, in units of 1e-10."""
        gone = evaluation.suppressed_leaves()
        return tuple(
            self.loss.attribute(
                j, self.masses[j][level] - gone[j] + evaluation.suppressed * self.loss.leaves[j]
            )
            for j, level in enumerate(evaluation.node)
        )

    def least_score(self, evaluation: Evaluation) -> int:
        """No more than the score of a node with its suppression: as if the rows suppressed were those that
        cover most anyway."""
        gone = evaluation.suppressed
        return self.loss.score(
            [
                self.loss.attribute(j, self.masses[j][level] + gone * (leaves - self._most[j][level]))
                for j, (level, leaves) in enumerate(zip(evaluation.node, self.loss.leaves, strict=True))
            ]
        )

    def rank(self, evaluation: Evaluation, losses: Sequence[int]) -> Rank:
        return self.loss.score(losses), sum(evaluation.node), evaluation.node
