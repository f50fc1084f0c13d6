"""PublicColumns: a table as columns of numbers within 0 and 1, from the schema's bounds and levels alone.

Provider and ML party make the same columns without telling each other anything. A number becomes its place
between `min` and `max` (values beyond them are moved to the nearer end) and a mark where it is missing; a
category becomes a mark for missing and one for each level. A level that the schema does not name has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from comity.data.encode import LevelColumn
from comity.data.table import Table
from comity.errors import BadInput, BadSchema
from comity.schema import Schema

if TYPE_CHECKING:
    from comity.data.rawmatrix import NumberColumn, RawEncoder

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RangeColumn:
    """A number between public bounds: its place between them, and whether it is missing."""

    name: str
    low: float
    high: float

    @property
    def labels(self) -> tuple[str, ...]:
        return (self.name, f"{self.name}: missing")

    @property
    def _half_width(self) -> float:
        return (self.high / 2 - self.low / 2) or 1.0

    def columns(self, table: Table) -> Floats:
        """(2, rows)"""
        numbers = table.numbers(self.name)
        missing = np.isnan(numbers)
        # halves, since the width of the widest bounds is no finite number
        above = np.where(missing, self.low, np.clip(numbers, self.low, self.high)) / 2 - self.low / 2
        place = np.clip(above / self._half_width, 0.0, 1.0)
        return np.stack([place, missing.astype(np.float64)])

    def folded(self, column: NumberColumn | LevelColumn, weights: Floats) -> tuple[Floats, float]:
        """The weights of (standardised number, missing) as weights of these columns, and what is added.

        A missing number stands at the mean there, and at the lower bound here.
        """
        if isinstance(column, LevelColumn):
            raise _other_type(self.name)
        at_low = 2 * weights[0] * ((self.low / 2 - column.mean / 2) / column.scale)
        whole = 2 * weights[0] * (self._half_width / column.scale)
        return np.array([whole, weights[1] - at_low]), float(at_low)


@dataclass(frozen=True)
class MarkColumn:
    """A category: a mark for missing, then one for each public level."""

    name: str
    levels: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(f"{self.name}: {label}" for label in ("missing", *self.levels))

    def columns(self, table: Table) -> Floats:
        """(1 + levels, rows)"""
        codes = LevelColumn(self.name, self.levels).codes(table)
        marks = np.zeros((len(self.levels) + 2, table.rows))
        marks[codes, np.arange(table.rows)] = 1.0
        return marks[:-1]

    def folded(self, column: NumberColumn | LevelColumn, weights: Floats) -> tuple[Floats, float]:
        """The weights of the model's own levels as weights of these marks, and what is added: a level that
        the model does not know has the weight of its other level."""
        if not isinstance(column, LevelColumn):
            raise _other_type(self.name)
        other = float(weights[-1])
        known = dict(zip(column.levels, weights[1:-1].tolist(), strict=True))
        own = [float(weights[0]), *(known.get(level, other) for level in self.levels)]
        return np.array(own) - other, other


@dataclass(frozen=True)
class PublicColumns:
    """The columns of a schema's features, in order."""

    parts: tuple[RangeColumn | MarkColumn, ...]

    @classmethod
    def of(cls, schema: Schema, names: Sequence[str] | None = None) -> Self:
        """The columns of these features, by default all.

        Raises:
            BadSchema: naming the columns that lack `min` and `max`, or `values`.
        """
        lacking = lacking_bounds(schema, names)
        if lacking:
            raise BadSchema(f"encrypted rows need public bounds; add to the schema: {', '.join(lacking)}")
        made: list[RangeColumn | MarkColumn] = []
        for name in schema.features if names is None else names:
            column = schema[name]
            if column.min is not None and column.max is not None:
                made.append(RangeColumn(name, column.min, column.max))
            else:
                made.append(MarkColumn(name, column.values or ()))
        return cls(tuple(made))

    @property
    def labels(self) -> tuple[str, ...]:
        """A word for each column."""
        return tuple(label for part in self.parts for label in part.labels)

    def matrix(self, table: Table) -> Floats:
        """(rows, columns) numbers within 0 and 1."""
        return np.concatenate([part.columns(table) for part in self.parts]).T

    def folded(self, encoder: RawEncoder, weights: Floats, intercept: float) -> tuple[Floats, float]:
        """A model on `encoder.linear` as weights of these columns and an intercept: the same scores for all
        rows within the bounds, and nothing of the encoder has to be told.

        Raises:
            BadInput: if the encoder is of other features.
        """
        if encoder.names != tuple(part.name for part in self.parts):
            raise BadInput("the model was fitted on other columns than the agreement's schema names")
        pieces: list[Floats] = []
        at = 0
        for part, column in zip(self.parts, encoder.columns, strict=True):
            width = column.width if isinstance(column, LevelColumn) else 2
            own = weights[at : at + width]
            piece, more = part.folded(column, own)
            pieces.append(piece)
            intercept += more
            at += width
        return np.concatenate(pieces), float(intercept)


def lacking_bounds(schema: Schema, names: Sequence[str] | None = None) -> list[str]:
    """The features without public bounds or levels, each with what it lacks."""
    lacking: list[str] = []
    for name in schema.features if names is None else names:
        column = schema[name]
        if column.type.is_numeric and (column.min is None or column.max is None):
            lacking.append(f"{name} (min and max)")
        elif not column.type.is_numeric and column.values is None:
            lacking.append(f"{name} (values)")
    return lacking


def _other_type(name: str) -> BadInput:
    return BadInput(f"the model takes '{name}' for another type than the schema does")
