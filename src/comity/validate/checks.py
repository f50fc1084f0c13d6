"""What is checked of a question, and laid out over the frame, before anything is spent. Public facts only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.errors import ClauseRefused
from comity.validate.number_queries import ResidualStatistics
from comity.validate.queries import Query
from comity.validate.request import ScoreStatistics


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
