"""Whole numbers modulo a prime of at most 30 bits: matrix products and elimination, in blocks."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

_HALF: Final = 15
_FEW_ROWS: Final = 16
"""So many rows are eliminated one by one; more are halved, and the halves meet in matrix products."""


def product(one: Integers, two: Integers, prime: int) -> Integers:
    """Matrix product modulo the prime; halves of 15 bits keep sums of 2^22 products exact in floats."""
    if 0 in (*one.shape, *two.shape):
        return np.zeros((one.shape[0], two.shape[1]), dtype=np.int64)
    mask = (1 << _HALF) - 1
    high, low = (one >> _HALF).astype(np.float64), (one & mask).astype(np.float64)
    right_high, right_low = (two >> _HALF).astype(np.float64), (two & mask).astype(np.float64)
    total = (high @ right_high).astype(np.int64) % prime << _HALF
    total += (high @ right_low + low @ right_high).astype(np.int64)
    total = total % prime << _HALF
    total += (low @ right_low).astype(np.int64)
    total %= prime
    return total


def echelon(matrix: Integers, columns: int, prime: int) -> tuple[Integers, Integers]:
    """Reduce the rows of a matrix, in place, by pivots among its first columns.

    Args:
        matrix: entries from 0 to prime - 1; on return each pivot's column is 0 but for a 1 in its row, and
            rows without a pivot are 0 in all of those columns.
        columns: in how many of them pivots are looked for.

    Returns:
        The pivots' rows and their columns, as many as the rank.
    """
    rows = len(matrix)
    if rows <= _FEW_ROWS:
        return _echelon_of_few(matrix, columns, prime)
    top, bottom = matrix[: rows // 2], matrix[rows // 2 :]
    above, of_above = echelon(top, columns, prime)
    _cleared(bottom, top[above], of_above, prime)
    below, of_below = echelon(bottom, columns, prime)
    _cleared(top, bottom[below], of_below, prime)
    return np.concatenate([above, rows // 2 + below]), np.concatenate([of_above, of_below])


def _cleared(matrix: Integers, pivots: Integers, columns: Integers, prime: int) -> None:
    """Take multiples of the pivots' rows off a matrix, so that it is 0 in their columns."""
    if len(columns):
        matrix -= product(matrix[:, columns], pivots, prime)
        matrix += np.where(matrix < 0, prime, 0)


def _echelon_of_few(matrix: Integers, columns: int, prime: int) -> tuple[Integers, Integers]:
    found: list[tuple[int, int]] = []
    for at in range(len(matrix)):
        filled = np.flatnonzero(matrix[at, :columns])
        if not len(filled):
            continue
        column = int(filled[0])
        matrix[at] = matrix[at] * pow(int(matrix[at, column]), -1, prime) % prime
        factors = matrix[:, column].copy()
        factors[at] = 0
        others = np.flatnonzero(factors)
        matrix[others] = (matrix[others] - factors[others, None] * matrix[at]) % prime
        found.append((at, column))
    pivots = np.array(found, dtype=np.int64).reshape(-1, 2)
    return pivots[:, 0], pivots[:, 1]


def group_sums(groups: NDArray[np.integer], values: Integers, size: int, prime: int) -> Integers:
    """(size, columns) sums of residues per group, -1 in none, modulo the prime; exact for 2^38 records."""
    shifted = groups + 1  # group 0 collects the records in no group
    sums = np.empty((size, values.shape[1]), dtype=np.int64)
    for at in range(values.shape[1]):
        column = values[:, at]
        low = np.bincount(shifted, weights=column & 0x7FFF, minlength=size + 1)[1:].astype(np.int64)
        high = np.bincount(shifted, weights=column >> _HALF, minlength=size + 1)[1:].astype(np.int64)
        sums[:, at] = (low + (high % prime << _HALF)) % prime
    return sums
