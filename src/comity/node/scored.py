"""Metrics of scores over a live conversation: what can be read from sums over registered groups of records.

The same parts, readers and intervals as the metrics of `LocalValidator` have. AUC, Brier score and log-loss
weigh every record by itself, and a conversation only weighs whole groups: they are not told here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.errors import UsageError
from comity.mechanism import Noise
from comity.validate.estimate import Part, Question
from comity.validate.mechanism import NoisySums
from comity.validate.metrics import METRICS, SignedCounts, assembled, parts_for
from comity.validate.queries import GroupCounts

WEIGHED_BY_RECORD: Final = frozenset({"auc", "brier", "log_loss"})
TOLD: Final = tuple(metric for metric in METRICS if metric not in WEIGHED_BY_RECORD)
"""The metrics that a conversation tells."""


@dataclass(frozen=True, eq=False)
class Sums:
    """One grouping of the scored records, and what is asked of it.

    Attributes:
        name: of the statistic.
        codes: (n,) group numbers; not every number need occur.
        size: how many numbers there are.
        signed: whether positives of group 1 less those of group 0 are asked for, instead of each group's.
    """

    name: str
    codes: NDArray[Any]
    size: int
    signed: bool


@dataclass(frozen=True, eq=False)
class Scored:
    """The sums that the metrics are read from, and how to read them."""

    sums: tuple[Sums, ...]
    question: Question

    def read(
        self, told: Sequence[Mapping[Any, float]], epsilon: float
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Estimates and 95% intervals by metric.

        Args:
            told: for each of `sums` its numbers by group; a signed one's under 0.
            epsilon: of all of them together.
        """
        values = [
            told_one.get(group, 0.0)
            for one, told_one in zip(self.sums, told, strict=True)
            for group in range(1 if one.signed else one.size)
        ]
        scale = len(self.sums) / epsilon * (1 + 2.0**-50)
        answer = NoisySums(np.array(values, dtype=np.float64), Noise("laplace", 0, scale))
        return self.question.read(answer)


def scored(
    scores: NDArray[np.float64], metrics: Sequence[str], *, threshold: float | None, minimum: int
) -> Scored:
    """What to ask for these metrics.

    Args:
        scores: (n,) finite; larger means more likely positive.
        threshold: as `LocalValidator.feedback` has it.
        minimum: least number of records in a group.

    Raises:
        UsageError: for a metric that a conversation does not tell.
    """
    beyond = [metric for metric in metrics if metric in WEIGHED_BY_RECORD]
    if beyond:
        raise UsageError(
            f"a live conversation does not tell {', '.join(beyond)}: it tells {', '.join(TOLD)}; for the "
            "others open a session of the architecture 'validation'"
        )
    parts, wanted, facts = parts_for(scores, metrics, threshold=threshold, minimum=minimum)
    # every statistic has noise of the same scale, as the questions of one message have
    return Scored(tuple(map(_sums_of, parts)), assembled(parts, wanted, facts, length=1))


def _sums_of(part: Part) -> Sums:
    query = part.query
    if isinstance(query, GroupCounts):
        return Sums(part.name, query.groups, query.size, False)
    if isinstance(query, SignedCounts):
        return Sums("classes", query.predicted.astype(np.int64), 2, True)
    raise UsageError(f"a live conversation cannot ask for {part.name}")
