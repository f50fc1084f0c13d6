"""The mechanism: lists of sums are calibrated together, never below what their parts would need."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from comity import noise
from comity.errors import UsageError
from comity.ledger import gaussian_delta, gaussian_noise_multiplier
from comity.mechanism import Noise, Parts, Sums, gaussian, laplace, sum_error

sizes = st.builds(
    lambda dimensions, most, wider, share, times: Sums(dimensions, most * wider, most, share, times),
    dimensions=st.integers(1, 500),
    most=st.integers(1, 1 << 26),
    wider=st.integers(1, 5),
    share=st.floats(0.01, 10),
    times=st.integers(1, 100),
)


@settings(max_examples=15)
@given(st.lists(sizes, min_size=1, max_size=4), st.floats(0.01, 20), st.sampled_from([1e-9, 1e-6, 1e-3]))
def test_a_list_costs_what_was_asked_for(releases: list[Sums], epsilon: float, delta: float) -> None:
    try:
        made = gaussian(releases, epsilon, delta)
    except UsageError:
        # large sums and a small delta leave no room for a fine grid
        assume(epsilon < 8)
        raise
    at = min(epsilon, 16.0)
    inverse, grid = 0.0, 0.0
    for one, drawn in zip(releases, made.noises, strict=True):
        deviation = math.ldexp(drawn.scale, -drawn.shift)
        inverse += one.times * (one.l2 / deviation) ** 2
        grid += noise.discretisation_delta(drawn.scale, one.dimensions * one.times, at)
        assert drawn.scale >= 2.0**21
    assert gaussian_delta(inverse**-0.5, at) + grid <= delta * (1 + 1e-9)
    assert made.multiplier >= gaussian_noise_multiplier(at, delta) * (1 - 1e-12)


def test_shares_divide_the_privacy() -> None:
    first, second = gaussian([Sums(1, 1, 1, 3.0), Sums(1, 1, 1, 1.0)], 1.0, 1e-6).noises
    assert (second.deviation / first.deviation) ** 2 == pytest.approx(3.0, rel=1e-6)


def test_replacing_costs_more() -> None:
    made = gaussian([Sums(10, 5, 5)], 1.0, 1e-6)
    assert 2.0 < made.epsilon_of_replacing(1e-6) < 3.0


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 4.0, 8.0, 12.0, 16.0])
def test_what_is_said_of_replacing_holds_with_the_grid_s_part(epsilon: float) -> None:
    delta = 1e-6
    made = gaussian([Sums(10, 5, 5, times=40), Sums(100, 3, 3, 2.0)], epsilon, delta)
    said = made.epsilon_of_replacing(delta)
    distance = made.grid_delta / (1 + math.exp(made.epsilon))
    both = gaussian_delta(made.multiplier / 2, said) + distance * (1 + math.exp(said))
    rho = 2 / made.multiplier**2
    assert both <= delta or said >= (rho + 2 * math.sqrt(rho * math.log(1 / delta))) * (1 - 1e-9)
    assert epsilon < said < 5 * epsilon + 1


def test_of_noise_drawn_in_parts_no_more_is_said_of_replacing_than_is_proven() -> None:
    """Concentrated differential privacy is the discrete Gaussian's, which a sum of parts is not."""
    delta = 1e-6
    for epsilon in (1.0, 16.0):
        releases = [Sums(10, 5, 5, times=40), Sums(100, 3, 3, 2.0)]
        made = gaussian(releases, epsilon, delta, parts=Parts(3, 2))
        said = made.epsilon_of_replacing(delta)
        distance = made.grid_delta / (1 + math.exp(made.epsilon))
        if said < math.inf:
            assert gaussian_delta(made.multiplier / 2, said) + distance * (1 + math.exp(said)) <= delta
        else:
            assert gaussian(releases, epsilon, delta).epsilon_of_replacing(delta) < math.inf
            assert epsilon == 16.0


def test_laplace_is_exact_on_whole_numbers() -> None:
    made = laplace(3, 3, 0.5)
    assert (made.law, made.shift) == ("laplace", 0)
    assert made.scale >= 6.0
    noisy = made.answer(np.arange(5, dtype=np.int64))
    assert (noisy == np.round(noisy)).all()


def test_deviation_is_that_of_the_draws() -> None:
    """The deviation of 20,000 draws errs by 0.5% (Gaussian) or 0.8% (Laplace): 12% off is 15 of those errors,
    far less likely than 1e-6."""
    for made in (laplace(2, 1, 0.3), gaussian([Sums(1, 2, 2)], 0.5, 1e-6).noises[0]):
        drawn = made.answer(np.zeros(20_000, dtype=np.int64))
        assert drawn.std() == pytest.approx(made.deviation, rel=0.12)


def test_what_cannot_be_calibrated_is_refused() -> None:
    with pytest.raises(UsageError, match="there is none"):
        gaussian([], 1.0, 1e-6)
    with pytest.raises(UsageError, match="64-bit"):
        gaussian([Sums(1, 1, 1 << 40)], 1.0, 1e-6)
    with pytest.raises(UsageError, match="64-bit"):  # noise wider than is drawn, found before a charge
        gaussian([Sums(1, 1 << 54, 1, records=1)], 1.0, 1e-6)
    with pytest.raises(UsageError, match="whole numbers"):
        Sums(0, 1, 1)
    with pytest.raises(UsageError):
        laplace(0, 1, 1.0)
    assert Noise("laplace", 0, 1.0).deviation == pytest.approx(1.357, abs=1e-3)


@given(st.integers(1, 3), st.floats(0.5, 1e6))
def test_laplace_noise_below_one_is_drawn_in_any_number(l1: int, epsilon: float) -> None:
    made = laplace(l1, 1, epsilon)
    assert made.scale >= l1 / epsilon
    assert made.scale <= l1 / epsilon * (1 + 1e-5)
    assert len(noise.discrete_laplace(3, made.scale)) == 3  # the sampler of more than 100,000 draws


def discrete(scale: float, reach: int) -> np.ndarray:
    points = np.arange(-reach, reach + 1)
    weights = np.exp(-(points**2) / (2 * scale**2))
    return weights / weights.sum()


@pytest.mark.parametrize("parts", [2, 3, 5])
@pytest.mark.parametrize("scale", [0.5, 0.6, 0.8, 1.0])
def test_the_stated_error_of_a_sum_holds_exactly(scale: float, parts: int) -> None:
    """Every probability of the sum against the discrete Gaussian of its variance, by convolution (KLS
    2021)."""
    reach = 40
    total = discrete(scale, reach)
    for _ in range(parts - 1):
        total = np.convolve(total, discrete(scale, reach))
    one = discrete(scale * math.sqrt(parts), parts * reach)
    near = slice(len(one) // 2 - 12, len(one) // 2 + 13)
    away = np.abs(np.log(total[near]) - np.log(one[near])).max()
    assert away <= sum_error(scale, parts) + 1e-9
    assert np.abs(total - one).sum() / 2 <= sum_error(scale, parts) + 1e-12


def test_parts_cost_nothing_that_counts_on_the_grid_in_use() -> None:
    assert Parts(60, 40).error(2.0**21) == 0.0
    with pytest.raises(UsageError, match="finer grid"):
        sum_error(0.4, 3)
    with pytest.raises(UsageError, match="as many as are needed"):
        Parts(2, 3)


def test_enough_parts_carry_what_is_needed() -> None:
    parts = Parts(5, 3)
    (needed,) = gaussian([Sums(10, 1 << 20, 1 << 20)], 1.0, 1e-6, parts=parts).noises
    assert 3 * needed.part(parts).scale ** 2 >= needed.scale**2
    assert needed.part(parts).shift == needed.shift
    assert parts.excess == pytest.approx(5 / 3)
