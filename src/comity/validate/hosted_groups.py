"""Groups of feedback about a hosted model: the levels of a declared column, never read off the data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from comity.errors import BadInput
from comity.schema import Schema
from comity.validate.hosted_estimate import Estimate

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class HostedGroups:
    """By which declared column feedback is asked.

    Attributes:
        column: group by this column of the schema; None: all records together.
        levels: the column's public levels, in order; any other value and missing ones make one more group.
    """

    column: str | None = None
    levels: tuple[str, ...] = ()

    @classmethod
    def of(cls, schema: Schema, by: str | None) -> Self:
        """The declared levels of a column.

        Raises:
            BadInput: if the column declares no levels: groups must not be read off the data.
        """
        if by is None:
            return cls()
        values = None if by not in schema.columns else schema[by].values
        if values is None:
            raise BadInput(f"feedback by '{by}' needs its levels in the schema: add 'values' to the column")
        return cls(by, values)

    @property
    def count(self) -> int:
        return 1 if self.column is None else len(self.levels) + 1

    @property
    def names(self) -> tuple[str, ...]:
        return () if self.column is None else (*self.levels, "other")

    def places(self, rows: int, values: Sequence[str | None] | None) -> Integers:
        """(rows,) the group of each row, from 0 on."""
        if self.column is None:
            return np.zeros(rows, dtype=np.int64)
        place: dict[str | None, int] = {level: at for at, level in enumerate(self.levels)}
        return np.array([place.get(value, len(place)) for value in values or ()], dtype=np.int64)

    def read(
        self, table: Floats, deviation: Any, metrics: Callable[[Floats, Any], Mapping[str, Estimate]]
    ) -> dict[str, Mapping[str, Estimate]]:
        """Metrics of `all`, and of each group by its name, out of (groups, values) noisy sums."""
        found = {"all": metrics(table.sum(axis=0), deviation * math.sqrt(self.count))}
        return found | {name: metrics(row, deviation) for name, row in zip(self.names, table, strict=False)}


TOGETHER: Final = HostedGroups()
"""All records together."""
