"""PrivateLogisticRegression: log odds as a sum over declared bins and levels, fitted with noise."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from comity.errors import UsageError
from comity.train.private.additive import Schedule
from comity.train.private.columns import Columns
from comity.train.private.descent import STEPS, Descent
from comity.train.private.estimator import PrivateClassifier
from comity.train.private.moments import Moments

SOLVERS: Final = ("auto", "descent", "moments")
MOST_DIMENSIONS: Final = 4_000
"""Bins and levels of all columns together; steps are cubic in them."""


class PrivateLogisticRegression(PrivateClassifier):
    """Logistic regression on bins and levels, (epsilon, delta)-private for one record more or less.

    Log odds are a sum of one effect per column: of the bin that a number falls into, or of the level. Bins
    are equal in width between the declared bounds, levels are those declared: neither is read off the data.

    Args:
        epsilon: in nats, spent by every fit anew.
        delta: above 0.
        bounds: {column: (low, high)} of numbers, or (low, high) for all columns. Public.
        categories: {column: [levels]} of everything else. Public. Columns of arrays are named 0, 1, ...
        classes: (negative, positive); None: 0 and 1.
        bins: of each number.
        solver: `descent` (noisy full-batch gradients), `moments` (one noisy release of second moments, which
            are then solved for), or `auto`: `descent`, which is ahead at every epsilon measured.
        steps: of `descent`. Noise is averaged over them: more cost time, not accuracy.

    Attributes:
        classes_, n_features_in_, feature_names_in_: as scikit-learn has them.
        effects_: {column: {bin or level: what it adds to the log odds}}.
        cost_: what one fit costs (`ledger.Cost`; unit record, add-remove).
        replace_epsilon_: the same fit's epsilon for one record replaced by another, at the same delta.
        noise_multiplier_: of all noise together.
        model_: the effects, and a noisy number of records.

    After clone or set_params a fit spends again. Sample weights are not taken: one record's weight would be
    what it may move.
    """

    def __init__(
        self,
        epsilon: float = 1.0,
        delta: float = 1e-6,
        *,
        bounds: Any = None,
        categories: Any = None,
        classes: Any = None,
        bins: int = 18,
        solver: str = "auto",
        steps: int = STEPS,
    ) -> None:
        self.epsilon = epsilon
        self.delta = delta
        self.bounds = bounds
        self.categories = categories
        self.classes = classes
        self.bins = bins
        self.solver = solver
        self.steps = steps

    def _drawn_up(self, columns: Columns, epsilon: float, delta: float) -> Schedule:
        if self.solver not in SOLVERS:
            raise UsageError(f"solver is one of {', '.join(SOLVERS)}, not {self.solver!r}")
        if not isinstance(self.steps, int | np.integer) or not 2 <= self.steps <= 10_000:
            raise UsageError(f"steps is a whole number from 2 to 10,000, not {self.steps!r}")
        dimensions = columns.blocks.dimensions
        if dimensions > MOST_DIMENSIONS:
            raise UsageError(
                f"bins and levels of all columns are {dimensions:,}, at most {MOST_DIMENSIONS:,} are fitted: "
                "declare fewer bins, or merge levels"
            )
        if self.solver == "moments":
            return Moments.drawn_up(columns, epsilon, delta)
        return Descent.drawn_up(columns, epsilon, delta, int(self.steps))
