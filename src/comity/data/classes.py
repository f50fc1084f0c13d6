"""Equivalence classes: rows that agree on all given columns.

The cost follows the number of distinct tuples wherever the code space is small (one counting pass, no
sort); otherwise it is one sort of packed 64-bit keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from comity.data.table import Table

_KEY_LIMIT = 2**62
_COUNTING_FACTOR = 8


def equivalence_classes(codes: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Group rows by equality.

    Args:
        codes: (rows, columns) integers of any sign and size; no columns puts all rows in one class.

    Returns:
        `index`, (rows,) the class of each row, classes numbered from 0 in ascending order of their
        tuples; and `sizes`, (classes,) the number of rows in each.
    """
    codes = np.asarray(codes)
    rows, columns = codes.shape
    keys = np.zeros(rows, dtype=np.int64)
    if rows == 0:
        return keys, np.zeros(0, dtype=np.int64)
    span = 1
    for at in range(columns):
        column, width = _from_zero(codes[:, at])
        if span * width > _KEY_LIMIT:  # number the classes so far, so that the key has room again
            keys, sizes = _dense(keys, span)
            span = len(sizes)
        if span * width > _KEY_LIMIT:
            column, found = _dense(column, width)
            width = len(found)
        keys *= width
        keys += column
        span *= width
    return _dense(keys, span)


def table_codes(table: Table, names: Sequence[str]) -> NDArray[np.int32]:
    """(rows, len(names)) codes of the columns' distinct values, -1 where missing: missing equals missing."""
    if not names:
        return np.zeros((table.rows, 0), dtype=np.int32)
    return np.stack([table.levels(name)[0] for name in names], axis=1)


def _from_zero(column: NDArray[np.integer]) -> tuple[NDArray[np.int64], int]:
    """A column shifted to start at 0, and how many values that leaves room for."""
    low, high = int(column.min()), int(column.max())
    if high - low >= _KEY_LIMIT:
        values, index = np.unique(column, return_inverse=True)
        return index.astype(np.int64), len(values)
    if column.dtype == np.uint64:
        return (column - np.uint64(low)).astype(np.int64), high - low + 1
    return column.astype(np.int64) - low, high - low + 1


def _dense(keys: NDArray[np.int64], span: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Keys below `span` renumbered without gaps, in ascending order, and the count of each."""
    if span <= _COUNTING_FACTOR * len(keys):
        counts = np.bincount(keys, minlength=span)
        present = counts > 0
        return (np.cumsum(present) - 1)[keys], counts[present]
    _, index, sizes = np.unique(keys, return_inverse=True, return_counts=True)
    return index.astype(np.int64, copy=False), sizes.astype(np.int64, copy=False)
