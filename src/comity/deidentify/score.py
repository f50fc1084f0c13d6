"""What a node loses, with and without its suppressed rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from comity.deidentify.evaluate import Evaluation, Node
from comity.deidentify.loss import Loss
from comity.deidentify.tuples import Tuples

Rank = tuple[int, int, Node]
"""Score, sum of levels, levels: releases are compared in this order, the least is best."""


@dataclass(frozen=True)
class Found:
    """The best node of a search.

    Attributes:
        losses: loss per attribute in units of 1e-10.
        evaluated: nodes evaluated.
        bound: no node loses less than this; equal to the node's own loss where the optimum is proven.
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

    def terms(self, j: int, masses: Sequence[int]) -> NDArray[np.float64]:
        """Per mass, attribute j's term of the loss."""
        return self.loss.term([self.loss.attribute(j, mass) for mass in masses])

    def losses(self, evaluation: Evaluation) -> tuple[int, ...]:
        """Loss per attribute of a node with its suppression, in units of 1e-10."""
        rejected = self.histograms(evaluation.violating())
        return tuple(
            self.loss.attribute(j, self.without(j, rejected[j], evaluation.suppressed)[level])
            for j, level in enumerate(evaluation.node)
        )

    def rank(self, evaluation: Evaluation, losses: Sequence[int]) -> Rank:
        return self.loss.score(losses), sum(evaluation.node), evaluation.node
