"""The purse: nothing is bought past it, and what is bought together costs (epsilon, delta)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from comity.errors import BudgetRefused, UsageError
from comity.ledger import gaussian_delta
from comity.synthesize.purse import Purse


def test_the_whole_is_the_analytic_gaussian() -> None:
    """A little less than what (epsilon, delta) allows: the grid's share of delta comes first."""
    for epsilon, delta in ((0.1, 1e-6), (1.0, 1e-6), (8.0, 1e-9)):
        multiplier = 1 / math.sqrt(Purse(epsilon, delta).whole)
        assert gaussian_delta(multiplier, epsilon) <= delta
        assert gaussian_delta(multiplier * 0.999, epsilon) > delta


def test_prices_add_up_and_no_more_is_sold() -> None:
    purse = Purse(1.0, 1e-6)
    whole = purse.whole
    counts = np.array([[5, 0], [7, 1]], dtype=np.int64)
    noisy = purse.measure(counts, whole / 4)
    assert noisy.values.shape == (2, 2)
    assert noisy.sigma == pytest.approx(2 / math.sqrt(whole))
    purse.choose([counts], [counts * 0.5], [0.0], [1.0], whole / 4)
    assert purse.left == pytest.approx(whole / 2)
    with pytest.raises(BudgetRefused):
        purse.measure(counts, whole * 0.51)
    purse.measure(counts, purse.left)
    assert purse.left == 0
    with pytest.raises(BudgetRefused):
        purse.measure(counts, 1e-9)


def test_noise_has_the_scale_that_was_paid_for() -> None:
    """The variance over 4,000 counts; false alarm below 1e-8: 6 standard deviations."""
    purse = Purse(1.0, 1e-6)
    noisy = purse.measure(np.full(4000, 1000, dtype=np.int64), purse.left)
    ratio = float(np.var(noisy.values - 1000)) / noisy.sigma**2
    assert abs(ratio - 1) < 6 * math.sqrt(2 / 4000)
    assert abs(float(noisy.values.mean()) - 1000) < 6 * noisy.sigma / math.sqrt(4000)
    assert not np.allclose(noisy.values, np.rint(noisy.values)), "noise has a finer grid than rows"


def test_counts_without_room_on_the_grid_are_refused_and_never_wrap_around() -> None:
    purse = Purse(16.0, 1e-6)
    fits = purse.measure(np.array([2**23], dtype=np.int64), purse.whole / 2)
    assert fits.values[0] == pytest.approx(2**23, rel=1e-4)
    for rows in (2**26, 2**27):
        with pytest.raises(UsageError, match="64-bit") as told:
            purse.measure(np.array([rows], dtype=np.int64), purse.whole / 5)
        assert told.value.private  # how many rows there are is


def test_people_with_more_rows_take_more_noise() -> None:
    assert Purse(1.0, 1e-6, rows_per_unit=3).sigma(0.01) == pytest.approx(3 * Purse(1.0, 1e-6).sigma(0.01))


@given(st.floats(1e-3, 20), st.floats(-30, 30))
def test_the_price_of_a_choice_covers_every_pair_of_coins(epsilon: float, middle: float) -> None:
    """Of log-odds that differ by epsilon, the probits differ by at most epsilon sqrt(pi / 8)."""
    odds = np.array([middle - epsilon / 2, middle + epsilon / 2])
    # through the tail that keeps its digits
    probits = np.where(odds > 0, -norm.ppf(1 / (1 + np.exp(odds))), norm.ppf(1 / (1 + np.exp(-odds))))
    assert probits[1] - probits[0] <= epsilon * math.sqrt(math.pi / 8) * (1 + 1e-9)


@given(
    st.lists(st.lists(st.integers(0, 30), min_size=4, max_size=4), min_size=2, max_size=5),
    st.integers(0, 3),
    st.integers(1, 3),
)
def test_a_row_moves_no_score_past_what_the_draw_assumes(
    tables: list[list[int]], cell: int, rows: int
) -> None:
    """What reaches the draw, for two tables that differ by one unit's rows."""
    import comity.synthesize.purse as module

    seen: list[tuple[np.ndarray, object]] = []
    weights = [1.0 + at / 3 for at in range(len(tables))]
    fitted = [np.full(4, 7.3) for _ in tables]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "choose", lambda scores, rate: seen.append((scores, rate)) or 0)
        for more in (0, rows):
            exact = [np.array(table, dtype=np.int64) for table in tables]
            for counts in exact:
                counts[cell] += more
            Purse(1.0, 1e-6, rows_per_unit=rows).choose(exact, fitted, [2.0] * len(tables), weights, 0.01)
    (one, rate), (two, same_rate) = seen
    assert rate == same_rate
    epsilon = math.sqrt(0.01 * 8 / math.pi)
    # each log-weight moves by at most epsilon / 2 either way
    assert float(rate) * int(np.abs(one - two).max()) <= epsilon / 2 * (1 + 1e-12)


@pytest.mark.parametrize(
    ("epsilon", "delta", "rows"),
    [(0.0, 1e-6, 1), (math.inf, 1e-6, 1), (1.0, 0.0, 1), (1.0, 1.0, 1), (1.0, 1e-6, 0), (1.0, 1e-30, 1)],
)
def test_a_budget_that_cannot_be_is_refused(epsilon: float, delta: float, rows: int) -> None:
    with pytest.raises(UsageError):
        Purse(epsilon, delta, rows_per_unit=rows)
