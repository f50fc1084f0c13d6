"""Earth mover's distance from each class's distribution to the whole table's (Li et al. 2007).

With q the class's shares of the values and p the table's, each of the three distances is a sum over cuts of
the values in two: weight times |sum over one side of (q - p)|. Equal: each value against the rest, weight
1/2. Ordered: the values up to one against those after it, weight 1 over (values less one). Hierarchical, over
a tree of height H: each label below the top against the rest, weight 1/(2H), since two leaves lie twice the
way up to their lowest common label apart.

`distances` works in floats on shares; an error of theirs is far under 1e-12, whatever the table's size.
`distance_of` is exact, for one class.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from comity.deidentify.hierarchies.hierarchy import Hierarchy, shown, texts_of
from comity.deidentify.models.partition import Histogram
from comity.errors import BadTable

_CELLS = 2_000_000
"""Classes are worked on in slices of about this many table cells."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ground:
    """A ground distance that is not "equal", as cuts of the values put in a suitable order.

    Attributes:
        order: values, by code, in the order that the cuts need.
        starts: per kind of cut, where in that order its groups start; empty for "ordered", whose cuts are
            the beginnings of the order.
        weight: one over this is the weight of a cut.
    """

    order: NDArray[np.int64]
    starts: tuple[NDArray[np.int64], ...]
    weight: int

    def cuts(self, table: Floats) -> Floats:
        """Sums over one side of each cut, of an array (values in order, classes)."""
        if not self.starts:
            return np.cumsum(table, axis=0)
        return np.concatenate([_summed(table, starts) for starts in self.starts])

    def potentials(self, signs: Floats) -> Floats:
        """Per value in order, the sum of the signs of the cuts that it is in."""
        if not self.starts:
            return np.cumsum(signs[::-1], axis=0)[::-1]
        total, place = np.zeros((len(self.order), signs.shape[1])), 0
        for starts in self.starts:
            widths = np.diff(np.append(starts, len(self.order)))
            total += np.repeat(signs[place : place + len(starts)], widths, axis=0)
            place += len(starts)
        return total

    def exact_cuts(self, amounts: Sequence[int]) -> Iterator[int]:
        """`cuts` of one class in whole numbers."""
        if not self.starts:
            total = 0
            for amount in amounts:
                total += amount
                yield total
            return
        for starts in self.starts:
            ends = [*starts[1:].tolist(), len(amounts)]
            yield from (sum(amounts[a:b]) for a, b in zip(starts.tolist(), ends, strict=True))


def ground(
    labels: Sequence[object], distance: str, hierarchy: Hierarchy | None, order: Sequence[object] | None
) -> Ground | None:
    """How far values are apart; None for the equal distance.

    Raises:
        BadTable: private; if the order or the hierarchy leaves out a value.
    """
    if distance == "equal":
        return None
    if distance == "ordered":
        ranked = np.array(ordering(labels, order), dtype=np.int64)
        return Ground(ranked, (), max(1, len(ranked) - 1))
    if hierarchy is None:
        raise BadTable("the hierarchical distance needs a hierarchy", private=False)
    whole = hierarchy.with_missing() if None in labels else hierarchy
    leaves = np.array(whole.locate(labels), dtype=np.int64)
    if (leaves < 0).any():
        absent = [str(x) for x, leaf in zip(labels, leaves, strict=True) if leaf < 0]
        raise BadTable(f"the hierarchy for t-closeness has no row for {shown(absent)}")
    paths = [codes[leaves] for codes in whole.codes]
    ranked = np.lexsort(paths)  # the last key, the top, sorts first: siblings end up side by side
    starts = tuple(
        np.flatnonzero(np.r_[True, path[ranked][1:] != path[ranked][:-1]])
        for path in paths[: whole.levels - 1]
    )
    return Ground(ranked, starts, 2 * (whole.levels - 1))


def distances(found: Histogram, sizes: NDArray[np.int64], how: Ground | None) -> Floats:
    """The distance of each class."""
    shares = found.totals / found.rows
    if how is None and found.table is not None:
        far = np.abs(found.table / sizes - shares[:, None]).sum(axis=0)
        return far / 2
    if how is None:
        there = shares[found.values]
        q = found.counts / sizes[found.classes]
        return (found.summed(np.abs(q - there) - there) + 1) / 2
    far = np.empty(found.number)
    for first, stop, extra in _slices(found, sizes, how):
        far[first:stop] = np.abs(how.cuts(extra)).sum(axis=0) / how.weight
    return far


def distance_of(counts: Mapping[int, int], totals: Sequence[int], how: Ground | None) -> Fraction:
    """The distance of one class, exact."""
    size, rows = sum(counts.values()), sum(totals)
    extra = [counts.get(value, 0) * rows - total * size for value, total in enumerate(totals)]
    if how is None:
        return Fraction(sum(abs(amount) for amount in extra), 2 * size * rows)
    moved = sum(abs(cut) for cut in how.exact_cuts([extra[value] for value in how.order.tolist()]))
    return Fraction(moved, how.weight * size * rows)


def within_distance(found: Histogram, sizes: NDArray[np.int64], how: Ground, t: float) -> Floats:
    """Per class, an upper bound on the rows of any part of it that lies within distance t of the table.

    A potential f with differences below the ground distance (here the class's own, from the signs of its
    cuts) has E_part f - E_table f <= t (the dual of moving mass), so that the sum over a part's rows of
    f - E_table f - t is at most 0. Taking out the rows with the highest f reaches that soonest.
    """
    most = np.empty(found.number)
    shares = (found.totals / found.rows)[how.order]
    for first, stop, extra in _slices(found, sizes, how):
        potential = how.potentials(np.sign(how.cuts(extra))) / how.weight
        height = potential - shares @ potential - t
        counts = found.matrix(first, stop)[how.order]
        falling = np.argsort(-height, axis=0)
        height = np.take_along_axis(height, falling, axis=0)
        counts = np.take_along_axis(counts, falling, axis=0)
        weighed = counts * height
        over = weighed.sum(axis=0)
        before = np.cumsum(weighed, axis=0) - weighed
        needed = np.clip((over - before) / np.where(height > 0, height, 1.0), 0.0, counts)
        out = np.where(height > 0, needed, 0.0).sum(axis=0)
        most[first:stop] = sizes[first:stop] - out
    return most


def _summed(table: Floats, starts: NDArray[np.int64]) -> Floats:
    """Sums of groups of rows."""
    return table if len(starts) == len(table) else np.add.reduceat(table, starts, axis=0)


def ordering(labels: Sequence[object], order: Sequence[object] | None) -> list[int]:
    """Codes of the column's values from least to most, those at one place by their texts; a missing value
    comes last.

    Raises:
        BadTable: private; if an order is given and leaves out a value.
    """
    if order is not None:
        rank = {text: number for number, value in enumerate(order) for text in texts_of(value)}
        places = [next((rank[t] for t in texts_of(x) if t in rank), -1) for x in labels]
        absent = [str(x) for x, place in zip(labels, places, strict=True) if place < 0 and x is not None]
        if absent:
            raise BadTable(f"the order for t-closeness leaves out {shown(absent)}")
        return sorted(range(len(labels)), key=lambda i: (labels[i] is None, places[i], str(labels[i])))
    try:
        numbers = [0.0 if x is None else float(x) for x in labels]  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        numbers = [math.nan]
    if any(math.isnan(number) for number in numbers):
        numbers = [0.0] * len(labels)  # texts: by their letters alone
    return sorted(range(len(labels)), key=lambda i: (labels[i] is None, numbers[i], str(labels[i])))


def _slices(found: Histogram, sizes: NDArray[np.int64], how: Ground) -> Iterator[tuple[int, int, Floats]]:
    """Classes a slice at a time: q - p, as an array (values in order, classes)."""
    shares = found.totals / found.rows
    step = max(1, _CELLS // max(1, len(shares)))
    for first in range(0, found.number, step):
        stop = min(first + step, found.number)
        q = found.matrix(first, stop) / sizes[first:stop]
        yield first, stop, (q - shares[:, None])[how.order]
