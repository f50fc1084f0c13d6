"""FeedbackClassifier: a scikit-learn classifier that learns from protected feedback about labels.

It starts from a model fitted on a few rows, asks each validator one query about sums of labels
(`request.ScoreStatistics`), and adds to the start's score an additive model over the columns' bins, shrunk
to nothing where the noise drowns the answer. Validators answer about their own records; their sums add up.

One question is asked, with all of the budget: one Gaussian answer is charged at its exact epsilon and delta,
several share delta between them. What was tried beside it, on splits of Adult and of two more data sets, and
is not done: cells of pairs of columns as further bins (at epsilon 1 up to 0.04 more of the gap closed where
the truth has interactions, 0.04 less on Adult); a straight line per number as a block of its own; half or
twice the prior's variance; normalising every row instead of all but a tenth. bench/validation_learning.py
says how much of the gap is closed, and how often a lesson ends worse than its start.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from comity.errors import BadInput, UsageError
from comity.validate.bins import Columns, features_table, public_encoder
from comity.validate.design import Correction, Design
from comity.validate.frame import id_array
from comity.validate.validator import LocalValidator

if TYPE_CHECKING:
    from comity.data.encode import Encoder

Floats = NDArray[np.float64]

_MOST_ODDS = 12.0


class FeedbackClassifier(ClassifierMixin, BaseEstimator):
    """Learn from a validator's feedback, starting at a model fitted on a few rows.

    Args:
        validator: a `LocalValidator`, or several, each about its own records.
        start: a fitted classifier with `predict_proba` or `decision_function` that takes the same features;
            its second class is the validator's label 1. None: start from no opinion.
        epsilon: of the lesson, at every validator; None: all that is left there.
        bins: at most this many bins per numeric column.

    Attributes:
        classes_: (2,) the start's classes, or 0 and 1.
        n_features_in_, feature_names_in_: of the features it was fitted on.
        costs_: what each validator charged, in their order.
        correction_: what is added to the start's score.
        dimensions_: how many noisy sums the lesson used.
    """

    def __init__(
        self,
        validator: LocalValidator | Sequence[LocalValidator] | None = None,
        start: Any = None,
        *,
        epsilon: float | None = None,
        bins: int = 64,
    ) -> None:
        self.validator = validator
        self.start = start
        self.epsilon = epsilon
        self.bins = bins

    def fit(self, X: Any, ids: Iterable[Any]) -> Self:
        """Spend the validators' budget on one lesson.

        Args:
            X: (records, columns) features: a frame that narwhals reads, or an array. Numbers and words;
                missing values are allowed.
            ids: (records,) the id of each record; every id stands in exactly one validator's frame.

        Raises:
            BadInput: for ids that no validator or several hold, that are given twice, or do not match X.
            BudgetRefused: if a validator has too little left. Validators asked before it stay charged.
            UsageError: without a validator, or with a start that is not fitted.
        """
        validators = self._validators()
        table = features_table(X)
        frame_ids = id_array(ids, "the features")
        if len(frame_ids) != table.rows:
            raise BadInput(
                f"{table.rows} rows of features came with {len(frame_ids)} ids: one each is needed"
            )
        if table.rows == 0:
            raise BadInput("there is no record to learn from")
        holders = _holders(validators, frame_ids)
        self.n_features_in_ = len(table.names)
        if not isinstance(X, np.ndarray | list | tuple):
            self.feature_names_in_ = np.array(table.names, dtype=object)
        self.classes_ = _classes(self.start)
        start = self._start_scores(X, table.rows)
        minimum = max(validator.monitor.minimum for validator in validators)
        self.encoder_: Encoder = public_encoder(table, minimum=minimum, bins=self.bins)
        asked = [validator for at, validator in enumerate(validators) if (holders == at).any()]
        design = Design.draw_up(
            Columns.of(self.encoder_, table),
            start,
            noise=float(np.sqrt(sum(self._noise(validator) ** 2 for validator in asked))),
            holders=holders,
            minimum=minimum,
        )
        self._learn(design, validators, holders, frame_ids)
        return self

    def decision_function(self, X: Any) -> Floats:
        """(records,) log odds of the second class."""
        check_is_fitted(self, "correction_")
        table = features_table(X)
        names = getattr(self, "feature_names_in_", None)
        if names is None and len(table.names) != self.n_features_in_:
            raise ValueError(
                f"X has {len(table.names)} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input"
            )
        columns = Columns.of(self.encoder_, table)
        return self.correction_.scores(columns, self._start_scores(X, table.rows))

    def predict_proba(self, X: Any) -> Floats:
        """(records, 2) probabilities of the two classes."""
        chance = 1.0 / (1.0 + np.exp(-np.clip(self.decision_function(X), -700, 700)))
        return np.stack([1 - chance, chance], axis=1)

    def predict(self, X: Any) -> NDArray[Any]:
        """(records,) the likelier class."""
        likelier = (self.decision_function(X) > 0).astype(np.int64)
        return self.classes_[likelier]

    def _learn(
        self,
        design: Design,
        validators: Sequence[LocalValidator],
        holders: NDArray[np.int64],
        ids: NDArray[Any],
    ) -> None:
        sums, variance, self.costs_ = np.zeros(design.request.dimensions), 0.0, []
        for at, validator in enumerate(validators):
            own = np.flatnonzero(holders == at)
            if not len(own):
                continue
            answer, cost = validator.statistics_at_cost(ids[own], design.request.of(own), self.epsilon)
            sums += answer.values
            variance += answer.deviation**2
            self.costs_.append(cost)
        self.dimensions_ = design.request.dimensions
        self.correction_: Correction = design.learn(sums, float(np.sqrt(variance)))

    def _validators(self) -> list[LocalValidator]:
        given = self.validator
        listed = list(given) if isinstance(given, list | tuple) else [given]
        if not listed or not all(isinstance(one, LocalValidator) for one in listed):
            raise UsageError(
                "FeedbackClassifier learns from one LocalValidator or several: "
                "pass validator=LocalValidator(ids, labels)"
            )
        return listed  # type: ignore[return-value]

    def _noise(self, validator: LocalValidator) -> float:
        """Standard deviation of its noise over the sensitivity, for what it will be asked."""
        return validator.noise_multiplier(self.epsilon)

    def _start_scores(self, X: Any, records: int) -> Floats:
        return start_scores(self.start, X, records)


def start_scores(start: Any, X: Any, records: int) -> Floats:
    """(records,) a fitted classifier's log odds of its second class; 0 without a start.

    Raises:
        UsageError: if it is not fitted, has no scores, or gives NaN.
    """
    from sklearn.exceptions import NotFittedError

    if start is None:
        return np.zeros(records)
    try:
        if hasattr(start, "predict_proba"):
            chance = np.asarray(start.predict_proba(X), dtype=np.float64)[:, 1]
            edge = np.exp(-_MOST_ODDS)
            chance = np.clip(chance, edge, 1 - edge)
            scores = np.log(chance) - np.log1p(-chance)
        elif hasattr(start, "decision_function"):
            scores = np.asarray(start.decision_function(X), dtype=np.float64)
        else:
            raise UsageError("the start has neither predict_proba nor decision_function: it gives no scores")
    except NotFittedError:
        raise UsageError(
            "the start is not fitted; fit it on the seed rows first (after sklearn.clone, wrap it in "
            "sklearn.frozen.FrozenEstimator so that it stays fitted)"
        ) from None
    if scores.shape != (records,) or not np.isfinite(scores).all():
        raise UsageError("the start does not give one finite score per record: it must have two classes")
    return scores


def _classes(start: Any) -> NDArray[Any]:
    classes = np.asarray(getattr(start, "classes_", [0, 1]))
    if classes.shape != (2,):
        raise UsageError(f"the start knows {len(classes)} classes; a validator's labels have two")
    return classes


def _holders(validators: Sequence[LocalValidator], ids: NDArray[Any]) -> NDArray[np.int64]:
    """(records,) which validator holds each record."""
    holders = np.full(len(ids), -1, dtype=np.int64)
    for at, validator in enumerate(validators):
        held = validator.frame.find(ids) >= 0
        if (held & (holders >= 0)).any():
            place = int(np.flatnonzero(held & (holders >= 0))[0])
            raise BadInput(f"the record {ids[place]!r} is held by two validators: give each its own ids")
        holders[held] = at
    missing = np.flatnonzero(holders < 0)
    if len(missing):
        raise BadInput(
            f"{len(missing)} records are in no validator's frame, the first at place {missing[0]}: "
            f"{ids[missing[0]]!r}; leave them out"
        )
    return holders
