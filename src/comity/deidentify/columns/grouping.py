"""Groups of at least k similar points: MDAV for several coordinates, the optimum for one.

Sources: Domingo-Ferrer and Mateo-Sanz 2002, Domingo-Ferrer and Torra 2005 (MDAV); Hansen and Mukherjee 2003
(the optimum as a shortest path).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

PART: Final = 40_000
"""MDAV's time grows with the square of the rows, so larger tables are halved until parts are this small."""


def mdav(points: Floats, k: int) -> Integers:
    """(n,) groups of k to 2k - 1 of (n, d) points, MDAV; ties go to the earlier row.

    Around the point farthest from the mean and the one farthest from that, the k nearest each make a group,
    until fewer than 3k are left. More than `PART` points are first halved at the median of their widest
    coordinate, again and again.
    """
    groups = np.empty(len(points), dtype=np.int64)
    number = 0
    for part in _parts(points, np.arange(len(points)), k):
        found = _mdav(np.ascontiguousarray(points[part].T), k)
        groups[part] = found + number
        number += int(found.max()) + 1
    return groups


def optimal_groups(values: Floats, k: int) -> Integers:
    """(n,) groups of k to 2k - 1 of (n,) numbers with the least sum of squares within: the shortest path.

    Groups of the optimum are runs of the sorted numbers. Time n k. Sums are taken of centred numbers.
    """
    n = len(values)
    order = np.argsort(values, kind="stable")
    ordered = values[order] - values.mean()
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    squares = np.concatenate([[0.0], np.cumsum(ordered**2)])
    best = np.full(n + 1, np.inf)
    best[0] = 0.0
    start = np.zeros(n + 1, dtype=np.int64)
    for end in range(k, n + 1):
        low, stop = max(0, end - 2 * k + 1), end - k + 1
        spread = squares[end] - squares[low:stop]
        spread = spread - (sums[end] - sums[low:stop]) ** 2 / (end - np.arange(low, stop))
        costs = best[low:stop] + np.maximum(spread, 0.0)
        at = int(costs.argmin())
        best[end], start[end] = costs[at], low + at
    groups = np.empty(n, dtype=np.int64)
    end, number = n, 0
    while end:
        groups[order[start[end] : end]] = number
        end, number = int(start[end]), number + 1
    return groups


def _mdav(points: Floats, k: int) -> Integers:
    """MDAV of (d, n) points, coordinates first; returns (n,) groups."""
    n = points.shape[1]
    groups = np.empty(n, dtype=np.int64)
    rows = np.arange(n)
    number = 0
    while len(rows) >= 3 * k:
        first = int(_squared(points, points.mean(axis=1)).argmax())
        apart = _squared(points, points[:, first])
        second = points[:, int(apart.argmax())]
        kept = np.ones(len(rows), dtype=bool)
        near = _nearest(apart, k)
        groups[rows[near]] = number
        kept[near] = False
        distances = _squared(points, second)
        distances[near] = np.inf
        near = _nearest(distances, k)
        groups[rows[near]] = number + 1
        kept[near] = False
        number += 2
        points, rows = points[:, kept], rows[kept]
    if len(rows) >= 2 * k:
        first = int(_squared(points, points.mean(axis=1)).argmax())
        near = _nearest(_squared(points, points[:, first]), k)
        groups[rows[near]] = number
        rows = np.delete(rows, near)
        number += 1
    groups[rows] = number
    return groups


def _squared(points: Floats, centre: Floats) -> Floats:
    total = np.square(points[0] - centre[0])
    for coordinate, middle in zip(points[1:], centre[1:], strict=True):
        total += np.square(coordinate - middle)
    return total


def _nearest(distances: Floats, k: int) -> Integers:
    """The k places of least distance; equal ones in order."""
    limit = np.partition(distances, k - 1)[k - 1]
    below = np.flatnonzero(distances < limit)
    return np.concatenate([below, np.flatnonzero(distances == limit)[: k - len(below)]])


def _parts(points: Floats, rows: Integers, k: int) -> list[Integers]:
    if len(rows) <= max(PART, 4 * k):
        return [rows]
    here = points[rows]
    widest = int(np.ptp(here, axis=0).argmax())
    order = rows[np.argsort(here[:, widest], kind="stable")]
    half = len(order) // 2
    return _parts(points, np.sort(order[:half]), k) + _parts(points, np.sort(order[half:]), k)
