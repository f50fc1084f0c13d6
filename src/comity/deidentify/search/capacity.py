"""How many rows of a class a release below can keep at most, whatever classes it is split into.

All models here are closed under merging: the parts of a class that a release keeps, put together, satisfy the
model too. So the answer is the largest sub-table of the class that satisfies it, and every function here
gives that number or more, never less: it rules nodes out of the search.

Where only how much of each value counts, the largest sub-table of any size is the class with its counts cut
at one height: no other vector under the counts with the same sum is spread more evenly (it is majorised by
all others), so none has more entropy, a smaller largest count, or more outside the l - 1 largest counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from comity.deidentify.models.partition import Histogram

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_SLACK = 1e-9
_HALVINGS = 6
_CELLS = 1_000_000


def rounded_down(most: Floats, sizes: Integers) -> Integers:
    """Whole numbers under a bound that carries rounding errors, never too low; at most the sizes."""
    return np.minimum(np.floor(most * (1 + _SLACK) + 1e-6), sizes).astype(np.int64)


def under_shares(found: Histogram, sizes: Integers, shares: Floats, needed: float) -> Integers:
    """The most rows n with sum over values of min(count, n * share) >= needed * n.

    That sum is the least over sets of values of (counts inside the set + n * shares outside), attained by
    the values with the lowest count/share. Any set gives a bound on n, so their order needs no exactness.

    Args:
        shares: per value of the column, how much of a class it may at most have.
    """
    if found.table is not None and len(found.table) == 2:
        return _under_two_shares(found.table, sizes, shares, needed)
    allowed = shares[found.values]
    order = np.lexsort((found.counts / np.maximum(allowed, 1e-300), found.classes))
    counts, allowed = found.counts[order].astype(np.float64), allowed[order]
    whole = found.summed(shares[found.values])
    first = found.starts
    inside, taken = np.cumsum(counts), np.cumsum(allowed)
    inside -= np.repeat(inside[first] - counts[first], found.distinct)
    taken -= np.repeat(taken[first] - allowed[first], found.distinct)
    slope = needed - (np.repeat(whole, found.distinct) - taken)
    with np.errstate(divide="ignore", invalid="ignore"):
        bound = np.where(slope > _SLACK, inside / slope, np.inf)
    most = np.minimum.reduceat(bound, first)
    most[needed - whole > _SLACK] = 0.0  # the empty set
    return rounded_down(np.minimum(most, sizes), sizes)


def _under_two_shares(table: Floats, sizes: Integers, shares: Floats, needed: float) -> Integers:
    """`under_shares` for a column with two values: the sets of one value, of both, and of none."""
    if needed - float(shares.sum()) > _SLACK:
        return np.zeros(len(sizes), dtype=np.int64)
    most = sizes.astype(np.float64)
    for inside, slope in (
        (table[0], needed - shares[1]),
        (table[1], needed - shares[0]),
        (table[0] + table[1], needed),
    ):
        if slope > _SLACK:
            most = np.minimum(most, inside / slope)
    return rounded_down(most, sizes)


def with_entropy(found: Histogram, sizes: Integers, least: float) -> Integers:
    """The most rows with an entropy of at least `least` nats."""
    if found.table is not None and len(found.table) == 2:
        share = _scarcer_share(least)
        if share <= 0:
            return sizes
        return rounded_down(found.table.min(axis=0) / share, sizes)
    most = np.zeros(found.number)
    spread = np.log(found.distinct) >= least - _SLACK
    if spread.any():
        places = np.flatnonzero(spread)
        for classes, counts in _padded(found if len(places) == found.number else found.only(spread)):
            most[places[classes]] = _cut_to_entropy(counts, least)
    return rounded_down(most, sizes)


def _scarcer_share(least: float) -> float:
    """The share that the scarcer of two values has to have for an entropy of at least `least`, or less;
    above 1/2 if nothing is enough."""
    low, high = 0.0, 0.5
    if least > math.log(2) + _SLACK:
        return math.inf
    for _ in range(60):
        middle = (low + high) / 2
        entropy = -middle * math.log(middle) - (1 - middle) * math.log(1 - middle)
        low, high = (middle, high) if entropy < least - _SLACK else (low, middle)
    return low


def _cut_to_entropy(counts: Floats, least: float) -> Floats:
    """Counts rise along a row, with zeros first. Entropy falls as the height of the cut rises."""
    width = counts.shape[1]
    above = np.arange(width - 1, -1, -1, dtype=np.float64)
    logs = counts * np.log(np.maximum(counts, 1.0))
    below, below_logs = np.cumsum(counts, axis=1) - counts, np.cumsum(logs, axis=1) - logs
    entropy = _cut_entropy(below, below_logs, above + 1, np.maximum(counts, 1.0))
    feasible = (entropy >= least - _SLACK) & (counts > 0)
    lines = np.arange(len(counts))
    last = width - 1 - np.argmax(feasible[:, ::-1], axis=1)  # the highest count at which cutting is enough
    after = np.minimum(last + 1, width - 1)
    low, high = counts[lines, last], counts[lines, after]
    base, base_logs, many = below[lines, after], below_logs[lines, after], above[after] + 1
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        enough = _cut_entropy(base, base_logs, many, np.maximum(middle, 1.0)) >= least - _SLACK
        low, high = np.where(enough, middle, low), np.where(enough, high, middle)
    return np.where(feasible.any(axis=1), base + many * high, 0.0)


def _cut_entropy(below: Floats, below_logs: Floats, many: Floats, height: Floats) -> Floats:
    """Entropy of the counts below, and of `many` counts of one height."""
    total = below + many * height
    return np.log(total) - (below_logs + many * height * np.log(height)) / total


def below_tail(found: Histogram, sizes: Integers, tail: Integers, c: Fraction) -> Integers:
    """The most rows whose largest count is below c times the tail.

    Args:
        tail: per class, the sum of its counts from the l-th largest on: no part of it has more.
    """
    heights = np.ceil(float(c) * tail * (1 + _SLACK) + 1e-6)
    if found.table is not None:
        cut = np.minimum(found.table, heights).sum(axis=0)
    else:
        cut = found.summed(np.minimum(found.counts, heights[found.classes]))
    return np.minimum(cut.astype(np.int64), sizes)


def _padded(found: Histogram) -> Iterator[tuple[Integers, Floats]]:
    """Counts as arrays (classes, values), rising along a row; classes of like width together if need be."""
    extent = len(found.totals)
    if found.number * extent <= _CELLS:
        yield np.arange(found.number), np.sort(found.matrix(0, found.number).T, axis=1)
        return
    order = np.lexsort((found.counts, found.classes))
    rank = np.arange(len(order)) - np.repeat(found.starts, found.distinct)
    doubling = np.ceil(np.log2(found.distinct)).astype(np.int64)
    for power in np.unique(doubling):
        chosen = doubling == power
        inside = chosen[found.classes]
        line = (np.cumsum(chosen) - 1)[found.classes[inside]]
        width = 2 ** int(power)
        table = np.zeros((int(chosen.sum()), width))
        place = rank[inside] + width - found.distinct[found.classes[inside]]
        table[line, place] = found.counts[order][inside]
        yield np.flatnonzero(chosen), table
