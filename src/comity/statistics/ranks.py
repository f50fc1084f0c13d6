"""Quantiles on a public grid, by the exponential mechanism.

Smith 2011 and the exponential mechanism of McSherry and Talwar 2007: a candidate is drawn with a probability
that falls with how many records' ranks it is away from the quantile. Counts and ranks are whole numbers and
the draw is exact (`noise_choice`). The number of records is not needed, and so not paid for.

How far a candidate is away: with L records below it, E at it and G above, of n, the share q is there if
L <= q n <= L + E. With q = a / b the distance is max(0, (b - a) L - a (E + G), a G - (b - a) (L + E)) / b
records; b times it is a whole number, and one record more or less moves it by at most max(a, b - a).

Values are moved to the nearest candidate first, so that every rank is some candidate's. The ends of an
interval aim at ranks beyond the quantile's, by what the mechanism misses with probability 1/40 at most.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, Final

import numpy as np

from comity.data.declaration import Charge, checked_bounds, is_number
from comity.data.declared import collected, declared_numbers
from comity.data.stored import require_numbers, stored_as
from comity.errors import UsageError
from comity.ledger import composed, exponential
from comity.ledger.currency import NANO, exact, rounded_down
from comity.mechanism import MOST_RECORDS
from comity.noise import Integers
from comity.noise_choice import choose
from comity.statistics.result import Statistics
from comity.statistics.sums import floats_of
from comity.statistics.terms import Floats, Terms, kept_rows, require_one_each

_PARTS: Final = 1000
"""Shares are taken to a thousandth."""

MOST_CANDIDATES: Final = 100_000
_VALUE: Final = Fraction(1, 2)
"""Of epsilon, for the value; the rest is for the interval's two ends."""


def quantiles(
    values: Any,
    shares: Sequence[float] = (0.25, 0.5, 0.75),
    *,
    bounds: tuple[float, float],
    epsilon: float,
    grid: int | Sequence[float] = 1000,
    interval: bool = True,
    unit: Any = None,
    max_rows: int = 1,
    charge: Charge | None = None,
) -> Statistics:
    """Quantiles of values held at public bounds, each one of a public list of candidates.

    Epsilon is divided evenly between the shares; of each one's part, half pays for the value and half for the
    two ends of its interval.

    Args:
        values: (records,) numbers; missing ones are left out.
        shares: which quantiles, each from 0.001 to 0.999, to a thousandth.
        bounds: (low, high), public.
        epsilon: of all of them together; there is no delta.
        grid: into how many steps the bounds are cut; or the candidates themselves, ascending.
        interval: whether to pay for intervals; else they reach from bound to bound.
        unit, max_rows, charge: as `count`.

    Returns:
        By share. A value is a candidate that about that share of the records lies below; the interval holds,
        with 95%, a quantile of the values as they lie on the grid.

    Raises:
        UsageError: for arguments out of range, without bounds, and for values stored as text or dates.
    """
    terms = Terms.checked(epsilon, 0.0, unit, max_rows)
    low, high = checked_bounds(bounds)
    candidates = _candidates(low, high, grid)
    parts = _shares(shares)
    whole = exact(terms.epsilon, "epsilon") / len(parts)
    of_value = _floored(whole * _VALUE if interval else whole)
    of_end = _floored(whole * (1 - _VALUE) / 2)
    if min(of_value, of_end) == 0:
        raise UsageError("epsilon is too small to be divided so often: ask for fewer quantiles, or give more")
    prices = [of_value, of_end, of_end] if interval else [of_value]
    choices = [exponential(price, unit=terms.unit, relation=terms.relation) for price in prices]
    require_one_each(values, unit=unit)
    require_numbers(stored_as(values), "the values are")
    cost = terms.spend(charge, composed(choices).times(len(parts)))
    numbers = declared_numbers(collected(values), low, high, "values")
    kept = kept_rows(unit, len(numbers), terms.max_rows) & ~np.isnan(numbers)
    below, at_most = ranks(snapped(numbers[kept], candidates), candidates)
    told: list[tuple[float, float, float]] = []
    for part in parts:
        moved = max(part, _PARTS - part) * terms.max_rows
        value = choose(-distances(below, at_most, part), of_value / (2 * moved))
        ends = (low, high)
        if interval:
            ends = tuple(
                _end(below, at_most, part, of_end / (2 * moved), side, candidates) for side in (-1, 1)
            )
        told.append((float(candidates[value]), min(ends), max(ends)))
    figures, lows, highs = (np.array(column) for column in zip(*told, strict=True))
    keys = tuple(part / _PARTS for part in parts)
    return Statistics("quantile", keys, figures, lows, highs, cost)


def ranks(numbers: Floats, candidates: Floats) -> tuple[Integers, Integers]:
    """(candidates,) how many numbers lie below each, and how many below or at it; exact, no noise."""
    ordered = np.sort(numbers)
    below = np.searchsorted(ordered, candidates, side="left")
    at_most = np.searchsorted(ordered, candidates, side="right")
    # the last entry tells how many there are
    return np.append(below, len(ordered)).astype(np.int64), np.append(at_most, len(ordered)).astype(np.int64)


def distances(below: Integers, at_most: Integers, part: int, off: int = 0) -> Integers:
    """(candidates,) a thousand times how many ranks each is away from the quantile, moved by `off` of those.

    One record more or less moves each by at most max(part, 1000 - part).

    Args:
        below, at_most: as `ranks` gives them, the number of records last.
        part: the share in thousandths.
        off: by how much the rank aimed at differs from the quantile's own, in thousandths of a record.
    """
    aim = part * int(below[-1]) + off
    short, long = _PARTS * below[:-1] - aim, aim - _PARTS * at_most[:-1]
    return np.maximum(0, np.maximum(short, long)).astype(np.int64)


def snapped(numbers: Floats, candidates: Floats) -> Floats:
    """Each number moved to the nearest candidate, by itself."""
    middles = (candidates[:-1] + candidates[1:]) / 2
    return candidates[np.searchsorted(middles, numbers, side="right")]


def _end(
    below: Integers, at_most: Integers, part: int, rate: Fraction, side: int, candidates: Floats
) -> float:
    """One end of an interval (side -1 or 1): beyond the quantile's rank with probability 39/40.

    It aims beyond it by what the mechanism errs by with probability 1/40: by more than
    ln(candidates / p) / rate with probability p or less, where some candidate is exact (McSherry and Talwar
    2007). There always is one: for ranks beyond all records the outermost candidate, once more.
    """
    off = min(math.ceil(math.log((len(candidates) + 1) * 40) / float(rate)), _PARTS * MOST_RECORDS)
    away = distances(below, at_most, part, side * off)
    records = int(below[-1])
    aim = part * records + side * off
    outermost = max(0, aim) if side < 0 else max(0, _PARTS * records - aim)
    chosen = choose(-np.append(away, np.int64(outermost)), rate)
    if chosen == len(candidates):
        chosen = 0 if side < 0 else len(candidates) - 1
    return float(candidates[chosen])


def _floored(price: Fraction) -> Fraction:
    """A price in the ledger's units, rounded down: it charges no more than was offered."""
    return Fraction(rounded_down(price, NANO), NANO)


def _candidates(low: float, high: float, grid: Any) -> Floats:
    if isinstance(grid, int | np.integer) and not isinstance(grid, bool):
        if not 1 <= grid < MOST_CANDIDATES:
            raise UsageError(f"grid is a whole number from 1 to {MOST_CANDIDATES - 1:,}, or the candidates")
        steps = np.linspace(low, high, int(grid) + 1)
        if (np.diff(steps) <= 0).any():
            raise UsageError(f"{grid:,} steps between {low:g} and {high:g} are too narrow: take fewer")
        return steps
    given = floats_of(grid, "grid is a whole number, or a list of candidates, which are numbers")
    if given.ndim != 1 or not 1 <= len(given) <= MOST_CANDIDATES or not np.isfinite(given).all():
        raise UsageError(f"candidates are 1 to {MOST_CANDIDATES:,} finite numbers")
    if (np.diff(given) <= 0).any():
        raise UsageError("candidates are in ascending order, each one once")
    return given


def _shares(shares: Any) -> tuple[int, ...]:
    listed = [shares] if is_number(shares) else list(shares) if isinstance(shares, Iterable) else []
    parts = [round(float(one) * _PARTS) for one in listed if is_number(one)]
    if not parts or len(parts) != len(listed) or not all(1 <= part < _PARTS for part in parts):
        raise UsageError("shares are one or more numbers from 0.001 to 0.999, as 0.5 for the median")
    if len(set(parts)) != len(parts):
        raise UsageError("shares name one twice (they are taken to a thousandth)")
    return tuple(parts)
