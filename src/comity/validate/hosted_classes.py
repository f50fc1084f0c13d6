"""Feedback about a hosted model of several classes: who is taken for whom, ranks and losses.

A record adds 1 to one cell of the confusion matrix (its class, the likeliest predicted one). Where ranks are
wanted, it adds a weight to one cell of a histogram for each class (its chance's bin; whether it is of that
class); where losses are wanted, its Brier score (0 to 2) and its clipped log-loss, scaled, to a sum each.
Parts are weighed against each other by fixed weights; the L2 norm of all that a record adds is stated.
Everything is noised once. By the levels of a declared column, a record adds to the cells of one level.

Unit: record or person; relation: add-remove.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.validate.hosted import LEAST_SCORE, MOST_ROWS
from comity.validate.hosted_estimate import Estimate, rank_pairs, ratio
from comity.validate.hosted_groups import TOGETHER, HostedGroups
from comity.validate.mechanism import NoisySums, Sizes

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_GRAIN: Final = 1 << 20
_RANKS: Final = 0.7
_LOSS: Final = 0.5
_BINS: Final = 20
_MOST_BRIER: Final = 2.0
_MOST_LOG_LOSS: Final = -math.log(LEAST_SCORE)


@dataclass(frozen=True)
class HostedClasses:
    """Counts and sums about a model of several classes.

    Attributes:
        classes: their names, in order.
        ranks, losses: whether these are asked for beside the confusion matrix.
        groups: by which column; `TOGETHER` for all records together.
    """

    classes: tuple[str, ...]
    ranks: bool = True
    losses: bool = True
    groups: HostedGroups = TOGETHER

    @property
    def dimensions(self) -> int:
        return self.groups.count * len(self._weights)

    @property
    def sizes(self) -> Sizes:
        """Of one row: one cell of each part, each part at most at its weight."""
        moves = [_GRAIN]
        moves += [self._rank_weight] * (len(self.classes) if self.ranks else 0)
        moves += [_whole(_LOSS)] * (2 if self.losses else 0)
        square = sum(move * move for move in moves)
        return Sizes(
            dimensions=self.dimensions,
            l1=sum(moves),
            l2=math.isqrt(square - 1) + 1,
            largest_sum=_GRAIN * MOST_ROWS,
        )

    @property
    def _rank_weight(self) -> int:
        return _whole(_RANKS / math.sqrt(len(self.classes)))

    @property
    def _weights(self) -> Floats:
        """(values,) what one record is worth in each value of one group, on the grid."""
        count = len(self.classes)
        parts = [np.full(count * count, float(_GRAIN))]
        if self.ranks:
            parts.append(np.full(count * _BINS * 2, float(self._rank_weight)))
        if self.losses:
            parts.append(np.array([_whole(_LOSS) / _MOST_BRIER, _whole(_LOSS) / _MOST_LOG_LOSS]))
        return np.concatenate(parts)

    def sums(
        self, scores: Floats, labels: NDArray[Any], values: Sequence[str | None] | None = None
    ) -> Integers:
        """(dimensions,) exact sums, groups outermost. They never leave.

        Args:
            scores: (rows, classes) in [0, 1]; (rows,) codes of classes in `labels`.
            values: (rows,) of the column, where there is one.
        """
        count, width = len(self.classes), len(self._weights)
        labels = np.asarray(labels, dtype=np.int64)
        first = self.groups.places(len(labels), values) * width
        total = np.zeros(self.groups.count * width, dtype=np.int64)
        np.add.at(total, first + labels * count + scores.argmax(axis=1), _GRAIN)
        first = first + count * count
        if self.ranks:
            bins = np.minimum((scores * _BINS).astype(np.int64), _BINS - 1)
            for at in range(count):
                cell = (at * _BINS + bins[:, at]) * 2 + (labels == at)
                np.add.at(total, first + cell, self._rank_weight)
            first = first + count * _BINS * 2
        if self.losses:
            chances = scores / np.maximum(scores.sum(axis=1, keepdims=True), 1e-12)
            truth = labels[:, None] == np.arange(count)
            brier = np.clip(np.square(chances - truth).sum(axis=1) / _MOST_BRIER, 0.0, 1.0)
            own = np.clip((chances * truth).sum(axis=1), LEAST_SCORE, 1.0)
            for at, part in enumerate((brier, -np.log(own) / _MOST_LOG_LOSS)):
                np.add.at(total, first + at, np.trunc(np.minimum(part, 1.0) * _whole(_LOSS)).astype(np.int64))
        return total

    def read(self, answer: NoisySums) -> dict[str, Mapping[str, Estimate]]:
        """Metrics of `all` and of each group: `records`, `accuracy`, `macro_f1`, `brier`, `log_loss`, and for
        each class `precision-`, `recall-`, `f1-`, `prevalence-`, `auc-<class>` (it against the rest), and
        `confusion-<class>-<predicted>`."""
        table = answer.values.reshape(self.groups.count, -1) / self._weights
        return self.groups.read(table, answer.deviation / self._weights, self._metrics)

    def _metrics(self, sums: Floats, deviation: Floats) -> dict[str, Estimate]:
        count = len(self.classes)
        cells, noise = sums[: count * count].reshape(count, count), deviation[: count * count]
        noise = noise.reshape(count, count)
        found = {
            "records": ratio(cells, lambda t: (float(t.sum()), 1.0), noise, most=math.inf),
            "accuracy": ratio(cells, lambda t: (float(np.trace(t)), float(t.sum())), noise),
            "macro_f1": ratio(cells, lambda t: (float(np.mean(_f1(t))), 1.0), noise),
        }
        for at, name in enumerate(self.classes):
            found |= {
                f"precision-{name}": ratio(cells, lambda t, at=at: (t[at, at], t[:, at].sum()), noise),
                f"recall-{name}": ratio(cells, lambda t, at=at: (t[at, at], t[at].sum()), noise),
                f"f1-{name}": ratio(
                    cells, lambda t, at=at: (2 * t[at, at], t[at].sum() + t[:, at].sum()), noise
                ),
                f"prevalence-{name}": ratio(cells, lambda t, at=at: (t[at].sum(), t.sum()), noise),
            }
            for other, predicted in enumerate(self.classes):
                found[f"confusion-{name}-{predicted}"] = ratio(
                    cells, lambda t, at=at, other=other: (t[at, other], 1.0), noise, most=math.inf
                )
        if self.ranks:
            found |= self._aucs(sums, deviation)
        if self.losses:
            found |= _mean_losses(sums, deviation, count * count)
        return found

    def _aucs(self, sums: Floats, deviation: Floats) -> dict[str, Estimate]:
        found: dict[str, Estimate] = {}
        for at, name in enumerate(self.classes):
            first = len(self.classes) ** 2 + at * _BINS * 2
            place = slice(first, first + _BINS * 2)
            table, noise = sums[place].reshape(_BINS, 2), deviation[place].reshape(_BINS, 2)
            hidden = float(np.maximum(table, 0).prod(axis=1).sum()) / 2
            pairs = max(float(table[:, 0].sum() * table[:, 1].sum()), 1.0)
            found[f"auc-{name}"] = ratio(table, rank_pairs, noise, slack=hidden / pairs)
        return found


def _mean_losses(sums: Floats, deviation: Floats, cells: int) -> dict[str, Estimate]:
    """The two sums at the end over the number of records, which the first `cells` values add up to."""
    found: dict[str, Estimate] = {}
    for at, (name, most) in enumerate((("brier", _MOST_BRIER), ("log_loss", _MOST_LOG_LOSS))):
        chosen = np.r_[np.arange(cells), len(sums) - 2 + at]
        found[name] = ratio(
            sums[chosen], lambda t: (float(t[-1]), float(t[:-1].sum())), deviation[chosen], most=most
        )
    return found


def _f1(table: Floats) -> Floats:
    return 2 * np.diag(table) / np.maximum(table.sum(axis=0) + table.sum(axis=1), 1.0)


def _whole(weight: float) -> int:
    return int(weight * _GRAIN)
