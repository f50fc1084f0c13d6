"""One value by itself: equal numbers have one text, and nothing that a record may hold is an error."""

from __future__ import annotations

import math
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.data.value import as_float, identity, is_missing, level_text, plain

HELD_BY_ITSELF: list[Any] = []
HELD_BY_ITSELF.append(HELD_BY_ITSELF)


class Loud:
    """A value that answers nothing."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        raise RuntimeError


ODD = [
    Decimal("sNaN"), Decimal("1E+999999"), Decimal("-1E-999999"), Decimal("Infinity"), Fraction(10**5000, 3),
    10**5000, [10**5000], HELD_BY_ITSELF, Loud(), b"\xff", "\ud800", "a\x00b", complex(1, 2), {"foo": "bar"},
    np.zeros(3), np.zeros(1), np.float32(0.5), np.datetime64("NaT"), np.datetime64(2**62, "s"), pd.NA, pd.NaT,
    pd.Timestamp("2020-01-01"), date(2020, 1, 1), object(),
]  # fmt: skip


@pytest.mark.parametrize("value", ODD, ids=[type(value).__name__ for value in ODD])
def test_no_value_is_an_error(value: Any) -> None:
    assert is_missing(value) in (True, False)
    assert isinstance(as_float(value), float)
    assert level_text(value).encode("utf-8") is not None
    assert len(level_text(value)) < 10_000
    assert identity(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_decimal_has_the_text_of_the_equal_float(number: float) -> None:
    assert level_text(Decimal(number)) == level_text(np.float64(number)) == level_text(number)
    if abs(number) < 2**53:  # beyond, a float's own text is not its value
        assert level_text(Decimal(repr(number))) == level_text(number)


@given(st.integers(), st.integers(0, 6))
def test_trailing_zeros_change_no_text(number: int, zeros: int) -> None:
    assert level_text(Decimal(f"{number}.{'0' * zeros}")) == level_text(number) == str(number)
    assert identity(Decimal(f"{number}.{'0' * zeros}")) == identity(number)


def test_texts_of_numbers_and_times() -> None:
    assert (
        level_text(Decimal("0.12345678901234567890")) == "0.1234567890123456789"
    )  # no float has these digits
    assert level_text(Decimal("-0.0")) == level_text(-0.0) == "0"
    assert level_text(np.datetime64("2020-01-01T00:00:00", "ns")) == str(datetime(2020, 1, 1))
    assert plain(np.datetime64("2020-01-01")) == date(2020, 1, 1)
    assert plain(np.int64(3)) == 3
    assert plain("a") == "a"


def test_numbers() -> None:
    assert as_float(Decimal("2.50")) == 2.5
    assert as_float(True) == 1.0
    assert as_float(10**400) == -as_float(-(10**400)) == np.finfo(np.float64).max
    assert all(math.isnan(as_float(one)) for one in ("1", None, b"1", 1j, [1], Decimal("sNaN")))


def test_who_is_who() -> None:
    assert (
        identity(1) == identity(1.0) == identity(True) == identity(np.bool_(True)) == identity(Decimal("1.0"))
    )
    assert len({identity(one) for one in (1, "1", "n1", 2**60, 2**60 + 1, b"1", None)}) == 7
