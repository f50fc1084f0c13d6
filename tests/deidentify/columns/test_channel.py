"""Channels: what is claimed is what is drawn."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.deidentify.columns.channel import (
    WHOLE,
    band_channel,
    distance_channel,
    matrix_channel,
    response_channel,
)
from comity.errors import UsageError


def worst_ratio(weights: list[list[int]]) -> Fraction:
    """By definition: over pairs of true values and every answer."""
    pairs = product(range(len(weights)), repeat=2)
    return max(Fraction(weights[a][y], weights[b][y]) for a, b in pairs for y in range(len(weights)))


@given(
    st.integers(2, 12),
    st.floats(0.01, 30),
    st.sampled_from([response_channel, distance_channel, band_channel]),
)
def test_epsilon_is_that_of_the_whole_numbers_and_never_above_what_was_asked(k, epsilon, make):
    channel = make(range(k), epsilon)
    weights = channel.weights.tolist()
    assert all(sum(row) == WHOLE and min(row) > 0 for row in weights)
    ratio = worst_ratio(weights)
    assert channel.ratio == ratio
    exact = math.log(ratio.numerator) - math.log(ratio.denominator)
    assert exact - 1e-12 <= channel.epsilon <= exact + 2e-9
    assert channel.epsilon <= epsilon + 1e-9
    assert channel.epsilon >= epsilon - 1e-4
    assert channel.cost.bounded
    assert channel.cost.epsilon == channel.epsilon
    assert channel.epsilon_within(k) == pytest.approx(channel.epsilon, abs=1e-6)
    assert channel.epsilon_within(1) <= channel.epsilon + 1e-9


def test_the_ends_of_the_range_are_the_worst_pair_without_a_larger_scale():
    # Laplace noise of scale m / epsilon, conditioned on the range, keeps epsilon: the ends' constants agree
    channel = distance_channel(range(101), 2.0)
    first, last = channel.weights[0], channel.weights[-1]
    assert math.log(first[0] / last[0]) == pytest.approx(channel.epsilon, abs=1e-9)
    # between nearer values the constants differ, and the bare rate a would understate it
    assert channel.epsilon_within(10) > 10 * 2.0 / 100


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 4.0, 10.0])
def test_the_band_has_less_error_than_other_channels(epsilon):
    distance = np.abs(np.subtract.outer(np.arange(60), np.arange(60)))
    made = [make(range(60), epsilon) for make in (band_channel, distance_channel, response_channel)]
    band, *others = [float((channel.matrix * distance).sum()) for channel in made]
    assert band <= min(others) * (1 + 1e-9)
    wide = int((made[0].matrix[30] > made[0].matrix[30].min() * (1 + 1e-9)).sum())
    assert all((row > row.min() * (1 + 1e-9)).sum() == wide for row in made[0].matrix)


def test_randomized_response_keeps_with_the_textbook_probability():
    channel = response_channel(["a", "b", "c"], math.log(3))
    assert channel.matrix == pytest.approx(np.array([[3, 1, 1], [1, 3, 1], [1, 1, 3]]) / 5)
    assert channel.cost.mechanism == "randomized-response"


def test_a_matrix_with_impossible_answers_has_no_guarantee():
    channel = matrix_channel(["a", "b"], [[0.9, 0.1], [0.0, 1.0]])
    assert channel.epsilon == math.inf
    assert not channel.cost.bounded
    assert channel.epsilon_within(1) == math.inf
    swap = matrix_channel(["a", "b"], [[0.1, 0.9], [0.9, 0.1]])
    assert (
        swap.cost.mechanism == "pure"
    )  # the truth is the rarer answer: not the curve of randomized response
    assert swap.epsilon == pytest.approx(math.log(9), abs=1e-8)


def test_an_answer_that_nobody_gives_costs_nothing():
    channel = matrix_channel("abc", [[0.5, 0.5, 0], [0.25, 0.75, 0], [0.5, 0.5, 0]])
    assert channel.epsilon == pytest.approx(math.log(2), abs=1e-8)


def test_estimates_are_unbiased_and_their_errors_right():
    """Every estimate of 300 runs, standardised, squared and summed: chi-square; false alarm below 1e-6."""
    from scipy.stats import chi2, norm

    truth = np.array([3000, 500, 1500])
    matrix = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]]
    channel = matrix_channel(["a", "b", "c"], matrix)
    codes = np.repeat(np.arange(3), truth)
    z = []
    for _ in range(300):
        estimate = channel.estimate(np.bincount(channel.answer(codes), minlength=3))
        z.append((estimate.counts - truth) / estimate.standard_errors)
    scores = np.array(z)
    # three tests on three levels each: 9e-8 times 9 in all
    assert (np.abs(scores.mean(axis=0)) * math.sqrt(300) < norm.isf(4.5e-8)).all()
    squares = (scores**2).sum(axis=0)
    assert ((chi2.ppf(4.5e-8, 300) < squares) & (squares < chi2.isf(4.5e-8, 300))).all()


def test_a_matrix_without_inverse_estimates_nothing():
    channel = matrix_channel(["a", "b"], [[0.5, 0.5], [0.5, 0.5]])
    assert channel.epsilon == 0
    with pytest.raises(UsageError, match="no inverse"):
        channel.estimate([3, 4])
    with pytest.raises(UsageError, match="as many counts"):
        channel.estimate([3, 4, 5])


@pytest.mark.parametrize(
    "make",
    [
        lambda: response_channel(["a"], 1.0),
        lambda: response_channel(["a", "a"], 1.0),
        lambda: response_channel(["a", "b"], 0.0),
        lambda: distance_channel(range(2000), 1.0),
        lambda: distance_channel(range(5), 31.0),
        lambda: matrix_channel(["a", "b"], [[0.5, 0.4], [0.5, 0.5]]),
        lambda: matrix_channel(["a", "b"], [[1.5, -0.5], [0.5, 0.5]]),
        lambda: matrix_channel(["a", "b"], [[1.0], [1.0]]),
    ],
)
def test_impossible_channels_are_refused(make):
    with pytest.raises(UsageError):
        make()
