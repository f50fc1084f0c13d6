"""Coarsen: bins merged until the monitor of every frame would admit them all. Public facts only.

The ML party does this before it asks, with the same `Monitor` that the provider asks afterwards: it knows
the frames and the bins, so it can foresee every refusal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from comity.errors import ClauseRefused
from comity.validate.effects import Codes, Effects
from comity.validate.monitor import Monitor

Bins = NDArray[np.uint16]
"""(width,) the bin that each bin of a column becomes."""

_MOST_REPAIRS = 1_000


def coarsened(codes: Sequence[Codes], effects: Effects, minimum: int) -> tuple[Bins, ...]:
    """Per column, the bin that each bin becomes so that every frame's monitor admits all columns.

    First bins with too few records join others; then bins whose difference from another column's bins is
    too small; if records are still singled out by several columns together, columns in turn lose detail
    until the monitor is content. In the worst case a column ends with one bin.

    Args:
        codes: per frame, (rows, columns).
        effects: the columns' widths and whether their bins have an order.
        minimum: the least number of records that an answer may be about.
    """
    becomes = [_without_small(column, codes, effects, minimum) for column in range(len(effects.widths))]
    _repair_differences(becomes, codes, effects, minimum)
    if not all(
        _admits(Monitor(range(len(frame)), minimum=minimum), merged(frame, becomes)) for frame in codes
    ):
        _repair_columns(becomes, codes, effects, minimum)
    return tuple(becomes)


def merged(codes: Codes, becomes: Sequence[Bins]) -> Codes:
    """(rows, columns) codes after merging."""
    return np.stack([bins[codes[:, column]] for column, bins in enumerate(becomes)], axis=1)


def _without_small(column: int, codes: Sequence[Codes], effects: Effects, minimum: int) -> Bins:
    """The column's bins, merged so that each has `minimum` records in every frame that uses it."""
    width = effects.widths[column]
    counts = np.stack([np.bincount(frame[:, column], minlength=width) for frame in codes])
    becomes = np.arange(width, dtype=np.uint16)
    while True:
        used = np.flatnonzero(counts.sum(axis=0))
        small = [at for at in used if ((counts[:, at] > 0) & (counts[:, at] < minimum)).any()]
        if not small or len(used) == 1:
            return becomes
        totals = counts.sum(axis=0)
        bin_ = min(small, key=lambda at: int(totals[at]))
        into = _companion(bin_, totals, ordered=effects.ordered[column])
        counts[:, into] += counts[:, bin_]
        counts[:, bin_] = 0
        becomes[becomes == bin_] = into


def _companion(bin_: int, totals: NDArray[np.int64], *, ordered: bool) -> int:
    """The bin to join: the smaller neighbour where there is an order, else the most frequent one."""
    others = np.flatnonzero(totals)
    others = others[others != bin_]
    if not ordered:
        return int(others[np.argmax(totals[others])])
    near = np.concatenate([others[others < bin_][-1:], others[others > bin_][:1]])
    return int(near[np.argmin(totals[near])])


def _repair_differences(becomes: list[Bins], codes: Sequence[Codes], effects: Effects, minimum: int) -> None:
    """Merge bins that lie in another column's bin and leave fewer than `minimum` records of it."""
    for _ in range(_MOST_REPAIRS):
        found = next(_differences(becomes, codes, effects, minimum), None)
        if found is None:
            return
        column, bin_ = found
        _join(becomes, column, bin_, codes, effects)


def _join(becomes: list[Bins], column: int, bin_: int, codes: Sequence[Codes], effects: Effects) -> None:
    width = effects.widths[column]
    totals = np.sum(
        [np.bincount(becomes[column][frame[:, column]], minlength=width) for frame in codes], axis=0
    )
    if np.count_nonzero(totals) > 1:
        into = _companion(bin_, totals, ordered=effects.ordered[column])
        becomes[column][becomes[column] == bin_] = into


def _differences(
    becomes: Sequence[Bins], codes: Sequence[Codes], effects: Effects, minimum: int
) -> Iterator[tuple[int, int]]:
    """(column, bin) of bins to merge, the smallest of each offending group of bins."""
    columns = range(len(effects.widths))
    for frame in codes:
        now = merged(frame, becomes).astype(np.int64)
        for outer in columns:
            for inner in columns:
                if outer == inner:
                    continue
                width = effects.widths[inner]
                shared = np.bincount(
                    now[:, outer] * width + now[:, inner], minlength=effects.widths[outer] * width
                ).reshape(effects.widths[outer], width)
                bin_ = _offender(shared, minimum)
                if bin_ is not None:
                    yield inner, bin_


def _offender(shared: NDArray[np.int64], minimum: int) -> int | None:
    """An inner bin that lies whole in an outer one, where without it or all its like few records are left."""
    outer, inner = shared.sum(axis=1), shared.sum(axis=0)
    inside = np.where((shared == inner) & (shared > 0), shared, 0)
    left_of_all = outer - inside.sum(axis=1)
    left_of_one = np.where(inside > 0, outer[:, None] - inside, 0)
    few_of_all = (left_of_all > 0) & (left_of_all < minimum) & inside.any(axis=1)
    few_of_one = (left_of_one > 0) & (left_of_one < minimum)
    if few_of_one.any():
        return int(np.argwhere(few_of_one)[0][1])
    if few_of_all.any():
        row = inside[int(np.argmax(few_of_all))]
        return int(np.argmin(np.where(row > 0, row, np.iinfo(np.int64).max)))
    return None


def _repair_columns(becomes: list[Bins], codes: Sequence[Codes], effects: Effects, minimum: int) -> None:
    """Take the columns in turn; one that a monitor refuses loses its rarer bins until it is admitted."""
    accepted: list[list[NDArray[np.int64]]] = [[] for _ in codes]
    for column in range(len(effects.widths)):
        least = minimum
        while True:
            groupings = [becomes[column][frame[:, column]].astype(np.int64) for frame in codes]
            fresh = [
                Monitor(range(len(frame)), minimum=minimum, admitted=before)
                for frame, before in zip(codes, accepted, strict=True)
            ]
            one_bin = all(len(np.unique(grouping)) == 1 for grouping in groupings)
            if one_bin or all(
                _admits(monitor, grouping[:, None])
                for monitor, grouping in zip(fresh, groupings, strict=True)
            ):
                break
            least *= 2
            becomes[column] = _without_small(column, codes, effects, least)
        for before, grouping in zip(accepted, groupings, strict=True):
            before.append(grouping)


def _admits(monitor: Monitor, codes: NDArray[np.integer]) -> bool:
    try:
        monitor.admit_all([codes[:, column].astype(np.int64) for column in range(codes.shape[1])])
    except ClauseRefused:
        return False
    return True
