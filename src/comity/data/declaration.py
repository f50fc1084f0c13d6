"""What a caller declares beforehand: a price, bounds, levels. Public facts, and checked as such.

Shared by everything that adds noise for declared columns: statistics and private training.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any, Final

import numpy as np

from comity.data.value import as_float, is_missing, level_text, plain
from comity.errors import UsageError
from comity.ledger import Cost

Charge = Callable[[Cost], object]
"""Takes what a release costs before a record is read, and raises if it may not be spent."""

LEAST_EPSILON: Final = 1e-9
MOST_EPSILON: Final = 1e6


def is_number(value: Any) -> bool:
    """Whether a value is a finite number (a Decimal too), true and false not among them."""
    if not isinstance(value, Real | Decimal) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(float(value))
    except (OverflowError, ValueError):  # a whole number beyond all floats, a signalling NaN
        return False


def checked_epsilon(given: Any) -> float:
    """Epsilon in nats.

    Raises:
        UsageError: unless it is a number from 1e-9 to 1e6.
    """
    if not is_number(given) or not LEAST_EPSILON <= float(given) <= MOST_EPSILON:
        raise UsageError(f"epsilon is a number from {LEAST_EPSILON:g} to {MOST_EPSILON:g}, not {given!r}")
    return float(given)


def checked_bounds(given: Any, name: str | None = None) -> tuple[float, float]:
    """(low, high), finite, the lower one first, and neither too close together nor too far from 0 for a grid.

    Args:
        name: of the column they are of, for the error.

    Raises:
        UsageError: for anything else; for none, saying why they are needed.
    """
    of = "bounds" if name is None else f"the bounds of {name}"
    if given is None:
        raise UsageError(
            "bounds=(low, high) are needed, from public facts: noise covers what one record can add, and "
            "the data's own minimum or maximum is some record's value, which would be told"
        )
    ends: list[Any] = list(given) if isinstance(given, tuple | list | np.ndarray) else []
    numbers = [as_float(end) for end in ends if is_number(end)]
    if len(numbers) != 2 or len(ends) != 2 or not numbers[0] < numbers[1]:
        raise UsageError(f"{of} are two finite numbers, (low, high), the lower one first")
    low, high = numbers
    if not 1e-100 <= high - low <= 1e100 or max(abs(low), abs(high)) > 2.0**40 * (high - low):
        raise UsageError(f"{of} lie between 1e-100 and 1e100 apart, and not much further from 0 than that")
    return low, high


def checked_levels(given: Any, name: str) -> tuple[Any, ...]:
    """Levels as they were given, each one written (`level_text`) and looked up in its own way.

    Raises:
        UsageError: for none, one that stands there twice, a missing value, and what is no single value.
    """
    if isinstance(given, str | bytes) or not isinstance(given, Sequence | np.ndarray) or len(given) == 0:
        raise UsageError(f"the levels of {name} are a list of one or more values")
    levels = tuple(plain(level) for level in given)
    try:
        different = len(set(levels))
    except TypeError:
        raise UsageError(f"the levels of {name} are single values, not lists or tables of them") from None
    if any(is_missing(level) for level in levels):
        raise UsageError(f"the levels of {name} name a missing value, which is no level: leave it out")
    if not len({level_text(level) for level in levels}) == different == len(levels):
        raise UsageError(f"the levels of {name} name one twice")
    return levels
