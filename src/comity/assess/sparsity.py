"""How thinly a table is filled: missing values, rare levels, and the space of joint tuples.

A sparse table is hard to protect: each level that few rows have must be generalised or suppressed, and most
combinations of values that could occur do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from comity.assess.tuples import Tuples

if TYPE_CHECKING:
    from numpy.typing import NDArray

RARE = 5
"""A level that fewer rows have is rare."""

NEARLY_CONSTANT = 0.99
"""Share of the rows with one value from which on a column says hardly anything."""


@dataclass(frozen=True)
class ColumnSparsity:
    """One column.

    Attributes:
        rare_levels: values that fewer than `RARE` rows have.
        rare_rows: share of the rows with such a value.
        top_share: share of the rows that have the most common value; 0 if no row has one.
        nearly_constant: whether `top_share` is at least `NEARLY_CONSTANT`.
    """

    rare_levels: int
    rare_rows: float
    top_share: float
    nearly_constant: bool

    @classmethod
    def of(cls, counts: NDArray[np.integer], rows: int) -> ColumnSparsity:
        """From the (values,) rows that have each value, and the rows of the table."""
        rare = counts[counts < RARE]
        top = float(counts.max() / rows) if len(counts) and rows else 0.0
        rare_rows = float(rare.sum() / rows) if rows else 0.0
        return cls(len(rare), rare_rows, top, top >= NEARLY_CONSTANT)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: the attributes by name."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True)
class JointSparsity:
    """The space of the quasi-identifiers' joint tuples.

    Attributes:
        cells: tuples that could occur: the product of the columns' numbers of values. A whole number of any
            length.
        occupied: tuples that do.
        occupied_share: occupied / cells.
        rows_per_cell: mean rows in an occupied tuple.
        rare_rows: share of the rows whose tuple fewer than `RARE` rows have.
    """

    cells: int
    occupied: int
    occupied_share: float
    rows_per_cell: float
    rare_rows: float

    @classmethod
    def of(cls, tuples: Tuples) -> JointSparsity:
        """From the distinct tuples of the quasi-identifiers."""
        cells = prod(tuples.widths)
        rare = tuples.counts[tuples.counts < RARE]
        return cls(
            cells=cells,
            occupied=len(tuples),
            occupied_share=len(tuples) / cells,
            rows_per_cell=tuples.rows / len(tuples),
            rare_rows=float(rare.sum() / tuples.rows),
        )

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: the attributes by name."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}
