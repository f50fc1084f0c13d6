"""Earth mover's distance from each class's distribution to the whole table's, in integers (Li et al. 2007).

With c_i of n rows in a class and C_i of N in the table, everything is done on d_i = c_i N - C_i n, so that
the distance is (moved mass) / (unit n N). Sums that could pass 2^62 are done in Python's integers: they never
wrap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.deidentify.hierarchy import Hierarchy, shown, texts_of
from comity.deidentify.partition import Histogram
from comity.errors import BadTable

_CELLS = 2_000_000
"""Classes are worked on in slices of about this many table cells."""


def moved_mass(
    found: Histogram,
    sizes: NDArray[np.int64],
    distance: str,
    hierarchy: Hierarchy | None,
    order: Sequence[object] | None,
) -> tuple[NDArray[np.generic], int]:
    """Moved mass per class, and the unit: distance = mass / (unit * class size * rows of the table)."""
    if distance == "equal":
        return _equal(found, sizes), 2
    if distance == "ordered":
        return _ordered(found, sizes, ordering(found.labels, order))
    if hierarchy is None:
        raise BadTable("the hierarchical distance needs a hierarchy", private=False)
    return _hierarchical(found, sizes, hierarchy)


def _number_type(found: Histogram, factor: int) -> type:
    return np.int64 if 4 * factor * found.rows**2 < 2**62 else object


def _equal(found: Histogram, sizes: NDArray[np.int64]) -> NDArray[np.generic]:
    kind = _number_type(found, 1)
    sizes, totals = sizes.astype(kind), found.totals.astype(kind)
    there = totals[found.values] * sizes[found.classes]
    difference = np.abs(found.counts.astype(kind) * found.rows - there) - there
    moved = sizes * found.rows  # what values absent from the class leave; those present are corrected
    np.add.at(moved, found.classes, difference)
    return moved


def ordering(labels: Sequence[object], order: Sequence[object] | None) -> list[int]:
    """Codes of the column's values from least to most; a missing value comes last.

    Raises:
        BadTable: if an order is given and leaves out a value.
    """
    if order is not None:
        rank = {text: number for number, value in enumerate(order) for text in texts_of(value)}
        places = [next((rank[t] for t in texts_of(x) if t in rank), -1) for x in labels]
        absent = [str(x) for x, place in zip(labels, places, strict=True) if place < 0 and x is not None]
        if absent:
            raise BadTable(f"the order for t-closeness leaves out {shown(absent)}")
        return sorted(range(len(labels)), key=lambda i: (labels[i] is None, places[i]))
    try:
        keys: list[tuple[bool, float | str]] = [
            (x is None, 0.0 if x is None else float(x))  # type: ignore[arg-type]
            for x in labels
        ]
    except (TypeError, ValueError):
        keys = [(x is None, "" if x is None else str(x)) for x in labels]
    return sorted(range(len(labels)), key=lambda i: keys[i])


def _slices(classes: int, width: int) -> list[tuple[int, int]]:
    step = max(1, _CELLS // max(1, width))
    return [(first, min(first + step, classes)) for first in range(0, classes, step)]


def _differences(
    found: Histogram, sizes: NDArray[np.int64], first: int, stop: int, kind: type
) -> NDArray[np.generic]:
    counts = found.matrix(first, stop).astype(kind)
    return counts * found.rows - sizes[first:stop].astype(kind)[:, None] * found.totals.astype(kind)[None, :]


def _ordered(found: Histogram, sizes: NDArray[np.int64], order: list[int]) -> tuple[NDArray[np.generic], int]:
    width = len(order)
    kind = _number_type(found, width)
    moved = np.zeros(found.number, dtype=kind)
    for first, stop in _slices(found.number, width):
        running = np.cumsum(_differences(found, sizes, first, stop, kind)[:, order], axis=1)
        moved[first:stop] = np.abs(running).sum(axis=1)
    return moved, max(1, width - 1)


def _hierarchical(
    found: Histogram, sizes: NDArray[np.int64], hierarchy: Hierarchy
) -> tuple[NDArray[np.generic], int]:
    hierarchy = hierarchy.with_missing() if None in found.labels else hierarchy
    leaves = np.array(hierarchy.locate(found.labels), dtype=np.int64)
    if (leaves < 0).any():
        absent = [str(x) for x, leaf in zip(found.labels, leaves, strict=True) if leaf < 0]
        raise BadTable(f"the hierarchy for t-closeness has no row for {shown(absent)}")
    paths = [np.array([codes[leaf] for leaf in leaves]) for codes in hierarchy.codes]
    order = np.lexsort(paths)  # the last key, the top, sorts first: siblings end up side by side
    kind = _number_type(found, hierarchy.levels)
    moved = np.zeros(found.number, dtype=kind)
    for first, stop in _slices(found.number, len(order)):
        extra = _differences(found, sizes, first, stop, kind)[:, order]
        below = paths[0][order].astype(np.int64)
        extra, below = _summed(extra, below, below)
        for height in range(1, hierarchy.levels):
            parents = _parents(hierarchy, height)[below]
            gained, above = _summed(np.maximum(extra, 0), parents, parents)
            lost, _ = _summed(np.maximum(-extra, 0), parents, parents)
            moved[first:stop] += height * np.minimum(gained, lost).sum(axis=1)
            extra, below = gained - lost, above
    return moved, hierarchy.levels - 1


def _parents(hierarchy: Hierarchy, height: int) -> NDArray[np.int64]:
    """For each label of the level below, its label at this level."""
    parents = np.zeros(len(hierarchy.labels[height - 1]), dtype=np.int64)
    parents[hierarchy.codes[height - 1]] = hierarchy.codes[height]
    return parents


def _summed(
    table: NDArray[Any], groups: NDArray[np.int64], names: NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Sum neighbouring columns of one group; the groups' names."""
    starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
    return np.add.reduceat(table, starts, axis=1), names[starts]
