"""Labels that a validator holds: of two classes, of several, or numbers within declared bounds.

Each kind knows how its labels are kept (small whole numbers), what scores about them look like, and which
questions can be asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.errors import BadInput, UsageError
from comity.validate import arguments, metrics, regression
from comity.validate.classes import CLASS_METRICS, class_parts, class_question
from comity.validate.estimate import Part, Question
from comity.validate.group_counts import CountedQuestion, counted_by_group
from comity.validate.groups import GroupedQuestion, group_question
from comity.validate.parameters import a_name, shown, two_bounds
from comity.validate.queries import Query

MOST_LEVELS: Final = 1000

Numbers = NDArray[np.int64]
Integers = NDArray[np.signedinteger[Any]]


@dataclass(frozen=True, eq=False)
class BinaryLabels:
    """0 or 1, kept as they are."""

    codes: Integers
    metrics: tuple[str, ...] = metrics.METRICS

    @property
    def levels(self) -> int:
        """Codes are whole numbers 0 .. levels - 1."""
        return 2

    @classmethod
    def of(cls, labels: Iterable[Any]) -> BinaryLabels:
        return cls(arguments.binary(labels))

    def scores(self, given: Any, count: int) -> NDArray[np.float64]:
        return arguments.finite_scores(given, count)

    def question(
        self,
        scores: NDArray[np.float64],
        wanted: Sequence[str],
        threshold: float | None,
        minimum: int,
        groups: tuple[tuple[Any, ...], Numbers] | None,
    ) -> Question | GroupedQuestion | CountedQuestion:
        if groups is None:
            return metrics.ask_for(scores, wanted, threshold=threshold, minimum=minimum)
        if len(scores) and threshold is None:
            # one threshold for all groups, not one each
            threshold = 0.5 if scores.min() >= 0 and scores.max() <= 1 else 0.0
        fast = counted_by_group(scores, wanted, threshold, *groups)
        if fast is not None:
            return fast

        def parts(at: Numbers) -> tuple[list[Part], tuple[str, ...], dict[str, Any]]:
            return metrics.parts_for(scores[at], wanted, threshold=threshold, minimum=minimum)

        return group_question(*groups, parts, metrics.assembled)


@dataclass(frozen=True, eq=False)
class ClassScores:
    """(n,) predicted classes, and (n, classes) scores where they were given."""

    predicted: Numbers
    scores: NDArray[np.float64] | None

    def of(self, at: NDArray[np.int64]) -> ClassScores:
        return ClassScores(self.predicted[at], None if self.scores is None else self.scores[at])


@dataclass(frozen=True, eq=False)
class ClassLabels:
    """Any of a declared set of classes, kept as their places in it."""

    codes: Integers
    classes: tuple[Any, ...]
    metrics: tuple[str, ...] = CLASS_METRICS

    @property
    def levels(self) -> int:
        """Codes are whole numbers 0 .. levels - 1."""
        return len(self.classes)

    @classmethod
    def of(cls, labels: Iterable[Any], declared: Sequence[Any]) -> ClassLabels:
        named = levels_declared(declared, "classes", least=2)
        return cls(arguments.coded(labels, named, "labels", private=True), named)

    def scores(self, given: Any, count: int) -> ClassScores:
        values = arguments.as_array(given, "scores")
        if values.ndim == 2:
            if values.shape != (count, len(self.classes)):
                raise BadInput(
                    f"{count} ids came with scores of shape {values.shape}: one per record and class is "
                    f"needed, in the order {list(self.classes)!r}"
                )
            numbers = arguments.finite_scores(values.ravel(), values.size).reshape(values.shape)
            return ClassScores(numbers.argmax(axis=1).astype(np.int64), numbers)
        if values.shape != (count,):
            raise BadInput(
                f"{count} ids came with predictions of shape {values.shape}: one each is needed, or scores "
                f"of shape ({count}, {len(self.classes)})"
            )
        return ClassScores(arguments.coded(values, self.classes, "predictions").astype(np.int64), None)

    def question(
        self,
        scores: ClassScores,
        wanted: Sequence[str],
        threshold: float | None,
        minimum: int,
        groups: tuple[tuple[Any, ...], Numbers] | None,
    ) -> Question | GroupedQuestion:
        if threshold is not None:
            raise UsageError("with several classes the largest score predicts: there is no threshold")

        def parts(at: Any) -> tuple[list[Part], tuple[str, ...], dict[str, Any]]:
            own = None if scores.scores is None else scores.scores[at]
            return class_parts(scores.predicted[at], own, len(self.classes), wanted)

        if groups is None:
            return class_question(*parts(slice(None)))
        return group_question(*groups, parts, class_question)


@dataclass(frozen=True, eq=False)
class NumberLabels:
    """Numbers, held within declared bounds and put on a grid of them."""

    codes: Integers
    bounds: tuple[float, float]
    unit: int
    metrics: tuple[str, ...] = regression.NUMBER_METRICS

    @property
    def levels(self) -> int:
        """Codes are whole numbers 0 .. levels - 1."""
        return self.unit + 1

    @classmethod
    def of(cls, labels: Iterable[Any], bounds: tuple[float, float]) -> NumberLabels:
        low, high = two_bounds(bounds)
        values = arguments.numeric_labels(labels)
        unit = regression.grid_unit(len(values))
        return cls(regression.on_grid(values, (low, high), unit).astype(np.int32), (low, high), unit)

    def scores(self, given: Any, count: int) -> NDArray[np.float64]:
        return arguments.finite_scores(given, count)

    def question(
        self,
        scores: NDArray[np.float64],
        wanted: Sequence[str],
        threshold: float | None,
        minimum: int,
        groups: tuple[tuple[Any, ...], Numbers] | None,
    ) -> Question | GroupedQuestion:
        if threshold is not None:
            raise UsageError("numeric labels have no threshold")

        def parts(at: Any) -> tuple[list[Part], tuple[str, ...], dict[str, Any]]:
            return regression.number_parts(scores[at], wanted, self.bounds, self.unit)

        if groups is None:
            return regression.number_question(*parts(slice(None)))
        return group_question(*groups, parts, regression.number_question)


def require_levels(query: Query, levels: int) -> None:
    """A query's bounds hold for labels of its own kind, and for no others.

    Args:
        levels: of the labels that are held.

    Raises:
        UsageError: if the query is about labels of another kind.
    """
    if query.levels != levels:
        raise UsageError(
            f"the query is about labels 0 to {query.levels - 1}, and this validator's are 0 to {levels - 1}"
        )


def held(
    labels: Iterable[Any], declared: Sequence[Any] | None, bounds: tuple[float, float] | None
) -> BinaryLabels | ClassLabels | NumberLabels:
    """Labels of the kind that was declared; without any declaration 0 and 1.

    Raises:
        BadTable: for labels that are not of that kind (private to the holder).
        UsageError: for declarations out of range.
    """
    if declared is not None and bounds is not None:
        raise UsageError("labels have classes or bounds, not both")
    if declared is not None:
        return ClassLabels.of(labels, declared)
    return BinaryLabels.of(labels) if bounds is None else NumberLabels.of(labels, bounds)


def levels_declared(declared: Any, what: str, *, least: int = 1) -> tuple[Any, ...]:
    """Up to 1000 different values, as a tuple.

    Raises:
        UsageError: for fewer than `least`, for more, for doubles, and for what is no value.
    """
    if isinstance(declared, str | bytes | Mapping) or not isinstance(declared, Iterable):
        raise UsageError(f"{what}: a list of {least} to {MOST_LEVELS} values, not {shown(declared)}")
    levels = tuple(declared.tolist() if isinstance(declared, np.ndarray) else declared)
    try:
        different = len(set(levels))
    except TypeError:
        raise UsageError(f"{what}: one of the values is itself a list or another container") from None
    if any(arguments.missing(level) for level in levels):
        raise UsageError(f"{what}: a missing value cannot be declared, leave those records out")
    if different != len(levels) or not least <= len(levels) <= MOST_LEVELS:
        doubles = f" with {len(levels) - different} doubles" if different != len(levels) else ""
        raise UsageError(
            f"{what}: {least} to {MOST_LEVELS} different values are declared, not {len(levels)}{doubles}"
        )
    return levels


def columns_coded(
    columns: Mapping[str, Iterable[Any]], domains: Mapping[str, Sequence[Any]], records: int
) -> dict[str, tuple[tuple[Any, ...], Integers]]:
    """Private columns as their declared levels and (records,) codes.

    Raises:
        UsageError: for a column without a domain, or a domain that is none.
        BadTable: for values outside the domain (private to the holder).
    """
    coded: dict[str, tuple[tuple[Any, ...], Integers]] = {}
    for given, what in ((columns, "columns"), (domains, "domains")):
        if not isinstance(given, Mapping):
            raise UsageError(f"{what} is a mapping by the columns' names, not {shown(given)}")
    if set(columns) != set(domains):
        raise UsageError("columns and domains name the same columns: every column needs a declared domain")
    for name, values in columns.items():
        levels = levels_declared(domains[a_name(name, "a column")], f"the domain of column '{name}'")
        codes = arguments.coded(values, levels, f"column '{name}'", private=True)
        arguments.require_count(codes, records, f"column '{name}'")
        coded[name] = (levels, codes)
    return coded
