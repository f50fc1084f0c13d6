"""Cuts: where scores are divided into bins, so that all bins of one set of scores fit each other.

The threshold's cut stands first, then those of the calibration bins, then those of the precision-recall
curve. A cut that would leave fewer than the minimum of records between itself and an earlier one takes that
one's place: otherwise the differences of answers would tell of those few records. Cuts follow from scores,
threshold and minimum alone, whatever is asked, so that a later question about the same scores fits too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.data.bins import quantile_edges
from comity.validate.numbering import counted

Floats = NDArray[np.float64]
Numbers = NDArray[np.signedinteger[Any]]

CALIBRATION_BINS: Final = 10
CURVE_BINS: Final = 20
_SAMPLED: Final = 1 << 20
_FEW: Final = 64
"""So few edges are compared with each score: that is faster than searching."""
_BLOCK: Final = 1 << 14
"""Scores at a time: they stay in the processor's cache while every edge is compared with them."""


@dataclass(frozen=True, eq=False)
class Bins:
    """A partition of records by their scores.

    Attributes:
        edges: ascending; bin i holds edges[i-1] <= score < edges[i].
        numbers: (records,) the bin of each record; one byte each for up to 128 bins.
        sizes: (bins,) records in each.
    """

    edges: Floats
    numbers: Numbers
    sizes: NDArray[np.int64]

    @classmethod
    def of(cls, scores: Floats, edges: Sequence[float] | Floats) -> Bins:
        """The bins between distinct, ascending edges."""
        cut = np.asarray(edges, dtype=np.float64)
        numbers = binned(scores, cut)
        return cls(cut, numbers, counted(numbers, len(cut) + 1))

    def mean_scores(self, scores: Floats) -> Floats:
        """(bins,) the mean score of each bin's records; 0 without any."""
        totals = np.zeros(len(self.sizes))
        for start in range(0, len(scores), _BLOCK):
            block = slice(start, start + _BLOCK)
            totals += np.bincount(self.numbers[block], weights=scores[block], minlength=len(totals))
        return totals / np.maximum(self.sizes, 1)

    def joined(self, kept: Sequence[float]) -> Bins:
        """The same records with some of the edges only: bins on both sides of the others are joined."""
        stays = np.isin(self.edges, np.asarray(kept, dtype=np.float64))
        if stays.all():
            return self
        numbers = self.numbers.copy()
        for gone in np.flatnonzero(~stays).tolist():
            numbers -= (self.numbers > gone).view(np.int8)
        starts = np.append(0, np.flatnonzero(stays) + 1)
        return Bins(self.edges[stays], numbers, np.add.reduceat(self.sizes, starts))


def calibration_bins(scores: Floats, threshold: float, minimum: int) -> Bins:
    """About ten bins of equal size. Of many scores every k-th is looked at for the edges, in their order."""
    few = scores if len(scores) <= _SAMPLED else scores[:: len(scores) // _SAMPLED]
    edges = spread_edges(few, CALIBRATION_BINS, minimum)
    return fitted(scores, edges, [threshold], minimum)


def spread_edges(values: Floats, bins: int, minimum: int) -> tuple[float, ...]:
    """`quantile_edges`, without sorting where no value is so frequent that a cut would fall into it."""
    share = len(values) / bins
    if bins < 2 or share < max(minimum, 1):
        return quantile_edges(values, bins, minimum)
    # a bin ends at the first whole place that is `at` shares or more, divided as `quantile_edges` divides
    ends = [next(end for end in count(int(at * share) - 1) if end // share >= at) for at in range(1, bins)]
    ordered = np.partition(values, ends)
    sizes = np.diff([0, *ends, len(values)])
    highest = np.maximum.reduceat(ordered, [0, *ends])
    lowest = np.append(ordered[: ends[0]].min(), ordered[ends])
    if (highest[:-1] == lowest[1:]).any() or (highest == lowest).any() or sizes.min() < minimum:
        return quantile_edges(values, bins, minimum)
    return tuple(lowest[1:].tolist())


def curve_bins(
    scores: Floats, threshold: float, minimum: int, calibration: Sequence[float] | None = None
) -> Bins:
    """Bins that grow from the highest score on, where a precision-recall curve moves fastest.

    Args:
        calibration: the edges of `calibration_bins`, where they are known.
    """
    records, first = len(scores), max(minimum, 1)
    if records <= 2 * first:
        return Bins.of(scores, [])
    ends = np.unique(np.geomspace(first, records, CURVE_BINS).round().astype(np.int64))[:-1]
    places = np.unique(records - ends)
    ordered = np.partition(scores, places)
    inner = calibration_bins(scores, threshold, minimum).edges if calibration is None else calibration
    return fitted(scores, np.unique(ordered[places]).tolist(), [threshold, *inner], minimum)


def fitted(scores: Floats, edges: Sequence[float], anchors: Sequence[float], minimum: int) -> Bins:
    """Edges moved onto anchors that they are too close to, and dropped where too close to each other.

    Returns:
        Bins with none or at least `minimum` records between any of their edges, any anchor and the ends.
    """
    fine = Bins.of(scores, np.unique(np.array([*edges, *anchors], dtype=np.float64)))
    below = dict(zip(fine.edges.tolist(), np.cumsum(fine.sizes)[:-1].tolist(), strict=True))
    inner = sorted({edge for edge in anchors if 0 < below[edge] < len(scores)}, key=lambda edge: below[edge])
    kept: dict[int, float] = {}
    for edge in sorted(edges):
        at = min(inner, key=lambda anchor: abs(below[anchor] - below[edge]), default=None)
        if at is not None and abs(below[at] - below[edge]) < minimum:
            edge = at
        place = below[edge]
        too_near = any(place != other and abs(place - other) < minimum for other in kept)
        if min(place, len(scores) - place) >= minimum and not too_near:
            kept.setdefault(place, edge)
    return fine.joined([kept[place] for place in sorted(kept)])


def binned(scores: Floats, edges: Floats) -> Numbers:
    """(records,) the bin of each score, in one byte where there are few."""
    if len(edges) > _FEW:
        return np.searchsorted(edges, scores, side="right").astype(np.min_scalar_type(-1 - len(edges)))
    numbers = np.zeros(len(scores), dtype=np.int8)
    for start in range(0, len(scores), _BLOCK):
        part, into = scores[start : start + _BLOCK], numbers[start : start + _BLOCK]
        for edge in edges.tolist():
            into += (part >= edge).view(np.int8)
    return numbers
