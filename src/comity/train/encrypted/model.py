"""The model that training on shares yields, once it is opened: weights of public columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from comity.data.table import Table
from comity.errors import PartyFailed
from comity.train.encrypted.features import Features
from comity.train.encrypted.settings import Kind

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LinearModel:
    """Logistic or linear regression.

    Attributes:
        weights: (width,) of the features' columns.
        intercept: what a row of zeros gets.
        low, high: of a linear model: what -1 and 1 stand for.
    """

    features: Features
    kind: Kind
    weights: Floats
    intercept: float
    low: float = -1.0
    high: float = 1.0

    @classmethod
    def of(
        cls, features: Features, kind: Kind, opened: Floats, low: float = -1.0, high: float = 1.0
    ) -> LinearModel:
        """From (width + 1,) opened numbers.

        Raises:
            PartyFailed: if they are not as many.
        """
        if opened.shape != (features.width + 1,):
            raise PartyFailed("the compute parties opened a model of another size than the features have")
        return cls(features, kind, opened[:-1], float(opened[-1]), low, high)

    def linear(self, table: Table) -> Floats:
        """(rows,) log odds, or predicted values on the scale of -1 to 1."""
        return self.features.encode(table) @ self.weights + self.intercept

    def predict(self, table: Table) -> Floats:
        """(rows,) probabilities of the positive value, or predicted values in the target's own units."""
        return predictions(self.kind, self.linear(table), self.low, self.high)


def predictions(kind: Kind, linear: Floats, low: float = -1.0, high: float = 1.0) -> Floats:
    """(rows,) probabilities of the positive value, or predicted values between `low` and `high`, from a
    model's linear part."""
    if kind is Kind.logistic:
        return 0.5 * (1 + np.tanh(linear / 2))
    return low + (linear + 1.0) / 2.0 * (high - low)
