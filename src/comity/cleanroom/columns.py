"""What a job is given of a table: numbers, by the schema alone.

A number lies within its public bounds (it is moved to the nearer one if not); a level is its place in the
public list, any other level the number of levels; what is missing is NaN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from comity.data import people as people_of
from comity.data.table import Table, no_such_column
from comity.errors import BadSchema
from comity.ledger import PrivacyUnit
from comity.schema import Column, Schema, Unit

_TOLD: Final = 5
"""So many absent columns are named."""


def lacks(column: Column) -> str | None:
    """What the schema would have to say of a column before a job can be given it; None if nothing.

    By its type: `min and max` of numbers, `values` (public levels, one at least) of anything else.
    """
    if column.type.is_numeric:
        return "min and max" if column.min is None or column.max is None else None
    return None if column.values else "values"


@dataclass(frozen=True)
class Columns:
    """The columns of a job, with their public bounds and levels.

    Attributes:
        schema: the columns' types, bounds and levels, public by agreement.
        names: which of them, in order.
    """

    schema: Schema
    names: tuple[str, ...]

    @classmethod
    def of(cls, schema: Schema, names: Sequence[str]) -> Self:
        """These columns of the schema.

        Raises:
            BadSchema: naming those that it does not have, or that lack bounds or levels.
        """
        absent = [name for name in names if name not in schema.columns]
        faults = [str(no_such_column(name, tuple(schema.columns), "the schema")) for name in absent[:_TOLD]]
        if len(absent) > _TOLD:
            faults.append(f"and {len(absent) - _TOLD} more that it does not have")
        lacking = [
            f"{name} ({lack})"
            for name in names
            if name in schema.columns and (lack := lacks(schema[name])) is not None
        ]
        if lacking:
            faults.append(f"a job reads columns with public bounds; add to the schema: {', '.join(lacking)}")
        if faults:
            raise BadSchema("; ".join(faults))
        return cls(schema, tuple(names))

    def matrix(self, table: Table) -> NDArray[np.float64]:
        """(rows, columns) what a job is given of these rows."""
        filled = np.empty((table.rows, len(self.names)))
        for at, name in enumerate(self.names):
            column = self.schema[name]
            if column.type.is_numeric:
                filled[:, at] = np.clip(table.numbers(name), column.min, column.max)
            else:
                codes, found = table.levels(name)
                place = {level: code for code, level in enumerate(column.values or ())}
                lookup = np.array([*(place.get(level, len(place)) for level in found), np.nan])
                filled[:, at] = lookup[codes]  # -1 is missing: the last entry
        return filled


@dataclass(frozen=True)
class Units:
    """Whose coming or going is hidden: one row, or all rows of a person.

    Attributes:
        column: the column that says whose row it is; None: each row is a unit.
        rows: the most rows of a person that count.
        whose: `record` or `person`.
    """

    column: str | None = None
    rows: int = 1
    whose: PrivacyUnit = PrivacyUnit.record

    @classmethod
    def of(cls, unit: Unit, columns: Mapping[str, Column]) -> Self:
        """As a schema or an agreement says, and nobody else.

        Where the unit's column is the only identifier and each value counts once, it is the rows' own id: a
        unit is a record. Rows that repeat an id do not count all the same.
        """
        found = people_of.Unit.of(unit, columns)
        return cls(found.column, found.rows, PrivacyUnit.record if found.of_records else PrivacyUnit.person)

    def numbers(self, people: Sequence[Any]) -> NDArray[np.int64]:
        """(rows,) the number of each row's unit, -1 for a row that does not count.

        Which rows of a person count (the first ones) depends on that person's rows alone; a row that names
        nobody could be anybody's and does not count.
        """
        return people_of.Unit(self.column, self.rows).numbers(people)
