"""A partition of tuples into equivalence classes, with what privacy models ask of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.deidentify.tuples import Sensitive, dense


@dataclass(frozen=True)
class Histogram:
    """How often each sensitive value occurs in each class: one entry per pair that occurs.

    Entries are in order of class, then value. `totals` counts values over the whole table, `rows` its rows.
    """

    classes: NDArray[np.int64]
    values: NDArray[np.int64]
    counts: NDArray[np.int64]
    number: int
    labels: tuple[object, ...]
    totals: NDArray[np.int64]
    rows: int

    @cached_property
    def distinct(self) -> NDArray[np.int64]:
        """Distinct values per class."""
        return np.bincount(self.classes, minlength=self.number)

    def matrix(self, first: int, stop: int) -> NDArray[np.int64]:
        """Counts of the classes first to stop, as an array (classes, values)."""
        start, end = np.searchsorted(self.classes, [first, stop])
        table = np.zeros((stop - first, len(self.totals)), dtype=np.int64)
        table[self.classes[start:end] - first, self.values[start:end]] = self.counts[start:end]
        return table


class Partition:
    """Tuples in classes 0 to number - 1, each with at least one row.

    Args:
        ids: the class of each tuple; -1 for a tuple that is left out.
        counts: rows of each tuple.
        number: how many classes.
    """

    def __init__(
        self,
        ids: NDArray[np.int64],
        counts: NDArray[np.int64],
        number: int,
        sensitive: Mapping[str, Sensitive],
        rows: int,
        sizes: NDArray[Any] | None = None,
    ) -> None:
        self.ids = ids
        self.number = number
        self.rows = rows
        self._counts = counts
        self._sensitive = sensitive
        self._histograms: dict[str, Histogram] = {}
        self._sizes = sizes

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
            source = self._sensitive[column]
            extent = max(1, len(source.totals))
            classes = self.ids[source.tuples]
            inside = classes >= 0
            keys = classes[inside] * extent + source.values[inside]
            order, number = dense(keys)
            counts = np.bincount(order, weights=source.counts[inside], minlength=number).astype(np.int64)
            first = np.empty(number, dtype=np.int64)
            first[order] = keys
            ranked = np.argsort(first)
            pairs = first[ranked]
            self._histograms[column] = Histogram(
                pairs // extent,
                pairs % extent,
                counts[ranked],
                self.number,
                source.labels,
                source.totals,
                self.rows,
            )
        return self._histograms[column]

    def only(self, kept: NDArray[np.bool_]) -> Partition:
        """The classes for which `kept` holds, renumbered in order."""
        renumbered = np.full(
            self.number + 1, -1, dtype=np.int64
        )  # the last entry serves the -1 of left-out tuples
        renumbered[:-1][kept] = np.arange(int(kept.sum()))
        return Partition(
            renumbered[self.ids],
            self._counts,
            int(kept.sum()),
            self._sensitive,
            self.rows,
            self.sizes[kept],
        )
