"""Exact sums on the integer grid, without noise: what one row adds is bounded, and no row changes another's.

Pure functions: noise is added by who calls them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.data.declaration import checked_bounds
from comity.data.declared import declared_numbers
from comity.errors import UsageError
from comity.noise_grid import Grid
from comity.statistics.terms import Floats, Integers

VALUE_BITS: Final = 28
"""A value's distance from its origin is a whole number up to 2^28: rounding moves a sum of a million values
by less than a hundredth of one value's largest part."""


@dataclass(frozen=True)
class Bounded:
    """Values between public bounds, as whole numbers around an origin.

    Attributes:
        low, high: the bounds; values beyond are held at them.
        origin: what is taken off a value before it is summed.
    """

    low: float
    high: float
    origin: float

    @classmethod
    def around(cls, bounds: Any, origin: float | None = None) -> Bounded:
        """Bounds as given by the caller, around 0 or another origin; None: their middle.

        Raises:
            UsageError: unless they are two finite numbers, the lower one first; for none, saying why.
        """
        low, high = checked_bounds(bounds)
        return cls(low, high, low + (high - low) / 2 if origin is None else origin)

    @property
    def grid(self) -> Grid:
        return Grid.for_largest(self._reach, VALUE_BITS)

    @property
    def _reach(self) -> float:
        return max(abs(self.low - self.origin), abs(self.high - self.origin)) or 1.0

    @property
    def per_row(self) -> int:
        """How much one row adds to a sum, at most, in grid units."""
        return math.ceil(self._reach * self.grid.unit) + 1

    def whole(self, values: Any) -> tuple[Integers, NDArray[np.bool_]]:
        """(n,) grid units from the origin, each from its own value; and (n,) whether there was a value."""
        numbers = declared_numbers(values, self.low, self.high, "values")
        known = ~np.isnan(numbers)
        units = self.grid.quantise(np.where(known, numbers - self.origin, 0.0))
        return np.clip(units, -self.per_row, self.per_row), known


def bounded_sum(values: Any, kept: NDArray[np.bool_], bounded: Bounded) -> tuple[int, int]:
    """The exact sum, in grid units from the origin, and number, of the values of rows that count.

    One row more or less moves the sum by at most `bounded.per_row` and the number by at most 1.
    """
    units, known = bounded.whole(values)
    held = kept & known
    return int(units[held].sum()), int(held.sum())


def counts_by_code(codes: Integers, kept: NDArray[np.bool_], width: int) -> Integers:
    """(width,) exact numbers of counting rows by code; codes below 0 count nowhere."""
    held = codes[kept & (codes >= 0)]
    return np.bincount(held, minlength=width).astype(np.int64)


def sums_by_code(codes: Integers, units: Integers, kept: NDArray[np.bool_], width: int) -> Integers:
    """(width,) exact sums of grid units of counting rows by code; codes below 0 count nowhere."""
    total = np.zeros(width, dtype=np.int64)
    held = kept & (codes >= 0)
    np.add.at(total, codes[held], units[held])
    return total


def bin_codes(values: Any, edges: Floats) -> Integers:
    """(n,) the bin of each value, from 0 on; values beyond the outer edges are in the outer bins, missing -1.

    Args:
        values: one per record.
        edges: (bins + 1,) ascending; bin i holds edges[i] <= value < edges[i + 1], the last one its end too.
    """
    numbers = declared_numbers(values, float(edges[0]), float(edges[-1]), "values")
    codes = np.minimum(np.searchsorted(edges, numbers, side="right") - 1, len(edges) - 2)
    return np.where(np.isnan(numbers), -1, codes).astype(np.int64)


def floats_of(given: Any, wanted: str) -> Floats:
    """An argument as floats.

    Raises:
        UsageError: saying what is wanted, if there is anything else among them.
    """
    try:
        return np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(wanted) from None
