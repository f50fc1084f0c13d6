"""Parameters: the single numbers and words of a call, checked before anything is looked at or charged.

Each check names the parameter, says what was given and what would do. True and false are no numbers here,
NaN lies in no range, and a number that floats cannot hold is too large.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Real
from pathlib import Path
from typing import Any, Final

import numpy as np

from comity.errors import UsageError

LEAST_EPSILON: Final = 1e-9
"""The ledger counts epsilon in this unit: nothing smaller can be charged, nor noise be drawn for it."""

MOST_EPSILON: Final = 1e6
"""More than this protects nothing, and the ledger's whole numbers end not far beyond it."""

_LONGEST: Final = 60
_MOST_WORDS: Final = 200


def a_number(
    value: Any, what: str, *, least: float = -math.inf, most: float = math.inf, above: float = -math.inf
) -> float:
    """A finite number from `least` to `most`, larger than `above`.

    Raises:
        UsageError: for anything else.
    """
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    number = math.nan
    if isinstance(value, Real | np.number) and not isinstance(value, bool | np.complexfloating):
        try:
            number = float(value)
        except (OverflowError, ValueError):  # a whole number beyond all floats; a signalling NaN
            number = math.inf
    if not (math.isfinite(number) and least <= number <= most and number > above):
        raise UsageError(f"{what} is {_range(least, most, above)}, not {shown(value)}")
    return number


def a_count(value: Any, what: str, *, least: int = 1, most: int = 1 << 53) -> int:
    """A whole number from `least` to `most`.

    Raises:
        UsageError: for anything else, also for 2.5 and for a number that was written as text.
    """
    if isinstance(value, float | np.floating) and not float(value).is_integer():
        raise UsageError(f"{what} is a whole number, not {shown(value)}")
    return int(a_number(value, what, least=least, most=most))


def an_epsilon(value: Any, what: str = "epsilon") -> float:
    """An epsilon that can be charged.

    Raises:
        UsageError: for anything but a number above 0, and for one that the ledger cannot count.
    """
    number = a_number(value, what, above=0, most=MOST_EPSILON)
    if number < LEAST_EPSILON:
        raise UsageError(f"{what} is at least {LEAST_EPSILON:g}, the ledger's unit, not {shown(value)}")
    return number


def a_name(value: Any, what: str) -> str:
    """A word, neither empty nor longer than 200 characters.

    Raises:
        UsageError: for anything else.
    """
    if not isinstance(value, str) or not 1 <= len(value) <= _MOST_WORDS or not value.isprintable():
        raise UsageError(f"{what} is a name of 1 to {_MOST_WORDS} printable characters, not {shown(value)}")
    return value


def names(values: Any, what: str) -> tuple[str, ...]:
    """One name, or several, as a tuple.

    Raises:
        UsageError: for anything else.
    """
    if isinstance(values, str):
        return (values,)
    listed: list[Any] = [values]
    if isinstance(values, Iterable) and not isinstance(values, bytes | bytearray):
        listed = list(values)
    for one in listed:
        if not isinstance(one, str):
            raise UsageError(f"{what} are names, as ['auc', 'accuracy'], not {shown(one)}")
    return tuple(listed)


def two_bounds(value: Any, what: str = "bounds") -> tuple[float, float]:
    """(low, high): finite numbers whose difference is a finite number above 0, also when it is squared.

    Raises:
        UsageError: for anything else.
    """
    ends = list(value) if isinstance(value, tuple | list | np.ndarray) else []
    if len(ends) != 2:
        raise UsageError(f"{what} are two numbers, (low, high), not {shown(value)}")
    low, high = (a_number(end, f"an end of {what}") for end in ends)
    width = high - low
    if not width > 0:
        raise UsageError(f"{what} are two finite numbers, the lower one first, not {shown(value)}")
    # squared errors in units of a grid's step, and sums of them, have to be numbers too
    if not 1e-100 <= width <= 1e100 or max(abs(low), abs(high)) > 2.0**40 * width:
        raise UsageError(
            f"{what} lie between 1e-100 and 1e100 apart, and no further from 0 than 2^40 times that, not "
            f"{shown(value)}: move or scale the labels"
        )
    return low, high


def a_place(value: Any, what: str) -> Path:
    """A path.

    Raises:
        UsageError: for anything else.
    """
    if isinstance(value, str | Path) and str(value) and "\0" not in str(value):
        return Path(value)
    raise UsageError(f"{what} is a path, as 'labels.db', not {shown(value)}")


def shown(value: Any) -> str:
    """A value as it is told in a message: short, and its type where its text says nothing."""
    if isinstance(value, str | int | float | np.number) or value is None:
        try:
            text = repr(value.item() if isinstance(value, np.generic) else value)
        except ValueError:  # a whole number with more digits than are written out
            text = "a whole number with thousands of digits"
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
    text = repr(value) if isinstance(value, tuple) and len(value) <= 3 else ""
    return text if text and len(text) <= _LONGEST else f"a value of type {type(value).__name__}"


def _range(least: float, most: float, above: float) -> str:
    low = f"above {above:g}" if above > least else f"{least:g} or more" if least > -math.inf else ""
    if most == math.inf:
        return f"a finite number{' ' * bool(low)}{low}"
    return f"a number {low} and at most {most:g}" if above > least else f"a number from {least:g} to {most:g}"
