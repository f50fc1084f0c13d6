"""How good a model's scores are on rows that it has not seen: discrimination and calibration, with intervals.

AUC and its interval after DeLong, DeLong and Clarke-Pearson (1988), by midranks (Sun and Xu 2014);
calibration error with bins of equal width (Naeini et al. 2015); calibration slope after Cox (1958).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.errors import UsageError

Z95 = 1.959963984540054
"""Two-sided 95% of the normal distribution."""

_BINS = 10
_EDGE = 1e-12
_STEPS = 50


@dataclass(frozen=True)
class Quality:
    """Quality of probabilities on held-out rows.

    Attributes:
        auc: chance that a positive row scores above a negative one, ties counting one half; `low` and `high`
            are its 95% interval over rows.
        brier: mean squared difference of probability and label, in [0, 1]; less is better.
        calibration_error: mean over rows of |mean probability - share of positives| in the row's bin, ten
            bins.
        calibration_slope: 1 if log-odds mean what they say; below 1 the model is too sure of itself. None
            where all scores are equal or separate the labels.
    """

    auc: float
    low: float
    high: float
    brier: float
    calibration_error: float
    calibration_slope: float | None

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def quality(labels: NDArray[np.integer], scores: NDArray[np.floating]) -> Quality:
    """Judge (rows,) probabilities of the positive class against (rows,) labels 0 or 1.

    Raises:
        UsageError: if labels have one class only.
    """
    labels, scores = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    auc, variance, _ = delong(labels, scores[None, :])
    spread = Z95 * float(np.sqrt(variance[0, 0]))
    return Quality(
        auc=float(auc[0]),
        low=max(0.0, float(auc[0]) - spread),
        high=min(1.0, float(auc[0]) + spread),
        brier=float(np.mean((scores - labels) ** 2)),
        calibration_error=_calibration_error(labels, scores),
        calibration_slope=_calibration_slope(labels, scores),
    )


def auc_difference(
    labels: NDArray[np.integer], first: NDArray[np.floating], second: NDArray[np.floating]
) -> tuple[float, float, float]:
    """AUC of `first` less AUC of `second` on the same rows, and its 95% interval."""
    auc, variance, _ = delong(np.asarray(labels), np.stack([first, second]).astype(np.float64))
    gap = float(auc[0] - auc[1])
    spread = Z95 * float(np.sqrt(max(0.0, variance[0, 0] + variance[1, 1] - 2 * variance[0, 1])))
    return gap, gap - spread, gap + spread


def delong(
    labels: NDArray[np.integer], scores: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """AUCs of several models on the same rows, and their covariance.

    Args:
        labels: (rows,) 0 or 1.
        scores: (models, rows).

    Returns:
        (models,) AUCs, (models, models) covariance, and the number of positive rows.

    Raises:
        UsageError: if labels have one class only.
    """
    positive = labels == 1
    ones, zeros = int(positive.sum()), int((~positive).sum())
    if not ones or not zeros:
        raise UsageError("the held-out rows have one class only: no AUC can be measured on them")
    over, under, aucs = [], [], []
    for row in scores:
        whole = _midranks(row)
        mine, theirs = whole[positive], whole[~positive]
        over.append((mine - _midranks(row[positive])) / zeros)
        under.append(1.0 - (theirs - _midranks(row[~positive])) / ones)
        aucs.append((mine.sum() - ones * (ones + 1) / 2) / (ones * zeros))
    return np.array(aucs), _covariance(over) / ones + _covariance(under) / zeros, ones


def auc_of_counts(
    scores: NDArray[np.float64], ones: NDArray[np.float64], zeros: NDArray[np.float64]
) -> float:
    """AUC where score i stands for `ones[i]` positive and `zeros[i]` negative rows."""
    values, place = np.unique(scores, return_inverse=True)
    ups = np.bincount(place, weights=ones, minlength=len(values))
    downs = np.bincount(place, weights=zeros, minlength=len(values))
    beaten = np.cumsum(downs) - downs / 2
    return float(ups @ beaten / (ups.sum() * downs.sum()))


def _covariance(parts: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    together = np.stack(parts)
    if together.shape[1] < 2:
        return np.zeros((len(parts), len(parts)))
    return np.atleast_2d(np.cov(together))


def _midranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1, equal values sharing the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[place]


def _calibration_error(labels: NDArray[np.integer], scores: NDArray[np.float64]) -> float:
    places = np.minimum((scores * _BINS).astype(np.int64), _BINS - 1)
    expected = np.bincount(places, weights=scores, minlength=_BINS)
    found = np.bincount(places, weights=labels.astype(np.float64), minlength=_BINS)
    return float(np.abs(expected - found).sum() / len(scores))


def _calibration_slope(labels: NDArray[np.integer], scores: NDArray[np.float64]) -> float | None:
    """Slope of the logistic regression of labels on the scores' log-odds, by Newton's method."""
    bounded = np.clip(scores, _EDGE, 1 - _EDGE)
    odds = np.log(bounded / (1 - bounded))
    if np.ptp(odds) < _EDGE:
        return None
    design = np.stack([np.ones_like(odds), odds], axis=1)
    found, truth = np.array([0.0, 1.0]), labels.astype(np.float64)
    for _ in range(_STEPS):
        bounded_odds = np.clip(design @ found, -30, 30)
        chance = np.asarray(1 / (1 + np.exp(np.negative(bounded_odds))), dtype=np.float64)
        slope = design.T @ (truth - chance)
        curve = (design * (chance * (1 - chance))[:, None]).T @ design
        if abs(np.linalg.det(curve)) < _EDGE:
            return None
        step = np.linalg.solve(curve, slope)
        found = found + step
        if np.abs(step).max() < 1e-9:
            return float(found[1])
    return None
