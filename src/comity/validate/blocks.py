"""Blocks: the columns that a lesson is about, with bins merged to the minimum and their priors' roots.

What `Design` (labels 0 and 1), the lesson of `FeedbackRegressor` and the `opening` from seed rows share.
All of it follows from public features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from comity.validate.bins import Columns, merge_small
from comity.validate.prior import column_root

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Blocks:
    """Columns with more than one bin.

    Attributes:
        groups: for every column, (width,) which bin each code went to.
        kept: the columns with more than one bin.
        shares: for each kept column, (bins,) shares of the records.
        roots: for each kept column, (bins, d) the root of its prior.
    """

    groups: tuple[NDArray[np.int64], ...]
    kept: tuple[int, ...]
    shares: tuple[Floats, ...]
    roots: tuple[Floats, ...]

    @classmethod
    def of(cls, columns: Columns, holder: NDArray[np.int64], minimum: int) -> Self:
        """Merge bins until each has none or at least `minimum` records at every validator.

        Args:
            columns: the codes of all records.
            holder: (records,) which validator holds each record, from 0 on.
            minimum: records.
        """
        counts = _counts(columns, holder)
        groups = tuple(merge_small(columns, counts, minimum))
        kept = tuple(at for at, group in enumerate(groups) if group.max(initial=0) > 0)
        shares = tuple(_shares(groups[at], counts[at]) for at in kept)
        roots = tuple(
            column_root(share, columns.ordered[at], _missing(groups[at], counts[at]))
            for share, at in zip(shares, kept, strict=True)
        )
        return cls(groups, kept, shares, roots)

    def codes(self, columns: Columns) -> list[NDArray[np.uint16]]:
        """For each kept column, (records,) the bins of these records."""
        return [self.groups[at][columns.codes[:, at]].astype(np.uint16) for at in self.kept]

    def by_code(self, parts: Sequence[Floats]) -> tuple[Floats, ...]:
        """Values per bin of the kept columns (what follows them is left out), per code of every column."""
        values = [np.zeros(len(group)) for group in self.groups]
        for at, part in zip(self.kept, parts, strict=False):
            values[at] = part[self.groups[at]]
        return tuple(values)


def _counts(columns: Columns, holder: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """For each column, (validators, width) records per code."""
    held = int(holder.max(initial=0)) + 1
    return [
        np.bincount(holder * width + columns.codes[:, at], minlength=held * width).reshape(held, width)
        for at, width in enumerate(columns.widths)
    ]


def _shares(group: NDArray[np.int64], counts: NDArray[np.int64]) -> Floats:
    totals = np.bincount(group, weights=counts.sum(axis=0))
    return totals / totals.sum()


def _missing(group: NDArray[np.int64], counts: NDArray[np.int64]) -> int | None:
    """The group that missing values have to themselves, if they have one."""
    present = counts.sum(axis=0) > 0
    together = present & (group == group[0])
    return int(group[0]) if present[0] and together.sum() == 1 else None
