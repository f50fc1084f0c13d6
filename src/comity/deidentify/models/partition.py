"""A partition of tuples into equivalence classes, with what privacy models ask of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.deidentify.search.tuples import Sensitive, dense
from comity.errors import UsageError

_CELLS = 1_000_000
"""Up to this many cells, classes times values, pairs are counted in a table instead of by hashing."""
_FEW = 32
"""Columns with up to this many values keep that table."""


class Histogram:
    """How often each sensitive value occurs in each class.

    `classes`, `values` and `counts` have one entry per pair that occurs, in order of class, then value.
    `totals` counts values over the whole table, `rows` its rows. Every class has at least one entry.

    Attributes:
        table: the same as an array (values, classes), in floats, for a column with few values; None for
            others. Sums over values then run along whole rows, and nothing is sorted.
    """

    def __init__(
        self,
        pairs: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]] | None,
        table: NDArray[np.float64] | None,
        number: int,
        labels: tuple[object, ...],
        totals: NDArray[np.int64],
        rows: int,
    ) -> None:
        self._pairs = pairs
        self.table = table
        self.number = number
        self.labels = labels
        self.totals = totals
        self.rows = rows

    @property
    def classes(self) -> NDArray[np.int64]:
        return self._entries[0]

    @property
    def values(self) -> NDArray[np.int64]:
        return self._entries[1]

    @property
    def counts(self) -> NDArray[np.int64]:
        return self._entries[2]

    @property
    def _entries(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        if self._pairs is None:
            table = np.zeros((0, self.number)) if self.table is None else self.table
            classes, values = np.nonzero(table.T)
            self._pairs = classes, values, table[values, classes].astype(np.int64)
        return self._pairs

    @cached_property
    def distinct(self) -> NDArray[np.int64]:
        """Distinct values per class."""
        if self.table is not None:
            return (self.table > 0).sum(axis=0)
        return np.bincount(self.classes, minlength=self.number)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Where each class's entries start."""
        return np.cumsum(self.distinct) - self.distinct

    def summed(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Per class, the sum of a number given per entry."""
        return np.bincount(self.classes, weights=weights, minlength=self.number).astype(
            np.float64, copy=False
        )

    def matrix(self, first: int, stop: int) -> NDArray[np.float64]:
        """Counts of the classes first to stop, as an array (values, classes)."""
        if self.table is not None:
            return self.table[:, first:stop]
        start, end = np.searchsorted(self.classes, [first, stop])
        table = np.zeros((len(self.totals), stop - first))
        table[self.values[start:end], self.classes[start:end] - first] = self.counts[start:end]
        return table

    def of(self, one: int) -> dict[int, int]:
        """Counts of one class by value, as plain whole numbers."""
        if self.table is not None:
            return {v: int(count) for v, count in enumerate(self.table[:, one].tolist()) if count}
        here = slice(int(self.starts[one]), int(self.starts[one] + self.distinct[one]))
        return dict(zip(self.values[here].tolist(), self.counts[here].tolist(), strict=True))

    def only(self, kept: NDArray[np.bool_]) -> Histogram:
        """The classes for which `kept` holds, renumbered in order."""
        number = int(np.count_nonzero(kept))
        if number == self.number:
            return self
        if self.table is not None:
            table = self.table.compress(kept, axis=1)
            return Histogram(None, table, number, self.labels, self.totals, self.rows)
        inside = kept[self.classes]
        renumbered = np.cumsum(kept) - 1
        pairs = renumbered[self.classes[inside]], self.values[inside], self.counts[inside]
        return Histogram(pairs, None, number, self.labels, self.totals, self.rows)

    @classmethod
    def counted(
        cls, source: Sensitive, classes: NDArray[np.int64], number: int, rows: int, everybody: bool = False
    ) -> Histogram:
        """Count a column, given the class of each of its pairs (-1: left out)."""
        extent = max(1, len(source.totals))
        values, weights = source.values, source.counts
        if not everybody:
            inside = classes >= 0
            if not inside.all():
                classes, values, weights = classes[inside], values[inside], weights[inside]
        if extent <= _FEW and number * extent <= _CELLS:
            table = np.bincount(values * number + classes, weights=weights, minlength=number * extent)
            shaped = table.astype(np.float64, copy=False).reshape(extent, number)
            return cls(None, shaped, number, source.labels, source.totals, rows)
        keys = classes * extent + values
        if number * extent <= _CELLS:
            table = np.bincount(keys, weights=weights, minlength=number * extent)
            pairs = np.flatnonzero(table)
            counts = table[pairs].astype(np.int64)
        else:
            order, found = dense(keys)
            summed = np.bincount(order, weights=weights, minlength=found).astype(np.int64)
            first = np.empty(found, dtype=np.int64)
            first[order] = keys
            ranked = np.argsort(first)
            pairs, counts = first[ranked], summed[ranked]
        entries = pairs // extent, pairs % extent, counts
        return cls(entries, None, number, source.labels, source.totals, rows)


class Partition:
    """Tuples in classes 0 to number - 1, each with at least one row.

    Args:
        ids: the class of each tuple; -1 for a tuple that is left out.
        counts: rows of each tuple.
        number: how many classes.
        populations: rows per class of a population table, by the identity of the population (`KMap`,
            `DeltaPresence`).
    """

    def __init__(
        self,
        ids: NDArray[np.int64],
        counts: NDArray[np.int64],
        number: int,
        sensitive: Mapping[str, Sensitive],
        rows: int,
        sizes: NDArray[Any] | None = None,
        populations: Mapping[int, NDArray[np.int64]] | None = None,
    ) -> None:
        self.number = number
        self.rows = rows
        self._ids: NDArray[np.int64] | None = ids
        self._counts = counts
        self._sensitive = sensitive
        self._histograms: dict[str, Histogram] = {}
        self._sizes = sizes
        self._populations = populations or {}
        self._source: tuple[Partition, NDArray[np.bool_]] | None = None

    @property
    def ids(self) -> NDArray[np.int64]:
        """The class of each tuple; -1 for a tuple that is left out."""
        if self._ids is None and self._source is not None:
            before, kept = self._source
            names = np.full(
                before.number + 1, -1, dtype=np.int64
            )  # the last serves the -1 of left-out tuples
            names[:-1][kept] = np.arange(self.number)
            self._ids = names[before.ids]
        if self._ids is None:
            raise UsageError("a partition needs the class of each tuple")
        return self._ids

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Rows per class."""
        if self._sizes is None:
            inside = self.ids >= 0
            self._sizes = np.bincount(
                self.ids[inside], weights=self._counts[inside], minlength=self.number
            ).astype(np.int64)
        return self._sizes

    def histogram(self, column: str) -> Histogram:
        """Counts of a sensitive column's values per class."""
        if column not in self._histograms:
            if self._source is not None and column in self._source[0]._histograms:
                before, kept = self._source
                self._histograms[column] = before._histograms[column].only(kept)
            else:
                source = self._sensitive[column]
                if len(source.totals) == 2:
                    self._histograms[column] = self._of_two(source)
                    return self._histograms[column]
                self._histograms[column] = Histogram.counted(
                    source, self.ids[source.tuples], self.number, self.rows
                )
        return self._histograms[column]

    def _of_two(self, source: Sensitive) -> Histogram:
        """Of two values one is counted."""
        second = np.bincount(self.ids + 1, weights=source.second, minlength=self.number + 1)[1:]
        table = np.stack([self.sizes - second, second]).astype(np.float64, copy=False)
        return Histogram(None, table, self.number, source.labels, source.totals, self.rows)

    def population(self, table: object) -> NDArray[np.int64]:
        """Rows per class of a population table."""
        if id(table) not in self._populations:
            raise UsageError("the classes were not counted in the population table of the model")
        return self._populations[id(table)]

    def only(self, kept: NDArray[np.bool_]) -> Partition:
        """The classes for which `kept` holds, renumbered in order."""
        if kept.all():
            return self
        part = Partition(
            np.zeros(0, np.int64),
            self._counts,
            int(kept.sum()),
            self._sensitive,
            self.rows,
            self.sizes[kept],
            {name: counts[kept] for name, counts in self._populations.items()},
        )
        part._ids, part._source = None, (self, kept)
        return part
