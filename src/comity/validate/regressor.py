"""FeedbackRegressor: a scikit-learn regressor that learns from protected feedback about numeric labels.

It starts from a model fitted on a few rows and adds an additive correction over the columns' bins. A linear
model's sufficient statistic is Phi' (w * (y - start)): one query (`number_queries.ResidualStatistics`) asks
each validator for a mix of it, and the correction is the posterior mean under a Gaussian prior, with the
prior's variances moved to where the evidence for the answer is larger. Bins, mix, evidence and the guard that
keeps the start where nothing is told (`solve.shrunk`) are those of `FeedbackClassifier`.

All of it is in units of the residual's standard deviation, not known: `spread` of the declared range. The
guard counts on residuals that spread no more than that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from comity.errors import UsageError
from comity.validate.bins import Columns, public_encoder
from comity.validate.blocks import Blocks
from comity.validate.lesson import listed, note_features, pupils, same_features
from comity.validate.number_queries import ResidualStatistics
from comity.validate.prior import Prior, side_by_side, starting_variance
from comity.validate.regression import on_grid
from comity.validate.request import WEIGHT_BITS
from comity.validate.solve import shrunk
from comity.validate.terms import Terms
from comity.validate.validator import LocalValidator
from comity.validate.whiten import best_mix

if TYPE_CHECKING:
    from comity.data.encode import Encoder

Floats = NDArray[np.float64]

_GRID_BITS: Final = 10
_CAP_BITS: Final = 16


class FeedbackRegressor(RegressorMixin, BaseEstimator):
    """Learn from a validator's feedback on numeric labels, starting at a model fitted on a few rows.

    Args:
        validator: a `LocalValidator` with bounds, or several with the same, each about its own records.
        start: a fitted regressor that takes the same features; None: the middle of the bounds.
        epsilon: of the lesson; None: all that is left.
        bins: at most this many bins per numeric column.
        limit: residuals from the start beyond this share of the declared range are held at it: less noise,
            and a bias where many are held. 1 holds none; without a start 0.5 at least, which holds none.
        spread: the residuals' standard deviation, as a share of the declared range; a guess will do.

    Attributes:
        n_features_in_, feature_names_in_: of the features it was fitted on.
        costs_: what each validator charged, in their order.
        values_: for each column, (width,) what each code adds; constant_: what every record gets.
        dimensions_: how many noisy sums the lesson used.
    """

    def __init__(
        self,
        validator: LocalValidator | Sequence[LocalValidator] | None = None,
        start: Any = None,
        *,
        epsilon: float | None = None,
        bins: int = 64,
        limit: float = 0.25,
        spread: float = 0.15,
    ) -> None:
        self.validator = validator
        self.start = start
        self.epsilon = epsilon
        self.bins = bins
        self.limit = limit
        self.spread = spread

    def fit(self, X: Any, ids: Iterable[Any]) -> Self:
        """Spend the validators' budget on one lesson.

        Args:
            X: (records, columns) features: a frame that narwhals reads, or an array; missing values may be.
            ids: (records,) the id of each record; every id stands in exactly one validator's frame.

        Raises:
            BadInput: for ids that no validator or several hold, that are given twice, or do not match X.
            BudgetRefused: if too little is left. Validators asked before it stay charged.
            UsageError: without a validator with bounds, or for arguments out of range.
        """
        validators, bounds = self._checked()
        about = pupils(X, ids, validators)
        note_features(self, X, about.table)
        self.bounds_ = bounds
        self.encoder_: Encoder = public_encoder(about.table, minimum=about.minimum, bins=self.bins)
        unit = min(1 << _GRID_BITS, *(_grid(validator) for validator in validators))
        limit = self.limit if self.start is not None else max(self.limit, 0.5)
        held = max(1, round(limit * unit))
        sigma = self.spread * unit
        noise = about.noise(self.epsilon) * min(unit, 2 * held) / sigma
        columns = Columns.of(self.encoder_, about.table)
        lesson = _Lesson(columns, noise, about.holders, about.minimum)
        predicted = on_grid(self._start(X, about.table.rows), bounds, unit)

        def question(validator: LocalValidator, own: NDArray[np.int64]) -> ResidualStatistics:
            coarser = (_grid(validator) // unit).bit_length() - 1
            return ResidualStatistics(lesson.request.of(own), predicted[own], unit, coarser, held)

        sums, deviation, self.costs_ = about.answers(question, self.epsilon)
        scale = lesson.request.l2 * sigma
        step = sigma * (bounds[1] - bounds[0]) / unit
        values, constant = lesson.learned(sums / scale, deviation / scale)
        self.values_ = tuple(own * step for own in values)
        self.constant_ = constant * step
        self.dimensions_ = lesson.request.dimensions
        return self

    def predict(self, X: Any) -> Floats:
        """(records,) predictions within the bounds."""
        check_is_fitted(self, "values_")
        table = same_features(self, X)
        columns = Columns.of(self.encoder_, table)
        total = self._start(X, table.rows) + self.constant_
        for at, values in enumerate(self.values_):
            total += values[columns.codes[:, at]]
        return np.clip(total, *self.bounds_)

    def _checked(self) -> tuple[list[LocalValidator], tuple[float, float]]:
        example = "LocalValidator(ids, labels, bounds=(low, high))"
        validators = listed(self.validator, type(self).__name__, example)
        if any(validator.bounds is None for validator in validators):
            raise UsageError(f"FeedbackRegressor learns from numeric labels: pass validator={example}")
        bounds = {validator.bounds for validator in validators}
        if len(bounds) > 1:
            raise UsageError(f"the validators declare different bounds: {', '.join(map(str, bounds))}")
        if not 0 < self.limit <= 1 or not 0 < self.spread <= 1:
            raise UsageError("limit and spread are shares of the declared range, above 0 and at most 1")
        return validators, next(bound for bound in bounds if bound is not None)

    def _start(self, X: Any, records: int) -> Floats:
        from sklearn.exceptions import NotFittedError

        low, high = self.bounds_
        if self.start is None:
            return np.full(records, (low + high) / 2)
        try:
            scores = np.asarray(self.start.predict(X), dtype=np.float64)
        except NotFittedError:
            raise UsageError("the start is not fitted; fit it on the seed rows first") from None
        if scores.shape != (records,) or not np.isfinite(scores).all():
            raise UsageError("the start does not give one finite prediction per record")
        return np.clip(scores, low, high)


class _Lesson:
    """What is asked, and what is needed to read the answer; in units of the residual's standard deviation."""

    def __init__(self, columns: Columns, noise: float, holder: NDArray[np.int64], minimum: int) -> None:
        records = len(columns.codes)
        self.blocks = Blocks.of(columns, holder, minimum)
        roots = [*self.blocks.roots, np.ones((1, 1))]
        coded = [*self.blocks.codes(columns), np.zeros(records, dtype=np.uint16)]
        codes = np.asfortranarray(np.stack(coded, axis=1))
        widths = tuple(len(root) for root in roots)
        self.prior = _prior(roots, starting_variance(records / noise**2))
        self.terms = Terms(codes, widths)
        mix = best_mix(self.terms, self.prior, np.ones(records), noise)
        self.request = mix.question(codes, widths, _CAP_BITS)

    def learned(self, sums: Floats, deviation: float) -> tuple[tuple[Floats, ...], float]:
        """What each code of each column adds, and the constant.

        Args:
            sums: (dimensions,) noisy sums over the largest length of a record's row, in standard deviations.
            deviation: of their noise.
        """
        mix = self.request.mix.astype(np.float64) / self.request.cap
        weights = self.terms.sampled(self.request.weights / float(1 << WEIGHT_BITS))
        noise = mix.T @ self.terms.cross(np.square(weights)) @ mix
        noise[np.diag_indices_from(noise)] += deviation**2
        slope = mix.T @ self.terms.cross(weights) @ self.prior.root
        values = shrunk(self.prior, slope, noise, sums)
        parts = np.split(values, self.terms.offsets[1:-1])
        return self.blocks.by_code(parts), float(parts[-1][0])


def _grid(validator: LocalValidator) -> int:
    """Steps between the bounds of a validator's labels; of one without bounds none are asked."""
    return validator.grid or 1


def _prior(roots: Sequence[Floats], variance: float) -> Prior:
    """The prior of all columns, a block each, and of the constant, which stands last and has variance 1."""
    directions = [root.shape[1] for root in roots]
    variances = np.full(len(roots), variance)
    variances[-1] = 1.0
    blocks = np.repeat(np.arange(len(roots)), directions)
    return Prior(side_by_side(roots), blocks, variances, sum(directions[:-1]))
