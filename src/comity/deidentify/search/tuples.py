"""Distinct quasi-identifier tuples with counts: the cost of the search follows them, not rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from comity.data.arrays import fixed_width, to_arrow
from comity.deidentify.hierarchies.hierarchy import Hierarchy, shown
from comity.deidentify.search.frames import Coded, Frame
from comity.errors import BadTable

SUPPRESSED = "*"
"""What every quasi-identifier of a suppressed row reads."""

ALL_SUPPRESSED = (
    "every row of the table reads '*' in every quasi-identifier: all of it is suppressed already, and "
    "nothing is left to anonymize"
)
ROOM = 2**62
"""Keys of combined columns stay under this; above, they are made dense first."""
_EXACT = 2.0**52
"""Sums of whole numbers up to this are exact in floats, with room for an error in judging it."""


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

    @cached_property
    def second(self) -> NDArray[np.float64]:
        """Per tuple, the rows that have the second of the column's values."""
        rows = np.where(self.values == 1, self.counts, 0)
        return np.bincount(self.tuples, weights=rows).astype(np.float64, copy=False)


@dataclass(frozen=True)
class Tuples:
    """Distinct tuples of leaves, in order of their leaves.

    Attributes:
        hierarchies: one per quasi-identifier, in order, with a leaf for missing values where the table has
            any.
        codes: per quasi-identifier, the leaf of each tuple.
        counts: rows of each tuple.
        of_row: for each row of what was read, its tuple; -1 for a row that came in suppressed.
        sensitive: by column name.
        already_suppressed: rows that came in suppressed. They are in no tuple and no count.
    """

    hierarchies: tuple[Hierarchy, ...]
    codes: tuple[NDArray[np.int32], ...]
    counts: NDArray[np.int64]
    of_row: NDArray[np.int64]
    sensitive: Mapping[str, Sensitive]
    already_suppressed: int = 0

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
        if size > ROOM // max(1, extent):
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
    if (found < 0).any():
        used = np.bincount(coded.codes, minlength=len(found)) > 0
        found[(found < 0) & ~used] = 0
    if (found == -2).any():
        hierarchy = hierarchy.with_missing()
        found[found == -2] = hierarchy.locate([None])[0]
    if (found == -1).any():
        names = [str(value) for value, row in zip(coded.values, found, strict=True) if row == -1]
        raise BadTable(no_leaf(name, names, hierarchy))
    return found[coded.codes] if len(found) else np.zeros(0, np.int32), hierarchy


def no_leaf(name: str, values: Sequence[str], hierarchy: Hierarchy) -> str:
    """Why values are no leaves, and what to do."""
    for level, labels in enumerate(hierarchy.labels[1:], start=1):
        above = [value for value in values if value in labels]
        if above:
            return (
                f"column '{name}' holds labels of level {level} of its hierarchy ({shown(above)}), not "
                "leaves: it has been generalised already. Give the table as it was before, or a hierarchy "
                f"whose first column holds the labels of level {level}"
            )
    return (
        f"the hierarchy of '{name}' has no row for {shown(values)}. "
        "Add rows for them to the hierarchy, or correct them in the table"
    )


def distinct_tuples(table: Frame, hierarchies: Mapping[str, Hierarchy], sensitive: Sequence[str]) -> Tuples:
    """Code the quasi-identifiers and sensitive columns of a table and merge equal rows.

    A row that reads "*" in every quasi-identifier came in suppressed: it is set apart.

    Raises:
        BadTable: if a column is missing, holds values that its hierarchy does not, or every row came in
            suppressed.
    """
    coded = {name: table.coded(name) for name in hierarchies}
    gone = _suppressed(list(coded.values()))
    if gone is not None:
        if gone.all():
            raise BadTable(ALL_SUPPRESSED)
        coded = {name: column.only(~gone) for name, column in coded.items()}
    found = [leaves_of(coded[name], hierarchy, name) for name, hierarchy in hierarchies.items()]
    there = None if gone is None else ~gone
    looked_at = {name: table.coded(name).counted().only(there) for name in sensitive}
    merged = merged_tuples([codes for codes, _ in found], [whole for _, whole in found], looked_at)
    if gone is None or there is None:
        return merged
    of_row = np.full(len(there), -1, dtype=np.int64)
    of_row[there] = merged.of_row
    return replace(merged, of_row=of_row, already_suppressed=int(gone.sum()))


def merged_tuples(
    columns: Sequence[NDArray[np.int32]],
    hierarchies: Sequence[Hierarchy],
    sensitive: Mapping[str, Coded],
    counts: NDArray[np.int64] | None = None,
) -> Tuples:
    """Merge rows with equal leaves, in order of the leaves, so that the order of rows changes nothing.

    Args:
        columns: per quasi-identifier, the leaf of each row.
        counts: for how many rows of the table each row stands; 1 by default.
    """
    of_row, first = _merged(columns, [len(hierarchy.rows) for hierarchy in hierarchies])
    return Tuples(
        hierarchies=tuple(hierarchies),
        codes=tuple(codes[first] for codes in columns),
        counts=added(of_row, counts, len(first)),
        of_row=of_row,
        sensitive={name: sensitive_of(coded, of_row, counts) for name, coded in sensitive.items()},
    )


def _suppressed(columns: Sequence[Coded]) -> NDArray[np.bool_] | None:
    """Which rows read "*" in every column; None if no row does."""
    if not all(SUPPRESSED in column.values for column in columns):
        return None
    gone = np.ones(len(columns[0].codes), dtype=bool)
    for column in columns:
        gone &= column.codes == column.values.index(SUPPRESSED)
    return gone if gone.any() else None


def _merged(
    columns: Sequence[NDArray[np.int32]], sizes: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each row its tuple, numbered in order of the leaves, and one row of each tuple."""
    keys, _ = combine(columns, sizes)
    met, number = dense(keys)
    first = np.empty(number, dtype=np.int64)
    first[met[::-1]] = np.arange(len(met) - 1, -1, -1)  # the last write wins: the first row of each tuple
    if math.prod(max(1, size) for size in sizes) <= ROOM:
        order = np.argsort(keys[first])
    else:
        order = np.lexsort([column[first] for column in reversed(columns)])
    place = np.empty(number, dtype=np.int64)
    place[order] = np.arange(number)
    return place[met], first[order]


def added(places: NDArray[np.integer], weights: NDArray[np.int64] | None, number: int) -> NDArray[np.int64]:
    """Rows that fall on each place, exact as long as all of them together are below 2^63."""
    if weights is None or float(weights.sum(dtype=np.float64)) < _EXACT:
        return np.bincount(places, weights=weights, minlength=number).astype(np.int64)
    total = np.zeros(max(number, int(places.max(initial=-1)) + 1), dtype=np.int64)
    np.add.at(total, places, weights)
    return total


def sensitive_of(
    coded: Coded, of_row: NDArray[np.int64], counts: NDArray[np.int64] | None = None
) -> Sensitive:
    """Merge equal pairs of tuple and value; `counts` as in `merged_tuples`. Values that no row has are left
    out."""
    extent = max(1, len(coded.values))
    totals = added(coded.codes, counts, extent)
    used = np.flatnonzero(totals[: len(coded.values)])
    codes = (np.cumsum(totals > 0) - 1)[coded.codes]
    extent = max(1, len(used))
    if counts is None:
        keys, pairs = np.unique(of_row * extent + codes, return_counts=True)
    else:
        keys, places = np.unique(of_row * extent + codes, return_inverse=True)
        pairs = added(places, counts, len(keys))
    return Sensitive(
        tuples=keys // extent,
        values=keys % extent,
        counts=pairs.astype(np.int64),
        labels=tuple(coded.values[i] for i in used),
        totals=totals[used] if len(used) else totals,
    )
