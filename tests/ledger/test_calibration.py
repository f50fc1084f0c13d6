"""The analytic Gaussian mechanism: never less noise than is needed, hardly more, against two oracles."""

import math
import random

import mpmath
import pytest
from dp_accounting.pld import privacy_loss_distribution
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.errors import UsageError
from comity.ledger.calibration import epsilon_of, gaussian_delta, gaussian_noise_multiplier


def exact_delta(multiplier: float, epsilon: float) -> mpmath.mpf:
    """Balle and Wang 2018, equation 6, in 60 digits beyond what cancels."""
    mu, e = 1 / mpmath.mpf(multiplier), mpmath.mpf(epsilon)
    return mpmath.ncdf(mu / 2 - e / mu) - mpmath.exp(e) * mpmath.ncdf(-mu / 2 - e / mu)


def draws(count: int, seed: int) -> list[tuple[float, float]]:
    """(epsilon, delta), log-uniform over the range the module promises."""
    chance = random.Random(seed)
    return [(10 ** chance.uniform(-3, 2), 10 ** chance.uniform(-15, -0.5)) for _ in range(count)]


def test_noise_is_enough_and_hardly_more() -> None:
    with mpmath.workdps(80):
        for epsilon, delta in draws(200, 1):
            reached = exact_delta(gaussian_noise_multiplier(epsilon, delta), epsilon)
            assert reached <= mpmath.mpf(delta)
            assert reached >= mpmath.mpf(delta) * (1 - mpmath.mpf("1e-8"))


def test_delta_is_rounded_up_and_hardly() -> None:
    with mpmath.workdps(80):
        for epsilon, delta in draws(200, 2):
            multiplier = gaussian_noise_multiplier(epsilon, delta) * 1.3
            ours, truth = gaussian_delta(multiplier, epsilon), exact_delta(multiplier, epsilon)
            assert ours >= truth
            assert ours <= truth * (1 + mpmath.mpf("1e-8")) + mpmath.mpf("1e-300")


@settings(max_examples=100, deadline=None)
@given(st.floats(1e-3, 100), st.floats(1e-15, 0.3))
def test_epsilon_of_inverts(epsilon: float, delta: float) -> None:
    multiplier = gaussian_noise_multiplier(epsilon, delta)
    found = epsilon_of(multiplier, delta)
    assert found == pytest.approx(epsilon, rel=1e-6)
    assert gaussian_delta(multiplier, found) <= delta


@pytest.mark.parametrize(("epsilon", "delta"), [(0.1, 1e-6), (1.0, 1e-6), (1.0, 1e-9), (8.0, 1e-5)])
def test_between_dp_accountings_two_bounds(epsilon: float, delta: float) -> None:
    """PLD, discretised once pessimistically and once optimistically, encloses what ours reaches."""
    multiplier = gaussian_noise_multiplier(epsilon, delta)
    low, high = (
        privacy_loss_distribution.from_gaussian_mechanism(
            multiplier,
            pessimistic_estimate=pessimistic,
            value_discretization_interval=1e-4,
            use_connect_dots=False,
        ).get_delta_for_epsilon(epsilon)
        for pessimistic in (False, True)
    )
    assert low <= gaussian_delta(multiplier, epsilon) <= high
    assert high == pytest.approx(delta, rel=0.02)


def test_known_values() -> None:
    assert gaussian_noise_multiplier(1.0, 1e-6) == pytest.approx(4.2247, abs=1e-3)
    assert gaussian_delta(1.0, 0.0) == pytest.approx(math.erf(1 / (2 * math.sqrt(2))), rel=1e-9)


@pytest.mark.parametrize(
    "call",
    [
        lambda: gaussian_delta(0, 1),
        lambda: gaussian_delta(1, -1),
        lambda: gaussian_delta(1, math.nan),
        lambda: gaussian_noise_multiplier(1, 0),
        lambda: gaussian_noise_multiplier(1, 1),
        lambda: gaussian_noise_multiplier(0, 1e-14),
        lambda: epsilon_of(1, 0),
        lambda: epsilon_of(-1, 0.1),
    ],
)
def test_out_of_range(call: object) -> None:
    with pytest.raises(UsageError):
        call()


def test_epsilon_nought() -> None:
    multiplier = gaussian_noise_multiplier(0.0, 1e-3)
    assert epsilon_of(multiplier, 1e-3) == 0.0
    assert epsilon_of(1.0, 0.9) == 0.0
