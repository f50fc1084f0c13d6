"""What the list of orders and the choice of open ones cost, as extra Gaussian noise: measured."""

import math

import numpy as np
import pytest

from comity.ledger.accounts import Budget
from comity.ledger.calibration import gaussian_noise_multiplier
from comity.ledger.costs import pure
from comity.ledger.currency import INFINITY, NANO, ORDERS, PrivacyUnit
from comity.ledger.replay import Accounts

BUDGETS = [(e, d) for e in (0.01, 0.05, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0) for d in (1e-5, 1e-6, 1e-9)]
FINE = 1 + np.geomspace(0.02, 1e6, 20_000)


def best_single_order(epsilon: float, delta: float, spent_pure: float = 0.0) -> float:
    """The least noise multiplier of one Gaussian by the best real order, with all of delta."""
    heights = epsilon + np.log(delta * FINE) / (FINE - 1) - np.log1p(-1 / FINE)
    if spent_pure:
        ratio = np.log1p(np.exp(-(2 * FINE - 1) * spent_pure)) - math.log1p(math.exp(-spent_pure))
        heights -= spent_pure + ratio / (FINE - 1)
    return float(1 / math.sqrt(2 * (heights / FINE).max()))


def by_the_filter(budget: Budget, spent_pure: float = 0.0) -> float:
    """The least noise multiplier of one Gaussian that the filter admits."""
    accounts = Accounts()
    terms = {"unit": "record", "relation": "add-remove"}
    settled = budget.settled(PrivacyUnit.record)
    accounts.apply("opened", {"account": "a/b/record", "budget": settled.to_dict()})
    account = next(iter(accounts.open))
    if spent_pure:
        cost = pure(spent_pure, **terms).to_dict()
        accounts.apply("charged", {"account": "a/b/record", "cost": cost, "clause": ""})
    return accounts.remaining(account, accounts.terms(account)).noise_multiplier()


def test_three_open_orders_cost_little_against_the_best_one() -> None:
    ratios = [
        by_the_filter(Budget(epsilon, delta, 0.0)) / best_single_order(epsilon, delta)
        for epsilon, delta in BUDGETS
    ]
    assert max(ratios) < 1.12  # at (0.01, 1e-5); 1.09 from epsilon 0.05 up
    assert float(np.mean(ratios)) < 1.06


def test_opening_all_orders_would_cost_more() -> None:
    for epsilon, delta in BUDGETS:
        everything = Budget(epsilon, delta, 0.0, orders=ORDERS[:INFINITY])
        assert by_the_filter(Budget(epsilon, delta, 0.0)) < by_the_filter(everything)


@pytest.mark.parametrize("part", [0.1, 0.25, 0.5, 0.75])
def test_after_a_pure_charge_the_higher_orders_serve(part: float) -> None:
    for epsilon, delta in [(0.1, 1e-6), (1.0, 1e-6), (1.0, 1e-9), (3.0, 1e-6)]:
        ours = by_the_filter(Budget(epsilon, delta, 0.0), part * epsilon)
        assert ours < 1.12 * best_single_order(epsilon, delta, part * epsilon)


def test_a_single_release_through_the_additive_part_is_nearly_exact() -> None:
    """Half of delta is set aside: the analytic Gaussian at (epsilon, delta/2) against the one at delta."""
    ratios = [
        gaussian_noise_multiplier(epsilon, delta / 2) / gaussian_noise_multiplier(epsilon, delta)
        for epsilon, delta in BUDGETS
    ]
    assert max(ratios) < 1.09  # at (0.01, 1e-5)
    assert float(np.mean(ratios)) < 1.035


def test_the_list_holds_an_order_near_the_best_one() -> None:
    finite = np.array(ORDERS[:INFINITY])
    for epsilon, delta in BUDGETS:
        heights = epsilon + np.log(delta * finite) / (finite - 1) - np.log1p(-1 / finite)
        on_the_list = 1 / math.sqrt(2 * (heights / finite).max())
        assert on_the_list < 1.02 * best_single_order(epsilon, delta)


def test_small_charges_lose_little_to_whole_numbers() -> None:
    """Charges of noise multiplier 30,000 (half a million fit into epsilon 1) waste at most 10%."""
    for place, _ in Budget(1, 1e-6).settled(PrivacyUnit.record).caps[:-1]:
        true = ORDERS[place] / (2 * 30_000**2) * NANO
        assert math.ceil(true) <= true * 1.1
