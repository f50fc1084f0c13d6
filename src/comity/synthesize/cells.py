"""Cells: what a column's values are counted in, from public facts alone.

A number's cells come from its public bounds: one for each whole number where there are few, else equal
widths together with widths that halve towards zero (many columns of amounts are mostly zeros and small
numbers). A category's cells are its public levels. Cell 0 is the missing value. Nothing here looks at data
to decide anything, so cells cost nothing; which of them are merged is decided by noisy counts
(`comity.synthesize.codes`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from comity.errors import BadSchema
from comity.schema import ColumnType, Schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from comity.data import Table

MISSING = 0
MOST_CELLS = 4096
_WHOLE_NUMBERS = 128
_WIDTHS = 32
_HALVINGS = 16


@dataclass(frozen=True)
class NumberCells:
    """A number between public bounds: cell i from 1 on holds edges[i-1] <= value < edges[i].

    Attributes:
        low, high: inclusive bounds; what lies outside counts as lying on them.
        whole: whether values are whole numbers.
        edges: (cells + 1,) ascending; the first is `low`, the last lies past `high`.
    """

    name: str
    low: float
    high: float
    whole: bool
    edges: tuple[float, ...]

    ordered = True

    @classmethod
    def between(cls, name: str, low: float, high: float, *, whole: bool) -> NumberCells:
        """The cells of public bounds."""
        span = high - low
        if whole and span < _WHOLE_NUMBERS:
            inner = np.arange(low, high) + 1
        else:
            zero = min(max(0.0, low), high)
            halves = np.ldexp(1.0, -np.arange(1, _HALVINGS + 1))
            inner = np.concatenate(
                [
                    np.linspace(low, high, _WIDTHS + 1)[1:-1],
                    zero + (high - zero) * halves,
                    zero - (zero - low) * halves,
                    [zero],
                ]
            )
            inner = np.ceil(inner) if whole else inner
        inner = np.unique(inner[(inner > low) & (inner <= high)])
        past = high + 1 if whole else float(np.nextafter(high, np.inf))
        return cls(name, low, high, whole, (low, *inner.tolist(), past))

    @property
    def size(self) -> int:
        """Number of cells, the missing one included."""
        return len(self.edges)

    def count(self, table: Table) -> NDArray[np.uint16]:
        """(rows,) the cell of each row."""
        numbers = table.numbers(self.name)
        inside = np.clip(numbers, self.low, self.high)
        cells = np.searchsorted(np.asarray(self.edges[1:-1]), inside, side="right") + 1
        return np.where(np.isnan(numbers), MISSING, cells).astype(np.uint16)

    def values(self, cells: NDArray[np.integer], uniform: NDArray[np.float64]) -> pa.Array:
        """A value in each cell: where `uniform` (numbers in [0, 1)) falls between its edges."""
        from comity.data.arrays import to_arrow

        edges = np.asarray(self.edges)
        at = np.maximum(cells.astype(np.int64), 1)
        low, high = edges[at - 1], edges[at]
        if self.whole:
            drawn = np.ceil(low) + np.floor(uniform * (np.ceil(high) - np.ceil(low)))
            return to_arrow(np.clip(drawn, self.low, self.high).astype(np.int64), cells == MISSING)
        # the cell that begins at zero in a column of amounts is mostly zero itself
        drawn = np.where(
            (low == 0) & (len(edges) > 2),
            0.0,
            np.minimum(low + uniform * (high - low), np.nextafter(high, low)),
        )
        return to_arrow(np.clip(drawn, self.low, self.high), cells == MISSING)


@dataclass(frozen=True)
class LevelCells:
    """A category: one cell for each public level. A value that is no level counts as missing.

    Attributes:
        numeric: whether the levels are whole numbers, written as texts.
    """

    name: str
    levels: tuple[str, ...]

    ordered = False

    @property
    def size(self) -> int:
        return len(self.levels) + 1

    def count(self, table: Table) -> NDArray[np.uint16]:
        codes, found = table.levels(self.name)
        place = {level: at for at, level in enumerate(self.levels, start=1)}
        lookup = np.array([*(place.get(level, MISSING) for level in found), MISSING], dtype=np.uint16)
        return lookup[codes]

    def values(self, cells: NDArray[np.integer], uniform: NDArray[np.float64]) -> pa.Array:
        import pyarrow as pa

        indices = pa.array([None if cell == MISSING else int(cell) - 1 for cell in cells], type=pa.int32())
        return pa.DictionaryArray.from_arrays(indices, pa.array(list(self.levels), pa.string())).cast(
            pa.string()
        )


Cells = NumberCells | LevelCells


def cells_of(schema: Schema, names: Sequence[str]) -> tuple[Cells, ...]:
    """The cells of columns whose bounds and levels are public.

    Raises:
        BadSchema: naming the columns that lack `min` and `max`, or `values`, or have too many levels.
    """
    made: list[Cells] = []
    lacking: list[str] = []
    for name in names:
        column = schema[name]
        if column.type.is_numeric:
            if column.min is None or column.max is None:
                lacking.append(f"{name} (min and max)")
                continue
            whole = column.type is ColumnType.integer
            made.append(NumberCells.between(name, column.min, column.max, whole=whole))
        elif column.values is None:
            lacking.append(f"{name} (values)")
        elif len(column.values) >= MOST_CELLS:
            raise BadSchema(
                f"{name} has {len(column.values)} levels; a synthetic table takes at most {MOST_CELLS - 1} "
                "in a column: group them, or leave the column out"
            )
        else:
            made.append(LevelCells(name, column.values))
    if lacking:
        raise BadSchema(
            f"a synthetic table needs public bounds and levels; add to the schema: {', '.join(lacking)}"
        )
    return tuple(made)
