"""Distinct tuples of some columns, with the rows that have each: all that measures of risk look at.

Rows are looked at once, to make the tuples. Whatever is measured afterwards, for any set of those columns,
costs time and memory by the number of tuples, not of rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from comity.data.classes import equivalence_classes
from comity.data.table import dictionary_codes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from comity.data.table import Table


@dataclass(frozen=True, eq=False)
class Tuples:
    """The distinct tuples of some columns. A missing value is a value like any other.

    Attributes:
        names: the columns.
        codes: (tuples, columns) codes of the values, -1 where missing. They say which values are equal; their
            order means nothing.
        counts: (tuples,) the rows that have each tuple, at least 1.
        widths: per column, how many different values it has, missing counted as one.
    """

    names: tuple[str, ...]
    codes: NDArray[np.int32]
    counts: NDArray[np.int64]
    widths: tuple[int, ...]

    @classmethod
    def of(cls, table: Table, names: Sequence[str]) -> Self:
        """The tuples of some columns of a table."""
        return cls.of_codes(names, [dictionary_codes(table.column(name))[0] for name in names])

    @classmethod
    def of_codes(cls, names: Sequence[str], columns: Sequence[NDArray[np.int32]]) -> Self:
        """The tuples of columns that are already (rows,) codes each, -1 where missing."""
        codes = np.stack(columns, axis=1) if columns else np.zeros((0, 0), dtype=np.int32)
        index, counts = equivalence_classes(codes)
        first = np.empty(len(counts), dtype=np.int64)
        first[index[::-1]] = np.arange(len(index) - 1, -1, -1)
        found = codes[first]
        widths = tuple(len(np.unique(found[:, at])) for at in range(len(columns)))
        return cls(tuple(names), found, counts, widths)

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def rows(self) -> int:
        return int(self.counts.sum())

    def without(self, suppressed: Sequence[int]) -> Self:
        """The tuples but the one whose codes are these; all of them if it is the only one."""
        kept = (self.codes != np.asarray(suppressed)).any(axis=1)
        if kept.all() or not kept.any():
            return self
        codes = self.codes[kept]
        widths = tuple(len(np.unique(codes[:, at])) for at in range(codes.shape[1]))
        return type(self)(self.names, codes, self.counts[kept], widths)

    def sizes(self, names: Iterable[str]) -> NDArray[np.int64]:
        """(classes,) rows in each class of the rows that agree on the named columns; no name, one class."""
        at = [self.names.index(name) for name in names]
        if len(at) == len(self.names):
            return self.counts
        index, classes = equivalence_classes(self.codes[:, at])
        return np.bincount(index, weights=self.counts, minlength=len(classes)).astype(np.int64)

    def width(self, name: str) -> int:
        """How many different values a column has, missing counted as one."""
        return self.widths[self.names.index(name)]


def distinction(sizes: NDArray[np.integer]) -> float:
    """The largest alpha for which the columns are alpha-distinct: distinct tuples / rows, in (0, 1].

    Dropping at most a share 1 - alpha of the rows makes them a key (Motwani and Xu 2007, "Efficient
    algorithms for masking and finding quasi-identifiers").
    """
    rows = int(sizes.sum())
    return len(sizes) / rows if rows else 0.0


def separation(sizes: NDArray[np.integer]) -> float:
    """The largest alpha for which the columns alpha-separate the rows, in [0, 1] (same source).

    It is the share of the pairs of rows that differ in at least one of the columns. One row has no pair: 1.
    """
    rows = int(sizes.sum())
    size, count = np.unique(np.asarray(sizes, dtype=np.int64), return_counts=True)
    # whole numbers of any length: the pairs of ten million rows do not fit a float exactly
    same = sum(c * s * (s - 1) for s, c in zip(size.tolist(), count.tolist(), strict=True))
    pairs = rows * (rows - 1)
    return (pairs - same) / pairs if pairs else 1.0


def unique_share(sizes: NDArray[np.integer]) -> float:
    """Share of the rows that stand alone in their class."""
    rows = int(sizes.sum())
    return float((sizes == 1).sum() / rows) if rows else 0.0
