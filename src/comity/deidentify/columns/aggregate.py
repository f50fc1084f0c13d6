"""Aggregates of a column within given classes: mean, median, mode, interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.deidentify.hierarchies.reading import number_word
from comity.errors import UsageError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

AGGREGATES: Final = ("mean", "median", "mode", "interval")


@dataclass(frozen=True)
class Aggregated:
    """A column after aggregation within classes.

    Attributes:
        values: (rows,) floats, NaN where nothing is known; texts and None for "interval" and for texts.
        within: sum of squares within classes, of the numbers as they are; NaN for texts.
    """

    values: NDArray[Any]
    within: float


def aggregate_within(classes: NDArray[np.integer], values: Sequence[Any], how: str = "mean") -> Aggregated:
    """Replace a column by its mean, median, mode or interval in each given equivalence class.

    What is aggregated is told: the mean of a *sensitive* column over a class says much about each of its k
    people, and of all values but one it gives that one away; an interval shows two actual values. It is meant
    for quasi-identifiers, after the classes were formed.

    Args:
        classes: (rows,) whole numbers; rows of class -1 (suppressed) become missing.
        values: (rows,) numbers, None or NaN where missing, or texts for "mode".
        how: "mean", "median" (of an even number, the middle two's mean), "mode" (the least of the most
            frequent) or "interval" ("[18, 25]"); missing values do not count.

    Raises:
        UsageError: for another `how`, other lengths, or texts where numbers are needed.
    """
    if how not in AGGREGATES or len(classes) != len(values):
        raise UsageError(
            f"how is {how!r} (one of {', '.join(AGGREGATES)}), "
            f"for {len(classes)} classes and {len(values)} values"
        )
    ids = np.asarray(classes, dtype=np.int64)
    if any(isinstance(value, str) for value in values):
        if how != "mode":
            raise UsageError(f"a column of texts has no {how}; use how='mode'")
        return Aggregated(modes_of(ids, np.array(list(values), dtype=object)), float("nan"))
    numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    counted = (ids >= 0) & ~np.isnan(numbers)
    number = int(ids.max()) + 1 if len(ids) else 0
    at, seen = ids[counted], numbers[counted]
    sizes = np.bincount(at, minlength=number)
    if how == "interval":
        low, high = np.full(number, np.inf), np.full(number, -np.inf)
        np.minimum.at(low, at, seen)
        np.maximum.at(high, at, seen)
        texts = [
            f"[{number_word(a)}, {number_word(b)}]" if s else None
            for a, b, s in zip(low.tolist(), high.tolist(), sizes, strict=True)
        ]
        table = np.array([*texts, None], dtype=object)
        means = np.where(
            sizes > 0, (np.where(sizes > 0, low, 0.0) + np.where(sizes > 0, high, 0.0)) / 2, np.nan
        )
    elif how == "mode":
        modes = modes_of(ids, _objects(numbers))
        result = np.array([np.nan if value is None else value for value in modes], dtype=np.float64)
        return Aggregated(result, float(np.nansum((result - numbers) ** 2)))
    else:
        means = means_of(at, seen, sizes) if how == "mean" else medians_of(at, seen, sizes)
        table = np.append(means, np.nan)
    return Aggregated(table[ids], float(((seen - means[at]) ** 2).sum()))


def means_of(at: Integers, values: Floats, sizes: Integers) -> Floats:
    """(classes,) means of (n,) values by their class; NaN for a class without one."""
    centre = values.mean() if len(values) else 0.0
    sums = np.bincount(at, weights=values - centre, minlength=len(sizes))
    with np.errstate(divide="ignore", invalid="ignore"):
        return centre + sums / sizes


def medians_of(at: Integers, values: Floats, sizes: Integers, *, lower: bool = False) -> Floats:
    """(classes,) medians; of an even number the lower of the middle two, or their mean."""
    ordered = values[np.lexsort((values, at))]
    start = np.cumsum(sizes) - sizes
    found = np.full(len(sizes), np.nan)
    full = sizes > 0
    one = ordered[(start + (sizes - 1) // 2)[full]]
    other = one if lower else ordered[(start + sizes // 2)[full]]
    found[full] = (one + other) / 2
    return found


def _objects(numbers: Floats) -> NDArray[Any]:
    known = numbers.astype(object)
    known[np.isnan(numbers)] = None
    return known


def modes_of(at: Integers, values: NDArray[Any]) -> NDArray[Any]:
    """(rows,) most frequent known value of each row's class, the least of several; None without one."""
    known = np.array([value is not None for value in values], dtype=bool) & (at >= 0)
    levels = sorted(set(values[known].tolist()))
    place = {level: code for code, level in enumerate(levels)}
    codes = np.array([place[value] for value in values[known]], dtype=np.int64)
    number = int(at.max()) + 1 if len(at) else 0
    pairs, counts = np.unique(at[known] * max(1, len(levels)) + codes, return_counts=True)
    best = np.full(number + 1, -1, dtype=np.int64)
    order = np.lexsort((-pairs, counts))  # the last write wins: the highest count, then the least value
    best[pairs[order] // max(1, len(levels))] = pairs[order] % max(1, len(levels))
    lookup = np.array([*levels, None], dtype=object)
    best[-1] = len(levels)
    best[best < 0] = len(levels)
    return lookup[best[at]]
