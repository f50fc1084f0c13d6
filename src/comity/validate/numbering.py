"""Numbering: groups of records as small whole numbers, counted and renumbered in few passes."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

_BLOCK: Final = 1 << 16
"""Records at a time: what a pass makes on the way stays in the processor's cache."""

_PAIRS: Final = 1 << 18
_COMPARED: Final = 8
"""So few groups are counted by comparing with each: that is faster than looking up."""

_COMPARED_AT_ONCE: Final = 64
"""So few groups of records that make one block: a look-up's time would depend on the labels."""


def counted(
    groups: NDArray[Any], size: int, labels: NDArray[Any] | None = None, classes: int = 1
) -> Integers:
    """(size * classes,) records of each group and label, group by group, in one pass; -1 is in no group.

    Args:
        labels: (rows,) 0 .. classes - 1; None: all are 0.
    """
    if _small(groups) and (labels is None or _small(labels)) and (size + 1) * classes <= 1 << 8:
        return _counted_bytes(groups.view(np.uint8), size, None if labels is None else labels, classes)
    total = np.zeros((size + 1) * classes, dtype=np.int64)
    if groups.dtype.kind == "u" and groups.dtype.itemsize <= 4 and labels is None and classes == 1:
        for start in range(0, len(groups), _BLOCK):
            total[1:] += np.bincount(groups[start : start + _BLOCK], minlength=size)
        return total[1:]
    for start in range(0, len(groups), _BLOCK):
        cells = groups[start : start + _BLOCK].astype(np.int64)
        cells += 1
        if labels is not None:
            cells *= classes
            cells += labels[start : start + _BLOCK]
        total += np.bincount(cells, minlength=len(total))
    return total[classes:]


def _small(values: NDArray[Any]) -> bool:
    """Whether these are bytes, one beside the other."""
    return values.dtype.kind in "iub" and values.dtype.itemsize == 1 and values.flags.c_contiguous


def _counted_bytes(
    groups: NDArray[np.uint8], size: int, labels: NDArray[Any] | None, classes: int
) -> Integers:
    """As `counted`, of numbers that are bytes; -1 is 255, and with a label it lies beyond all cells too."""
    total = np.zeros(1 << 8, dtype=np.int64)
    compared = _COMPARED_AT_ONCE if len(groups) <= _BLOCK else _COMPARED
    step = 2 * _PAIRS if size * classes > compared else _BLOCK
    for start in range(0, len(groups), step):
        cells = groups[start : start + step]
        if labels is not None:
            cells = cells * np.uint8(classes)
            cells += labels[start : start + step].view(np.uint8)
        if step == _BLOCK:
            for cell in range(size * classes):
                total[cell : cell + 1] += how_many(cells == cell)
            continue
        even = len(cells) // 2 * 2
        # two neighbours are looked up at once
        pairs = np.bincount(cells[:even].view(np.uint16), minlength=1 << 16).reshape(1 << 8, 1 << 8)
        total += pairs.sum(axis=0) + pairs.sum(axis=1)
        total[cells[even:]] += 1
    return total[: size * classes]


def how_many(flags: NDArray[np.bool_]) -> Integers:
    """(1,) how many of (records,) booleans are true.

    The time does not depend on them: eight are added at once, as the bytes of a word, and the count is never
    a Python number, for which small ones are ready made and larger ones are not.
    """
    flags = np.ascontiguousarray(flags)
    whole = len(flags) // 1024 * 1024
    # 128 words at a time, so that no byte passes 255
    added = flags[:whole].view(np.uint64).reshape(-1, 128).sum(axis=1, dtype=np.uint64)
    rest = flags[whole:].view(np.uint8)
    return added.view(np.uint8).sum(dtype=np.int64, keepdims=True) + rest.sum(dtype=np.int64, keepdims=True)


def highest(numbers: NDArray[Any]) -> int:
    """The largest number; -1 without any."""
    return int(numbers.max()) if len(numbers) else -1


def numbered_by_first(numbers: NDArray[Any]) -> tuple[NDArray[Any], Integers]:
    """Group numbers without gaps, in the order of first appearance, so that equal groupings look equal.

    Returns:
        (records,) the numbers, and the sizes of the groups.
    """
    low, high = int(numbers.min(initial=0)), highest(numbers)
    if low < -1 or high > 4 * len(numbers) + 1024:
        inside = numbers >= 0
        compact = np.full(len(numbers), -1, dtype=np.int64)
        compact[inside] = np.unique(numbers[inside], return_inverse=True)[1]
        return numbered_by_first(compact)
    counts = counted(numbers, high + 1)
    order = _first_appearance(numbers, int(np.count_nonzero(counts)))
    if len(order) == high + 1 and bool((order == np.arange(high + 1)).all()):
        return numbers, counts
    small = np.min_scalar_type(-1 - len(order))
    rank = np.full(high + 2, -1, dtype=small)  # -1 finds the last place
    rank[order] = np.arange(len(order))
    return _looked_up(rank, numbers), counts[order]


def _looked_up(table: NDArray[Any], numbers: NDArray[Any]) -> NDArray[Any]:
    """The table's entry for each number, -1 the last one; of many bytes two at once."""
    if table.dtype.itemsize > 1 or not _small(numbers) or len(numbers) < 1 << 18:
        return table[numbers]
    found = np.empty(len(numbers), dtype=table.dtype)
    every = np.zeros(1 << 8, dtype=np.uint8)
    every[: len(table) - 1] = table[:-1].view(np.uint8)
    if numbers.dtype.kind == "i":
        every[-1] = table[-1:].view(np.uint8)[0]
    both = every[np.arange(1 << 16, dtype=np.uint16).view(np.uint8)].view(np.uint16)
    even = len(numbers) // 2 * 2
    np.take(both, numbers[:even].view(np.uint16), out=found[:even].view(np.uint16), mode="clip")
    found[even:] = table[numbers[even:]]
    return found


def _first_appearance(numbers: NDArray[Any], distinct: int) -> Integers:
    """The group numbers in the order in which they first appear; only as far as it takes to see them all."""
    order = np.zeros(0, dtype=np.int64)
    start, size = 0, 4096
    while len(order) < distinct:
        part = numbers[start : start + size]
        found, first = np.unique(part, return_index=True)
        found = found[np.argsort(first, kind="stable")]
        order = np.concatenate([order, found[(found >= 0) & ~np.isin(found, order)]])
        start, size = start + size, size * 2
    return order
