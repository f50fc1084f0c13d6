"""Metrics of two classes: from scores to one query, and from its noisy answer to estimates with intervals.

The AUC is read from a centred rank sum S and the number of positives n1: AUC = 1/2 + S / (n1 (n - n1)).
Accuracy alone is one sum of right answers; with others it is read from their counts. Average precision is in
`curve`. `estimate` has the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.errors import UsageError
from comity.validate.curve import average_precision, curve_facts
from comity.validate.cuts import calibration_bins, curve_bins
from comity.validate.estimate import Base, Part, Question, Reader, Tie, fieller, joined
from comity.validate.numbering import counted, how_many
from comity.validate.parameters import a_number, names
from comity.validate.queries import (
    CountPerGroup,
    GroupCounts,
    Groups,
    Labels,
    WeightedSum,
    Words,
    grouped,
    owned,
)

Floats = NDArray[np.float64]

METRICS: Final = (
    "auc",
    "accuracy",
    "average_precision",
    "brier",
    "calibration",
    "confusion",
    "f1",
    "log_loss",
    "precision",
    "prevalence",
    "recall",
    "specificity",
)
OF_CLASSES: Final = frozenset({"confusion", "f1", "precision", "recall", "specificity"})
_COUNTS: Final = ("total", "bins", "classes", "curve")
CLIP: Final = 0.01
UNIT_BITS: Final = 16
_TOTAL_SHARE: Final = 0.53
"""Weight of the number of positives beside the rank sum, in doubled ranks per record: between 20% and 80%
positives and AUC 0.6 to 0.95 it is within 3% of the best choice."""


@dataclass(frozen=True, eq=False)
class SignedCounts(CountPerGroup):
    """Positives among those predicted positive, less those among the others: right answers less a constant.

    One number per group, which one changed label moves by 1: half the variance of both counts.

    Attributes:
        groups: (rows,) group numbers 0 .. size - 1; None: one group.
        size: number of groups.
        predicted: (rows,) booleans.
        cells: (rows,) 2 * group + predicted, where it has been computed.
    """

    groups: Groups | None
    size: int
    predicted: NDArray[np.bool_]
    cells: Groups | None = None

    @classmethod
    def of(cls, predicted: NDArray[np.bool_]) -> SignedCounts:
        return cls(None, 1, predicted)

    @property
    def rows(self) -> int:
        return len(self.predicted)

    def sums(self, labels: Labels) -> NDArray[np.int64]:
        if self.groups is None:
            positive = (
                labels.astype(np.bool_, copy=False) if labels.dtype != np.int8 else labels.view(np.bool_)
            )
            return 2 * how_many(positive & self.predicted) - how_many(positive)
        counts = counted(self._cells, 2 * self.size, labels, 2).reshape(-1, 4)
        return counts[:, 3] - counts[:, 1]

    def padded_sums(self, words: Words) -> Words:
        cells = self.groupings()[0].astype(np.intp)
        counts = grouped(cells, words, 2 * self.size).reshape(-1, 2)
        return counts[:, 1] - counts[:, 0]

    def row(self, record: int) -> NDArray[np.int64]:
        row = np.zeros(self.size, dtype=np.int64)
        row[0 if self.groups is None else self.groups[record]] = 1 if self.predicted[record] else -1
        return row

    def groupings(self) -> tuple[Groups, ...]:
        """Groups and predicted classes: a prediction that is turned around moves a record."""
        return (self.predicted.view(np.uint8) if self.groups is None else self._cells,)

    @property
    def _cells(self) -> Groups:
        if self.cells is not None:
            return self.cells
        groups = np.zeros(self.rows, dtype=np.int64) if self.groups is None else self.groups
        return 2 * groups + self.predicted


def ask_for(
    scores: Floats, metrics: Sequence[str], *, threshold: float | None = None, minimum: int = 1
) -> Question:
    """The query that all the metrics are derived from.

    Read, the answer is a number and a pair for most metrics; for `calibration` a list per bin (the share of
    positives), for `confusion` a dict of tp, fp, fn, tn; None where a metric is not defined (precision
    without a record that is predicted positive).

    Args:
        scores: (n,) finite; larger means more likely positive. `brier` and `log_loss` need probabilities.
        metrics: out of `METRICS`.
        threshold: scores at or above it predict the positive class; None: 0.5 for scores between 0 and 1,
            else 0.
        minimum: least number of records per bin.

    Raises:
        UsageError: for unknown metrics, no records, or scores that a metric cannot use.
    """
    parts, wanted, facts = parts_for(scores, metrics, threshold=threshold, minimum=minimum)
    return assembled(parts, wanted, facts)


def parts_for(
    scores: Floats, metrics: Sequence[str], *, threshold: float | None = None, minimum: int = 1
) -> tuple[list[Part], tuple[str, ...], dict[str, Any]]:
    """The base statistics for the metrics, the metrics, and public facts."""
    wanted = known_metrics(metrics, METRICS)
    if not len(scores):
        raise UsageError("there is no record to give feedback on")
    chances = bool(scores.min() >= 0 and scores.max() <= 1)
    for metric in ("brier", "log_loss"):
        if metric in wanted and not chances:
            raise UsageError(f"{metric} needs scores between 0 and 1")
    limit = a_number(threshold, "threshold") if threshold is not None else (0.5 if chances else 0.0)
    predicted = owned(scores >= limit)
    facts: dict[str, Any] = {
        "records": len(scores), "threshold": limit, "predicted": int(np.count_nonzero(predicted)),
    }  # fmt: skip
    parts: list[Part] = []
    if "auc" in wanted:
        parts += [
            Part("ranks", WeightedSum.ranks(scores)), Part("total", _total(len(scores)), _TOTAL_SHARE)
        ]  # fmt: skip
    elif "prevalence" in wanted:
        parts.append(Part("total", _total(len(scores))))
    if "calibration" in wanted:
        bins = calibration_bins(scores, limit, minimum)
        facts["calibration"] = {
            "edges": bins.edges.tolist(),
            "sizes": bins.sizes.tolist(),
            "mean_scores": bins.mean_scores(scores).tolist(),
        }
        parts.append(Part("bins", GroupCounts(owned(bins.numbers), len(bins.sizes))))
    if "average_precision" in wanted:
        known = facts["calibration"]["edges"] if "calibration" in wanted else None
        curve = curve_bins(scores, limit, minimum, known)
        facts["average_precision"] = curve_facts(scores, curve)
        parts.append(Part("curve", GroupCounts(owned(curve.numbers), len(curve.sizes))))
    if OF_CLASSES & set(wanted):
        parts.append(Part("classes", GroupCounts(predicted.view(np.uint8), 2)))
    elif "accuracy" in wanted:
        parts.append(Part("right", SignedCounts.of(predicted)))
    parts += [Part(name, _loss(scores, name, facts)) for name in ("brier", "log_loss") if name in wanted]
    return parts, wanted, facts


def assembled(
    parts: Sequence[Part], wanted: tuple[str, ...], facts: Mapping[str, Any], length: int | None = None
) -> Question:
    """The question out of its parts; see `estimate.joined` for `length`."""
    counts = [part for part in parts if part.name in _COUNTS]
    ties = tuple(
        Tie({counts[0].name: np.ones(counts[0].query.dimensions), part.name: -np.ones(part.query.dimensions)})
        for part in counts[1:]
    )
    names = tuple(part.name for part in parts)
    return Question(joined(parts, length), names, wanted, _READERS, facts, ties)


def known_metrics(metrics: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The metrics, each once.

    Raises:
        UsageError: for one that is not known, and for none.
    """
    wanted = tuple(dict.fromkeys(names(metrics, "metrics")))
    unknown = [metric for metric in wanted if metric not in known]
    if unknown or not wanted:
        named = ", ".join(map(repr, unknown)) or "(none given)"
        raise UsageError(f"unknown metric {named}; there are: {', '.join(known)}")
    return wanted


def _total(records: int) -> GroupCounts:
    return GroupCounts(owned(np.zeros(records, dtype=np.uint8)), 1)


def losses(scores: Floats, name: str) -> tuple[Floats, Floats]:
    """(n,) what label 0 costs, and what label 1 costs; log-loss with chances held within 0.01 and 0.99."""
    if name == "brier":
        return np.square(scores), np.square(1 - scores)
    chance = np.clip(scores, CLIP, 1 - CLIP)
    return -np.log1p(-chance), -np.log(chance)


def _loss(scores: Floats, name: str, facts: dict[str, Any]) -> WeightedSum:
    """What a positive label adds to the loss, in 2^-16; the rest of the loss is public, and its range too."""
    public, positive = losses(scores, name)
    gained, total = positive - public, float(public.sum())
    # the smaller of both costs, and the larger, added up over records
    middle, half = total + float(gained.sum()) / 2, float(np.abs(gained).sum()) / 2
    low, high = max(0.0, middle - half) / len(scores), (middle + half) / len(scores)
    facts[name] = {"public": total, "range": (low, high)}
    return WeightedSum(owned(np.trunc(gained * 2.0**UNIT_BITS).astype(np.int64)))


def _positives(base: Base) -> Floats:
    """(d,) the form of the number of positives."""
    for name in _COUNTS:
        if name in base.places:
            return base.form(name)
    raise UsageError("no statistic in the answer tells of the number of positives")


def _auc(base: Base) -> Any:
    records = base.facts["records"]
    positives = _positives(base)
    return auc(base, base.form("ranks", 0.5), positives, records)


def auc(base: Base, half_sum: Floats, positives: Floats, records: int) -> Any:
    """Estimate and interval from the forms of the centred rank sum and of the number of positives."""
    count = float(positives @ base.values)
    spread = float(positives @ base.covariance @ positives)
    sum_of_ranks = float(half_sum @ base.values)
    # n1 (n - n1) without bias, and the variance of its noise to second order
    pairs = count * (records - count) + spread
    pairs_spread = (records - 2 * count) ** 2 * spread + 2 * spread**2
    variance = float(half_sum @ base.covariance @ half_sum)
    if pairs <= 0:
        return 0.5, (0.0, 1.0)
    guess = min(max(sum_of_ranks / pairs, -0.5), 0.5)
    z = base.z(half_sum - guess * (records - 2 * count) * positives)
    low, high = fieller(sum_of_ranks, pairs, (variance, 0.0, pairs_spread), z, (-0.5, 0.5))
    return guess + 0.5, (low + 0.5, high + 0.5)


def _accuracy(base: Base) -> Any:
    records, predicted = base.facts["records"], base.facts["predicted"]
    form = base.form("right") if "right" in base.places else base.form("classes", (-1.0, 1.0))
    return base.linear(form, records - predicted, records)


def _precision(base: Base) -> Any:
    predicted = base.facts["predicted"]
    return base.linear(base.form("classes", (0.0, 1.0)), 0.0, predicted)


def _recall(base: Base) -> Any:
    return base.ratio(base.form("classes", (0.0, 1.0)), base.form("classes"))


def _specificity(base: Base) -> Any:
    """The false positives' share of the negatives, from 1."""
    records, predicted = base.facts["records"], base.facts["predicted"]
    share, (low, high) = base.ratio(
        base.form("classes", (0.0, -1.0)), -base.form("classes"), records, added=predicted
    )
    return 1 - share, (1 - high, 1 - low)


def _f1(base: Base) -> Any:
    return base.ratio(base.form("classes", (0.0, 2.0)), base.form("classes"), base.facts["predicted"])


def _confusion(base: Base) -> Any:
    records, predicted = base.facts["records"], base.facts["predicted"]
    positive, negative = base.form("classes", (0.0, 1.0)), base.form("classes", (1.0, 0.0))
    cells = {
        "tp": base.linear(positive, 0.0, 1.0, (0.0, predicted)),
        "fp": base.linear(-positive, predicted, 1.0, (0.0, predicted)),
        "fn": base.linear(negative, 0.0, 1.0, (0.0, records - predicted)),
        "tn": base.linear(-negative, records - predicted, 1.0, (0.0, records - predicted)),
    }
    return {name: cell[0] for name, cell in cells.items()}, {name: cell[1] for name, cell in cells.items()}


def _calibration(base: Base) -> Any:
    sizes = base.facts["calibration"]["sizes"]
    read = [
        base.linear(base.form("bins", np.eye(len(sizes))[at].tolist()), 0.0, size)
        for at, size in enumerate(sizes)
    ]
    return [estimate for estimate, _ in read], [interval for _, interval in read]


def _prevalence(base: Base) -> Any:
    return base.linear(_positives(base), 0.0, base.facts["records"])


def _mean_loss(name: str) -> Any:
    def read(base: Base) -> Any:
        form = base.form(name, 2.0**-UNIT_BITS)
        return base.linear(form, base.facts[name]["public"], base.facts["records"], base.facts[name]["range"])

    return read


_READERS: Final[Mapping[str, Reader]] = {
    "auc": _auc,
    "accuracy": _accuracy,
    "average_precision": average_precision,
    "brier": _mean_loss("brier"),
    "calibration": _calibration,
    "confusion": _confusion,
    "f1": _f1,
    "log_loss": _mean_loss("log_loss"),
    "precision": _precision,
    "prevalence": _prevalence,
    "recall": _recall,
    "specificity": _specificity,
}
