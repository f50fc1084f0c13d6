"""Terms: what a statistic may cost and whose rows count; and the noise that follows from them.

delta 0 takes discrete Laplace noise, exact on whole numbers; delta above 0 discrete Gaussian noise, which is
smaller where one unit moves many figures. Neighbours differ in one record that comes or goes, or, with
`unit`, in all rows of one person, of which at most `max_rows` count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.data.declaration import Charge, checked_epsilon, is_number
from comity.data.declared import column_fault, numbered, one_dimension, rows_known
from comity.data.people import first_rows
from comity.data.stored import Stored, stored_as
from comity.errors import UsageError
from comity.ledger import Cost, PrivacyUnit, Relation, approximate, pure
from comity.mechanism import MOST_RECORDS, Noise, Sums, gaussian, laplace

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

COVERAGE: Final = 0.95


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
        asked = checked_epsilon(epsilon)
        if not is_number(delta) or not 0 <= float(delta) < 1:
            raise UsageError(f"delta is a number in [0, 1), not {delta!r}; 0 takes Laplace noise")
        whole = isinstance(max_rows, int | np.integer) and not isinstance(max_rows, bool)
        if not whole or not 1 <= max_rows <= MOST_RECORDS:
            raise UsageError(f"max_rows is a whole number from 1 to 2^31, not {max_rows!r}")
        if persons is None and max_rows != 1:
            raise UsageError("max_rows is how many rows of one person count: pass their ids as unit= with it")
        unit = PrivacyUnit.record if persons is None else PrivacyUnit.person
        return cls(asked, float(delta), unit, int(max_rows), relation)

    @property
    def cost(self) -> Cost:
        if self.delta == 0:
            return pure(self.epsilon, unit=self.unit, relation=self.relation)
        return approximate(self.epsilon, self.delta, unit=self.unit, relation=self.relation)

    def noise(self, dimensions: int, per_row: int) -> Noise:
        """Noise for figures of which a row moves one, by at most `per_row`; a unit's rows may all move it.

        Raises:
            UsageError: for noise too wide for 64-bit integers.
        """
        moved = per_row * self.max_rows
        if self.delta == 0:
            return self._laplace(per_row, self.epsilon)
        return gaussian([Sums(dimensions, moved, per_row)], self.epsilon, self.delta).noises[0]

    def noises(self, per_rows: tuple[int, ...], dimensions: int = 1) -> tuple[Noise, ...]:
        """Noise for several vectors; a row moves one figure of each, of the i-th by at most `per_rows[i]`."""
        if self.delta == 0:
            return tuple(self._laplace(one, self.epsilon / len(per_rows)) for one in per_rows)
        sums = [Sums(dimensions, one * self.max_rows, one) for one in per_rows]
        return gaussian(sums, self.epsilon, self.delta).noises

    def _laplace(self, per_row: int, epsilon: float) -> Noise:
        try:
            return laplace(per_row * self.max_rows, per_row, epsilon)
        except UsageError:
            raise UsageError(
                f"noise for epsilon {self.epsilon:g} and {self.max_rows:,} rows of a unit does not fit into "
                "64-bit integers, and hides every figure: give more epsilon, or count fewer rows of a unit"
            ) from None

    def spend(self, charge: Charge | None, cost: Cost | None = None) -> Cost:
        """Charge, where there is an account to charge; to be called before a value is read."""
        cost = self.cost if cost is None else cost
        if charge is not None:
            charge(cost)
        return cost


def require_one_each(
    records: Any, *, unit: Any = None, where: Any = None, frame: bool = False, named: bool = False
) -> None:
    """Refuse ids and conditions that do not belong to these records, before anything is charged.

    Only lengths, shapes and stored types are looked at; of a lazy frame, whose length only its rows tell, no
    length.

    Args:
        records: whose figures are asked for: one value each, or a `frame` of any columns.
        unit, where: as `count` takes them.
        named: whether `unit` may also be the name of a column, which the caller has looked for.

    Raises:
        UsageError: for what is not one value per record; for another number of ids or conditions than records
            (private: it goes to the holder); for a condition of a stored type that is not true and false.
    """
    unit = None if named and isinstance(unit, str) else unit
    given = {"where=": where, "unit=": unit}
    checked = [(what, one) for what, one in given.items() if one is not None]
    for what, one in checked if frame else [("the values", records), *checked]:
        fault = column_fault(one)
        if fault is not None:
            raise UsageError(f"{what}: {fault}")
    if where is not None and stored_as(where) not in (Stored.truth, Stored.other):
        raise UsageError(f"where= is true or false for each record, not stored as {stored_as(where)}")
    rows = rows_known(records)
    if rows is None:
        return
    if where is not None and rows_known(where) not in (None, rows):
        raise UsageError(
            f"where= is true or false for each of {rows} records, and there are {rows_known(where)}",
            private=True,
        )
    if unit is not None and rows_known(unit) not in (None, rows):
        raise UsageError(
            f"there are {rows} records and {rows_known(unit)} ids in unit=: one each is needed", private=True
        )


def kept_rows(persons: Any, records: int, max_rows: int) -> NDArray[np.bool_]:
    """(records,) whether a row counts: the first `max_rows` of each person. No noise.

    Which rows of a person count depends on that person's rows alone. A row without an id counts nowhere: rows
    of several people without one would take each other's places. Without ids at all, every row counts.

    Raises:
        UsageError: for another number of ids than records.
    """
    if persons is None:
        return np.ones(records, dtype=np.bool_)
    ids = one_dimension(persons, "unit")
    if len(ids) != records:
        raise UsageError(
            f"there are {records} records and {len(ids)} ids in unit=: one each is needed", private=True
        )
    number, missing = numbered(ids)
    return first_rows(np.where(missing, -1, number), max_rows)


def reach(noise: Noise, coverage: float = COVERAGE) -> float:
    """How far noise goes at most with that probability, either way, in the sums' own whole numbers."""
    return noise.within(coverage)
