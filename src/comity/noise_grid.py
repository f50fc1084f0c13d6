"""The integer grid that noise is drawn on: numbers in fixed point, and bounds on the norms of their rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.errors import UsageError
from comity.noise import LARGEST, Floats, Integers


@dataclass(frozen=True)
class Grid:
    """Fixed point: a whole number k stands for k / 2^bits. Rounding is toward zero, so norms never grow.

    Attributes:
        bits: fractional bits; negative for grids coarser than 1.
    """

    bits: int

    @property
    def unit(self) -> float:
        """How many grid units make 1."""
        return math.ldexp(1.0, self.bits)

    @classmethod
    def for_largest(cls, largest: float, integer_bits: int) -> Grid:
        """The finest grid on which a number of that magnitude stays at or below 2^integer_bits."""
        if not largest > 0 or not math.isfinite(largest):
            return cls(0)
        return cls(integer_bits - math.frexp(largest)[1])

    def quantise(self, values: Floats) -> Integers:
        """Whole numbers, rounded toward zero.

        Raises:
            UsageError: private, for NaN, infinities and what does not fit.
        """
        scaled = np.ldexp(np.asarray(values, dtype=np.float64), self.bits)
        if not bool(np.all(np.abs(scaled) < LARGEST)):  # False for NaN too
            raise UsageError("a value is not finite or too large for the grid; use fewer bits", private=True)
        return np.trunc(scaled).astype(np.int64)

    def read(self, values: Integers) -> Floats:
        """What whole numbers stand for."""
        return np.ldexp(values.astype(np.float64), -self.bits)


def norm_bounds(rows: NDArray[Any]) -> Floats:
    """(n,) L2 norms of integer rows (n, d), never below the true ones."""
    squares = np.square(rows.astype(np.float64)).sum(axis=1)
    # every conversion, square and partial sum rounds by at most 2^-53 of what it yields
    return np.sqrt(squares) * (1 + (rows.shape[1] + 8) * 2.0**-52)
