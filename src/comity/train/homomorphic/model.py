"""LinearModel: a linear or logistic model as whole numbers, ready to weigh encrypted columns."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from comity.errors import BadInput
from comity.train.homomorphic.precision import LARGEST, STEP_BITS

Floats = NDArray[np.float64]


class ModelKind(StrEnum):
    """What a score is put through when it is opened: nothing, or the logistic function."""

    linear = "linear"
    logistic = "logistic"


def probability(scores: Floats) -> Floats:
    """1 / (1 + exp(-score)), for any score."""
    return 0.5 * (1.0 + np.tanh(0.5 * scores))


def _size(weights: Sequence[float], intercept: float) -> float:
    return sum(abs(number) for number in (*weights, intercept))


def unit_for(weights: Sequence[float], intercept: float) -> float:
    """The smallest power of two from 1 on that such a model fits as a unit."""
    size = _size(weights, intercept)
    if not math.isfinite(size):
        raise BadInput("a model's weights are finite numbers, and one of these is not", private=True)
    return 2.0 ** max(0, math.ceil(math.log2(max(size, 1.0) / (LARGEST - 1))))


@dataclass(frozen=True)
class LinearModel:
    """score = weights . row + intercept. Private to the ML party but for `kind` and `unit`.

    Attributes:
        weights: one for each column of the rows, whose numbers are within -1 and 1.
        intercept: added to every score.
        unit: weights and intercept together are at most 1,023 units, and a score's error grows with it. It is
            told to the provider: fix it without regard to the model, such as by the target's public bounds,
            or have `unit_for` tell how large the model is, to a factor of two.
    """

    weights: tuple[float, ...]
    intercept: float
    kind: ModelKind = ModelKind.logistic
    unit: float = 1.0

    def __post_init__(self) -> None:
        if not self.weights:
            raise BadInput("a model has a weight for each column, and this one has none")
        if not all(math.isfinite(number) for number in (*self.weights, self.intercept)):
            raise BadInput("a model's weights are finite numbers, and one of these is not", private=True)
        if not (math.isfinite(self.unit) and self.unit > 0):
            raise BadInput(f"a score's unit is a number above 0, not {self.unit}")
        size = _size(self.weights, self.intercept) / self.unit
        if size > LARGEST - 1:
            raise BadInput(
                f"the model's weights and intercept add up to {size:,.0f} units, and at most "
                f"{LARGEST - 1:,.0f} fit: regularise it more, or give a larger `unit`",
                private=True,
            )

    @classmethod
    def of(cls, fitted: Any, *, unit: float = 1.0) -> Self:
        """A fitted scikit-learn model that is linear: logistic with two classes, or of one target.

        What it predicts for a few made-up rows is compared with what its weights say: others have weights as
        well (support vectors, ridge classifiers, Poisson regressions), and use them otherwise.

        Raises:
            BadInput: if it has several classes or targets, or predicts otherwise than by its weights.
        """
        try:
            weights = np.atleast_2d(np.asarray(fitted.coef_, dtype=np.float64))
            intercept = np.ravel(np.asarray(fitted.intercept_, dtype=np.float64))
        except (AttributeError, TypeError, ValueError):
            raise BadInput("this is no fitted linear model: it has no coef_ and intercept_") from None
        if len(weights) != 1 or len(intercept) != 1:
            raise BadInput("a model of two classes, or of one target, can be used; this one has more")
        kind = ModelKind.logistic if hasattr(fitted, "classes_") else ModelKind.linear
        _require_predicted(fitted, kind, weights[0], float(intercept[0]))
        return cls(tuple(weights[0].tolist()), float(intercept[0]), kind, unit)

    def steps(self) -> tuple[list[int], int]:
        """Weights and intercept in whole steps of 2^-24 units."""
        scaled = [round(number / self.unit * 2**STEP_BITS) for number in self.weights]
        return scaled, round(self.intercept / self.unit * 2**STEP_BITS)

    def plain(self, rows: Floats) -> Floats:
        """(rows,) the scores without encryption, for (rows, columns) numbers."""
        return rows @ np.array(self.weights) + self.intercept


def _require_predicted(fitted: Any, kind: ModelKind, weights: Floats, intercept: float) -> None:
    """The model predicts what its weights say, at rows whose scores are near 0 and apart, and at others.

    Raises:
        BadInput: if it does not.
    """
    along = weights / (float(weights @ weights) or 1.0)
    near = np.outer(np.array([-2.0, -0.5, 0.7, 2.0]) - intercept, along)
    rows = np.concatenate([near, np.zeros((1, len(weights))), np.eye(len(weights))[:3]])
    scores = rows @ weights + intercept
    wanted = probability(scores) if kind is ModelKind.logistic else scores
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that these rows have no names of columns
            told = fitted.predict_proba(rows)[:, 1] if kind is ModelKind.logistic else fitted.predict(rows)
            same = np.allclose(np.ravel(np.asarray(told, dtype=np.float64)), wanted, rtol=1e-6, atol=1e-9)
    except (AttributeError, TypeError, ValueError, IndexError):
        same = False
    if not same:
        rule = "the logistic function of its weights" if kind is ModelKind.logistic else "its weights"
        raise BadInput(
            f"a {type(fitted).__name__} does not predict by {rule} alone: scores would mean something else. "
            "Take a LogisticRegression or a LinearRegression, or give weights to LinearModel itself"
        )
