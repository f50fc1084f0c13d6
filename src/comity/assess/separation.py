"""How well sets of columns tell rows apart, and the smallest sets that come near to a key.

Distinction and separation are those of Motwani and Xu (2007), "Efficient algorithms for masking and finding
quasi-identifiers", measured exactly, from the distinct tuples of the columns.

The work of one set follows the number T of distinct tuples. There are n(n-1)/2 pairs and n(n-1)(n-2)/6
triples of n columns, so all sets of up to s columns cost about n**s/s! times T. `MOST_VISITS` caps the
product; what was not measured for it is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb, prod
from typing import Any

from comity.assess.tuples import Tuples, distinction, separation, unique_share

NEAR_KEY = 0.9
"""Distinction from which on a set of columns is nearly a key."""

LARGEST_SHOWN = 3
LARGEST_NEAR_KEY = 6
MOST_VISITS = 100_000_000
"""Tuples looked at, over all sets; a few seconds of one core."""

MOST_SETS = 200_000
"""Sets considered, those ruled out without a look at the tuples included."""


@dataclass(frozen=True)
class ColumnSet:
    """A set of columns and how well it tells rows apart.

    Attributes:
        columns: in the table's order.
        classes: distinct tuples.
        distinction: distinct tuples / rows.
        separation: share of the pairs of rows that differ in one of the columns.
        uniques: share of the rows that no other row equals.
    """

    columns: tuple[str, ...]
    classes: int
    distinction: float
    separation: float
    uniques: float

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: the attributes by name."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {
            "columns": list(self.columns)
        }


@dataclass(frozen=True)
class Separation:
    """Column sets, and what was left out.

    Attributes:
        sets: every set of one, two and three columns that was measured, smaller ones first, and of the same
            size those of higher distinction first.
        near_keys: the minimal sets whose distinction is at least `threshold`: none of their columns can go.
        threshold: of the near-keys.
        complete: whether every set of up to `LARGEST_SHOWN` columns was measured, and every candidate of up
            to `LARGEST_NEAR_KEY` columns for a near-key.
        note: in words, what was not measured and why; "" if `complete`.
    """

    sets: tuple[ColumnSet, ...]
    near_keys: tuple[ColumnSet, ...]
    threshold: float
    complete: bool
    note: str

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: the attributes by name."""
        return {
            "sets": [each.to_dict() for each in self.sets],
            "near_keys": [each.to_dict() for each in self.near_keys],
            "threshold": self.threshold,
            "complete": self.complete,
            "note": self.note,
        }


def measure_set(tuples: Tuples, columns: tuple[str, ...]) -> ColumnSet:
    """Measure one set of columns."""
    sizes = tuples.sizes(columns)
    return ColumnSet(columns, len(sizes), distinction(sizes), separation(sizes), unique_share(sizes))


def column_sets(tuples: Tuples, *, threshold: float = NEAR_KEY, most_visits: int = MOST_VISITS) -> Separation:
    """Measure all small sets of columns, and find the minimal near-keys.

    A larger set has at least the distinction of a smaller one in it, so a set that holds a near-key is no
    candidate, and neither is one whose columns have too few values between them.

    Args:
        tuples: the distinct tuples of the columns to look at.
        threshold: the distinction of a near-key, in (0, 1].
        most_visits: cap on sets times tuples. The single columns are always measured.
    """
    measured: list[ColumnSet] = []
    keys: list[ColumnSet] = []
    note = ""
    considered = 0
    possible = distinction(tuples.counts) >= threshold
    for size in range(1, min(LARGEST_NEAR_KEY, len(tuples.names)) + 1):
        if note or (size > LARGEST_SHOWN and not possible):
            break
        for columns in combinations(tuples.names, size):
            considered += 1
            work = (len(measured) + 1) * len(tuples)
            if size > 1 and (work > most_visits or considered > MOST_SETS):
                note = _left_out(tuples, size, len(measured))
                break
            candidate = possible and _may_be_near_key(tuples, columns, keys, threshold)
            if size > LARGEST_SHOWN and not candidate:
                continue
            measured.append(measure_set(tuples, columns))
            if candidate and measured[-1].distinction >= threshold:
                keys.append(measured[-1])
    sets = sorted(
        (each for each in measured if len(each.columns) <= LARGEST_SHOWN),
        key=lambda each: (len(each.columns), -each.distinction, -each.separation),
    )
    return Separation(tuple(sets), tuple(keys), threshold, not note, note)


def _may_be_near_key(
    tuples: Tuples, columns: tuple[str, ...], keys: list[ColumnSet], threshold: float
) -> bool:
    """Whether a set can be a minimal near-key: enough values between its columns, no near-key inside."""
    if prod(tuples.width(name) for name in columns) < threshold * tuples.rows:
        return False
    return not any(set(key.columns) <= set(columns) for key in keys)


def _left_out(tuples: Tuples, size: int, measured: int) -> str:
    total = comb(len(tuples.names), size)
    return (
        f"{measured} sets of columns were measured, and sets of {size} only in part: there are {total:,} of "
        f"them over {len(tuples):,} distinct tuples; name fewer quasi-identifiers to see the rest"
    )
