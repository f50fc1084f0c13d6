"""One noisy release of second moments, solved for: sufficient statistics (Vu and Slavkovic 2009; Wang 2018).

How often two codes occur together, over all pairs of columns, and the sum of labels (+1 and -1) by code. The
first gives the rows' second moments, the second what a linear score is fitted to: ridge regression of the
labels, with a ridge as strong as the noise. Log odds are twice the score: a label's mean m is tanh(log odds /
2), and m is nearly half of the log odds where it is small.

One pass over the records and one release, where descent takes eighty; but the noise of all pairs is more than
that of a gradient, and squares err where chances are near 0 or 1: measured on Adult (bench/private.py) it is
behind descent at every epsilon, which is why `auto` does not choose it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from comity.mechanism import Calibrated, Sums, gaussian
from comity.train.private.additive import Additive
from comity.train.private.columns import Codes, Columns
from comity.train.private.descent import consistent
from comity.train.private.gradients import RESIDUAL_BITS, Floats, Integers, clipped_gradient_sum

_PAIRS_SHARE: Final = 0.5
_RIDGE: Final = 2.0
_LEAST_RIDGE: Final = 0.25
_UNIT: Final = 1 << RESIDUAL_BITS


@dataclass(frozen=True)
class Moments:
    """Counts of single codes and of pairs of codes, and sums of labels by code.

    Attributes:
        columns: as declared.
        calibrated: noise of the pairs' counts and of the labels' sums.
    """

    columns: Columns
    calibrated: Calibrated

    @classmethod
    def drawn_up(cls, columns: Columns, epsilon: float, delta: float) -> Moments:
        """Calibrate both releases together.

        Raises:
            UsageError: if delta is too small for them.
        """
        widths = columns.fine.widths
        blocks = len(widths)
        cells = sum(widths) + sum(a * b for at, a in enumerate(widths) for b in widths[at + 1 :])
        # a record adds 1 to one count of every column and of every pair of columns
        counted = _root(blocks * (blocks + 1) // 2 << 2 * RESIDUAL_BITS)
        releases = (
            Sums(cells, counted, 1 << RESIDUAL_BITS, _PAIRS_SHARE),
            Sums(columns.fine.dimensions, columns.fine.l2, columns.fine.most, 1 - _PAIRS_SHARE),
        )
        return cls(columns, gaussian(releases, epsilon, delta))

    def fit(self, codes: Codes, positive: NDArray[np.bool_]) -> Additive:
        """Read (n, columns) fine codes and (n,) labels, release, and solve."""
        fine = self.columns.fine
        of_counts, of_labels = self.calibrated.noises
        counts = of_counts.answer(pair_counts(codes, fine.widths) << RESIDUAL_BITS) / _UNIT
        sums = of_labels.answer(label_sums(codes, self.columns, positive)) / _UNIT
        single, pairs = counts[: fine.dimensions], counts[fine.dimensions :]
        shares, records = consistent(single, fine)
        second = self._second_moments(shares * records, pairs)
        noise = of_counts.deviation / _UNIT * 2 * math.sqrt(fine.dimensions)
        # noise can make the moments indefinite: below its own norm it is all that is seen
        heights, axes = np.linalg.eigh(second)
        ridge = max(_RIDGE * of_labels.deviation / _UNIT, _LEAST_RIDGE)
        solved = axes @ ((axes.T @ sums) / (np.maximum(heights, noise / 2) + ridge))
        return Additive(tuple(np.split(2 * solved, fine.offsets[1:-1])), records)

    def _second_moments(self, single: Floats, pairs: Floats) -> Floats:
        """(dimensions, dimensions) noisy counts of both codes; codes of one column exclude each other."""
        fine = self.columns.fine
        second = np.diag(single)
        starts, at = fine.offsets.tolist(), 0
        for one, a in enumerate(fine.widths):
            for other in range(one + 1, len(fine.widths)):
                b = fine.widths[other]
                rows = slice(starts[one], starts[one] + a)
                columns = slice(starts[other], starts[other] + b)
                second[rows, columns] = pairs[at : at + a * b].reshape(a, b)
                second[columns, rows] = second[rows, columns].T
                at += a * b
        return second


def pair_counts(codes: Codes, widths: tuple[int, ...]) -> Integers:
    """Exact counts: of every column's codes, then of every pair of columns' codes; no noise.

    A record adds 1 to one count of each of the k columns and of each of the k (k - 1) / 2 pairs: it moves
    them by (k (k + 1) / 2)^(1/2) in L2.
    """
    single = [np.bincount(codes[:, at], minlength=width) for at, width in enumerate(widths)]
    pairs = [
        np.bincount(codes[:, one].astype(np.int64) * b + codes[:, other], minlength=a * b)
        for one, a in enumerate(widths)
        for other, b in list(enumerate(widths))[one + 1 :]
    ]
    return np.concatenate([*single, *pairs]).astype(np.int64)


def label_sums(codes: Codes, columns: Columns, positive: NDArray[np.bool_]) -> Integers:
    """(fine dimensions,) exact sums of labels, +-1 in units of 2^-20, by code; no noise."""
    signs = np.where(positive, 1, -1).astype(np.int64) << RESIDUAL_BITS
    return clipped_gradient_sum(codes, columns.fine, signs)


def _root(square: int) -> int:
    root = math.isqrt(square)
    return root if root * root == square else root + 1
