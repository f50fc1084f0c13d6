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
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from comity.data.table import Table


@dataclass(frozen=True)
class Unit:
    """Whose coming or going is hidden: a row, or all rows of one person.

    Attributes:
        column: the column that says whose row it is; None: each row is a unit.
        rows: the most rows of one person that count.
        of_records: whether it is a record: each row, or the one row that has an id.
    """

    column: str | None = None
    rows: int = 1
    of_records: bool = True

    @classmethod
    def of(cls, stated: schema.Unit, columns: Mapping[str, schema.Column]) -> Self:
        """As a schema or an agreement says, and nobody else.

        Where the unit's column is the only identifier and each value counts once, it is the rows' own id: a
        unit is a record. Rows that repeat an id do not count all the same.
        """
        if stated.column is None:
            return cls()
        identifiers = [name for name, column in columns.items() if column.role is schema.Role.identifier]
        return cls(stated.column, stated.max_rows, identifiers == [stated.column] and stated.max_rows == 1)

    @property
    def of_one_row(self) -> bool:
        """Whether at most one row of a unit counts, so that whoever hides a row hides the unit."""
        return self.column is None or self.rows == 1

    def numbers(self, people: Sequence[Any] | NDArray[Any]) -> NDArray[np.int64]:
        """(rows,) the number of each row's unit, in order of first rows, -1 for a row that does not count.

        Args:
            people: (rows,) who each row is about; None and NaN name nobody.
        """
        if self.column is None:
            return np.arange(len(people), dtype=np.int64)
        # one by one: a library that gives all of them one type would have one odd value change the others'
        known: dict[Any, int] = {}
        codes = np.full(len(people), -1, dtype=np.int64)
        for row, person in enumerate(people):
            if person is not None and person == person:  # NaN, a missing one among floats, names nobody
                codes[row] = known.setdefault(person, len(known))
        return np.where(first_rows(codes, self.rows), codes, -1)

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
