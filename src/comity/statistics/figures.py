"""Counts, sums and means with noise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.data.declaration import Charge
from comity.data.declared import collected, is_lazy, one_dimension, rows_known
from comity.data.stored import require_numbers, stored_as
from comity.data.value import level_text
from comity.errors import UsageError
from comity.ledger import Cost, Relation
from comity.mechanism import MOST_RECORDS, Noise
from comity.statistics.result import Statistic
from comity.statistics.sums import Bounded, bounded_sum
from comity.statistics.terms import Terms, kept_rows, reach, require_one_each


def count(
    records: Any,
    *,
    epsilon: float,
    delta: float = 0.0,
    where: Any = None,
    unit: Any = None,
    max_rows: int = 1,
    charge: Charge | None = None,
) -> Statistic:
    """How many records there are, with noise.

    Args:
        records: a frame, a column or an array.
        epsilon, delta: of this figure; delta 0 takes Laplace noise.
        where: (records,) true where a record counts.
        unit: (records,) ids: the guarantee is for a person's rows together, of which `max_rows` count.
        max_rows: how many rows of one person count.
        charge: called with the cost before the records are read; what it raises ends the call.

    Raises:
        UsageError: for arguments out of range.
    """
    terms = Terms.checked(epsilon, delta, unit, max_rows)
    noise = terms.noise(1, 1)
    wide = reach(noise)
    require_records(records)
    require_one_each(records, unit=unit, where=where, frame=True)
    cost = terms.spend(charge)
    kept = kept_rows(unit, rows_of(records), terms.max_rows)
    if where is not None:
        kept = kept & truth(where, len(kept))
    value = _answer(noise, int(kept.sum()))
    return Statistic("count", value, value - wide, value + wide, cost)


def sum(
    values: Any,
    *,
    bounds: tuple[float, float],
    epsilon: float,
    delta: float = 0.0,
    unit: Any = None,
    max_rows: int = 1,
    charge: Charge | None = None,
) -> Statistic:
    """The sum of values held at public bounds, with noise; missing values add nothing.

    The noise is as wide as the bound furthest from 0: for a mean, `mean` takes less.

    Args:
        values: (records,) numbers.
        bounds: (low, high), public.
        epsilon, delta, unit, max_rows, charge: as `count`.

    Raises:
        UsageError: for arguments out of range, without bounds, and for values stored as text or dates.
    """
    terms, bounded = Terms.checked(epsilon, delta, unit, max_rows), Bounded.around(bounds, 0.0)
    noise = terms.noise(1, bounded.per_row)
    wide = reach(noise) / bounded.grid.unit
    require_one_each(values, unit=unit)
    require_numbers(stored_as(values), "the values are")
    cost = terms.spend(charge)
    values = collected(values)
    kept = kept_rows(unit, rows_of(values), terms.max_rows)
    value = _answer(noise, bounded_sum(values, kept, bounded)[0]) / bounded.grid.unit
    return Statistic("sum", value, value - wide, value + wide, cost)


def mean(
    values: Any,
    *,
    bounds: tuple[float, float],
    epsilon: float,
    delta: float = 0.0,
    records: int | None = None,
    unit: Any = None,
    max_rows: int = 1,
    charge: Charge | None = None,
) -> Statistic:
    """The mean of values held at public bounds, with noise; missing values are left out.

    A noisy sum around the middle of the bounds over a noisy number: half of epsilon each (delta 0), or noise
    of the same privacy for both. With `records` the number is public: all goes to the sum, a missing value
    counts as the middle, and the guarantee is for one record that changes.

    Args:
        values: (records,) numbers.
        bounds: (low, high), public.
        records: how many there are, if that is public.
        epsilon, delta, unit, max_rows, charge: as `count`; with `records` the unit is a record.

    Raises:
        UsageError: for arguments out of range, without bounds, for values stored as text or dates, and if
            `records` is not how many there are.
    """
    relation = Relation.add_remove if records is None else Relation.change_one
    terms = Terms.checked(epsilon, delta, unit, max_rows, relation=relation)
    bounded = Bounded.around(bounds)
    require_one_each(values, unit=unit)
    require_numbers(stored_as(values), "the values are")
    if records is not None:
        return _mean_of_known(values, bounded, records, unit, terms, charge)
    of_sum, of_number = terms.noises((bounded.per_row, 1))
    # both noises at once: each within its own reach with half of what may lie outside
    wide, least = (reach(of_sum, 0.975) / bounded.grid.unit, reach(of_number, 0.975)), of_number.deviation
    cost = terms.spend(charge)
    values = collected(values)
    kept = kept_rows(unit, rows_of(values), terms.max_rows)
    exact, exact_number = bounded_sum(values, kept, bounded)
    total, number = _answer(of_sum, exact) / bounded.grid.unit, _answer(of_number, exact_number)
    low, high = ratio_range(total, wide[0], number, wide[1], (bounded.high - bounded.low) / 2)
    # a number that noise may have made is no denominator
    value = bounded.origin + total / max(number, least, 1.0)
    return _held("mean", value, bounded.origin + low, bounded.origin + high, bounded, cost)


def ratio_range(
    total: float, total_wide: float, number: float, number_wide: float, most: float
) -> tuple[float, float]:
    """Within what a ratio lies if total and number each lie within their width; at most `most` either way.

    A number that may be 0 says nothing of the ratio.
    """
    least = number - number_wide
    if least < 1:
        return -most, most
    corners = [
        (total + side * total_wide) / below for side in (-1, 1) for below in (least, number + number_wide)
    ]
    return max(min(corners), -most), min(max(corners), most)


def require_records(records: Any) -> None:
    """Refuse what is no frame, column or array, before anything is charged.

    Raises:
        UsageError: for single values, words and mappings, of which it is not clear what a record would be.
    """
    kinds = str | bytes | Mapping | set | frozenset
    counted = hasattr(records, "__len__") or hasattr(records, "__array__") or is_lazy(records)
    if isinstance(records, kinds) or getattr(records, "ndim", 1) == 0 or not counted:
        raise UsageError(
            f"records are a frame, a column or an array, not {type(records).__name__}: what one record of it "
            "would be is not clear"
        )


def rows_of(records: Any) -> int:
    """How many records a frame, a column or an array has; private unless the caller says otherwise.

    Raises:
        UsageError: private, for 2^31 or more, which sums have no room for.
    """
    records = collected(records)
    rows = rows_known(records)
    rows = len(np.asarray(records)) if rows is None else rows
    if rows >= MOST_RECORDS:
        raise UsageError("statistics are of fewer than 2^31 records at once", private=True)
    return int(rows)


def truth(where: Any, records: int) -> NDArray[np.bool_]:
    """(records,) booleans; missing ones are false.

    Raises:
        UsageError: for another number of them, or another kind.
    """
    array = one_dimension(where, "where")
    if array.dtype.kind == "O":
        # each by itself: among objects, the number 1 is true as well
        said = [not isinstance(one, str) and level_text(one) in ("True", "1") for one in array.tolist()]
        array = np.array(said, dtype=np.bool_)
    if array.dtype.kind != "b" or len(array) != records:
        raise UsageError(f"where= is true or false for each of {records} records", private=True)
    return array


def _mean_of_known(
    values: Any, bounded: Bounded, records: int, unit: Any, terms: Terms, charge: Charge | None
) -> Statistic:
    """A mean of a public number of records, any of which may change."""
    if unit is not None:
        raise UsageError("with a public number of records the unit is a record: leave out unit=")
    if not isinstance(records, int | np.integer) or isinstance(records, bool) or records < 1:
        raise UsageError(
            f"records= is how many values there are, a whole number of 1 or more, not {records!r}"
        )
    noise = terms.noise(1, 2 * bounded.per_row)
    wide = reach(noise) / bounded.grid.unit / int(records)
    _require_as_many(rows_known(values), records)
    cost = terms.spend(charge)
    values = collected(values)
    given = rows_of(values)
    _require_as_many(given, records)
    exact, _ = bounded_sum(values, np.ones(given, dtype=np.bool_), bounded)
    value = bounded.origin + _answer(noise, exact) / bounded.grid.unit / given
    return _held("mean", value, value - wide, value + wide, bounded, cost)


def _require_as_many(given: int | None, records: int) -> None:
    """Of a lazy frame, whose rows nobody knows yet, nothing."""
    if given is not None and given != records:
        raise UsageError(
            f"records= is how many values there are, as a public fact: {given}, not {records!r}", private=True
        )


def _held(name: str, value: float, low: float, high: float, bounded: Bounded, cost: Cost) -> Statistic:
    """A figure that lies within the bounds, and so may be held there."""

    def held(one: float) -> float:
        return min(max(one, bounded.low), bounded.high)

    return Statistic(name, held(value), held(low), held(high), cost)


def _answer(noise: Noise, exact: int) -> float:
    value = float(noise.answer(np.array([exact], dtype=np.int64))[0])
    return value if math.isfinite(value) else 0.0
