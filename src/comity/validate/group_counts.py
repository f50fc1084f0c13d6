"""By group, where all that is asked are counts: one pass over the records, whatever the number of groups.

The same statistics, noise and cost as `groups`, which asks them group by group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.errors import BadInput, UsageError
from comity.validate.estimate import Part, Question
from comity.validate.many import listed, read_many
from comity.validate.mechanism import NoisySums
from comity.validate.metrics import METRICS, OF_CLASSES, SignedCounts, assembled, known_metrics
from comity.validate.numbering import counted
from comity.validate.queries import CountPerGroup, GroupCounts, Query

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class CountedQuestion:
    """A question about counts per group.

    Attributes:
        query: what the validator is asked.
        names: the groups, in the order of their first record.
        question: stands for each group's.
        records, predicted: (groups,) records, and those that are predicted positive.
        threshold: scores at or above it predict 1.
    """

    query: Query
    names: tuple[Any, ...]
    question: Question
    records: Integers
    predicted: Integers
    threshold: float

    @property
    def metrics(self) -> tuple[str, ...]:
        return self.question.metrics

    @property
    def facts(self) -> dict[Any, dict[str, Any]]:
        counts = zip(self.records.tolist(), self.predicted.tolist(), strict=True)
        return {
            name: {"records": records, "threshold": self.threshold, "predicted": predicted}
            for name, (records, predicted) in zip(self.names, counts, strict=True)
        }

    def read(self, answer: NoisySums) -> tuple[dict[str, Any], dict[str, Any]]:
        """Estimates and intervals by metric, then by group."""
        facts = {"records": self.records, "predicted": self.predicted}
        values = answer.values.reshape(len(self.names), -1)
        told = read_many(self.question, values, answer.calibration, facts)
        estimates, intervals = (
            {metric: dict(zip(self.names, listed(every), strict=True)) for metric, every in one.items()}
            for one in told
        )
        return estimates, intervals


def counted_by_group(
    scores: NDArray[np.float64],
    wanted: Sequence[str],
    threshold: float | None,
    names: tuple[Any, ...],
    numbers: Integers,
) -> CountedQuestion | None:
    """The question, if it is about counts alone; else None.

    Raises:
        UsageError: for unknown metrics, and no records.
    """
    metrics = known_metrics(wanted, METRICS)
    if not len(scores) or threshold is None:
        raise UsageError("there is no record to give feedback on")
    if not set(metrics) <= {"accuracy", *OF_CLASSES} or numbers.min(initial=0) < 0:
        return None
    predicted = scores >= threshold
    cells = numbers.astype(np.min_scalar_type(2 * len(names)))
    cells *= 2
    cells += predicted.view(np.uint8)
    counts = counted(cells, 2 * len(names)).reshape(-1, 2)
    by_class = bool(OF_CLASSES & set(metrics))
    query: Query = (
        GroupCounts(cells, 2 * len(names))
        if by_class
        else SignedCounts(numbers, len(names), predicted, cells)
    )
    name, width = ("classes", 2) if by_class else ("right", 1)
    question = assembled([Part(name, _Shape(width))], metrics, {})
    return CountedQuestion(query, names, question, counts.sum(axis=1), counts[:, 1], threshold)


class _Shape(CountPerGroup):
    """Stands in a group's question for the query that is asked of all groups at once."""

    def __init__(self, size: int) -> None:
        self.size = size

    @property
    def rows(self) -> int:
        return 0

    def sums(self, labels: Any) -> Integers:
        raise BadInput("the sums of a group are asked for with those of all groups")

    def row(self, record: int) -> Integers:
        raise BadInput("the sums of a group are asked for with those of all groups")
