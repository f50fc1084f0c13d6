"""RawEncoder: features as matrices for models that learn from raw rows (the baselines).

Two matrices from one encoder: `linear` (standardised numbers, one-hot levels, missing indicators) for
logistic regression, and `ordinal` (numbers as they are, level codes, NaN where missing) for boosted trees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from comity.data.bins import kept_levels
from comity.data.encode import LevelColumn
from comity.data.table import Table
from comity.errors import BadInput
from comity.schema import Schema

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

MOST_LEVELS = 253
"""Levels kept per category; with the missing and the other code that is what scikit-learn's trees take."""

FORMAT = 1


@dataclass(frozen=True)
class NumberColumn:
    """A numeric column: centred on `mean`, divided by `scale`; a missing value stands at the mean."""

    name: str
    mean: float
    scale: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.mean) and np.isfinite(self.scale) and self.scale > 0):
            raise BadInput(f"column {self.name} needs a finite mean and a positive scale")


@dataclass(frozen=True)
class RawEncoder:
    """Columns as numbers, learned from the rows of one table. Immutable; `to_dict` is its JSON form."""

    columns: tuple[NumberColumn | LevelColumn, ...]

    @classmethod
    def from_features(
        cls, table: Table, schema: Schema, *, names: Sequence[str] | None = None, minimum: int = 1
    ) -> Self:
        """Take means, scales and levels from the rows that a model is about to learn from.

        Levels with fewer than `minimum` rows, and those beyond the `MOST_LEVELS` most frequent, go to the
        other level. What it holds is as private as the rows.
        """
        made: list[NumberColumn | LevelColumn] = []
        for name in schema.features if names is None else names:
            if schema[name].type.is_numeric:
                made.append(_number_column(name, table.numbers(name)))
            else:
                made.append(LevelColumn(name, _frequent_levels(*table.levels(name), minimum)))
        return cls(tuple(made))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @cached_property
    def categorical(self) -> NDArray[np.bool_]:
        """(d,) which columns of `ordinal` are categories: scikit-learn's `categorical_features`."""
        return np.array([isinstance(column, LevelColumn) for column in self.columns], dtype=bool)

    @property
    def labels(self) -> tuple[str, ...]:
        """A word for each column of `linear`."""
        words: list[str] = []
        for column in self.columns:
            if isinstance(column, NumberColumn):
                words += [column.name, f"{column.name}: missing"]
            else:
                words += [f"{column.name}: {label}" for label in column.labels]
        return tuple(words)

    def ordinal(self, table: Table) -> NDArray[np.float64]:
        """(rows, d) numbers and level codes, NaN where missing; an unseen level has the other code."""
        matrix = np.empty((table.rows, len(self.columns)), dtype=np.float64, order="F")
        for at, column in enumerate(self.columns):
            if isinstance(column, NumberColumn):
                matrix[:, at] = table.numbers(column.name)
            else:
                codes = column.codes(table).astype(np.float64) - 1
                matrix[:, at] = np.where(codes < 0, np.nan, codes)
        return matrix

    def linear(self, table: Table) -> csr_matrix:
        """(rows, len(labels)) float64: standardised numbers with missing indicators, one-hot levels."""
        from scipy.sparse import csc_matrix, csr_matrix, hstack

        blocks = []
        rows = np.arange(table.rows)
        for column in self.columns:
            if isinstance(column, NumberColumn):
                numbers = table.numbers(column.name)
                missing = np.isnan(numbers)
                scaled = np.where(missing, 0.0, (numbers - column.mean) / column.scale)
                blocks.append(csc_matrix(np.stack([scaled, missing], axis=1)))
            else:
                ones = (np.ones(table.rows), (rows, column.codes(table).astype(np.int32)))
                blocks.append(csc_matrix(ones, shape=(table.rows, column.width)))
        return csr_matrix(hstack(blocks, format="csr"))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        columns = [
            {"name": column.name, "mean": column.mean, "scale": column.scale}
            if isinstance(column, NumberColumn)
            else {"name": column.name, "levels": list(column.levels)}
            for column in self.columns
        ]
        return {"format": FORMAT, "columns": columns}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Read the JSON form.

        Raises:
            BadInput: for anything that `to_dict` does not write.
        """
        try:
            if set(document) != {"format", "columns"} or document["format"] != FORMAT:
                raise BadInput(f"a raw encoder's document has format {FORMAT} and columns")
            return cls(tuple(_column_from_dict(column) for column in document["columns"]))
        except (KeyError, TypeError, ValueError) as error:
            raise BadInput(f"this is not a raw encoder's document: {error}") from None


def _number_column(name: str, numbers: NDArray[np.float64]) -> NumberColumn:
    known = numbers[~np.isnan(numbers)]
    if not len(known):
        return NumberColumn(name, 0.0, 1.0)
    # dividing by the largest value first keeps the variance of huge numbers finite
    top = float(np.abs(known).max()) or 1.0
    return NumberColumn(name, float((known / top).mean()) * top, float((known / top).std()) * top or 1.0)


def _frequent_levels(codes: NDArray[np.integer], levels: tuple[str, ...], minimum: int) -> tuple[str, ...]:
    """The levels to keep, in their own order."""
    counts = np.bincount(codes[codes >= 0], minlength=len(levels))
    if len(levels) <= MOST_LEVELS:
        return kept_levels(codes, levels, minimum)
    often = np.sort(np.argsort(-counts, kind="stable")[:MOST_LEVELS])
    return tuple(levels[at] for at in often if counts[at] >= minimum)


def _column_from_dict(document: Mapping[str, Any]) -> NumberColumn | LevelColumn:
    keys = set(document)
    if keys == {"name", "mean", "scale"}:
        return NumberColumn(str(document["name"]), float(document["mean"]), float(document["scale"]))
    if keys == {"name", "levels"}:
        return LevelColumn(str(document["name"]), tuple(str(level) for level in document["levels"]))
    raise BadInput("a raw encoder's column has a name and either mean and scale, or levels")
