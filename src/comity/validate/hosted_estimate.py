"""From noisy sums about a hosted model to a metric with its interval."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_Z: Final = 1.959963984540054


@dataclass(frozen=True)
class Estimate:
    """A metric with its 95% interval; value None where the noise drowns what it divides by."""

    value: float | None
    low: float
    high: float


def ratio(
    sums: Floats,
    values: Callable[[Floats], tuple[float, float]],
    deviation: float | Floats,
    *,
    slack: float = 0.0,
    least: float = 0.0,
    most: float = 1.0,
) -> Estimate:
    """A ratio of functions of the sums, by Fieller (1954) with both linearised at what was seen.

    Args:
        sums: noisy sums, any shape, in units of one record.
        values: numerator and denominator out of such sums.
        deviation: standard deviation of the noise, of all sums or of each.
        slack: by how much the interval is widened at both ends.
        least, most: what the metric can be.
    """
    top, bottom = values(sums)
    slopes = np.empty((2, sums.size))
    for at in range(sums.size):
        moved = sums.copy().ravel()
        moved[at] += 1.0
        again = values(moved.reshape(sums.shape))
        slopes[:, at] = again[0] - top, again[1] - bottom
    slopes *= np.broadcast_to(np.asarray(deviation, dtype=np.float64), sums.shape).ravel()
    (tt, tb), (_, bb) = slopes @ slopes.T
    a, b, c = bottom**2 - _Z**2 * bb, top * bottom - _Z**2 * tb, top**2 - _Z**2 * tt
    if a <= 0 or bottom <= 0:  # what is divided by may be nothing
        return Estimate(None, least, most)
    root = math.sqrt(max(b * b - a * c, 0.0))
    low, high = (b - root) / a - slack, (b + root) / a + slack
    value = min(max(top / bottom, least), most)
    return Estimate(value, min(max(low, least), value), max(min(high, most), value))


def rank_pairs(table: Floats) -> tuple[float, float]:
    """Pairs that are ranked right, ties in a bin counted half, and all pairs of unlike labels.

    Args:
        table: (bins, 2) counts of labels 0 and 1 by rising score.
    """
    negatives, positives = table[:, 0], table[:, 1]
    below = np.cumsum(negatives) - negatives
    return float(positives @ (below + negatives / 2)), float(positives.sum() * negatives.sum())
