"""Coarsen: bins merged until the monitor of every frame would admit them all. Public facts only.

The ML party does this before it asks, with the same `Monitor` that the provider asks afterwards: it knows
the frames and the bins, so it can foresee every refusal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from comity.errors import ClauseRefused
from comity.validate.monitor import Monitor

Codes = NDArray[np.uint16]
Bins = NDArray[np.uint16]
"""(width,) the bin that each bin of a column becomes."""

_MOST_REPAIRS = 1_000


@dataclass(frozen=True)
class Layout:
    """The columns: how many bins each has, which have an order, and which one must stay as it is."""

    widths: tuple[int, ...]
    ordered: tuple[bool, ...]
    fixed: int | None = None


def coarsened(codes: Sequence[Codes], layout: Layout, minimum: int) -> tuple[Bins, ...]:
    """Per column, the bin that each bin becomes so that every frame's monitor admits all columns.

    First bins with too few records join others; then bins whose difference from another column's bins is
    too small; if records are still singled out by several columns together, columns in turn lose detail
    until the monitor is content. In the worst case a column ends with one bin.

    Args:
        codes: per frame, (rows, columns).
        layout: the columns. A fixed column is left alone and the others make way for it.
        minimum: the least number of records that an answer may be about.
    """
    becomes = [_without_small(column, codes, layout, minimum) for column in range(len(layout.widths))]
    _repair_differences(becomes, codes, layout, minimum)
    if not all(
        _admits(Monitor(range(len(frame)), minimum=minimum), merged(frame, becomes)) for frame in codes
    ):
        _repair_columns(becomes, codes, layout, minimum)
    return tuple(becomes)


def merged(codes: Codes, becomes: Sequence[Bins]) -> Codes:
    """(rows, columns) codes after merging."""
    return np.stack([bins[codes[:, column]] for column, bins in enumerate(becomes)], axis=1)


def _without_small(column: int, codes: Sequence[Codes], layout: Layout, minimum: int) -> Bins:
    """The column's bins, merged so that each has `minimum` records in every frame that uses it."""
    width = layout.widths[column]
    if column == layout.fixed:
        return np.arange(width, dtype=np.uint16)
    counts = np.stack([np.bincount(frame[:, column], minlength=width) for frame in codes])
    becomes = np.arange(width, dtype=np.uint16)
    while True:
        used = np.flatnonzero(counts.sum(axis=0))
        small = [at for at in used if ((counts[:, at] > 0) & (counts[:, at] < minimum)).any()]
        if not small or len(used) == 1:
            return becomes
        totals = counts.sum(axis=0)
        bin_ = min(small, key=lambda at: int(totals[at]))
        into = _companion(bin_, totals, ordered=layout.ordered[column])
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


def _repair_differences(becomes: list[Bins], codes: Sequence[Codes], layout: Layout, minimum: int) -> None:
    """Merge bins that lie in another column's bin and leave fewer than `minimum` records of it."""
    for _ in range(_MOST_REPAIRS):
        found = next(_differences(becomes, codes, layout, minimum), None)
        if found is None:
            return
        column, bin_ = found
        _join(becomes, column, bin_, codes, layout)


def _join(becomes: list[Bins], column: int, bin_: int, codes: Sequence[Codes], layout: Layout) -> None:
    width = layout.widths[column]
    totals = np.sum(
        [np.bincount(becomes[column][frame[:, column]], minlength=width) for frame in codes], axis=0
    )
    if np.count_nonzero(totals) > 1:
        into = _companion(bin_, totals, ordered=layout.ordered[column])
        becomes[column][becomes[column] == bin_] = into


def _differences(
    becomes: Sequence[Bins], codes: Sequence[Codes], layout: Layout, minimum: int
) -> Iterator[tuple[int, int]]:
    """(column, bin) of bins to merge, the smallest of each offending group of bins."""
    columns = range(len(layout.widths))
    for frame in codes:
        now = merged(frame, becomes).astype(np.int64)
        for outer in columns:
            for inner in columns:
                if outer == inner:
                    continue
                width = layout.widths[inner]
                shared = np.bincount(
                    now[:, outer] * width + now[:, inner], minlength=layout.widths[outer] * width
                ).reshape(layout.widths[outer], width)
                found = _offender(shared, minimum)
                if found is not None:
                    yield (outer, found[0]) if inner == layout.fixed else (inner, found[1])


def _offender(shared: NDArray[np.int64], minimum: int) -> tuple[int, int] | None:
    """An outer bin and an inner one that lies whole in it, where without it or all its like few are left."""
    outer, inner = shared.sum(axis=1), shared.sum(axis=0)
    inside = np.where((shared == inner) & (shared > 0), shared, 0)
    left_of_all = outer - inside.sum(axis=1)
    left_of_one = np.where(inside > 0, outer[:, None] - inside, 0)
    few_of_all = (left_of_all > 0) & (left_of_all < minimum) & inside.any(axis=1)
    few_of_one = (left_of_one > 0) & (left_of_one < minimum)
    if few_of_one.any():
        at = np.argwhere(few_of_one)[0]
        return int(at[0]), int(at[1])
    if few_of_all.any():
        at = int(np.argmax(few_of_all))
        return at, int(np.argmin(np.where(inside[at] > 0, inside[at], np.iinfo(np.int64).max)))
    return None


def _repair_columns(becomes: list[Bins], codes: Sequence[Codes], layout: Layout, minimum: int) -> None:
    """Take the columns in turn; one that a monitor refuses loses its rarer bins until it is admitted."""
    accepted: list[list[NDArray[np.int64]]] = [[] for _ in codes]
    columns = sorted(range(len(layout.widths)), key=lambda at: at != layout.fixed)
    for column in columns:
        least = minimum
        while True:
            groupings = [becomes[column][frame[:, column]].astype(np.int64) for frame in codes]
            fresh = [
                Monitor(range(len(frame)), minimum=minimum, admitted=before)
                for frame, before in zip(codes, accepted, strict=True)
            ]
            one_bin = all(len(np.unique(grouping)) == 1 for grouping in groupings)
            if (
                one_bin
                or column == layout.fixed
                or all(
                    _admits(monitor, grouping[:, None])
                    for monitor, grouping in zip(fresh, groupings, strict=True)
                )
            ):
                break
            least *= 2
            becomes[column] = _without_small(column, codes, layout, least)
        for before, grouping in zip(accepted, groupings, strict=True):
            before.append(grouping)


def _admits(monitor: Monitor, codes: NDArray[np.integer]) -> bool:
    try:
        monitor.admit_all([codes[:, column].astype(np.int64) for column in range(codes.shape[1])])
    except ClauseRefused:
        return False
    return True
