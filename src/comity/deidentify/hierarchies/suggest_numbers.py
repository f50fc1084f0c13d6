"""Proposed hierarchies of numbers: round intervals, or cuts at round quantiles with coded ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from comity.data.bins import quantile_edges
from comity.deidentify.hierarchies.builders import flat
from comity.deidentify.hierarchies.hierarchy import Hierarchy
from comity.deidentify.hierarchies.numbers import intervals
from comity.deidentify.hierarchies.reading import number_word

INTERVALS = 20
"""The finest level has about this many intervals."""

GROUPS = 8
"""A skewed number is cut into about this many groups of equal weight."""

TAIL = 3.0
"""A number is skewed if it reaches further than this many times the width of its middle 90%."""

MOST_SINGLE = 10_000
"""A wider range of a skewed whole number is held in bins instead of single values."""


@dataclass(frozen=True)
class Proposal:
    """A hierarchy with the reason in words, and whether bounds or levels in it were read off the data."""

    hierarchy: Hierarchy
    reason: str
    reads_data: bool


def within_bounds(low: float, high: float, whole: bool) -> Proposal:
    """Round widths between public bounds."""
    if low == high:
        return Proposal(flat([number_word(low)]), "one value only, by its public bounds", False)
    if whole and high - low < 3:
        values = range(math.ceil(low), math.floor(high) + 1)
        return Proposal(flat(values), "few values between its public bounds", False)
    widths = _widths(high - low, whole)
    tree = intervals(low, high, widths=widths, integer=whole)
    return Proposal(tree, f"intervals of {_words(widths)} between its public bounds", False)


def from_numbers(values: Sequence[float], counts: Sequence[int]) -> Proposal:
    """Round bounds and widths for an even spread, quantiles and coded ends for a skewed one.

    Args:
        values: distinct and finite.
        counts: how often each occurs.
    """
    numbers, times = np.array(values, dtype=np.float64), np.array(counts, dtype=np.int64)
    order = np.argsort(numbers)
    numbers, times = numbers[order], times[order]
    whole = bool(np.all(numbers == np.floor(numbers)))
    low, high = float(numbers[0]), float(numbers[-1])
    if len(numbers) <= 2 or (whole and high - low < 3):
        listed = [int(number) if whole else float(number) for number in numbers]
        return Proposal(flat(listed), f"{len(numbers)} values in all", True)
    middle = _quantiles(numbers, times, (0.05, 0.5, 0.95))
    spread = middle[2] - middle[0]
    long_above = high - middle[2] > (TAIL - 1) / 2 * spread
    long_below = middle[0] - low > (TAIL - 1) / 2 * spread
    if long_above or long_below or _in_one_place(numbers, times):
        skewed = _skewed(numbers, times, whole, long_above, long_below)
        if skewed is not None:
            return skewed
    return _even(low, high, whole)


def _even(low: float, high: float, whole: bool) -> Proposal:
    widths = _widths(high - low, whole)
    step = widths[min(1, len(widths) - 1)]
    start, stop = math.floor(low / step), math.floor(high / step) + 1
    bounds = _tidy(start * step), _tidy(stop * step)
    if whole:
        bounds = bounds[0], bounds[1] - 1
    tree = intervals(*bounds, widths=widths, integer=whole)
    reason = (
        f"spread evenly: intervals of {_words(widths)}, between the round bounds "
        f"{number_word(bounds[0])} and {number_word(bounds[1])}"
    )
    return Proposal(tree, reason, True)


def _skewed(
    numbers: NDArray[np.float64], times: NDArray[np.int64], whole: bool, above: bool, below: bool
) -> Proposal | None:
    """Cuts at quantiles, rounded; the ends that reach far are coded. None if nothing is left to cut."""
    ends = _quantiles(numbers, times, (0.02, 0.98))
    low, high = float(numbers[0]), float(numbers[-1])
    bottom = _rounded(ends[0], whole) if below else None
    top = _rounded(ends[1], whole) if above else None
    start = _down(low, whole) if bottom is None else bottom
    stop = _up(high, whole) if top is None else top
    if start >= stop:
        return None
    edges = quantile_edges(np.repeat(numbers, times), GROUPS, max(1, int(times.sum()) // (4 * GROUPS)))
    inner = sorted({_rounded(edge, whole) for edge in edges})
    if whole and times[0] * GROUPS >= times.sum():  # a heavy lowest value, often 0, stands alone
        inner = [low + 1, *(cut for cut in inner if cut > edges[0])] if edges else [low + 1]
    cuts = [cut for cut in inner if start < cut < stop]
    if not cuts:
        return None
    levels = [cuts]
    while len(levels[-1]) > 2:
        levels.append(levels[-1][1::2])
    single = whole and stop - start <= MOST_SINGLE
    tree = intervals(start, stop, cuts=levels, bottom=bottom, top=top, integer=single)
    coded = [f"at or below {number_word(bottom)}"] if bottom is not None else []
    coded += [f"at or above {number_word(top)}"] if top is not None else []
    reason = f"skewed: cut at rounded quantiles {', '.join(map(number_word, cuts))}"
    reason += f"; what lies {' and '.join(coded)} is one group" if coded else ""
    return Proposal(tree, reason, True)


def _in_one_place(numbers: NDArray[np.float64], times: NDArray[np.int64]) -> bool:
    """Whether half of the rows are in one of 16 equal intervals, and there is more to tell apart."""
    if len(numbers) <= 16:
        return False
    places = np.minimum(((numbers - numbers[0]) / (numbers[-1] - numbers[0]) * 16).astype(np.int64), 15)
    return bool(np.bincount(places, weights=times).max() > 0.5 * times.sum())


def _quantiles(
    numbers: NDArray[np.float64], times: NDArray[np.int64], shares: Sequence[float]
) -> list[float]:
    reached = np.cumsum(times) / times.sum()
    return [float(numbers[min(int(np.searchsorted(reached, share)), len(numbers) - 1)]) for share in shares]


def _widths(span: float, whole: bool) -> list[float]:
    """A round width (1, 2 or 5 times a power of ten), doubled until two intervals are left."""
    aim = span / INTERVALS
    power = math.floor(math.log10(aim))
    round_ones = [base * 10.0**exponent for exponent in (power, power + 1) for base in (1, 2, 5)]
    first = min(round_ones, key=lambda width: abs(math.log(width / aim)))
    if whole:
        first = max(2.0, round(first))
    widths = [_tidy(first)]
    while widths[-1] * 4 <= span + whole:
        widths.append(_tidy(widths[-1] * 2))
    return widths


def _rounded(number: float, whole: bool) -> float:
    """To two significant digits."""
    if number == 0:
        return 0.0
    digits = 1 - math.floor(math.log10(abs(number)))
    return float(round(number, min(digits, 0) if whole else digits))


def _step(number: float, whole: bool) -> float:
    """The place of the second significant digit; 1 at least for whole numbers."""
    if number == 0:
        return 1.0
    step = 10.0 ** (math.floor(math.log10(abs(number))) - 1)
    return max(1.0, step) if whole else step


def _down(number: float, whole: bool) -> float:
    step = _step(number, whole)
    found = _tidy(math.floor(number / step) * step)
    return found if found <= number else number


def _up(number: float, whole: bool) -> float:
    step = _step(number, whole)
    found = _tidy(math.ceil(number / step) * step)
    return found if found >= number else number


def _tidy(number: float) -> float:
    """Without what binary rounding left behind: 0.30000000000000004 is 0.3."""
    return number if float(number).is_integer() else float(f"{number:.12g}")


def _words(widths: Sequence[float]) -> str:
    return ", ".join(number_word(width) for width in widths)
