"""The exponential mechanism draws by exact chances, in a time that does not tell the scores."""

from __future__ import annotations

import math
from fractions import Fraction
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from comity import noise_choice
from comity.errors import UsageError
from comity.noise_choice import choose

FALSE_ALARM = 1e-8


def chances(scores: list[int], rate: Fraction) -> np.ndarray:
    weights = np.array([math.exp(float(rate * (score - max(scores)))) for score in scores])
    return weights / weights.sum()


@pytest.mark.parametrize(
    ("scores", "rate"),
    [
        ([0, 1, 2, 3], Fraction(1, 2)),
        ([5, 5, -3, 4], Fraction(1, 3)),
        ([0, 0, 0], Fraction(7)),
        ([1, 9], Fraction(0)),
    ],
)
def test_candidates_come_by_their_exact_chances(scores: list[int], rate: Fraction) -> None:
    """Chi-squared over 4,000 draws; false alarm 1e-8 each."""
    drawn = [choose(np.array(scores, dtype=np.int64), rate) for _ in range(4000)]
    seen = np.bincount(drawn, minlength=len(scores))
    assert chisquare(seen, 4000 * chances(scores, rate)).pvalue > FALSE_ALARM


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=6), st.integers(0, 40))
def test_one_candidate_comes_out(scores: list[int], exponent: int) -> None:
    assert 0 <= choose(np.array(scores, dtype=np.int64), Fraction(1, 2**exponent)) < len(scores)


def test_a_far_better_candidate_always_wins() -> None:
    """The other one has a chance of e^-1000."""
    assert all(choose(np.array([0, 1000], dtype=np.int64), Fraction(1)) == 1 for _ in range(50))


def test_work_does_not_depend_on_the_scores() -> None:
    """As many names are drawn for candidates alike as for one far ahead; once more with probability e^-64."""
    counts: list[int] = []
    real = noise_choice.uniform_below

    def counting(limit: int, count: int) -> np.ndarray:
        counts.append(count)
        return real(limit, count)

    with patch.object(noise_choice, "uniform_below", counting):
        for scores in ([7] * 20, [0] * 19 + [10**9]):
            choose(np.array(scores, dtype=np.int64), Fraction(1))
    assert counts == [64 * 20, 64 * 20]


@pytest.mark.parametrize(
    ("scores", "rate"),
    [
        (np.zeros(0, dtype=np.int64), Fraction(1)),
        (np.zeros(3), Fraction(1)),
        (np.zeros(3, dtype=np.int64), Fraction(-1)),
        (np.array([0, 2**61], dtype=np.int64), Fraction(1)),
    ],
)
def test_what_cannot_be_drawn_is_refused(scores: np.ndarray, rate: Fraction) -> None:
    with pytest.raises(UsageError):
        choose(scores, rate)
