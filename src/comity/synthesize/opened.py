"""Bounds and levels that nobody has made public, measured with noise and paid for.

A number's bounds: how many values lie between neighbouring powers of two, with noise; the outermost cells
that stand out of it. A category's levels: those whose noisy count passes a threshold so high that a level
which only one unit has passes it with a probability that is part of delta (Korolova et al. 2009). What is not
found counts as missing (a level) or as lying on the bound (a number). Both are paid for before the column is
looked at, whatever is in it: what the purse holds afterwards is told to others.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from comity.synthesize.cells import MOST_CELLS, LevelCells, NumberCells

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from comity.data import Table
    from comity.synthesize.purse import Purse

_SMALLEST, _LARGEST = -32, 63
_STANDS_OUT = 6.0
"""Standard deviations: a bound that noise alone moves costs every bin its width."""


def bounds(table: Table, name: str, purse: Purse, price: float, *, whole: bool) -> NumberCells:
    """A number's cells, between bounds that are powers of two.

    Args:
        price: in mu squared. whole: whether the schema says that its values are whole numbers.
    """
    powers = np.ldexp(1.0, np.arange(0 if whole else _SMALLEST, _LARGEST + 1))
    # cell 0 is zero; then [power, twice the power) on one side, its mirror on the other
    numbers = table.numbers(name)
    numbers = numbers[~np.isnan(numbers)]
    size = np.clip(np.searchsorted(powers, np.abs(numbers), side="right"), 1, len(powers) - 1)
    at = np.where(numbers == 0, 0, np.where(numbers > 0, size, size + len(powers) - 1))
    counts = np.bincount(at, minlength=2 * len(powers) - 1).astype(np.int64)
    noisy = purse.measure(counts, price)
    standing = np.flatnonzero(noisy.values >= _STANDS_OUT * noisy.sigma)
    ends = [end for cell in standing.tolist() for end in _ends(cell, powers, whole=whole)]
    return NumberCells.between(name, min(ends, default=0.0), max(ends, default=1.0), whole=whole)


def _ends(cell: int, powers: NDArray[np.float64], *, whole: bool) -> tuple[float, float]:
    """The smallest and the largest number of a cell."""
    if cell == 0:
        return 0.0, 0.0
    at = (cell - 1) % (len(powers) - 1)
    low, high = float(powers[at]), float(powers[at + 1]) - (1.0 if whole else 0.0)
    return (low, high) if cell < len(powers) else (-high, -low)


def levels(
    table: Table, name: str, purse: Purse, price: float, *, delta: float, rows_per_unit: int
) -> LevelCells:
    """A category's cells: the levels that many rows have.

    Args:
        price: in mu squared. delta: the probability that a level of one unit alone shows.
    """
    codes, found = table.levels(name)
    counts = np.bincount(codes[codes >= 0], minlength=len(found)).astype(np.int64)
    noisy = purse.measure(counts, price)
    # a unit's rows have at most so many levels, each at most so often; 1 - delta would lose delta's digits
    threshold = rows_per_unit - noisy.sigma * NormalDist().inv_cdf(delta / rows_per_unit)
    standing = np.flatnonzero(noisy.values > threshold)
    if len(standing) >= MOST_CELLS:
        standing = np.sort(standing[np.argsort(-noisy.values[standing])][: MOST_CELLS - 1])
    return LevelCells(name, tuple(found[at] for at in standing.tolist()))
