"""Codes: which cells of a column are kept apart, decided by their noisy counts.

Neighbouring cells of a number become one bin until a bin stands out of the noise; levels too rare to be told
from noise become one code together (McKenna, Miklau and Sheldon 2021). It looks at noisy counts that are paid
for, so merging costs nothing more. A synthetic row's code becomes a cell again by lot, in proportion to the
noisy counts of the code's cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from comity.synthesize.cells import MISSING, Cells

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from comity.synthesize.purse import Noisy

RARE = 2.0
"""A cell stands out of the noise from so many standard deviations on."""
SURELY = 5.0
"""So does the missing value, which in a column without any would look like a fault."""


@dataclass(frozen=True, eq=False)
class Codes:
    """A column's codes.

    Attributes:
        cells: the column's cells.
        of_cell: (cells,) the code of each cell.
        shares: (cells,) what each cell takes of its code's rows; they sum to 1 in every code.
        counts: (codes,) noisy counts; deviations: their noise's standard deviation.
    """

    cells: Cells
    of_cell: NDArray[np.int64]
    shares: NDArray[np.float64]
    counts: NDArray[np.float64]
    deviations: NDArray[np.float64]

    @property
    def name(self) -> str:
        return self.cells.name

    @property
    def size(self) -> int:
        return len(self.counts)

    def coded(self, cells: NDArray[np.uint16]) -> NDArray[np.uint16]:
        """(rows,) codes of rows whose cells are given."""
        return self.of_cell[cells].astype(np.uint16)

    @cached_property
    def _steps(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Cells in the order of their codes, and their shares added up: code k's lie from k to k + 1."""
        order = np.argsort(self.of_cell, kind="stable")
        sums = np.cumsum(self.shares[order])
        first = np.searchsorted(self.of_cell[order], np.arange(self.size))
        before = np.where(first > 0, sums[first - 1], 0.0)
        codes = self.of_cell[order]
        steps = codes.astype(np.float64) + np.minimum(sums - before[codes], 1.0)
        return order.astype(np.int64), steps

    def values(
        self, codes: NDArray[np.integer], first: NDArray[np.float64], second: NDArray[np.float64]
    ) -> pa.Array:
        """A value for each code; `first` and `second` are (rows,) uniform numbers in [0, 1)."""
        order, steps = self._steps
        at = np.searchsorted(steps, codes + first, side="right")
        # a rounding at the end of a code's shares must not lead into the next code
        last = np.searchsorted(self.of_cell[order], codes, side="right") - 1
        return self.cells.values(order[np.minimum(at, last)], second)


def merge(cells: Cells, noisy: Noisy, *, bins: int, most: int, apart: bool = False) -> Codes:
    """Codes of a column from the noisy counts of its cells.

    Args:
        cells: the column's cells.
        noisy: (cells,) counts with noise.
        bins: at most about this many bins of a number.
        most: at most so many codes, 2 or more; neighbours, or the rarest levels, become one beyond it.
        apart: keep every level as far as `most` goes, and have no missing value (the target, all rows of
            which have one: the count of its missing cell is noise alone and left out).
    """
    missing = bool(noisy.values[MISSING] >= SURELY * noisy.sigma) and not apart
    if apart:
        of_cell = np.maximum(np.arange(cells.size) - 1, 0)
    elif cells.ordered:
        of_cell = _bins(noisy.values, noisy.sigma, bins, missing=missing)
    else:
        of_cell = _levels(noisy.values, noisy.sigma, missing=missing)
    of_cell = _at_most(of_cell, noisy.values, most, ordered=cells.ordered, missing=missing)
    counted = np.ones(cells.size)
    counted[MISSING] = 0.0 if apart and cells.size > 1 else 1.0
    size = int(of_cell.max()) + 1
    counts = np.bincount(of_cell, weights=noisy.values * counted, minlength=size).astype(np.float64)
    deviations = noisy.sigma * np.sqrt(np.bincount(of_cell, weights=counted, minlength=size))
    return Codes(cells, of_cell, _shares(of_cell, noisy.values, size, missing=missing), counts, deviations)


def _at_most(
    of_cell: NDArray[np.int64], values: NDArray[np.float64], most: int, *, ordered: bool, missing: bool
) -> NDArray[np.int64]:
    """The same codes, or `most` of them: bins in order are joined evenly, rare levels become one."""
    size = int(of_cell.max()) + 1
    if size <= most:
        return of_cell
    first = int(missing)  # a missing value that stands out keeps its own code
    if ordered:
        return np.where(
            of_cell < first, of_cell, first + (of_cell - first) * (most - first) // (size - first)
        )
    counts = np.bincount(of_cell, weights=values, minlength=size)
    counts[:first] = np.inf
    kept = np.sort(np.argsort(-counts, kind="stable")[: most - 1])
    place = np.full(size, most - 1, dtype=np.int64)
    place[kept] = np.arange(most - 1)
    return place[of_cell]


def _shares(
    of_cell: NDArray[np.int64], values: NDArray[np.float64], size: int, *, missing: bool
) -> NDArray[np.float64]:
    """What each cell takes of its code; a missing value that does not stand out of the noise is not made."""
    weight, even = np.maximum(values, 0.0), np.ones(len(values))
    if not missing and len(values) > 1:
        weight[MISSING] = even[MISSING] = 0.0
    total = np.bincount(of_cell, weights=weight, minlength=size)
    weight = np.where(total[of_cell] > 0, weight, even)
    return weight / np.bincount(of_cell, weights=weight, minlength=size)[of_cell]


def _levels(values: NDArray[np.float64], sigma: float, *, missing: bool) -> NDArray[np.int64]:
    """Codes of a category's cells: rare ones share the last code; rows without a value count with them."""
    rare = values < RARE * sigma
    rare[MISSING] = False
    codes = np.cumsum(~rare) - 1 if missing else np.cumsum(~rare) - 2
    codes[rare] = codes.max() + 1
    codes[MISSING] = 0 if missing else max(int(codes.max()), 0)
    return codes


def _bins(values: NDArray[np.float64], sigma: float, bins: int, *, missing: bool) -> NDArray[np.int64]:
    """Codes of a number's cells: a missing value's own where it stands out, then bins in order.

    A cell that fills a bin by itself gets its own, and the bins left over are spread over the other rows.
    """
    counts = values[1:]
    total = max(float(counts.sum()), 0.0)
    heavy = counts >= max(total / bins, RARE * sigma)
    rest = max(float(counts[~heavy].sum()), 0.0)
    target = rest / max(bins - int(heavy.sum()), 1)
    codes = np.cumsum(_starts(counts, heavy, target, sigma)) - 1
    return np.concatenate([[0], codes + 1] if missing else [[0], codes]).astype(np.int64)


def _starts(
    counts: NDArray[np.float64], heavy: NDArray[np.bool_], target: float, sigma: float
) -> NDArray[np.bool_]:
    """Where a bin begins: after a heavy cell, or once the bin has enough rows to stand out."""
    starts = np.zeros(len(counts), dtype=np.bool_)
    starts[0] = True
    held, width = 0.0, 0
    for at in range(len(counts)):
        enough = held >= max(target, RARE * sigma * max(width, 1) ** 0.5)
        standing = held >= RARE * sigma * max(width, 1) ** 0.5
        if at and (enough or (heavy[at] and standing) or heavy[at - 1]):
            starts[at] = True
            held, width = 0.0, 0
        held, width = held + float(counts[at]), width + 1
    return starts
