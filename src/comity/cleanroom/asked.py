"""Statistics that a job declares and the room computes by itself: no program runs for them.

A job file lists them under `statistics`::

    - {count: records, by: [ward]}
    - {sum: days}
    - {mean: days, by: [ward], share: 2}
    - {histogram: age, bins: 6}
    - {quantile: days, at: [0.25, 0.5, 0.75]}

Bounds, levels and candidates are the schema's: what a statistic is of never follows from the data. Of people
with several rows as many count as the agreement says; other rows, levels that are not listed and missing
values count nowhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise, product
from typing import Any, Final

import numpy as np

from comity.errors import BadSchema
from comity.schema import Column, Schema

MOST_STATISTICS: Final = 100
MOST_FIGURES: Final = 1 << 14
RECORDS: Final = "records"
_BINS: Final = 10
_STEPS: Final = 1_000


class What(StrEnum):
    """What is computed."""

    count = "count"  # type: ignore[assignment]  # not the method of a text
    sum = "sum"
    mean = "mean"
    histogram = "histogram"
    quantile = "quantile"


@dataclass(frozen=True)
class Asked:
    """One declared statistic.

    Attributes:
        what: what is computed.
        column: of which column; None for a count of records.
        by: for counts, sums and means: category columns, a figure for each combination of their levels.
        bins: for a histogram of numbers: how many of equal width between the bounds; None: 10.
        at: for quantiles: which, each from 0.001 to 0.999.
        share: its part of epsilon, relative to the other statistics' and the program's outputs'.
    """

    what: What
    column: str | None = None
    by: tuple[str, ...] = ()
    bins: int | None = None
    at: tuple[float, ...] = ()
    share: float = 1.0

    @property
    def name(self) -> str:
        """What it is, in words; no two statistics of a job have the same."""
        if self.what is What.count:
            words = str(self.what)
        else:
            words = f"{self.what}{'s' if self.what is What.quantile else ''} of {self.column}"
        return words + (f" in {self.bins} bins" if self.bins else "") + _by(self.by)

    @property
    def columns(self) -> tuple[str, ...]:
        """What it reads."""
        return self.by if self.column is None else (self.column, *self.by)

    def faults(self) -> Iterator[str]:
        """What is wrong with it, whatever the columns are."""
        grouped = self.what in (What.count, What.sum, What.mean)
        if (self.column is None) is not (self.what is What.count):
            yield f"{self.name}: a count is of {RECORDS}, any other statistic of a column"
        if self.by and not grouped:
            yield f"{self.name}: by goes with counts, sums and means"
        if len(set(self.by)) != len(self.by):
            yield f"{self.name}: by names each column once"
        if self.bins is not None and not (self.what is What.histogram and 1 <= self.bins <= MOST_FIGURES):
            yield f"{self.name}: bins are of a histogram, 1 to {MOST_FIGURES:,} of them"
        if bool(self.at) is not (self.what is What.quantile):
            yield f"{self.name}: at says which quantiles, and goes with them alone"
        if len({round(one, 3) for one in self.at}) != len(self.at) or any(
            not 0.001 <= one <= 0.999 for one in self.at
        ):
            yield f"{self.name}: quantiles are from 0.001 to 0.999, each once, to a thousandth"
        if not 1e-6 <= self.share <= 1e6:
            yield f"{self.name}: its share is above 0, from 1e-6 to 1e6"

    def require(self, schema: Schema) -> None:
        """Hold it against the schema's columns.

        Raises:
            BadSchema: if a column has another type than it needs, or public bounds that are no range.
        """
        for name in self.by:
            if schema[name].type.is_numeric:
                raise BadSchema(f"{self.name}: '{name}' is a number; by names columns with public levels")
        if self.column is None:
            pass
        elif not schema[self.column].type.is_numeric:
            if self.what is not What.histogram:
                raise BadSchema(f"{self.name}: '{self.column}' has levels; it needs numbers")
            if self.bins is not None:
                raise BadSchema(f"{self.name}: '{self.column}' has levels, each is a bin; leave out bins")
        elif not schema[self.column].min < schema[self.column].max:  # type: ignore[operator]  # Columns.of
            raise BadSchema(f"{self.name}: the public bounds of '{self.column}' are one number")
        if len(self.keys(schema)) > MOST_FIGURES:
            raise BadSchema(f"{self.name}: it has more than {MOST_FIGURES:,} figures")

    def edges(self, schema: Schema) -> list[float]:
        """Of a histogram of numbers: the edges of its bins."""
        low, high = bounds_of(schema[self.column or ""])
        return np.linspace(low, high, (self.bins or _BINS) + 1).tolist()

    def keys(self, schema: Schema) -> tuple[Any, ...]:
        """What each figure is of: None, a level, levels in the order of `by`, (low, high), or a share."""
        if self.what is What.quantile:
            return tuple(round(one, 3) for one in self.at)
        if self.what is What.histogram:
            column = schema[self.column or ""]
            if not column.type.is_numeric:
                return column.values or ()
            edges = self.edges(schema)
            return tuple(pairwise(edges))
        levels = [schema[name].values or () for name in self.by]
        if math.prod(len(one) for one in levels) > MOST_FIGURES:
            return (None,) * (MOST_FIGURES + 1)
        if len(levels) == 1:
            return levels[0]
        return tuple(product(*levels)) if levels else (None,)

    def to_dict(self) -> dict[str, Any]:
        told: dict[str, Any] = {str(self.what): RECORDS if self.column is None else self.column}
        told |= {"by": list(self.by)} if self.by else {}
        told |= {} if self.bins is None else {"bins": self.bins}
        told |= {"at": list(self.at)} if self.at else {}
        return told | ({} if self.share == 1.0 else {"share": self.share})


def bounds_of(column: Column) -> tuple[float, float]:
    """The public bounds of a number column that has them."""
    return float(column.min or 0.0), float(column.max or 0.0)


def steps_of(column: Column) -> int:
    """Into how many steps quantiles cut the bounds: whole numbers one by one, where they are few."""
    low, high = bounds_of(column)
    whole = str(column.type) == "integer" and low.is_integer() and high.is_integer()
    return int(high - low) if whole and high - low <= _STEPS else _STEPS


def _by(names: tuple[str, ...]) -> str:
    return f" by {' and '.join(names)}" if names else ""
