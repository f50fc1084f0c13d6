"""What is checked of a question, and laid out over the frame, before anything is spent. Public facts only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.errors import ClauseRefused
from comity.validate.class_queries import ChosenSum, ClassSums
from comity.validate.groups import Partitioned
from comity.validate.number_queries import ResidualStatistics
from comity.validate.queries import Joined, Query, WeightedSum
from comity.validate.request import ScoreStatistics

_BLOCK: Final = 1 << 16


def check_bins(query: Query, minimum: int) -> None:
    """Refuse a learner's query that asks about bins with few records; public facts only.

    Raises:
        ClauseRefused: naming how many bins are too small.
    """
    request = query.request if isinstance(query, ResidualStatistics) else query
    if not isinstance(request, ScoreStatistics):
        return
    counts = np.concatenate(request.bin_counts())
    small = (counts > 0) & (counts < minimum)
    if small.any():
        raise ClauseRefused(
            f"{int(small.sum())} bins have fewer than {minimum} records",
            clause="architectures.validation.minimum_group",
            asked=f"a bin of {int(counts[small].min())}",
            would_pass=f"bins merged until each has {minimum} records or none",
        )


def check_weights(query: Query, minimum: int) -> None:
    """Refuse a sum whose weights make it one of few records; public facts only.

    It tells of no more records than have a weight, and mostly of few if the others' weights are small beside
    theirs. A quarter of the minimum is asked for, since honest weights differ: centred ranks of n scores add
    up to n/2 times the largest, and one of them may be 0; what log-loss adds, to about n/3 times. Sums over
    fewer records than the minimum are left to the monitor, which refuses them.

    Raises:
        ClauseRefused: naming how many records it tells of.
    """
    for moves in _moves(query):
        if len(moves) >= minimum and not _tells_of(moves, minimum):
            told = int(np.count_nonzero(moves))
            raise ClauseRefused(
                "a weighted sum (of ranks, or of losses) tells mostly of a few records",
                clause="architectures.validation.minimum_group",
                asked=f"{told} records with a weight" if told < minimum - 1 else None,
                would_pass=f"weights of {minimum} records or more that add up to {minimum / 4:g} times the "
                "largest, or more",
            )


def _moves(query: Query) -> Iterator[NDArray[np.int64]]:
    """(rows,) how far each record's label can move a weighted sum, for every one in the query."""
    if isinstance(query, Joined | Partitioned):
        for part in query.parts:
            yield from _moves(part)
    elif isinstance(query, WeightedSum):
        yield query.weights
    elif isinstance(query, ChosenSum) and query.groups is None:
        yield query.weights.max(axis=1) - query.weights.min(axis=1)
    elif isinstance(query, ClassSums):
        yield np.abs(query.weights).max(axis=1)


def _tells_of(moves: NDArray[np.int64], minimum: int) -> bool:
    """Whether so many records have a weight, and all together a quarter as many times the largest."""
    largest = max(int(moves.max(initial=0)), -int(moves.min(initial=0)))
    if largest == 0:
        return True  # it tells of nothing
    told, together = 0, 0.0
    for start in range(0, len(moves), _BLOCK):  # few records suffice in nearly all cases
        part = moves[start : start + _BLOCK]
        told += int(np.count_nonzero(part))
        together += float(np.abs(part).sum(dtype=np.float64))
        if told >= minimum - 1 and together >= minimum / 4 * largest:
            return True
    return False


def over_frame(query: Query, places: NDArray[np.int64] | None, records: int) -> list[NDArray[Any]]:
    """The records asked about (None: all in order), and the query's groupings, over the whole frame."""
    groupings = query.groupings()
    if places is None:
        return [*groupings] or [np.zeros(records, dtype=np.uint8)]
    laid: list[NDArray[Any]] = []
    for groups in (np.zeros(len(places), dtype=np.int64), *groupings):
        numbers = np.full(records, -1, dtype=np.int64)
        numbers[places] = groups
        laid.append(numbers)
    return laid


def taken(scores: Any, order: NDArray[np.int64]) -> Any:
    """Scores of any kind in another order."""
    return scores.of(order) if hasattr(scores, "of") else scores[order]
