"""What a hosted model predicts: one of two values, one of several, or a number within declared bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from comity.data.table import Table
from comity.errors import BadSchema
from comity.schema import Column

Floats = NDArray[np.float64]

MOST_CLASSES: Final = 50


@dataclass(frozen=True)
class HostedTarget:
    """A target by public facts alone.

    Attributes:
        low, high: what the model's numbers lie between: 0 and 1 for chances, else the declared bounds.
        classes: the target's values, in the schema's order; empty for two values (0 and 1) and for numbers.
        numeric: whether it is a number.
    """

    low: float = 0.0
    high: float = 1.0
    classes: tuple[str, ...] = ()
    numeric: bool = False

    @classmethod
    def of(cls, column: Column, *, name: str = "the target") -> Self:
        """Several classes, or a number, as the schema declares the column.

        Raises:
            BadSchema: if it declares neither bounds nor values: they must not be read off the data.
        """
        if column.type.is_numeric:
            if column.min is None or column.max is None or not column.min < column.max:
                raise BadSchema(f"feedback about {name} needs its bounds: add 'min' and 'max' to the schema")
            return cls(column.min, column.max, numeric=True)
        if column.values is None or not 2 <= len(column.values) <= MOST_CLASSES:
            raise BadSchema(
                f"feedback about {name} needs its classes, 2 to {MOST_CLASSES}: add 'values' to the schema"
            )
        return cls(classes=column.values)

    @property
    def outputs(self) -> int:
        """Numbers that the model gives per row."""
        return max(1, len(self.classes))

    @property
    def neutral(self) -> float:
        """What stands for each number of a row on which the model fails."""
        return 1 / len(self.classes) if self.classes else (self.low + self.high) / 2

    @property
    def words(self) -> str:
        """What the model gives, for people."""
        if self.classes:
            return f"a chance for each of {len(self.classes)} classes"
        return "a number" if self.numeric else "a score"

    def labels(self, table: Table, name: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """(rows,) numbers held within the bounds, or codes of classes; and which rows have one at all.

        A value that is none of the classes counts as no value, and such rows as absent.
        """
        if self.numeric:
            numbers = table.numbers(name)
            known = np.isfinite(numbers)
            return np.clip(np.where(known, numbers, self.low), self.low, self.high), known
        codes, found = table.levels(name)
        place = {value: code for code, value in enumerate(self.classes)}
        lookup = np.array([*(place.get(value, -1) for value in found), -1], dtype=np.int64)
        labels = lookup[codes]
        return np.maximum(labels, 0), labels >= 0


BINARY: Final = HostedTarget()
