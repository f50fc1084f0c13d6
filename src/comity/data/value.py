"""One value read by itself: as a level's text, as a number, as somebody's id, or as missing.

For what may depend on no other value. Nothing here raises, whatever the value is: an error would tell that
some record holds such a value.
"""

from __future__ import annotations

import math
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from numbers import Integral, Real
from typing import Any, Final

import numpy as np

_LARGEST: Final = float(np.finfo(np.float64).max)
_LONGEST_WHOLE: Final = 10_000
"""In bits: whole numbers below are written in decimal digits; Python refuses to write much longer ones."""

_LONGEST_DECIMAL: Final = 3_000
"""In digits: the same of a Decimal, which writes 10^(10^6) in eight characters."""

_FINER: Final = ("ns", "ps", "fs", "as")
"""Units of time that Python's own times do not have."""


def is_missing(value: Any) -> bool:
    """Whether there is no value: None, NaN, NaT, pandas' NA."""
    if value is None:
        return True
    if isinstance(value, str):
        return False
    try:
        return bool(value != value)
    except Exception:  # of pandas' NA, a signalling NaN, an array: whatever it raises, there is no one value
        return True


def plain(value: Any) -> Any:
    """A numpy scalar as Python has it (times to a microsecond); everything else as it is."""
    if isinstance(value, np.datetime64 | np.timedelta64):
        value = (
            value.astype(f"{value.dtype.kind}8[us]") if np.datetime_data(value.dtype)[0] in _FINER else value
        )
    return value.item() if isinstance(value, np.generic) else value


def as_float(value: Any) -> float:
    """A number, true and false and decimals among them; NaN for everything else."""
    if isinstance(value, float):
        return float(value)
    if not isinstance(value, Real | Decimal):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return _LARGEST if bool(value > 0) else -_LARGEST  # pyright: ignore[reportOperatorIssue]
    except ValueError:  # of a signalling NaN
        return math.nan


def level_text(value: object) -> str:
    """The one way a level is written: 3, 3.0 and Decimal("3.00") as "3", True as "True", a word as it is.

    Equal numbers have one text, whatever they are stored as and with how many decimals; whole numbers are
    written exactly. Every value has a text, and every text can be stored.
    """
    if isinstance(value, str):
        return _storable(str(value))
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, np.datetime64 | np.timedelta64):
        value = plain(value)
    if isinstance(value, Integral):
        return _whole(int(value))
    if isinstance(value, Decimal):
        return _decimal_text(value)
    if isinstance(value, Real):
        number = as_float(value)
        return str(int(number)) if number.is_integer() else repr(number)
    try:
        return _storable(str(value))
    except Exception:  # of a list that holds itself or too long a number: whatever it raises
        return type(value).__name__


def identity(value: object) -> str:
    """One text for equal ids only: 1 and 1.0 are one person, "1" is another; whole numbers stay exact."""
    if isinstance(value, str):
        return f"s{value}"
    return f"n{level_text(int(value) if isinstance(value, bool | np.bool_) else value)}"


def _whole(number: int) -> str:
    return str(number) if number.bit_length() < _LONGEST_WHOLE else hex(number)


def _decimal_text(value: Decimal) -> str:
    if not value.is_finite():
        return repr(as_float(value))
    # no context of the caller's: as many digits as there are, so that nothing is rounded and nothing trapped
    digits = max(1, len(value.as_tuple().digits))
    exact = value.normalize(Context(prec=digits, Emin=MIN_EMIN, Emax=MAX_EMAX))
    exponent = exact.as_tuple().exponent
    if isinstance(exponent, int) and exponent >= 0 and exact.adjusted() < _LONGEST_DECIMAL:
        return _whole(int(exact))
    number = as_float(exact)
    same = math.isfinite(number) and exact in (Decimal(repr(number)), Decimal(number))
    return repr(number) if same else str(exact)


def _storable(text: str) -> str:
    """Text that can be written as UTF-8: halves of surrogate pairs, which cannot, are spelled out."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
