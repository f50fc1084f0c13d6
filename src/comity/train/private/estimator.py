"""What the private estimators share: declarations, price, charge, and only then the records."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from numbers import Real
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import DataConversionWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from comity.data.column import objects
from comity.data.declaration import Charge, checked_epsilon, is_number
from comity.data.declared import (
    collected,
    column_fault,
    column_names,
    declared_codes,
    is_array,
    is_lazy,
    records_array,
    rows_known,
)
from comity.data.stored import Stored, columns_stored_as, require_levels, require_numbers, stored_as
from comity.data.value import is_missing, level_text, plain
from comity.errors import BadTable, UsageError
from comity.ledger import Cost, PrivacyUnit, Relation, approximate
from comity.mechanism import MOST_RECORDS
from comity.train.private.additive import Additive, Schedule
from comity.train.private.columns import Columns, spread
from comity.train.private.gradients import Floats

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
        X, y = _features(X), self._labels(y)
        names = column_names(X)
        self._register(X, names, reset=True)
        self._require_records(rows_known(X), rows_known(y), len(names))
        bounds, levels = spread(self.bounds, names, "bounds"), spread(self.categories, names, "categories")
        columns = Columns.declared(names, bounds, levels, self._bins())
        classes = Classes.declared(self.classes, stored_as(y), isinstance(y, list | tuple))
        stored = columns_stored_as(X)
        for name in bounds:
            if name in stored:
                require_numbers(stored[name], f"column {name} is")
        if self.classes is not None:
            require_levels(y, (classes.negative, classes.positive), "labels are")
        schedule = self._drawn_up(columns, epsilon, delta)
        replaced = schedule.calibrated.epsilon_of_replacing(delta)
        cost = approximate(epsilon, delta, unit=PrivacyUnit.record, relation=Relation.add_remove)
        if charge is not None:
            charge(cost)
        codes, held = columns.codes(X), classes.codes(y)
        self._require_records(len(codes), len(held), len(names))
        kept = held >= 0
        self.model_: Additive = schedule.fit(codes[kept], held[kept] == 1)
        self.columns_ = columns
        self.classes_ = classes.ordered
        self.positive_ = classes.positive
        self.cost_: Cost = cost
        self.noise_multiplier_: float = schedule.calibrated.multiplier
        self.replace_epsilon_: float = replaced
        return self

    def decision_function(self, X: Any) -> Floats:
        """(records,) log odds of `classes_[1]`; nothing more is spent.

        scikit-learn has `classes_` in ascending order. Where the positive class comes first in it, these are
        the log odds of the negative one.
        """
        check_is_fitted(self)
        X = _features(X)
        self._register(X, column_names(X), reset=False)
        scores = self.model_.scores(self.columns_.codes(X))
        return scores if self.positive_ == self.classes_[1] else -scores

    @property
    def effects_(self) -> dict[Any, dict[Any, float]]:
        """{column: {bin or level: what it adds to the log odds of the positive class}}.

        For a pair of columns whose values act together: {(column, column): {(of one, of the other): ...}}.
        A record's log odds are the sum over all columns and pairs, and `model_.constant`.
        """
        check_is_fitted(self)
        columns = self.columns_.encoder.columns
        told: dict[Any, dict[Any, float]] = {
            column.name: dict(zip(column.labels, map(float, effect), strict=True))
            for column, effect in zip(columns, self.model_.effects, strict=True)
        }
        for (one, other), table in self.model_.pairs.items():
            both = product(columns[one].labels, columns[other].labels)
            told[columns[one].name, columns[other].name] = dict(
                zip(both, map(float, table.flat), strict=True)
            )
        return told

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
        epsilon, delta = checked_epsilon(self.epsilon), self.delta
        if not is_number(delta) or not 0 < float(delta) < 1:
            raise UsageError(
                f"delta is a number above 0 and below 1, not {delta!r}: the noise is Gaussian. Usual is less "
                "than one in the number of records"
            )
        return epsilon, float(delta)

    def _bins(self) -> int:
        bins = self.bins
        if not isinstance(bins, int | np.integer) or isinstance(bins, bool) or not 1 <= bins <= _MOST_BINS:
            raise UsageError(f"bins is a whole number from 1 to {_MOST_BINS}, not {bins!r}")
        return int(bins)

    def _labels(self, y: Any) -> Any:
        """Labels as they are, of a shape that holds one for each record; none is read."""
        if y is None:
            raise ShapeError(
                f"requires y to be passed, but the target y is None: {type(self).__name__} learns from labels"
            )
        if not hasattr(y, "__len__") and hasattr(y, "__array__"):
            y = np.asarray(y)
        fault = column_fault(y)
        if fault is not None:
            raise ShapeError(f"labels: {fault}")
        if len(getattr(y, "shape", ())) == 2:
            warnings.warn(
                "A column-vector y was passed when a 1d array was expected: its one column was taken",
                DataConversionWarning,
                stacklevel=3,
            )
        if isinstance(y, list | tuple) and self.classes is None:
            warnings.warn(
                "labels in a list have no type that says what they are: 0 and 1 are taken, false and true, "
                "and records with any other label left out. Pass classes=(negative, positive), or an array",
                UserWarning,
                stacklevel=3,
            )
        return y

    def _register(self, X: Any, names: tuple[str, ...], *, reset: bool) -> None:
        """Columns and their names as scikit-learn keeps and compares them."""
        if is_lazy(X):  # of which it takes none
            import pyarrow as pa

            X = pa.table({name: pa.nulls(0) for name in names})
        validate_data(self, X, reset=reset, skip_check_array=True)

    def _require_records(self, records: int | None, labels: int | None, columns: int) -> None:
        """As many records as labels, as far as that is known. For the holder alone, as numbers are."""
        if records is None or labels is None:
            return
        if records != labels:
            raise ShapeError(
                f"there are {records} records and {labels} labels: one each is needed", private=True
            )
        if columns == 0:
            raise ShapeError(
                f"0 feature(s) (shape=({records}, 0)) while a minimum of 1 is required.", private=True
            )
        if not 1 <= records < MOST_RECORDS:
            raise ShapeError(f"a fit takes 1 to 2^31 records, and there are {records}: Found array with "
                             f"{records} sample(s)", private=True)  # fmt: skip

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
        if any(hasattr(type(X), name) for name in ("columns", "column_names")) or not hasattr(X, "__array__"):
            return X
        X = np.asarray(X)
    try:
        array = records_array(X) if isinstance(X, list | tuple) else np.asarray(X)
    except BadTable as error:
        raise ShapeError(str(error), private=error.private) from None
    if array.ndim != 2:
        raise ShapeError(
            f"Expected 2D array, got {array.ndim}D array instead: features are records and columns. "
            "Reshape your data"
        )
    if np.iscomplexobj(array):
        raise ShapeError("Complex data not supported: features are numbers or levels")
    return array


@dataclass(frozen=True)
class Classes:
    """The two classes, as declared.

    Attributes:
        negative, positive: values of one kind.
        listed: whether they were not declared, and labels come as a list: true is 1 there, false 0.
    """

    negative: Any
    positive: Any
    listed: bool = False

    @classmethod
    def declared(cls, classes: Any, stored: Stored, listed: bool) -> Classes:
        """What was declared; without a declaration 0 and 1, or false and true, by the labels' stored type.

        Args:
            stored: what the labels are stored as.
            listed: whether they are a list, which has no type.

        Raises:
            UsageError: for words, or a type that tells nothing, without a declaration. (Not by the labels
                themselves: one record without a label makes another type of some columns.)
            ShapeError: unless two different values of one kind were declared.
        """
        if classes is not None:
            return cls(*_two(classes))
        if stored is Stored.truth:
            return cls(False, True)
        if stored is not Stored.number and not listed:
            raise UsageError(
                "labels are 0 and 1, stored as numbers, unless declared: pass classes=(negative, positive). "
                "They are not read off the data: that a class is there at all may be one record's own secret"
            )
        return cls(0, 1, listed)

    @property
    def ordered(self) -> NDArray[Any]:
        """(2,) in ascending order, which scikit-learn takes for granted."""
        two = sorted((self.negative, self.positive))
        array = np.asarray(two)
        return array if array.ndim == 1 else objects(two)

    def codes(self, y: Any) -> NDArray[np.int64]:
        """(records,) 0 negative, 1 positive, -1 neither; each from its own label alone, after the charge."""
        y = collected(y)
        codes = declared_codes(y, (self.negative, self.positive), "labels")
        return np.maximum(codes, declared_codes(y, (False, True), "labels")) if self.listed else codes


def _two(classes: Any) -> tuple[Any, Any]:
    iterable = isinstance(classes, Iterable) and not isinstance(classes, str | bytes | Mapping)
    named = [plain(one) for one in classes] if iterable else []
    if len(named) != 2 or len({level_text(one) for one in named}) != 2 or any(map(is_missing, named)):
        raise ShapeError(
            "Only binary classification is supported: classes= are two different values, the negative one "
            "first"
        )
    kinds = [str, bool, Real | Decimal, type(named[0])]
    if not any(all(isinstance(one, kind) for one in named) for kind in kinds) or (
        isinstance(named[0], bool) != isinstance(named[1], bool)
    ):
        raise ShapeError("classes= are two values of one kind: two words, two numbers, or false and true")
    try:
        sorted(named)
    except TypeError:
        raise ShapeError(
            f"classes= are values that have an order, not {type(named[0]).__name__}: words, or numbers"
        ) from None
    return named[0], named[1]
