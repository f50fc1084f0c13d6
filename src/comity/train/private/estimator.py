"""What the private estimators share: declarations, price, charge, and only then the records."""

from __future__ import annotations

import math
import warnings
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import DataConversionWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from comity.data.declared import column_names, declared_codes, is_array, level_text, one_dimension
from comity.data.stored import columns_stored_as, require_levels, require_numbers
from comity.errors import UsageError
from comity.ledger import Cost, PrivacyUnit, Relation, approximate
from comity.mechanism import MOST_RECORDS
from comity.train.private.additive import Additive, Schedule
from comity.train.private.columns import Columns, spread
from comity.train.private.gradients import Floats

Charge = Callable[[Cost], object]
"""Takes what a fit costs before a record is read, and raises if it may not be spent."""

_MOST_EPSILON: Final = 1e6
_MOST_BINS: Final = 1024


class PrivateClassifier(ClassifierMixin, BaseEstimator):
    """Base of the private classifiers for two classes; `epsilon` is spent once per fit.

    A subclass draws up the schedule of what a fit releases, from public facts.
    """

    epsilon: float
    delta: float
    bounds: Any
    categories: Any
    classes: Any
    bins: int

    def fit(self, X: Any, y: Any, *, charge: Charge | None = None) -> Self:
        """Fit on the records, with noise.

        Args:
            X: (records, columns) features: a frame that narwhals reads, or an array. Every column stands in
                `bounds` or `categories`. Values beyond the bounds are held at them; missing ones, and levels
                that were not declared, are levels of their own.
            y: (records,) labels. A record with a label that is not among `classes` is left out.
            charge: called with the cost (`ledger.Cost`) after everything public was checked and before a
                value is read; what it raises ends the fit. As
                `charge=lambda cost: ledger.charge(cost, account="north/patients/record")`.

        Raises:
            UsageError: for parameters out of range, columns without bounds or levels, and columns or labels
                whose stored type is another than declared (text or dates under bounds); before the charge.
            BadTable: for features or labels of another shape, and a list's values of another kind; public.
            BudgetRefused: from `charge`; no record was read.
        """
        epsilon, delta = self._budget()
        X = _features(X)
        names = column_names(X)
        validate_data(self, X, reset=True, skip_check_array=True)
        labels = self._labels(y)
        self._require_records(X, labels, len(names))
        bounds, levels = spread(self.bounds, names, "bounds"), spread(self.categories, names, "categories")
        columns = Columns.declared(names, bounds, levels, self._bins())
        classes = _declared_classes(self.classes, labels)
        stored = columns_stored_as(X)
        for name in bounds:
            if name in stored:
                require_numbers(stored[name], f"column {name} is")
        if self.classes is not None:
            require_levels(y, classes.tolist(), "labels are")
        schedule = self._drawn_up(columns, epsilon, delta)
        cost = approximate(epsilon, delta, unit=PrivacyUnit.record, relation=Relation.add_remove)
        if charge is not None:
            charge(cost)
        codes, held = columns.codes(X), declared_codes(labels, classes.tolist(), "labels")
        kept = held >= 0
        self.model_: Additive = schedule.fit(codes[kept], held[kept] == 1)
        self.columns_ = columns
        self.classes_ = classes
        self.cost_: Cost = cost
        self.noise_multiplier_: float = schedule.calibrated.multiplier
        self.replace_epsilon_: float = schedule.calibrated.epsilon_of_replacing(delta)
        return self

    def decision_function(self, X: Any) -> Floats:
        """(records,) log odds of the second class; nothing more is spent."""
        check_is_fitted(self)
        X = _features(X)
        validate_data(self, X, reset=False, skip_check_array=True)
        return self.model_.scores(self.columns_.codes(X))

    @property
    def effects_(self) -> dict[str, dict[str, float]]:
        """{column: {bin or level: what it adds to the log odds}}."""
        check_is_fitted(self)
        return {
            column.name: dict(zip(column.labels, map(float, effect), strict=True))
            for column, effect in zip(self.columns_.encoder.columns, self.model_.effects, strict=True)
        }

    def predict_proba(self, X: Any) -> Floats:
        """(records, 2) probabilities of the two classes."""
        chance = 1.0 / (1.0 + np.exp(-np.clip(self.decision_function(X), -700, 700)))
        return np.stack([1 - chance, chance], axis=1)

    def predict(self, X: Any) -> NDArray[Any]:
        """(records,) the likelier class."""
        check_is_fitted(self)
        return self.classes_[(self.decision_function(X) > 0).astype(np.int64)]

    @abstractmethod
    def _drawn_up(self, columns: Columns, epsilon: float, delta: float) -> Schedule:
        """What a fit will release, from public facts."""

    def _budget(self) -> tuple[float, float]:
        epsilon, delta = self.epsilon, self.delta
        if not _is_number(epsilon) or not 1e-9 <= float(epsilon) <= _MOST_EPSILON:
            raise UsageError(f"epsilon is a number from 1e-9 to {_MOST_EPSILON:g}, not {epsilon!r}")
        if not _is_number(delta) or not 0 < float(delta) < 1:
            raise UsageError(
                f"delta is a number above 0 and below 1, not {delta!r}: the noise is Gaussian. Usual is less "
                "than one in the number of records"
            )
        return float(epsilon), float(delta)

    def _bins(self) -> int:
        bins = self.bins
        if not isinstance(bins, int | np.integer) or isinstance(bins, bool) or not 1 <= bins <= _MOST_BINS:
            raise UsageError(f"bins is a whole number from 1 to {_MOST_BINS}, not {bins!r}")
        return int(bins)

    def _labels(self, y: Any) -> NDArray[Any]:
        if y is None:
            raise ShapeError(
                f"requires y to be passed, but the target y is None: {type(self).__name__} learns from labels"
            )
        labels = one_dimension(y, "labels")
        if getattr(y, "ndim", 1) == 2:
            warnings.warn(
                "A column-vector y was passed when a 1d array was expected: its one column was taken",
                DataConversionWarning,
                stacklevel=3,
            )
        return labels

    def _require_records(self, X: Any, labels: NDArray[Any], columns: int) -> None:
        """The shapes, which the caller knows: how many records a fit has is not released."""
        from sklearn.utils.validation import _num_samples

        records = _num_samples(X)
        if records != len(labels):
            raise ShapeError(
                f"there are {records} records and {len(labels)} labels: one each is needed", private=True
            )
        if columns == 0:
            raise ShapeError(f"0 feature(s) (shape=({records}, 0)) while a minimum of 1 is required.")
        if not 1 <= records < MOST_RECORDS:
            raise ShapeError(f"a fit takes 1 to 2^31 records, and there are {records}: Found array with "
                             f"{records} sample(s)")  # fmt: skip

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.classifier_tags.multi_class = False
        tags.non_deterministic = True
        return tags


class ShapeError(UsageError, ValueError):
    """Features and labels that do not fit together; a ValueError too, which scikit-learn's tools expect."""


def _features(X: Any) -> Any:
    """Frames as they are; everything else as an array of two dimensions.

    Raises:
        ShapeError: for sparse matrices, and arrays of another shape.
    """
    if hasattr(X, "toarray"):
        raise ShapeError("Sparse data was passed for X, but dense data is required: use '.toarray()'")
    if not is_array(X):
        if hasattr(X, "columns") or hasattr(X, "column_names") or not hasattr(X, "__array__"):
            return X
        X = np.asarray(X)
    array = np.asarray(X)
    if array.ndim != 2:
        raise ShapeError(
            f"Expected 2D array, got {array.ndim}D array instead: features are records and columns. "
            "Reshape your data"
        )
    if np.iscomplexobj(array):
        raise ShapeError("Complex data not supported: features are numbers or levels")
    return array


def _declared_classes(classes: Any, labels: NDArray[Any]) -> NDArray[Any]:
    """(2,) the declared classes; without a declaration 0 and 1, or false and true.

    Raises:
        UsageError: unless there are two; and for words without a declaration.
    """
    if classes is None:
        if labels.dtype.kind not in "biuf":
            raise UsageError(
                "labels are 0 and 1 unless declared: pass classes=(negative, positive). They are not read "
                "off the data: that a class is there at all may be one record's own secret"
            )
        return np.array([False, True]) if labels.dtype.kind == "b" else np.array([0, 1])
    named: Sequence[Any] = list(classes) if not isinstance(classes, str | bytes | Mapping) else []
    if len(named) != 2 or len({level_text(one) for one in named}) != 2:
        raise ShapeError(
            "Only binary classification is supported: classes= are two different values, the negative one "
            "first"
        )
    return np.asarray(named)


def _is_number(value: Any) -> bool:
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:  # a whole number beyond all floats
        return False
