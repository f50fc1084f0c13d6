"""Queries about numeric labels within declared bounds, as whole numbers 0 .. unit on a grid.

A label within [low, high] stands on the grid as round((y - low) / (high - low) * unit). Predictions, which
are public, are put on the same grid, held within the bounds, so that a changed label moves a record's part by
no more than the bounds allow: (unit) for a difference, (unit) for its magnitude, (unit^2) for its square.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from comity.errors import BadInput
from comity.validate.queries import Integers, Labels, Query, frozen
from comity.validate.request import ScoreStatistics

DIFFERENCE, MAGNITUDE, SQUARE = "difference", "magnitude", "square"
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, eq=False)
class DifferenceSum(Query):
    """The sum over records of y - p, |y - p| or (y - p)^2: one number.

    Attributes:
        predicted: (rows,) whole numbers 0 .. unit.
        unit: what the upper bound stands for.
        power: `difference`, `magnitude` or `square`.
    """

    predicted: Integers
    unit: int
    power: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "predicted", frozen(self.predicted, np.int64))
        if self.predicted.ndim != 1 or not 1 <= self.unit <= 1 << 20:
            raise BadInput("predictions are one whole number per record, on a grid of up to 2^20")
        if len(self.predicted) and (self.predicted.min() < 0 or self.predicted.max() > self.unit):
            raise BadInput("a prediction lies outside the declared bounds")
        if self.power not in (DIFFERENCE, MAGNITUDE, SQUARE):
            raise BadInput(f"there is no sum of the {self.power} of differences")

    @property
    def levels(self) -> int:
        return self.unit + 1

    @property
    def rows(self) -> int:
        return len(self.predicted)

    @property
    def dimensions(self) -> int:
        return 1

    @cached_property
    def _farthest(self) -> int:
        """The largest |y - p| that any record's label could have."""
        if not self.rows:
            return 1
        return max(1, int(self.predicted.max()), int(self.unit - self.predicted.min()))

    @property
    def l2(self) -> int:
        if self.power == DIFFERENCE:
            return self.unit
        return self._farthest if self.power == MAGNITUDE else self._farthest**2

    @property
    def l1(self) -> int:
        return self.l2

    @property
    def largest_sum(self) -> int:
        return max(1, self.rows) * (self._farthest**2 if self.power == SQUARE else self._farthest)

    def sums(self, labels: Labels) -> Integers:
        total = 0
        for start in range(0, self.rows, _BLOCK):
            part = slice(start, start + _BLOCK)
            gap = labels[part].astype(np.int64) - self.predicted[part]
            total += int((gap if self.power == DIFFERENCE else self._sized(gap)).sum())
        return np.array([total], dtype=np.int64)

    def row(self, record: int) -> Integers:
        low, high = -int(self.predicted[record]), 1 - int(self.predicted[record])
        ends = np.array([low, high], dtype=np.int64)
        gained = ends if self.power == DIFFERENCE else self._sized(ends)
        return np.array([gained[1] - gained[0]], dtype=np.int64)

    def _sized(self, gaps: Integers) -> Integers:
        return np.abs(gaps) if self.power == MAGNITUDE else np.square(gaps)


@dataclass(frozen=True, eq=False)
class ResidualStatistics(Query):
    """Sums of residuals per bin, mixed into few numbers: `ScoreStatistics` for numeric labels.

    answer = sum over records of clip(y_i - p_i, -limit, limit) w_i u_i, with y and p on a grid of `unit`,
    which is that of the labels, made coarser.

    Attributes:
        request: codes, widths, mix and cap; its weights shorten rows to the cap.
        predicted: (rows,) whole numbers 0 .. unit.
        unit: the grid.
        coarser: by how many bits the labels' own grid is finer.
        limit: residuals beyond it are held there; `unit` holds none.
    """

    request: ScoreStatistics
    predicted: Integers
    unit: int
    coarser: int
    limit: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "predicted", frozen(self.predicted, np.int64))
        if self.predicted.shape != (self.request.rows,):
            raise BadInput("predictions are one whole number per record")
        if not (1 <= self.limit <= self.unit <= 1 << 12 and 0 <= self.coarser <= 20):
            raise BadInput("a residual's limit lies between 1 and its grid's unit, which is at most 2^12")
        if len(self.predicted) and (self.predicted.min() < 0 or self.predicted.max() > self.unit):
            raise BadInput("a prediction lies outside the declared bounds")

    @property
    def levels(self) -> int:
        return (self.unit << self.coarser) + 1

    @property
    def rows(self) -> int:
        return self.request.rows

    @property
    def dimensions(self) -> int:
        return self.request.dimensions

    @property
    def span(self) -> int:
        """How far one changed label moves its residual, at most."""
        return min(self.unit, 2 * self.limit)

    @property
    def l2(self) -> int:
        return self.request.l2 * self.span

    @property
    def l1(self) -> int:
        return self.request.l1 * self.span

    @property
    def largest_sum(self) -> int:
        return self.request.largest_sum * self.limit

    def sums(self, labels: Labels) -> Integers:
        residual = np.clip(self._coarse(labels) - self.predicted, -self.limit, self.limit)
        return self.request.mix.astype(np.int64).T @ self.request.counts(self.request.weights * residual)

    def row(self, record: int) -> Integers:
        label = np.zeros(self.rows, dtype=np.int64)
        before = self.sums(label)
        label[record] = 1
        return self.sums(label) - before

    def _coarse(self, labels: Labels) -> Integers:
        half = (1 << self.coarser) >> 1
        return np.minimum((labels.astype(np.int64) + half) >> self.coarser, self.unit)
