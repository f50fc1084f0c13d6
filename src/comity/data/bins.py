"""Where to cut a numeric column, and which levels of a category to keep apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from comity.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def equal_width_edges(low: float, high: float, bins: int) -> tuple[float, ...]:
    """The edges between `bins` bins of equal width from `low` to `high`; none if they are equal."""
    _require_bins(bins)
    if low == high:
        return ()
    return tuple(dict.fromkeys(float(edge) for edge in np.linspace(low, high, bins + 1)[1:-1]))


def quantile_edges(values: NDArray[np.float64], bins: int, minimum: int) -> tuple[float, ...]:
    """Edges that spread rows evenly over at most `bins` bins.

    A value that fills a bin by itself (rows/bins of it or more) gets its own, and the bins that are left
    are spread over the remaining rows: a column that is 90% zeros still gets its other 10% cut finely.

    Args:
        values: (m,) finite numbers.
        bins: at most this many.
        minimum: rows; no bin is made with fewer (so there may be fewer bins).

    Returns:
        Ascending edges; bin i holds edges[i-1] <= value < edges[i].
    """
    _require_bins(bins)
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) < 2:
        return ()
    heavy = counts >= max(len(values) / bins, minimum)
    spread_rows = int(counts[~heavy].sum())
    left = max(bins - int(heavy.sum()), 1)
    target = max(spread_rows / left, minimum, 1)
    begins = heavy.copy()
    begins[1:] |= heavy[:-1]
    stretch = np.cumsum(begins)  # light values between two heavy ones
    before = np.cumsum(np.where(heavy, 0, counts)) - np.where(heavy, 0, counts)
    first = np.searchsorted(stretch, stretch)
    bin_in_stretch = (before - before[first]) // target
    changes = (np.diff(stretch) > 0) | (np.diff(bin_in_stretch) > 0)
    starts = [0, *(np.flatnonzero(changes) + 1).tolist()]
    return _merged(distinct, counts, starts, bins, minimum)


def kept_levels(codes: NDArray[np.integer], levels: tuple[str, ...], minimum: int) -> tuple[str, ...]:
    """The levels with at least `minimum` rows (codes as `Table.levels` gives them), in the given order."""
    counts = np.bincount(codes[codes >= 0], minlength=len(levels))
    return tuple(level for level, count in zip(levels, counts, strict=True) if count >= minimum)


def _merged(
    distinct: NDArray[np.float64], counts: NDArray[np.int64], starts: list[int], bins: int, minimum: int
) -> tuple[float, ...]:
    """Join the smallest bin with its smaller neighbour until all are large enough and few enough."""
    sizes = np.add.reduceat(counts, starts).tolist()
    while len(sizes) > 1 and (min(sizes) < minimum or len(sizes) > bins):
        at = sizes.index(min(sizes))
        right = at == 0 or (at + 1 < len(sizes) and sizes[at + 1] < sizes[at - 1])
        gone = at + 1 if right else at
        sizes[gone - 1] += sizes.pop(gone)
        starts.pop(gone)
    return tuple(float(distinct[at]) for at in starts[1:])


def _require_bins(bins: int) -> None:
    if bins < 1:
        raise UsageError(f"at least 1 bin is needed, not {bins}")
