"""What is declared is checked as such, and comes back as it was given."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from comity.data.declaration import checked_bounds, checked_epsilon, checked_levels, is_number
from comity.errors import UsageError


def test_numbers_are_finite() -> None:
    assert all(is_number(one) for one in (1, 0.5, np.float32(2), Decimal("0.1")))
    wrong = (True, "1", None, float("nan"), float("inf"), 10**400, Decimal("NaN"), Decimal("sNaN"), 1j)
    assert not any(is_number(one) for one in wrong)


def test_epsilon() -> None:
    assert checked_epsilon(Decimal("0.5")) == 0.5
    for wrong in (0, -1, True, "1", float("inf"), 1e7, 1e-10):
        with pytest.raises(UsageError, match="epsilon"):
            checked_epsilon(wrong)


def test_bounds() -> None:
    assert checked_bounds((Decimal("0.5"), 3)) == (0.5, 3.0)
    assert checked_bounds(np.array([0, 1])) == (0.0, 1.0)
    for wrong in (
        (1, 0),
        (0, 0),
        (0, 1, 2),
        (0, "1"),
        "01",
        3,
        (0, 1, "2"),
        (True, 2),
        (2.0**60, 2.0**60 + 512),
    ):
        with pytest.raises(UsageError, match="the bounds of dose"):
            checked_bounds(wrong, "dose")
    with pytest.raises(UsageError, match="would be told"):
        checked_bounds(None)


def test_levels_stay_what_they_are() -> None:
    given: list[Any] = [1, "a", date(2020, 1, 1), Decimal("2.50"), 0.5]
    assert checked_levels(given, "ward") == tuple(given)
    assert [type(one) for one in checked_levels(np.array([0, 1]), "ward")] == [int, int]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [("ab", "list"), ([], "list"), (5, "list"), ([1, "1"], "twice"), ([1, True], "twice"),
     ([1.5, Decimal("1.50")], "twice"), (["a", None], "missing"), ([float("nan")], "missing"),
     ([[1], [2]], "single"), ([(1, [2])], "single"), (np.zeros((2, 2)), "single")],
)  # fmt: skip
def test_levels_that_are_none(wrong: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        checked_levels(wrong, "ward")
