"""A quick look at what a linear model would learn from a candidate release, for the search of `objective`.

A ridge regression of the labels on soft features stands for the logistic regression: its AUC on raw rows is
close, and it is solved from one Gram matrix over the distinct released cells. Trained on the released cells
of some folds, tested on the raw cells of the other; rows that are kept apart for the report are in no fold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.data.classes import equivalence_classes
from comity.data.split import hold_out
from comity.deidentify.search.tuples import Tuples
from comity.deidentify.utility.cells import Cells, place_at
from comity.deidentify.utility.quality import auc_of_counts

FOLDS = 4
QUICK_ROWS = 5_000
_RIDGE = 1.0
_FOLD_STREAM = 111
_QUICK_STREAM = 131


class Screen:
    """Judges candidates: what tuples show, and which of them are kept."""

    def __init__(self, cells: Cells, tuples: Tuples, rows: NDArray[np.int64], seed: int) -> None:
        """`rows`: those that the choice may read."""
        self._cells, self._tuples, self._rows, self._seed = cells, tuples, rows, seed
        self.folds = folds_of(cells.labels, rows, seed)
        of_row = tuples.of_row[rows]
        together = np.concatenate([of_row[:, None], cells.coded[rows].astype(np.int64)], axis=1)
        index, sizes = equivalence_classes(together)
        first = np.empty(len(sizes), dtype=np.int64)
        first[index[::-1]] = np.arange(len(index) - 1, -1, -1)
        self._tuple = of_row[first]
        self._coded = cells.coded[rows][first]
        place = np.full(cells.rows, -1, dtype=np.int64)
        place[rows] = index
        self._counts = [
            [
                np.bincount(place[fold[cells.labels[fold] == value]], minlength=len(sizes)).astype(np.float64)
                for fold in self.folds
            ]
            for value in (0, 1)
        ]
        self._leaves = np.stack(tuples.codes, axis=1)[self._tuple].astype(np.int64)
        self._plain = cells.plain.onehot(self._coded).toarray().astype(np.float64)

    def smaller(self) -> Screen:
        """The same look at fewer rows, for a first pick among many candidates."""
        if len(self._rows) <= QUICK_ROWS:
            return self
        share = QUICK_ROWS / len(self._rows)
        _, taken = hold_out(
            self._cells.labels[self._rows], seed=self._seed, stream=_QUICK_STREAM, share=share
        )
        return Screen(self._cells, self._tuples, self._rows[taken], self._seed)

    @property
    def names(self) -> list[str]:
        """The quasi-identifiers, in order."""
        return [column.name for column in self._cells.columns]

    def at_levels(self, tuples: Tuples, levels: Sequence[int]) -> NDArray[np.int64]:
        """(tuples, quasi-identifiers) places that tuples show at common levels."""
        return np.stack(
            [
                place_at(column, level)[codes]
                for column, level, codes in zip(self._cells.columns, levels, tuples.codes, strict=True)
            ],
            axis=1,
        )

    def auc(self, shown: NDArray[np.int64], kept: NDArray[np.bool_], *, folds: int = FOLDS) -> float:
        """Mean over the first folds of the AUC on the fold's raw rows.

        Args:
            shown: (tuples, quasi-identifiers) rows of `SoftColumn.weights`.
            kept: (tuples,) whether the tuple's rows are released.
        """
        there = kept[self._tuple]
        if not there.any():
            return 0.5
        design, group = self._design(shown[self._tuple][there], there)
        number = len(design)
        counts = [
            [np.bincount(group, weights=fold[there], minlength=number) for fold in of_value]
            for of_value in self._counts
        ]
        moments = [_moments(design, negative, positive) for negative, positive in self._parts(counts, folds)]
        gram, sums = (np.sum(each, axis=0) for each in zip(*moments, strict=True))
        gram[np.diag_indices_from(gram)] += _RIDGE
        found = []
        for left_out, (own_gram, own_sums) in enumerate(moments[:folds]):
            fitted = np.linalg.solve(gram - own_gram, sums - own_sums)
            found.append(
                auc_of_counts(self._scores(fitted), self._counts[1][left_out], self._counts[0][left_out])
            )
        return float(np.mean(found))

    @staticmethod
    def _parts(
        counts: Sequence[Sequence[NDArray[Any]]], folds: int
    ) -> list[tuple[NDArray[Any], NDArray[Any]]]:
        """Counts without and with the target: of each fold that is left out once, and of the rest."""
        parts = [(counts[0][fold], counts[1][fold]) for fold in range(folds)]
        if folds < FOLDS:
            parts.append((np.sum(counts[0][folds:], axis=0), np.sum(counts[1][folds:], axis=0)))
        return parts

    def _design(
        self, shown: NDArray[np.int64], there: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Distinct feature rows, dense, and which of them each kept cell is."""
        coded = self._coded[there].astype(np.int64)
        group, sizes = equivalence_classes(np.concatenate([shown, coded], axis=1))
        first = np.empty(len(sizes), dtype=np.int64)
        first[group[::-1]] = np.arange(len(group) - 1, -1, -1)
        parts = [
            column.weights[shown[first, j]].astype(np.float64) for j, column in enumerate(self._cells.columns)
        ]
        return np.concatenate([*parts, self._plain[there][first]], axis=1), group

    def _scores(self, fitted: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the model says of each cell's raw leaves."""
        total, start = np.zeros(len(self._leaves)), 0
        for j, column in enumerate(self._cells.columns):
            block = fitted[start : start + column.width]
            total += block[column.hierarchy.codes[column.base][self._leaves[:, j]]]
            start += column.width
        return total + self._plain @ fitted[start:]


def _moments(
    design: NDArray[np.float64], negative: NDArray[np.float64], positive: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gram matrix and label sums of the cells that occur: of a fold, a part of them."""
    weights = negative + positive
    seen = np.flatnonzero(weights)
    part = design[seen]
    return part.T @ (part * weights[seen, None]), (positive - negative)[seen] @ part


def folds_of(labels: NDArray[np.uint8], rows: NDArray[np.int64], seed: int) -> list[NDArray[np.int64]]:
    """Disjoint stratified parts of `rows`, of equal size."""
    folds, rest = [], rows
    for number in range(FOLDS - 1):
        left, taken = hold_out(
            labels[rest], seed=seed, stream=_FOLD_STREAM + number, share=1 / (FOLDS - number)
        )
        folds.append(rest[taken])
        rest = rest[left]
    return [*folds, rest]
