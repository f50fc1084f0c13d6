"""Terms: what a statistic may cost and whose rows count; and the noise that follows from them.

delta 0 takes discrete Laplace noise, exact on whole numbers; delta above 0 discrete Gaussian noise, which is
smaller where one unit moves many figures. Neighbours differ in one record that comes or goes, or, with
`unit`, in all rows of one person, of which at most `max_rows` count.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.data.declared import exact_ids, numbered
from comity.data.stored import Stored, stored_as
from comity.errors import UsageError
from comity.ledger import Cost, PrivacyUnit, Relation, approximate, pure
from comity.mechanism import Noise, Sums, gaussian, laplace

Charge = Callable[[Cost], object]
"""Takes a statistic's cost before a record is read, and raises if it may not be spent."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

COVERAGE: Final = 0.95
_MOST_EPSILON: Final = 1e6


@dataclass(frozen=True)
class Terms:
    """What is paid, and for what unit.

    Attributes:
        epsilon: in nats, above 0.
        delta: in [0, 1); 0 takes Laplace noise.
        unit: `record`, or `person`.
        max_rows: how many rows of one unit count.
        relation: add-remove; change-one where the number of records is public.
    """

    epsilon: float
    delta: float
    unit: PrivacyUnit = PrivacyUnit.record
    max_rows: int = 1
    relation: Relation = Relation.add_remove

    @classmethod
    def checked(
        cls,
        epsilon: Any,
        delta: Any,
        persons: Any,
        max_rows: Any,
        *,
        relation: Relation = Relation.add_remove,
    ) -> Terms:
        """Terms from arguments.

        Raises:
            UsageError: for values out of range, and for max_rows without a unit column.
        """
        if not is_number(epsilon) or not 1e-9 <= epsilon <= _MOST_EPSILON:
            raise UsageError(f"epsilon is a number from 1e-9 to {_MOST_EPSILON:g}, not {epsilon!r}")
        if not is_number(delta) or not 0 <= delta < 1:
            raise UsageError(f"delta is a number in [0, 1), not {delta!r}; 0 takes Laplace noise")
        if not isinstance(max_rows, int | np.integer) or isinstance(max_rows, bool) or max_rows < 1:
            raise UsageError(f"max_rows is a whole number of 1 or more, not {max_rows!r}")
        if persons is None and max_rows != 1:
            raise UsageError("max_rows is how many rows of one person count: pass their ids as unit= with it")
        unit = PrivacyUnit.record if persons is None else PrivacyUnit.person
        return cls(float(epsilon), float(delta), unit, int(max_rows), relation)

    @property
    def cost(self) -> Cost:
        if self.delta == 0:
            return pure(self.epsilon, unit=self.unit, relation=self.relation)
        return approximate(self.epsilon, self.delta, unit=self.unit, relation=self.relation)

    def noise(self, dimensions: int, per_row: int) -> Noise:
        """Noise for figures of which a row moves one, by at most `per_row`; a unit's rows may all move it."""
        moved = per_row * self.max_rows
        if self.delta == 0:
            return laplace(moved, per_row, self.epsilon)
        return gaussian([Sums(dimensions, moved, per_row)], self.epsilon, self.delta).noises[0]

    def noises(self, per_rows: tuple[int, ...], dimensions: int = 1) -> tuple[Noise, ...]:
        """Noise for several vectors; a row moves one figure of each, of the i-th by at most `per_rows[i]`."""
        if self.delta == 0:
            part = self.epsilon / len(per_rows)
            return tuple(laplace(one * self.max_rows, one, part) for one in per_rows)
        sums = [Sums(dimensions, one * self.max_rows, one) for one in per_rows]
        return gaussian(sums, self.epsilon, self.delta).noises

    def spend(self, charge: Charge | None, cost: Cost | None = None) -> Cost:
        """Charge, where there is an account to charge; to be called before a value is read."""
        cost = self.cost if cost is None else cost
        if charge is not None:
            charge(cost)
        return cost


def require_one_each(records: Any, *, unit: Any = None, where: Any = None) -> None:
    """Refuse ids and conditions that do not belong to these records, before anything is charged.

    Only lengths and stored types are looked at; of a lazy frame, whose length only its rows tell, nothing.

    Raises:
        UsageError: for another number of them than records (private: it goes to the holder), or for a
            condition of a stored type that is not true and false.
    """
    if where is not None and stored_as(where) not in (Stored.truth, Stored.other):
        raise UsageError(f"where= is true or false for each record, not stored as {stored_as(where)}")
    rows = _length(records)
    if rows is None:
        return
    if where is not None and _length(where) not in (None, rows):
        raise UsageError(
            f"where= is true or false for each of {rows} records, and there are {_length(where)}",
            private=True,
        )
    if not isinstance(unit, str) and unit is not None and _length(unit) not in (None, rows):
        raise UsageError(
            f"there are {rows} records and {_length(unit)} ids in unit=: one each is needed", private=True
        )


def _length(values: Any) -> int | None:
    """How many records, where that is known without reading one."""
    if getattr(values, "ndim", 1) == 0:
        return None
    rows = getattr(values, "num_rows", None)
    if isinstance(rows, int):
        return rows
    if isinstance(values, str | bytes | Mapping) or not hasattr(values, "__len__"):
        return None
    try:
        return len(values)
    except TypeError:
        return None


def kept_rows(persons: Any, records: int, max_rows: int) -> NDArray[np.bool_]:
    """(records,) whether a row counts: the first `max_rows` of each person. No noise.

    Which rows of a person count depends on that person's rows alone. A row without an id counts nowhere: rows
    of several people without one would take each other's places. Without ids at all, every row counts.

    Raises:
        UsageError: for another number of ids than records.
    """
    if persons is None:
        return np.ones(records, dtype=np.bool_)
    ids = exact_ids(persons, "unit")
    if len(ids) != records:
        raise UsageError(
            f"there are {records} records and {len(ids)} ids in unit=: one each is needed", private=True
        )
    number, missing = numbered(ids)
    order = np.argsort(number, kind="stable")
    ordered = number[order]
    first = np.searchsorted(ordered, ordered, side="left")
    kept = np.empty(records, dtype=np.bool_)
    kept[order] = np.arange(records) - first < max_rows
    return kept & ~missing


def reach(noise: Noise, coverage: float = COVERAGE) -> float:
    """How far noise goes at most with that probability, either way, in the sums' own whole numbers."""
    outside = 1 - coverage
    if noise.law == "laplace":
        # P(|x| > t) = 2 q^(t + 1) / (1 + q) for whole t
        q = math.exp(-1 / noise.scale)
        steps = math.ceil(math.log(outside * (1 + q) / 2) / math.log(q) - 1) if q > 0 else 0
        return math.ldexp(float(max(0, steps)), -noise.shift)
    from scipy.special import ndtri

    return float(ndtri(1 - outside / 2)) * noise.deviation


def is_number(value: Any) -> bool:
    """Whether a value is a finite number, true and false not among them."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:  # a whole number beyond all floats
        return False
