"""FeedbackRegressor: a scikit-learn regressor that learns from protected feedback about numeric labels.

It starts from a model fitted on a few rows and adds an additive correction over the columns' bins. A linear
model's sufficient statistic is Phi' (w * (y - start)): one query (`number_queries.ResidualStatistics`) asks
for a mix of it, and the correction is the posterior mean under a Gaussian prior, with the prior's variances
moved to where the evidence for the answer is larger. Bins and mix are made as for `FeedbackClassifier`, with
the same information about every record.

All of it is in units of the residual's standard deviation, not known: `spread` of the declared range.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from comity.errors import BadInput, UsageError
from comity.validate.bins import Columns, features_table, merge_small, public_encoder
from comity.validate.frame import id_array
from comity.validate.number_queries import ResidualStatistics
from comity.validate.prior import Prior, column_root, starting_variance
from comity.validate.regression import on_grid
from comity.validate.request import MIX_LIMIT, WEIGHT_BITS, ScoreStatistics
from comity.validate.terms import Terms
from comity.validate.validator import LocalValidator
from comity.validate.whiten import Mix, best_mix

if TYPE_CHECKING:
    from comity.data.encode import Encoder

Floats = NDArray[np.float64]

_GRID_BITS: Final = 10
_CAP_BITS: Final = 16
_LONGEST: Final = 8.0
_EM_STEPS: Final = 20
_HELD: Final = 2.0


class FeedbackRegressor(RegressorMixin, BaseEstimator):
    """Learn from a validator's feedback on numeric labels, starting at a model fitted on a few rows.

    Args:
        validator: a `LocalValidator` with bounds.
        start: a fitted regressor that takes the same features; None: the middle of the bounds.
        epsilon: of the lesson; None: all that is left.
        bins: at most this many bins per numeric column.
        limit: residuals from the start beyond this share of the declared range are held at it: less noise,
            and a bias where many are held. 1 holds none; without a start 0.5 at least, which holds none.
        spread: the residuals' standard deviation, as a share of the declared range; a guess will do.

    Attributes:
        n_features_in_, feature_names_in_: of the features it was fitted on.
        cost_: what the validator charged.
        values_: for each column, (width,) what each code adds; constant_: what every record gets.
        dimensions_: how many noisy sums the lesson used.
    """

    def __init__(
        self,
        validator: LocalValidator | None = None,
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
        """Spend the validator's budget on one lesson.

        Args:
            X: (records, columns) features: a frame that narwhals reads, or an array; missing values may be.
            ids: (records,) the id of each record, in the validator's frame.

        Raises:
            BadInput: for ids that the validator does not hold, that are given twice, or do not match X.
            BudgetRefused: if too little is left.
            UsageError: without a validator with bounds, or for arguments out of range.
        """
        validator, bounds, grid = self._checked()
        table = features_table(X)
        frame_ids = id_array(ids, "the features")
        if len(frame_ids) != table.rows:
            raise BadInput(
                f"{table.rows} rows of features came with {len(frame_ids)} ids: one each is needed"
            )
        if table.rows == 0:
            raise BadInput("there is no record to learn from")
        self.n_features_in_ = len(table.names)
        if not isinstance(X, np.ndarray | list | tuple):
            self.feature_names_in_ = np.array(table.names, dtype=object)
        self.bounds_ = bounds
        minimum = validator.monitor.minimum
        self.encoder_: Encoder = public_encoder(table, minimum=minimum, bins=self.bins)
        columns = Columns.of(self.encoder_, table)
        start = self._start(X, table.rows)
        unit = min(1 << _GRID_BITS, grid)
        limit = self.limit if self.start is not None else max(self.limit, 0.5)
        held = max(1, round(limit * unit))
        sigma = self.spread * unit
        noise = validator.noise_multiplier(self.epsilon) * min(unit, 2 * held) / sigma
        lesson = _Lesson(columns, noise, minimum)
        query = ResidualStatistics(
            lesson.request, on_grid(start, bounds, unit), unit, (grid // unit).bit_length() - 1, held
        )
        answer, self.cost_ = validator.statistics_at_cost(frame_ids, query, self.epsilon)
        scale = lesson.request.l2 * sigma
        self.values_, self.constant_ = lesson.learned(answer.values / scale, answer.deviation / scale)
        step = sigma * (bounds[1] - bounds[0]) / unit
        self.values_ = tuple(values * step for values in self.values_)
        self.constant_ *= step
        self.dimensions_ = query.dimensions
        return self

    def predict(self, X: Any) -> Floats:
        """(records,) predictions within the bounds."""
        check_is_fitted(self, "values_")
        table = features_table(X)
        names = getattr(self, "feature_names_in_", None)
        if names is None and len(table.names) != self.n_features_in_:
            raise ValueError(
                f"X has {len(table.names)} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input"
            )
        columns = Columns.of(self.encoder_, table)
        total = self._start(X, table.rows) + self.constant_
        for at, values in enumerate(self.values_):
            total += values[columns.codes[:, at]]
        return np.clip(total, *self.bounds_)

    def _checked(self) -> tuple[LocalValidator, tuple[float, float], int]:
        validator = self.validator
        if not isinstance(validator, LocalValidator) or validator.bounds is None or validator.grid is None:
            raise UsageError(
                "FeedbackRegressor learns from a LocalValidator of numeric labels: "
                "pass validator=LocalValidator(ids, labels, bounds=(low, high))"
            )
        if not 0 < self.limit <= 1 or not 0 < self.spread <= 1:
            raise UsageError("limit and spread are shares of the declared range, above 0 and at most 1")
        return validator, validator.bounds, validator.grid

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

    def __init__(self, columns: Columns, noise: float, minimum: int) -> None:
        records = len(columns.codes)
        counts = [
            np.bincount(columns.codes[:, at], minlength=width)[None, :]
            for at, width in enumerate(columns.widths)
        ]
        self.groups = merge_small(columns, counts, minimum)
        self.kept = [at for at, group in enumerate(self.groups) if group.max(initial=0) > 0]
        coded, roots = [], []
        for at in self.kept:
            group, count = self.groups[at], counts[at][0]
            coded.append(group[columns.codes[:, at]].astype(np.uint16))
            alone = count[0] > 0 and int(((group == group[0]) & (count > 0)).sum()) == 1
            shares = np.bincount(group, weights=count) / records
            roots.append(column_root(shares, columns.ordered[at], int(group[0]) if alone else None))
        coded.append(np.zeros(records, dtype=np.uint16))
        roots.append(np.ones((1, 1)))
        codes = np.asfortranarray(np.stack(coded, axis=1))
        widths = tuple(len(root) for root in roots)
        self.prior = _side_by_side(roots, starting_variance(records / noise**2))
        self.terms = Terms(codes, widths)
        self.request = _whole(codes, widths, best_mix(self.terms, self.prior, np.ones(records), noise))

    def learned(self, sums: Floats, deviation: float) -> tuple[tuple[Floats, ...], float]:
        """What each code of each column adds, and the constant.

        Args:
            sums: (dimensions,) noisy sums over the largest length of a record's row, in standard deviations.
            deviation: of their noise.
        """
        values = self.prior.root @ self._posterior(sums, deviation)
        parts = np.split(values, self.terms.offsets[1:-1])
        by_column = [np.zeros(len(group)) for group in self.groups]
        for at, part in zip(self.kept, parts, strict=False):
            by_column[at] = part[self.groups[at]]
        return tuple(by_column), float(parts[len(self.kept)][0])

    def _posterior(self, sums: Floats, deviation: float) -> Floats:
        """Posterior mean, the prior's variances set by evidence (EM, MacKay 1992)."""
        mix = self.request.mix.astype(np.float64) / self.request.cap
        weights = self.request.weights / float(1 << WEIGHT_BITS)
        sampled = self.terms.sampled(weights)
        noise = mix.T @ self.terms.cross(np.square(sampled)) @ mix
        noise[np.diag_indices_from(noise)] += deviation**2
        slope = mix.T @ self.terms.cross(sampled) @ self.prior.root
        ahead = np.linalg.solve(noise, slope)
        precision, pull = slope.T @ ahead, ahead.T @ sums
        variances = self.prior.variances.copy()
        count = np.bincount(self.prior.blocks, minlength=len(variances))
        values = np.zeros(len(pull))
        for _ in range(_EM_STEPS):
            curvature = precision.copy()
            curvature[np.diag_indices_from(curvature)] += 1.0 / variances[self.prior.blocks]
            covariance = np.linalg.inv(curvature)
            values = covariance @ pull
            power = np.square(values) + np.diagonal(covariance)
            energy = np.bincount(self.prior.blocks, weights=power, minlength=len(variances))
            variances = (energy + _HELD * self.prior.variances) / (count + _HELD)
        return values


def _side_by_side(roots: Sequence[Floats], variance: float) -> Prior:
    """The prior of all columns, a block each, and of the constant, which stands last and has variance 1."""
    root = np.zeros((sum(len(part) for part in roots), sum(part.shape[1] for part in roots)))
    row = column = 0
    for part in roots:
        root[row : row + len(part), column : column + part.shape[1]] = part
        row, column = row + len(part), column + part.shape[1]
    blocks = np.repeat(np.arange(len(roots)), [part.shape[1] for part in roots])
    variances = np.full(len(roots), variance)
    variances[-1] = 1.0
    return Prior(root, blocks, variances)


def _whole(codes: NDArray[np.uint16], widths: Sequence[int], chosen: Mix) -> ScoreStatistics:
    """The mix in whole numbers, the cap about 2^16 where the longest entries allow."""
    length = np.linalg.norm(chosen.mix, axis=1)
    mix = chosen.mix * np.minimum(1.0, _LONGEST * chosen.cap / np.maximum(length, 1e-300))[:, None]
    scale = min(2.0**_CAP_BITS / chosen.cap, (MIX_LIMIT - 1) / max(float(np.abs(mix).max(initial=0)), 1e-300))
    whole = np.trunc(mix * scale).astype(np.int32)
    return ScoreStatistics(codes, tuple(widths), whole, max(1, int(chosen.cap * scale)))
