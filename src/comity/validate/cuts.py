"""Cuts: where scores are divided into bins, so that all bins of one set of scores fit each other.

The threshold's cut stands first, then those of the calibration bins, then those of the precision-recall
curve. A cut that would leave fewer than the minimum of records between itself and an earlier one takes that
one's place: otherwise the differences of answers would tell of those few records. Cuts follow from scores,
threshold and minimum alone, whatever is asked, so that a later question about the same scores fits too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from comity.data.bins import quantile_edges

Floats = NDArray[np.float64]

CALIBRATION_BINS: Final = 10
CURVE_BINS: Final = 20
_SAMPLED: Final = 1 << 20
_FEW: Final = 24


@dataclass(frozen=True, eq=False)
class Bins:
    """A partition of records by their scores.

    Attributes:
        edges: ascending; bin i holds edges[i-1] <= score < edges[i].
        numbers: (records,) the bin of each record.
        sizes: (bins,) records in each.
    """

    edges: Floats
    numbers: NDArray[np.int64]
    sizes: NDArray[np.int64]

    @classmethod
    def of(cls, scores: Floats, edges: Sequence[float] | Floats) -> Bins:
        cut = np.asarray(edges, dtype=np.float64)
        numbers = binned(scores, cut)
        return cls(cut, numbers, np.bincount(numbers, minlength=len(cut) + 1).astype(np.int64))


def calibration_edges(scores: Floats, threshold: float, minimum: int) -> list[float]:
    """Edges of about ten bins of equal size. Of many scores every k-th is looked at, in their order."""
    few = scores if len(scores) <= _SAMPLED else scores[:: len(scores) // _SAMPLED]
    edges = quantile_edges(few, CALIBRATION_BINS, minimum)
    return fitted(scores, edges, [threshold], minimum)


def curve_edges(scores: Floats, threshold: float, minimum: int) -> list[float]:
    """Edges of bins that grow from the highest score on, where a precision-recall curve moves fastest."""
    records, first = len(scores), max(minimum, 1)
    if records <= 2 * first:
        return []
    ends = np.unique(np.geomspace(first, records, CURVE_BINS).round().astype(np.int64))[:-1]
    places = np.unique(records - ends)
    ordered = np.partition(scores, places)
    anchors = [threshold, *calibration_edges(scores, threshold, minimum)]
    return fitted(scores, np.unique(ordered[places]).tolist(), anchors, minimum)


def fitted(scores: Floats, edges: Sequence[float], anchors: Sequence[float], minimum: int) -> list[float]:
    """Edges moved onto anchors that they are too close to, and dropped where too close to each other.

    Returns:
        Ascending edges with none or at least `minimum` records between any of them, any anchor and the ends.
    """
    every = np.unique(np.array([*edges, *anchors], dtype=np.float64))
    counts = np.bincount(binned(scores, every), minlength=len(every) + 1)
    below = dict(zip(every.tolist(), np.cumsum(counts)[:-1].tolist(), strict=True))
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
    return [kept[place] for place in sorted(kept)]


def binned(scores: Floats, edges: Floats) -> NDArray[np.int64]:
    """(records,) the bin of each score; comparing with few edges is faster than searching."""
    if len(edges) > _FEW:
        return np.searchsorted(edges, scores, side="right").astype(np.int64)
    numbers = np.zeros(len(scores), dtype=np.int8)
    for edge in edges.tolist():
        numbers += scores >= edge
    return numbers.astype(np.int64)
