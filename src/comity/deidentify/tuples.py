"""Distinct quasi-identifier tuples with counts: the cost of the search follows them, not rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from comity.data.arrays import fixed_width, to_arrow
from comity.deidentify.frames import Coded, Frame
from comity.deidentify.hierarchy import Hierarchy, shown
from comity.errors import BadTable

_ROOM = 2**62
"""Keys of combined columns stay under this; above, they are made dense first."""


@dataclass(frozen=True)
class Sensitive:
    """A sensitive column over tuples: pairs (tuple, value) with how often they occur.

    Attributes:
        tuples, values, counts: one entry per distinct pair.
        labels: the column's distinct values (None: missing), by code.
        totals: how often each value occurs in the whole table.
    """

    tuples: NDArray[np.int64]
    values: NDArray[np.int64]
    counts: NDArray[np.int64]
    labels: tuple[object, ...]
    totals: NDArray[np.int64]


@dataclass(frozen=True)
class Tuples:
    """Distinct tuples of leaves.

    Attributes:
        hierarchies: one per quasi-identifier, in order, with a leaf for missing values where the table has
            any.
        codes: per quasi-identifier, the leaf of each tuple.
        counts: rows of each tuple.
        of_row: for each row of the table, its tuple.
        sensitive: by column name.
    """

    hierarchies: tuple[Hierarchy, ...]
    codes: tuple[NDArray[np.int32], ...]
    counts: NDArray[np.int64]
    of_row: NDArray[np.int64]
    sensitive: Mapping[str, Sensitive]

    @cached_property
    def rows(self) -> int:
        """Rows of the table."""
        return int(self.counts.sum())


def dense(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Renumber keys 0, 1, 2, ... in order of first appearance; how many there are."""
    encoded = to_arrow(keys).dictionary_encode()
    return fixed_width(encoded.indices, 0).astype(np.int64), len(encoded.dictionary)


def combine(columns: Sequence[NDArray[np.integer]], sizes: Sequence[int]) -> tuple[NDArray[np.int64], int]:
    """One key per row for several coded columns, and a bound on it; equal keys mean equal rows."""
    keys = columns[0].astype(np.int64)
    size = max(1, sizes[0])
    for column, extent in zip(columns[1:], sizes[1:], strict=True):
        if size > _ROOM // max(1, extent):
            keys, size = dense(keys)
        keys = keys * extent + column
        size *= max(1, extent)
    return keys, size


def leaves_of(coded: Coded, hierarchy: Hierarchy, name: str) -> tuple[NDArray[np.int32], Hierarchy]:
    """Leaf numbers of a coded column, and the hierarchy with a leaf for missing values if it needs one.

    Raises:
        BadTable: naming the values that the hierarchy does not hold.
    """
    found = np.array(hierarchy.locate(coded.values), dtype=np.int32)
    if (found == -2).any():
        hierarchy = hierarchy.with_missing()
        found[found == -2] = hierarchy.locate([None])[0]
    if (found == -1).any():
        names = [str(value) for value, row in zip(coded.values, found, strict=True) if row == -1]
        raise BadTable(
            f"the hierarchy of '{name}' has no row for {shown(names)}. "
            "Add rows for them to the hierarchy, or correct them in the table"
        )
    return found[coded.codes] if len(found) else np.zeros(0, np.int32), hierarchy


def distinct_tuples(table: Frame, hierarchies: Mapping[str, Hierarchy], sensitive: Sequence[str]) -> Tuples:
    """Code the quasi-identifiers and sensitive columns of a table and merge equal rows.

    Raises:
        BadTable: if a column is missing, or holds values that its hierarchy does not.
    """
    found = [leaves_of(table.coded(name), hierarchy, name) for name, hierarchy in hierarchies.items()]
    whole = tuple(hierarchy for _, hierarchy in found)
    keys, _ = combine([codes for codes, _ in found], [len(hierarchy.rows) for hierarchy in whole])
    of_row, number = dense(keys)
    first = np.empty(number, dtype=np.int64)
    first[of_row[::-1]] = np.arange(
        len(of_row) - 1, -1, -1
    )  # the last write wins: the first row of each tuple
    return Tuples(
        hierarchies=whole,
        codes=tuple(codes[first] for codes, _ in found),
        counts=np.bincount(of_row, minlength=number).astype(np.int64),
        of_row=of_row,
        sensitive={name: _sensitive(table.coded(name), of_row, number) for name in sensitive},
    )


def _sensitive(coded: Coded, of_row: NDArray[np.int64], tuples: int) -> Sensitive:
    extent = max(1, len(coded.values))
    keys, counts = np.unique(of_row * extent + coded.codes, return_counts=True)
    return Sensitive(
        tuples=keys // extent,
        values=keys % extent,
        counts=counts.astype(np.int64),
        labels=coded.values,
        totals=np.bincount(coded.codes, minlength=extent).astype(np.int64),
    )
