"""Feedback about a hosted model of a number: its errors within the declared bounds.

With r the range of the bounds, d = (prediction - label) / r and c = (label - middle) / r, a record adds
(1, d, |d|, d^2, c, c^2) to six sums, on a grid of 2^-20: at most sqrt(4.3125) in L2. They are noised once;
every metric is derived from them. By the levels of a declared column, a record adds to the sums of one level.

Unit: record or person; relation: add-remove.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.validate.hosted import MOST_ROWS
from comity.validate.hosted_estimate import Estimate, ratio
from comity.validate.hosted_groups import TOGETHER, HostedGroups
from comity.validate.mechanism import NoisySums, Sizes

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_GRAIN: Final = 1 << 20
_SUMS: Final = 6
_SQUARE: Final = 4.3125  # 1 + 1 + 1 + 1 + 1/4 + 1/16
_L1: Final = 4.75


@dataclass(frozen=True)
class HostedErrors:
    """Sums of errors of all records, or by the levels of a column.

    Attributes:
        low, high: the declared bounds; labels and predictions are held within them.
        groups: by which column; `TOGETHER` for all records together.
    """

    low: float
    high: float
    groups: HostedGroups = TOGETHER

    @property
    def dimensions(self) -> int:
        return self.groups.count * _SUMS

    @property
    def sizes(self) -> Sizes:
        """Of one row."""
        return Sizes(
            dimensions=self.dimensions,
            l1=math.ceil(_L1 * _GRAIN),
            l2=math.ceil(math.sqrt(_SQUARE) * _GRAIN),
            largest_sum=_GRAIN * MOST_ROWS,
        )

    def sums(
        self, scores: Floats, labels: NDArray[Any], values: Sequence[str | None] | None = None
    ) -> Integers:
        """(dimensions,) exact sums, groups outermost. They never leave.

        Args:
            scores, labels: (rows,) predictions and labels, held within the bounds.
            values: (rows,) of the column, where there is one.
        """
        width, middle = self.high - self.low, (self.high + self.low) / 2
        gap = np.clip((scores - labels) / width, -1.0, 1.0)
        place = np.clip((labels - middle) / width, -0.5, 0.5)
        rows = np.stack([np.ones(len(gap)), gap, np.abs(gap), gap**2, place, place**2], axis=1)
        whole = np.trunc(rows * _GRAIN).astype(np.int64)
        total = np.zeros((self.groups.count, _SUMS), dtype=np.int64)
        np.add.at(total, self.groups.places(len(gap), values), whole)
        return total.ravel()

    def read(self, answer: NoisySums) -> dict[str, Mapping[str, Estimate]]:
        """Metrics of `all` and of each group, in the target's units."""
        table = answer.values.reshape(self.groups.count, _SUMS) / _GRAIN
        return self.groups.read(table, answer.deviation / _GRAIN, self._metrics)

    def _metrics(self, sums: Floats, deviation: float) -> dict[str, Estimate]:
        width, middle = self.high - self.low, (self.high + self.low) / 2

        def of(at: int, scale: float, least: float, most: float) -> Estimate:
            return ratio(sums, lambda s: (s[at] * scale, s[0]), deviation, least=least, most=most)

        def spread(s: Floats) -> float:
            return float(s[5] - s[4] ** 2 / max(s[0], 1.0))

        mse = of(3, width**2, 0.0, width**2)
        return {
            "records": ratio(sums, lambda s: (s[0], 1.0), deviation, most=math.inf),
            "bias": of(1, width, -width, width),
            "mae": of(2, width, 0.0, width),
            "mse": mse,
            "rmse": Estimate(
                None if mse.value is None else math.sqrt(mse.value), math.sqrt(mse.low), math.sqrt(mse.high)
            ),
            "mean": _shifted(of(4, width, -width / 2, width / 2), middle),
            "r2": ratio(sums, lambda s: (spread(s) - s[3], spread(s)), deviation, least=-math.inf),
        }


def _shifted(estimate: Estimate, by: float) -> Estimate:
    value = None if estimate.value is None else estimate.value + by
    return Estimate(value, estimate.low + by, estimate.high + by)
