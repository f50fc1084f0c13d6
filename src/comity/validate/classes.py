"""Metrics of labels with several classes: from scores or predictions to one query, and back to estimates.

Per class: one against the rest. A class's list stands in the order in which the validator declared the
classes. The counts of every group add up to its size, which is public: estimates keep to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.errors import UsageError
from comity.validate.class_queries import ChosenSum, ClassCounts, ClassSums
from comity.validate.estimate import Base, Part, Question, Reader, Tie, joined
from comity.validate.metrics import CLIP, UNIT_BITS, auc, known_metrics
from comity.validate.queries import doubled_centred_ranks

Floats = NDArray[np.float64]

CLASS_METRICS: Final = (
    "accuracy",
    "auc",
    "brier",
    "confusion",
    "f1",
    "log_loss",
    "macro_f1",
    "precision",
    "prevalence",
    "recall",
)
_OF_PREDICTED: Final = frozenset({"confusion", "f1", "macro_f1", "precision", "recall"})
_OF_SCORES: Final = frozenset({"auc", "brier", "log_loss"})
_TOTAL_SHARE: Final = 0.53


def class_parts(
    predicted: NDArray[np.int64], scores: Floats | None, classes: int, metrics: Sequence[str]
) -> tuple[list[Part], tuple[str, ...], dict[str, Any]]:
    """The base statistics for the metrics, the metrics, and public facts.

    Args:
        predicted: (n,) codes of the predicted classes.
        scores: (n, classes) finite; None where only predictions came.
        classes: number of classes.
        metrics: out of `CLASS_METRICS`; `auc` needs scores, `brier` and `log_loss` probabilities.

    Raises:
        UsageError: for unknown metrics, no records, or scores that a metric cannot use.
    """
    wanted = known_metrics(metrics, CLASS_METRICS)
    if not len(predicted):
        raise UsageError("there is no record to give feedback on")
    needs = sorted(_OF_SCORES & set(wanted))
    if needs and scores is None:
        raise UsageError(f"{needs[0]} needs a score per class: an array (records, {classes})")
    sizes = np.bincount(predicted, minlength=classes)
    facts: dict[str, Any] = {"records": len(predicted), "predicted": sizes.tolist(), "classes": classes}
    parts: list[Part] = []
    if scores is not None and "auc" in wanted:
        ranks = np.stack([doubled_centred_ranks(scores[:, at]) for at in range(classes)], axis=1)
        parts.append(Part("ranks", ClassSums(ranks, np.arange(classes))))
    if {"auc", "prevalence"} & set(wanted):
        everybody = np.zeros(len(predicted), dtype=np.int64)
        share = _TOTAL_SHARE if "auc" in wanted else 1.0
        parts.append(Part("total", ClassCounts(everybody, 1, classes), share))
    if _OF_PREDICTED & set(wanted):
        # classes that nobody is predicted to be have no group of their own
        numbers = np.cumsum(sizes > 0) - 1
        facts["rows"] = np.flatnonzero(sizes).tolist()
        parts.append(Part("classes", ClassCounts(numbers[predicted], int((sizes > 0).sum()), classes)))
    elif "accuracy" in wanted:
        right = (predicted[:, None] == np.arange(classes)).astype(np.int64)
        parts.append(Part("right", ChosenSum(right, predicted)))
    for name in ("brier", "log_loss"):
        if scores is not None and name in wanted:
            loss = _losses(scores, name)
            # what a record costs at least and at most; half a step of the grid either way
            ends = loss.min(axis=1).mean() - 0.5, loss.max(axis=1).mean() + 0.5
            facts[name] = {"range": (max(0.0, ends[0] * 2.0**-UNIT_BITS), ends[1] * 2.0**-UNIT_BITS)}
            parts.append(Part(name, ChosenSum(loss)))
    return parts, wanted, facts


def class_question(
    parts: Sequence[Part], wanted: tuple[str, ...], facts: Mapping[str, Any], length: int | None = None
) -> Question:
    """The question out of its parts; see `estimate.joined` for `length`."""
    names = tuple(part.name for part in parts)
    return Question(joined(parts, length), names, wanted, _READERS, facts, _ties(names, facts))


def _ties(names: Sequence[str], facts: Mapping[str, Any]) -> tuple[Tie, ...]:
    """Groups add up to their sizes; both counts of a class agree."""
    classes, ties = facts["classes"], []
    if "total" in names:
        ties.append(Tie({"total": np.ones(classes)}, facts["records"]))
    if "classes" in names:
        rows = facts["rows"]
        for at, row in enumerate(rows):
            inside = np.zeros((len(rows), classes))
            inside[at] = 1
            ties.append(Tie({"classes": inside.ravel()}, facts["predicted"][row]))
        if "total" in names:
            for one in range(classes):
                down = np.zeros((len(rows), classes))
                down[:, one] = 1
                ties.append(Tie({"classes": down.ravel(), "total": -np.eye(classes)[one]}))
    return tuple(ties)


def _losses(scores: Floats, name: str) -> NDArray[np.int64]:
    """(n, classes) what each class costs, in 2^-16."""
    if scores.min() < 0 or scores.max() > 1 or np.abs(scores.sum(axis=1) - 1).max() > 1e-3:
        raise UsageError(f"{name} needs probabilities: scores between 0 and 1 that add up to 1 per record")
    if name == "log_loss":
        loss = -np.log(np.clip(scores, CLIP, 1.0))
    else:
        loss = np.square(scores).sum(axis=1, keepdims=True) - 2 * scores + 1
    return np.rint(loss * 2.0**UNIT_BITS).astype(np.int64)


class _Cells:
    """The counts of a confusion matrix as linear forms."""

    def __init__(self, base: Base) -> None:
        self.base = base
        self.classes: int = base.facts["classes"]
        self.row_of = {row: at for at, row in enumerate(base.facts["rows"])}

    def cell(self, predicted: int, actual: int) -> Floats:
        at = self.row_of.get(predicted)
        if at is None:
            return np.zeros(len(self.base.values))
        return self.base.cell("classes", at * self.classes + actual)

    def actual(self, one: int) -> Floats:
        return np.sum([self.cell(row, one) for row in self.row_of], axis=0)

    def right(self) -> Floats:
        return np.sum([self.cell(one, one) for one in range(self.classes)], axis=0)


def _accuracy(base: Base) -> Any:
    form = base.form("right") if "right" in base.places else _Cells(base).right()
    return base.linear(form, 0.0, base.facts["records"])


def _confusion(base: Base) -> Any:
    """Rows: the actual class; columns: the predicted one, as scikit-learn has it."""
    cells, sizes = _Cells(base), base.facts["predicted"]
    read = [
        [base.linear(cells.cell(guess, one), 0.0, 1.0, (0.0, sizes[guess])) for guess in range(cells.classes)]
        for one in range(cells.classes)
    ]
    return [[cell[0] for cell in row] for row in read], [[cell[1] for cell in row] for row in read]


def _precision(base: Base) -> Any:
    cells, sizes = _Cells(base), base.facts["predicted"]
    return _listed(
        base.linear(cells.cell(one, one), 0.0, sizes[one]) if sizes[one] else (None, None)
        for one in range(cells.classes)
    )


def _recall(base: Base) -> Any:
    cells = _Cells(base)
    return _listed(base.ratio(cells.cell(one, one), cells.actual(one)) for one in range(cells.classes))


def _f1(base: Base) -> Any:
    return _listed(_one_f1(_Cells(base), one) for one in range(base.facts["classes"]))


def _one_f1(cells: _Cells, one: int) -> Any:
    return cells.base.ratio(2 * cells.cell(one, one), cells.actual(one), cells.base.facts["predicted"][one])


def _macro_f1(base: Base) -> Any:
    """The mean of the classes' F1; its interval by the delta method."""
    cells, gain, total = _Cells(base), np.zeros(len(base.values)), 0.0
    for one in range(cells.classes):
        top, bottom = 2 * cells.cell(one, one), cells.actual(one)
        below = float(bottom @ base.values) + base.facts["predicted"][one]
        if below <= 3 * base.deviation(bottom):
            return 0.5, (0.0, 1.0)
        score = min(max(float(top @ base.values) / below, 0.0), 1.0)
        total += score / cells.classes
        gain += (top - score * bottom) / (below * cells.classes)
    half = base.z(gain) * base.deviation(gain)
    return total, (max(0.0, total - half), min(1.0, total + half))


def _prevalence(base: Base) -> Any:
    records = base.facts["records"]
    return _listed(base.linear(base.cell("total", one), 0.0, records) for one in range(base.facts["classes"]))


def _auc(base: Base) -> Any:
    return _listed(
        auc(base, 0.5 * base.cell("ranks", one), base.cell("total", one), base.facts["records"])
        for one in range(base.facts["classes"])
    )


def _mean_loss(name: str) -> Reader:
    def read(base: Base) -> Any:
        form, records = base.form(name, 2.0**-UNIT_BITS), base.facts["records"]
        return base.linear(form, 0.0, records, base.facts[name]["range"])

    return read


def _listed(read: Any) -> tuple[list[Any], list[Any]]:
    pairs = list(read)
    return [estimate for estimate, _ in pairs], [interval for _, interval in pairs]


_READERS: Final[Mapping[str, Reader]] = {
    "accuracy": _accuracy,
    "auc": _auc,
    "brier": _mean_loss("brier"),
    "confusion": _confusion,
    "f1": _f1,
    "log_loss": _mean_loss("log_loss"),
    "macro_f1": _macro_f1,
    "precision": _precision,
    "prevalence": _prevalence,
    "recall": _recall,
}
