"""Whose rows are whose, and which of them count, where the privacy unit is a person with several rows.

Which rows of a person count, the first ones, depends on that person's rows alone, so that nobody else's
coming or going moves them. A row that names nobody could be anybody's: it does not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from comity import schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from comity.data.table import Table


@dataclass(frozen=True)
class Unit:
    """Whose coming or going is hidden: a row, or all rows of one person.

    Attributes:
        column: the column that says whose row it is; None: each row is a unit.
        rows: the most rows of one person that count.
    """

    column: str | None = None
    rows: int = 1

    @classmethod
    def of(cls, stated: schema.Unit, *, id: str | None = None) -> Self:
        """As a schema or an agreement says; a unit column that is the rows' own id makes each row a unit."""
        return cls() if stated.column in (None, id) else cls(stated.column, stated.max_rows)

    def numbers(self, people: Sequence[Any] | NDArray[Any]) -> NDArray[np.int64]:
        """(rows,) the number of each row's unit, in order of first rows, -1 for a row that does not count.

        Args:
            people: (rows,) who each row is about: values of one type; None and NaN name nobody.
        """
        if self.column is None:
            return np.arange(len(people), dtype=np.int64)
        import pyarrow as pa

        from comity.data.table import dictionary_codes

        # a person whose number is missing is NaN in a column of floats: that names nobody either
        named = pa.array(people, from_pandas=True)
        codes, _ = dictionary_codes(pa.chunked_array([named]))
        return np.where(first_rows(codes, self.rows), codes, -1).astype(np.int64)

    def kept(self, table: Table) -> Table:
        """The rows that count."""
        if self.column is None:
            return table
        codes, _ = table.levels(self.column)
        return table.take(first_rows(codes, self.rows))


def first_rows(codes: NDArray[np.integer[Any]], most: int) -> NDArray[np.bool_]:
    """(rows,) true for the first `most` rows of each code; never for a code below 0, which is nobody's."""
    order = np.argsort(codes, kind="stable")
    grouped = codes[order]
    rank = np.arange(len(grouped)) - np.searchsorted(grouped, grouped, side="left")
    kept = np.zeros(len(codes), dtype=np.bool_)
    kept[order] = (rank < most) & (grouped >= 0)
    return kept
