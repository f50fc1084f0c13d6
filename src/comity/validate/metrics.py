"""From scores and metrics to one query, and from its noisy answer to estimates with intervals.

Base statistics are noised once, together, and every metric is derived from them. The statistics of one
answer tell of each other (the labels of all bins add up to the number of positives), so they are first moved
to the nearest consistent ones, by their variances. What is estimated is the metric on the labels that the
validator holds: an interval speaks of the noise alone.

The AUC is read from a centred rank sum S and the number of positives n1: AUC = 1/2 + S / (n1 (n - n1)).
Intervals of ratios are Fieller's (1954): all values that the noise does not refute at 5%.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.data.bins import quantile_edges
from comity.errors import UsageError
from comity.validate.mechanism import NoisySums
from comity.validate.queries import GroupCounts, Joined, Query, WeightedSum

Floats = NDArray[np.float64]
Interval = tuple[float, float]

METRICS: Final = (
    "auc",
    "accuracy",
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
_OF_CLASSES: Final = frozenset({"accuracy", "confusion", "f1", "precision", "recall", "specificity"})
_BINS: Final = 10
_CLIP: Final = 0.01
_UNIT_BITS: Final = 16
_TOTAL_SHARE: Final = 0.53
"""Weight of the number of positives beside the rank sum, in doubled ranks per record: between 20% and 80%
positives and AUC 0.6 to 0.95 it is within 3% of the best choice."""
_Z: Final = 1.959963984540054


@dataclass(frozen=True, eq=False)
class Question:
    """One query for several metrics, and how to read its answer.

    Attributes:
        query: what the validator is asked.
        names: the base statistics in it, in order: `ranks`, `total`, `bins`, `classes`, `brier`, `log_loss`.
        metrics: what is wanted.
        facts: public facts about the groups (sizes, edges, mean scores).
    """

    query: Joined
    names: tuple[str, ...]
    metrics: tuple[str, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def read(self, answer: NoisySums) -> tuple[dict[str, Any], dict[str, Any]]:
        """Estimates and 95% intervals by metric.

        A number and a pair for most; for `calibration` a list per bin (the share of positives), for
        `confusion` a dict of tp, fp, fn, tn; None where a metric is not defined (precision without a
        record that is predicted positive).
        """
        base = _consistent(self, answer)
        estimates: dict[str, Any] = {}
        intervals: dict[str, Any] = {}
        for metric in self.metrics:
            estimates[metric], intervals[metric] = _READERS[metric](base)
        return estimates, intervals


def ask_for(
    scores: Floats, metrics: Sequence[str], *, threshold: float | None = None, minimum: int = 1
) -> Question:
    """The query that all the metrics are derived from.

    Args:
        scores: (n,) finite; larger means more likely positive. `brier` and `log_loss` need probabilities.
        metrics: out of `METRICS`.
        threshold: scores at or above it predict the positive class; None: 0.5 for scores between 0 and 1,
            else 0.
        minimum: least number of records per calibration bin.

    Raises:
        UsageError: for unknown metrics, no records, or scores that a metric cannot use.
    """
    wanted = tuple(dict.fromkeys(metrics))
    unknown = [metric for metric in wanted if metric not in METRICS]
    if unknown or not wanted:
        named = ", ".join(map(repr, unknown)) or "(none given)"
        raise UsageError(f"unknown metric {named}; there are: {', '.join(METRICS)}")
    if not len(scores):
        raise UsageError("there is no record to give feedback on")
    chances = bool(scores.min() >= 0 and scores.max() <= 1)
    for metric in ("brier", "log_loss"):
        if metric in wanted and not chances:
            raise UsageError(f"{metric} needs scores between 0 and 1")
    limit = threshold if threshold is not None else (0.5 if chances else 0.0)
    predicted = scores >= limit
    facts: dict[str, Any] = {"records": len(scores), "threshold": limit, "predicted": int(predicted.sum())}
    parts: list[tuple[str, Query, float]] = []
    if "auc" in wanted:
        ranks = WeightedSum.ranks(scores)
        parts += [("ranks", ranks, 1.0), ("total", _total(len(scores)), _TOTAL_SHARE)]
    elif "prevalence" in wanted:
        parts.append(("total", _total(len(scores)), 1.0))
    if "calibration" in wanted:
        edges = np.array(quantile_edges(scores, _BINS, minimum))
        bins = np.searchsorted(edges, scores, side="right")
        sizes = np.bincount(bins, minlength=len(edges) + 1)
        means = np.bincount(bins, weights=scores, minlength=len(sizes)) / np.maximum(sizes, 1)
        facts["calibration"] = {
            "edges": edges.tolist(),
            "sizes": sizes.tolist(),
            "mean_scores": means.tolist(),
        }
        parts.append(("bins", GroupCounts(bins, len(sizes)), 1.0))
    if _OF_CLASSES & set(wanted):
        parts.append(("classes", GroupCounts(predicted.astype(np.int64), 2), 1.0))
    parts += [(name, _loss(scores, name, facts), 1.0) for name in ("brier", "log_loss") if name in wanted]
    return _joined(parts, wanted, facts)


def _joined(
    parts: list[tuple[str, Query, float]], wanted: tuple[str, ...], facts: dict[str, Any]
) -> Question:
    """Every family of metrics gets the same length, so that none is drowned by another's noise."""
    length = max(1 << _UNIT_BITS, *(16 * query.l2 for _, query, _ in parts))
    factors = tuple(max(1, round(share * length / query.l2)) for _, query, share in parts)
    query = Joined(tuple(query for _, query, _ in parts), factors)
    return Question(query, tuple(name for name, _, _ in parts), wanted, facts)


def _total(records: int) -> GroupCounts:
    return GroupCounts(np.zeros(records, dtype=np.int64), 1)


def _loss(scores: Floats, name: str, facts: dict[str, Any]) -> WeightedSum:
    """What a positive label adds to the loss, in 2^-16; the rest of the loss is public."""
    if name == "brier":
        public, by_label = np.square(scores), 1 - 2 * scores
    else:
        clipped = np.clip(scores, _CLIP, 1 - _CLIP)
        public, by_label = -np.log1p(-clipped), np.log1p(-clipped) - np.log(clipped)
    whole = np.trunc(by_label * 2.0**_UNIT_BITS).astype(np.int64)
    facts[name] = {"public": float(public.sum())}
    return WeightedSum(whole)


@dataclass(frozen=True, eq=False)
class _Base:
    """Consistent base statistics.

    Attributes:
        values, covariance: (d,), (d, d); places: where each named statistic stands.
        noise: (draws, d) simulated noise where it is not Gaussian, else None.
        facts: the question's.
    """

    values: Floats
    covariance: Floats
    places: Mapping[str, slice]
    noise: Floats | None
    facts: Mapping[str, Any]

    def form(self, name: str, weights: Sequence[float] | float = 1.0) -> Floats:
        """(d,) a linear form: weights on one statistic's values."""
        form = np.zeros(len(self.values))
        form[self.places[name]] = weights
        return form

    def positives(self) -> Floats:
        """(d,) the form of the number of positives."""
        for name in ("total", "classes", "bins"):
            if name in self.places:
                return self.form(name)
        raise UsageError("no statistic in the answer tells of the number of positives")

    def z(self, form: Floats) -> float:
        """How many standard deviations hold 95% of the form's noise."""
        deviation = math.sqrt(max(float(form @ self.covariance @ form), 0.0))
        if self.noise is None or deviation == 0:
            return _Z
        return float(np.quantile(np.abs(self.noise @ form), 0.95)) / deviation

    def linear(self, form: Floats, shift: float, scale: float, bounds: Interval = (0.0, 1.0)) -> Any:
        """Estimate and interval of (form of the values + shift) / scale."""
        centre = float(form @ self.values) + shift
        half = self.z(form) * math.sqrt(float(form @ self.covariance @ form))
        interval = _clipped(((centre - half) / scale, (centre + half) / scale), bounds)
        return min(max(centre / scale, bounds[0]), bounds[1]), interval

    def ratio(self, top: Floats, bottom: Floats, shift: float = 0.0) -> Any:
        """Estimate and interval of top / (bottom + shift)."""
        a, b = float(top @ self.values), float(bottom @ self.values) + shift
        cov = self.covariance
        guess = min(max(a / b, 0.0), 1.0) if b > 0 else 0.5
        pieces = float(top @ cov @ top), float(top @ cov @ bottom), float(bottom @ cov @ bottom)
        return guess, _fieller(a, b, pieces, self.z(top - guess * bottom), (0.0, 1.0))


_DRAWS: Final = 5_000


def _consistent(question: Question, answer: NoisySums) -> _Base:
    """The nearest statistics, by their variances, for which all groupings have the same sum."""
    pieces = question.query.split(answer.values)
    places: dict[str, slice] = {}
    start = 0
    for name, piece in zip(question.names, pieces, strict=True):
        places[name] = slice(start, start + len(piece))
        start += len(piece)
    values = np.concatenate(pieces)
    deviations = np.concatenate(
        [
            np.full(len(piece), answer.deviation / factor)
            for piece, factor in zip(pieces, question.query.factors, strict=True)
        ]
    )
    groupings = [name for name in question.names if name in ("total", "bins", "classes")]
    keep = np.eye(start)
    if len(groupings) > 1:
        ties = np.zeros((len(groupings) - 1, start))
        ties[:, places[groupings[0]]] = 1
        for row, name in enumerate(groupings[1:]):
            ties[row, places[name]] -= 1
        spread = np.square(deviations)[:, None] * ties.T
        keep -= spread @ np.linalg.solve(ties @ spread, ties)
    noise = None
    if answer.calibration.law == "laplace":
        # reading an answer needs no secret randomness: the draws only tell how wide its noise is
        draws = np.random.default_rng(0).laplace(size=(_DRAWS, start)) / math.sqrt(2.0)
        noise = (draws * deviations) @ keep.T
    covariance = (keep * np.square(deviations)) @ keep.T
    return _Base(keep @ values, covariance, places, noise, question.facts)


def _auc(base: _Base) -> Any:
    records = base.facts["records"]
    positives = base.positives()
    count = float(positives @ base.values)
    spread = float(positives @ base.covariance @ positives)
    half_sum = base.form("ranks", 0.5)
    sum_of_ranks = float(half_sum @ base.values)
    # n1 (n - n1) without bias, and the variance of its noise to second order
    pairs = count * (records - count) + spread
    pairs_spread = (records - 2 * count) ** 2 * spread + 2 * spread**2
    variance = float(half_sum @ base.covariance @ half_sum)
    if pairs <= 0:
        return 0.5, (0.0, 1.0)
    guess = min(max(sum_of_ranks / pairs, -0.5), 0.5)
    z = base.z(half_sum - guess * (records - 2 * count) * positives)
    low, high = _fieller(sum_of_ranks, pairs, (variance, 0.0, pairs_spread), z, (-0.5, 0.5))
    return guess + 0.5, (low + 0.5, high + 0.5)


def _fieller(a: float, b: float, pieces: tuple[float, float, float], z: float, bounds: Interval) -> Interval:
    """All u within the bounds with |a - u b| at most z standard deviations of its noise."""
    top, both, bottom = pieces
    square, linear, constant = b * b - z * z * bottom, a * b - z * z * both, a * a - z * z * top
    if square <= 0 or b <= 0:
        return bounds
    root = math.sqrt(max(linear * linear - square * constant, 0.0))
    return _clipped(((linear - root) / square, (linear + root) / square), bounds)


def _clipped(interval: Interval, bounds: Interval) -> Interval:
    low, high = (min(max(end, bounds[0]), bounds[1]) for end in interval)
    return low, high


def _accuracy(base: _Base) -> Any:
    records, predicted = base.facts["records"], base.facts["predicted"]
    return base.linear(base.form("classes", (-1.0, 1.0)), records - predicted, records)


def _precision(base: _Base) -> Any:
    predicted = base.facts["predicted"]
    return base.linear(base.form("classes", (0.0, 1.0)), 0.0, predicted) if predicted else (None, None)


def _recall(base: _Base) -> Any:
    return base.ratio(base.form("classes", (0.0, 1.0)), base.form("classes"))


def _specificity(base: _Base) -> Any:
    """The false positives' share of the negatives, from 1."""
    records, predicted = base.facts["records"], base.facts["predicted"]
    false_positives = base.form("classes", (0.0, -1.0))
    negatives = -base.form("classes")
    a, b = float(false_positives @ base.values) + predicted, float(negatives @ base.values) + records
    cov = base.covariance
    guess = min(max(a / b, 0.0), 1.0) if b > 0 else 0.5
    pieces = (
        float(false_positives @ cov @ false_positives),
        float(false_positives @ cov @ negatives),
        float(negatives @ cov @ negatives),
    )
    low, high = _fieller(a, b, pieces, base.z(false_positives - guess * negatives), (0.0, 1.0))
    return 1 - guess, (1 - high, 1 - low)


def _f1(base: _Base) -> Any:
    return base.ratio(base.form("classes", (0.0, 2.0)), base.form("classes"), base.facts["predicted"])


def _confusion(base: _Base) -> Any:
    records, predicted = base.facts["records"], base.facts["predicted"]
    positive, negative = base.form("classes", (0.0, 1.0)), base.form("classes", (1.0, 0.0))
    cells = {
        "tp": base.linear(positive, 0.0, 1.0, (0.0, predicted)),
        "fp": base.linear(-positive, predicted, 1.0, (0.0, predicted)),
        "fn": base.linear(negative, 0.0, 1.0, (0.0, records - predicted)),
        "tn": base.linear(-negative, records - predicted, 1.0, (0.0, records - predicted)),
    }
    return {name: cell[0] for name, cell in cells.items()}, {name: cell[1] for name, cell in cells.items()}


def _calibration(base: _Base) -> Any:
    sizes = base.facts["calibration"]["sizes"]
    read = [
        base.linear(base.form("bins", np.eye(len(sizes))[at].tolist()), 0.0, size)
        for at, size in enumerate(sizes)
    ]
    return [estimate for estimate, _ in read], [interval for _, interval in read]


def _prevalence(base: _Base) -> Any:
    return base.linear(base.positives(), 0.0, base.facts["records"])


def _mean_loss(name: str) -> Any:
    def read(base: _Base) -> Any:
        form = base.form(name, 2.0**-_UNIT_BITS)
        return base.linear(form, base.facts[name]["public"], base.facts["records"], (0.0, math.inf))

    return read


_READERS: Final[Mapping[str, Any]] = {
    "auc": _auc,
    "accuracy": _accuracy,
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
