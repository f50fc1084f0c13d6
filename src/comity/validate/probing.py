"""Probing: questions that differ from earlier ones by a few records, and the same record moved around.

Two groupings are compared by matching every group of the new one with the group of the old one that it shares
most records with, each with another one; the records outside the matches were moved. Only groupings of
different questions are compared: the columns of one question may resemble each other. Public facts only,
whoever asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from comity.errors import ClauseRefused
from comity.validate.isolation import RowSpace

Integers = NDArray[np.int64]

NEAR: Final = 5
"""Groupings are nearly equal if fewer than this many times the minimum of records were moved."""

MOST_NEAR: Final = 20
"""So many groupings may be nearly equal to an earlier one."""

MOST_MOVES: Final = 5
"""So often may one record be moved between nearly equal groupings."""


def _no_moves() -> Integers:
    return np.zeros(1, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Probing:
    """What was seen so far; `looked_at` gives a new one.

    Attributes:
        minimum: least number of records that two questions may differ by.
        clause: the clause that refusals name.
        moves: (kinds,) how often each kind of records was moved between nearly equal groupings.
        near: how many groupings were nearly equal to an earlier one.
    """

    minimum: int
    clause: str
    moves: Integers = field(default_factory=_no_moves)
    near: int = 0

    def looked_at(self, space: RowSpace, new: Sequence[int], moves: Integers) -> Probing:
        """Take the new groupings of one question, or refuse them.

        Args:
            space: with all groupings, kinds told apart by all of them.
            new: which of its groupings are the question's.
            moves: (kinds of the space,) moves so far.

        Raises:
            ClauseRefused: if the question probes.
        """
        return self._after(space, new, moves, judge=True)

    def noted(self, space: RowSpace, new: Sequence[int], moves: Integers) -> Probing:
        """As `looked_at`, of a question that was answered before."""
        return self._after(space, new, moves, judge=False)

    def _after(self, space: RowSpace, new: Sequence[int], moves: Integers, *, judge: bool) -> Probing:
        earlier = len(space.groupings) - len(new)
        moves, near = moves.copy(), self.near
        for at in new:
            moved = self._nearest(space, at, earlier)
            if moved is None:
                continue
            few = int(space.sizes[moved].sum())
            near += 1
            moves[moved] += 1
            if judge:
                self._require(few, near, int(moves.max(initial=0)))
        return replace(self, moves=moves, near=near)

    def _nearest(self, space: RowSpace, at: int, earlier: int) -> NDArray[np.bool_] | None:
        """Which kinds were moved, compared with the most similar earlier grouping, if one is nearly equal."""
        best, least = None, NEAR * self.minimum
        new = space.groupings[at]
        for old in space.groupings[:earlier]:
            # "in no group" counts as a group, so that a record that joins or leaves is moved as well
            shared = space.shared(new + 1, old + 1)
            match = _match(shared)
            if match is None:
                continue
            moved = np.asarray(match[new + 1] != old + 1)
            few = int(space.sizes[moved].sum())
            if 0 < few < least:
                best, least = moved, few
        return best

    def _require(self, few: int, near: int, most_moves: int) -> None:
        if few < self.minimum:
            raise self._refusal(
                f"it differs from an earlier question by fewer than {self.minimum} records",
                asked=f"a difference of {few}",
                would_pass="the earlier question again, whose answer is kept, or one that differs by more",
            )
        if near > MOST_NEAR:
            raise self._refusal(
                f"more than {MOST_NEAR} questions are nearly equal to earlier ones",
                would_pass=f"a question that differs from all earlier ones by {NEAR * self.minimum} records",
            )
        if most_moves > MOST_MOVES:
            raise self._refusal(
                f"the same records were moved around between nearly equal groups {most_moves} times",
                would_pass=f"a question that differs from all earlier ones by {NEAR * self.minimum} records",
            )

    def _refusal(self, reason: str, *, would_pass: str, asked: str | None = None) -> ClauseRefused:
        return ClauseRefused(reason, clause=self.clause, asked=asked, would_pass=would_pass)


def _match(shared: Integers) -> Integers | None:
    """For each new group the old one that is most like it; None unless that pairs them all, both ways."""
    rows, columns = np.flatnonzero(shared.any(axis=1)), np.flatnonzero(shared.any(axis=0))
    if len(rows) != len(columns):
        return None
    match = shared.argmax(axis=1)
    if len(np.unique(match[rows])) != len(rows):
        return None
    return match
