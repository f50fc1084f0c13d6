"""Coarser tables for the search: tuples merged at levels that many nodes share.

Nodes that agree in the attributes that merge most are evaluated on the tuples merged at their levels of these
attributes, the others still as they came: a few thousand instead of tens of thousands. Those are merged once
more for nodes that agree in most of the others, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from comity.deidentify.models.partition import Histogram
from comity.deidentify.search.tuples import Sensitive, Tuples, dense


@dataclass(frozen=True)
class Merged:
    """Tuples merged where they fall together.

    Attributes:
        tuples: leaves are those of one tuple of each class; only levels at or above the merge are right.
        names: for each tuple of the table, its place among the merged ones, which keep the order of their
            first members.
        order, starts: the table's tuples by merged tuple, and where each of those starts.
    """

    tuples: Tuples
    names: NDArray[np.int64]
    order: NDArray[np.int64]
    starts: NDArray[np.int64]

    def added(self, per_tuple: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums of rows, one row per tuple of the table, over the tuples merged."""
        return np.add.reduceat(per_tuple[self.order], self.starts, axis=0)


def merged(tuples: Tuples, keys: NDArray[np.int64]) -> Merged:
    """Merge tuples with equal keys."""
    names, number = dense(keys)
    small = names.astype(np.uint16) if number <= 2**16 else names
    order = np.argsort(small, kind="stable")
    sizes = np.bincount(names, minlength=number)
    starts = np.cumsum(sizes) - sizes
    first = order[starts]
    sensitive = {}
    for name, source in tuples.sensitive.items():
        found = Histogram.counted(source, names[source.tuples], number, tuples.rows, everybody=True)
        sensitive[name] = Sensitive(found.classes, found.values, found.counts, source.labels, source.totals)
    coarse = Tuples(
        hierarchies=tuples.hierarchies,
        codes=tuple(codes[first] for codes in tuples.codes),
        counts=np.add.reduceat(tuples.counts[order], starts),
        of_row=np.zeros(0, dtype=np.int64),
        sensitive=sensitive,
    )
    return Merged(coarse, names, order, starts)


def stages(tuples: Tuples) -> tuple[tuple[int, ...], ...]:
    """Which attributes to merge tuples in first, and which after that.

    First half of them: those without which the fewest tuples are left. Then half of the others, those with
    the fewest levels: the more nodes are left to share what was merged.
    """
    number = len(tuples.codes)
    left = []
    for j in range(number):
        keys = np.zeros(len(tuples.counts), dtype=np.int64)
        for i, codes in enumerate(tuples.codes):
            if i != j:
                # a collision of wrapped keys only makes the guess worse
                keys = keys * np.int64(1_000_003) + codes
        left.append(dense(keys)[1])
    order = sorted(range(number), key=lambda j: left[j])
    first, others = order[: (number + 1) // 2], order[(number + 1) // 2 :]
    others.sort(key=lambda j: tuples.hierarchies[j].levels)
    second = others[: len(others) // 2]
    return (tuple(first), tuple(second)) if second else (tuple(first),)
