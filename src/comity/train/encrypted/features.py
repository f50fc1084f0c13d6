"""Columns of a shared table from public facts: numbers between their bounds, a column of 0 and 1 per level.

What a value becomes depends on the agreement's schema and on nothing else, so every provider encodes its own
rows and nobody has to be told how. Means and deviations, which are private, are taken on shares.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from comity.data.table import Table
from comity.errors import BadSchema
from comity.schema import Schema
from comity.train.encrypted.settings import MOST_COLUMNS

Floats = NDArray[np.float64]

_MISSING: Final = "missing"
"""What a column's missing values are called; a level of that name is quoted."""


@dataclass(frozen=True)
class Number:
    """A number between public bounds, as -1 to 1; missing ones stand at 0 and in a column of their own."""

    name: str
    low: float
    high: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.low) and np.isfinite(self.high) and self.low <= self.high):
            raise BadSchema(f"the bounds of column {self.name} are two finite numbers, the lower one first")

    @classmethod
    def of_target(cls, schema: Schema, name: str) -> Number:
        """A target of numbers.

        Raises:
            BadSchema: if it has no public bounds.
        """
        column = schema[name]
        if column.min is None or column.max is None:
            raise BadSchema(
                f"the target {name} is a number, which is learned on shares between public bounds; add min "
                "and max to it in the schema"
            )
        return cls(name, column.min, column.max)

    def scaled(self, values: Floats) -> Floats:
        """Values between the bounds as -1 to 1, those beyond them held at them; NaN stays."""
        # halves, since the width of the widest bounds is no finite number
        above = np.clip(values, self.low, self.high) / 2 - self.low / 2
        return 2.0 * (above / ((self.high / 2 - self.low / 2) or 1.0)) - 1.0


@dataclass(frozen=True)
class Levels:
    """A category: a column for missing, then one for each level; any other level is 0 in all of them."""

    name: str
    values: tuple[str, ...]

    def places(self, table: Table) -> NDArray[np.int64]:
        """(rows,) which of its columns is 1; -1 for none."""
        codes, found = table.levels(self.name)
        place = {value: at for at, value in enumerate(self.values, start=1)}
        lookup = np.array([*(place.get(value, -1) for value in found), 0])
        return lookup[codes]  # -1, missing, takes the last entry


@dataclass(frozen=True)
class Bins:
    """A number as one of equally wide bins between its public bounds: a column for missing, one for each."""

    number: Number
    count: int

    @property
    def name(self) -> str:
        return self.number.name

    @property
    def values(self) -> tuple[str, ...]:
        """A word for each bin."""
        edges = 2 * np.linspace(self.number.low / 2, self.number.high / 2, self.count + 1)
        ends = enumerate(pairwise(edges), start=1)
        return tuple(f"bin {at} ({low:g} to {high:g})" for at, (low, high) in ends)

    def places(self, table: Table) -> NDArray[np.int64]:
        """(rows,) which of its columns is 1."""
        share = (self.number.scaled(table.numbers(self.name)) + 1.0) / 2.0
        missing = np.isnan(share)
        found = np.minimum(np.floor(np.where(missing, 0.0, share) * self.count), self.count - 1)
        return np.where(missing, 0, found.astype(np.int64) + 1)


@dataclass(frozen=True)
class Features:
    """The columns of a shared table, in order: all numbers, then missing numbers, then levels and bins."""

    numbers: tuple[Number, ...]
    levels: tuple[Levels | Bins, ...]

    @classmethod
    def of(cls, schema: Schema, names: Sequence[str], *, bins: int = 0) -> Features:
        """From public bounds and levels.

        Args:
            bins: into how many a number is cut; 0 leaves numbers as they are.

        Raises:
            BadSchema: naming the columns that lack `min` and `max`, or `values`; or if there are too many.
        """
        numbers: list[Number] = []
        levels: list[Levels | Bins] = []
        lacking: list[str] = []
        for name in names:
            column = schema[name]
            if column.type.is_numeric and column.min is not None and column.max is not None:
                number = Number(name, column.min, column.max)
                if bins:
                    levels.append(Bins(number, bins))
                else:
                    numbers.append(number)
            elif not column.type.is_numeric and column.values is not None:
                levels.append(Levels(name, column.values))
            else:
                lacking.append(f"{name} ({'min and max' if column.type.is_numeric else 'values'})")
        if lacking:
            raise BadSchema(f"shared features need public bounds; add to the schema: {', '.join(lacking)}")
        made = cls(tuple(numbers), tuple(levels))
        if made.width > MOST_COLUMNS:
            most = max(made.levels, key=lambda column: len(column.values), default=None)
            named = "" if most is None else f", {1 + len(most.values)} of them '{most.name}'"
            raise BadSchema(
                f"the features make {made.width} columns of shares{named}; at most {MOST_COLUMNS} fit: group "
                "levels, or leave columns out"
            )
        return made

    @property
    def numeric(self) -> int:
        return len(self.numbers)

    @property
    def width(self) -> int:
        """How many columns."""
        return 2 * len(self.numbers) + sum(1 + len(column.values) for column in self.levels)

    @property
    def labels(self) -> tuple[str, ...]:
        """A word for each column, which no other one has: a level called as missing ones are is quoted."""
        return tuple(name if value is None else f"{name}: {value}" for name, value in self._places)

    @property
    def _places(self) -> tuple[tuple[str, str | None], ...]:
        """Of each column: the table's column, and which value it stands for, None for a number itself."""
        numbers = [_quoted(number.name) for number in self.numbers]
        places: list[tuple[str, str | None]] = [(name, None) for name in numbers]
        places += [(name, _MISSING) for name in numbers]
        for column in self.levels:
            name = _quoted(column.name)
            places += [(name, _MISSING), *((name, _quoted(value)) for value in column.values)]
        return tuple(places)

    def encode(self, table: Table) -> Floats:
        """(rows, width) numbers from -1 to 1."""
        matrix = np.zeros((table.rows, self.width))
        for at, number in enumerate(self.numbers):
            values = table.numbers(number.name)
            missing = np.isnan(values)
            matrix[:, at] = np.where(missing, 0.0, number.scaled(values))
            matrix[:, len(self.numbers) + at] = missing
        start = 2 * len(self.numbers)
        for column in self.levels:
            at = column.places(table)
            known = np.flatnonzero(at >= 0)
            matrix[known, start + at[known]] = 1.0
            start += 1 + len(column.values)
        return matrix

    def order(self, blocks: Sequence[Features]) -> NDArray[np.int64]:
        """(width,) where in the blocks, side by side, each of these columns stands."""
        place = {each: at for at, each in enumerate(each for block in blocks for each in block._places)}
        return np.array([place[each] for each in self._places], dtype=np.int64)


def _quoted(word: str) -> str:
    """The word itself, or in quotes where it would read like another one."""
    plain = word != _MISSING and ": " not in word and not word.startswith('"')
    return word if plain else json.dumps(word, ensure_ascii=False)


def spread(rows: int) -> NDArray[np.int64]:
    """(rows,) an order, the same at every party, that spreads neighbours over all batches: steps of about the
    golden section of the table, which no sorted column and no provider's block follows."""
    step = max(1, round(rows * 0.6180339887))
    while np.gcd(step, rows) != 1:
        step += 1
    return (np.arange(rows, dtype=np.int64) * step) % max(rows, 1)
