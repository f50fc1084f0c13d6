"""By a provider's column: metrics in each level of a column that only the provider holds.

Which level a record has is private, so nothing here depends on how many records a level has: the levels come
from the declared domain, none is left out, and none is refused for its size (Kenthapadi, Mishra and Nissim
2005). The unit is a record's label and column values together (`record`, change-one; ids and features known):
a change moves a record from one cell of (level, label) to another, sqrt(2) in counts. Sizes of levels are
noisy as well, and every metric is a ratio of noisy counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.errors import UsageError
from comity.validate.class_queries import ClassCounts, ClassSums
from comity.validate.estimate import Base, Part, Question, Reader, Tie, joined
from comity.validate.metrics import UNIT_BITS, known_metrics, losses
from comity.validate.parameters import a_number

Floats = NDArray[np.float64]

ATTRIBUTE_METRICS: Final = (
    "accuracy",
    "brier",
    "confusion",
    "f1",
    "log_loss",
    "precision",
    "prevalence",
    "recall",
    "size",
    "specificity",
)
_LOSSES: Final = ("brier", "log_loss")


def attribute_question(
    scores: Floats, levels: Sequence[Any], metrics: Sequence[str], threshold: float | None
) -> Question:
    """The query for the metrics in every level. Its labels are `2 * level + label`.

    Args:
        scores: (n,) finite.
        levels: of the column, from its declared domain.
        metrics: out of `ATTRIBUTE_METRICS`.
        threshold: as in `metrics.ask_for`.

    Raises:
        UsageError: for unknown metrics, no records, or scores that a metric cannot use.
    """
    wanted = known_metrics(metrics, ATTRIBUTE_METRICS)
    if not len(scores):
        raise UsageError("there is no record to give feedback on")
    chances = bool(scores.min() >= 0 and scores.max() <= 1)
    limit = a_number(threshold, "threshold") if threshold is not None else (0.5 if chances else 0.0)
    predicted = (scores >= limit).astype(np.int64)
    sizes = np.bincount(predicted, minlength=2)
    facts: dict[str, Any] = {
        "records": len(scores),
        "threshold": limit,
        "predicted": int(sizes[1]),
        "levels": list(levels),
        "sides": np.flatnonzero(sizes).tolist(),
    }
    # both sides of the threshold in every cell; a side without records has no cells
    numbers = predicted if sizes.all() else np.zeros_like(predicted)
    cells = 2 * len(levels)
    parts = [Part("cells", ClassCounts(numbers, len(facts["sides"]), cells))]
    ties = []
    for at, side in enumerate(facts["sides"]):
        inside = np.zeros((len(facts["sides"]), cells))
        inside[at] = 1
        ties.append(Tie({"cells": inside.ravel()}, float(sizes[side])))
    for name in _LOSSES:
        if name in wanted:
            if not chances:
                raise UsageError(f"{name} needs scores between 0 and 1")
            zero, one = losses(scores, name)
            weights = np.tile(np.stack([zero, one], axis=1), len(levels)) * 2.0**UNIT_BITS
            query = ClassSums(np.trunc(weights).astype(np.int64), np.repeat(np.arange(len(levels)), 2))
            parts.append(Part(name, query))
    names = tuple(part.name for part in parts)
    return Question(joined(parts), names, wanted, _READERS, facts, tuple(ties))


class _Level:
    """The cells of one level as linear forms."""

    def __init__(self, base: Base, at: int) -> None:
        self.base, self.at = base, at
        self._side_of = {side: row for row, side in enumerate(base.facts["sides"])}

    def cell(self, predicted: int, label: int) -> Floats:
        row = self._side_of.get(predicted)
        if row is None:
            return np.zeros(len(self.base.values))
        return self.base.cell("cells", row * 2 * len(self.base.facts["levels"]) + 2 * self.at + label)

    def all(self) -> Floats:
        return np.sum([self.cell(side, label) for side in (0, 1) for label in (0, 1)], axis=0)

    def ratio(self, top: Floats, bottom: Floats) -> Any:
        return self.base.ratio(top, bottom)


def _by_level(read: Callable[[_Level], Any]) -> Reader:
    def every(base: Base) -> Any:
        pairs = {level: read(_Level(base, at)) for at, level in enumerate(base.facts["levels"])}
        return {level: pair[0] for level, pair in pairs.items()}, {
            level: pair[1] for level, pair in pairs.items()
        }

    return every


def _confusion(level: _Level) -> Any:
    records = float(level.base.facts["records"])
    cells = {"tp": (1, 1), "fp": (1, 0), "fn": (0, 1), "tn": (0, 0)}
    read = {
        name: level.base.linear(level.cell(*cell), 0.0, 1.0, (0.0, records)) for name, cell in cells.items()
    }
    return {name: pair[0] for name, pair in read.items()}, {name: pair[1] for name, pair in read.items()}


def _mean_loss(name: str) -> Reader:
    def read(level: _Level) -> Any:
        top = level.base.cell(name, level.at) * 2.0**-UNIT_BITS
        most = 1.0 if name == "brier" else 5.0
        return level.base.ratio(top, level.all(), bounds=(0.0, most))

    return _by_level(read)


_READERS: Final[Mapping[str, Reader]] = {
    "accuracy": _by_level(lambda one: one.ratio(one.cell(1, 1) + one.cell(0, 0), one.all())),
    "brier": _mean_loss("brier"),
    "confusion": _by_level(_confusion),
    "f1": _by_level(
        lambda one: one.ratio(2 * one.cell(1, 1), 2 * one.cell(1, 1) + one.cell(1, 0) + one.cell(0, 1))
    ),
    "log_loss": _mean_loss("log_loss"),
    "precision": _by_level(lambda one: one.ratio(one.cell(1, 1), one.cell(1, 1) + one.cell(1, 0))),
    "prevalence": _by_level(lambda one: one.ratio(one.cell(1, 1) + one.cell(0, 1), one.all())),
    "recall": _by_level(lambda one: one.ratio(one.cell(1, 1), one.cell(1, 1) + one.cell(0, 1))),
    "size": _by_level(lambda one: one.base.linear(one.all(), 0.0, 1.0, (0.0, one.base.facts["records"]))),
    "specificity": _by_level(lambda one: one.ratio(one.cell(0, 0), one.cell(0, 0) + one.cell(1, 0))),
}
