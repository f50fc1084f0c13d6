"""Histograms, and counts, sums and means by group, with noise. Bins and groups are declared, never found.

A row is in one bin or group, so all figures together cost what one of them costs; with `unit`, one person's
rows may all be in the same one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np

from comity.data.declared import column_names, declared_codes, declared_table, level_text
from comity.data.stored import columns_stored_as, require_levels, require_numbers, stored_as
from comity.data.table import no_such_column
from comity.errors import BadTable, UsageError
from comity.statistics.figures import ratio_range, rows_of
from comity.statistics.result import Statistics
from comity.statistics.sums import (
    Bounded,
    bin_codes,
    checked_bounds,
    counts_by_code,
    floats_of,
    sums_by_code,
)
from comity.statistics.terms import Charge, Floats, Integers, Terms, kept_rows, reach, require_one_each

MOST_GROUPS = 1_000_000


def histogram(
    values: Any,
    *,
    epsilon: float,
    delta: float = 0.0,
    bounds: tuple[float, float] | None = None,
    bins: int | Sequence[float] = 10,
    categories: Sequence[Any] | None = None,
    unit: Any = None,
    max_rows: int = 1,
    charge: Charge | None = None,
) -> Statistics:
    """How many records are in each bin, or have each level, with noise.

    Args:
        values: (records,) numbers, or levels with `categories`.
        bounds: (low, high) of numbers, public; values beyond are in the outer bins.
        bins: how many of equal width, or their edges.
        categories: the levels; records with another one, or a missing value, are counted nowhere.
        epsilon, delta, unit, max_rows, charge: as `count`.

    Returns:
        By (low, high) of a bin, or by level. Counts may be below 0: that keeps their sums unbiased.

    Raises:
        UsageError: for arguments out of range, without bounds or categories, and for values stored as text or
            dates where bounds were given, or as another kind than the categories.
    """
    terms = Terms.checked(epsilon, delta, unit, max_rows)
    if (categories is None) == (bounds is None and not isinstance(bins, Sequence | np.ndarray)):
        if categories is None:
            checked_bounds(None)
        raise UsageError("a histogram is by bounds= and bins=, or by categories=, not by both")
    keys: tuple[Any, ...]
    edges: Floats | None = None
    if categories is None:
        edges = _edges(bounds, bins)
        keys = tuple(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    else:
        keys = _levels(categories, "categories")
    noise = terms.noise(len(keys), 1)
    levels = keys if categories is None else list(categories)
    if categories is None:
        require_numbers(stored_as(values), "the values are")
    else:
        require_levels(values, levels, "the values are")
    require_one_each(values, unit=unit)
    cost = terms.spend(charge)
    codes = bin_codes(values, edges) if edges is not None else declared_codes(values, levels, "values")
    kept = kept_rows(unit, rows_of(values), terms.max_rows)
    noisy = noise.answer(counts_by_code(codes, kept, len(keys)))
    wide = reach(noise)
    return Statistics("count of", keys, noisy, noisy - wide, noisy + wide, cost)


def group_counts(
    frame: Any,
    by: Mapping[str, Sequence[Any]],
    *,
    epsilon: float,
    delta: float = 0.0,
    unit: Any = None,
    max_rows: int = 1,
    charge: Charge | None = None,
) -> Statistics:
    """How many records each group has, with noise.

    Args:
        frame: anything narwhals reads.
        by: {column: [levels]}, declared: a group is one level of each; others are counted nowhere.
        epsilon, delta, max_rows, charge: as `count`.
        unit: (records,) ids, or the name of the frame's column with them.

    Returns:
        By level, or by a tuple of levels in the order of `by`.
    """
    terms, keys = Terms.checked(epsilon, delta, unit, max_rows), _keys(by)
    _require_columns(frame, *by, unit=unit)
    require_one_each(frame, unit=unit)
    noise = terms.noise(len(keys), 1)
    cost = terms.spend(charge)
    codes, kept = _codes(frame, by), kept_rows(_column(frame, unit), rows_of(frame), terms.max_rows)
    noisy = noise.answer(counts_by_code(codes, kept, len(keys)))
    wide = reach(noise)
    return Statistics("count of", keys, noisy, noisy - wide, noisy + wide, cost)


def group_sums(
    frame: Any,
    by: Mapping[str, Sequence[Any]],
    value: str,
    *,
    bounds: tuple[float, float],
    epsilon: float,
    delta: float = 0.0,
    unit: Any = None,
    max_rows: int = 1,
    charge: Charge | None = None,
) -> Statistics:
    """The sum of a column in each group, values held at public bounds, with noise.

    Args:
        value: the name of the column that is summed.
        bounds: (low, high) of its values, public.
        frame, by, epsilon, delta, unit, max_rows, charge: as `group_counts`.
    """
    terms, keys = Terms.checked(epsilon, delta, unit, max_rows), _keys(by)
    _require_columns(frame, *by, value, unit=unit)
    _require_numbers(frame, value)
    require_one_each(frame, unit=unit)
    bounded = Bounded.around(bounds, 0.0)
    noise = terms.noise(len(keys), bounded.per_row)
    cost = terms.spend(charge)
    units, kept = _units(frame, value, bounded, unit, terms)
    exact = sums_by_code(_codes(frame, by), units, kept, len(keys))
    noisy = noise.answer(exact) / bounded.grid.unit
    wide = reach(noise) / bounded.grid.unit
    return Statistics(f"sum of {value} of", keys, noisy, noisy - wide, noisy + wide, cost)


def group_means(
    frame: Any,
    by: Mapping[str, Sequence[Any]],
    value: str,
    *,
    bounds: tuple[float, float],
    epsilon: float,
    delta: float = 0.0,
    unit: Any = None,
    max_rows: int = 1,
    charge: Charge | None = None,
) -> Statistics:
    """The mean of a column in each group, values held at public bounds, with noise.

    Half of the privacy goes to the groups' sums around the middle of the bounds, half to their counts. A
    group that may be empty, as far as the noise lets it be known, has an interval from bound to bound.

    Args:
        as `group_sums`.
    """
    terms, keys = Terms.checked(epsilon, delta, unit, max_rows), _keys(by)
    _require_columns(frame, *by, value, unit=unit)
    _require_numbers(frame, value)
    require_one_each(frame, unit=unit)
    bounded = Bounded.around(bounds)
    of_sums, of_counts = terms.noises((bounded.per_row, 1), len(keys))
    cost = terms.spend(charge)
    units, kept = _units(frame, value, bounded, unit, terms)
    codes = _codes(frame, by)
    totals = of_sums.answer(sums_by_code(codes, units, kept, len(keys))) / bounded.grid.unit
    counts = of_counts.answer(counts_by_code(codes, kept, len(keys)))
    wide, wide_count = reach(of_sums, 0.975) / bounded.grid.unit, reach(of_counts, 0.975)
    most = (bounded.high - bounded.low) / 2
    ranges = [
        ratio_range(total, wide, number, wide_count, most)
        for total, number in zip(totals.tolist(), counts.tolist(), strict=True)
    ]
    ends = np.clip(bounded.origin + np.array(ranges), bounded.low, bounded.high)
    means = np.clip(
        bounded.origin + totals / np.maximum(counts, max(of_counts.deviation, 1.0)), bounded.low, bounded.high
    )
    return Statistics(f"mean of {value} of", keys, means, ends[:, 0], ends[:, 1], cost)


def _require_columns(frame: Any, *names: str, unit: Any) -> None:
    """Which columns there are is public: a slip in a name is told before it has cost anything."""
    there = column_names(frame)
    for name in (*names, unit) if isinstance(unit, str) else names:
        if name not in there:
            raise BadTable(str(no_such_column(name, there, "the frame")), private=False)


def _require_numbers(frame: Any, value: str) -> None:
    """What a column is stored as is public: told before it has cost anything."""
    kind = columns_stored_as(frame).get(value)
    if kind is not None:
        require_numbers(kind, f"column {value} is")


def _units(frame: Any, value: str, bounded: Bounded, unit: Any, terms: Terms) -> tuple[Integers, Any]:
    numbers = declared_table(frame, {value: True}).numbers(value)
    units, known = bounded.whole(numbers)
    return units, known & kept_rows(_column(frame, unit), len(numbers), terms.max_rows)


def _codes(frame: Any, by: Mapping[str, Sequence[Any]]) -> Integers:
    """(n,) the group of each record, -1 in none."""
    table = declared_table(frame, dict.fromkeys(by, False))
    codes = np.zeros(table.rows, dtype=np.int64)
    for name, levels in by.items():
        place = {level: at for at, level in enumerate(_levels(levels, name))}
        found, distinct = table.levels(name)
        lookup = np.array([*(place.get(level, -1) for level in distinct), -1], dtype=np.int64)
        own = lookup[found]
        codes = np.where((codes < 0) | (own < 0), -1, codes * len(place) + own)
    return codes


def _column(frame: Any, unit: Any) -> Any:
    """Ids as given, or as the frame's column of that name."""
    if not isinstance(unit, str):
        return unit
    return np.array(declared_table(frame, {unit: False}).strings(unit), dtype=object)


def _keys(by: Mapping[str, Sequence[Any]]) -> tuple[Any, ...]:
    if not isinstance(by, Mapping) or not by:
        raise UsageError("by= declares the groups, {column: [levels]}, from public facts: a group that is "
                         "found in the data tells that somebody is in it")  # fmt: skip
    levels = [_levels(one, name) for name, one in by.items()]
    if prod(len(one) for one in levels) > MOST_GROUPS:
        raise UsageError(f"by= makes more than {MOST_GROUPS:,} groups: declare fewer levels")
    return levels[0] if len(levels) == 1 else tuple(product(*levels))


def _levels(given: Any, name: str) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Sequence | np.ndarray) or len(given) == 0:
        raise UsageError(f"the levels of {name} are a list of one or more values")
    levels = tuple(level_text(one) for one in given)
    if len(set(levels)) != len(levels):
        raise UsageError(f"the levels of {name} name one twice")
    return levels


def _edges(bounds: Any, bins: int | Sequence[float]) -> Floats:
    if isinstance(bins, int | np.integer) and not isinstance(bins, bool):
        if not 1 <= bins <= MOST_GROUPS:
            raise UsageError(f"bins is a whole number from 1 to {MOST_GROUPS:,}, or the edges, not {bins}")
        low, high = checked_bounds(bounds)
        return np.linspace(low, high, int(bins) + 1)
    edges = floats_of(bins, "bins is a whole number, or the edges, which are numbers in ascending order")
    if edges.ndim != 1 or len(edges) < 2 or not np.isfinite(edges).all() or (np.diff(edges) <= 0).any():
        raise UsageError("edges of bins are two or more finite numbers in ascending order")
    return edges
