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

from comity.data.declaration import Charge, checked_bounds, checked_levels
from comity.data.declared import collected, column_names, declared_codes, declared_column
from comity.data.stored import columns_stored_as, require_levels, require_numbers, stored_as
from comity.data.table import no_such_column
from comity.errors import BadTable, UsageError
from comity.statistics.figures import ratio_range
from comity.statistics.result import Statistics
from comity.statistics.sums import (
    Bounded,
    bin_codes,
    counts_by_code,
    floats_of,
    sums_by_code,
)
from comity.statistics.terms import Floats, Integers, Terms, kept_rows, reach, require_one_each

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
        bins: how many of equal width; or their edges, which then are the bounds as well.
        categories: the levels; records with another one, or a missing value, are counted nowhere.
        epsilon, delta, unit, max_rows, charge: as `count`.

    Returns:
        By (low, high) of a bin, or by level as given. Counts may be below 0: that keeps their sums unbiased.

    Raises:
        UsageError: for arguments out of range, without bounds or categories, and for values stored as text or
            dates where bounds were given, or as another kind than the categories.
    """
    terms = Terms.checked(epsilon, delta, unit, max_rows)
    edges = None if categories is not None else _edges(bounds, bins)
    if edges is None:
        if bounds is not None:
            raise UsageError("a histogram is by bounds= and bins=, or by categories=, not by both")
        keys = checked_levels(categories, "categories")
    else:
        keys = tuple(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    noise = terms.noise(len(keys), 1)
    wide = reach(noise)
    require_one_each(values, unit=unit)
    if edges is None:
        require_levels(values, keys, "the values are")
    else:
        require_numbers(stored_as(values), "the values are")
    cost = terms.spend(charge)
    values = collected(values)
    codes = bin_codes(values, edges) if edges is not None else declared_codes(values, keys, "values")
    kept = kept_rows(unit, len(codes), terms.max_rows)
    noisy = noise.answer(counts_by_code(codes, kept, len(keys)))
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
        By level as given, or by a tuple of levels in the order of `by`.
    """
    terms, keys = Terms.checked(epsilon, delta, unit, max_rows), _keys(by)
    _require_columns(frame, *by, unit=unit)
    require_one_each(frame, unit=unit, frame=True, named=True)
    noise = terms.noise(len(keys), 1)
    wide = reach(noise)
    cost = terms.spend(charge)
    frame = collected(frame)
    codes = _codes(frame, by)
    kept = kept_rows(_ids(frame, unit), len(codes), terms.max_rows)
    noisy = noise.answer(counts_by_code(codes, kept, len(keys)))
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
    require_one_each(frame, unit=unit, frame=True, named=True)
    bounded = Bounded.around(bounds, 0.0)
    noise = terms.noise(len(keys), bounded.per_row)
    wide = reach(noise) / bounded.grid.unit
    cost = terms.spend(charge)
    frame = collected(frame)
    units, kept = _units(frame, value, bounded, unit, terms)
    exact = sums_by_code(_codes(frame, by), units, kept, len(keys))
    noisy = noise.answer(exact) / bounded.grid.unit
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
    require_one_each(frame, unit=unit, frame=True, named=True)
    bounded = Bounded.around(bounds)
    of_sums, of_counts = terms.noises((bounded.per_row, 1), len(keys))
    wide, wide_count = reach(of_sums, 0.975) / bounded.grid.unit, reach(of_counts, 0.975)
    least = max(of_counts.deviation, 1.0)
    cost = terms.spend(charge)
    frame = collected(frame)
    units, kept = _units(frame, value, bounded, unit, terms)
    codes = _codes(frame, by)
    totals = of_sums.answer(sums_by_code(codes, units, kept, len(keys))) / bounded.grid.unit
    counts = of_counts.answer(counts_by_code(codes, kept, len(keys)))
    most = (bounded.high - bounded.low) / 2
    ranges = [
        ratio_range(total, wide, number, wide_count, most)
        for total, number in zip(totals.tolist(), counts.tolist(), strict=True)
    ]
    ends = np.clip(bounded.origin + np.array(ranges), bounded.low, bounded.high)
    means = np.clip(bounded.origin + totals / np.maximum(counts, least), bounded.low, bounded.high)
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
    units, known = bounded.whole(declared_column(frame, value))
    return units, known & kept_rows(_ids(frame, unit), len(units), terms.max_rows)


def _codes(frame: Any, by: Mapping[str, Sequence[Any]]) -> Integers:
    """(n,) the group of each record, -1 in none."""
    codes: Integers | None = None
    for name, given in by.items():
        levels = checked_levels(given, name)
        own = declared_codes(declared_column(frame, name), levels, f"column {name}")
        codes = own if codes is None else np.where((codes < 0) | (own < 0), -1, codes * len(levels) + own)
    return np.zeros(0, dtype=np.int64) if codes is None else codes


def _ids(frame: Any, unit: Any) -> Any:
    """Ids as given, or as the frame's column of that name."""
    return declared_column(frame, unit) if isinstance(unit, str) else unit


def _keys(by: Mapping[str, Sequence[Any]]) -> tuple[Any, ...]:
    if not isinstance(by, Mapping) or not by:
        raise UsageError("by= declares the groups, {column: [levels]}, from public facts: a group that is "
                         "found in the data tells that somebody is in it")  # fmt: skip
    levels = [checked_levels(one, name) for name, one in by.items()]
    if prod(len(one) for one in levels) > MOST_GROUPS:
        raise UsageError(f"by= makes more than {MOST_GROUPS:,} groups: declare fewer levels")
    return levels[0] if len(levels) == 1 else tuple(product(*levels))


def _edges(bounds: Any, bins: int | Sequence[float]) -> Floats:
    if isinstance(bins, int | np.integer) and not isinstance(bins, bool):
        if not 1 <= bins <= MOST_GROUPS:
            raise UsageError(f"bins is a whole number from 1 to {MOST_GROUPS:,}, or the edges, not {bins}")
        low, high = checked_bounds(bounds)
        edges = np.linspace(low, high, int(bins) + 1)
        if (np.diff(edges) <= 0).any():
            raise UsageError(f"{bins:,} bins between {low:g} and {high:g} are too narrow: take fewer")
        return edges
    if bounds is not None:
        raise UsageError("the edges of bins are their bounds: pass the edges as bins= and leave out bounds=")
    edges = floats_of(bins, "bins is a whole number, or the edges, which are numbers in ascending order")
    if edges.ndim != 1 or len(edges) < 2 or not np.isfinite(edges).all() or (np.diff(edges) <= 0).any():
        raise UsageError("edges of bins are two or more finite numbers in ascending order")
    return edges
