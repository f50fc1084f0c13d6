"""Curves against independent ones: high-precision integrals and sums, and dp_accounting's."""

import math

import mpmath
import numpy as np
import pytest
from dp_accounting import dp_event
from dp_accounting.rdp import RdpAccountant
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.errors import UsageError
from comity.ledger.costs import (
    INFINITY,
    NANO,
    ORDERS,
    Cost,
    approximate,
    composed,
    discrete_laplace,
    exponential,
    gaussian,
    laplace,
    pure,
    randomized_response,
    renyi,
    without_dp,
    zcdp,
)

LABEL = {"unit": "label", "relation": "change-one"}
RECORD = {"unit": "record", "relation": "add-remove"}
FINITE = ORDERS[:INFINITY]


def divergence(p: list[mpmath.mpf], q: list[mpmath.mpf], order: float) -> mpmath.mpf:
    moment = mpmath.fsum(
        a ** mpmath.mpf(order) * b ** (1 - mpmath.mpf(order)) for a, b in zip(p, q, strict=True)
    )
    return mpmath.log(moment) / (mpmath.mpf(order) - 1)


def close_above(cost: Cost, truth: list[mpmath.mpf]) -> None:
    """Every whole number is the true height rounded up, to within one unit."""
    for height, true in zip(cost.curve, truth, strict=False):
        assert height is not None
        assert true <= mpmath.mpf(height) / NANO
        assert height - 1.000001 <= true * NANO


@settings(max_examples=25, deadline=None)
@given(st.floats(1e-6, 30))
def test_pure_is_randomized_response_exactly(epsilon: float) -> None:
    with mpmath.workdps(60):
        e = mpmath.mpf(repr(epsilon))
        p = mpmath.exp(e) / (1 + mpmath.exp(e))
        truth = [divergence([p, 1 - p], [1 - p, p], order) for order in FINITE]
        close_above(pure(epsilon, **LABEL), truth)


@settings(max_examples=20, deadline=None)
@given(st.floats(1e-3, 10), st.integers(2, 6))
def test_randomized_response_with_many_values(epsilon: float, values: int) -> None:
    with mpmath.workdps(60):
        e = mpmath.exp(mpmath.mpf(repr(epsilon)))
        top, low = e / (e + values - 1), 1 / (e + values - 1)
        rest = [low] * (values - 2)
        truth = [divergence([top, low, *rest], [low, top, *rest], order) for order in FINITE]
        close_above(randomized_response(epsilon, values, **LABEL), truth)


@pytest.mark.parametrize(("parameter", "sensitivity"), [(1.0, 1), (0.5, 3), (0.03, 7), (2.0, 2)])
def test_discrete_laplace_against_its_sum(parameter: float, sensitivity: int) -> None:
    with mpmath.workdps(50):
        a = mpmath.mpf(repr(parameter))
        reach = int(120 / parameter) + sensitivity
        weight = [mpmath.exp(-a * abs(x)) for x in range(-reach, reach + 1)]
        shifted = [mpmath.exp(-a * abs(x - sensitivity)) for x in range(-reach, reach + 1)]
        total = (1 + mpmath.exp(-a)) / (1 - mpmath.exp(-a))
        p, q = [w / total for w in weight], [w / total for w in shifted]
        # beyond the reach the tails hold less than 1e-50 of what the moment is made of
        truth = [divergence(p, q, order) for order in FINITE[:12]]
        close_above(discrete_laplace(parameter, sensitivity, **RECORD), truth)


def test_discrete_laplace_of_sensitivity_one_is_randomized_response() -> None:
    assert discrete_laplace(0.7, 1, **RECORD).curve == pure(0.7, **RECORD).curve


def test_discrete_laplace_on_a_fine_grid_nears_laplace_from_above() -> None:
    smooth, fine = laplace(2, **RECORD), discrete_laplace(0.0005, 1000, **RECORD)
    for a, b in zip(smooth.curve, fine.curve, strict=True):
        assert a is not None
        assert b is not None
        assert a <= b + 1
        assert b <= a * 1.000001 + 2


@settings(max_examples=30, deadline=None)
@given(st.floats(0.01, 2), st.integers(1, 20), st.integers(1, 20))
def test_spreading_discrete_laplace_over_coordinates_costs_no_more(rate: float, a: int, b: int) -> None:
    together = discrete_laplace(rate, a + b, **RECORD).curve
    apart = (discrete_laplace(rate, a, **RECORD) + discrete_laplace(rate, b, **RECORD)).curve
    for whole, parts in zip(together, apart, strict=True):
        assert whole is not None
        assert parts is not None
        assert parts <= whole + 2  # two roundings up against one


@pytest.mark.parametrize("multiplier", [0.5, 1.0, 2.5, 30.0])
@pytest.mark.parametrize(
    ("make", "event"), [(gaussian, dp_event.GaussianDpEvent), (laplace, dp_event.LaplaceDpEvent)]
)
def test_gaussian_and_laplace_against_dp_accounting(multiplier: float, make: object, event: object) -> None:
    accountant = RdpAccountant(list(FINITE))
    accountant.compose(event(multiplier))
    cost = make(multiplier, **RECORD)
    ours = np.array(cost.curve[:INFINITY], dtype=float) / NANO
    # the last term is the floating-point error of dp_accounting's own formula at small heights
    np.testing.assert_allclose(ours, accountant.rdp, rtol=1e-9, atol=1.1e-9 + 1e-12)


def test_a_gaussian_has_no_pure_epsilon_and_laplace_does() -> None:
    assert gaussian(2, **RECORD).epsilon is None
    assert laplace(4, **RECORD).epsilon == 0.25
    assert zcdp(0, **RECORD).epsilon == 0


def test_the_exponential_mechanism_costs_less_than_its_epsilon() -> None:
    ranged, any_pure = exponential(0.5, **RECORD), pure(0.5, **RECORD)
    assert ranged.curve[INFINITY] == any_pure.curve[INFINITY]
    at = ORDERS.index(5.0)
    assert ranged.curve[at] == math.ceil(5 * 0.25 / 8 * NANO)
    assert (ranged.curve[at] or 0) < (any_pure.curve[at] or 0)


def test_the_exponential_mechanism_never_passes_its_curve() -> None:
    """Random scores whose neighbours differ by at most 1: the measured divergence is below the curve."""
    rng = np.random.default_rng(7)
    epsilon = 1.2
    cost = exponential(epsilon, **RECORD)
    for _ in range(50):
        score = rng.normal(size=6) * 3
        moved = score + rng.uniform(0, 1, size=6)  # range of log ratios at most epsilon
        p, q = (np.exp(epsilon * s) / np.exp(epsilon * s).sum() for s in (score, moved))
        for place in range(0, INFINITY, 3):
            order = ORDERS[place]
            top = (order * np.log(p) + (1 - order) * np.log(q)).max()
            moment = top + np.log(np.exp(order * np.log(p) + (1 - order) * np.log(q) - top).sum())
            assert moment / (order - 1) <= (cost.curve[place] or 0) / NANO + 1e-12


def test_approximate_is_pure_beside_its_delta() -> None:
    cost = approximate(0.5, 1e-7, **LABEL)
    assert cost.curve == pure(0.5, **LABEL).curve
    assert cost.delta == 10**8
    assert approximate(0.5, 0, **LABEL) == pure(0.5, **LABEL)


def test_a_curve_from_elsewhere_is_rounded_up_and_never_falls() -> None:
    heights = [0.1, 0.05, *[0.2] * (INFINITY - 3), math.inf, None]
    curve = renyi(heights, **RECORD).curve
    assert curve[:3] == (10**8, 10**8, 2 * 10**8)
    assert curve[-2:] == (None, None)


def test_without_dp_is_bounded_by_no_order() -> None:
    assert not without_dp(**RECORD).bounded


def test_composed_adds_up() -> None:
    parts = [pure(0.1, **LABEL), gaussian(3, **LABEL), approximate(0.2, 1e-9, **LABEL)]
    assert composed(parts) == parts[0] + parts[1] + parts[2]
    with pytest.raises(UsageError, match="no cost"):
        composed([])


@pytest.mark.parametrize(
    "call",
    [
        lambda: pure(-1, **LABEL),
        lambda: gaussian(0, **LABEL),
        lambda: laplace(-2, **LABEL),
        lambda: approximate(1, 1, **LABEL),
        lambda: approximate(1, -1e-9, **LABEL),
        lambda: discrete_laplace(1, 1.5, **RECORD),
        lambda: randomized_response(1, 1, **LABEL),
        lambda: randomized_response(1, 2, **RECORD),
        lambda: pure(math.nan, **LABEL),
    ],
)
def test_bad_parameters_are_refused(call: object) -> None:
    with pytest.raises(UsageError):
        call()


def test_a_tremendous_epsilon_is_unbounded_rather_than_wrong() -> None:
    assert pure(1e9, **LABEL).curve[INFINITY] is None
    assert not gaussian(1e-6, **LABEL).bounded
